//! Followers of the project, at both ends of their sockets.
//!
//! The store and the wires are modelled; what is paged and who is sent what
//! ([`Follower`], [`Audience`]) and what a follower makes of it
//! ([`ProjectState`], [`Conversation`]) are the real ones. The object remembers
//! nothing of a follower but its socket's attachment, which is text.

mod store;

use super::*;
use crate::coverage::{cursor_word, follower_word};
use sam_domain::access::internal::SOCKET_AUTHORISATION;
use sam_domain::conversation::reducer::{Conversation, ProjectState};
use sam_domain::conversation::row::{Author, Row, RowBody, TextBody};
use sam_domain::feed::audience::{Audience, News};
use sam_domain::feed::cursor::Cursor;
use sam_domain::feed::follower::{Follower, Received, Reply};
use sam_domain::feed::history::Changed;
use sam_domain::feed::{Entity, Scope};
use store::{Key, Store};

/// Conversations that one follower follows.
const CONVERSATIONS: usize = 3;

/// A project's history and who follows it.
pub(crate) struct Feed {
    project: ProjectId,
    store: Store,
    /// What a restore goes back to.
    saved: Option<Store>,
    pub(super) clients: Vec<Client>,
    next_socket: u64,
    fifo: BTreeMap<(u64, bool), Timestamp>,
}

impl Client {
    /// The follower that the object wakes up with.
    fn follower(&self) -> Follower {
        serde_json::from_str(&self.attachment).unwrap_or(Follower::new(Timestamp(0)))
    }

    fn attach(&mut self, follower: &Follower) {
        self.attachment = serde_json::to_string(follower).unwrap_or_default();
    }
}

/// A browser or a terminal.
pub(super) struct Client {
    socket: Option<u64>,
    /// What the object keeps at the socket, as text; empty without one.
    attachment: String,
    project: ProjectState,
    conversations: BTreeMap<SessionId, Conversation>,
}

impl Feed {
    pub(super) fn new(project: ProjectId) -> Self {
        Self {
            store: Store::new(project.clone()),
            project,
            saved: None,
            clients: Vec::new(),
            next_socket: 0,
            fifo: BTreeMap::new(),
        }
    }

    /// The history as it was when the project was new, with its conversations.
    fn emptied(&self) -> Store {
        let mut store = Store::new(self.project.clone());
        store.skips = self.store.skips;
        for scope in self.store.scopes.keys() {
            store.scopes.entry(scope.clone()).or_default();
        }
        store
    }

    /// Whether a follower that says it is up to date holds what is stored.
    ///
    /// # Errors
    /// What it holds instead.
    pub(crate) fn agree(&self, client: usize) -> Result<(), String> {
        let Some(held) = self.clients.get(client) else {
            return Ok(());
        };
        let scope = Scope::Project(self.project.clone());
        let present = self
            .store
            .scopes
            .get(&scope)
            .map_or(0, |kept| kept.counters.seq);
        let epoch = self.store.name();
        let is_current = |cursor: &Cursor, present| {
            let same = cursor.epoch() == Some(epoch.as_str());
            same && cursor.is_current() && cursor.seq() == present
        };
        if is_current(held.project.cursor(), present) {
            let kept = self.store.scopes.get(&scope);
            for (_, entity) in kept.into_iter().flat_map(|kept| kept.entities.values()) {
                let same = match entity {
                    Entity::Task(task) => held.project.task(&task.id) == Some(task),
                    Entity::Session(session) => held.project.session(&session.id) == Some(session),
                    _ => true,
                };
                if !same {
                    return Err(format!("follower {client} does not hold {entity:?}"));
                }
            }
            let shown = held.project.tasks().count() + held.project.sessions().count();
            let stored = kept.map_or(0, |kept| kept.entities.len());
            if shown != stored {
                return Err(format!(
                    "follower {client} holds {shown} of {stored} entities"
                ));
            }
        }
        for (session, conversation) in &held.conversations {
            let kept = self.store.scopes.get(&Scope::Session(session.clone()));
            let present = kept.map_or(0, |kept| kept.counters.seq);
            if !is_current(conversation.cursor(), present) {
                continue;
            }
            let stored = self.store.rows(session);
            if !conversation.rows().eq(stored.iter().copied()) {
                let shown = conversation.rows().count();
                return Err(format!(
                    "follower {client} shows {shown} rows of {session}, stored are {}, or others",
                    stored.len()
                ));
            }
        }
        Ok(())
    }

    /// Whether every follower is up to date, and agrees.
    ///
    /// # Errors
    /// Who does not.
    pub(crate) fn at_rest(&self) -> Result<(), String> {
        for (number, client) in self.clients.iter().enumerate() {
            let scope = Scope::Project(self.project.clone());
            let present = self
                .store
                .scopes
                .get(&scope)
                .map_or(0, |kept| kept.counters.seq);
            let behind = !client.project.is_current() || client.project.cursor().seq() != present;
            if behind {
                return Err(format!("follower {number} is behind with the project"));
            }
            for (session, conversation) in &client.conversations {
                let kept = self.store.scopes.get(&Scope::Session(session.clone()));
                let Some(kept) = kept else {
                    continue;
                };
                if conversation.cursor().seq() != kept.counters.seq {
                    return Err(format!("follower {number} is behind with {session}"));
                }
            }
            self.agree(number)?;
        }
        Ok(())
    }
}

impl World {
    pub(super) fn plan_feed(&mut self) {
        let Some(project) = self.feed.as_ref().map(|feed| feed.project.clone()) else {
            return;
        };
        let skips = (self.defect == Some(Defect::FeedSkipsOne)).then_some(7);
        for client in 0..=self.random.below(3) as usize {
            let at = Millis(self.random.below(ACTIVE.0 / 2));
            self.after(at, Happening::FeedDial(client));
            let project = ProjectState::new(project.clone());
            if let Some(feed) = &mut self.feed {
                feed.store.skips = skips;
                feed.clients.push(Client {
                    socket: None,
                    attachment: String::new(),
                    project,
                    conversations: BTreeMap::new(),
                });
            }
        }
        for _ in 0..self.random.below(12) {
            let at = Millis(self.random.below(ACTIVE.0));
            self.after(at, Happening::FeedTrouble);
        }
    }

    // --- what is stored -----------------------------------------------------

    /// What a conversation asks to be stored and shown.
    pub(super) fn feed_output(&mut self, address: &Address, output: SessionOutput) {
        let Address::Session { session, .. } = address else {
            return;
        };
        let Some(feed) = &mut self.feed else {
            return;
        };
        match output {
            SessionOutput::PutRow {
                id,
                rev,
                author,
                at,
                body,
            } => {
                let mut row = row(session, id.clone(), author, at, body);
                row.rev = rev;
                let scope = Scope::Session(session.clone());
                let put = (Key::Row(id), Entity::Row(Box::new(row)));
                let changed = feed.store.put(&scope, [put]);
                self.feed_changed(scope, changed);
            }
            SessionOutput::PutTask(view) => {
                let scope = Scope::Project(feed.project.clone());
                let key = Key::Task(view.id.clone());
                let kept = feed.store.scopes.get(&scope);
                let held = kept.and_then(|kept| kept.entities.get(&key));
                if matches!(held, Some((_, Entity::Task(held))) if held.rev >= view.rev) {
                    return;
                }
                let changed = feed.store.put(&scope, [(key, Entity::Task(view))]);
                self.feed_changed(scope, changed);
            }
            SessionOutput::Activity(_) | SessionOutput::CheckRows { .. } => {}
        }
    }

    /// The conversation as it is now, when it changed.
    pub(super) fn feed_session(&mut self, address: &Address) {
        let Some(feed) = &mut self.feed else {
            return;
        };
        let Some(view) = self.sessions.get(address).and_then(|a| a.state.view()) else {
            return;
        };
        let scope = Scope::Project(feed.project.clone());
        let key = Key::Session(view.id.clone());
        let kept = feed.store.scopes.get(&scope);
        let held = kept.and_then(|kept| kept.entities.get(&key));
        if matches!(held, Some((_, Entity::Session(held))) if held.rev >= view.rev) {
            return;
        }
        feed.store
            .scopes
            .entry(Scope::Session(view.id.clone()))
            .or_default();
        let put = (key, Entity::Session(Box::new(view)));
        let changed = feed.store.put(&scope, [put]);
        self.feed_changed(scope, changed);
    }

    /// Rows of a workspace were stored: those after `stored` up to `through`.
    pub(super) fn feed_rows(
        &mut self,
        address: &Address,
        workspace: &WorkspaceId,
        attempt: u32,
        stored: u64,
        through: u64,
    ) {
        let Address::Session { session, .. } = address else {
            return;
        };
        let Some(feed) = &mut self.feed else {
            return;
        };
        let put = (stored + 1..=through).map(|n| {
            let number = workspace
                .as_str()
                .bytes()
                .fold(u128::from(n), |hash, byte| {
                    hash.wrapping_mul(1_099_511_628_211) ^ u128::from(byte)
                });
            let id = RowId::mint(Timestamp(n), number);
            let body = RowBody::Text(TextBody::default());
            let mut row = row(session, id.clone(), Author::Agent, self.now, body);
            row.attempt = attempt;
            (Key::Row(id), Entity::Row(Box::new(row)))
        });
        let scope = Scope::Session(session.clone());
        let changed = feed.store.put(&scope, put);
        self.feed_changed(scope, changed);
    }

    /// Tells everybody who is live on the scope.
    fn feed_changed(&mut self, scope: Scope, changed: Option<Changed<Entity>>) {
        let now = self.object_now();
        let (Some(feed), Some(changed)) = (&self.feed, changed) else {
            return;
        };
        let news = match &scope {
            Scope::Project(_) => News::Project,
            Scope::Session(session) => News::Rows(session),
        };
        let clients = feed.clients.iter().enumerate();
        let followers = clients
            .filter_map(|(number, client)| Some(((number, client.socket?), client.follower())));
        let mut expired = Vec::new();
        let audience = Audience::gather(followers, now, |socket| expired.push(socket));
        let hearing: Vec<(usize, u64)> = audience.of(news).copied().collect();
        let to = changed.to();
        let frame = ServerFrame::Changes {
            scope,
            from: changed.from,
            to,
            entities: changed.entities,
            more: false,
        };
        for (client, socket) in hearing {
            self.feed_send(client, socket, frame.clone());
        }
        for (client, _) in expired {
            self.feed_expired(client);
        }
    }

    // --- trouble ---------------------------------------------------------------

    /// Something is deleted, tombstones are purged, the history is saved, or
    /// one that was saved is restored.
    pub(super) fn feed_trouble(&mut self) {
        let what = self.random.below(14);
        let pick = self.random.next() as usize;
        // Somebody is not there while it happens.
        if what >= 12 {
            let clients = self.feed.as_ref().map_or(0, |feed| feed.clients.len());
            if let Some(away) = (pick / 3).checked_rem(clients) {
                self.feed_hang_up(away);
            }
        }
        let Some(feed) = &mut self.feed else {
            return;
        };
        let scopes: Vec<Scope> = feed.store.scopes.keys().cloned().collect();
        let Some(scope) = pick.checked_rem(scopes.len()).and_then(|at| scopes.get(at)) else {
            return;
        };
        let kept = feed.store.scopes.get(scope);
        match what {
            0..=3 | 12.. => {
                let keys: Vec<Key> = kept
                    .into_iter()
                    .flat_map(|kept| kept.entities.keys().cloned())
                    .collect();
                let key = (pick / 7)
                    .checked_rem(keys.len())
                    .and_then(|at| keys.get(at));
                let deleted = key.and_then(|key| feed.store.delete(scope, key));
                if deleted.is_some() {
                    self.ledger.counts.tombstones += 1;
                    if what >= 12 {
                        let moved = feed.store.purge(scope, u64::MAX, self.defect);
                        self.ledger.counts.purges += u64::from(moved);
                    }
                    self.feed_changed(scope.clone(), deleted);
                    // Somebody asks again before it hears of it.
                    if what == 13 {
                        self.feed_afresh(pick / 11);
                    }
                    self.after(Millis(1_000), Happening::FeedTrouble);
                }
            }
            4..=6 => {
                let seq = kept.map_or(0, |kept| kept.counters.seq);
                let through = seq.saturating_sub((pick % 3) as u64);
                let moved = feed.store.purge(scope, through, self.defect);
                self.ledger.counts.purges += u64::from(moved);
            }
            7 => feed.saved = Some(feed.store.clone()),
            8 | 9 => self.feed_afresh(pick),
            _ => {
                let empty = (pick.is_multiple_of(2)).then(|| feed.emptied());
                if let Some(saved) = empty.or_else(|| feed.saved.clone()) {
                    let epoch = feed.store.epoch;
                    let next = match self.defect {
                        Some(Defect::EpochKept) => epoch,
                        _ => epoch + 1,
                    };
                    feed.store = Store {
                        epoch: next,
                        ..saved
                    };
                    self.ledger.counts.restores += 1;
                    self.feed_crashed();
                }
            }
        }
    }

    /// A follower follows a conversation again on the same socket, from where it
    /// is or, having forgotten it, from its beginning.
    fn feed_afresh(&mut self, pick: usize) {
        let Some(feed) = &mut self.feed else {
            return;
        };
        let count = feed.clients.len();
        let Some(client) = pick.checked_rem(count) else {
            return;
        };
        let Some(held) = feed.clients.get_mut(client) else {
            return;
        };
        let (Some(socket), Some(session)) = (held.socket, held.conversations.keys().next()) else {
            return;
        };
        let session = session.clone();
        let fresh = || Conversation::new(session.clone());
        let conversation = held
            .conversations
            .entry(session.clone())
            .or_insert_with(fresh);
        if !pick.is_multiple_of(3) {
            *conversation = fresh();
        }
        let frame = conversation.follow();
        self.feed_say(client, socket, frame);
    }

    /// The project's object died: its followers' sockets are gone.
    pub(super) fn feed_crashed(&mut self) {
        let clients = self.feed.as_ref().map_or(0, |feed| feed.clients.len());
        for client in 0..clients {
            self.feed_hang_up(client);
        }
    }

    pub(super) fn feed_cut(&mut self, client: usize) {
        if self.faults {
            self.feed_hang_up(client);
        }
    }

    /// The object closes the socket of somebody whose authorisation has run out.
    fn feed_expired(&mut self, client: usize) {
        self.ledger.counts.expired += 1;
        self.feed_hang_up(client);
    }

    fn feed_hang_up(&mut self, client: usize) {
        let Some(held) = self.feed.as_mut().and_then(|f| f.clients.get_mut(client)) else {
            return;
        };
        if held.socket.take().is_none() {
            return;
        }
        let gone = held.follower();
        held.attachment.clear();
        let followed: Vec<SessionId> = held.conversations.keys().cloned().collect();
        for session in followed.iter().map(Some).chain([None]) {
            let from = follower_word(gone.standing(session));
            self.coverage.note("follower", from, "closed", "absent");
        }
        let span = self.random.span(500, 60_000);
        self.after(span, Happening::FeedDial(client));
    }

    // --- the wires ---------------------------------------------------------------

    pub(super) fn feed_dial(&mut self, client: usize) {
        let afresh = self.breaks(10);
        if self.breaks(10) {
            // In the midst of catching up.
            let span = self.random.span(100, 3_000);
            self.after(span, Happening::FeedTrouble);
        }
        let until = self.object_now().plus(SOCKET_AUTHORISATION);
        let Some(feed) = &mut self.feed else {
            return;
        };
        let Some(held) = feed.clients.get_mut(client).filter(|c| c.socket.is_none()) else {
            return;
        };
        feed.next_socket += 1;
        let socket = feed.next_socket;
        held.socket = Some(socket);
        held.attach(&Follower::new(until));
        if afresh {
            held.project = ProjectState::new(feed.project.clone());
            held.conversations.clear();
        }
        let mut frames = vec![held.project.follow()];
        frames.extend(held.conversations.values_mut().map(Conversation::follow));
        for frame in frames {
            self.feed_say(client, socket, frame);
        }
        if self.faults {
            let span = self.random.span(10_000, 1_200_000);
            self.after(span, Happening::FeedCut(client));
        }
    }

    fn feed_travel(&mut self, socket: u64, down: bool) -> Timestamp {
        let at = self.now.plus(self.random.span(1, 400));
        let Some(feed) = &mut self.feed else {
            return at;
        };
        let last = feed.fifo.entry((socket, down)).or_insert(at);
        *last = (*last).max(at);
        *last
    }

    fn feed_say(&mut self, client: usize, socket: u64, frame: ClientFrame) {
        let at = self.feed_travel(socket, false);
        let happening = Happening::FeedUp {
            client,
            socket,
            frame,
        };
        self.at(at, happening);
    }

    fn feed_send(&mut self, client: usize, socket: u64, frame: ServerFrame) {
        let at = self.feed_travel(socket, true);
        let happening = Happening::FeedDown {
            client,
            socket,
            frame,
        };
        self.at(at, happening);
    }

    /// A frame of a follower arrives at the object.
    pub(super) fn feed_up(&mut self, client: usize, socket: u64, frame: ClientFrame) {
        let now = self.object_now();
        let Some(feed) = &mut self.feed else {
            return;
        };
        let Some(held) = feed
            .clients
            .get_mut(client)
            .filter(|c| c.socket == Some(socket))
        else {
            return;
        };
        let word = frame.word();
        let text = serde_json::to_string(&frame).unwrap_or_default();
        let session = match frame {
            ClientFrame::Follow { scope, .. }
            | ClientFrame::Next { scope, .. }
            | ClientFrame::Unfollow { scope } => match scope {
                Scope::Project(_) => None,
                Scope::Session(session) => Some(session),
            },
        };
        let mut follower = held.follower();
        let before = follower_word(follower.standing(session.as_ref()));
        let Ok(received) = follower.receive(&feed.store, &text, now);
        let after = follower_word(follower.standing(session.as_ref()));
        if self.defect != Some(Defect::FollowerForgotten) {
            held.attach(&follower);
        }
        self.coverage.note("follower", before, word, after);
        let replies = match received {
            Received::Replies(replies) => replies,
            Received::Expired => return self.feed_expired(client),
        };
        for reply in replies {
            let frame = match reply {
                Reply::Frame(frame) => frame,
                Reply::Page { scope, from, page } => ServerFrame::Changes {
                    scope,
                    from,
                    to: page.to,
                    entities: page.entities,
                    more: page.more,
                },
            };
            self.feed_send(client, socket, frame);
        }
    }

    /// A frame arrives at a follower.
    pub(super) fn feed_down(&mut self, client: usize, socket: u64, frame: &ServerFrame) {
        let compares = self.random.chance(10);
        let impatient = self.breaks(5);
        let Some(feed) = &mut self.feed else {
            return;
        };
        let Some(held) = feed
            .clients
            .get_mut(client)
            .filter(|c| c.socket == Some(socket))
        else {
            return;
        };
        self.ledger.counts.heard += 1;
        let word = frame.word();
        let before = cursor_word(held.project.cursor());
        let applied = held.project.apply(frame);
        let after = cursor_word(held.project.cursor());
        self.coverage.note("cursor", before, word, after);
        let mut replies: Vec<_> = applied.reply.into_iter().collect();
        let mut resets = u64::from(applied.reset);
        for conversation in held.conversations.values_mut() {
            let before = cursor_word(conversation.cursor());
            let applied = conversation.apply(frame);
            let after = cursor_word(conversation.cursor());
            self.coverage.note("cursor", before, word, after);
            // Instead of pulling the next page it follows again from where it is.
            replies.extend(applied.reply.map(|reply| match impatient {
                true => conversation.follow(),
                false => reply,
            }));
            resets += u64::from(applied.reset);
        }
        self.ledger.counts.resets += resets;
        if let ServerFrame::Refused {
            scope: Some(Scope::Session(session)),
            ..
        } = frame
        {
            held.conversations.remove(session);
        }
        let new: Vec<SessionId> = held
            .project
            .sessions()
            .map(|session| session.id.clone())
            .filter(|session| !held.conversations.contains_key(session))
            .take(CONVERSATIONS.saturating_sub(held.conversations.len()))
            .collect();
        for session in new {
            let mut conversation = Conversation::new(session.clone());
            replies.push(conversation.follow());
            held.conversations.insert(session, conversation);
        }
        if compares {
            let agrees = feed.agree(client);
            self.ledger.feed.heard(agrees);
        }
        for reply in replies {
            self.feed_say(client, socket, reply);
        }
    }
}

/// A row that is stored for the first time.
fn row(session: &SessionId, id: RowId, author: Author, at: Timestamp, body: RowBody) -> Row {
    Row {
        id,
        session: session.clone(),
        seq: 0,
        pos: 0,
        attempt: 0,
        rev: 1,
        author,
        created_at: at,
        body,
    }
}
