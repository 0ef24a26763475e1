//! What a token may do is what the route table says that its scopes reach: every route of people,
//! with a token of every scope.

use reqwest::Method;
use sam_domain::access::expectation::expectation;
use sam_domain::access::principal::PrincipalKind;
use sam_domain::access::route::{self, ROUTES, Route, RouteId};
use sam_domain::access::tokens::{CreatedApiToken, Scope, Scopes};
use sam_domain::access::wire::SignedIn;
use sam_e2e::{Client, Reply, Result, Stack, ensure};
use serde_json::json;

/// The route's path with ids of nothing.
fn path(route: &Route) -> String {
    let segments: Vec<&str> = route
        .path
        .split('/')
        .map(|part| match part {
            "{project}" => "prj_01jd8x00000000000000000000",
            "{task}" => "tsk_01jd8x00000000000000000000",
            "{session}" => "ses_01jd8x00000000000000000000",
            "{prompt}" => "prm_01jd8x00000000000000000000",
            "{node}" => "nod_01jd8x00000000000000000000",
            "{user}" => "usr_01jd8x00000000000000000000",
            "{invite}" => "inv_01jd8x00000000000000000000",
            "{token}" => "tok_01jd8x00000000000000000000",
            part if part.starts_with('{') => "nothing",
            part => part,
        })
        .collect();
    segments.join("/")
}

async fn call(client: &Client, route: &Route) -> Result<Reply> {
    let method = match route.method {
        route::Method::Get => Method::GET,
        route::Method::Post => Method::POST,
        route::Method::Put => Method::PUT,
        route::Method::Patch => Method::PATCH,
        route::Method::Delete => Method::DELETE,
    };
    let request = client.request(method, &path(route));
    client.send(request.body(expectation(route.id).body)).await
}

#[tokio::test]
async fn a_token_reaches_what_its_scopes_say_and_no_more() -> Result {
    let stack = Stack::start().await?;
    let anyone = stack.anyone()?;
    let mut wrong = Vec::new();
    let mut refusals = 0;
    for scope in Scope::ALL {
        let body = json!({"name": scope.word(), "scopes": [scope]});
        let made: CreatedApiToken = stack
            .admin()?
            .post("/api/auth/tokens", &body)
            .await?
            .json()?;
        let login = json!({"token": made.token});
        let opened: SignedIn = anyone.post("/api/auth/token-login", &login).await?.json()?;
        let scopes = Scopes::from_iter([scope]);
        for (what, client) in [
            ("token", anyone.with_token(&made.token)),
            ("session", anyone.with_token(&opened.token)),
        ] {
            for route in ROUTES {
                let people = matches!(route.principal, PrincipalKind::User | PrincipalKind::Admin);
                // Ending the session would end the test.
                if !people || route.id == RouteId::Logout {
                    continue;
                }
                let reply = call(&client, route).await?;
                let refused = (reply.status, reply.code().as_str()) == (403, "scope_too_narrow");
                refusals += u32::from(refused);
                let reaches = route.reach.is_met_by(Some(&scopes));
                if refused == reaches || reply.status == 401 {
                    wrong.push(format!(
                        "{:?} answers a {what} with {scope:?}: {} {}",
                        route.id,
                        reply.status,
                        reply.text()
                    ));
                }
            }
        }
    }
    ensure(wrong.is_empty(), || wrong.join("\n"))?;
    ensure(refusals > 0, || "nothing was refused".to_owned())
}
