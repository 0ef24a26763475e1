//! The project one looks at, followed over one WebSocket.
//!
//! Model: the reducers of `sam_domain` hold what the feed told; this module
//! moves frames between them and the socket and copies what changed into
//! signals, at most once a drawn frame. A row's signal is its own, so text that
//! grows redraws that row alone.
//!
//! Invariants:
//! - nothing is asked for twice in time: there is no polling, a lost
//!   connection is resumed from the cursors;
//! - one conversation's rows are held at a time, those of the open one;
//! - [`Link`] says what is true of the connection, and since when.

use crate::api::{self, Trouble};
use crate::outline::RowShape;
use crate::{backoff, browser, frame};
use leptos::leptos_dom::helpers::TimeoutHandle;
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::access::wire::ProjectView;
use sam_domain::conversation::reducer::{Applied, Conversation, ProjectState};
use sam_domain::conversation::row::Row;
use sam_domain::conversation::wire::{Activity, SessionView};
use sam_domain::feed::{ClientFrame, Scope, ServerFrame};
use sam_domain::id::{ProjectId, RowId, SessionId, TaskId};
use sam_domain::task::TaskView;
use sam_domain::time::Timestamp;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use wasm_bindgen::prelude::*;

/// The connection to the project's feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// No project is followed.
    Idle,
    /// The first connection is being made.
    Connecting,
    /// What is shown is the present.
    Live,
    /// What is shown was true until `since`.
    Lost {
        /// When the connection ended.
        since: Timestamp,
        /// When the next try is made; absent while one is under way.
        next_try: Option<Timestamp>,
    },
    /// The project is not there, or not for this person.
    Gone(Trouble),
}

/// What is followed, as signals.
#[derive(Clone, Copy)]
pub(crate) struct Live {
    /// The connection.
    pub(crate) link: RwSignal<Link>,
    /// Whether the project's tasks and conversations were read once.
    pub(crate) loaded: RwSignal<bool>,
    /// The project's tasks.
    pub(crate) tasks: RwSignal<BTreeMap<TaskId, Arc<TaskView>>>,
    /// The project's conversations, newest first.
    pub(crate) sessions: RwSignal<Vec<Arc<SessionView>>>,
    /// The open conversation's rows in the order shown.
    pub(crate) shapes: RwSignal<Vec<RowShape>>,
    /// Whether the open conversation was read up to the present once.
    pub(crate) read: RwSignal<bool>,
    /// What the open conversation's agent does.
    pub(crate) activity: RwSignal<Option<Activity>>,
    /// The open conversation is not there.
    pub(crate) missing: RwSignal<bool>,
    /// The session ended: the person has to sign in again.
    pub(crate) signed_out: RwSignal<bool>,
    inner: StoredValue<Inner, LocalStorage>,
}

#[derive(Default)]
struct Inner {
    project: Option<ProjectState>,
    project_id: Option<ProjectId>,
    open: Option<Conversation>,
    rows: HashMap<RowId, ArcRwSignal<Arc<Row>>>,
    socket: Option<Socket>,
    /// Grows with every socket; what an older one says is ignored.
    generation: u64,
    /// Tries since the feed last said hello.
    attempt: u32,
    lost_since: Option<Timestamp>,
    retry: Option<TimeoutHandle>,
    dirty_project: bool,
    dirty_rows: BTreeSet<RowId>,
    dirty_open: bool,
    dirty_shapes: bool,
    flush_planned: bool,
}

impl Live {
    /// Signals that follow nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            link: RwSignal::new(Link::Idle),
            loaded: RwSignal::new(false),
            tasks: RwSignal::new(BTreeMap::new()),
            sessions: RwSignal::new(Vec::new()),
            shapes: RwSignal::new(Vec::new()),
            read: RwSignal::new(false),
            activity: RwSignal::new(None),
            missing: RwSignal::new(false),
            signed_out: RwSignal::new(false),
            inner: StoredValue::new_local(Inner::default()),
        }
    }

    /// Follows what the address names, and no longer what it does not.
    pub(crate) fn follow(self, project: Option<&ProjectId>, session: Option<&SessionId>) {
        let same = self
            .inner
            .with_value(|inner| inner.project_id.as_ref() == project);
        if !same {
            self.leave();
            if let Some(project) = project {
                self.inner.update_value(|inner| {
                    inner.project = Some(ProjectState::new(project.clone()));
                    inner.project_id = Some(project.clone());
                });
                self.link.set(Link::Connecting);
                self.connect();
            }
        }
        self.open(session);
    }

    /// A row of the open conversation.
    pub(crate) fn row(self, id: &RowId) -> Option<ArcRwSignal<Arc<Row>>> {
        self.inner.with_value(|inner| inner.rows.get(id).cloned())
    }

    /// The conversation's entity, tracked.
    pub(crate) fn session(self, id: &SessionId) -> Option<Arc<SessionView>> {
        self.sessions
            .with(|sessions| sessions.iter().find(|s| s.id == *id).cloned())
    }

    /// Tries a lost connection again at once.
    pub(crate) fn retry_now(self) {
        let lost = self
            .link
            .with_untracked(|link| matches!(link, Link::Lost { .. }));
        if lost {
            self.inner.update_value(|inner| {
                if let Some(timer) = inner.retry.take() {
                    timer.clear();
                }
                inner.attempt = 0;
            });
            self.connect();
        }
    }

    /// Asks the feed where it is: a connection that died unnoticed (a laptop
    /// that slept) shows itself.
    pub(crate) fn probe(self) {
        self.retry_now();
        let mut frame = None;
        self.inner.update_value(|inner| {
            frame = inner.project.as_mut().map(ProjectState::follow);
        });
        if let Some(frame) = frame {
            self.send(&frame);
        }
    }

    fn leave(self) {
        self.inner.update_value(|inner| {
            if let Some(timer) = inner.retry.take() {
                timer.clear();
            }
            *inner = Inner {
                generation: inner.generation + 1,
                flush_planned: inner.flush_planned,
                ..Inner::default()
            };
        });
        self.link.set(Link::Idle);
        self.loaded.set(false);
        self.tasks.set(BTreeMap::new());
        self.sessions.set(Vec::new());
        self.forget_open();
    }

    fn forget_open(self) {
        self.shapes.set(Vec::new());
        self.read.set(false);
        self.activity.set(None);
        self.missing.set(false);
    }

    fn open(self, session: Option<&SessionId>) {
        let same = self
            .inner
            .with_value(|inner| inner.open.as_ref().map(Conversation::session) == session);
        if same {
            return;
        }
        let mut frames = Vec::new();
        self.inner.update_value(|inner| {
            if let Some(held) = inner.open.take() {
                frames.push(ClientFrame::Unfollow {
                    scope: Scope::Session(held.session().clone()),
                });
            }
            inner.rows.clear();
            inner.dirty_rows.clear();
            inner.open = session.cloned().map(Conversation::new);
            frames.extend(inner.open.as_mut().map(Conversation::follow));
        });
        self.forget_open();
        for frame in &frames {
            self.send(frame);
        }
    }

    fn send(self, frame: &ClientFrame) {
        let text = serde_json::to_string(frame).unwrap_or_default();
        self.inner.with_value(|inner| {
            if let Some(socket) = &inner.socket
                && socket.web_socket.ready_state() == web_sys::WebSocket::OPEN
            {
                // A socket that breaks here reports it by its close event.
                let _ = socket.web_socket.send_with_str(&text);
            }
        });
    }

    fn connect(self) {
        let mut project = None;
        let mut generation = 0;
        self.inner.update_value(|inner| {
            inner.generation += 1;
            inner.socket = None;
            inner.retry = None;
            generation = inner.generation;
            project = inner.project_id.clone();
        });
        let Some(project) = project else { return };
        self.link.update(|link| {
            if let Link::Lost { next_try, .. } = link {
                *next_try = None;
            }
        });
        let address = format!(
            "{}/api/projects/{project}/feed",
            browser::origin().replacen("http", "ws", 1)
        );
        match Socket::open(&address, self, generation) {
            Some(socket) => self.inner.update_value(|inner| inner.socket = Some(socket)),
            None => self.lost(generation, false),
        }
    }

    fn opened(self, generation: u64) {
        let mut frames = Vec::new();
        self.inner.update_value(|inner| {
            if inner.generation == generation {
                frames.extend(inner.project.as_mut().map(ProjectState::follow));
                frames.extend(inner.open.as_mut().map(Conversation::follow));
            }
        });
        for frame in &frames {
            self.send(frame);
        }
    }

    fn received(self, generation: u64, text: &str) {
        // A frame this page does not know is from a newer control plane; what
        // it carried shows as a gap and is asked for again.
        let Ok(frame) = frame::parse(text) else {
            return;
        };
        let mut replies = Vec::new();
        let mut welcomed = false;
        let mut refused = None;
        let loaded = self.loaded.get_untracked();
        let read = self.read.get_untracked();
        self.inner.update_value(|inner| {
            if inner.generation != generation {
                return;
            }
            welcomed = matches!(
                &frame,
                ServerFrame::Hello {
                    scope: Scope::Project(_),
                    ..
                }
            );
            if let ServerFrame::Refused { code, scope } = &frame {
                refused = Some((code.clone(), scope.clone()));
            }
            if let Some(project) = &mut inner.project {
                let applied = project.apply(&frame);
                inner.dirty_project |= applied.changed || (!loaded && project.is_current());
                replies.extend(applied.reply);
            }
            if let Some(open) = &mut inner.open {
                let Applied {
                    changed,
                    rows,
                    reset,
                    reply,
                } = open.apply(&frame);
                if reset {
                    inner.rows.clear();
                }
                inner.dirty_open |= changed || reset || (!read && open.is_current());
                // Text that grows moves nothing.
                inner.dirty_shapes |= !matches!(frame, ServerFrame::Delta { .. });
                inner.dirty_rows.extend(rows);
                replies.extend(reply);
            }
            if welcomed {
                inner.attempt = 0;
                inner.lost_since = None;
            }
        });
        if welcomed {
            self.link.set(Link::Live);
        }
        match refused {
            Some((_, Some(Scope::Session(session)))) => {
                let open = self.inner.with_value(|inner| {
                    inner.open.as_ref().map(Conversation::session) == Some(&session)
                });
                if open {
                    self.missing.set(true);
                }
            }
            Some((_, Some(Scope::Project(_)))) => self.judge(generation),
            _ => {}
        }
        for reply in &replies {
            self.send(reply);
        }
        self.plan_flush();
    }

    fn lost(self, generation: u64, was_open: bool) {
        let current = self
            .inner
            .with_value(|inner| inner.generation == generation && inner.project_id.is_some());
        if !current {
            return;
        }
        let mut next_try = Timestamp::default();
        self.inner.update_value(|inner| {
            let now = browser::now();
            let wait = backoff::wait(inner.attempt, browser::chance());
            next_try = now.plus(wait);
            inner.attempt = inner.attempt.saturating_add(1);
            inner.lost_since.get_or_insert(now);
            inner.socket = None;
            inner.retry =
                set_timeout_with_handle(move || self.connect(), Duration::from_millis(wait.0)).ok();
        });
        let since = self
            .inner
            .with_value(|inner| inner.lost_since)
            .unwrap_or_default();
        self.link.set(Link::Lost {
            since,
            next_try: Some(next_try),
        });
        if !was_open {
            self.judge(generation);
        }
    }

    /// A refused WebSocket does not say why; an ordinary request does.
    fn judge(self, generation: u64) {
        let project = self.inner.with_value(|inner| inner.project_id.clone());
        let Some(project) = project else { return };
        spawn_local(async move {
            let answer = api::get::<ProjectView>(&format!("/api/projects/{project}")).await;
            let current = self.inner.with_value(|inner| {
                inner.generation == generation && inner.project_id.as_ref() == Some(&project)
            });
            let Err(trouble) = answer else { return };
            if !current {
                return;
            }
            match trouble.status() {
                401 => {
                    self.leave();
                    self.signed_out.set(true);
                }
                403 | 404 => {
                    self.inner.update_value(|inner| {
                        if let Some(timer) = inner.retry.take() {
                            timer.clear();
                        }
                        inner.generation += 1;
                        inner.socket = None;
                    });
                    self.link.set(Link::Gone(trouble));
                }
                _ => {}
            }
        });
    }

    /// Copies changes into signals before the next drawn frame; a page that
    /// nobody sees draws none, so a timer stands in.
    fn plan_flush(self) {
        let mut plan = false;
        self.inner.update_value(|inner| {
            plan = !inner.flush_planned && (inner.dirty_project || inner.dirty_open);
            inner.flush_planned |= plan;
        });
        if !plan {
            return;
        }
        if browser::visible() {
            request_animation_frame(move || self.flush());
        } else {
            set_timeout(move || self.flush(), Duration::from_millis(250));
        }
    }

    fn flush(self) {
        let mut project = None;
        let mut loaded = false;
        let mut open = None;
        let mut changed = Vec::new();
        self.inner.update_value(|inner| {
            inner.flush_planned = false;
            if std::mem::take(&mut inner.dirty_project)
                && let Some(state) = &inner.project
            {
                let tasks: Vec<TaskView> = state.tasks().cloned().collect();
                let sessions: Vec<SessionView> = state.sessions().cloned().collect();
                loaded = state.is_current();
                project = Some((tasks, sessions));
            }
            if std::mem::take(&mut inner.dirty_open)
                && let Some(conversation) = &inner.open
            {
                for id in std::mem::take(&mut inner.dirty_rows) {
                    match (conversation.row(&id), inner.rows.get(&id)) {
                        (Some(row), Some(signal)) => {
                            changed.push((signal.clone(), Arc::new(row.clone())));
                        }
                        (Some(row), None) => {
                            inner
                                .rows
                                .insert(id, ArcRwSignal::new(Arc::new(row.clone())));
                        }
                        (None, _) => {
                            inner.rows.remove(&id);
                        }
                    }
                }
                let shapes = std::mem::take(&mut inner.dirty_shapes)
                    .then(|| conversation.rows().map(RowShape::of).collect::<Vec<_>>());
                let activity = conversation.activity().cloned();
                open = Some((shapes, activity, conversation.is_current()));
            }
        });
        if let Some((tasks, sessions)) = project {
            self.show_project(tasks, sessions);
            if loaded {
                self.loaded.set(true);
            }
        }
        for (signal, row) in changed {
            signal.set(row);
        }
        if let Some((shapes, activity, current)) = open {
            if let Some(shapes) = shapes
                && self.shapes.with_untracked(|held| *held != shapes)
            {
                self.shapes.set(shapes);
            }
            if self.activity.with_untracked(|held| *held != activity) {
                self.activity.set(activity);
            }
            if current && !self.read.get_untracked() {
                self.read.set(true);
            }
        }
    }

    fn show_project(self, tasks: Vec<TaskView>, sessions: Vec<SessionView>) {
        let same_tasks = self.tasks.with_untracked(|held| {
            held.len() == tasks.len()
                && tasks
                    .iter()
                    .all(|task| held.get(&task.id).is_some_and(|held| **held == *task))
        });
        if !same_tasks {
            self.tasks.update(|held| {
                let before = std::mem::take(held);
                for task in tasks {
                    let kept = before.get(&task.id).filter(|held| ***held == task);
                    let id = task.id.clone();
                    held.insert(id, kept.cloned().unwrap_or_else(|| Arc::new(task)));
                }
            });
        }
        let same_sessions = self.sessions.with_untracked(|held| {
            held.len() == sessions.len() && held.iter().zip(&sessions).all(|(a, b)| **a == *b)
        });
        if !same_sessions {
            self.sessions
                .set(sessions.into_iter().map(Arc::new).collect());
        }
    }
}

/// A WebSocket with its callbacks, which live as long as it does.
struct Socket {
    web_socket: web_sys::WebSocket,
    _on_open: Closure<dyn FnMut()>,
    _on_message: Closure<dyn FnMut(web_sys::MessageEvent)>,
    _on_close: Closure<dyn FnMut()>,
}

impl Socket {
    fn open(address: &str, live: Live, generation: u64) -> Option<Self> {
        let web_socket = web_sys::WebSocket::new(address).ok()?;
        let was_open = Rc::new(Cell::new(false));
        let opened = Rc::clone(&was_open);
        let on_open = Closure::new(move || {
            opened.set(true);
            live.opened(generation);
        });
        let on_message = Closure::new(move |event: web_sys::MessageEvent| {
            if let Some(text) = event.data().as_string() {
                live.received(generation, &text);
            }
        });
        // In a task of its own: handling the end drops this very callback.
        let on_close = Closure::new(move || {
            let was_open = was_open.get();
            spawn_local(async move { live.lost(generation, was_open) });
        });
        web_socket.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        web_socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        web_socket.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        Some(Self {
            web_socket,
            _on_open: on_open,
            _on_message: on_message,
            _on_close: on_close,
        })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.web_socket.set_onopen(None);
        self.web_socket.set_onmessage(None);
        self.web_socket.set_onclose(None);
        // Closing one that is already closed is nothing.
        let _ = self.web_socket.close();
    }
}
