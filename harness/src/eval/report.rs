//! What came of an evaluation, as numbers.
//!
//! A round is every task once. What is summed up is summed up by round, so that
//! a run with repeats has the same figures as one without, and their spread.

use serde::{Deserialize, Serialize};

use sam_dialects::Usage;

use super::reads::Reads;

/// What a report names as its format.
pub(super) const FORMAT: &str = "sam-eval";
/// The version written here, and the only one that is read.
pub(super) const VERSION: u32 = 1;
/// Micro-dollars in a dollar.
const MILLION: f64 = 1e6;

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Report {
    /// [`FORMAT`].
    pub(super) format: String,
    /// [`VERSION`].
    pub(super) version: u32,
    /// When it began, ISO 8601.
    pub(super) began: String,
    /// The program that ran it, and its version.
    pub(super) program: String,
    /// The model API's address.
    pub(super) endpoint: String,
    /// How often each task was worked on.
    pub(super) repeats: u32,
    /// Seconds that an agent had for one task.
    pub(super) time_limit: u64,
    /// The tasks, by name.
    pub(super) tasks: Vec<TaskTold>,
    /// What was evaluated: agents and models.
    pub(super) rows: Vec<Row>,
}

/// A task of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TaskTold {
    /// Its name.
    pub(super) name: String,
    /// For people.
    pub(super) title: String,
    /// What it is written in.
    pub(super) language: String,
    /// Why it was left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) skipped: Option<String>,
}

/// An agent with a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    /// Which, and whether the model was a scripted one.
    #[serde(flatten)]
    pub(super) key: Key,
    /// Whether a scripted model answered, and no real one.
    pub(super) scripted: bool,
    /// The attempts summed up.
    pub(super) summary: Summary,
    /// Every attempt, by round and task.
    pub(super) attempts: Vec<Attempt>,
}

/// What a row is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Key {
    /// The agent.
    pub(super) agent: String,
    /// How it spoke to the model.
    pub(super) provider: String,
    /// The model.
    pub(super) model: String,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} · {} · {}", self.agent, self.provider, self.model)
    }
}

/// How an attempt came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// The hidden check succeeded.
    Passed,
    /// It did not.
    Failed,
    /// The time was over.
    TimeLimit,
    /// There was no attempt: the agent did not start, or no model answered.
    Error,
}

impl Outcome {
    /// The word for people.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::TimeLimit => "time limit",
            Self::Error => "error",
        }
    }
}

/// One agent's work on one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Attempt {
    /// The task's name.
    pub(super) task: String,
    /// From 1.
    pub(super) round: u32,
    /// What came of it.
    pub(super) outcome: Outcome,
    /// Why, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
    /// Requests that the model answered.
    pub(super) turns: u64,
    /// Requests that it refused.
    #[serde(default)]
    pub(super) refused: u64,
    /// Replies that did not say what they cost; they are missing in the tokens and the cost.
    #[serde(default)]
    pub(super) unmetered: u64,
    /// Requests that named another model and were sent to this one.
    #[serde(default)]
    pub(super) renamed: u64,
    /// Tokens of all replies.
    pub(super) usage: Usage,
    /// Micro-dollars, where the model has a price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cost: Option<u64>,
    /// Seconds from the agent's start to its end.
    pub(super) seconds: f64,
    /// Reads of files, as far as the agent tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reads: Option<Reads>,
}

/// A figure over rounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Spread {
    /// The mean.
    pub(super) mean: f64,
    /// The standard deviation of the sample; 0 for one round.
    pub(super) deviation: f64,
    /// The least.
    pub(super) least: f64,
    /// The most.
    pub(super) most: f64,
}

impl Spread {
    /// Of some figures.
    pub(super) fn of(figures: &[f64]) -> Self {
        let count = figures.len() as f64;
        if figures.is_empty() {
            return Self::default();
        }
        let mean = figures.iter().sum::<f64>() / count;
        let squares: f64 = figures.iter().map(|figure| (figure - mean).powi(2)).sum();
        let deviation = if figures.len() > 1 {
            (squares / (count - 1.0)).sqrt()
        } else {
            0.0
        };
        Self {
            mean,
            deviation,
            least: figures.iter().copied().fold(f64::INFINITY, f64::min),
            most: figures.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

/// The attempts of a row, by round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Summary {
    /// How many rounds.
    pub(super) rounds: u32,
    /// How many tasks each.
    pub(super) tasks: u32,
    /// Tasks passed.
    pub(super) passed: Spread,
    /// Requests that the model answered.
    pub(super) turns: Spread,
    /// Tokens, sent and received.
    pub(super) tokens: Spread,
    /// Dollars, where the model has a price.
    pub(super) cost: Option<Spread>,
    /// Seconds of all tasks together.
    pub(super) seconds: Spread,
    /// Dollars spent in all for each task passed; none without a price or a pass.
    pub(super) cost_per_success: Option<f64>,
    /// Reads of files in all, as far as the agent tells.
    pub(super) reads: Option<Reads>,
    /// Replies that did not say what they cost.
    pub(super) unmetered: u64,
}

impl Summary {
    /// Of some attempts.
    pub(super) fn of<'a>(attempts: impl IntoIterator<Item = &'a Attempt>) -> Self {
        let attempts: Vec<&Attempt> = attempts.into_iter().collect();
        let mut rounds: Vec<u32> = attempts.iter().map(|attempt| attempt.round).collect();
        rounds.sort_unstable();
        rounds.dedup();
        let mut tasks: Vec<&str> = attempts.iter().map(|attempt| &*attempt.task).collect();
        tasks.sort_unstable();
        tasks.dedup();
        let by_round = |figure: &dyn Fn(&Attempt) -> f64| {
            let of_round = |round: &u32| {
                let its = attempts.iter().filter(|attempt| attempt.round == *round);
                its.map(|attempt| figure(attempt)).sum()
            };
            let figures: Vec<f64> = rounds.iter().map(of_round).collect();
            Spread::of(&figures)
        };
        let passes = attempts
            .iter()
            .filter(|a| a.outcome == Outcome::Passed)
            .count();
        let micro: Option<u64> = attempts.iter().map(|attempt| attempt.cost).sum();
        let micro = micro.filter(|_| !attempts.is_empty());
        let dollars = |attempt: &Attempt| attempt.cost.unwrap_or(0) as f64 / MILLION;
        let reads = attempts.iter().filter_map(|attempt| attempt.reads);
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        Self {
            rounds: count(rounds.len()),
            tasks: count(tasks.len()),
            passed: by_round(&|attempt| f64::from(u8::from(attempt.outcome == Outcome::Passed))),
            turns: by_round(&|attempt| attempt.turns as f64),
            tokens: by_round(&|attempt| attempt.usage.total as f64),
            cost: micro.map(|_| by_round(&dollars)),
            seconds: by_round(&|attempt| attempt.seconds),
            cost_per_success: micro
                .filter(|_| passes > 0)
                .map(|micro| micro as f64 / MILLION / passes as f64),
            reads: reads.reduce(Reads::plus),
            unmetered: attempts.iter().map(|attempt| attempt.unmetered).sum(),
        }
    }
}

impl Row {
    /// Of the attempts of one agent with one model.
    pub(super) fn new(key: Key, scripted: bool, mut attempts: Vec<Attempt>) -> Self {
        attempts.sort_by(|a, b| (a.round, &a.task).cmp(&(b.round, &b.task)));
        Self {
            key,
            scripted,
            summary: Summary::of(&attempts),
            attempts,
        }
    }

    /// The attempts on a task, by round.
    pub(super) fn on<'a>(&'a self, task: &'a str) -> impl Iterator<Item = &'a Attempt> {
        self.attempts
            .iter()
            .filter(move |attempt| attempt.task == task)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn attempt(task: &str, round: u32, outcome: Outcome) -> Attempt {
        Attempt {
            task: task.to_owned(),
            round,
            outcome,
            why: None,
            turns: 3,
            refused: 0,
            unmetered: 0,
            renamed: 0,
            usage: Usage {
                input: 900,
                output: 100,
                total: 1000,
                ..Usage::default()
            },
            cost: Some(2_000),
            seconds: 1.5,
            reads: Some(Reads { all: 4, again: 1 }),
        }
    }

    pub(in super::super) fn row(model: &str, attempts: Vec<Attempt>) -> Row {
        let key = Key {
            agent: "sam-harness".to_owned(),
            provider: "chat".to_owned(),
            model: model.to_owned(),
        };
        Row::new(key, false, attempts)
    }

    pub(in super::super) fn report(rows: Vec<Row>) -> Report {
        let task = |name: &str, skipped: Option<&str>| TaskTold {
            name: name.to_owned(),
            title: name.to_uppercase(),
            language: "Python".to_owned(),
            skipped: skipped.map(str::to_owned),
        };
        Report {
            format: FORMAT.to_owned(),
            version: VERSION,
            began: "2026-01-01T00:00:00Z".to_owned(),
            program: "sam-harness/0".to_owned(),
            endpoint: "http://127.0.0.1/v1".to_owned(),
            repeats: 2,
            time_limit: 600,
            tasks: vec![
                task("a", None),
                task("b", None),
                task("c", Some("go is missing")),
            ],
            rows,
        }
    }

    #[test]
    fn rounds_are_summed_up_with_their_spread() {
        use Outcome::{Failed, Passed};
        let row = row(
            "m",
            vec![
                attempt("a", 1, Passed),
                attempt("b", 1, Failed),
                attempt("a", 2, Passed),
                attempt("b", 2, Passed),
            ],
        );
        let summary = row.summary;
        assert_eq!((summary.rounds, summary.tasks), (2, 2));
        let passed = summary.passed;
        assert_eq!((passed.mean, passed.least, passed.most), (1.5, 1.0, 2.0));
        assert!((passed.deviation - 0.5_f64.sqrt()).abs() < 1e-9);
        assert_eq!(summary.tokens.mean, 2000.0);
        assert_eq!(summary.tokens.deviation, 0.0);
        assert_eq!(summary.cost.map(|cost| cost.mean), Some(0.004));
        let each = summary.cost_per_success.unwrap();
        assert!((each - 0.008 / 3.0).abs() < 1e-12);
        assert_eq!(summary.reads, Some(Reads { all: 16, again: 4 }));
    }

    #[test]
    fn what_is_not_known_is_not_nought() {
        let mut one = attempt("a", 1, Outcome::Failed);
        assert_eq!(Summary::of([&one]).cost_per_success, None);
        one.cost = None;
        one.reads = None;
        let summary = Summary::of([&one, &attempt("b", 1, Outcome::Passed)]);
        assert_eq!((summary.cost, summary.cost_per_success), (None, None));
        assert_eq!(summary.reads, Some(Reads { all: 4, again: 1 }));
        assert_eq!(Summary::of([]).cost, None);
    }

    #[test]
    fn a_report_is_read_back_as_it_was_written() {
        let report = report(vec![row("m", vec![attempt("a", 1, Outcome::TimeLimit)])]);
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }
}
