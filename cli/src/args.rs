//! The command line's grammar.

pub(crate) mod chat;
pub(crate) mod config;
pub(crate) mod models;
pub(crate) mod money;
pub(crate) mod runner;
pub(crate) mod tools;
pub(crate) mod workspace;

use crate::secret::Secret;
use clap::{ArgGroup, Parser, Subcommand, ValueEnum};
use sam_domain::access::tokens::{NoScope, Scope};
use sam_domain::access::wire::{ProjectRole, Role};
use sam_domain::agents::PermissionMode;
use sam_domain::release::QUICK_START;
use sam_domain::task::TaskMode;
use std::path::PathBuf;

/// What stands below the list of commands: how one begins, and what all commands share.
fn after_help() -> String {
    let mut text = String::from("Quick start:\n");
    for (what, command) in QUICK_START {
        text.push_str(&format!("  # {what}\n  {command}\n"));
    }
    format!("{text}\n{EXIT_CODES}")
}

const EXIT_CODES: &str = "\
Exit codes:
  0 done (a followed task completed)   5 refused
  1 a followed task failed             6 control plane unreachable
  2 usage                              7 not built yet
  3 not signed in                      8 a followed task was cancelled
  4 not found                          9 a followed task waits for your answer

Environment:
  SAM_API_URL, SAM_API_TOKEN  server and token; with both no file is needed
  SAM_PROFILE                 the profile to use
  SAM_PROJECT                 the project to work in, by name or id
  SAM_PAGER, PAGER            the pager for what is long [default: less]; empty for none
  NO_COLOR                    no colour";

/// Describe a piece of work, watch a coding agent do it, get a branch back.
#[derive(Debug, Parser)]
#[command(name = "sam", version, after_help = after_help(), disable_help_subcommand = true)]
pub(crate) struct Args {
    /// Print data as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print what is long without a pager
    #[arg(long, global = true)]
    pub(crate) no_pager: bool,
    /// The profile: a server and who you are there [default: the usual one]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// The project, by name or id, where the command names none
    #[arg(long, env = "SAM_PROJECT", hide_env = true, value_name = "NAME|ID")]
    pub(crate) project: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The nouns.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sign in and out
    #[command(subcommand)]
    Auth(Auth),
    /// Projects: a repository and the conversations about it
    #[command(subcommand, visible_alias = "projects")]
    Project(Project),
    /// Submit work and see what became of it
    #[command(subcommand, visible_alias = "tasks")]
    Task(Task),
    /// Coding agents that can be chosen, and whose access to models they use
    #[command(subcommand, visible_alias = "agents")]
    Agent(models::Agent),
    /// Machines that do the work
    #[command(subcommand, visible_alias = "nodes")]
    Node(Node),
    /// API tokens, for scripts
    #[command(subcommand, visible_alias = "tokens")]
    Token(Token),
    /// The people of the installation, for who runs it
    #[command(subcommand)]
    People(People),
    /// Models: what they take and cost, and which are used
    #[command(subcommand, visible_alias = "models")]
    Model(models::Model),
    /// Keys to model APIs: yours, a project's, the installation's
    #[command(subcommand, visible_alias = "credentials")]
    Credential(models::Credential),
    /// What only who runs the installation needs
    #[command(subcommand)]
    Admin(models::Admin),
    /// Talk with an agent: begin a conversation, go on with one, read it
    #[command(visible_alias = "chats")]
    Chat(chat::Chat),
    /// The checkouts that agents work in
    #[command(visible_alias = "workspaces")]
    Workspace(workspace::Workspace),
    /// This machine as one that does the work
    #[command(subcommand)]
    Runner(runner::Runner),
    /// What is remembered: the server, the current project, profiles
    #[command(subcommand)]
    Config(config::Config),
    /// What model calls used, by day, project, task, model or person
    Usage(money::Usage),
    /// What may be spent, and what is
    #[command(subcommand)]
    Budget(money::Budget),
    /// Call the API by method and path, for what has no command
    Api(tools::Request),
    /// Bring this program to the version that the server has released
    Upgrade(tools::Upgrade),
    /// Print what makes a shell complete commands
    Completions(tools::Completions),
    /// Write the manual pages
    Man(tools::Man),
    /// Run the installed harness, our coding agent, with these arguments
    Harness(tools::Harness),
    /// (not built yet) Offer a conversation to an editor over ACP
    Acp(Planned),
}

/// Whatever follows the name of a planned command.
#[derive(Debug, clap::Args)]
pub(crate) struct Planned {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub(crate) rest: Vec<String>,
}

/// `sam auth …`
#[derive(Debug, Subcommand)]
pub(crate) enum Auth {
    /// Sign in to a server: through the browser, or with what you have been given
    #[command(group = ArgGroup::new("with").args(["claim", "token", "link", "invite"]))]
    Login(Login),
    /// Who is signed in, where, and which model answers
    Status,
    /// End the session and forget its token
    Logout,
    /// Mint a single-use link that signs a browser in
    Link,
    /// Print the token in use
    Token,
    /// Where you are signed in
    Sessions,
    /// End one of your sessions, or all the others
    #[command(group = ArgGroup::new("which").args(["session", "others"]).required(true))]
    End {
        /// The session, as `sam auth sessions` names it
        session: Option<String>,
        /// All but this one
        #[arg(long)]
        others: bool,
    },
}

/// `sam auth login`
#[derive(Debug, clap::Args)]
pub(crate) struct Login {
    /// The one-time claim token of a new installation (`-` reads it from stdin)
    #[arg(long, value_name = "TOKEN")]
    pub(crate) claim: Option<Secret>,
    /// An API token (left out or `-`: read from stdin)
    #[arg(long, value_name = "TOKEN", num_args = 0..=1, default_missing_value = "-")]
    pub(crate) token: Option<Secret>,
    /// A single-use sign-in link (`-` reads it from stdin)
    #[arg(long, value_name = "LINK")]
    pub(crate) link: Option<Secret>,
    /// An invite for a new person (`-` reads it from stdin)
    #[arg(long, value_name = "INVITE", requires = "name")]
    pub(crate) invite: Option<Secret>,
    /// The server's address [default: the last one, else http://127.0.0.1:8787]
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Your name, when claiming or invited
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Through the browser: ask for no more than this [default: all that you may]
    #[arg(long, value_name = "SCOPE", value_parser = scope, conflicts_with = "with")]
    pub(crate) scope: Vec<Scope>,
    /// Through the browser: only print the page's address
    #[arg(long, conflicts_with = "with")]
    pub(crate) no_browser: bool,
}

/// Scopes as arguments, with their words listed in the help.
fn scope(text: &str) -> Result<Scope, NoScope> {
    text.parse()
}

/// `sam token …`
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make a token; it is shown once
    Create {
        /// What it is for
        #[arg(long)]
        name: String,
        /// What it may do: read, write, admin, node-join; may be repeated [default: read write]
        #[arg(long, value_name = "SCOPE", value_parser = scope)]
        scope: Vec<Scope>,
        /// In how many days it ends [default: never]
        #[arg(long, value_name = "DAYS")]
        expires_in_days: Option<u32>,
    },
    /// List your tokens
    List,
    /// Revoke a token and end what was opened with it
    Revoke {
        /// Name or id [default: you are asked]
        token: Option<String>,
    },
}

/// `sam project …`
#[derive(Debug, Subcommand)]
pub(crate) enum Project {
    /// Create a project and make it the current one
    Create {
        /// An http(s) URL, or a path on the machine that will do the work
        #[arg(long, value_name = "URL|PATH")]
        repo: String,
        /// Its name [default: the repository's name]
        #[arg(long)]
        name: Option<String>,
        /// The agent used when a task names none
        #[arg(long)]
        agent: Option<String>,
    },
    /// List projects
    List,
    /// Make a project the current one
    Use {
        /// Name or id [default: you are asked]
        project: Option<String>,
    },
    /// Show a project
    Show {
        /// Name or id [default: the current one]
        project: Option<String>,
    },
    /// Who is in a project
    Members(ProjectMembers),
}

/// `sam project members`, which lists them, or one of its commands.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ProjectMembers {
    #[command(flatten)]
    pub(crate) within: InProject,
    #[command(subcommand)]
    pub(crate) command: Option<Members>,
}

/// The commands of `sam project members`.
#[derive(Debug, Subcommand)]
pub(crate) enum Members {
    /// List members
    List {
        #[command(flatten)]
        within: InProject,
    },
    /// Add somebody, or change their role
    Add {
        /// Their id (`sam auth status` shows them theirs)
        #[arg(value_name = "PERSON")]
        user: String,
        /// What they may do
        #[arg(long, value_enum, default_value_t)]
        role: MemberRole,
        #[command(flatten)]
        within: InProject,
    },
    /// Remove a member, or leave
    Remove {
        /// Name or id
        #[arg(value_name = "PERSON")]
        user: String,
        #[command(flatten)]
        within: InProject,
    },
}

/// What somebody may do in a project, as an argument.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum MemberRole {
    /// Reads
    Viewer,
    /// Submits work and prompts
    #[default]
    Contributor,
    /// Changes members and others' prompts
    Maintainer,
    /// Changes owners
    Owner,
}

impl From<MemberRole> for ProjectRole {
    fn from(role: MemberRole) -> Self {
        match role {
            MemberRole::Viewer => Self::Viewer,
            MemberRole::Contributor => Self::Contributor,
            MemberRole::Maintainer => Self::Maintainer,
            MemberRole::Owner => Self::Owner,
        }
    }
}

/// `sam people …`
#[derive(Debug, Subcommand)]
pub(crate) enum People {
    /// List people
    List,
    /// Mint a single-use invite for somebody new
    Invite {
        /// What they may do
        #[arg(long, value_enum, default_value_t)]
        role: PersonRole,
        /// For whom it is, as a note to yourself
        #[arg(long)]
        note: Option<String>,
    },
    /// List invites that can still be used
    Invites,
    /// Take an invite back
    Revoke {
        /// The invite's note or id [default: you are asked]
        invite: Option<String>,
    },
    /// Change what somebody may do
    Role {
        /// Name or id
        person: String,
        /// What they may do
        #[arg(value_enum)]
        role: PersonRole,
    },
    /// Shut somebody out for now; what they have open or running ends
    Suspend {
        /// Name or id [default: you are asked]
        person: Option<String>,
    },
    /// Let somebody back in
    Restore {
        /// Name or id [default: you are asked]
        person: Option<String>,
    },
    /// Remove somebody for good; what they wrote stays
    Remove {
        /// Name or id [default: you are asked]
        person: Option<String>,
    },
}

/// What somebody may do in the installation, as an argument.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum PersonRole {
    /// Uses it
    #[default]
    Member,
    /// Runs it
    Admin,
}

impl From<PersonRole> for Role {
    fn from(role: PersonRole) -> Self {
        match role {
            PersonRole::Member => Self::Member,
            PersonRole::Admin => Self::Admin,
        }
    }
}

/// Which project a command is about.
#[derive(Debug, clap::Args)]
pub(crate) struct InProject {
    /// The project, by name or id [default: the current one]
    #[arg(long, short = 'p', value_name = "NAME|ID")]
    pub(crate) project: Option<String>,
}

/// A task, and where its short id is looked up.
#[derive(Debug, clap::Args)]
pub(crate) struct OneTask {
    /// The task: its id, or enough of the id's end to tell it apart
    pub(crate) task: String,
    #[command(flatten)]
    pub(crate) within: InProject,
}

/// A task; who is at the terminal is asked where none is named.
#[derive(Debug, clap::Args)]
pub(crate) struct AskedTask {
    /// The task: its id, or enough of the id's end to tell it apart [default: you are asked]
    pub(crate) task: Option<String>,
    #[command(flatten)]
    pub(crate) within: InProject,
}

/// A task; the newest one when none is named.
#[derive(Debug, clap::Args)]
pub(crate) struct SomeTask {
    /// The task: its id, or enough of the id's end [default: the newest]
    pub(crate) task: Option<String>,
    #[command(flatten)]
    pub(crate) within: InProject,
}

/// `sam task …`
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Submit work in your own words
    #[command(visible_alias = "dispatch")]
    Submit {
        /// What is to be done (`-` reads it from stdin)
        prompt: String,
        #[command(flatten)]
        within: InProject,
        /// The agent that does it [default: the project's]
        #[arg(long)]
        agent: Option<String>,
        /// The same work under each of these agents, on branches of their own, to be compared
        #[arg(long, value_name = "AGENT,…", value_delimiter = ',', conflicts_with_all = ["agent", "follow"])]
        agents: Vec<String>,
        /// What ends it
        #[arg(long, value_enum, default_value_t)]
        mode: Mode,
        /// The branch, tag or commit to start from
        #[arg(long, value_name = "REF")]
        base: Option<String>,
        /// What the agent may do unasked
        #[arg(long, value_enum, default_value_t)]
        permission_mode: Permissions,
        #[command(flatten)]
        attach: Attach,
        /// Watch it live and exit with its outcome
        #[arg(long, short = 'f')]
        follow: bool,
    },
    /// Send a further prompt into a task's conversation
    Prompt {
        #[command(flatten)]
        which: OneTask,
        /// The words (`-` reads them from stdin)
        prompt: String,
        #[command(flatten)]
        attach: Attach,
        /// Watch it live and exit with its outcome
        #[arg(long, short = 'f')]
        follow: bool,
    },
    /// What the agent asks; with a choice, answer it
    Answer(Answer),
    /// Where a task stands
    #[command(visible_alias = "show")]
    Status(SomeTask),
    /// The project's tasks, newest first
    List {
        #[command(flatten)]
        within: InProject,
        /// Most tasks to list
        #[arg(long, short = 'n', default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Watch a task live and exit with its outcome
    Follow(SomeTask),
    /// Cancel a task
    Cancel(AskedTask),
    /// Close a conversation: commit and push what is there
    Close(AskedTask),
    /// Do the work of a task that is over again from the beginning, as a new task
    Retry {
        #[command(flatten)]
        which: AskedTask,
        /// Watch it live and exit with its outcome
        #[arg(long, short = 'f')]
        follow: bool,
    },
    /// A task's diff against its base
    Diff(SomeTask),
    /// What was said and done in a task's conversation
    Logs {
        #[command(flatten)]
        which: SomeTask,
        /// Most entries, counted from the end
        #[arg(long, short = 'n', default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// The same work under several agents, side by side
    Compare(AskedTask),
    /// Choose the task of a comparison that did best; the others stay
    Choose(AskedTask),
}

/// What ends a task, as an argument.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Mode {
    /// The agent's completion ends it
    #[default]
    Task,
    /// Each finished prompt waits for your next; you close it
    Conversation,
}

impl From<Mode> for TaskMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Task => Self::Task,
            Mode::Conversation => Self::Conversation,
        }
    }
}

/// What an agent may do unasked, as an argument.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Permissions {
    /// It asks before it changes or runs anything
    Ask,
    /// It edits files unasked, and asks before it runs anything
    AcceptEdits,
    /// It makes a plan and changes nothing
    Plan,
    /// It asks nothing: the workspace is its sandbox
    #[default]
    Full,
}

impl From<Permissions> for PermissionMode {
    fn from(mode: Permissions) -> Self {
        match mode {
            Permissions::Ask => Self::Ask,
            Permissions::AcceptEdits => Self::AcceptEdits,
            Permissions::Plan => Self::Plan,
            Permissions::Full => Self::Full,
        }
    }
}

/// A question and the answer to it.
#[derive(Debug, clap::Args)]
pub(crate) struct Answer {
    #[command(flatten)]
    pub(crate) which: OneTask,
    /// The id of one of the answers that the agent offers
    #[arg(conflicts_with_all = ["allow", "reject"])]
    pub(crate) choice: Option<String>,
    /// Let it, this time
    #[arg(long, conflicts_with = "reject")]
    pub(crate) allow: bool,
    /// Do not let it, this time
    #[arg(long)]
    pub(crate) reject: bool,
    /// Which question, by the end of its id, where there are several
    #[arg(long, value_name = "ID")]
    pub(crate) question: Option<String>,
}

/// `sam node …`
#[derive(Debug, Subcommand)]
pub(crate) enum Node {
    /// Your machines
    List,
    /// What is known of a machine
    Show(ThisNode),
    /// Let a machine end its work and take no more
    Drain {
        #[command(flatten)]
        which: ThisNode,
        /// Let it take work again
        #[arg(long)]
        undo: bool,
    },
    /// Take a machine out for good: it gets no work any more and has to join anew
    Destroy {
        #[command(flatten)]
        which: ThisNode,
        /// Even while work is under way there; it begins anew on another machine
        #[arg(long)]
        force: bool,
    },
    /// Collect a machine's log and facts in one file, without secrets
    Diagnostics {
        #[command(flatten)]
        which: ThisNode,
        /// The file to write [default: stdout]
        #[arg(long, short = 'o', value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Mint a token that joins one machine
    JoinToken,
    /// Let your machine do a project's work for everybody in it
    Share(OneNode),
    /// Let your machine do a project's work for you alone
    Unshare(OneNode),
}

/// A machine.
#[derive(Debug, clap::Args)]
pub(crate) struct ThisNode {
    /// The machine, by name or id [default: you are asked]
    pub(crate) node: Option<String>,
}

/// A machine and a project.
#[derive(Debug, clap::Args)]
pub(crate) struct OneNode {
    /// The machine, by name or id [default: you are asked]
    pub(crate) node: Option<String>,
    #[command(flatten)]
    pub(crate) within: InProject,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn parsed_secrets_do_not_show() {
        let args =
            Args::try_parse_from(["sam", "auth", "login", "--claim", "claim-canary"]).unwrap();
        assert!(!format!("{args:?}").contains("canary"));
    }
}

/// Files that go with a prompt.
#[derive(Debug, clap::Args)]
pub(crate) struct Attach {
    /// A file that belongs to it; may be repeated. The agent finds it beside the repository
    #[arg(long = "attach", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}
