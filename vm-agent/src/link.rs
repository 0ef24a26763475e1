//! The connection of the node link, and its return.
//!
//! It dials out, says what the hub gives it to say, pings, and gives up a
//! connection on which nothing was heard for a lease. It comes back for ever,
//! unless the control plane says that it does not want this node.

use crate::api::{Api, ApiFailure, Backoff, NodeIdentity, Socket, SocketEnd, SocketMessage};
use crate::hub::{Hub, ToLink};
use crate::log::{info, warning};
use sam_domain::link::frame::{AgentFrame, FRAME_LIMIT, LEASE, ObjectFrame, PING, PING_EVERY};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Why the link does not come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LinkEnd {
    /// The node's token is not accepted.
    Unauthorised(String),
    /// The control plane closed it for good: `revoked`, `contested`, `protocol`.
    ForGood(String),
}

/// Why one connection ended.
enum Ended {
    Lost(String),
    ForGood(String),
}

/// Holds the link. Returns only when it is not to come back.
pub(crate) async fn run(api: &Api, identity: &NodeIdentity, hub: &Hub) -> LinkEnd {
    let path = format!("api/nodes/{}/link", identity.node);
    let mut backoff = Backoff::standard();
    let mut last_said = String::new();
    loop {
        let why = match Socket::open(api, &path, &identity.token, FRAME_LIMIT).await {
            Ok(socket) => {
                let mut welcomed = false;
                let ended = hold(socket, hub, &mut welcomed).await;
                hub.disconnected();
                if welcomed {
                    backoff.reset();
                    last_said.clear();
                }
                match ended {
                    Ended::Lost(why) => why,
                    Ended::ForGood(reason) => return LinkEnd::ForGood(reason),
                }
            }
            Err(ApiFailure::Unauthorised(why)) => return LinkEnd::Unauthorised(why),
            Err(ApiFailure::Refused {
                status: 403 | 404 | 410,
                message,
                ..
            }) => {
                return LinkEnd::Unauthorised(message);
            }
            Err(failure) => failure.to_string(),
        };
        if why != last_said {
            warning!("the link is down: {why}; trying again");
            last_said = why;
        }
        tokio::time::sleep(backoff.step()).await;
    }
}

/// Until the connection ends.
async fn hold(mut socket: Socket, hub: &Hub, welcomed: &mut bool) -> Ended {
    let lease = Duration::from_millis(LEASE.0);
    let every = Duration::from_millis(PING_EVERY.0);
    let mut ping = tokio::time::interval_at(Instant::now() + every, every);
    let mut heard = Instant::now();
    let (tell, mut told) = mpsc::unbounded_channel();
    hub.connected(tell);
    loop {
        let sent = tokio::select! {
            told = told.recv() => match told {
                Some(ToLink::Frame(frame)) => match encode(&frame) {
                    Some(text) => socket.send(text).await,
                    None => Ok(()),
                },
                Some(ToLink::Close { reason, for_good }) => {
                    socket.close().await;
                    let why = format!("the control plane said: {reason}");
                    return if for_good { Ended::ForGood(reason) } else { Ended::Lost(why) };
                }
                None => return Ended::Lost("another connection took over".to_owned()),
            },
            message = socket.next() => {
                heard = Instant::now();
                match message {
                    Ok(SocketMessage::Text(text)) => take(hub, &text, welcomed),
                    Ok(SocketMessage::Alive) => Ok(()),
                    Err(end) => Err(end),
                }
            }
            _ = ping.tick() => {
                if heard.elapsed() > lease {
                    Err(SocketEnd("nothing was heard for too long".to_owned()))
                } else {
                    socket.send(PING.to_owned()).await
                }
            }
        };
        if let Err(end) = sent {
            return Ended::Lost(end.to_string());
        }
    }
}

fn encode(frame: &AgentFrame) -> Option<String> {
    match serde_json::to_string(frame) {
        Ok(text) if text.len() <= FRAME_LIMIT => Some(text),
        Ok(text) => {
            warning!("a frame of {} bytes is too long to send", text.len());
            None
        }
        Err(error) => {
            warning!("a frame cannot be written: {error}");
            None
        }
    }
}

fn take(hub: &Hub, text: &str, welcomed: &mut bool) -> Result<(), SocketEnd> {
    let frame: ObjectFrame = match serde_json::from_str(text) {
        Ok(frame) => frame,
        Err(error) => {
            // A newer control plane may say more than this version understands.
            warning!("a frame is not understood: {error}");
            return Ok(());
        }
    };
    if matches!(frame, ObjectFrame::Welcome { .. }) {
        *welcomed = true;
        info!("the link is up");
    }
    hub.frame(frame)
        .map_err(|error| SocketEnd(format!("the disk refused a frame: {error}")))
}
