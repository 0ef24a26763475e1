//! The command line.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use sam_dialects::{Dialect, Usage, conversation};

use sam_domain::catalogue::price::{MicroDollars, Prices};
use sam_harness::transcript::Header;

use crate::eval::EvalArgs;
use crate::guard::GuardArgs;
use crate::mcp::McpArgs;
use crate::price;
use crate::prompt::PromptArgs;
use crate::sandbox::{ConfineArgs, SandboxArgs};
use crate::session::RecordArgs;

/// How a person begins.
const EXAMPLES: &str = "\
Tell it where the model is, once:
  export SAM_MODEL_URL=https://api.example.com/v1 SAM_MODEL_KEY=… SAM_MODEL=…
Then let it work where you are; steps go to stderr, the answer to stdout:
  sam-harness run -p \"The tests fail. Find the bug and fix it.\"
  echo \"What does this program do?\" | sam-harness run --permission-mode read-only
Look at what it did, and go on:
  sam-harness show
  sam-harness resume -p \"Now write a test for it.\"
Or use it in an editor that speaks the Agent Client Protocol, as the command:
  sam-harness acp

`sam-harness run -h` names what is needed most, `sam-harness run --help` everything.";

/// How `run` is used.
const RUN_EXAMPLES: &str = "\
Examples:
  sam-harness run -p \"The tests fail. Find the bug and fix it.\"
  sam-harness run --dir app --add-dir ../library -p \"Use the library's new names.\"
  (echo \"Review this:\"; git diff) | sam-harness run --permission-mode read-only --max-turns 10
  sam-harness run --output json -p \"Which port does it listen on?\" | jq -r .text

The answer goes to stdout, all else to stderr. Exits with 0 when the work is complete, 1 after an
error, 2 when the command line is wrong, 3 at a limit, and 130 when it was cancelled.";

/// What the exit codes of a run mean.
const EXIT_CODES: &str = "\
Exits with 0 when the work is complete, 1 after an error, 2 when the command line is wrong, 3 at a
limit, and 130 when it was cancelled.";

/// What to do when nobody has said where the model is.
pub(crate) const NO_MODEL: &str = "\
hint: say where the model is, once:
  export SAM_MODEL_URL=https://api.example.com/v1 SAM_MODEL_KEY=… SAM_MODEL=…";

/// A coding agent that works in one directory with one model.
#[derive(Debug, Parser)]
#[command(
    name = "sam-harness",
    disable_version_flag = true,
    arg_required_else_help = true,
    after_help = EXAMPLES
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
    /// Work on one prompt and exit.
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// List the sessions that are recorded, the one written last first.
    List(ListArgs),
    /// Show what happened in a session.
    Show(ShowArgs),
    /// Go through a recorded session again, without model and tools; exits with 1 when a request differs.
    Replay(ReplayArgs),
    /// Go on with a recorded session; the same as run --resume.
    #[command(after_help = EXIT_CODES)]
    Resume(ResumeArgs),
    /// Print the system prompt that a session here would begin with.
    Prompt(PromptCommand),
    /// List the tools of the MCP servers, or call one.
    Mcp(McpCommand),
    /// Let agents work on tasks with hidden checks, and tell what each model passes and costs.
    Eval(Box<EvalArgs>),
    /// Confine this process and become a command.
    #[command(hide = true)]
    Confine(ConfineArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AcpArgs {
    #[command(flatten)]
    pub(crate) record: RecordArgs,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) agent: AgentArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The workspace; the file tools read and write nothing outside it and --add-dir. Standard: the current directory, or the session's own.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Go on with a recorded session: its id, the beginning of it, or "last" for the one written last.
    #[arg(long, value_name = "SESSION")]
    pub(crate) resume: Option<String>,
    #[command(flatten)]
    pub(crate) task: TaskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The session: its id, the beginning of it, or "last" for the one written last.
    #[arg(value_name = "SESSION", default_value = "last")]
    pub(crate) session: String,
    #[command(flatten)]
    pub(crate) task: TaskArgs,
}

/// What `run` and `resume` have in common.
#[derive(Debug, Args)]
pub(crate) struct TaskArgs {
    /// What to do; "-", or nothing where stdin is no terminal, reads it from stdin.
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) prompt: Option<String>,
    /// What stdout gets; steps always go to stderr.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) agent: AgentArgs,
    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// What an agent is told, may do, and is offered.
#[derive(Debug, Clone, Args)]
pub(crate) struct AgentArgs {
    /// A further directory to read and to write in, by the same rules as the workspace; may be given more than once.
    #[arg(help_heading = "Permission", long, value_name = "DIR")]
    pub(crate) add_dir: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) guard: GuardArgs,
    #[command(flatten)]
    pub(crate) mcp: McpArgs,
    #[command(flatten)]
    pub(crate) prompt: PromptArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PromptCommand {
    /// The workspace.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
    #[command(flatten)]
    pub(crate) agent: AgentArgs,
}

#[derive(Debug, Args)]
pub(crate) struct McpCommand {
    /// The tool to call, as it is listed; without one all are listed.
    #[arg(value_name = "TOOL")]
    pub(crate) tool: Option<String>,
    /// Its arguments, a JSON object.
    #[arg(value_name = "ARGUMENTS", default_value = "{}")]
    pub(crate) arguments: String,
    #[command(flatten)]
    pub(crate) mcp: McpArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// One JSON object a line for each session.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The session: its id, the beginning of it, or "last" for the one written last.
    #[arg(value_name = "SESSION", default_value = "last")]
    pub(crate) session: String,
    /// The events as they are recorded, one JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The session: its id, the beginning of it, or "last" for the one written last.
    #[arg(value_name = "SESSION", default_value = "last")]
    pub(crate) session: String,
    /// What stdout gets; steps always go to stderr.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// Whether long conversations are compacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Compaction {
    /// Before they no longer fit the model's context.
    Auto,
    /// Only when the person says /compact.
    Off,
}

impl Compaction {
    /// Its word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Off => "off",
        }
    }
}

impl ModelArgs {
    /// What cannot be meant together, though each by itself could.
    fn check(&self) -> Result<(), String> {
        let models = std::iter::once(&self.model).chain(&self.further_models);
        let priced =
            |model: &String| price::cost(model, self.price.as_ref(), Usage::default()).is_some();
        let mut unknown = models.filter(|model| self.max_cost.is_some() && !priced(model));
        unknown.next().map_or(Ok(()), |model| {
            Err(format!(
                "--max-cost: nobody knows what {model} costs; say it with --price"
            ))
        })
    }
}

impl Cli {
    /// Reads the command line; the error says what is wrong with it, or is the help that was asked for.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        let cli = Self::try_parse()?;
        let model = match &cli.command {
            Some(Command::Acp(args)) => Some(&args.model),
            Some(Command::Run(args)) => Some(&args.task.model),
            Some(Command::Resume(args)) => Some(&args.task.model),
            _ => None,
        };
        if let Some(Err(wrong)) = model.map(ModelArgs::check) {
            return Err(Self::command().error(ErrorKind::ValueValidation, wrong));
        }
        Ok(cli)
    }

    /// The sandbox as the environment alone asks for it.
    pub(crate) fn sandbox_of_environment() -> SandboxArgs {
        let prompt = Self::try_parse_from(["sam-harness", "prompt"]);
        match prompt.ok().and_then(|cli| cli.command) {
            Some(Command::Prompt(prompt)) => prompt.agent.guard.sandbox,
            _ => SandboxArgs::default(),
        }
    }

    /// The settings that wrote a session's requests, as far as the requests
    /// show them. They name no server.
    pub(crate) fn model_of(header: &Header) -> Result<ModelArgs, String> {
        let line = [
            "sam-harness",
            "run",
            "--base-url",
            "http://127.0.0.1/v1",
            "--model",
            &header.model,
        ];
        let cli = Self::try_parse_from(line).map_err(|error| error.to_string())?;
        let Some(Command::Run(run)) = cli.command else {
            return Err("the session's settings cannot be read".to_owned());
        };
        let unknown = |what: &str| format!("{what} is not known here");
        let provider = match Dialect::parse(&header.provider) {
            Some(Dialect::Chat) => Provider::Chat,
            Some(Dialect::Responses) => Provider::Responses,
            Some(Dialect::Messages) => Provider::Messages,
            None => return Err(unknown(&header.provider)),
        };
        let effort = header
            .effort
            .as_deref()
            .map(|effort| Effort::from_str(effort, true).map_err(|_| unknown(effort)));
        Ok(ModelArgs {
            provider,
            effort: effort.transpose()?,
            max_output: header.max_output,
            context_window: header.context_window,
            compaction: Compaction::from_str(&header.compaction, true)?,
            headers: Vec::new(),
            ..run.task.model
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// The answer's text; on a terminal all that is said, as it arrives.
    Text,
    /// One JSON object at the end.
    Json,
    /// One JSON object a line for each event.
    StreamJson,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Model")]
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
    /// A further model that a host may choose for a session; may be given more than once, in the environment with commas between.
    #[arg(
        hide_short_help = true,
        long = "further-model",
        value_name = "ID",
        env = "SAM_FURTHER_MODELS",
        value_delimiter = ','
    )]
    pub(crate) further_models: Vec<String>,
    /// How the model API speaks.
    #[arg(long, value_enum, env = "SAM_MODEL_PROVIDER", default_value_t = Provider::Chat)]
    pub(crate) provider: Provider,
    /// The header that carries the key: those ending in "authorization" as a
    /// bearer token, others bare; "none" sends no key. Standard: x-api-key for
    /// messages, else authorization.
    #[arg(
        hide_short_help = true,
        long,
        value_name = "NAME",
        env = "SAM_MODEL_AUTH_HEADER"
    )]
    pub(crate) auth_header: Option<String>,
    /// A further header for the model API; may be given more than once, in the environment with newlines between.
    #[arg(
        hide_short_help = true,
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
    #[arg(hide_short_help = true, long, value_name = "TOKENS", env = "SAM_MODEL_MAX_OUTPUT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_output: Option<u64>,
    /// The most model requests in one turn.
    #[arg(help_heading = "Limits", long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_turns: u32,
    /// Seconds that one turn may take.
    #[arg(help_heading = "Limits", long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_seconds: Option<u64>,
    /// The most tokens, sent and received, of one turn; the reply that passes it is the last.
    #[arg(help_heading = "Limits", long, value_name = "TOKENS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_total_tokens: Option<u64>,
    /// The most one turn may cost, in US dollars; the reply that passes it is the last.
    #[arg(help_heading = "Limits", long, value_name = "DOLLARS", env = "SAM_MAX_COST", value_parser = price::amount)]
    pub(crate) max_cost: Option<MicroDollars>,
    /// What a million of the model's tokens cost in US dollars: input, output and, where they differ, input read from and written to a cache. Standard: what SAM knows of the model.
    #[arg(hide_short_help = true, help_heading = "Limits", long, value_name = "IN,OUT[,READ[,WRITTEN]]", env = "SAM_MODEL_PRICE", value_parser = price::prices)]
    pub(crate) price: Option<Prices>,
    /// How often the same calls with the same results may follow each other.
    #[arg(hide_short_help = true, help_heading = "Limits", long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) max_repeats: u32,
    /// The model's context in tokens: reported to the host beside what is used, and compacted for.
    #[arg(hide_short_help = true, help_heading = "Limits", long, value_name = "TOKENS", env = "SAM_MODEL_CONTEXT", default_value_t = 128_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) context_window: u64,
    /// Whether a conversation near the end of the model's context is compacted.
    #[arg(hide_short_help = true, help_heading = "Limits", long, value_enum, env = "SAM_COMPACTION", default_value_t = Compaction::Auto)]
    pub(crate) compaction: Compaction,
    /// Seconds for which a model API that is unreachable, busy or silent is tried again when it names no reset.
    #[arg(
        hide_short_help = true,
        help_heading = "Limits",
        long,
        value_name = "SECONDS",
        default_value_t = 300
    )]
    pub(crate) retry_for: u64,
    /// Seconds for which limits that name their reset are waited for in one request, all together.
    #[arg(
        hide_short_help = true,
        help_heading = "Limits",
        long,
        value_name = "SECONDS",
        default_value_t = 21_600
    )]
    pub(crate) wait_for_reset: u64,
    /// Seconds without a reply's first byte after which it counts as lost.
    #[arg(hide_short_help = true, help_heading = "Limits", long, value_name = "SECONDS", default_value_t = 630, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) first_byte_timeout: u64,
    /// Seconds without a further byte after which a reply counts as cut off.
    #[arg(hide_short_help = true, help_heading = "Limits", long, value_name = "SECONDS", default_value_t = 180, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) idle_timeout: u64,
    /// Seconds that one reply may take as a whole.
    #[arg(hide_short_help = true, help_heading = "Limits", long, value_name = "SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u64).range(1..))]
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
