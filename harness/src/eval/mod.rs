//! `sam-harness eval`: which agent with which model solves what, and what that
//! costs.
//!
//! Model: a task ([`suite`]) is a repository, a prompt and a hidden check. An
//! attempt takes a fresh copy ([`place`]), lets an agent ([`agent`]) work on it
//! with a metering proxy ([`meter`]) as its model API, and runs the check when
//! the agent is gone. What the attempts came to ([`report`]) is shown as text
//! ([`table`]), as JSON and as a page ([`page`]), and runs are compared
//! ([`compare`]).
//!
//! Invariants: the check alone decides whether an attempt passed, by its exit
//! code, and never by words of the agent's; turns, tokens and cost are counted
//! by the same proxy for every agent; the model API's key stays here.
//!
//! It refuses to know tasks by name, and what a good answer would be.

mod acp;
mod agent;
mod args;
mod chart;
mod compare;
mod meter;
mod page;
mod place;
mod reads;
mod report;
mod suite;
mod table;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use futures::{StreamExt, stream};
use sam_dialects::Usage;
use sam_domain::catalogue::price::Prices;

pub(crate) use args::EvalArgs;

use self::agent::{Contestant, Ended, OWN, Order};
use self::compare::Comparison;
use self::meter::{Meter, Upstream};
use self::place::Place;
use self::report::{Attempt, FORMAT, Key, Outcome, Report, Row, TaskTold, VERSION};
use self::suite::Task;
use self::table::{Cell, Table, Tone};
use crate::cli::Provider;
use crate::ending::EndSignals;
use crate::printable::printable;
use crate::{CANCELLED, COMPLETE, FAILED, USAGE, price};

/// Does what the flags say; the exit code.
pub(crate) async fn eval(args: EvalArgs) -> Result<u8, String> {
    if let [before, after] = &args.compare[..] {
        return comparison(&args, before, after);
    }
    let tasks = suite::load(&args.suite, &args.only).await?;
    if args.list {
        return list(&tasks);
    }
    let mut signals = EndSignals::listen()?;
    // What is dropped ends its processes.
    tokio::select! {
        code = async {
            match args.verify {
                true => verify(&args, &tasks).await,
                false => run(&args, &tasks).await,
            }
        } => code,
        () = signals.next() => Ok(CANCELLED),
    }
}

fn comparison(args: &EvalArgs, before: &Path, after: &Path) -> Result<u8, String> {
    let comparison = Comparison::new(&compare::read(before)?, &compare::read(after)?);
    if comparison.pairs.is_empty() {
        say("the runs have no agent with the same model in common");
    }
    let json = serde_json::to_string_pretty(&comparison).map_err(|error| error.to_string())?;
    publish(args, &json, &comparison.page(), &comparison.text())?;
    Ok(COMPLETE)
}

fn list(tasks: &[Task]) -> Result<u8, String> {
    let rows = tasks.iter().map(|task| {
        let skipped = match &task.missing {
            Some(why) => Cell::from(format!("skipped: {why}")),
            None => "".into(),
        };
        vec![
            task.name.as_str().into(),
            task.language.as_str().into(),
            task.title.as_str().into(),
            skipped,
        ]
    });
    let table = Table {
        head: ["task", "language", "title", ""]
            .map(str::to_owned)
            .to_vec(),
        names: 4,
        rows: rows.collect(),
    };
    print(&table.text());
    Ok(COMPLETE)
}

/// Checks that every task fails untouched and passes with its solution.
async fn verify(args: &EvalArgs, tasks: &[Task]) -> Result<u8, String> {
    let verified = stream::iter(tasks).map(|task| async move {
        let cell = match &task.missing {
            Some(why) => Cell::toned(format!("– skipped: {why}"), Tone::Muted),
            None => match sound(args, task).await {
                Ok(()) => Cell::toned("✓ fails untouched, passes with its solution", Tone::Ok),
                Err(why) => Cell::toned(format!("✗ {why}"), Tone::Bad),
            },
        };
        vec![task.name.as_str().into(), cell]
    });
    let rows: Vec<Vec<Cell>> = verified.buffered(usize::from(args.jobs)).collect().await;
    let bad = rows.iter().flatten().any(|cell| cell.tone == Tone::Bad);
    let table = Table {
        head: ["task", ""].map(str::to_owned).to_vec(),
        names: 2,
        rows,
    };
    print(&table.text());
    Ok(if bad { FAILED } else { COMPLETE })
}

async fn sound(args: &EvalArgs, task: &Task) -> Result<(), String> {
    let keep = args.output.keep.as_deref();
    let place = |what: &str| {
        let place = Place::new(keep, &format!("{}/{what}", task.name));
        place.map_err(|error| error.to_string())
    };
    let untouched = place("untouched")?;
    let base = untouched.prepare(task).await?;
    if untouched.check(task, &base).await? {
        return Err("passes untouched".to_owned());
    }
    let solved = place("solved")?;
    let base = solved.prepare(task).await?;
    solved.solve(task).await?;
    if solved.check(task, &base).await? {
        return Ok(());
    }
    let said = solved.told("check").unwrap_or_default();
    Err(format!("fails with its solution: {said}"))
}

/// An agent with a model.
struct Entrant {
    contestant: Contestant,
    model: String,
    provider: Provider,
    /// What was said of its prices.
    prices: Option<Prices>,
    /// Whether its cost is known.
    priced: bool,
}

/// What all attempts of a run have in common.
struct Run<'a> {
    args: &'a EvalArgs,
    upstream: Arc<Upstream>,
    /// Attempts that are over, and all.
    done: AtomicUsize,
    all: usize,
}

async fn run(args: &EvalArgs, tasks: &[Task]) -> Result<u8, String> {
    if args.model.base_url.is_none() || args.model.model.is_empty() {
        say("eval needs a model: --base-url URL and --model ID, or SAM_MODEL_URL and SAM_MODEL");
        say("hint: --list, --verify and --compare need none; docs/evals.md has examples");
        return Ok(USAGE);
    }
    let began = crate::serve::iso_8601(now());
    let entrants = entrants(args)?;
    let upstream = Arc::new(Upstream::new(&args.model)?);
    let workable: Vec<&Task> = tasks.iter().filter(|task| task.missing.is_none()).collect();
    for task in tasks {
        if let Some(why) = &task.missing {
            say(&format!("{} is skipped: {why}", task.name));
        }
    }
    let mut planned = Vec::new();
    for round in 1..=args.repeats {
        for task in &workable {
            planned.extend((0..entrants.len()).map(|entrant| (round, *task, entrant)));
        }
    }
    let run = Run {
        args,
        upstream,
        done: AtomicUsize::new(0),
        all: planned.len(),
    };
    let attempts = stream::iter(planned).map(|(round, task, at)| {
        let (run, entrants) = (&run, &entrants);
        async move {
            let entrant = entrants.get(at)?;
            Some((at, run.attempt(entrant, task, round).await))
        }
    });
    let attempts = attempts.buffer_unordered(usize::from(args.jobs));
    let attempts: Vec<Option<(usize, Attempted)>> = attempts.collect().await;
    let attempts: Vec<(usize, Attempted)> = attempts.into_iter().flatten().collect();
    let rows = entrants.iter().enumerate().map(|(at, entrant)| {
        let own: Vec<&Attempted> = attempts
            .iter()
            .filter_map(|(of, attempted)| (*of == at).then_some(attempted))
            .collect();
        let spoken = own.iter().find_map(|attempted| attempted.dialect);
        let key = Key {
            agent: entrant.contestant.name().to_owned(),
            provider: spoken
                .unwrap_or(entrant.provider.dialect())
                .name()
                .to_owned(),
            model: entrant.model.clone(),
        };
        let scripted = own.iter().any(|attempted| attempted.scripted);
        let attempts = own.into_iter().map(|attempted| attempted.attempt.clone());
        Row::new(key, scripted, attempts.collect())
    });
    let report = Report {
        format: FORMAT.to_owned(),
        version: VERSION,
        began,
        program: crate::session::agent(),
        endpoint: run.upstream.address(),
        repeats: args.repeats,
        time_limit: args.time_limit,
        tasks: tasks.iter().map(told).collect(),
        rows: rows.collect(),
    };
    let json = serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?;
    let text = format!(
        "{}\n{}",
        table::tasks(&report).text(),
        table::rows(&report).text()
    );
    publish(args, &json, &page::report(&report), &text)?;
    let broken = |row: &Row| row.attempts.iter().any(|a| a.outcome == Outcome::Error);
    Ok(match report.rows.iter().any(broken) {
        true => FAILED,
        false => COMPLETE,
    })
}

fn told(task: &Task) -> TaskTold {
    TaskTold {
        name: task.name.clone(),
        title: task.title.clone(),
        language: task.language.clone(),
        skipped: task.missing.clone(),
    }
}

/// Every agent with every model.
fn entrants(args: &EvalArgs) -> Result<Vec<Entrant>, String> {
    let prices = args.prices.list()?;
    let own = [OWN.to_owned()];
    let agents = match args.agent.is_empty() {
        true => &own[..],
        false => &args.agent[..],
    };
    let mut entrants = Vec::new();
    for command in agents {
        let contestant = Contestant::new(command, &args.agent_env, &args.run)?;
        for named in &args.model.model {
            let (provider, model) = spoken(named, args.model.provider);
            let said = prices.of(model);
            entrants.push(Entrant {
                contestant: contestant.clone(),
                priced: price::cost(model, said.as_ref(), Usage::default()).is_some(),
                prices: said,
                model: model.to_owned(),
                provider,
            });
        }
    }
    Ok(entrants)
}

/// A model and how it speaks; ids with a colon of their own stay whole.
fn spoken(named: &str, standard: Provider) -> (Provider, &str) {
    match named.split_once(':') {
        Some(("chat", model)) => (Provider::Chat, model),
        Some(("responses", model)) => (Provider::Responses, model),
        Some(("messages", model)) => (Provider::Messages, model),
        _ => (standard, named),
    }
}

/// An attempt, and what of it is told of the whole row.
struct Attempted {
    attempt: Attempt,
    dialect: Option<sam_dialects::Dialect>,
    scripted: bool,
}

impl Run<'_> {
    async fn attempt(&self, entrant: &Entrant, task: &Task, round: u32) -> Attempted {
        let attempted = match self.try_attempt(entrant, task, round).await {
            Ok(attempted) => attempted,
            Err(why) => Attempted {
                attempt: Attempt {
                    task: task.name.clone(),
                    round,
                    outcome: Outcome::Error,
                    why: Some(why),
                    turns: 0,
                    refused: 0,
                    unmetered: 0,
                    renamed: 0,
                    usage: Usage::default(),
                    cost: entrant.priced.then_some(0),
                    seconds: 0.0,
                    reads: None,
                },
                dialect: None,
                scripted: false,
            },
        };
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let attempt = &attempted.attempt;
        let why = match (&attempt.why, attempt.outcome) {
            (Some(why), Outcome::Error) => format!(": {why}"),
            _ => String::new(),
        };
        say(&format!(
            "[{done}/{}] {} {} {}: {} (turns: {}, time: {:.1} s){why}",
            self.all,
            entrant.contestant.name(),
            entrant.model,
            attempt.task,
            attempt.outcome.word(),
            attempt.turns,
            attempt.seconds
        ));
        attempted
    }

    async fn try_attempt(
        &self,
        entrant: &Entrant,
        task: &Task,
        round: u32,
    ) -> Result<Attempted, String> {
        let name = [entrant.contestant.name(), &entrant.model].map(file_name);
        let name = format!("{}/{}/{round}", name.join("/"), task.name);
        let failed = |error: io::Error| error.to_string();
        let keep = self.args.output.keep.as_deref();
        let place = Place::new(keep, &name).map_err(failed)?;
        let base = place.prepare(task).await?;
        let meter = Meter::start(&self.upstream, &entrant.model, entrant.prices).await;
        let meter = meter.map_err(failed)?;
        let order = Order {
            prompt: &task.prompt,
            model: &entrant.model,
            provider: entrant.provider,
            limit: Duration::from_secs(self.args.time_limit),
        };
        let work = entrant.contestant.work(&place, &meter, order).await?;
        let count = meter.finish().await;
        if work.ended == Ended::Failed && count.turns == 0 {
            return Err(work
                .why
                .unwrap_or_else(|| "it got no reply of the model".to_owned()));
        }
        let checked = place.check(task, &base).await?;
        let outcome = match (work.ended, checked) {
            (Ended::TimeLimit, _) => Outcome::TimeLimit,
            (_, true) => Outcome::Passed,
            (_, false) => Outcome::Failed,
        };
        let why = (outcome != Outcome::Passed).then(|| work.why.or_else(|| place.told("check")));
        Ok(Attempted {
            attempt: Attempt {
                task: task.name.clone(),
                round,
                outcome,
                why: why.flatten(),
                turns: count.turns,
                refused: count.refused,
                unmetered: count.unmetered,
                renamed: count.renamed,
                usage: count.usage,
                cost: entrant.priced.then_some(count.cost),
                seconds: work.time.as_secs_f64(),
                reads: work.reads,
            },
            dialect: count.dialect,
            scripted: count.scripted,
        })
    }
}

/// A name as a part of a path.
fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    name.chars().map(plain).collect()
}

/// Writes what was asked for, and shows the rest.
fn publish(args: &EvalArgs, json: &str, page: &str, text: &str) -> Result<(), String> {
    let write = |path: &PathBuf, content: &str| {
        std::fs::write(path, content).map_err(|error| format!("{}: {error}", path.display()))
    };
    let stdout = args.output.json.as_deref() == Some(Path::new("-"));
    print(if stdout { json } else { text });
    if let Some(path) = args.output.json.as_ref().filter(|_| !stdout) {
        write(path, json)?;
    }
    match &args.output.html {
        Some(path) => write(path, page),
        None => Ok(()),
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

/// A reader that has left must not end the work.
fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{}", text.trim_end());
}

fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{}", printable(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_may_say_how_it_speaks() {
        let spoken = |named| spoken(named, Provider::Chat);
        assert_eq!(spoken("messages:claude"), (Provider::Messages, "claude"));
        assert_eq!(spoken("llama3:8b"), (Provider::Chat, "llama3:8b"));
        assert_eq!(spoken("@cf/meta/llama"), (Provider::Chat, "@cf/meta/llama"));
    }
}
