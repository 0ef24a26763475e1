//! What a call may do, and who is asked.
//!
//! Every call is admitted here before it runs. The session's
//! [`PermissionMode`] says what goes without a question, the command
//! [`policy`] settles commands by their beginnings, and what is left is asked
//! of the person, who may answer for the rest of the session. Where nobody can
//! be asked, the call is refused with words that say what would allow it.
//!
//! This decides what is *tried*. What a command that runs can *reach* is the
//! sandbox's part.

mod policy;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use clap::{Args, ValueEnum};
use sam_acp::{
    PermissionOption, PermissionOptionKind, PermissionOutcome, ToolCall, ToolCallUpdate,
};
use serde::{Deserialize, Serialize};

use crate::sandbox::{Sandbox, SandboxArgs};
use policy::{Policy, Verdict};

/// What an agent does without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PermissionMode {
    /// Reads; commands run only in a sandbox that lets them write nothing.
    ReadOnly,
    /// Reads; asks before it edits a file or runs a command.
    Ask,
    /// Reads and edits; asks before it runs a command.
    AcceptEdits,
    /// Everything the sandbox and the command policy leave open.
    Full,
}

impl PermissionMode {
    /// Every mode, from the narrowest.
    pub(crate) const ALL: [Self; 4] = [Self::ReadOnly, Self::Ask, Self::AcceptEdits, Self::Full];

    /// Its word on the command line and in protocols.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::Ask => "ask",
            Self::AcceptEdits => "accept-edits",
            Self::Full => "full",
        }
    }

    /// The mode with this word.
    pub(crate) fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.word() == word)
    }

    /// Its name for people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "Read only",
            Self::Ask => "Ask",
            Self::AcceptEdits => "Accept edits",
            Self::Full => "Full",
        }
    }

    /// What it means, for people.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::ReadOnly => "Reads files, and runs only commands that can write nothing.",
            Self::Ask => "Asks before it edits a file or runs a command.",
            Self::AcceptEdits => "Edits files freely and asks before it runs a command.",
            Self::Full => "Edits files and runs commands without asking.",
        }
    }
}

/// Flags about what an agent may do.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Permission")]
pub(crate) struct GuardArgs {
    /// What goes without asking; standard: ask where someone can be asked (acp), else full, which the sandbox bounds.
    #[arg(long, value_enum, value_name = "MODE", env = "SAM_PERMISSION_MODE")]
    pub(crate) permission_mode: Option<PermissionMode>,
    /// The beginning of commands that need no question, such as "cargo test"; may be given more than once. Covers a line only when all of it is plain words and covered.
    #[arg(
        long,
        value_name = "PREFIX",
        env = "SAM_ALLOW_COMMANDS",
        value_delimiter = '\n'
    )]
    pub(crate) allow_command: Vec<String>,
    /// The beginning of commands that never run, such as "git push"; may be given more than once. A guard rail for the plain spelling: a shell can hide a command from any reader.
    #[arg(
        long,
        value_name = "PREFIX",
        env = "SAM_DENY_COMMANDS",
        value_delimiter = '\n'
    )]
    pub(crate) deny_command: Vec<String>,
    #[command(flatten)]
    pub(crate) sandbox: SandboxArgs,
}

/// What a call would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access<'a> {
    /// Looks, and changes nothing.
    Read,
    /// Changes files.
    Edit,
    /// Runs this command.
    Command(&'a str),
    /// Calls a tool of a server, by its full name.
    Server(&'a str),
}

/// What the person said.
pub(crate) type Asked<'a> = Pin<Box<dyn Future<Output = Option<PermissionOutcome>> + Send + 'a>>;

/// Someone who can be asked.
pub(crate) trait Person: Sync {
    /// Puts a call before the person; none where there is nobody.
    fn ask<'a>(&'a self, call: &'a ToolCallUpdate, options: &'a [PermissionOption]) -> Asked<'a>;
}

/// The answers a person chooses from.
const ALLOW: &str = "allow";
const ALLOW_ALWAYS: &str = "allow-always";
const REJECT: &str = "reject";
const REJECT_ALWAYS: &str = "reject-always";

/// The guard of one session.
#[derive(Debug)]
pub(crate) struct Guard {
    sandbox: Arc<Sandbox>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    mode: PermissionMode,
    policy: Policy,
    /// Settled for the rest of the session.
    settled: Vec<(Subject, bool)>,
}

/// What an answer for the rest of the session is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    Edits,
    /// This very line.
    Command(String),
    Server(String),
}

/// What to do with a call.
enum Decision {
    Run,
    Refuse(String),
    Ask(Subject),
}

impl Guard {
    /// The guard of a new session.
    pub(crate) fn new(args: &GuardArgs, standard: PermissionMode, sandbox: Arc<Sandbox>) -> Self {
        Self {
            sandbox,
            state: Mutex::new(State {
                mode: args.permission_mode.unwrap_or(standard),
                policy: Policy::new(&args.allow_command, &args.deny_command),
                settled: Vec::new(),
            }),
        }
    }

    /// Admits everything and isolates nothing.
    #[cfg(test)]
    pub(crate) fn open() -> Self {
        tests::guard(PermissionMode::Full, &[], &[])
    }

    /// The session's mode.
    pub(crate) fn mode(&self) -> PermissionMode {
        self.state().mode
    }

    /// Takes another mode, for the calls to come.
    pub(crate) fn set_mode(&self, mode: PermissionMode) {
        self.state().mode = mode;
    }

    /// The sandbox of its commands.
    pub(crate) fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Whether commands may write.
    pub(crate) fn may_write(&self) -> bool {
        self.mode() != PermissionMode::ReadOnly
    }

    /// Admits a call, or says why not, in words for the model.
    pub(crate) async fn admit(
        &self,
        access: Access<'_>,
        call: &ToolCall,
        person: &dyn Person,
    ) -> Result<(), String> {
        let subject = match self.decide(access) {
            Decision::Run => return Ok(()),
            Decision::Refuse(why) => return Err(why),
            Decision::Ask(subject) => subject,
        };
        let options = options(&subject);
        let update = ToolCallUpdate {
            id: call.id.clone(),
            name: call.name.clone(),
            title: Some(call.title.clone()),
            kind: Some(call.kind),
            locations: Some(call.locations.clone()),
            raw_input: call.raw_input.clone(),
            ..ToolCallUpdate::default()
        };
        let mode = self.mode().word();
        let answer = match person.ask(&update, &options).await {
            None => {
                return Err(format!(
                    "not run: permission mode {mode} needs a person's word for this, and nobody can be asked here; \
                     whoever starts the agent can allow it with --permission-mode or --allow-command"
                ));
            }
            Some(PermissionOutcome::Cancelled) => {
                return Err("not run: the question whether it may was not answered".to_owned());
            }
            Some(PermissionOutcome::Selected { option }) => option,
        };
        let always = match answer.as_str() {
            ALLOW | REJECT => false,
            ALLOW_ALWAYS | REJECT_ALWAYS => true,
            other => return Err(format!("not run: the answer {other} means nothing")),
        };
        let allowed = answer.starts_with(ALLOW);
        if always {
            self.settle(subject, allowed);
        }
        if allowed {
            Ok(())
        } else {
            Err("not run: the person refused it; do not try it in another way, ask what they want instead".to_owned())
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decide(&self, access: Access<'_>) -> Decision {
        let state = self.state();
        let read_only =
            |what: &str| Decision::Refuse(format!("not run: in permission mode read-only {what}"));
        let (subject, free) = match access {
            Access::Read => return Decision::Run,
            Access::Edit if state.mode == PermissionMode::ReadOnly => {
                return read_only("no file is changed");
            }
            Access::Server(_) if state.mode == PermissionMode::ReadOnly => {
                return read_only("no server's tool is called");
            }
            Access::Edit => (Subject::Edits, state.mode != PermissionMode::Ask),
            Access::Server(name) => (
                Subject::Server(name.to_owned()),
                state.mode == PermissionMode::Full,
            ),
            Access::Command(command) => {
                let free = match state.policy.verdict(command) {
                    Verdict::Denied(rule) => {
                        return Decision::Refuse(format!(
                            "not run: commands that begin with `{rule}` are refused here, whatever the mode"
                        ));
                    }
                    Verdict::Allowed => true,
                    // In read-only mode the sandbox is what holds it.
                    Verdict::Open => {
                        matches!(state.mode, PermissionMode::Full | PermissionMode::ReadOnly)
                    }
                };
                (Subject::Command(command.to_owned()), free)
            }
        };
        let settled = state.settled.iter().rev();
        match settled.clone().find(|(known, _)| *known == subject) {
            Some((_, false)) => {
                Decision::Refuse("not run: the person refused this for the session".to_owned())
            }
            Some((_, true)) => Decision::Run,
            None if free => Decision::Run,
            None => Decision::Ask(subject),
        }
    }

    fn settle(&self, subject: Subject, allowed: bool) {
        let mut state = self.state();
        if let (Subject::Command(command), true) = (&subject, allowed)
            && state.policy.allow_like(command).is_some()
        {
            return;
        }
        state.settled.push((subject, allowed));
    }
}

/// Once and for the session, both ways; the words say for what.
fn options(subject: &Subject) -> [PermissionOption; 4] {
    let (all, this) = match subject {
        Subject::Edits => ("all edits".to_owned(), "all edits".to_owned()),
        Subject::Server(name) => (name.clone(), name.clone()),
        Subject::Command(command) => {
            let this = "this very command".to_owned();
            let rule = Policy::rule_for(command);
            let all = rule.map(|rule| format!("commands that begin with `{}`", rule.join(" ")));
            (all.unwrap_or_else(|| this.clone()), this)
        }
    };
    let option = |id: &str, name: String, kind| PermissionOption {
        id: id.to_owned(),
        name,
        kind,
    };
    [
        option(ALLOW, "Allow".to_owned(), PermissionOptionKind::AllowOnce),
        option(
            ALLOW_ALWAYS,
            format!("Allow {all} in this session"),
            PermissionOptionKind::AllowAlways,
        ),
        option(
            REJECT,
            "Reject".to_owned(),
            PermissionOptionKind::RejectOnce,
        ),
        option(
            REJECT_ALWAYS,
            format!("Reject {this} in this session"),
            PermissionOptionKind::RejectAlways,
        ),
    ]
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
