//! The link's machine with its disk.
//!
//! Model: [`AgentEnd`] decides, the store writes, and only then anything is
//! done: frames go to the connection that is up (or nowhere, and are repeated
//! after the next hello), commands go to the workspaces.
//!
//! Invariants:
//! - Nothing is sent or begun that is not on disk.
//! - What a command did to the records of this machine is written in the same
//!   transaction as the events that tell of it.
//! - A write that fails leaves the machine as it was.
//! - A node that has heard nothing for a lease, by a clock that counts while the
//!   machine sleeps, has lapsed: it is not [current](Hub::until_current) until it
//!   is welcomed on a new connection.

use crate::clock;
use crate::log::warning;
use crate::store::{self, Store, StoreError, Stored};
use rusqlite::Transaction;
use sam_domain::id::{CommandId, WorkspaceId};
use sam_domain::link::agent_end::{AgentEnd, Do, Draft, Identity, Outcome};
use sam_domain::link::frame::{AgentFrame, Command, Event, LEASE, NodeFacts, ObjectFrame};
use sam_domain::link::question::{Answer, Question};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How often a disk that refused is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// How often something that must stop with the lease looks at the clock.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What the connection's task is told.
#[derive(Debug)]
pub(crate) enum ToLink {
    /// Send this.
    Frame(Box<AgentFrame>),
    /// Close.
    Close {
        /// Why.
        reason: String,
        /// Do not come back.
        for_good: bool,
    },
}

struct Inner {
    end: AgentEnd,
    link: Option<mpsc::UnboundedSender<ToLink>>,
}

/// The link's machine, shared by everyone who has something to report.
pub(crate) struct Hub {
    store: Arc<Store>,
    inner: Mutex<Inner>,
    begin: mpsc::UnboundedSender<Command>,
    /// Who answers questions; until there is somebody, nobody does.
    asked: OnceLock<mpsc::UnboundedSender<Question>>,
    welcomed: watch::Sender<bool>,
    owed: watch::Sender<usize>,
    /// The link's lease, in milliseconds.
    lease: AtomicU64,
    /// When the link was last heard, in milliseconds of [`clock::since_boot`].
    heard: AtomicU64,
    /// A report has met a disk that refused.
    #[cfg(test)]
    waited: std::sync::atomic::AtomicBool,
}

/// The command a report is about, and what it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// The workspace.
    pub(crate) workspace: WorkspaceId,
    /// The attempt.
    pub(crate) attempt: u32,
}

impl Subject {
    /// Of a command.
    pub(crate) fn of(command: &Command) -> Self {
        Self {
            workspace: command.workspace.clone(),
            attempt: command.attempt,
        }
    }

    fn draft(&self, event: Event) -> Draft {
        Draft {
            workspace: Some(self.workspace.clone()),
            attempt: self.attempt,
            at: clock::now(),
            event,
        }
    }
}

impl Hub {
    /// Restores the machine from the disk. Commands to begin go to `begin`.
    pub(crate) fn restore(
        store: &Arc<Store>,
        identity: Identity,
        begin: mpsc::UnboundedSender<Command>,
    ) -> Stored<Self> {
        let end = AgentEnd::restore(identity, store.link()?);
        let owed = end.pending_events();
        Ok(Self {
            store: Arc::clone(store),
            inner: Mutex::new(Inner { end, link: None }),
            begin,
            asked: OnceLock::new(),
            welcomed: watch::Sender::new(false),
            owed: watch::Sender::new(owed),
            lease: AtomicU64::new(LEASE.0),
            heard: AtomicU64::new(0),
            #[cfg(test)]
            waited: std::sync::atomic::AtomicBool::new(false),
        })
    }

    /// Commands that were held when the process started, in the order in which
    /// they were issued.
    pub(crate) fn open_commands(&self) -> Vec<Command> {
        self.lock().end.open_commands().cloned().collect()
    }

    /// A connection is up.
    pub(crate) fn connected(&self, link: mpsc::UnboundedSender<ToLink>) {
        let mut inner = self.lock();
        inner.link = Some(link);
        let outcome = inner.end.connected();
        self.perform(&inner, outcome);
    }

    /// The connection is gone.
    pub(crate) fn disconnected(&self) {
        let mut inner = self.lock();
        inner.link = None;
        inner.end.disconnected();
        self.welcomed.send_replace(false);
    }

    /// Takes in a frame. When the disk refuses, the frame counts as lost: the
    /// control plane repeats it on the next connection.
    pub(crate) fn frame(&self, frame: ObjectFrame) -> Stored<()> {
        let welcome = match &frame {
            ObjectFrame::Welcome { lease, .. } => Some(*lease),
            _ => None,
        };
        self.turn(|end| end.frame(frame), |_| Ok(()))?;
        if let Some(lease) = welcome {
            self.lease.store(lease.0, Ordering::Relaxed);
            self.heard();
            self.welcomed.send_replace(true);
        }
        Ok(())
    }

    /// Has questions answered by whoever takes them from the other end.
    pub(crate) fn answer_by(&self, asked: mpsc::UnboundedSender<Question>) {
        let _ = self.asked.set(asked);
    }

    /// Something is asked. Nothing of it is kept.
    pub(crate) fn ask(&self, question: Question) {
        if let Some(asked) = self.asked.get() {
            let _ = asked.send(question);
        }
    }

    /// Sends an answer, if the link is still up.
    pub(crate) fn answer(&self, answer: Answer) {
        let frame = Box::new(AgentFrame::Answer(answer));
        self.tell(&self.lock(), ToLink::Frame(frame));
    }

    /// What the machine is, how many commands it holds, and how many events it owes.
    pub(crate) fn standing(&self) -> (NodeFacts, u32, u32) {
        let inner = self.lock();
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        (
            inner.end.said_facts().clone(),
            count(inner.end.open_commands().count()),
            count(inner.end.pending_events()),
        )
    }

    /// How long the link may be silent.
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_millis(self.lease.load(Ordering::Relaxed))
    }

    /// The control plane was heard on the link.
    pub(crate) fn heard(&self) {
        self.heard.store(boot_millis(), Ordering::Relaxed);
    }

    /// Whether nothing was heard for a lease.
    pub(crate) fn has_lapsed(&self) -> bool {
        let silent = boot_millis().saturating_sub(self.heard.load(Ordering::Relaxed));
        silent > self.lease.load(Ordering::Relaxed)
    }

    /// Waits until the control plane has welcomed this node on a connection
    /// that is still up, and that was heard within the lease.
    pub(crate) async fn until_current(&self) {
        loop {
            // The sender lives as long as the hub: waiting cannot fail.
            let _ = self.welcomed.subscribe().wait_for(|up| *up).await;
            if !self.has_lapsed() {
                return;
            }
            self.give_up_link();
        }
    }

    /// Waits until nothing was heard for a lease.
    pub(crate) async fn until_lapsed(&self) {
        while !self.has_lapsed() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn give_up_link(&self) {
        let inner = self.lock();
        self.welcomed.send_replace(false);
        let reason = "nothing was heard for too long".to_owned();
        let close = ToLink::Close {
            reason,
            for_good: false,
        };
        self.tell(&inner, close);
    }

    /// Tells what this machine is by now.
    pub(crate) async fn facts(&self, facts: &NodeFacts) {
        self.insist(|end| end.facts(facts.clone(), clock::now()), |_| Ok(()))
            .await;
    }

    /// Waits until every event is acknowledged.
    pub(crate) async fn until_acknowledged(&self) {
        let _ = self.owed.subscribe().wait_for(|owed| *owed == 0).await;
    }

    /// Reports events, together with a change to the records.
    pub(crate) async fn report(
        &self,
        subject: &Subject,
        events: Vec<Event>,
        record: impl Fn(&Transaction<'_>) -> Stored<()>,
    ) {
        self.insist(
            |end| {
                let mut outcome = Outcome::default();
                for event in &events {
                    let more = end.emit(subject.draft(event.clone()));
                    outcome.write.extend(more.write);
                    outcome.then.extend(more.then);
                }
                outcome
            },
            record,
        )
        .await;
    }

    /// Finishes a command with its events; `command_done` is added.
    pub(crate) async fn done(
        &self,
        subject: &Subject,
        command: &CommandId,
        mut events: Vec<Event>,
        record: impl Fn(&Transaction<'_>) -> Stored<()>,
    ) {
        events.push(Event::CommandDone {
            command: command.clone(),
        });
        self.finish(subject, command, &events, record).await;
    }

    /// Fails a command.
    pub(crate) async fn failed(
        &self,
        subject: &Subject,
        command: &CommandId,
        mut events: Vec<Event>,
        failure: Failure,
        record: impl Fn(&Transaction<'_>) -> Stored<()>,
    ) {
        warning!("{command} failed ({}): {}", failure.code, failure.message);
        events.push(Event::CommandFailed {
            command: command.clone(),
            code: failure.code,
            message: failure.message,
            hint: failure.hint,
        });
        self.finish(subject, command, &events, record).await;
    }

    async fn finish(
        &self,
        subject: &Subject,
        command: &CommandId,
        events: &[Event],
        record: impl Fn(&Transaction<'_>) -> Stored<()>,
    ) {
        self.insist(
            |end| {
                let drafts = events.iter().map(|event| subject.draft(event.clone()));
                end.finish(command, drafts.collect())
            },
            record,
        )
        .await;
    }

    /// One turn, repeated until the disk takes it.
    async fn insist(
        &self,
        step: impl Fn(&mut AgentEnd) -> Outcome,
        record: impl Fn(&Transaction<'_>) -> Stored<()>,
    ) {
        while let Err(error) = self.turn(&step, &record) {
            #[cfg(test)]
            self.waited
                .store(true, std::sync::atomic::Ordering::Relaxed);
            warning!("a report waits for the disk: {error}");
            tokio::time::sleep(RETRY_EVERY).await;
        }
    }

    fn turn(
        &self,
        step: impl FnOnce(&mut AgentEnd) -> Outcome,
        record: impl FnOnce(&Transaction<'_>) -> Stored<()>,
    ) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let before = inner.end.clone();
        let outcome = step(&mut inner.end);
        let written = self.store.transaction(|tx| {
            record(tx)?;
            outcome
                .write
                .iter()
                .try_for_each(|write| store::apply(tx, write))
        });
        if let Err(error) = written {
            inner.end = before;
            return Err(error);
        }
        self.perform(&inner, outcome);
        Ok(())
    }

    fn perform(&self, inner: &Inner, outcome: Outcome) {
        self.owed.send_replace(inner.end.pending_events());
        for action in outcome.then {
            match action {
                Do::Send(frame) => self.tell(inner, ToLink::Frame(Box::new(frame))),
                Do::Begin(command) => {
                    // The receiver lives as long as the process.
                    let _ = self.begin.send(command);
                }
                Do::Close { reason, for_good } => {
                    self.tell(inner, ToLink::Close { reason, for_good });
                }
            }
        }
    }

    fn tell(&self, inner: &Inner, message: ToLink) {
        if let Some(link) = &inner.link {
            // A connection that is gone loses the frame; the next one repeats it.
            let _ = link.send(message);
        }
    }

    #[cfg(test)]
    fn has_waited(&self) -> bool {
        self.waited.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn boot_millis() -> u64 {
    u64::try_from(clock::since_boot().as_millis()).unwrap_or(u64::MAX)
}

/// Why a command failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// A stable word.
    pub(crate) code: String,
    /// What happened, redacted.
    pub(crate) message: String,
    /// What a person can do.
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// Without a hint.
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: crate::secret::redact(&message.into()),
            hint: None,
        }
    }
}

impl From<crate::git::GitFailure> for Failure {
    fn from(failure: crate::git::GitFailure) -> Self {
        Self {
            code: failure.code.to_owned(),
            message: failure.message,
            hint: failure.hint,
        }
    }
}

#[cfg(test)]
mod tests;
