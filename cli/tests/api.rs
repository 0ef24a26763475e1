//! `sam api`: what is sent, what is printed, and that the token shows nowhere.

mod support;

use serde_json::json;
use support::program::{Program, TOKEN};
use support::server::{Request, Server};

async fn scene() -> (Server, Program) {
    let server = Server::start().await;
    let program = Program::signed_in(&server.url);
    (server, program)
}

fn only(server: &Server) -> Request {
    let mut requests = server.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    requests.remove(0)
}

#[tokio::test]
async fn a_read_sends_the_path_as_it_is_and_prints_the_answer_as_it_came() {
    let (server, program) = scene().await;
    server.on_text("GET", "/api/projects", 200, "{\"projects\":[]}", &[]);
    let ran = program
        .run(&["api", "get", "/api/projects?limit=2&q=a%2Fb"])
        .await;
    ran.expect(0, "{\"projects\":[]}");
    assert_eq!(ran.stderr, "");
    let request = only(&server);
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("GET", "/api/projects?limit=2&q=a%2Fb")
    );
    assert_eq!(
        request.header("authorization"),
        Some(format!("Bearer {TOKEN}").as_str())
    );
    assert_eq!(request.header("idempotency-key"), None);
    assert_eq!(request.header("content-type"), None);
    assert_eq!(request.body, "");
}

#[tokio::test]
async fn a_body_comes_from_the_command_line_a_file_or_stdin() {
    let body = "{\"name\": \"x\"}";
    for (given, stdin) in [(body, ""), ("@body.json", ""), ("-", body)] {
        let (server, program) = scene().await;
        std::fs::write(program.home.path().join("body.json"), body).unwrap();
        server.on_text("POST", "/api/projects", 201, "{}", &[]);
        let arguments = ["api", "POST", "/api/projects", "--data", given];
        program.run_with(&arguments, stdin).await.expect(0, "{}");
        let request = only(&server);
        assert_eq!(
            (request.method.as_str(), request.body.as_str()),
            ("POST", body),
            "{given}"
        );
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert!(
            request
                .header("idempotency-key")
                .is_some_and(|key| key.len() == 22)
        );
    }
}

#[tokio::test]
async fn headers_are_added_and_win() {
    let (server, program) = scene().await;
    server.on_text("PUT", "/api/x", 200, "", &[]);
    let arguments = [
        "api",
        "PUT",
        "/api/x",
        "-d",
        "a=b",
        "-H",
        "Content-Type: application/x-www-form-urlencoded",
        "-H",
        "Idempotency-Key: mine",
        "-H",
        "X-One: 1",
        "-H",
        "X-Two: a: b",
    ];
    program.run(&arguments).await.expect(0, "");
    let request = only(&server);
    for (name, value) in [
        ("content-type", "application/x-www-form-urlencoded"),
        ("idempotency-key", "mine"),
        ("x-one", "1"),
        ("x-two", "a: b"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    assert_eq!(request.body, "a=b");
}

#[tokio::test]
async fn the_head_is_printed_first_without_our_token() {
    let (server, program) = scene().await;
    let headers = [("x-echo", TOKEN), ("content-type", "text/plain")];
    server.on_text("DELETE", "/api/x", 200, "gone\n", &headers);
    let ran = program.run(&["api", "DELETE", "/api/x", "--include"]).await;
    ran.expect(
        0,
        "HTTP/1.1 200 OK\ncontent-length: 5\nx-echo: [hidden]\ncontent-type: text/plain\n\ngone\n",
    );
}

#[tokio::test]
async fn what_is_refused_ends_as_with_every_command() {
    for (status, code, exit) in [
        (401, "invalid_token", 3),
        (404, "not_found", 4),
        (409, "conflict", 5),
        (501, "not_built", 7),
        (503, "down", 6),
    ] {
        let (server, program) = scene().await;
        let body = json!({"error": {"code": code, "message": format!("No: {TOKEN} it was."), "hint": "Do it.", "request_id": "req_7"}});
        server.on("PATCH", "/api/x", status, &body);
        let ran = program.run(&["api", "PATCH", "/api/x"]).await;
        ran.expect_error(
            exit,
            "error: No: [hidden] it was.\nhint: Do it.\nrequest: req_7\n",
        );
        let ran = program.run(&["--json", "api", "PATCH", "/api/x"]).await;
        let said: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
        assert_eq!(said["error"]["code"], code);
        assert_eq!(said["error"]["exit_code"], exit);
    }
    let (server, program) = scene().await;
    server.on_text("GET", "/api/x", 500, "<html>", &[]);
    assert_eq!(program.run(&["api", "GET", "/api/x"]).await.code, 6);
}

#[tokio::test]
async fn the_token_goes_to_its_own_server_alone() {
    let (server, program) = scene().await;
    let elsewhere = Server::start().await;
    let absolute = format!("{}/api/x", elsewhere.url);
    program.run(&["api", "GET", &absolute]).await.expect_error(
        2,
        "error: This is not a path of the server.\n\
         hint: Give it like /api/projects; the server's address is added.\n",
    );
    let host = elsewhere.url.trim_start_matches("http:");
    program.run(&["api", "GET", &format!("{host}/api/x")]).await;
    program
        .run(&["api", "GET", "/api/x", "-H", "Authorization: Bearer other"])
        .await
        .expect_error(
            2,
            "error: The token that is sent is the one you are signed in with.\n\
         hint: To use another one, set SAM_API_TOKEN.\n",
        );
    // Behind a front that many share, the host's name decides who is asked.
    let ran = program
        .run(&["api", "GET", "/api/x", "-H", "Host: other.example.com"])
        .await;
    assert_eq!((ran.code, server.requests().len()), (2, 1), "{ran:?}");
    server.on_text("GET", "/api/moved", 302, "", &[("location", &absolute)]);
    assert_eq!(program.run(&["api", "GET", "/api/moved"]).await.code, 6);
    assert_eq!(elsewhere.requests().len(), 0);
}

#[tokio::test]
async fn mistakes_show_no_secret_that_was_given() {
    let (server, program) = scene().await;
    for arguments in [
        vec!["api", "POST", "/api/x", "--data", TOKEN, "--wrong"],
        vec!["api", "POST", "/api/x", "-H", TOKEN],
        vec!["api", "BREW", "/api/x", "--data", TOKEN],
    ] {
        let ran = program.run(&arguments).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
    }
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn nobody_who_is_not_signed_in_sends_anything() {
    let server = Server::start().await;
    let ran = Program::new(&server.url)
        .run(&["api", "GET", "/api/x"])
        .await;
    assert_eq!(ran.code, 3);
    assert_eq!(server.requests().len(), 0);
}
