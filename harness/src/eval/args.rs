//! What can be set for an evaluation.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use sam_domain::catalogue::price::Prices;

use crate::cli::Provider;
use crate::price;

/// How a person begins.
const EXAMPLES: &str = "\
Which of two models is worth its price, three times each:
  export SAM_MODEL_URL=https://api.example.com/v1 SAM_MODEL_KEY=…
  sam-harness eval --model small --model large --repeats 3 --html evals.html --json evals.json
Two harnesses with the same model:
  sam-harness eval --model large --agent sam-harness --agent 'codex-acp'
What changed since the last run:
  sam-harness eval --compare before.json after.json
A new task, without a model: it has to fail untouched and pass with its solution:
  sam-harness eval --verify --only my-task

docs/evals.md says how to read the table and how to add a task.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EvalArgs {
    /// The directory of the tasks.
    #[arg(
        long,
        value_name = "DIR",
        env = "SAM_EVAL_SUITE",
        default_value = "harness/evals"
    )]
    pub(super) suite: PathBuf,
    /// Only these tasks; may be given more than once, or with commas between.
    #[arg(long, value_name = "TASK", value_delimiter = ',')]
    pub(super) only: Vec<String>,
    /// List the tasks and what is missing here for them.
    #[arg(long, conflicts_with_all = ["verify", "compare"])]
    pub(super) list: bool,
    /// Check the tasks instead: each has to fail untouched and to pass with its reference solution.
    #[arg(long, conflicts_with = "compare")]
    pub(super) verify: bool,
    /// Compare two runs, as --json wrote them.
    #[arg(long, num_args = 2, value_names = ["BEFORE", "AFTER"])]
    pub(super) compare: Vec<PathBuf>,
    /// What works on the tasks: "sam-harness" for this program's `run`, or the command of any agent that speaks the Agent Client Protocol; may be given more than once. Standard: sam-harness.
    #[arg(long, value_name = "COMMAND")]
    pub(super) agent: Vec<String>,
    /// A variable for agents of other makers; $ORIGIN is the address of the model API without a path, $SECRET its key, $MODEL the model's id. May be given more than once.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) agent_env: Vec<String>,
    /// How often each task is worked on; more than once shows the spread.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) repeats: u32,
    /// How many tasks are worked on at a time; more than one lengthens the times.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) jobs: u16,
    /// Seconds that an agent has for one task.
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) time_limit: u64,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    #[command(flatten)]
    pub(super) prices: PriceArgs,
    /// Options of `sam-harness run` for this program's own attempts, such as --effort high.
    #[arg(last = true, value_name = "OPTIONS OF RUN")]
    pub(super) run: Vec<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputArgs {
    /// Write the result as JSON; "-" is stdout, in place of the table.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Write the result as a page with charts.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// Keep each attempt's repository, transcript and logs here.
    #[arg(long, value_name = "DIR")]
    pub(super) keep: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Model")]
pub(super) struct ModelArgs {
    /// The model API, including its version path (…/v1).
    #[arg(long, value_name = "URL", env = "SAM_MODEL_URL")]
    pub(super) base_url: Option<String>,
    /// The API key; agents never see it. Better given by the environment, where other users cannot see it.
    #[arg(
        long,
        value_name = "KEY",
        env = "SAM_MODEL_KEY",
        hide_env_values = true
    )]
    pub(super) api_key: Option<String>,
    /// A model's id, with "chat:", "responses:" or "messages:" before it when it speaks otherwise than --provider says; may be given more than once.
    #[arg(long, value_name = "[PROVIDER:]ID", env = "SAM_MODEL")]
    pub(super) model: Vec<String>,
    /// How the model API speaks.
    #[arg(long, value_enum, env = "SAM_MODEL_PROVIDER", default_value_t = Provider::Chat)]
    pub(super) provider: Provider,
    /// The header that carries the key, as for `run`.
    #[arg(long, value_name = "NAME", env = "SAM_MODEL_AUTH_HEADER")]
    pub(super) auth_header: Option<String>,
    /// A further header for the model API; may be given more than once, in the environment with newlines between.
    #[arg(
        long = "header",
        value_name = "NAME: VALUE",
        env = "SAM_MODEL_HEADERS",
        value_delimiter = '\n',
        hide_env_values = true
    )]
    pub(super) headers: Vec<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Prices")]
pub(super) struct PriceArgs {
    /// What a million tokens cost in dollars, of every model: input, output, and input read from and written to a cache. Standard: what SAM knows of the model.
    #[arg(long, value_name = "IN,OUT[,READ[,WRITTEN]]", value_parser = price::prices, conflicts_with = "prices")]
    pub(super) price: Option<Prices>,
    /// The same by model, as JSON: {"MODEL": "2.50,10,0.25"}.
    #[arg(long, value_name = "FILE")]
    pub(super) prices: Option<PathBuf>,
}

impl PriceArgs {
    /// What was said of each model.
    pub(super) fn list(&self) -> Result<PriceList, String> {
        let Some(path) = &self.prices else {
            return Ok(PriceList::Same(self.price));
        };
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = std::fs::read(path).map_err(|error| failed(&error))?;
        let said: BTreeMap<String, String> =
            serde_json::from_slice(&text).map_err(|error| failed(&error))?;
        let read = said
            .into_iter()
            .map(|(model, text)| Ok((model, price::prices(&text)?)))
            .collect::<Result<_, String>>();
        read.map(PriceList::ByModel).map_err(|error| failed(&error))
    }
}

/// Prices that were given.
#[derive(Debug)]
pub(super) enum PriceList {
    /// For every model, or none.
    Same(Option<Prices>),
    /// For these models.
    ByModel(BTreeMap<String, Prices>),
}

impl PriceList {
    /// What was said of a model.
    pub(super) fn of(&self, model: &str) -> Option<Prices> {
        match self {
            Self::Same(prices) => *prices,
            Self::ByModel(prices) => prices.get(model).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_for_every_model_or_by_model() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("prices.json");
        let list = |price: Option<&str>, file: Option<&str>| {
            if let Some(text) = file {
                std::fs::write(&path, text).unwrap();
            }
            let args = PriceArgs {
                price: price.map(|text| price::prices(text).unwrap()),
                prices: file.map(|_| path.clone()),
            };
            args.list()
        };
        let given = price::prices("2.5,10").ok();
        assert_eq!(list(Some("2.5,10"), None).unwrap().of("any"), given);
        let by_model = list(None, Some(r#"{"m": "2.5,10"}"#)).unwrap();
        assert_eq!((by_model.of("m"), by_model.of("n")), (given, None));
        assert!(list(None, Some(r#"{"m": "dear"}"#)).is_err());
    }
}
