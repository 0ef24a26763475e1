//! What only happens at a terminal: a pager for what is long, and being asked which.

#![expect(clippy::unwrap_used, reason = "what a test relies on fails it")]

mod support;

use serde_json::{Value, json};
use support::fixtures::{project, project_id, user_id};
use support::program::Program;
use support::server::Server;
use support::terminal::talk;

/// Machines with these names, as the server lists them.
fn machines(names: &[&str]) -> Value {
    let nodes: Vec<Value> = names
        .iter()
        .enumerate()
        .map(|(n, name)| {
            json!({
                "id": format!("nod_01jd8x000000000000000000{n:02}"),
                "owner": user_id(),
                "name": name,
                "class": "own",
                "state": "ready",
                "since": 0,
                "workspaces": 0,
                "shared_with": [],
                "rev": 1,
                "facts": {
                    "hostname": name, "os": "linux", "arch": "x86_64", "cpus": 2,
                    "memory_bytes": 1, "disk_free_bytes": 1, "disk_full": false,
                    "max_workspaces": 1, "version": "1", "agents": [],
                },
            })
        })
        .collect();
    json!({ "nodes": nodes })
}

/// A server with two machines, and somebody at a terminal.
async fn at_a_terminal() -> (Server, Program) {
    let server = Server::start().await;
    server.on("GET", "/api/nodes", 200, &machines(&["desk", "shed"]));
    let path = std::env::var("PATH").unwrap();
    let program = Program::signed_in(&server.url)
        .env("TERM", "xterm")
        .env("PATH", &path);
    (server, program)
}

const LIST: [&str; 2] = ["node", "list"];

#[tokio::test]
async fn what_is_long_goes_through_the_pager() {
    let (_server, program) = at_a_terminal().await;
    for (name, value) in [
        ("SAM_PAGER", "sed s/^/paged:/"),
        ("PAGER", "sed 's/^/paged:/'"),
    ] {
        let (_other, program) = at_a_terminal().await;
        let program = program.env(name, value);
        let (code, said) = talk(&program, &LIST, &[]).await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("paged:NAME"), "{said}");
        assert!(said.contains("paged:shed"), "{said}");
    }
    // SAM_PAGER wins; empty and `cat` are none; what cannot be run is none.
    for own in ["", "cat", "no-such-pager -x"] {
        let program = Program::signed_in(&program.url)
            .env("TERM", "xterm")
            .env("PATH", &std::env::var("PATH").unwrap())
            .env("PAGER", "sed s/^/paged:/")
            .env("SAM_PAGER", own);
        let (code, said) = talk(&program, &LIST, &[]).await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("shed") && !said.contains("paged:"), "{said}");
    }
}

#[tokio::test]
async fn nobody_is_paged_who_does_not_read_or_wants_none() {
    let (_server, program) = at_a_terminal().await;
    let program = program.env("SAM_PAGER", "sed s/^/paged:/");
    for flag in ["--no-pager", "--json"] {
        let (code, said) = talk(&program, &["node", "list", flag], &[]).await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("shed") && !said.contains("paged:"), "{said}");
    }
    let ran = program.run(&LIST).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!ran.stdout.contains("paged:"), "{ran:?}");
}

#[tokio::test]
async fn a_pager_that_has_enough_is_no_failure_and_ctrl_c_is_the_pagers() {
    let (_server, program) = at_a_terminal().await;
    for pager in [
        "head -n 1; echo enough",
        "cat >/dev/null; kill -INT $PPID; echo enough",
    ] {
        let program = Program::signed_in(&program.url)
            .env("TERM", "xterm")
            .env("PATH", &std::env::var("PATH").unwrap())
            .env("SAM_PAGER", pager);
        let (code, said) = talk(&program, &LIST, &[]).await;
        assert_eq!(code, Some(0), "{pager}: {said}");
        assert!(said.contains("enough"), "{pager}: {said}");
    }
}

#[tokio::test]
async fn less_ends_by_itself_where_all_fits_on_the_screen() {
    let (_server, program) = at_a_terminal().await;
    let (code, said) = talk(&program, &LIST, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("shed"), "{said}");
}

#[tokio::test]
async fn who_names_none_is_asked_which() {
    const DOWN: &str = "\u{1b}[B";
    for (keys, code, done) in [
        ("\r", 0, "desk"),
        (&format!("{DOWN}\r"), 0, "shed"),
        ("\u{1b}", 130, "Nothing was chosen"),
        ("q", 130, "Nothing was chosen"),
        ("\u{3}", 130, "Nothing was chosen"),
    ] {
        let (server, program) = at_a_terminal().await;
        for n in 0..2 {
            let node = format!("/api/nodes/nod_01jd8x000000000000000000{n:02}");
            server.on("DELETE", &node, 200, &json!({}));
        }
        let steps = [("> nod_", keys)];
        let (ended, said) = talk(&program, &["node", "destroy"], &steps).await;
        assert_eq!(ended, Some(code), "{keys:?}: {said}");
        assert!(said.contains("Which machine:"), "{said}");
        let out = format!("{done} (");
        let told = if code == 0 { out.as_str() } else { done };
        assert!(said.contains(told), "{keys:?}: {said}");
        let asked = server
            .requests()
            .iter()
            .filter(|r| r.method == "DELETE")
            .count();
        assert_eq!(asked, usize::from(code == 0), "{keys:?}");
    }
}

#[tokio::test]
async fn where_nobody_can_be_asked_what_there_is_is_named() {
    let (_server, program) = at_a_terminal().await;
    let said = "error: Which machine?\n  \
                nod_01jd8x00000000000000000000 desk\n  \
                nod_01jd8x00000000000000000001 shed\n\
                hint: Name one, by its name, its id or enough of the id.\n";
    program.run(&["node", "show"]).await.expect_error(2, said);
    let ran = program.run(&["node", "show", "--json"]).await;
    assert_eq!(ran.code, 2);
    let error: Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(error["error"]["code"], "usage");
    assert!(ran.stderr.contains("shed"), "{ran:?}");
    // At a terminal, JSON is for a program all the same.
    let (code, said) = talk(&program, &["node", "show", "--json"], &[]).await;
    assert_eq!(code, Some(2), "{said}");

    let server = Server::start().await;
    server.on("GET", "/api/nodes", 200, &machines(&[]));
    let program = Program::signed_in(&server.url);
    let ran = program.run(&["node", "destroy"]).await;
    ran.expect_error(
        4,
        "error: There is no machine.\nhint: See `sam node list`.\n",
    );
}

#[tokio::test]
async fn a_project_is_chosen_where_there_are_several() {
    let (server, program) = at_a_terminal().await;
    let projects = [project(1, "inkwell"), project(2, "lantern")];
    server.on(
        "GET",
        "/api/projects",
        200,
        &json!({ "projects": projects }),
    );
    let steps = [("> ", "\u{1b}[B\r")];
    let (code, said) = talk(&program, &["project", "show"], &steps).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Which project:"), "{said}");
    assert!(said.matches("lantern").count() > 1, "{said}");
    let ran = program.run(&["project", "use"]).await;
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.stderr.contains(&format!("{} inkwell", project_id())),
        "{ran:?}"
    );
}
