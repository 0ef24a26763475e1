//! `sam chat …`

use super::{Attach, InProject, Permissions};
use clap::Subcommand;

/// `sam chat "<prompt>"`, or one of its commands.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Chat {
    /// Begin a conversation with these words, and watch the answer (`-` reads them from stdin)
    #[arg(required = true)]
    pub(crate) prompt: Option<String>,
    #[command(flatten)]
    pub(crate) begin: Begin,
    /// Do not watch: print the conversation's id and return
    #[arg(long, short = 'd')]
    pub(crate) detach: bool,
    #[command(subcommand)]
    pub(crate) command: Option<ChatCommand>,
}

/// How a conversation begins.
#[derive(Debug, clap::Args)]
pub(crate) struct Begin {
    #[command(flatten)]
    pub(crate) within: InProject,
    /// The agent to talk with [default: the project's]
    #[arg(long)]
    pub(crate) agent: Option<String>,
    /// The branch, tag or commit to start from
    #[arg(long, value_name = "REF")]
    pub(crate) base: Option<String>,
    /// What the agent may do unasked
    #[arg(long, value_enum, default_value_t)]
    pub(crate) permission_mode: Permissions,
    #[command(flatten)]
    pub(crate) attach: Attach,
}

/// The commands of `sam chat`.
#[derive(Debug, Subcommand)]
pub(crate) enum ChatCommand {
    /// Begin a conversation
    New {
        /// The first words (`-` reads them from stdin)
        prompt: String,
        #[command(flatten)]
        begin: Begin,
        /// Watch the answer
        #[arg(long, short = 'f')]
        follow: bool,
    },
    /// Say something more
    Send {
        #[command(flatten)]
        which: OneChat,
        /// The words (`-` reads them from stdin)
        prompt: String,
        #[command(flatten)]
        attach: Attach,
        /// Watch the answer
        #[arg(long, short = 'f')]
        follow: bool,
    },
    /// What was sent and waits, and what became of what was sent lately
    Queue {
        /// The conversation: its id, enough of it, or its title [default: the newest]
        chat: Option<String>,
        #[command(flatten)]
        within: InProject,
    },
    /// Change the words of what waits in a conversation's queue
    Edit {
        #[command(flatten)]
        which: OnePrompt,
        /// The new words (`-` reads them from stdin)
        words: String,
    },
    /// Take back what waits in a conversation's queue
    Unsend {
        #[command(flatten)]
        which: OnePrompt,
    },
    /// Stop what the agent does now; the conversation goes on
    Stop {
        #[command(flatten)]
        which: OneChat,
    },
    /// Read a conversation
    Read {
        /// The conversation: its id, enough of it, or its title [default: the newest]
        chat: Option<String>,
        #[command(flatten)]
        within: InProject,
        /// Most entries, counted from the end
        #[arg(long, short = 'n', default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// The project's conversations, newest first
    List {
        #[command(flatten)]
        within: InProject,
        /// Most conversations to list
        #[arg(long, short = 'n', default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Find what was said: entries with all of these words
    Search {
        /// Words, in any case and order
        #[arg(required = true)]
        words: Vec<String>,
        #[command(flatten)]
        within: InProject,
        /// How many conversations to look into, newest first
        #[arg(long, short = 'n', default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
}

/// A conversation, and where its short id is looked up.
#[derive(Debug, clap::Args)]
pub(crate) struct OneChat {
    /// The conversation: its id, enough of it, or its title
    pub(crate) chat: String,
    #[command(flatten)]
    pub(crate) within: InProject,
}

/// A prompt of a conversation.
#[derive(Debug, clap::Args)]
pub(crate) struct OnePrompt {
    #[command(flatten)]
    pub(crate) chat: OneChat,
    /// The prompt: its id or enough of it, as `sam chat queue` shows it
    pub(crate) prompt: String,
}
