//! Signing in and out: what is sent, what is kept, what never shows.

mod support;

use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use support::fixtures::{setup, user, user_id};
use support::program::{Program, TOKEN};
use support::server::Server;

fn bearer() -> String {
    format!("Bearer {TOKEN}")
}

#[tokio::test]
async fn a_claim_sends_its_token_and_keeps_the_session_privately() {
    let server = Server::start().await;
    let answer = json!({ "token": TOKEN, "user": user() });
    server.on("POST", "/api/setup/claim", 201, &answer);
    let program = Program::new(&server.url).without("SAM_API_URL");
    let login = [
        "auth",
        "login",
        "--claim",
        "claim-canary",
        "--url",
        &server.url,
        "--name",
        "Ada",
    ];
    let ran = program.run(&login).await;
    ran.expect(
        0,
        &format!("Signed in to {}/ as Ada (admin).\n", server.url),
    );
    assert_eq!(ran.stderr, "Next: sam project create --repo <url|path>\n");

    let asked = server.asked("POST", "/api/setup/claim");
    assert_eq!(asked.len(), 1);
    assert_eq!(
        asked[0].json(),
        json!({ "claim_token": "claim-canary", "name": "Ada" })
    );
    assert_eq!(asked[0].header("authorization"), None);

    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&program.config()), 0o600);
    assert_eq!(mode(program.config().parent().unwrap()), 0o700);
    let kept: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(program.config()).unwrap()).unwrap();
    assert_eq!(
        kept,
        json!({ "url": format!("{}/", server.url), "token": TOKEN })
    );

    // The kept token is used, and only for its own server.
    server.on("GET", "/api/auth/me", 200, &user());
    server.on("GET", "/api/setup/status", 200, &setup(true));
    let ran = program.run(&["auth", "status"]).await;
    ran.expect(
        0,
        &format!(
            "  server      {}/\n  signed in   Ada (admin)\n  your id     {}\n  token from  {}\n  \
             model       a scripted stand-in, not a real model\n",
            server.url,
            user_id(),
            program.config().display()
        ),
    );
    let me = &server.asked("GET", "/api/auth/me")[0];
    assert_eq!(me.header("authorization"), Some(bearer().as_str()));
    assert_eq!(
        server.requests()[1].header("authorization"),
        Some(bearer().as_str())
    );

    let other = Server::start().await;
    let program = program.env("SAM_API_URL", &other.url);
    let ran = program.run(&["project", "list"]).await;
    ran.expect_error(
        3,
        &format!(
            "error: You are signed in to {}/, not to {}/.\n\
             hint: Set SAM_API_TOKEN beside SAM_API_URL, or run `sam auth login --url …`.\n",
            server.url, other.url
        ),
    );
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn secrets_come_from_stdin_too() {
    let server = Server::start().await;
    let answer = json!({ "token": TOKEN, "user": user() });
    server.on("POST", "/api/setup/claim", 201, &answer);
    server.on("POST", "/api/auth/link-login", 200, &answer);
    server.on("GET", "/api/auth/me", 200, &user());
    let program = Program::new(&server.url);
    let wanted = format!("Signed in to {}/ as Ada (admin).\n", server.url);

    let ran = program.run_with(&["auth", "login", "--claim", "-"], "claim-canary\n");
    ran.await.expect(0, &wanted);
    let asked = server.asked("POST", "/api/setup/claim");
    assert_eq!(asked[0].json(), json!({ "claim_token": "claim-canary" }));

    let piped = format!("{TOKEN}\n");
    let ran = program.run_with(&["auth", "login", "--token"], &piped);
    ran.await.expect(0, &wanted);
    let me = &server.asked("GET", "/api/auth/me")[0];
    assert_eq!(me.header("authorization"), Some(bearer().as_str()));

    let link = format!("{}/sign-in#sam_lnk_canary0123456789canary", server.url);
    let ran = program
        .run_with(&["auth", "login", "--link", "-"], &link)
        .await;
    ran.expect(0, &wanted);
    let asked = server.asked("POST", "/api/auth/link-login");
    assert_eq!(
        asked[0].json(),
        json!({ "link": "sam_lnk_canary0123456789canary" })
    );

    let ran = program.run(&["auth", "login", "--token"]).await;
    ran.expect_error(
        2,
        "error: There is no token on stdin.\nhint: Pipe it in, or paste it and end with Ctrl-D.\n",
    );
}

#[tokio::test]
async fn a_second_claim_is_refused_with_the_servers_hint() {
    let server = Server::start().await;
    let refusal = json!({ "error": {
        "code": "already_claimed",
        "message": "This installation is claimed.",
        "hint": "Ask its admin for a sign-in link.",
        "request_id": "req_1",
    } });
    server.on("POST", "/api/setup/claim", 409, &refusal);
    let program = Program::new(&server.url);
    let ran = program
        .run(&["auth", "login", "--claim", "claim-canary"])
        .await;
    ran.expect_error(
        5,
        "error: This installation is claimed.\nhint: Ask its admin for a sign-in link.\nrequest: req_1\n",
    );
    let ran = program
        .run(&["--json", "auth", "login", "--claim", "claim-canary"])
        .await;
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(
        error,
        json!({ "error": {
            "code": "already_claimed",
            "message": "This installation is claimed.",
            "hint": "Ask its admin for a sign-in link.",
            "request_id": "req_1",
            "exit_code": 5,
        } })
    );
    assert!(!program.config().exists());
}

#[tokio::test]
async fn mistakes_do_not_repeat_the_secret() {
    let program = Program::new("http://127.0.0.1:9");
    for arguments in [
        vec!["auth", "login", TOKEN],
        vec!["auth", "login", "--claim", TOKEN, "--token", TOKEN],
        vec!["auth", "login", "--tokn", "0123456789abcdefcanary"],
        vec!["auth", "login", "0123456789abcdefcanary"],
        vec![
            "auth",
            "login",
            "--claim",
            "0123456789abcdefcanary",
            "--url",
            "nonsense",
        ],
    ] {
        let ran = program.run(&arguments).await;
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(!ran.stderr.contains("canary"), "{ran:?}");
    }
    let program = program.env("SAM_API_TOKEN", TOKEN);
    let ran = program.run(&["auth", "status"]).await;
    assert_eq!(ran.code, 6);
}

#[tokio::test]
async fn a_token_that_the_server_echoes_is_hidden() {
    let server = Server::start().await;
    let refusal = json!({ "error": {
        "code": "unauthenticated",
        "message": format!("The token {TOKEN} is not valid."),
    } });
    server.on("GET", "/api/auth/me", 401, &refusal);
    let program = Program::new(&server.url);
    let ran = program.run(&["auth", "login", "--token", TOKEN]).await;
    ran.expect_error(
        3,
        "error: The token [hidden] is not valid.\nhint: Sign in again with `sam auth login`.\n",
    );
}

#[tokio::test]
async fn nobody_signed_in_is_said_with_its_exit_code() {
    let server = Server::start().await;
    server.on(
        "GET",
        "/api/setup/status",
        200,
        &json!({ "claimed": false, "model": { "scripted": false } }),
    );
    let program = Program::new(&server.url);
    let ran = program.run(&["auth", "status"]).await;
    ran.expect(
        3,
        &format!(
            "  server     {}/\n  signed in  nobody\n  model      none configured\n",
            server.url
        ),
    );
    assert_eq!(
        ran.stderr,
        "Nobody has claimed this installation: sam auth login --claim <token>\n"
    );
    let ran = program.run(&["auth", "status", "--json"]).await;
    assert_eq!(ran.code, 3);
    let status: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        status,
        json!({
            "url": format!("{}/", server.url),
            "signed_in": false,
            "token_from": null,
            "user": null,
            "project": null,
            "server": { "claimed": false, "model": { "scripted": false } },
        })
    );
    let ran = program.run(&["task", "list"]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""));
    let ran = program.run(&["auth", "login"]).await;
    ran.expect_error(
        2,
        "error: Nobody has claimed this installation, so nobody can approve.\n\
         hint: Claim it: sam auth login --claim <token>\n",
    );
}

#[tokio::test]
async fn signing_out_ends_the_session_and_forgets_its_token() {
    let server = Server::start().await;
    server.on("GET", "/api/auth/me", 200, &user());
    server.on("POST", "/api/auth/logout", 200, &json!({}));
    let program = Program::new(&server.url);
    let ran = program.run(&["auth", "login", "--token", TOKEN]).await;
    assert_eq!(ran.code, 0);
    let ran = program.run(&["auth", "logout"]).await;
    ran.expect(0, &format!("Signed out of {}/.\n", server.url));
    let asked = server.asked("POST", "/api/auth/logout");
    assert_eq!(asked[0].header("authorization"), Some(bearer().as_str()));
    assert!(
        !std::fs::read_to_string(program.config())
            .unwrap()
            .contains(TOKEN)
    );
    assert_eq!(program.run(&["project", "list"]).await.code, 3);
}

#[tokio::test]
async fn a_sign_in_link_is_the_only_thing_on_stdout() {
    let server = Server::start().await;
    let url = format!("{}/sign-in#sam_lnk_0123456789abcdefghijklmnop", server.url);
    let expires = support::fixtures::now().0 + 14 * 60_000 + 30_000;
    let link = json!({ "url": url, "expires_at": expires });
    server.on("POST", "/api/auth/sign-in-links", 201, &link);
    let program = Program::signed_in(&server.url);
    let ran = program.run(&["auth", "link"]).await;
    ran.expect(0, &format!("{url}\n"));
    assert_eq!(
        ran.stderr,
        "It signs one browser in, once; it ends in 15 min.\n"
    );
    let ran = program.run(&["auth", "link", "--json"]).await;
    let shown: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(shown, link);
}

#[tokio::test]
async fn an_unencrypted_way_is_warned_of() {
    let server = Server::start().await;
    server.on("GET", "/api/auth/me", 200, &user());
    // The unspecified address reaches this machine and is not loopback.
    let url = server.url.replace("127.0.0.1", "0.0.0.0");
    let program = Program::new(&url);
    let ran = program.run(&["auth", "login", "--token", TOKEN]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let warning = format!("warning: {url}/ is not encrypted");
    assert!(ran.stderr.starts_with(&warning), "{ran:?}");
}
