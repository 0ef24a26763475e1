//! Ways in for programs: the device flow, API tokens, sessions and their ends.

mod device;
mod doctor;
mod github;
mod limits;
mod scopes;
mod sessions;
mod setup;
mod tokens;

use std::time::Duration;

use reqwest::Method;
use sam_domain::feed::{ClientFrame, Scope, ServerFrame};
use sam_domain::id::ProjectId;
use sam_e2e::{Client, Reply, Result, Socket, ensure};

/// How long something may take that is under way.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn delete(client: &Client, path: &str) -> Result<Reply> {
    client.send(client.request(Method::DELETE, path)).await
}

/// Whether an answer is this refusal.
pub(crate) fn refused(reply: &Reply, status: u16, code: &str) -> Result {
    ensure(
        (reply.status, reply.code().as_str()) == (status, code),
        || format!("{}: {} instead of {code}", reply.status, reply.text()),
    )
}

/// Whether an answer has this status.
pub(crate) fn answered(reply: &Reply, status: u16) -> Result {
    ensure(reply.status == status, || {
        format!("{} instead of {status}: {}", reply.status, reply.text())
    })
}

/// The same someone, at another address. On one machine nothing in front of the server says where a
/// request comes from, so the request may.
pub(crate) fn at(client: &Client, address: &str) -> Client {
    client.with_header("cf-connecting-ip", address)
}

/// A feed of the project that is up to date.
pub(crate) async fn follow(client: &Client, project: &ProjectId) -> Result<Socket> {
    let mut socket = client
        .socket(&format!("/api/projects/{project}/feed"))
        .await?;
    socket
        .send(&ClientFrame::Follow {
            scope: Scope::Project(project.clone()),
            after: 0,
            epoch: None,
        })
        .await?;
    socket
        .until("the present", PATIENCE, |frame| match frame {
            ServerFrame::Changes { more: false, .. } => Some(()),
            _ => None,
        })
        .await?;
    Ok(socket)
}

/// Waits until the other side has closed the socket, whatever it still says.
pub(crate) async fn until_closed(socket: &mut Socket) -> Result {
    while socket.next_text(PATIENCE).await?.is_some() {}
    Ok(())
}
