//! Following a task live.
//!
//! Model: one feed socket carries the project (tasks, sessions, prompts) and
//! the task's conversation (rows). [`view::View`] takes frames in with the
//! shared reducer and knows when both scopes have reached the present; only
//! then is anything shown, because pages arrive in the order of changes, not
//! of the conversation. What is shown goes to people ([`transcript`] decides
//! which lines are final, [`screen`] draws them and redraws what still moves)
//! or to programs ([`events`]).
//!
//! Invariants:
//! - A line once printed is never taken back, and no row is printed twice, also
//!   across reconnects: the cursor continues where it was.
//! - Following ends only when the task is over or waits for a person, and all
//!   rows up to then are shown.
//! - Leaving (Ctrl-C) changes nothing about the task.

mod events;
mod outcome;
mod render;
mod screen;
mod transcript;
mod view;

pub(crate) use render::{failure_lines, result_facts, step_line, usage_line};

use crate::api::{Api, Call, FeedError, FeedSocket};
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::output::{Output, time};
use events::Events;
use outcome::Outcome;
use sam_domain::access::route::RouteId;
use sam_domain::access::wire::SetupStatus;
use sam_domain::budget::call::UsageSummary;
use sam_domain::conversation::row::Row;
use sam_domain::id::{Id, ProjectId, RowId, SessionId, TaskId};
use sam_domain::task::TaskView;
use screen::Screen;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::{Duration, Instant};
use transcript::Transcript;
use view::View;

/// How often elapsed times are redrawn on a terminal.
const TICK: Duration = Duration::from_millis(100);
/// Silence after which the other side is asked for a sign of life.
const PING_AFTER: Duration = Duration::from_secs(20);
/// Silence after which the connection counts as lost.
const LOST_AFTER: Duration = Duration::from_secs(50);
/// First and longest pause before connecting again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// How long the first connection may take in all.
const FIRST_LIMIT: Duration = Duration::from_secs(5);
/// How long an interruption may last before following gives up.
const OUTAGE_LIMIT: Duration = Duration::from_secs(600);

/// What to follow.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The task whose end is awaited.
    pub(crate) task: TaskId,
    /// Its project.
    pub(crate) project: ProjectId,
    /// Its conversation.
    pub(crate) session: SessionId,
    /// The row to show from; the task's beginning when absent.
    pub(crate) from: Option<RowId>,
    /// Whether it is talk: then an answer is what was waited for.
    pub(crate) chat: bool,
}

impl Target {
    /// A whole task.
    pub(crate) fn task(task: &TaskView) -> Self {
        Self {
            task: task.id.clone(),
            project: task.project.clone(),
            session: task.session.clone(),
            from: None,
            chat: false,
        }
    }
}

/// Rows that were read, as the lines that following would have left.
pub(crate) fn as_lines(out: &Output, rows: &[Row]) -> Vec<String> {
    Transcript::of_rows(out.style, out.columns, rows)
}

/// The model calls of a task; none where they cannot be had.
pub(crate) async fn usage(api: &Api, task: &TaskId) -> Option<UsageSummary> {
    api.json(Call::new(RouteId::TaskUsage, &[task.as_str()]))
        .await
        .ok()
}

/// Follows `target` to its end and shows it.
pub(crate) async fn run(context: &Context, api: &Api, target: Target) -> Result<Exit, Failure> {
    let server: Option<SetupStatus> = api.json(Call::new(RouteId::SetupStatus, &[])).await.ok();
    let out = context.out;
    let show = if out.json {
        Show::Programs(Events::new(out))
    } else {
        Show::People(Transcript::new(out.style, server), Screen::new(out))
    };
    let task = target.task.clone();
    let mut follower = Follower {
        api,
        view: View::new(target),
        show,
        connected: false,
    };
    match follower.until_over().await? {
        End::Over(outcome) => {
            let usage = usage(api, &task).await;
            follower.finish(outcome, usage)?;
            Ok(if follower.view.is_answered(outcome) {
                Exit::Ok
            } else {
                outcome.exit()
            })
        }
        End::Left => {
            follower.leave();
            crate::output::note(&format!(
                "Left. The task goes on.\n  watch it again: sam task follow {task}\n  cancel it:      sam task cancel {task}"
            ));
            Ok(Exit::Detached)
        }
    }
}

/// How following ended.
#[derive(Debug)]
enum End {
    Over(Outcome),
    Left,
}

/// How one connection ended.
#[derive(Debug)]
enum Watched {
    End(End),
    Lost(String),
}

/// To whom it is shown.
#[derive(Debug)]
enum Show {
    People(Transcript, Screen),
    Programs(Events),
}

type Interrupt = Pin<Box<dyn Future<Output = io::Result<()>>>>;

struct Follower<'a> {
    api: &'a Api,
    view: View,
    show: Show,
    connected: bool,
}

impl Follower<'_> {
    async fn until_over(&mut self) -> Result<End, Failure> {
        let mut interrupt: Interrupt = Box::pin(tokio::signal::ctrl_c());
        let mut pause = BACKOFF.0;
        let mut ever_connected = false;
        let mut since = Instant::now();
        loop {
            self.view.begin_connection();
            let opened = tokio::select! {
                opened = FeedSocket::open(self.api, &self.view.target().project) => opened,
                _ = &mut interrupt => return Ok(End::Left),
            };
            let why = match opened {
                Ok(socket) => match self.watch(socket, &mut interrupt).await? {
                    Watched::End(end) => return Ok(end),
                    Watched::Lost(why) => why,
                },
                Err(FeedError::Refused(failure)) => return Err(failure),
                Err(FeedError::Lost(why)) => why,
            };
            if self.connected {
                // The connection had worked: a new outage begins.
                self.connected = false;
                ever_connected = true;
                since = Instant::now();
                pause = BACKOFF.0;
                self.note(&format!("Connection lost ({why}); connecting again…"))?;
            }
            let limit = if ever_connected {
                OUTAGE_LIMIT
            } else {
                FIRST_LIMIT
            };
            if since.elapsed() + pause > limit {
                return Err(self.gave_up(&why));
            }
            if self.rest(pause, &mut interrupt).await? {
                return Ok(End::Left);
            }
            pause = (pause * 2).min(BACKOFF.1);
        }
    }

    fn gave_up(&self, why: &str) -> Failure {
        Failure::Unreachable {
            message: format!("{} cannot be followed: {why}.", self.api.base()),
            hint: Some(format!(
                "The task is not affected. Watch it again: sam task follow {}",
                self.view.target().task
            )),
        }
    }

    /// Waits for `pause`; true when the person leaves meanwhile.
    async fn rest(&mut self, pause: Duration, interrupt: &mut Interrupt) -> Result<bool, Failure> {
        let until = tokio::time::Instant::now() + pause;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return Ok(false),
                () = tokio::time::sleep(TICK) => self.draw()?,
                _ = &mut *interrupt => return Ok(true),
            }
        }
    }

    async fn watch(
        &mut self,
        mut socket: FeedSocket,
        interrupt: &mut Interrupt,
    ) -> Result<Watched, Failure> {
        for frame in self.view.follow() {
            if let Err(error) = socket.send(&frame).await {
                return lost(error);
            }
        }
        let mut heard = Instant::now();
        let mut asked = heard;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                received = socket.next() => {
                    heard = Instant::now();
                    let frame = match received {
                        Ok(Some(frame)) => frame,
                        Ok(None) => continue,
                        Err(error) => return lost(error),
                    };
                    if let Some(reply) = self.view.apply(&frame)?
                        && let Err(error) = socket.send(&reply).await
                    {
                        return lost(error);
                    }
                    self.heard()?;
                    if let Some(outcome) = self.view.outcome()? {
                        socket.close().await;
                        return Ok(Watched::End(End::Over(outcome)));
                    }
                    self.draw()?;
                }
                _ = tick.tick() => {
                    if heard.elapsed() > LOST_AFTER {
                        return Ok(Watched::Lost("the server is silent".to_owned()));
                    }
                    if heard.elapsed() > PING_AFTER && asked.elapsed() > PING_AFTER {
                        asked = Instant::now();
                        if let Err(error) = socket.ping().await {
                            return lost(error);
                        }
                    }
                    if self.is_drawn() {
                        self.draw()?;
                    }
                }
                _ = &mut *interrupt => {
                    socket.close().await;
                    return Ok(Watched::End(End::Left));
                }
            }
        }
    }

    /// The first frame of a connection proves that it works.
    fn heard(&mut self) -> Result<(), Failure> {
        if !self.connected {
            self.connected = true;
            if self.view.is_resumed() {
                self.note("Connected again.")?;
            }
        }
        Ok(())
    }

    const fn is_drawn(&self) -> bool {
        matches!(&self.show, Show::People(_, screen) if screen.is_live())
    }

    fn draw(&mut self) -> Result<(), Failure> {
        match &mut self.show {
            Show::Programs(events) => events.show(&self.view),
            Show::People(transcript, screen) => {
                let size = screen.size();
                transcript.resize(size.map(|(columns, _)| columns));
                let lines = transcript.commit(&self.view, false);
                let live = size.map_or_else(Vec::new, |(_, rows)| {
                    transcript.live(&self.view, self.connected, time::now(), rows)
                });
                screen.draw(&lines, &live)
            }
        }
    }

    fn note(&mut self, text: &str) -> Result<(), Failure> {
        if let Show::People(_, screen) = &mut self.show {
            screen.clear()?;
        }
        crate::output::note(text);
        Ok(())
    }

    fn finish(&mut self, outcome: Outcome, usage: Option<UsageSummary>) -> Result<(), Failure> {
        match &mut self.show {
            Show::Programs(events) => events.finish(&self.view, outcome, usage),
            Show::People(transcript, screen) => {
                let mut lines = transcript.commit(&self.view, true);
                lines.extend(transcript.ending(&self.view, outcome, usage.as_ref()));
                screen.draw(&lines, &[])?;
                if self.view.is_answered(outcome) {
                    let session = self.view.target().session.short();
                    crate::output::note(&format!("Go on: sam chat send {session} \"…\" --follow"));
                } else if outcome == Outcome::AwaitingInput {
                    let task = self.view.target().task.short();
                    crate::output::note(&format!(
                        "It is your turn.\n  answer:     sam task prompt {task} \"…\" --follow\n  \
                         take it:    sam task close {task}\n  give it up: sam task cancel {task}"
                    ));
                }
                Ok(())
            }
        }
    }

    /// Leaves the screen as it is, below what was drawn.
    fn leave(&mut self) {
        if let Show::People(_, screen) = &mut self.show {
            // The person is leaving; a terminal that went away changes nothing.
            let _ = screen.clear();
        }
    }
}

fn lost(error: FeedError) -> Result<Watched, Failure> {
    match error {
        FeedError::Lost(why) => Ok(Watched::Lost(why)),
        FeedError::Refused(failure) => Err(failure),
    }
}
