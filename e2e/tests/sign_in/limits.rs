//! Every public route has a limit, and says for how long to wait.

use futures::future::join_all;
use reqwest::Method;
use sam_domain::access::expectation::expectation;
use sam_domain::access::route::{self, ROUTES, Route};
use sam_e2e::{Client, Reply, Result, Stack, ensure, wait_until};

use crate::{PATIENCE, at};

/// How many tries are made at once.
const AT_ONCE: usize = 25;

async fn call(client: &Client, route: &Route) -> Result<Reply> {
    let method = match route.method {
        route::Method::Get => Method::GET,
        _ => Method::POST,
    };
    let request = client.request(method, route.path);
    client.send(request.body(expectation(route.id).body)).await
}

/// Tries until one is refused for coming too often.
async fn until_refused(client: &Client, route: &Route) -> Result<Reply> {
    wait_until("a try too many", PATIENCE, || async {
        let tries = (0..AT_ONCE).map(|_| call(client, route));
        for reply in join_all(tries).await {
            let reply = reply?;
            if reply.status == 429 {
                return Ok(Some(reply));
            }
        }
        Ok(None)
    })
    .await
}

#[tokio::test]
async fn every_public_route_is_limited_by_address() -> Result {
    let stack = Stack::start().await?;
    let anyone = stack.anyone()?;
    let (near, far) = (at(&anyone, "192.0.2.1"), at(&anyone, "192.0.2.2"));
    let mut limited = 0;
    for route in ROUTES.iter().filter(|route| route.limit.is_some()) {
        let reply = until_refused(&near, route).await?;
        let wait = reply.header("retry-after").map(str::parse::<u64>);
        ensure(matches!(wait, Some(Ok(1..))), || {
            format!("{:?}: {:?} {}", route.id, reply.headers, reply.text())
        })?;
        // Nobody else has to wait for it.
        let reply = call(&far, route).await?;
        ensure(reply.status != 429, || {
            format!("{:?}: {}", route.id, reply.text())
        })?;
        limited += 1;
    }
    ensure(limited >= 14, || format!("{limited} public routes"))
}
