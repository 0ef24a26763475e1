//! Commands in the background, and `job`, which looks after them.
//!
//! A job runs until it ends, is killed, or its conversation is gone. Its output
//! is kept in bounded memory until it is asked for; each look gives what is new
//! since the last.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Pid;
use sam_acp::ToolKind;
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::tools::process::{KEPT, Running, drain, end_group, exited, with_note};
use crate::tools::{Description, ToolContext, ToolOutput, lenient_number, shorten};
use sam_harness::head_tail::HeadTail;

/// Jobs at a time.
const MOST_RUNNING: usize = 8;
/// Ended jobs whose rest of output is kept.
const MOST_ENDED: usize = 16;
const MAX_WAIT: u64 = 120;
/// A command that fails at once is reported at once.
const FIRST_LOOK: Duration = Duration::from_millis(300);

/// The background jobs of one conversation; they end with it.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    jobs: BTreeMap<u64, Job>,
}

#[derive(Debug)]
struct Job {
    command: String,
    output: Arc<Mutex<HeadTail>>,
    /// How it ended, once it has.
    ended: watch::Receiver<Option<Ended>>,
    kill: CancellationToken,
    /// Ends it with its conversation.
    _ends: DropGuard,
}

/// Words for an end, and whether it was a failure.
#[derive(Debug, Clone)]
struct Ended {
    words: String,
    failed: bool,
}

/// Arguments of `job`.
#[derive(Debug, Deserialize)]
pub(crate) struct JobCall {
    #[serde(default)]
    action: Action,
    #[serde(default, deserialize_with = "lenient_number")]
    job: Option<u64>,
    #[serde(default, deserialize_with = "lenient_number")]
    wait_seconds: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    List,
    #[default]
    Poll,
    Kill,
}

impl Jobs {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses a further job where there are as many as there may be. Calls
    /// that start one run one by one, so it may be started after this.
    pub(super) fn has_room(&self) -> Result<(), ToolOutput> {
        let state = self.state();
        let running = |job: &&Job| job.ended.borrow().is_none();
        if state.jobs.values().filter(running).count() < MOST_RUNNING {
            return Ok(());
        }
        Err(ToolOutput::failed(format!(
            "not run: {MOST_RUNNING} jobs are running already; kill one first"
        )))
    }

    /// Takes a running program into the background.
    pub(super) async fn take(&self, running: Running, command: &str) -> ToolOutput {
        let Some(group) = running.group else {
            return ToolOutput::failed("the command ended before it could be watched");
        };
        let output = Arc::new(Mutex::new(HeadTail::new(KEPT)));
        let kill = CancellationToken::new();
        let (sender, ended) = watch::channel(None);
        tokio::spawn(watch_over(
            running,
            group,
            Arc::clone(&output),
            kill.clone(),
            sender,
        ));
        let id = {
            let mut state = self.state();
            state.last += 1;
            let id = state.last;
            let job = Job {
                command: command.to_owned(),
                output,
                ended: ended.clone(),
                _ends: kill.clone().drop_guard(),
                kill,
            };
            state.jobs.insert(id, job);
            state.forget_old();
            id
        };
        let mut ended = ended;
        let _ = tokio::time::timeout(FIRST_LOOK, ended.wait_for(Option::is_some)).await;
        self.look(id)
    }

    /// A job's new output and state.
    fn look(&self, id: u64) -> ToolOutput {
        let state = self.state();
        let Some(job) = state.jobs.get(&id) else {
            return ToolOutput::failed(state.unknown(id));
        };
        let ended = job.ended.borrow().clone();
        let new = std::mem::replace(
            &mut *job.output.lock().unwrap_or_else(PoisonError::into_inner),
            HeadTail::new(KEPT),
        );
        let (words, failed) = match ended {
            None => ("is running".to_owned(), false),
            Some(ended) => (ended.words, ended.failed),
        };
        let text = with_note(new.text(), Some(format!("[job {id} {words}]")));
        ToolOutput {
            failed,
            ..ToolOutput::ok(text)
        }
    }
}

impl State {
    fn forget_old(&mut self) {
        let ended = self
            .jobs
            .iter()
            .filter(|(_, job)| job.ended.borrow().is_some());
        let ended: Vec<u64> = ended.map(|(id, _)| *id).collect();
        let old = ended.len().saturating_sub(MOST_ENDED);
        for id in ended.into_iter().take(old) {
            self.jobs.remove(&id);
        }
    }

    fn unknown(&self, id: u64) -> String {
        let known: Vec<String> = self.jobs.keys().map(u64::to_string).collect();
        match known.as_slice() {
            [] => format!("there is no job {id}; none was started"),
            known => format!("there is no job {id}; there are {}", known.join(", ")),
        }
    }

    fn list(&self) -> String {
        let lines = self.jobs.iter().map(|(id, job)| {
            let ended = job.ended.borrow();
            let words = ended
                .as_ref()
                .map_or("is running", |ended| ended.words.as_str());
            format!("job {id} {words}: {}", shorten(job.command.trim(), 150))
        });
        let lines: Vec<String> = lines.collect();
        if lines.is_empty() {
            return "no job was started".to_owned();
        }
        lines.join("\n")
    }
}

async fn watch_over(
    mut running: Running,
    group: Pid,
    output: Arc<Mutex<HeadTail>>,
    kill: CancellationToken,
    ended: watch::Sender<Option<Ended>>,
) {
    let push = |bytes: &[u8]| {
        let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
        output.push(bytes);
    };
    let mut buffer = vec![0; 16 * 1024];
    let mut open = true;
    let end = loop {
        tokio::select! {
            () = kill.cancelled() => break None,
            status = running.child.wait() => break Some(exited(status)),
            read = running.pipe.read(&mut buffer), if open => match read {
                Ok(0) | Err(_) => open = false,
                Ok(length) => push(buffer.get(..length).unwrap_or_default()),
            },
        }
    };
    if end.is_none() {
        end_group(group, &mut running.child).await;
    }
    drain(running.pipe, push).await;
    let told = match end {
        None => Ended {
            words: "was killed".to_owned(),
            failed: false,
        },
        Some(end) => {
            let note = end.note();
            Ended {
                failed: note.is_some(),
                words: note.map_or_else(
                    || "ended: exit code 0".to_owned(),
                    |note| format!("ended: {}", note.trim_matches(['[', ']'])),
                ),
            }
        }
    };
    let _ = ended.send(Some(told));
}

impl JobCall {
    pub(crate) fn describe(&self) -> Description {
        let job = self
            .job
            .map_or_else(|| "jobs".to_owned(), |id| format!("job {id}"));
        let verb = match self.action {
            Action::List => "List",
            Action::Poll => "Look at",
            Action::Kill => "Kill",
        };
        Description {
            title: format!("{verb} {job}"),
            kind: ToolKind::Execute,
            locations: Vec::new(),
        }
    }

    pub(crate) async fn run(&self, context: &ToolContext<'_>) -> ToolOutput {
        let jobs = context.jobs;
        let id = match (self.action, self.job) {
            (Action::List, _) => return ToolOutput::ok(jobs.state().list()),
            (_, Some(id)) => id,
            (_, None) => return ToolOutput::failed("which job is missing"),
        };
        let known = {
            let state = jobs.state();
            let job = state.jobs.get(&id);
            job.map(|job| (job.ended.clone(), job.kill.clone()))
                .ok_or_else(|| state.unknown(id))
        };
        let (mut ended, kill) = match known {
            Ok(known) => known,
            Err(unknown) => return ToolOutput::failed(unknown),
        };
        let seconds = match self.action {
            Action::Kill => {
                kill.cancel();
                MAX_WAIT
            }
            Action::Poll | Action::List => self.wait_seconds.unwrap_or(0).min(MAX_WAIT),
        };
        if seconds > 0 {
            let wait = ended.wait_for(Option::is_some);
            tokio::select! {
                _ = tokio::time::timeout(Duration::from_secs(seconds), wait) => {}
                () = context.cancel.cancelled() => {}
            }
        }
        jobs.look(id)
    }
}
