//! Every route, with every kind of caller: the wrong ones are refused, the right one reaches its
//! handler, and what is another's reads as if it did not exist.
//!
//! Generated from the route table and its expectations: a new route is tested without a word here.

mod headers;
mod isolation;
mod world;

use std::time::Duration;

use reqwest::Method;
use sam_domain::access::expectation::expectation;
use sam_domain::access::isolation::Caller;
use sam_domain::access::principal::PrincipalKind;
use sam_domain::access::route::{ROUTES, Route, RouteId};
use sam_domain::access::wire::{ProjectRole, ProjectView, SignInLink, SignedIn};
use sam_domain::link::frame::{PING, PONG};
use sam_e2e::node::ScriptedNode;
use sam_e2e::{Client, Reply, Result, Stack, ensure};
use serde_json::json;

use world::{Scene, call};

/// Who the route is for.
fn right(scene: &Scene, kind: PrincipalKind) -> Result<&Client> {
    scene.caller(match kind {
        PrincipalKind::Public => Caller::Anonymous,
        PrincipalKind::User => Caller::Member(ProjectRole::Owner),
        PrincipalKind::Admin => Caller::Admin,
        PrincipalKind::JoinToken => Caller::JoinToken,
        PrincipalKind::NodeToken => Caller::NodeToken,
        PrincipalKind::WorkspaceToken => Caller::WorkspaceToken,
        PrincipalKind::ModelToken => Caller::ModelToken,
    })
}

/// Whether an answer is what the route's expectation says.
fn is_expected(route: &Route, reply: &Reply) -> bool {
    let expected = expectation(route.id);
    expected.statuses.contains(&reply.status)
        && expected.code.is_none_or(|code| code == reply.code())
}

#[tokio::test]
async fn every_route_reaches_its_handler() -> Result {
    let stack = Stack::start().await?;
    let scene = Scene::meet(&stack).await?;
    let mut wrong = Vec::new();
    // Ending the session is tried last: it ends the session.
    let (last, others): (Vec<_>, Vec<_>) =
        ROUTES.iter().partition(|route| route.id == RouteId::Logout);
    for route in others.into_iter().chain(last) {
        // Ids in the path are the caller's own project, node and workspace, and of nothing.
        let path = scene.path_with(route, |name| {
            let held = ["project", "node", "workspace"].contains(&name);
            held.then(|| scene.own.ids.get(name).cloned()).flatten()
        });
        let reply = call(right(&scene, route.principal)?, route, &path).await?;
        if !is_expected(route, &reply) {
            wrong.push(format!(
                "{:?} answers its own {:?} with {}: {}",
                route.id,
                route.principal,
                reply.status,
                reply.text()
            ));
        }
    }
    ensure(wrong.is_empty(), || wrong.join("\n"))
}

/// What stands in a path where an id belongs, and is none.
const NO_IDS: [&str; 9] = [
    "x",
    "null",
    "..%2f..%2fetc%2fpasswd",
    "%00",
    "%ff%fe",
    "%e2%80%aeid",
    "PRJ_01JD8X00000000000000000000",
    "row_01jd8x00000000000000000000",
    "prj_01jd8x000000000000000000000000000000000000000000000000",
];

#[tokio::test]
async fn what_is_no_id_names_nothing() -> Result {
    let stack = Stack::start().await?;
    let scene = Scene::meet(&stack).await?;
    let long = "x".repeat(3000);
    let mut wrong = Vec::new();
    for route in ROUTES {
        let right = right(&scene, route.principal)?;
        let names = route.path.split('/').filter_map(|part| {
            let name = part.strip_prefix('{')?;
            name.strip_suffix('}')
        });
        for bad in names {
            for value in NO_IDS.into_iter().chain([long.as_str()]) {
                let path = scene.path_but(route, bad, value);
                let reply = call(right, route, &path).await?;
                let told = serde_json::from_slice::<sam_domain::error::ErrorBody>(&reply.body);
                // A machine's token is of no use at a path that is not its own.
                let refused = matches!(reply.status, 400 | 404)
                    || route.principal != PrincipalKind::User && matches!(reply.status, 401 | 403);
                if !refused || told.is_err() || reply.body.len() > 1000 {
                    wrong.push(format!(
                        "{:?} {path}: {} {}",
                        route.id,
                        reply.status,
                        reply.text()
                    ));
                }
            }
        }
    }
    ensure(wrong.is_empty(), || wrong.join("\n"))
}

#[tokio::test]
async fn one_thing_is_not_reached_through_another() -> Result {
    let stack = Stack::start().await?;
    let scene = Scene::meet(&stack).await?;
    let person = right(&scene, PrincipalKind::User)?;
    // A second project and a second machine of the same person.
    let project: ProjectView = person
        .post("/api/projects", &json!({"repository": "/elsewhere"}))
        .await?
        .json()?;
    let node = ScriptedNode::join_as(person, "other", 4).await?;
    let mut wrong = Vec::new();
    for route in ROUTES {
        let right = right(&scene, route.principal)?;
        let (name, value) = match route.principal {
            PrincipalKind::User
                if route.path.contains("{session}") || route.path.contains("{prompt}") =>
            {
                ("project", project.id.to_string())
            }
            PrincipalKind::NodeToken => ("node", node.node.to_string()),
            _ => continue,
        };
        let path = scene.path_but(route, name, &value);
        // With what the handler would otherwise ask for first.
        let right = right.with_header("idempotency-key", "mixed");
        let reply = call(&right, route, &path).await?;
        if reply.status != 404 || reply.code() != "not_found" {
            wrong.push(format!(
                "{:?} {path}: {} {}",
                route.id,
                reply.status,
                reply.text()
            ));
        }
    }
    ensure(wrong.is_empty(), || wrong.join("\n"))
}

#[tokio::test]
async fn a_cookie_stands_for_its_person_only_on_our_own_pages() -> Result {
    let stack = Stack::start().await?;
    let link: SignInLink = stack
        .admin()?
        .post("/api/auth/sign-in-links", &json!({}))
        .await?
        .json()?;
    let secret = link.url.split('#').nth(1).unwrap_or_default().to_owned();
    let anyone = stack.anyone()?;
    let login = json!({"link": secret});
    let reply = anyone.post("/api/auth/link-login", &login).await?;
    let cookie = reply.header("set-cookie").unwrap_or_default().to_owned();
    let _: SignedIn = reply.json()?;
    for part in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        ensure(cookie.contains(part), || {
            format!("{part} is missing in {cookie}")
        })?;
    }
    let again = anyone.post("/api/auth/link-login", &login).await?;
    ensure(again.status == 410, || {
        format!("a link worked twice: {}", again.status)
    })?;

    let pair = cookie.split(';').next().unwrap_or_default();
    let browser = anyone.with_header("cookie", pair);
    ensure(browser.get("/api/auth/me").await?.status == 200, || {
        "the cookie signs nobody in".to_owned()
    })?;
    let create = json!({"repository": "/nowhere"});
    let own = stack.url().to_owned();
    for (csrf, origin, status) in [
        (None, None, 403),
        (Some("1"), None, 201),
        (Some("1"), Some(own.as_str()), 201),
        (None, Some(own.as_str()), 403),
        (Some("1"), Some("https://evil.example"), 403),
    ] {
        let mut client = browser.clone();
        if let Some(csrf) = csrf {
            client = client.with_header("x-sam-csrf", csrf);
        }
        if let Some(origin) = origin {
            client = client.with_header("origin", origin);
        }
        let reply = client.post("/api/projects", &create).await?;
        ensure(reply.status == status, || {
            format!("{csrf:?} {origin:?}: {} {}", reply.status, reply.text())
        })?;
    }
    let project = stack.create_project("/nowhere").await?;
    let feed = format!("/api/projects/{}/feed", project.id);
    ensure(browser.socket(&feed).await.is_err(), || {
        "a cookie opened a socket without an origin".to_owned()
    })?;
    let evil = browser.with_header("origin", "https://evil.example");
    ensure(evil.socket(&feed).await.is_err(), || {
        "a cookie opened a socket for another site".to_owned()
    })?;
    let mut open = browser.with_header("origin", &own).socket(&feed).await?;
    let mut others = stack.admin()?.socket(&feed).await?;
    let client = browser.with_header("x-sam-csrf", "1");
    ensure(
        client.post("/api/auth/logout", &json!({})).await?.status == 200,
        || "the session cannot be ended".to_owned(),
    )?;
    ensure(browser.get("/api/auth/me").await?.status == 401, || {
        "an ended session still signs in".to_owned()
    })?;
    let frame = open.next_text(Duration::from_secs(10)).await?;
    ensure(frame.is_none(), || {
        format!("an ended session still follows: {frame:?}")
    })?;
    // The other session of the same person is untouched.
    others.send_text(PING).await?;
    let answer = others.next_text(Duration::from_secs(10)).await?;
    ensure(answer.as_deref() == Some(PONG), || format!("{answer:?}"))
}

#[tokio::test]
async fn of_fifty_claims_one_wins() -> Result {
    let stack = Stack::start_unclaimed(sam_e2e::StackOptions::default()).await?;
    let anyone = stack.anyone()?;
    let wrong = json!({"claim_token": "something else"});
    let reply = anyone.post("/api/setup/claim", &wrong).await?;
    ensure(
        (reply.status, reply.code().as_str()) == (403, "wrong_claim_token"),
        || reply.text(),
    )?;
    let token = std::fs::read_to_string(stack.state_directory().join("claim-token"))?;
    let right = json!({"claim_token": token.trim()});
    let claims = (0..50).map(|_| anyone.post("/api/setup/claim", &right));
    let mut won = 0;
    for reply in futures::future::join_all(claims).await {
        let reply = reply?;
        match (reply.status, reply.code().as_str()) {
            (200, _) => won += 1,
            (409, "already_claimed") => {}
            _ => return Err(sam_e2e::failure(reply.text())),
        }
    }
    ensure(won == 1, || format!("{won} claims won"))
}

#[tokio::test]
async fn requests_that_cannot_be_served_say_why() -> Result {
    let stack = Stack::start().await?;
    let admin = stack.admin()?;
    let large = "x".repeat(1024 * 1024 + 1);
    let project = stack.create_project("/nowhere").await?;
    let tasks = format!("/api/projects/{}/tasks", project.id);
    let post = |path: &str, body: String| admin.request(Method::POST, path).body(body);
    let cases = [
        (
            admin.request(Method::GET, "/api/nowhere"),
            404,
            "no_such_route",
        ),
        (
            admin.request(Method::DELETE, "/api/projects"),
            405,
            "method_not_allowed",
        ),
        (post("/api/projects", large), 413, "body_too_large"),
        (post("/api/projects", "{".to_owned()), 400, "malformed_body"),
        (
            post("/api/projects", r#"{"repo":"/x"}"#.to_owned()),
            400,
            "malformed_body",
        ),
        (
            post("/api/projects", r#"{"repository":"x"}"#.to_owned()),
            400,
            "bad_repository",
        ),
        (
            post(&tasks, r#"{"prompt":"x"}"#.to_owned()),
            400,
            "idempotency_key_required",
        ),
        (
            post(&tasks, r#"{"prompt":"x","agent":"nobody"}"#.to_owned())
                .header("idempotency-key", "k"),
            400,
            "unknown_agent",
        ),
        (
            admin.request(Method::GET, &format!("{tasks}?before=x")),
            400,
            "bad_parameter",
        ),
    ];
    for (request, status, code) in cases {
        let reply = admin.send(request).await?;
        ensure(
            (reply.status, reply.code().as_str()) == (status, code),
            || {
                format!(
                    "expected {status} {code}: {} {}",
                    reply.status,
                    reply.text()
                )
            },
        )?;
        ensure(reply.text().contains("\"request_id\":\"req_"), || {
            reply.text()
        })?;
    }
    let reply = admin
        .send(admin.request(Method::DELETE, "/api/projects"))
        .await?;
    ensure(reply.header("allow") == Some("GET, POST"), || {
        format!("{:?}", reply.headers)
    })?;
    let reply = admin.post("/api/projects", &json!({"repo": "/x"})).await?;
    ensure(reply.text().contains("repo"), || reply.text())
}

#[tokio::test]
async fn a_repeated_submission_is_one_task() -> Result {
    let stack = Stack::start().await?;
    let project = stack.create_project("/nowhere").await?;
    let task = json!({"prompt": "hello"});
    let first = stack.submit(&project.id, "same", &task).await?;
    let second = stack.submit(&project.id, "same", &task).await?;
    ensure(first == second, || format!("{first:?} and {second:?}"))?;
    let path = format!("/api/projects/{}/tasks", project.id);
    let other = json!({"prompt": "something else"});
    let reply = stack.admin()?.intend(&path, "same", &other).await?;
    ensure(reply.status == 409, || {
        format!("{} {}", reply.status, reply.text())
    })?;
    let third = stack.submit(&project.id, "another", &task).await?;
    ensure(third.task != first.task, || {
        "two intents became one task".to_owned()
    })
}
