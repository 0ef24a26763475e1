//! What can be set for an evaluation.

use std::path::PathBuf;

use clap::Args;

use crate::cli::Provider;

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
#[command(next_help_heading = "Prices, in US dollars for a million tokens")]
pub(super) struct PriceArgs {
    /// Of input. Standard: the list price, for models that SAM knows.
    #[arg(long, value_name = "PRICE", requires = "price_out")]
    pub(super) price_in: Option<f64>,
    /// Of output.
    #[arg(long, value_name = "PRICE", requires = "price_in")]
    pub(super) price_out: Option<f64>,
    /// Of input that was read from the provider's cache. Standard: as other input.
    #[arg(long, value_name = "PRICE", requires = "price_in")]
    pub(super) price_cached: Option<f64>,
    /// Prices by model: {"MODEL": {"input": 2.5, "output": 10, "cached_input": 0.25}}.
    #[arg(long, value_name = "FILE", conflicts_with = "price_in")]
    pub(super) prices: Option<PathBuf>,
}
