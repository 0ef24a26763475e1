//! NodeLifecycle: what is on a machine, and its link.
//!
//! A connection is a hibernating socket with a number that grows; the number is its tag and its
//! attachment, and the machine speaks of connections by it. The runtime answers the node's pings by
//! itself, so an idle link never wakes this object; when somebody asks, or a lease is judged, the time
//! of the last such answer is read.
//!
//! A connection that the machine believes in but whose socket is gone (the runtime was killed) is
//! reported closed at the next turn.

#![expect(
    missing_docs,
    reason = "the attribute of the class writes methods without documentation"
)]

mod questions;

use std::rc::Rc;

use sam_domain::access::internal::LinkAccess;
use sam_domain::actor::{Actor, Address, Envelope};
use sam_domain::error::ApiError;
use sam_domain::id::NodeId;
use sam_domain::link::frame::{AgentFrame, FRAME_LIMIT, ObjectFrame, PING, PONG};
use sam_domain::node::call::NodeCall;
use sam_domain::node::state::Node;
use sam_domain::node::step::{NodeLocal, NodeMachine, NodeOutput};
use sam_domain::node::wire::NodeView;
use sam_domain::settings;
use sam_domain::time::{Millis, Timestamp, Turn};
use sam_platform::crypto::same_hash;
use sam_platform::objects::Class;
use sam_platform::probe::Event;
use sam_platform::sockets::{CloseCode, Socket, Sockets};
use sam_platform::{bindings, clock, columns, params};
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use self::questions::Questions;
use crate::object::{self, Asked};
use crate::shell::{Shell, ShellError};

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS connections (id INTEGER PRIMARY KEY CHECK (id = 1), \
     last INTEGER NOT NULL)";

/// Close code for whatever the machine decides; the reason is the word of its `bye`.
const BYE: CloseCode = CloseCode::Application(4000);

/// The object of one node, named by its id.
#[durable_object]
pub struct NodeLifecycle {
    inner: Result<Rc<Lifecycle>, String>,
}

struct Lifecycle {
    shell: Rc<Shell<NodeMachine>>,
    sockets: Sockets,
    /// How long a link may be silent.
    lease: Millis,
    questions: Questions,
}

impl DurableObject for NodeLifecycle {
    fn new(state: State, env: Env) -> Self {
        Self {
            inner: Lifecycle::open(&state, env)
                .map(Rc::new)
                .map_err(|error| error.to_string()),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        Ok(match &self.inner {
            Ok(inner) => {
                let served = inner.serve(&request);
                object::request(&inner.shell.probe, &request, served).await
            }
            Err(cause) => object::broken(cause),
        })
    }

    async fn alarm(&self) -> worker::Result<Response> {
        if let Ok(inner) = &self.inner {
            let woken = Rc::clone(inner);
            let work = Rc::clone(&inner.shell.host).alarmed(Box::new(move |key| woken.wake(key)));
            inner.shell.probe.event(Event::Alarm, work).await;
        }
        Ok(object::done())
    }

    async fn websocket_message(
        &self,
        socket: worker::WebSocket,
        message: worker::WebSocketIncomingMessage,
    ) -> worker::Result<()> {
        if let Ok(inner) = &self.inner {
            let socket = Socket::from(socket);
            let taken_in = async {
                match message {
                    worker::WebSocketIncomingMessage::String(text) => {
                        inner.received(&socket, &text);
                    }
                    worker::WebSocketIncomingMessage::Binary(_) => bye(&socket, "malformed"),
                }
            };
            inner.shell.probe.event(Event::Frame, taken_in).await;
        }
        Ok(())
    }

    async fn websocket_close(
        &self,
        socket: worker::WebSocket,
        _code: usize,
        _reason: String,
        _was_clean: bool,
    ) -> worker::Result<()> {
        let socket = Socket::from(socket);
        socket.answer_close();
        if let Ok(inner) = &self.inner {
            let closed = async { inner.closed(&socket) };
            inner.shell.probe.event(Event::Closed, closed).await;
        }
        Ok(())
    }

    async fn websocket_error(
        &self,
        socket: worker::WebSocket,
        _error: worker::Error,
    ) -> worker::Result<()> {
        let socket = Socket::from(socket);
        socket.answer_close();
        if let Ok(inner) = &self.inner {
            let closed = async { inner.closed(&socket) };
            inner.shell.probe.event(Event::Closed, closed).await;
        }
        Ok(())
    }

    async fn connect(&self, _socket: worker::Socket) -> worker::Result<()> {
        Err(object::no_connections())
    }
}

struct LastRow {
    last: u64,
}
columns!(LastRow: last);

/// The tag of a connection.
fn tag(connection: u64) -> String {
    format!("connection-{connection}")
}

fn bye(socket: &Socket, reason: &str) {
    let _ = socket.send_json(&ObjectFrame::Bye {
        reason: reason.to_owned(),
    });
    let _ = socket.close(BYE, reason);
}

impl Lifecycle {
    fn open(state: &State, env: Env) -> Result<Self, ShellError> {
        let lease = settings::lease(bindings::setting(&env, bindings::SAM_LINK_LEASE).as_deref());
        let shell = Rc::new(Shell::open(state, env, Class::NodeLifecycle)?);
        shell.sql.run(SCHEMA, &[])?;
        Ok(Self {
            shell,
            sockets: Sockets::of(state),
            lease,
            questions: Questions::default(),
        })
    }

    async fn serve(self: &Rc<Self>, request: &Request) -> Response {
        match object::asked(request) {
            Ok(Asked::Call) => match object::read_call(&self.shell.probe, request).await {
                Ok(NodeCall::Ask(question)) => object::answer(questions::ask(self, question).await),
                Ok(call) => object::answer(self.call(call)),
                Err(error) => object::refused(&error),
            },
            Ok(Asked::Inbox) => match object::read_call(&self.shell.probe, request).await {
                Ok(envelope) => object::answer(self.inbox(envelope)),
                Err(error) => object::refused(&error),
            },
            Ok(Asked::Link) => match object::access(request) {
                Ok(access) => object::response(self.link(&access)),
                Err(error) => object::refused(&error),
            },
            #[cfg(feature = "fault-injection")]
            Ok(Asked::Fault(fault)) => crate::faults::fault(&self.shell, fault).await,
            Ok(Asked::Feed | Asked::Live | Asked::Rows) => {
                object::refused(&ApiError::not_found("call"))
            }
            Err(error) => object::refused(&error),
        }
    }

    /// One turn of the node: what is known of the link first, then `body`; what the machine asks for
    /// is performed when all of it is stored.
    fn turn<T>(
        &self,
        address: &Address,
        body: impl FnOnce(
            &mut Actor<Node>,
            &mut Turn,
            &mut Vec<NodeOutput>,
        ) -> Result<(bool, T), ShellError>,
    ) -> Result<T, ShellError> {
        let (out, outputs) = self.shell.turn(address, |actor, turn| {
            let mut outputs = Vec::new();
            let noticed = self.notice(actor, turn, &mut outputs)?;
            let (changed, out) = body(actor, turn, &mut outputs)?;
            Ok((noticed || changed, (out, outputs)))
        })?;
        self.perform(outputs);
        self.shell.host.deliver_soon();
        Ok(out)
    }

    /// Tells the machine what became of its connection since the last turn: that its socket is gone,
    /// or was last heard of so long ago that it cannot be alive.
    fn notice(
        &self,
        actor: &mut Actor<Node>,
        turn: &mut Turn,
        outputs: &mut Vec<NodeOutput>,
    ) -> Result<bool, ShellError> {
        let Some(connection) = actor.state.link.connection else {
            return Ok(false);
        };
        let socket = self
            .sockets
            .tagged(&tag(connection))
            .map_err(socket_failed)?
            .pop();
        let mut tell = |actor: &mut Actor<Node>, local| {
            let handled = actor.local::<NodeMachine>(turn, local);
            outputs.extend(handled.output);
            handled.changed
        };
        let Some(socket) = socket else {
            return Ok(tell(actor, NodeLocal::Closed { connection }));
        };
        let Ok(Some(at)) = self.sockets.auto_response_at(&socket) else {
            return Ok(false);
        };
        // Storing every ping would cost a write each time somebody asks. The lease is what matters,
        // and while nothing is at work there it is kept by nobody.
        if !actor.state.has_work() {
            return Ok(false);
        }
        let stale = at.since(actor.state.last_seen) >= Millis(actor.state.lease().0 / 3);
        Ok(stale && tell(actor, NodeLocal::Seen { at }))
    }

    fn perform(&self, outputs: Vec<NodeOutput>) {
        for output in outputs {
            let (connection, frame, reason) = match output {
                NodeOutput::Send { connection, frame } => (connection, Some(frame), None),
                NodeOutput::Close { connection, reason } => (connection, None, Some(reason)),
            };
            let Ok(sockets) = self.sockets.tagged(&tag(connection)) else {
                continue;
            };
            // A frame that cannot be sent is made good at the next hello.
            for socket in sockets {
                if let Some(frame) = &frame
                    && let Err(error) = socket.send_json(frame)
                {
                    worker::console_warn!("link: {error}");
                }
                if let Some(reason) = reason {
                    let _ = socket.close(BYE, reason);
                }
            }
        }
    }

    fn inbox(self: &Rc<Self>, envelope: Envelope) -> Result<String, ShellError> {
        let (receipt, outputs) = self.shell.take_in(envelope, |_, _, outputs| Ok(outputs))?;
        self.perform(outputs);
        object::text(&receipt)
    }

    fn wake(&self, key: &str) -> Result<(), ShellError> {
        let Some(actor) = self.shell.load(key)? else {
            return Ok(());
        };
        self.turn(&actor.address, |actor, turn, outputs| {
            let handled = actor.wake::<NodeMachine>(turn);
            outputs.extend(handled.output);
            Ok((handled.changed, ()))
        })
    }

    /// The address of the node that joined here; 404 before that.
    fn address(&self) -> Result<Address, ShellError> {
        let missing = || ShellError::from(ApiError::not_found("node"));
        let key = self.shell.only_key()?.ok_or_else(missing)?;
        let id: NodeId = key.parse().map_err(|_| missing())?;
        Ok(Address::Node(id))
    }

    fn call(&self, call: NodeCall) -> Result<String, ShellError> {
        match call {
            NodeCall::Join {
                node,
                owner,
                name,
                token_hmac,
            } => {
                let address = Address::Node(node.clone());
                if !self.shell.is_mine(&address) {
                    return Err(ApiError::not_found("node").into());
                }
                let replaced = self.shell.load(&crate::shell::key_of(&address))?.is_some();
                let view = self.turn(&address, |actor, turn, outputs| {
                    if actor.state.left {
                        // Its join token was used again, which would give it a token for nothing.
                        return Err(unauthorised().into());
                    }
                    let local = NodeLocal::Join {
                        node,
                        owner,
                        name,
                        token_hmac,
                    };
                    let handled = actor.local::<NodeMachine>(turn, local);
                    outputs.extend(handled.output);
                    Ok((handled.changed, view(actor)?))
                })?;
                if replaced {
                    // The older token is worth nothing now, and so are its connections.
                    self.close_all("revoked");
                }
                object::text(&view)
            }
            // It is waited for, which a turn cannot.
            NodeCall::Ask(_) => Err(ApiError::not_found("call").into()),
            NodeCall::Get => {
                let view = self.turn(&self.address()?, |actor, turn, outputs| {
                    let changed = self.give_up_silent(actor, turn, outputs);
                    Ok((changed, view(actor)?))
                })?;
                object::text(&view)
            }
            NodeCall::Share { project, shared } => {
                self.change(NodeLocal::Share { project, shared })
            }
            NodeCall::Drain { drains } => self.change(NodeLocal::Drain { drains }),
            NodeCall::Suspend { suspended } => {
                let view = self.change(NodeLocal::Suspend { suspended })?;
                if suspended {
                    self.close_all("suspended");
                }
                Ok(view)
            }
            NodeCall::Revoke => {
                let view = self.change(NodeLocal::Revoke)?;
                self.close_all("revoked");
                Ok(view)
            }
            NodeCall::Leave { force } => {
                if !force && self.stored()?.state.live_workspaces() > 0 {
                    return Err(busy().into());
                }
                let view = self.change(NodeLocal::Leave)?;
                self.close_all("revoked");
                Ok(view)
            }
            NodeCall::Authenticate { token_hmac } => {
                let actor = self.stored()?;
                authenticate(&actor, &token_hmac)?;
                object::text(&view(&actor)?)
            }
            NodeCall::Scope {
                token_hmac,
                workspace,
            } => {
                let actor = self.stored()?;
                authenticate(&actor, &token_hmac)?;
                let scope = actor
                    .state
                    .scope(&workspace)
                    .ok_or_else(|| ApiError::not_found("workspace"))?;
                object::text(&scope)
            }
        }
    }

    /// A turn of the node that joined here; its view afterwards, as JSON.
    fn change(&self, local: NodeLocal) -> Result<String, ShellError> {
        let view = self.turn(&self.address()?, |actor, turn, outputs| {
            let handled = actor.local::<NodeMachine>(turn, local);
            outputs.extend(handled.output);
            Ok((handled.changed, view(actor)?))
        })?;
        object::text(&view)
    }

    fn stored(&self) -> Result<Actor<Node>, ShellError> {
        let key = self.shell.only_key()?;
        key.map(|key| self.shell.load(&key))
            .transpose()?
            .flatten()
            .filter(|actor| actor.state.joined.is_some())
            .ok_or_else(|| unauthorised().into())
    }

    /// An idle link keeps no alarm; when somebody looks, one that has been silent for longer than
    /// the lease is closed, which begins the lease.
    fn give_up_silent(
        &self,
        actor: &mut Actor<Node>,
        turn: &mut Turn,
        outputs: &mut Vec<NodeOutput>,
    ) -> bool {
        let Some(connection) = actor.state.link.connection else {
            return false;
        };
        if turn.now.since(self.last_sign(actor, connection)) <= actor.state.lease() {
            return false;
        }
        outputs.push(NodeOutput::Close {
            connection,
            reason: "silent",
        });
        let handled = actor.local::<NodeMachine>(turn, NodeLocal::Closed { connection });
        outputs.extend(handled.output);
        handled.changed
    }

    /// When the link was last known to be up.
    fn last_sign(&self, actor: &Actor<Node>, connection: u64) -> Timestamp {
        self.sockets
            .tagged(&tag(connection))
            .ok()
            .and_then(|mut sockets| sockets.pop())
            .and_then(|socket| self.sockets.auto_response_at(&socket).ok().flatten())
            .map_or(actor.state.last_seen, |at| at.max(actor.state.last_seen))
    }

    /// Accepts a node's link. The token is compared in the turn that accepts, so a token that was
    /// replaced a moment ago opens nothing.
    fn link(&self, access: &LinkAccess) -> Result<Response, ShellError> {
        let actor = self.stored()?;
        if actor.address != Address::Node(access.node.clone()) {
            return Err(unauthorised().into());
        }
        authenticate(&actor, &access.token_hmac)?;
        if actor.state.lease() != self.lease {
            // The installation was set otherwise since the node was last here.
            self.turn(&actor.address, |actor, turn, outputs| {
                let local = NodeLocal::Lease { lease: self.lease };
                let handled = actor.local::<NodeMachine>(turn, local);
                outputs.extend(handled.output);
                Ok((handled.changed, ()))
            })?;
        }
        let connection = self.next_connection()?;
        self.sockets
            .set_auto_response(PING, PONG)
            .map_err(socket_failed)?;
        let (_, response) = self
            .sockets
            .accept(&[&tag(connection)], &connection)
            .map_err(socket_failed)?;
        Ok(response)
    }

    fn next_connection(&self) -> Result<u64, ShellError> {
        let row: Option<LastRow> = self.shell.sql.first(
            "INSERT INTO connections (id, last) VALUES (1, 1) \
             ON CONFLICT (id) DO UPDATE SET last = last + 1 RETURNING last",
            params![],
        )?;
        Ok(row.map_or(1, |row| row.last))
    }

    fn close_all(&self, reason: &'static str) {
        for socket in self.sockets.all().unwrap_or_default() {
            bye(&socket, reason);
        }
    }

    fn received(&self, socket: &Socket, text: &str) {
        let Ok(Some(connection)) = socket.attachment::<u64>() else {
            return;
        };
        if text.len() > FRAME_LIMIT {
            bye(socket, "malformed");
            return;
        }
        let frame = match sam_domain::json::from_str::<AgentFrame>(text) {
            Ok(AgentFrame::Ping) => {
                // Only a ping in other words than the agreed text comes here.
                let _ = socket.send_json(&ObjectFrame::Pong);
                return;
            }
            Ok(AgentFrame::Answer(answer)) => {
                self.questions.answered(answer);
                return;
            }
            Ok(frame) => frame,
            Err(error) => {
                worker::console_warn!("link: a frame cannot be read: {error}");
                bye(socket, "malformed");
                return;
            }
        };
        self.tell(NodeLocal::Frame { connection, frame });
    }

    fn closed(&self, socket: &Socket) {
        if let Ok(Some(connection)) = socket.attachment::<u64>() {
            self.tell(NodeLocal::Closed { connection });
        }
    }

    /// Tells the machine what the link saw. A failure is logged: the node repeats what was not
    /// acknowledged.
    fn tell(&self, local: NodeLocal) {
        let told = self.address().and_then(|address| {
            let (outputs, ()) = self.shell.turn(&address, |actor, turn| {
                let handled = actor.local::<NodeMachine>(turn, local);
                Ok((handled.changed, (handled.output, ())))
            })?;
            self.perform(outputs);
            self.shell.host.deliver_soon();
            Ok(())
        });
        if let Err(error) = told {
            worker::console_error!("link at {}: {error}", clock::now().0);
        }
    }
}

fn busy() -> ApiError {
    ApiError::new(409, "node_busy", "Work is under way on this machine.")
        .hint("Let it end or cancel its tasks; by force they begin anew on another machine.")
}

fn unauthorised() -> ApiError {
    ApiError::new(401, "unauthorised", "This is not the token of this node.")
        .hint("Join again with a new join token.")
}

fn authenticate(actor: &Actor<Node>, token_hmac: &str) -> Result<(), ShellError> {
    let held = actor
        .state
        .joined
        .as_ref()
        .map(|joined| joined.token_hmac.as_str());
    if !held.is_some_and(|held| same_hash(held, token_hmac)) {
        return Err(unauthorised().into());
    }
    if actor.state.suspended {
        return Err(ApiError::conflict(
            "owner_suspended",
            "The owner of this machine may not use the installation for now.",
        )
        .into());
    }
    Ok(())
}

fn view(actor: &Actor<Node>) -> Result<NodeView, ShellError> {
    actor
        .state
        .view()
        .ok_or_else(|| ApiError::not_found("node").into())
}

fn socket_failed(error: sam_platform::sockets::SocketError) -> ShellError {
    ShellError::Runtime(sam_platform::js::JsFailure::new(error.to_string()))
}
