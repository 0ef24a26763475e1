//! What the commands about API tokens and sessions send, and what they print.

mod support;

use serde_json::{Value, json};
use support::fixtures::now;
use support::program::Program;
use support::server::Server;

const SECRET: &str = "sam_pat_canaryCANARY0123456789canaryCANARY0123456789";
const CI: &str = "tok_01jd8x0000000000000000000a";
const LAPTOP: &str = "tok_01jd8x0000000000000000000b";

fn tokens() -> Value {
    let ago = now().0 - 5 * 60_000;
    json!({"tokens": [
        {"id": CI, "name": "ci", "scopes": ["read"], "created_at": ago, "last_used_at": ago},
        {
            "id": LAPTOP, "name": "lap\u{1b}[31mtop", "scopes": ["read", "node-join"],
            "created_at": ago, "expires_at": now().0 + 119 * 60_000,
        },
    ]})
}

#[tokio::test]
async fn a_token_is_made_with_what_was_asked_for_and_shown_once() {
    let server = Server::start().await;
    let made = json!({
        "token": SECRET, "id": CI, "name": "ci", "scopes": ["read", "node-join"], "created_at": 1,
    });
    server.on("POST", "/api/auth/tokens", 201, &made);
    let program = Program::signed_in(&server.url);
    let cases: [(&[&str], Value); 2] = [
        (&["token", "create", "--name", "ci"], json!({"name": "ci"})),
        (
            &[
                "token",
                "create",
                "--name",
                "ci",
                "--scope",
                "node-join",
                "--scope",
                "read",
                "--expires-in-days",
                "30",
            ],
            json!({"name": "ci", "scopes": ["read", "node-join"], "expires_in_days": 30}),
        ),
    ];
    for (at, (arguments, sent)) in cases.iter().enumerate() {
        let ran = program.run(arguments).await;
        ran.expect(0, &format!("{SECRET}\n"));
        assert_eq!(
            ran.stderr,
            "It is shown this once. It may: read node-join.\n\
             Use it as SAM_API_TOKEN beside SAM_API_URL; take it back with sam token revoke \
             0000000a.\n"
        );
        assert_eq!(server.asked("POST", "/api/auth/tokens")[at].json(), *sent);
    }
    let ran = program
        .run(&["token", "create", "--name", "ci", "--json"])
        .await;
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap(), made);
}

#[tokio::test]
async fn tokens_are_listed_without_their_secrets_and_revoked_by_name() {
    let server = Server::start().await;
    let held = tokens();
    server.on("GET", "/api/auth/tokens", 200, &held);
    let program = Program::signed_in(&server.url);
    let ran = program.run(&["tokens", "list"]).await;
    ran.expect(
        0,
        "ID        NAME    SCOPES          USED       ENDS\n\
         0000000a  ci      read            5 min ago  never\n\
         0000000b  laptop  read node-join  never      in 2 h\n",
    );
    let ran = program.run(&["token", "list", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap(), held);

    let path = format!("/api/auth/tokens/{CI}");
    server.on("DELETE", &path, 200, &json!({}));
    for named in ["ci", CI, "0000000a"] {
        let ran = program.run(&["token", "revoke", named]).await;
        ran.expect(0, "ci opens nothing any more.\n");
    }
    assert_eq!(server.asked("DELETE", &path).len(), 3);
    assert_eq!(program.run(&["token", "revoke", "nobody"]).await.code, 4);

    let none = Server::start().await;
    none.on("GET", "/api/auth/tokens", 200, &json!({"tokens": []}));
    let ran = Program::signed_in(&none.url).run(&["token", "list"]).await;
    ran.expect(0, "");
    assert_eq!(
        ran.stderr,
        "You have no API token. Make one: sam token create --name <what for>\n"
    );
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let server = Server::start().await;
    let sessions = json!({"sessions": [
        {
            "handle": "BJW9zTDlt40wVGUi", "client": "sam-cli", "scopes": ["read"],
            "created_at": now().0 - 3 * 3_600_000, "expires_at": now().0 + 119 * 60_000,
            "current": false,
        },
        {
            "handle": "ANkhOTGGzjt-wOHO", "client": "web", "created_at": now().0,
            "expires_at": now().0 + 119 * 60_000, "current": true,
        },
    ]});
    server.on("GET", "/api/auth/sessions", 200, &sessions);
    server.on("DELETE", "/api/auth/sessions", 200, &json!({}));
    server.on(
        "DELETE",
        "/api/auth/sessions/BJW9zTDlt40wVGUi",
        200,
        &json!({}),
    );
    let program = Program::signed_in(&server.url);
    let ran = program.run(&["auth", "sessions"]).await;
    ran.expect(
        0,
        "SESSION           WHERE    MAY         OPENED    ENDS\n\
         BJW9zTDlt40wVGUi  sam-cli  read        3 h ago   in 2 h\n\
         ANkhOTGGzjt-wOHO  web      everything  just now  in 2 h  this one\n",
    );
    let ran = program.run(&["auth", "sessions", "--json"]).await;
    assert_eq!(
        serde_json::from_str::<Value>(&ran.stdout).unwrap(),
        sessions
    );

    let ran = program.run(&["auth", "end", "BJW9zTDlt40wVGUi"]).await;
    ran.expect(0, "The session is over.\n");
    let ran = program.run(&["auth", "end", "--others"]).await;
    ran.expect(0, "All your other sessions are over.\n");
    assert_eq!(server.asked("DELETE", "/api/auth/sessions").len(), 1);
    assert_eq!(program.run(&["auth", "end"]).await.code, 2);
}
