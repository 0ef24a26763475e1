//! A workspace's live socket: text that is not stored yet, passed on to those who watch.
//!
//! A delta is never the record. It is passed on under the session and attempt of the socket's
//! verified claims, whatever the workspace says, and applies only to a row of that attempt whose
//! version and length match; so a workspace can show nothing in another's row.

use sam_domain::access::claims::{Claims, Purpose};
use sam_domain::access::internal::LiveAccess;
use sam_domain::conversation::row::INLINE_TEXT_LIMIT;
use sam_domain::conversation::wire::LiveDelta;
use sam_domain::error::ApiError;
use sam_domain::feed::ServerFrame;
use sam_domain::id::Id as _;
use sam_domain::link::frame::{PING, PONG};
use sam_domain::time::Timestamp;
use sam_platform::sockets::{CloseCode, Socket, SocketError, Sockets};

use super::feed::{Feed, REAUTHORISE};

/// Tag of every live socket.
pub(super) const TAG: &str = "live";

/// Longest frame, in bytes: JSON writes a character in at most six.
const FRAME_LIMIT: usize = 6 * INLINE_TEXT_LIMIT + 1024;
/// Close code: the sender does not keep to the protocol.
const MALFORMED: CloseCode = CloseCode::Application(4003);

/// Accepts a workspace's socket. An older socket of the same workspace is closed.
pub(super) fn accept(sockets: &Sockets, access: &LiveAccess) -> Result<worker::Response, ApiError> {
    let claims = &access.claims;
    if claims.purpose != Purpose::Workspace || claims.attempt == 0 {
        return Err(ApiError::new(
            403,
            "wrong_token",
            "This token does not open a live socket.",
        ));
    }
    for older in sockets.tagged(claims.wsp.as_str()).map_err(failed)? {
        let _ = older.close(
            CloseCode::Application(4002),
            "replaced by a newer connection",
        );
    }
    sockets.set_auto_response(PING, PONG).map_err(failed)?;
    let (_, response) = sockets
        .accept(&[TAG, claims.wsp.as_str(), claims.usr.as_str()], claims)
        .map_err(failed)?;
    Ok(response)
}

/// Takes in a delta and passes it on.
pub(super) fn receive(feed: &Feed<'_>, socket: &Socket, text: &str, now: Timestamp) {
    let Ok(Some(claims)) = socket.attachment::<Claims>() else {
        return;
    };
    if claims.exp <= now {
        let _ = socket.close(REAUTHORISE, "the token has expired; connect with a new one");
        return;
    }
    let read = Some(text)
        .filter(|text| text.len() <= FRAME_LIMIT)
        .and_then(|text| sam_domain::json::from_str::<LiveDelta>(text).ok());
    let Some(delta) = read.filter(|delta| delta.append.len() <= INLINE_TEXT_LIMIT) else {
        let _ = socket.close(MALFORMED, "a frame is not a delta, or is too long");
        return;
    };
    if delta.append.is_empty() {
        return;
    }
    let frame = ServerFrame::Delta {
        session: claims.ses.clone(),
        row: delta.row,
        attempt: claims.attempt,
        rev: delta.rev,
        at: delta.at,
        append: delta.append,
    };
    feed.audience(now).delta(&claims.ses, &frame);
}

fn failed(error: SocketError) -> ApiError {
    worker::console_error!("live socket: {error}");
    ApiError::internal()
}
