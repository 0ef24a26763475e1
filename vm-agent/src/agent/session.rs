//! One session with one coding agent, from its start to its end.
//!
//! Model: a task owns the process, the connection and the rows. It takes
//! commands from the workspace and events from the agent, one at a time, and
//! reports through the hub. The order of every end is the same: the rows are on
//! disk, then the prompt is reported as finished with their number, then the
//! agent is reported as ended.
//!
//! Invariants:
//! - A prompt is written down before the agent hears of it, so a crash can only
//!   leave it unknown, never repeat it.
//! - A prompt that was begun is finished exactly once, whatever happens.
//! - When the task ends, nothing that the agent started is running.

use super::attachments;
use super::begin::{AgentCommand, StartAgent};
use super::launch::Running;
use super::login::Login;
use super::memory::Memory;
use super::permission::Asked;
use super::tools::{Question, Tools};
use super::watch::Watch;
use crate::api::{ApiFailure, Backoff};
use crate::clock;
use crate::hub::Failure;
use crate::log::{info, warning};
use crate::machine::Machine;
use crate::process::{describe_exit, sweep_role};
use crate::rows::{TurnEnd, Writer, notice, word};
use crate::secret::redact;
use crate::store::{self, AgentRecord};
use sam_acp::{
    AcpError, AcpSessionId, AgentUpdate, Block, HostEvent, PromptOutcome, Report, TurnId,
};
use sam_domain::conversation::attachment::PromptBody;
use sam_domain::conversation::row::{BodyRef, NoticeLevel, RowBody, truncate};
use sam_domain::conversation::wire::ActivityState;
use sam_domain::id::{CommandId, PromptId};
use sam_domain::link::frame::{AgentState, Event, StopReason};
use sam_domain::time::Millis;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

/// Time to stop by itself after being asked by protocol.
const CANCEL_GRACE: Duration = Duration::from_secs(10);
/// Time to end by itself after its input was closed.
const CLOSE_GRACE: Duration = Duration::from_secs(2);
/// Time for the supervisor to end everything; beyond it the rest is swept up.
pub(super) const END_LIMIT: Duration = Duration::from_secs(15);
/// Time for what an ended agent said last to arrive.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);

/// Most updates that are taken in at once.
const TOGETHER: usize = 256;
/// How much of what an agent last wrote stands in the reason for its end.
const TOLD_LINES: usize = 3;
const TOLD_BYTES: usize = 400;
/// Longest hint of an agent's that is passed on.
const FAULT_HINT_BYTES: usize = 500;
/// Time for the words of a long prompt to arrive.
const FETCH_LIMIT: Duration = Duration::from_secs(120);
/// The request by which an agent asks for permission.
const ASKS: &str = "session/request_permission";
/// A line of the agent's that is longer and cannot be read was more than a remark.
const LONG_LINE: u64 = 4 * 1024;

/// Why a session ends.
#[derive(Debug)]
enum End {
    /// The process ended, or closed its output.
    ByItself,
    /// It was told to.
    Stopped,
    /// It did not stop its turn when it was told to.
    Stubborn,
    /// It gave no sign of life any more.
    Hung,
    /// The vm-agent ends.
    Shutdown,
    /// Its own login is no good any more.
    LoginLost(Failure),
}

/// A prompt at work.
pub(super) struct Turn {
    prompt: PromptId,
    command: CommandId,
    id: TurnId,
    began: Instant,
    cancels: Vec<CommandId>,
    kill_at: Option<Instant>,
    /// What the agent asked its person in it.
    asks: Option<String>,
}

/// A session with an agent that is ready.
pub(super) struct Session {
    pub(super) machine: Arc<Machine>,
    pub(super) start: StartAgent,
    acp: AcpSessionId,
    running: Running,
    pub(super) writer: Writer,
    pub(super) turn: Option<Turn>,
    /// Questions that wait for an answer.
    pub(super) asked: Vec<Asked>,
    stops: Vec<CommandId>,
    watch: Watch,
    /// It has loaded the session that it had, and no prompt since.
    recalls: bool,
}

pub(super) fn record(start: &StartAgent, prompt: Option<(PromptId, CommandId)>) -> AgentRecord {
    AgentRecord {
        agent_session: start.agent_session.clone(),
        attempt: start.subject.attempt,
        prompt,
    }
}

impl Session {
    /// With an agent that has just become ready.
    pub(super) fn new(
        machine: Arc<Machine>,
        start: StartAgent,
        acp: AcpSessionId,
        running: Running,
        writer: Writer,
    ) -> Self {
        let watch = Watch::over(&running, machine.limits.agent_silence);
        Self {
            machine,
            start,
            acp,
            watch,
            running,
            writer,
            turn: None,
            asked: Vec::new(),
            stops: Vec::new(),
            recalls: false,
        }
    }

    /// The agent has loaded the session that it had here, and knows what was said.
    pub(super) fn recalls(&mut self) {
        self.recalls = true;
        let text = "The agent was started again and has its conversation back.";
        self.writer.add(notice(
            &mut clock::turn(),
            NoticeLevel::Info,
            "agent_resumed",
            text,
        ));
    }

    /// Converses until something ends it, then ends everything.
    pub(super) async fn work(mut self, queue: &mut mpsc::UnboundedReceiver<AgentCommand>) {
        let end = self.converse(queue).await;
        self.end(end).await;
    }

    async fn converse(&mut self, queue: &mut mpsc::UnboundedReceiver<AgentCommand>) -> End {
        loop {
            let due = self.writer.due();
            let tick = async {
                match due {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let question_due = self.question_due();
            let question = async {
                match question_due {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let look_at = self.turn.as_ref().map(|_| self.watch.next());
            let look = async {
                match look_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let kill_at = self.turn.as_ref().and_then(|turn| turn.kill_at);
            let kill = async {
                match kill_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = self.running.events.recv() => match event {
                    Some(HostEvent::Closed(_)) | None => return End::ByItself,
                    Some(event) => self.heard(event).await,
                },
                command = queue.recv() => match command {
                    Some(AgentCommand::Prompt { command, prompt, text, body, context }) => {
                        match self.whole(&prompt, text, body).await {
                            Ok(said) => self.prompt(command, prompt, said, &context).await,
                            Err(reason) => {
                                let why = StopReason::NeverRan { reason };
                                self.done(&command, vec![finished(&prompt, why, 0)]).await;
                            }
                        }
                    }
                    Some(AgentCommand::Cancel { command, prompt }) => self.cancel(command, &prompt).await,
                    Some(AgentCommand::Answer { command, permission, option }) => {
                        self.answer(command, &permission, option).await;
                    }
                    Some(AgentCommand::Stop { command }) => {
                        self.stops.push(command);
                        return End::Stopped;
                    }
                    Some(AgentCommand::Shutdown) | None => return End::Shutdown,
                },
                _ = self.running.process.wait() => return End::ByItself,
                () = tick => self.writer.tick(),
                () = question => self.expire_questions().await,
                () = kill => return End::Stubborn,
                () = self.watch.answer() => {}
                question = asked(&mut self.running.tools) => self.ask_person(question),
                () = look => {
                    let asks_person = !self.asked.is_empty();
                    if self.watch.look(&self.running, self.writer.calling(), asks_person) {
                        return End::Hung;
                    }
                }
                lost = lost(&mut self.running.login) => return End::LoginLost(lost),
            }
        }
    }

    /// The words of a prompt and the blocks of its files, fetched where they did not come with it; or
    /// why they cannot be had.
    async fn whole(
        &self,
        prompt: &PromptId,
        text: String,
        body: Option<PromptBody>,
    ) -> Result<(String, Vec<Block>), String> {
        let Some(body) = body else {
            return Ok((text, Vec::new()));
        };
        let bytes = self.fetch(body.sha256, body.bytes).await?;
        let text = String::from_utf8(bytes).map_err(|_| "its words are not text".to_owned())?;
        if body.attachments.is_empty() {
            return Ok((text, Vec::new()));
        }
        let mut files = Vec::with_capacity(body.attachments.len());
        for file in body.attachments {
            let bytes = self.fetch(file.sha256.clone(), file.bytes).await?;
            files.push((file, bytes));
        }
        let layout = self.machine.layout(&self.start.subject.workspace);
        let blocks = attachments::place(&layout, prompt, self.running.takes, files)?;
        Ok((text, blocks))
    }

    /// A body of the project.
    async fn fetch(&self, sha256: String, bytes: u64) -> Result<Vec<u8>, String> {
        let body = BodyRef { sha256, bytes };
        let (api, _) = self.machine.deliveries(&self.start.subject.workspace);
        let mut backoff = Backoff::standard();
        let deadline = Instant::now() + FETCH_LIMIT;
        loop {
            let why = match api.body(&body).await {
                Ok(bytes) => return Ok(bytes),
                Err(ApiFailure::Refused { message, .. }) => return Err(message),
                Err(failure) => failure.to_string(),
            };
            let pause = backoff.step();
            if Instant::now() + pause > deadline {
                return Err(format!("what belongs to it cannot be fetched: {why}"));
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn prompt(
        &mut self,
        command: CommandId,
        prompt: PromptId,
        (text, attached): (String, Vec<Block>),
        context: &str,
    ) {
        if self.turn.is_some() {
            let reason = "another prompt is running".to_owned();
            let event = finished(&prompt, StopReason::NeverRan { reason }, 0);
            return self.done(&command, vec![event]).await;
        }
        let workspace = self.start.subject.workspace.clone();
        let at_work = record(&self.start, Some((prompt.clone(), command.clone())));
        let events = vec![
            Event::PromptStarted {
                prompt: prompt.clone(),
            },
            self.activity(ActivityState::Prompting),
        ];
        self.machine
            .hub
            .report(&self.start.subject, events, |tx| {
                store::put_agent(tx, &workspace, &at_work)
            })
            .await;
        Memory::keep(
            &self.machine.layout(&workspace),
            &self.start.agent,
            &self.acp,
            &text,
        );
        let mut blocks = Vec::new();
        let recalls = std::mem::take(&mut self.recalls);
        if !context.is_empty() && !recalls {
            blocks.push(Block::text(format!(
                "What was said in this conversation before, for your information:\n\n{context}\n\nThe request now:\n"
            )));
        }
        blocks.push(Block::text(text));
        blocks.extend(attached);
        let began = Instant::now();
        self.watch.heard();
        match self.running.host.prompt(&self.acp, &blocks) {
            Ok(id) => {
                self.turn = Some(Turn {
                    prompt,
                    command,
                    id,
                    began,
                    cancels: Vec::new(),
                    kill_at: None,
                    asks: None,
                });
            }
            Err(error) => {
                let reason = redact(&error.to_string());
                let event = finished(&prompt, StopReason::NeverRan { reason }, 0);
                self.turn_over(&command, event).await;
            }
        }
    }

    async fn cancel(&mut self, command: CommandId, prompt: &PromptId) {
        match self.turn.as_mut().filter(|turn| turn.prompt == *prompt) {
            Some(turn) => {
                turn.cancels.push(command);
                turn.kill_at.get_or_insert(Instant::now() + CANCEL_GRACE);
                self.running.host.cancel(&self.acp);
                self.withdraw_questions();
            }
            // It was over before, or never came here.
            None => self.done(&command, Vec::new()).await,
        }
    }

    async fn heard(&mut self, event: HostEvent) {
        self.watch.heard();
        let mut next = Some(event);
        while let Some(event) = next.take() {
            match event {
                // A replay may go on after the session was loaded.
                HostEvent::Update { .. } if self.recalls => {}
                HostEvent::Update { session, .. } if self.running.is_former(&session) => {}
                HostEvent::Update { update, .. } => next = self.updated(update),
                event => self.told(event).await,
            }
        }
    }

    /// Takes in an update with those that have come meanwhile: together they are one wait for the
    /// disk. Returns what came after them.
    fn updated(&mut self, update: AgentUpdate) -> Option<HostEvent> {
        let mut together = vec![update];
        let mut next = None;
        while together.len() < TOGETHER && next.is_none() {
            match self.running.events.try_recv() {
                Some(HostEvent::Update { session, .. }) if self.running.is_former(&session) => {}
                Some(HostEvent::Update { update, .. }) => together.push(update),
                Some(event) => next = Some(event),
                None => break,
            }
        }
        self.writer.updates(together);
        next
    }

    async fn told(&mut self, event: HostEvent) {
        match event {
            HostEvent::Permission(request) => self.permission(request).await,
            HostEvent::PromptFinished { turn, result, .. } => {
                // An agent that is gone ends the session, which ends the turn.
                let gone = matches!(result, Err(AcpError::Closed(_)));
                if !gone && let Some(turn) = self.turn.take_if(|held| held.id == turn) {
                    self.answered(turn, result).await;
                }
            }
            HostEvent::Report(Report::MalformedLine { bytes, .. }) if bytes > LONG_LINE => {
                let text = format!(
                    "The agent sent a message of {bytes} bytes that cannot be read; what it said is missing here."
                );
                let level = NoticeLevel::Warning;
                let row = notice(&mut clock::turn(), level, "agent_message_lost", &text);
                self.writer.add(row);
            }
            HostEvent::Report(Report::RefusedRequest { method }) if method == ASKS => {
                let text = "The agent asked for permission in a way that cannot be read, so it was refused.";
                let level = NoticeLevel::Warning;
                let row = notice(&mut clock::turn(), level, "permission_refused", text);
                self.writer.add(row);
            }
            // Remarks about the protocol are the agent's affair, not a conversation's.
            HostEvent::Report(_) | HostEvent::Closed(_) | HostEvent::Update { .. } => {}
        }
    }

    /// Writes down what the agent asks its person. That it has to have an answer is told with the end
    /// of its turn.
    fn ask_person(&mut self, question: Question) {
        let Some(turn) = self.turn.as_mut() else {
            let why = "You have nothing to do now, so there is nothing to ask.";
            let _ = question.taken.send(Err(why));
            return;
        };
        let (level, hint) = (
            NoticeLevel::Question,
            "Reply in the conversation; the agent goes on with your answer.",
        );
        let mut row = notice(&mut clock::turn(), level, "needs_input", &question.text);
        if let RowBody::Notice(body) = &mut row.body {
            body.hint = Some(hint.to_owned());
        }
        self.writer.add(row);
        info!("{} asks its person", self.start.agent);
        let asks = turn.asks.get_or_insert_default();
        if !asks.is_empty() {
            asks.push_str("\n\n");
        }
        asks.push_str(&question.text);
        let _ = question.taken.send(Ok(()));
    }

    async fn answered(&mut self, turn: Turn, result: Result<PromptOutcome, AcpError>) {
        let took = Millis(u64::try_from(turn.began.elapsed().as_millis()).unwrap_or(u64::MAX));
        self.withdraw_questions();
        let rows = match &result {
            Ok(outcome) => self.writer.end_turn(TurnEnd::Finished(outcome, took)).await,
            Err(_) => self.writer.end_turn(TurnEnd::Stopped).await,
        };
        let reason = match stop_reason(result) {
            _ if !turn.cancels.is_empty() => StopReason::Cancelled,
            StopReason::EndTurn => {
                turn.asks
                    .map_or(StopReason::EndTurn, |question| StopReason::NeedsInput {
                        question,
                    })
            }
            other => other,
        };
        info!("{} finished: {}", turn.prompt, reason.word());
        self.turn_over(&turn.command, finished(&turn.prompt, reason, rows))
            .await;
        for command in turn.cancels {
            self.done(&command, Vec::new()).await;
        }
    }

    /// Reports the end of a turn; the agent is ready for the next.
    async fn turn_over(&self, command: &CommandId, event: Event) {
        let workspace = self.start.subject.workspace.clone();
        let at_rest = record(&self.start, None);
        let asks = matches!(
            &event,
            Event::PromptFinished {
                stop_reason: StopReason::NeedsInput { .. },
                ..
            }
        );
        let now = if asks {
            ActivityState::WaitingForPerson
        } else {
            ActivityState::Idle
        };
        self.machine
            .hub
            .done(
                &self.start.subject,
                command,
                vec![event, self.activity(now)],
                |tx| store::put_agent(tx, &workspace, &at_rest),
            )
            .await;
    }

    fn activity(&self, state: ActivityState) -> Event {
        Event::AgentState {
            agent_session: self.start.agent_session.clone(),
            state: AgentState::Activity { state },
        }
    }

    /// Says at once what the agent does.
    pub(super) async fn report_activity(&self, state: ActivityState) {
        let events = vec![self.activity(state)];
        self.machine
            .hub
            .report(&self.start.subject, events, |_| Ok(()))
            .await;
    }

    pub(super) async fn done(&self, command: &CommandId, events: Vec<Event>) {
        self.machine
            .hub
            .done(&self.start.subject, command, events, |_| Ok(()))
            .await;
    }

    /// Ends everything and reports it.
    async fn end(mut self, end: End) {
        let exit = self.end_process(&end).await;
        self.last_words().await;
        let (reason, ended) = match end {
            End::ByItself => {
                let tail = self.running.stderr.tail();
                let wrote = match tail.trim() {
                    "" => String::new(),
                    tail => format!(" (it last wrote: {})", last_lines(tail)),
                };
                (format!("the agent {exit}{wrote}"), exit)
            }
            End::Stopped => ("the agent was stopped".to_owned(), "stopped".to_owned()),
            End::Stubborn => (
                "the agent did not stop when it was told to, and was killed".to_owned(),
                "killed, because it did not stop when it was told to".to_owned(),
            ),
            End::Hung => {
                let seconds = self.machine.limits.agent_silence.as_secs();
                let hung = format!("gave no sign of life for {seconds} seconds and was killed");
                (format!("the agent {hung}"), hung)
            }
            End::Shutdown => (
                "the vm-agent ended the agent while it ran".to_owned(),
                "ended by the vm-agent".to_owned(),
            ),
            End::LoginLost(ref failure) => (
                failure.message.clone(),
                "ended, because its login is no good any more".to_owned(),
            ),
        };
        let recovers = self.running.keeps_sessions && matches!(end, End::ByItself | End::Hung);
        let reason = if recovers {
            format!(
                "{reason}; with your next words it is started again and gets its conversation back"
            )
        } else {
            reason
        };
        self.withdraw_questions();
        let rows = self.writer.end_turn(TurnEnd::Stopped).await;
        if let Some(turn) = self.turn.take() {
            let asked_for = !turn.cancels.is_empty() || matches!(end, End::Stopped);
            let reason = match end {
                _ if asked_for => StopReason::Cancelled,
                End::LoginLost(failure) => StopReason::Error {
                    message: failure.message,
                    code: word(&failure.code),
                    hint: failure.hint,
                },
                _ => StopReason::Unknown { reason },
            };
            self.turn_over(&turn.command, finished(&turn.prompt, reason, rows))
                .await;
            self.stops.extend(turn.cancels);
        }
        info!(
            "the agent in {} ended: {ended}",
            self.start.subject.workspace
        );
        let workspace = self.start.subject.workspace.clone();
        let state = Event::AgentState {
            agent_session: self.start.agent_session.clone(),
            state: AgentState::Ended {
                reason: ended,
                stderr_tail: self.running.stderr.tail(),
            },
        };
        self.machine
            .hub
            .report(&self.start.subject, vec![state], |tx| {
                store::remove_agent(tx, &workspace)
            })
            .await;
        for command in std::mem::take(&mut self.stops) {
            self.done(&command, Vec::new()).await;
        }
    }

    /// Ends the process and everything below it. Returns how it ended.
    async fn end_process(&mut self, end: &End) -> String {
        let process = &mut self.running.process;
        let mut status = None;
        if !matches!(end, End::Stubborn | End::Hung) {
            self.running.host.close();
            status = timeout(CLOSE_GRACE, process.wait()).await.ok();
        }
        if status.is_none() {
            process.terminate();
            status = timeout(END_LIMIT, process.wait()).await.ok();
        }
        // A supervisor that was itself killed has left its work undone.
        let (store, workspace) = (
            Arc::clone(&self.machine.store),
            self.start.subject.workspace.clone(),
        );
        let swept =
            tokio::task::spawn_blocking(move || sweep_role(&store, &workspace, "agent")).await;
        if let Ok(swept @ 1..) = swept {
            warning!("{swept} processes had outlived their supervisor and were killed");
        }
        match status {
            Some(Ok(status)) => describe_exit(status),
            Some(Err(_)) | None => "ended".to_owned(),
        }
    }

    /// Takes in what the agent said before it ended.
    async fn last_words(&mut self) {
        let deadline = Instant::now() + LAST_WORDS;
        while let Ok(Some(event)) =
            tokio::time::timeout_at(deadline, self.running.events.recv()).await
        {
            self.heard(event).await;
        }
    }
}

/// The agent's next question for its person; none ever where it has no tools.
async fn asked(tools: &mut Option<Tools>) -> Question {
    match tools {
        Some(tools) => tools.asked().await,
        None => std::future::pending().await,
    }
}

/// Waits until a login is no good any more; for ever where there is none.
async fn lost(login: &mut Option<Login>) -> Failure {
    match login {
        Some(login) => login.lost().await,
        None => std::future::pending().await,
    }
}

/// The end of what a process wrote, for one line.
fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().rev().take(TOLD_LINES).collect();
    let line = lines.into_iter().rev().collect::<Vec<_>>().join(" ⏎ ");
    truncate(&line, TOLD_BYTES).0.to_owned()
}

fn finished(prompt: &PromptId, stop_reason: StopReason, rows_through: u64) -> Event {
    Event::PromptFinished {
        prompt: prompt.clone(),
        stop_reason,
        rows_through,
    }
}

fn stop_reason(result: Result<PromptOutcome, AcpError>) -> StopReason {
    let error = |message: String| StopReason::Error {
        message: redact(&message),
        code: None,
        hint: None,
    };
    match result {
        Ok(outcome) => match outcome.stop_reason {
            sam_acp::StopReason::EndTurn => StopReason::EndTurn,
            sam_acp::StopReason::MaxTokens => StopReason::MaxTokens,
            sam_acp::StopReason::MaxTurnRequests => StopReason::MaxTurnRequests,
            sam_acp::StopReason::Refusal => StopReason::Refusal,
            sam_acp::StopReason::Cancelled => StopReason::Cancelled,
            sam_acp::StopReason::Other(word) => error(format!("the agent stopped: {word}")),
        },
        Err(AcpError::Rpc { error: rpc, .. }) => {
            let fault = rpc.fault();
            StopReason::Error {
                message: redact(&match &rpc.data {
                    Some(serde_json::Value::String(detail)) => format!("{}: {detail}", rpc.message),
                    _ => rpc.message,
                }),
                code: fault.as_ref().and_then(|fault| word(&fault.code)),
                hint: fault
                    .and_then(|fault| fault.hint)
                    .map(|hint| redact(truncate(&hint, FAULT_HINT_BYTES).0)),
            }
        }
        Err(other) => error(other.to_string()),
    }
}
