//! What works on a task: this program's own `run`, or any agent over ACP.
//!
//! Both are processes that are given a directory, a prompt and the address of
//! a [`super::meter::Meter`], and both are ended at the time limit with
//! everything they started in their process group.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use sam_domain::agents::{AGENTS, Agent, Dialect, Values};
use sam_harness::transcript::{self, Entry, State};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::acp;
use super::meter::Meter;
use super::place::{Group, Place};
use super::reads::Reads;
use crate::cli::Provider;
use crate::{COMPLETE, LIMIT};

/// What calls this program's own `run`.
pub(super) const OWN: &str = "sam-harness";
/// How `run` is called, so that it may do what SAM lets it do.
const OWN_OPTIONS: [&str; 5] = [
    "--permission-mode",
    "full",
    "--network",
    "--allow-write",
    "~",
];
/// Between asking an agent to stop and ending it.
const GRACE: Duration = Duration::from_secs(5);

/// An agent that is evaluated.
#[derive(Debug, Clone)]
pub(super) enum Contestant {
    /// This program's own `run`, with these options.
    Own(Vec<String>),
    /// A program that speaks ACP.
    Acp(Foreign),
}

/// How a program that speaks ACP is started.
#[derive(Debug, Clone)]
pub(super) struct Foreign {
    /// What it is called in tables.
    pub(super) name: String,
    /// Its words, the program first.
    pub(super) words: Vec<String>,
    /// What is known of it.
    pub(super) recipe: Option<&'static Agent>,
    /// Further variables, as templates.
    pub(super) env: Vec<(String, String)>,
}

/// How an agent's work on a task ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Work {
    /// How.
    pub(super) ended: Ended,
    /// Why, in the agent's words, when it did not end by itself.
    pub(super) why: Option<String>,
    /// How long it took.
    pub(super) time: Duration,
    /// What it read, as far as it tells.
    pub(super) reads: Option<Reads>,
}

/// How an agent's work ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Ended {
    /// By itself.
    #[default]
    Complete,
    /// At a limit of its own.
    Limit,
    /// It failed.
    Failed,
    /// At the time limit.
    TimeLimit,
}

impl Contestant {
    /// From the words of a command line.
    pub(super) fn new(command: &str, env: &[String], run: &[String]) -> Result<Self, String> {
        if command.trim() == OWN {
            return Ok(Self::Own(run.to_vec()));
        }
        let mut words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        let program = words
            .first_mut()
            .ok_or_else(|| "--agent wants a command".to_owned())?;
        // It is started elsewhere; what has a path is meant from here.
        if program.contains('/') {
            let whole = std::path::absolute(&*program);
            let whole = whole.map_err(|error| format!("--agent {program}: {error}"))?;
            *program = whole.to_string_lossy().into_owned();
        }
        let file = Path::new(&*program).file_name().unwrap_or_default();
        let file = file.to_string_lossy().into_owned();
        let recipe = AGENTS
            .iter()
            .find(|agent| agent.executable == file && agent.dialect != Dialect::Own);
        if let (Some(recipe), 1) = (recipe, words.len()) {
            words.extend(recipe.arguments.iter().map(|word| (*word).to_owned()));
        }
        let env = env.iter().map(|pair| {
            pair.split_once('=')
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .ok_or_else(|| format!("--agent-env {pair}: NAME=VALUE is wanted"))
        });
        let rest = words
            .iter()
            .skip(1)
            .take_while(|word| !word.starts_with('-'));
        let name: Vec<&str> = std::iter::once(file.as_str())
            .chain(rest.map(String::as_str))
            .collect();
        Ok(Self::Acp(Foreign {
            name: name.join(" "),
            env: env.collect::<Result<_, String>>()?,
            words,
            recipe,
        }))
    }

    /// What it is called in tables.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Own(_) => OWN,
            Self::Acp(foreign) => &foreign.name,
        }
    }

    /// Lets it work in a place, for so long at most.
    pub(super) async fn work(
        &self,
        place: &Place,
        meter: &Meter,
        order: Order<'_>,
    ) -> Result<Work, String> {
        let began = Instant::now();
        let mut work = match self {
            Self::Own(options) => own(options, place, meter, order).await?,
            Self::Acp(foreign) => {
                let origin = meter.origin();
                let home = place.home();
                let bin = foreign.words.first().map(Path::new).and_then(Path::parent);
                let values = Values {
                    origin: &origin,
                    secret: meter.secret(),
                    model: order.model,
                    home: &home.to_string_lossy(),
                    bin: &bin.unwrap_or(&home).to_string_lossy(),
                };
                acp::work(foreign, place, values, order).await?
            }
        };
        work.time = began.elapsed();
        Ok(work)
    }
}

/// What is asked of an agent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order<'a> {
    /// The task.
    pub(super) prompt: &'a str,
    /// The model.
    pub(super) model: &'a str,
    /// How our own harness speaks to it.
    pub(super) provider: Provider,
    /// The time there is.
    pub(super) limit: Duration,
}

async fn own(
    options: &[String],
    place: &Place,
    meter: &Meter,
    order: Order<'_>,
) -> Result<Work, String> {
    let failed = |error: std::io::Error| format!("this program does not start: {error}");
    let program = std::env::current_exe().map_err(failed)?;
    let mut command = place.command(program);
    command
        .arg("run")
        .args(["-p", "-", "--dir", "."])
        .args(["--base-url", &format!("{}/v1", meter.origin())])
        .args(["--model", order.model])
        .args(["--provider", order.provider.dialect().name()])
        .arg("--transcript-dir")
        .arg(place.records())
        .args(OWN_OPTIONS)
        .args(options)
        .env("SAM_MODEL_KEY", meter.secret())
        .stdin(Stdio::piped())
        .stdout(place.log("answer").map_err(failed)?)
        .stderr(place.log("agent").map_err(failed)?);
    let mut running = Group::spawn(&mut command).map_err(failed)?;
    if let Some(mut stdin) = running.child.stdin.take() {
        // One that is gone already says why by its exit code.
        let _ = stdin.write_all(order.prompt.as_bytes()).await;
    }
    let ended = match timeout(order.limit, running.child.wait()).await {
        Ok(status) => {
            let code = status.map_err(failed)?.code();
            match code.and_then(|code| u8::try_from(code).ok()) {
                Some(COMPLETE) => Ended::Complete,
                Some(LIMIT) => Ended::Limit,
                _ => Ended::Failed,
            }
        }
        Err(_) => {
            running.signal(Signal::TERM);
            let _ = timeout(GRACE, running.child.wait()).await;
            Ended::TimeLimit
        }
    };
    drop(running);
    Ok(Work {
        ended,
        why: (ended == Ended::Failed)
            .then(|| place.told("agent"))
            .flatten(),
        reads: reads(&place.records()),
        ..Work::default()
    })
}

/// What a session read, by its transcript; also by that of one that was ended.
fn reads(records: &Path) -> Option<Reads> {
    let sessions = transcript::list(records).ok()?;
    let session = sessions.first()?;
    let (_, entries) = transcript::events(records, &session.session).ok()?;
    let mut state = State::default();
    for entry in entries {
        if let Entry::Line(line) = entry {
            state.apply(&line.event);
        }
    }
    Some(Reads {
        all: state.reads,
        again: state.rereads,
    })
}

/// Where an agent's program lies, for a message about one that does not start.
pub(super) fn program(foreign: &Foreign) -> PathBuf {
    foreign.words.first().map(PathBuf::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_known_by_their_program() {
        let acp = |command: &str| match Contestant::new(command, &[], &[]) {
            Ok(Contestant::Acp(foreign)) => foreign,
            other => panic!("{other:?}"),
        };
        let goose = acp("/opt/bin/goose");
        assert_eq!(goose.recipe.map(|agent| agent.id), Some("goose"));
        assert!(goose.words.len() > 1 && goose.name.starts_with("goose"));
        let own = acp("sam-harness acp --effort high");
        assert_eq!((own.name.as_str(), own.words.len()), ("sam-harness acp", 4));
        let near = acp("bin/agent acp").words;
        let from_here = std::env::current_dir().unwrap().join("bin/agent");
        assert_eq!(near, [from_here.to_str().unwrap(), "acp"]);
        assert!(acp("python3 agent.py").recipe.is_none());
        assert!(matches!(
            Contestant::new("sam-harness", &[], &[]),
            Ok(Contestant::Own(_))
        ));
        assert!(Contestant::new(" ", &[], &[]).is_err());
        assert!(Contestant::new("x", &["A".to_owned()], &[]).is_err());
    }
}
