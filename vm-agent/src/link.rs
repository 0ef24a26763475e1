//! The connection of the node link, and its return.
//!
//! It dials out, says what the hub gives it to say, pings, and gives up a
//! connection on which nothing was heard for a lease. It comes back for ever,
//! unless the control plane says that it does not want this node.
//!
//! The link is how everything else learns about the network: a link that fell
//! silent takes the other connections with it ([`Api::renew`]), and one that is
//! up again ends the waiting of whoever could not reach the control plane
//! ([`Api::reached`]).

use crate::api::{Api, ApiFailure, Backoff, NodeIdentity, Socket, SocketEnd, SocketMessage};
use crate::hub::{Hub, ToLink};
use crate::log::{info, warning};
use sam_domain::link::frame::{AgentFrame, FRAME_LIMIT, ObjectFrame, PING, ping_every};
use sam_domain::time::Millis;
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
    /// Nothing was heard for a lease: whatever else is open is as dead.
    Silent,
    ForGood(String),
}

/// Holds the link. Returns only when it is not to come back.
pub(crate) async fn run(api: &Api, identity: &NodeIdentity, hub: &Hub) -> LinkEnd {
    let path = format!("api/nodes/{}/link", identity.node);
    let mut backoff = Backoff::standard();
    let mut unanswered = Backoff::unanswered();
    let mut last_said = String::new();
    loop {
        let mut answered = true;
        let why = match Socket::open(api, &path, &identity.token, FRAME_LIMIT).await {
            Ok(socket) => {
                let mut welcomed = false;
                let ended = hold(socket, api, hub, &mut welcomed).await;
                hub.disconnected();
                if welcomed {
                    backoff.reset();
                    unanswered.reset();
                    last_said.clear();
                }
                match ended {
                    Ended::Lost(why) => why,
                    Ended::Silent => {
                        api.renew();
                        "nothing was heard for too long".to_owned()
                    }
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
            Err(failure) => {
                answered = !matches!(failure, ApiFailure::Unreachable(_));
                failure.to_string()
            }
        };
        if why != last_said {
            warning!("the link is down: {why}; trying again");
            last_said = why;
        }
        let wait = if answered {
            backoff.step()
        } else {
            unanswered.step()
        };
        tokio::time::sleep(wait).await;
    }
}

/// Until the connection ends.
async fn hold(mut socket: Socket, api: &Api, hub: &Hub, welcomed: &mut bool) -> Ended {
    let mut lease = hub.lease();
    let mut ping = pings(lease);
    hub.heard();
    let (tell, mut told) = mpsc::unbounded_channel();
    hub.connected(tell);
    loop {
        let sent = tokio::select! {
            told = told.recv() => match told {
                Some(ToLink::Frame(frame)) => match encode(&frame) {
                    Some(text) => socket.send(text).await,
                    None => Ok(()),
                },
                Some(ToLink::Close { .. }) if hub.has_lapsed() => return Ended::Silent,
                Some(ToLink::Close { reason, for_good }) => {
                    socket.close().await;
                    let why = format!("the control plane said: {reason}");
                    return if for_good { Ended::ForGood(reason) } else { Ended::Lost(why) };
                }
                None => return Ended::Lost("another connection took over".to_owned()),
            },
            message = socket.next() => match message {
                // What comes out of a buffer after the machine slept is old news.
                Ok(_) if hub.has_lapsed() => return Ended::Silent,
                Ok(SocketMessage::Text(text)) => {
                    hub.heard();
                    take(api, hub, &text, welcomed)
                }
                Ok(SocketMessage::Alive) => {
                    hub.heard();
                    Ok(())
                }
                Err(end) => Err(end),
            },
            _ = ping.tick() => {
                if hub.has_lapsed() {
                    return Ended::Silent;
                }
                socket.send(PING.to_owned()).await
            }
        };
        if let Err(end) = sent {
            return Ended::Lost(end.to_string());
        }
        if hub.lease() != lease {
            lease = hub.lease();
            ping = pings(lease);
        }
    }
}

fn pings(lease: Duration) -> tokio::time::Interval {
    let lease = Millis(u64::try_from(lease.as_millis()).unwrap_or(u64::MAX));
    let every = Duration::from_millis(ping_every(lease).0);
    tokio::time::interval_at(Instant::now() + every, every)
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

fn take(api: &Api, hub: &Hub, text: &str, welcomed: &mut bool) -> Result<(), SocketEnd> {
    let frame: ObjectFrame = match serde_json::from_str(text) {
        Ok(frame) => frame,
        Err(error) => {
            // A newer control plane may say more than this version understands.
            warning!("a frame is not understood: {error}");
            return Ok(());
        }
    };
    let frame = match frame {
        ObjectFrame::Ask(question) => {
            hub.ask(question);
            return Ok(());
        }
        frame => frame,
    };
    let welcome = matches!(frame, ObjectFrame::Welcome { .. });
    hub.frame(frame)
        .map_err(|error| SocketEnd(format!("the disk refused a frame: {error}")))?;
    if welcome {
        *welcomed = true;
        info!("the link is up");
        api.reached();
    }
    Ok(())
}
