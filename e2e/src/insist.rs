//! Asking again what a part of the control plane could not answer: what every client of ours does.

use std::time::Duration;

use reqwest::RequestBuilder;

use crate::{Client, Reply, Result, failure, wait_until};

/// How long an answer may take that needs asking again.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends a request until it is answered by something else than a failure of the server's. `request`
/// makes it anew each time; an intent carries the same key each time.
///
/// # Errors
/// When it is not within a minute.
pub async fn insist(
    what: &str,
    client: &Client,
    request: impl Fn(&Client) -> RequestBuilder,
) -> Result<Reply> {
    wait_until(what, PATIENCE, || async {
        let reply = client.send(request(client)).await?;
        if reply.status >= 500 {
            return Err(failure(format!("{} {}", reply.status, reply.text())));
        }
        Ok(Some(reply))
    })
    .await
}
