//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use sam_dialects::{Dialect, conversation};

use crate::guard::GuardArgs;
use crate::sandbox::ConfineArgs;

/// A coding agent that works in one directory with one model.
#[derive(Debug, Parser)]
#[command(
    name = "sam-harness",
    disable_version_flag = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    /// Print the version; with --verbose also what isolates commands on this machine.
    #[arg(short = 'V', long)]
    pub(crate) version: bool,
    /// Say more of the version.
    #[arg(long, requires = "version")]
    pub(crate) verbose: bool,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the Agent Client Protocol over stdin and stdout.
    Acp(AcpArgs),
    /// Work on one prompt and exit: 0 complete, 1 error, 2 usage, 3 limit, 130 cancelled.
    Run(RunArgs),
    /// Confine this process and become a command.
    #[command(hide = true)]
    Confine(ConfineArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AcpArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) guard: GuardArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// What to do.
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) prompt: String,
    /// The workspace; nothing outside it is read or written by the file tools.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// What stdout gets; steps always go to stderr.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) guard: GuardArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// The answer's text as it arrives.
    Text,
    /// One JSON object at the end.
    Json,
    /// One JSON object a line for each event.
    StreamJson,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ModelArgs {
    /// The model API, including its version path (…/v1).
    #[arg(long, value_name = "URL", env = "SAM_MODEL_URL")]
    pub(crate) base_url: String,
    /// The API key; better given by the environment, where other users cannot see it.
    #[arg(
        long,
        value_name = "KEY",
        env = "SAM_MODEL_KEY",
        hide_env_values = true
    )]
    pub(crate) api_key: Option<String>,
    /// The model's id.
    #[arg(long, value_name = "ID", env = "SAM_MODEL")]
    pub(crate) model: String,
    /// How the model API speaks.
    #[arg(long, value_enum, env = "SAM_MODEL_PROVIDER", default_value_t = Provider::Chat)]
    pub(crate) provider: Provider,
    /// The header that carries the key: those ending in "authorization" as a
    /// bearer token, others bare; "none" sends no key. Standard: x-api-key for
    /// messages, else authorization.
    #[arg(long, value_name = "NAME", env = "SAM_MODEL_AUTH_HEADER")]
    pub(crate) auth_header: Option<String>,
    /// A further header for the model API; may be given more than once, in the environment with newlines between.
    #[arg(
        long = "header",
        value_name = "NAME: VALUE",
        env = "SAM_MODEL_HEADERS",
        value_delimiter = '\n',
        hide_env_values = true
    )]
    pub(crate) headers: Vec<String>,
    /// How hard the model thinks, where it can be told.
    #[arg(long, value_enum, env = "SAM_MODEL_EFFORT")]
    pub(crate) effort: Option<Effort>,
    /// The most tokens of one reply; messages needs a bound and takes 16384 without one.
    #[arg(long, value_name = "TOKENS", env = "SAM_MODEL_MAX_OUTPUT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_output: Option<u64>,
    /// The most model requests in one turn.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_turns: u32,
    /// Seconds that one turn may take.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_seconds: Option<u64>,
    /// The most tokens, sent and received, of one turn; the reply that passes it is the last.
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_total_tokens: Option<u64>,
    /// How often the same calls with the same results may follow each other.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) max_repeats: u32,
    /// The model's context in tokens, reported to the host beside what is used.
    #[arg(long, value_name = "TOKENS", default_value_t = 128_000)]
    pub(crate) context_window: u64,
    /// Seconds for which a model API that is unreachable, busy or silent is tried again when it names no reset.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub(crate) retry_for: u64,
    /// Seconds for which limits that name their reset are waited for in one request, all together.
    #[arg(long, value_name = "SECONDS", default_value_t = 21_600)]
    pub(crate) wait_for_reset: u64,
    /// Seconds without a reply's first byte after which it counts as lost.
    #[arg(long, value_name = "SECONDS", default_value_t = 630, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) first_byte_timeout: u64,
    /// Seconds without a further byte after which a reply counts as cut off.
    #[arg(long, value_name = "SECONDS", default_value_t = 180, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) idle_timeout: u64,
    /// Seconds that one reply may take as a whole.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) reply_timeout: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Provider {
    /// OpenAI-compatible chat completions.
    #[value(alias = "openai-proxy")]
    Chat,
    /// OpenAI Responses.
    Responses,
    /// Anthropic Messages.
    Messages,
}

impl Provider {
    /// The dialect it speaks.
    pub(crate) fn dialect(self) -> Dialect {
        match self {
            Self::Chat => Dialect::Chat,
            Self::Responses => Dialect::Responses,
            Self::Messages => Dialect::Messages,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

impl From<Effort> for conversation::Effort {
    fn from(effort: Effort) -> Self {
        match effort {
            Effort::None => Self::None,
            Effort::Minimal => Self::Minimal,
            Effort::Low => Self::Low,
            Effort::Medium => Self::Medium,
            Effort::High => Self::High,
            Effort::Xhigh => Self::XHigh,
            Effort::Max => Self::Max,
        }
    }
}
