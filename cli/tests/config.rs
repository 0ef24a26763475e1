//! Settings and profiles: what is kept, what wins, and what is never shown.

#![expect(clippy::unwrap_used, reason = "what a test relies on fails it")]

mod support;

use sam_domain::id::Id;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use support::fixtures::{project, project_id, prompt_id, row_id, session_id, setup, task_id, user};
use support::program::{Program, TOKEN};
use support::server::Server;

/// A session token of the time before profiles.
const OLD: &str = "sam_ses_oldcanaryOLD0123456789canaryOLD012345678";
/// Of another server.
const OTHER: &str = "sam_ses_workcanaryWORK0123456789canaryWORK01234";

fn put(program: &Program, config: &Value) {
    let path = program.config();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, config.to_string()).unwrap();
}

fn held(program: &Program) -> Value {
    serde_json::from_str(&std::fs::read_to_string(program.config()).unwrap()).unwrap()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// A program whose environment names no server.
fn plain(url: &str) -> Program {
    Program::new(url).without("SAM_API_URL")
}

#[tokio::test]
async fn a_file_from_before_profiles_is_the_default_profile() {
    let server = Server::start().await;
    server.on("GET", "/api/projects", 200, &json!({ "projects": [] }));
    let program = plain(&server.url);
    let url = format!("{}/", server.url);
    let old = json!({ "url": url, "token": OLD, "projects": { (url.clone()): project_id() } });
    put(&program, &old);
    let ran = program.run(&["project", "list"]).await;
    ran.expect(0, "");
    assert_eq!(
        server.requests()[0].header("authorization"),
        Some(format!("Bearer {OLD}").as_str())
    );
    let ran = program.run(&["config", "get", "project"]).await;
    ran.expect(0, &format!("{}\n", project_id()));
    // What it was stays where it was when something else is written.
    program.run(&["config", "set", "profile", "work"]).await;
    let now = held(&program);
    assert_eq!((&now["url"], &now["token"]), (&old["url"], &old["token"]));
    assert_eq!(now["projects"], old["projects"]);
    assert_eq!(now["profile"], "work");
}

#[tokio::test]
async fn each_profile_has_its_own_server_and_sign_in() {
    let (home, work) = (Server::start().await, Server::start().await);
    for server in [&home, &work] {
        server.on("GET", "/api/auth/me", 200, &user());
        server.on("GET", "/api/projects", 200, &json!({ "projects": [] }));
    }
    let program = plain(&home.url);
    for (profile, server, token) in [("default", &home, OLD), ("work", &work, OTHER)] {
        let arguments = [
            "auth",
            "login",
            "--token",
            "--url",
            &server.url,
            "--profile",
            profile,
        ];
        let ran = program.run_with(&arguments, token).await;
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    assert_eq!(held(&program)["profiles"]["work"]["token"], OTHER);
    assert_eq!(mode(&program.config()), 0o600);
    assert_eq!(mode(program.config().parent().unwrap()), 0o700);

    let by_environment = |name: &str| format!("SAM_PROFILE={name}");
    for (case, server, token) in [
        ("--profile=work", &work, OTHER),
        (by_environment("work").as_str(), &work, OTHER),
        ("--profile=default", &home, OLD),
        ("", &home, OLD),
    ] {
        let before = server.requests().len();
        let mut command = program.command(&["project", "list"]);
        if let Some(profile) = case.strip_prefix("SAM_PROFILE=") {
            command.env("SAM_PROFILE", profile);
        } else if !case.is_empty() {
            command.arg(case);
        }
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{case}: {output:?}");
        let asked = server.requests();
        assert_eq!(asked.len(), before + 1, "{case}");
        assert_eq!(
            asked[before].header("authorization"),
            Some(format!("Bearer {token}").as_str()),
            "{case}"
        );
    }

    // The usual profile is used where none is named; signing out of one leaves the other.
    work.on("POST", "/api/auth/logout", 200, &json!({}));
    program.run(&["config", "set", "profile", "work"]).await;
    let ran = program.run(&["auth", "logout"]).await;
    ran.expect(0, &format!("Signed out of {}/.\n", work.url));
    let now = held(&program);
    assert_eq!(
        (&now["token"], &now["profiles"]["work"]["token"]),
        (&json!(OLD), &Value::Null)
    );
}

#[tokio::test]
async fn a_named_profile_is_meant_as_a_whole() {
    let (home, elsewhere) = (Server::start().await, Server::start().await);
    home.on("GET", "/api/projects", 200, &json!({ "projects": [] }));
    elsewhere.on("GET", "/api/projects", 200, &json!({ "projects": [] }));
    let program = Program::signed_in(&elsewhere.url);
    let url = format!("{}/", home.url);
    put(
        &program,
        &json!({ "profiles": { "work": { "url": url, "token": OTHER } } }),
    );
    let ran = program.run(&["project", "list", "--profile", "work"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let asked = home.requests();
    assert_eq!(
        asked[0].header("authorization"),
        Some(format!("Bearer {OTHER}").as_str())
    );
    // The environment wins over the profile that it names itself.
    let program = program.env("SAM_PROFILE", "work");
    let ran = program.run(&["project", "list"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(
        elsewhere.requests()[0].header("authorization"),
        Some(format!("Bearer {TOKEN}").as_str())
    );
}

#[tokio::test]
async fn settings_are_listed_without_their_secrets() {
    let program = plain("http://127.0.0.1:9");
    let path = program.config();
    let ran = program.run(&["config", "list"]).await;
    ran.expect(
        0,
        &format!(
            "  profile  default\n  url      http://127.0.0.1:8787/ (from: default)\n  \
             project  none\n  token    none\n  file     {}\n",
            path.display()
        ),
    );
    put(
        &program,
        &json!({
            "url": "http://127.0.0.1:9/", "token": OLD, "profile": "work",
            "profiles": { "work": { "url": "https://sam.example.com/", "token": OTHER } },
        }),
    );
    let ran = program.run(&["config", "list"]).await;
    ran.expect(
        0,
        &format!(
            "  profile  work\n  url      https://sam.example.com/ (from: file)\n  \
             project  none\n  token    stored\n  file     {}\n\n   PROFILE\n   default\n*  work\n",
            path.display()
        ),
    );
    let ran = program
        .run(&["config", "list", "--json", "--profile", "default"])
        .await;
    let wanted = json!({
        "file": path, "profile": "default", "url": "http://127.0.0.1:9/", "url_from": "file",
        "project": null, "token": true, "profiles": ["default", "work"],
    });
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap(), wanted);
    for arguments in [
        &["config", "list"][..],
        &["config", "list", "--json"],
        &["config", "get", "url"],
        &["config", "path"],
    ] {
        let ran = program.run(arguments).await;
        assert!(
            !format!("{ran:?}").to_lowercase().contains("canary"),
            "{ran:?}"
        );
    }
    let ran = program.run(&["config", "path"]).await;
    ran.expect(0, &format!("{}\n", path.display()));
    let ran = program.run(&["config", "path", "--json"]).await;
    assert_eq!(
        serde_json::from_str::<Value>(&ran.stdout).unwrap(),
        json!({ "path": path })
    );
}

#[tokio::test]
async fn settings_are_changed_and_taken_back() {
    let server = Server::start().await;
    server.on(
        "GET",
        "/api/projects",
        200,
        &json!({ "projects": [project(1, "invoicing"), project(2, "web")] }),
    );
    let program = plain(&server.url);
    let url = format!("{}/", server.url);
    put(&program, &json!({ "url": url, "token": OLD }));

    let ran = program
        .run(&["config", "set", "project", "web", "--json"])
        .await;
    let web = project(2, "web").id;
    assert_eq!(
        serde_json::from_str::<Value>(&ran.stdout).unwrap(),
        json!({ "key": "project", "value": web })
    );
    assert_eq!(held(&program)["projects"][&url], json!(web));
    // A whole id is taken without asking.
    let asked = server.requests().len();
    let id = project_id();
    program
        .run(&["config", "set", "project", id.as_str()])
        .await
        .expect(0, "");
    assert_eq!(server.requests().len(), asked);
    assert_eq!(held(&program)["projects"][&url], json!(id));
    program
        .run(&["config", "set", "project", "none"])
        .await
        .expect(0, "");
    let ran = program.run(&["config", "get", "project"]).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, "It is not set.\n"));

    // The same address again changes nothing; another one ends the sign-in.
    program
        .run(&["config", "set", "url", &server.url])
        .await
        .expect(0, "");
    assert_eq!(held(&program)["token"], OLD);
    let ran = program
        .run(&["config", "set", "url", "https://sam.example.com"])
        .await;
    ran.expect(0, "");
    assert_eq!(
        ran.stderr,
        "The sign-in was to another server and is forgotten: sam auth login\n"
    );
    let now = held(&program);
    assert_eq!(
        (&now["url"], &now["token"]),
        (&json!("https://sam.example.com/"), &Value::Null)
    );
    program
        .run(&["config", "set", "url", "none"])
        .await
        .expect(0, "");
    program
        .run(&["config", "get", "url"])
        .await
        .expect(0, "http://127.0.0.1:8787/\n");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_nothing_is_written() {
    let program = plain("http://127.0.0.1:9");
    for (arguments, message) in [
        (
            &["config", "set", "profile", "../x"][..],
            "cannot be a profile's name",
        ),
        (&["config", "set", "url", "ftp://x"], "must begin with http"),
        (&["config", "set", "token", "x"], "invalid value 'token'"),
        (
            &["config", "list", "--profile", "A b"],
            "cannot be a profile's name",
        ),
        (
            &["config", "set", "project", "web"],
            "You are not signed in",
        ),
    ] {
        let ran = program.run(arguments).await;
        assert!(matches!(ran.code, 2 | 3), "{ran:?}");
        assert!(ran.stderr.contains(message), "{ran:?}");
    }
    assert!(!program.config().exists());
    put(&program, &json!({ "url": 7, "token": OLD }));
    let ran = program.run(&["config", "list"]).await;
    assert_eq!(ran.code, 2);
    assert!(!ran.stderr.contains("canary"), "{ran:?}");
}

#[tokio::test]
async fn a_dispatched_task_is_a_submitted_one_in_the_project_named_before_it() {
    let id = project_id();
    let tasks = format!("/api/projects/{id}/tasks");
    let submitted = json!({
        "task": task_id(), "session": session_id(), "prompt": prompt_id(), "row": row_id(1),
    });
    let before = format!("--project={id}");
    for arguments in [
        &[&before, "tasks", "dispatch", "Fix it", "--agent", "goose"][..],
        &["tasks", "dispatch", &before, "Fix it", "--agent", "goose"],
        // The command's own word is the nearer one.
        &[
            "--project=web",
            "task",
            "submit",
            "Fix it",
            "--agent=goose",
            "-p",
            "invoicing",
        ],
    ] {
        let server = Server::start().await;
        let list = json!({ "projects": [project(1, "invoicing")] });
        server.on("GET", "/api/projects", 200, &list);
        server.on("GET", "/api/setup/status", 200, &setup(false));
        let path = format!("/api/projects/{id}");
        server.on("GET", &path, 200, &json!(project(1, "invoicing")));
        server.on("POST", &tasks, 202, &submitted);
        let program = Program::signed_in(&server.url).env("SAM_PROJECT", "nothing");
        let ran = program.run(arguments).await;
        ran.expect(0, &format!("Submitted {} to invoicing.\n", task_id()));
        let asked = server.asked("POST", &tasks);
        assert_eq!(
            asked[0].json(),
            json!({ "prompt": "Fix it", "mode": "task", "agent": "goose" })
        );
    }
}

#[tokio::test]
async fn what_is_changed_at_once_all_counts() {
    const MANY: usize = 24;
    let program = plain("http://127.0.0.1:9").without("SAM_API_URL");
    let arguments = |n: usize| {
        let (profile, url) = (format!("--profile=p{n}"), format!("http://127.0.0.1:{n}"));
        ["config".into(), "set".into(), "url".into(), url, profile]
    };
    let children: Vec<_> = (1..=MANY)
        .map(|n| {
            let arguments: [String; 5] = arguments(n);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            program.command(&arguments).spawn().unwrap()
        })
        .collect();
    for child in children {
        let ended = child.wait_with_output().await.unwrap();
        assert!(ended.status.success(), "{ended:?}");
    }
    let held = held(&program);
    for n in 1..=MANY {
        let url = format!("http://127.0.0.1:{n}/");
        assert_eq!(held["profiles"][format!("p{n}")]["url"], url, "{held}");
    }
    // And nothing else is left beside the file.
    let folder = program.config().parent().unwrap().to_owned();
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
}
