//! Signing in through the browser and with API tokens: the exact bodies, and what is shown.

mod support;

use serde_json::{Value, json};
use support::fixtures::{setup, user};
use support::program::{Program, Ran, TOKEN};
use support::server::Server;

const DEVICE_CODE: &str = "sam_dev_BCDFGHJK.canaryCANARY0123456789canaryCANARY0123456";
const PAT: &str = "sam_pat_canaryCANARY0123456789canaryCANARY0123456789";
const GRANT: &str = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code";

fn oauth_error(word: &str) -> Value {
    json!({"error": word, "error_description": "For people."})
}

/// A server where a device flow begins and is polled without a pause.
async fn server(polls: &[(u16, Value)]) -> Server {
    let server = Server::start().await;
    let codes = json!({
        "device_code": DEVICE_CODE,
        "user_code": "BCDF-GHJK",
        "verification_uri": format!("{}/device", server.url),
        "verification_uri_complete": format!("{}/device?code=BCDF-GHJK", server.url),
        "expires_in": 900,
        "interval": 0,
    });
    server.on("GET", "/api/setup/status", 200, &setup(true));
    server.on("POST", "/api/auth/device/code", 200, &codes);
    for (status, answer) in polls {
        server.on("POST", "/api/auth/device/token", *status, answer);
    }
    server.on("GET", "/api/auth/me", 200, &user());
    server
}

fn session() -> (u16, Value) {
    let answer = json!({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 2_592_000});
    (200, answer)
}

fn shown(server: &Server) -> String {
    format!(
        "Open this page, compare the code and approve:\n\n  {}/device?code=BCDF-GHJK\n\n  \
         code: BCDF-GHJK\n\nWaiting for approval…\n",
        server.url
    )
}

fn without_secrets(ran: &Ran) {
    for text in [&ran.stdout, &ran.stderr] {
        assert!(!text.contains("canary"), "{ran:?}");
    }
}

#[tokio::test]
async fn a_login_shows_page_and_code_and_polls_until_it_is_approved() {
    let pending = (400, oauth_error("authorization_pending"));
    let server = server(&[pending.clone(), pending, session()]).await;
    let program = Program::new(&server.url);
    let ran = program.run(&["auth", "login"]).await;
    ran.expect(
        0,
        &format!("Signed in to {}/ as Ada (admin).\n", server.url),
    );
    let next = "Next: sam project create --repo <url|path>\n";
    assert_eq!(ran.stderr, format!("{}{next}", shown(&server)));
    without_secrets(&ran);

    let begun = server.asked("POST", "/api/auth/device/code");
    assert_eq!(begun.len(), 1);
    assert_eq!(begun[0].body, "client_id=sam-cli");
    assert_eq!(
        begun[0].header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(begun[0].header("authorization"), None);
    let polls = server.asked("POST", "/api/auth/device/token");
    assert_eq!(polls.len(), 3);
    for poll in &polls {
        assert_eq!(
            poll.body,
            format!("grant_type={GRANT}&device_code={DEVICE_CODE}&client_id=sam-cli")
        );
    }
    let kept = std::fs::read_to_string(program.config()).unwrap();
    assert!(kept.contains(TOKEN) && !kept.contains(DEVICE_CODE));
}

#[tokio::test]
async fn a_narrower_session_is_asked_for_by_scope() {
    let server = server(&[session()]).await;
    let program = Program::new(&server.url);
    let login = [
        "--json",
        "auth",
        "login",
        "--scope",
        "node-join",
        "--scope",
        "read",
    ];
    let ran = program.run(&login).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let printed: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        printed,
        json!({"url": format!("{}/", server.url), "user": user()})
    );
    let begun = server.asked("POST", "/api/auth/device/code");
    assert_eq!(begun[0].body, "client_id=sam-cli&scope=read+node-join");

    let ran = program.run(&["auth", "login", "--scope", "root"]).await;
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr
            .contains("there are read, write, admin and node-join"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn told_to_slow_down_it_waits_five_seconds_more() {
    let server = server(&[(400, oauth_error("slow_down")), session()]).await;
    let began = std::time::Instant::now();
    let ran = Program::new(&server.url).run(&["auth", "login"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    // No sooner: how much later is the machine's business.
    assert!(began.elapsed() >= std::time::Duration::from_secs(5));
    assert_eq!(server.asked("POST", "/api/auth/device/token").len(), 2);
}

#[tokio::test]
async fn what_ends_a_login_says_so_and_what_to_do() {
    for (word, message) in [
        ("expired_token", "The code has expired."),
        (
            "access_denied",
            "You said no on the page, or may not sign in.",
        ),
        ("invalid_grant", "For people."),
    ] {
        let server = server(&[(400, oauth_error(word))]).await;
        let program = Program::new(&server.url);
        let ran = program.run(&["auth", "login"]).await;
        ran.expect_error(
            5,
            &format!(
                "{}error: {message}\nhint: Start again with `sam auth login`.\n",
                shown(&server)
            ),
        );
        without_secrets(&ran);
        assert!(!program.config().exists());
    }
}

#[tokio::test]
async fn a_code_that_ends_while_it_waits_is_not_polled_any_more() {
    let server = server(&[]).await;
    let codes = json!({
        "device_code": DEVICE_CODE, "user_code": "BCDF-GHJK", "verification_uri": server.url,
        "verification_uri_complete": server.url, "expires_in": 0, "interval": 0,
    });
    let other = Server::start().await;
    other.on("GET", "/api/setup/status", 200, &setup(true));
    other.on("POST", "/api/auth/device/code", 200, &codes);
    let ran = Program::new(&other.url).run(&["auth", "login"]).await;
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.stderr.contains("The code has expired."), "{ran:?}");
    assert!(other.asked("POST", "/api/auth/device/token").is_empty());
}

#[tokio::test]
async fn a_poll_that_gets_no_answer_is_no_end() {
    let server = server(&[]).await;
    // Three: a request without an answer is sent again twice.
    for _ in 0..3 {
        server.on_silence("POST", "/api/auth/device/token");
    }
    let (status, answer) = session();
    server.on("POST", "/api/auth/device/token", status, &answer);
    let ran = Program::new(&server.url).run(&["auth", "login"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("does not answer"), "{ran:?}");
    assert_eq!(server.asked("POST", "/api/auth/device/token").len(), 4);
}

#[tokio::test]
async fn the_page_is_opened_in_the_browser_that_one_names() {
    let server = server(&[session()]).await;
    let program = Program::new(&server.url);
    let opened = program.home.path().join("opened");
    let browser = program.home.path().join("browser");
    std::fs::write(
        &browser,
        format!(
            "#!/bin/sh\nprintf '%s' \"$1\" > '{0}.new' && mv '{0}.new' '{0}'\n",
            opened.display()
        ),
    )
    .unwrap();
    let mut mode = std::fs::metadata(&browser).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o700);
    std::fs::set_permissions(&browser, mode).unwrap();
    let program = program
        .env("BROWSER", browser.to_str().unwrap())
        .env("PATH", "/usr/bin:/bin");
    assert_eq!(
        program.run(&["auth", "login", "--no-browser"]).await.code,
        0
    );
    assert_eq!(program.run(&["auth", "login"]).await.code, 0);
    let deadline = std::time::Instant::now() + support::program::DEADLINE;
    while !opened.exists() && std::time::Instant::now() < deadline {
        tokio::task::yield_now().await;
    }
    let page = std::fs::read_to_string(opened).unwrap();
    assert_eq!(page, format!("{}/device?code=BCDF-GHJK", server.url));
}

#[tokio::test]
async fn a_page_that_is_no_web_page_is_not_opened() {
    let server = Server::start().await;
    let codes = json!({
        "device_code": DEVICE_CODE, "user_code": "BCDF-GHJK", "verification_uri": "file:///etc/passwd",
        "verification_uri_complete": "file:///etc/passwd", "expires_in": 900, "interval": 0,
    });
    server.on("GET", "/api/setup/status", 200, &setup(true));
    server.on("POST", "/api/auth/device/code", 200, &codes);
    let ran = Program::new(&server.url).run(&["auth", "login"]).await;
    assert_eq!(ran.code, 6, "{ran:?}");
    without_secrets(&ran);
}

#[tokio::test]
async fn an_api_token_is_exchanged_for_a_session() {
    let server = Server::start().await;
    let answer = json!({"token": TOKEN, "user": user()});
    server.on("POST", "/api/auth/token-login", 200, &answer);
    let program = Program::new(&server.url);
    let wanted = format!("Signed in to {}/ as Ada (admin).\n", server.url);
    let piped = format!("{PAT}\n");
    program
        .run_with(&["auth", "login", "--token"], &piped)
        .await
        .expect(0, &wanted);
    program
        .run(&["auth", "login", "--token", PAT])
        .await
        .expect(0, &wanted);
    let asked = server.asked("POST", "/api/auth/token-login");
    assert_eq!(asked.len(), 2);
    for request in &asked {
        assert_eq!(request.json(), json!({"token": PAT}));
        assert_eq!(request.header("authorization"), None);
    }
    let kept = std::fs::read_to_string(program.config()).unwrap();
    assert!(kept.contains(TOKEN) && !kept.contains(PAT));
}

#[tokio::test]
async fn the_token_in_use_is_printed_alone() {
    let program = Program::new("http://127.0.0.1:9").env("SAM_API_TOKEN", PAT);
    let ran = program.run(&["auth", "token"]).await;
    assert_eq!(
        (ran.stdout, ran.stderr),
        (format!("{PAT}\n"), String::new())
    );
    let ran = program.run(&["auth", "token", "--json"]).await;
    let printed: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        printed,
        json!({"url": "http://127.0.0.1:9/", "token": PAT, "token_from": "SAM_API_TOKEN"})
    );
    let nobody = Program::new("http://127.0.0.1:9");
    assert_eq!(nobody.run(&["auth", "token"]).await.code, 3);
}
