//! `sam model …`, `sam agent …`, `sam credential …` and `sam admin …`

use super::money::{Amount, Dollars};
use clap::Subcommand;
use sam_domain::catalogue::changes::Role;
use sam_domain::catalogue::model::{Dialect, Provider, Reasoning};
use sam_domain::provider::Mode;
use sam_domain::provider::key::KeyHeader;

fn provider(text: &str) -> Result<Provider, String> {
    Provider::parse(text).ok_or_else(|| one_of(Provider::ALL.map(Provider::name)))
}

fn mode(text: &str) -> Result<Mode, String> {
    Mode::parse(text).ok_or_else(|| one_of(Mode::ALL.map(Mode::name)))
}

fn role(text: &str) -> Result<Role, String> {
    let found = Role::ALL.into_iter().find(|role| role.name() == text);
    found.ok_or_else(|| one_of(Role::ALL.map(Role::name)))
}

fn dialect(text: &str) -> Result<Dialect, String> {
    Dialect::parse(text).ok_or_else(|| one_of(Dialect::ALL.map(Dialect::name)))
}

fn reasoning(text: &str) -> Result<Reasoning, String> {
    Reasoning::parse(text).ok_or_else(|| one_of(Reasoning::ALL.map(Reasoning::name)))
}

fn header(text: &str) -> Result<KeyHeader, String> {
    let names = ["authorization", "x-api-key", "cf-aig-authorization", "none"];
    KeyHeader::parse(text).ok_or_else(|| one_of(names))
}

fn one_of<const N: usize>(names: [&str; N]) -> String {
    format!("one of {}", names.join(", "))
}

/// `sam model …`
#[derive(Debug, Subcommand)]
pub(crate) enum Model {
    /// Models, what they take and cost, and how you could call them
    List {
        /// Those that are switched off or out of reach as well
        #[arg(long)]
        all: bool,
    },
    /// Add a model or change what is said of one, for who runs the installation
    Set(Box<SetModel>),
    /// Choose the model that is used where nobody names one, for who runs the installation
    Default {
        /// For what: agent, task_title, context_summary, speech_cleanup or utility
        #[arg(value_parser = role)]
        role: Role,
        /// The model's id; `none` for the product's own choice
        model: String,
    },
    /// Ask the providers which models they have, for who runs the installation
    Refresh,
}

/// `sam model set`
#[derive(Debug, clap::Args)]
pub(crate) struct SetModel {
    /// The model's id
    pub(crate) model: String,
    /// Let it be used
    #[arg(long, conflicts_with = "disable")]
    pub(crate) enable: bool,
    /// Let it be used no more
    #[arg(long)]
    pub(crate) disable: bool,
    /// Who runs it: workers-ai, openai, anthropic, ai-gateway or custom
    #[arg(long, value_parser = provider)]
    pub(crate) provider: Option<Provider>,
    /// The provider's own id of it [default: the model's id]
    #[arg(long, value_name = "ID")]
    pub(crate) provider_model: Option<String>,
    /// Tokens of input and output together
    #[arg(long, value_name = "TOKENS", requires = "max_output")]
    pub(crate) context: Option<Amount>,
    /// Most tokens of one reply
    #[arg(long, value_name = "TOKENS", requires = "context")]
    pub(crate) max_output: Option<Amount>,
    /// Most tokens that one image counts as
    #[arg(long, value_name = "TOKENS", requires = "context")]
    pub(crate) image: Option<Amount>,
    /// Dollars for a million tokens of input
    #[arg(long, value_name = "DOLLARS", requires = "output")]
    pub(crate) input: Option<Dollars>,
    /// Dollars for a million tokens of output
    #[arg(long, value_name = "DOLLARS", requires = "input")]
    pub(crate) output: Option<Dollars>,
    /// Dollars for a million cached tokens [default: as for input]
    #[arg(long, value_name = "DOLLARS", requires = "input")]
    pub(crate) cached_input: Option<Dollars>,
    /// Dollars for a million tokens written to the cache [default: as for input]
    #[arg(long, value_name = "DOLLARS", requires = "input")]
    pub(crate) cache_write: Option<Dollars>,
    /// How it is told how much to think: none, effort, budget or adaptive
    #[arg(long, value_parser = reasoning)]
    pub(crate) reasoning: Option<Reasoning>,
    /// Whether chat completions bounds its replies by max_completion_tokens alone
    #[arg(long, value_name = "BOOL")]
    pub(crate) completion_tokens: Option<bool>,
    /// The day on which its provider withdraws it; `none` when it does not
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) deprecated_on: Option<String>,
}

/// `sam agent …`
#[derive(Debug, Subcommand)]
pub(crate) enum Agent {
    /// Each agent with its version, and whether it was seen to work
    List,
    /// Choose whose access to models your agent uses; without a choice, say which it is
    Provider {
        /// The agent, like sam-harness; every agent when absent
        agent: Option<String>,
        /// sam (the installation's), own-key (yours or the project's), own-login (your subscription)
        /// or none to take it back
        #[arg(value_name = "CHOICE")]
        choice: Option<ModeOrNone>,
        /// The model when the agent names none
        #[arg(long, requires = "choice")]
        model: Option<String>,
        /// For everybody who did not choose, for who runs the installation
        #[arg(long, requires = "choice")]
        everybody: bool,
    },
    /// Store your subscription login for an agent, which is read from stdin or a file
    ///
    /// Sign the agent in for SAM alone, in a home of its own, because a login that two programs
    /// refresh ends for both: `HOME=/tmp/sam-login codex login`, then `sam agent login codex --file
    /// /tmp/sam-login/.codex/auth.json`, and delete that folder. Claude Code keeps its login in
    /// `.claude/.credentials.json`.
    Login {
        /// The agent: codex or claude-code
        agent: String,
        /// Its login file; stdin when absent
        #[arg(long, value_name = "FILE")]
        file: Option<std::path::PathBuf>,
    },
    /// Forget your subscription login for an agent
    Logout {
        /// The agent
        agent: String,
    },
}

/// A choice, or that there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ModeOrNone(pub(crate) Option<Mode>);

impl std::str::FromStr for ModeOrNone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        mode(text).map(|mode| Self(Some(mode)))
    }
}

/// `sam credential …`
#[derive(Debug, Subcommand)]
pub(crate) enum Credential {
    /// Keys that are stored, without the keys
    List(KeyPlace),
    /// Store a key, which is read from stdin
    Set(Box<SetCredential>),
    /// Switch a key off: it blocks, and nothing is used in its place
    Off {
        /// The provider
        #[arg(value_parser = provider)]
        provider: Provider,
        #[command(flatten)]
        place: KeyPlace,
    },
    /// Switch a key on again
    On {
        /// The provider
        #[arg(value_parser = provider)]
        provider: Provider,
        #[command(flatten)]
        place: KeyPlace,
    },
    /// Remove a key
    Remove {
        /// The provider
        #[arg(value_parser = provider)]
        provider: Provider,
        #[command(flatten)]
        place: KeyPlace,
    },
}

/// `sam credential set`
#[derive(Debug, clap::Args)]
pub(crate) struct SetCredential {
    /// The provider: workers-ai, openai, anthropic, ai-gateway or custom
    #[arg(value_parser = provider)]
    pub(crate) provider: Provider,
    /// Where the API is, with its version path: for custom
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// How it speaks: chat, responses or messages; several with commas, the preferred one first
    #[arg(long, value_delimiter = ',', value_parser = dialect, requires = "url")]
    pub(crate) dialects: Vec<Dialect>,
    /// How the key travels: authorization, x-api-key, cf-aig-authorization or none
    #[arg(long, value_parser = header, requires = "url")]
    pub(crate) header: Option<KeyHeader>,
    /// The Cloudflare account: for workers-ai
    #[arg(long, value_name = "ID")]
    pub(crate) account: Option<String>,
    #[command(flatten)]
    pub(crate) place: KeyPlace,
}

/// Whose keys; one's own when nobody is named.
#[derive(Debug, clap::Args)]
pub(crate) struct KeyPlace {
    /// A project's, by name or id
    #[arg(long, short = 'p', value_name = "NAME|ID", conflicts_with = "platform")]
    pub(crate) project: Option<String>,
    /// The installation's, for who runs it
    #[arg(long)]
    pub(crate) platform: bool,
}

/// `sam admin …`
#[derive(Debug, Subcommand)]
pub(crate) enum Admin {
    /// Look at what model calls need, and say what is wrong
    Doctor,
    /// Encrypt every stored key under the present encryption key
    RotateKey,
}
