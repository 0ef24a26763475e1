//! What the commands about people and members send, and what they print.

mod support;

use sam_domain::access::route::{Method, ROUTES, RouteId};
use sam_domain::id::Id;
use serde_json::{Value, json};
use support::fixtures::{now, project, project_id};
use support::program::Program;
use support::server::Server;

const ADA: &str = "usr_01jd8x0000000000000000000a";
const BEN: &str = "usr_01jd8x0000000000000000000b";
const INVITE: &str = "inv_01jd8x00000000000000000000";
const NODE: &str = "nod_01jd8x00000000000000000000";

fn person(id: &str, name: &str, role: &str, suspended: bool) -> Value {
    if suspended {
        return json!({"id": id, "name": name, "role": role, "created_at": 1, "suspended_at": 2});
    }
    json!({"id": id, "name": name, "role": role, "created_at": 1})
}

fn member(id: &str, name: &str, role: &str) -> Value {
    json!({"user": id, "name": name, "role": role, "created_at": 1})
}

/// The method and path of a route with these segments.
fn path(id: RouteId, segments: &[&str]) -> (&'static str, String) {
    let mut values = segments.iter().copied();
    let mut fill = |part: &'static str| match part.starts_with('{') {
        true => values.next().unwrap_or_default(),
        false => part,
    };
    ROUTES
        .iter()
        .find(|route| route.id == id)
        .map(|route| {
            let path: Vec<&str> = route.path.split('/').map(&mut fill).collect();
            (Method::word(route.method), path.join("/"))
        })
        .unwrap_or_default()
}

/// Arguments, the route that they call and its segments, what is sent, answered and printed.
type Case<'a> = (&'a [&'a str], RouteId, &'a [&'a str], Value, Value, &'a str);

async fn server() -> (Server, Program) {
    let server = Server::start().await;
    let program = Program::signed_in(&server.url);
    let project = project(1, "invoicing");
    server.on("GET", "/api/projects", 200, &json!({"projects": [project]}));
    let people = [
        person(ADA, "Ada", "admin", false),
        person(BEN, "Ben", "member", true),
    ];
    server.on("GET", "/api/people", 200, &json!({ "people": people }));
    let members = [member(ADA, "Ada", "owner"), member(BEN, "Ben", "viewer")];
    let (method, listed) = path(RouteId::ListMembers, &[project_id().as_str()]);
    server.on(method, &listed, 200, &json!({ "members": members }));
    (server, program)
}

#[tokio::test]
async fn each_command_sends_what_its_flags_say() {
    let project = project_id().to_string();
    let cases: [Case<'_>; 9] = [
        (
            &["people", "role", "ben", "admin"],
            RouteId::ChangePerson,
            &[BEN],
            json!({"role": "admin"}),
            person(BEN, "Ben", "admin", false),
            "Ben is admin and active.\n",
        ),
        (
            &["people", "suspend", "Ben"],
            RouteId::ChangePerson,
            &[BEN],
            json!({"suspended": true}),
            person(BEN, "Ben", "member", true),
            "Ben is member and suspended.\n",
        ),
        (
            &["people", "restore", BEN],
            RouteId::ChangePerson,
            &[BEN],
            json!({"suspended": false}),
            person(BEN, "Ben", "member", false),
            "Ben is member and active.\n",
        ),
        (
            &["people", "remove", "000b"],
            RouteId::RemovePerson,
            &[BEN],
            Value::Null,
            json!({}),
            "Ben is removed.\n",
        ),
        (
            &["project", "members", "add", BEN, "--role", "maintainer"],
            RouteId::PutMember,
            &[&project, BEN],
            json!({"role": "maintainer"}),
            member(BEN, "Ben", "maintainer"),
            "Ben is maintainer of invoicing.\n",
        ),
        (
            &["project", "members", "add", "ben"],
            RouteId::PutMember,
            &[&project, BEN],
            json!({"role": "contributor"}),
            member(BEN, "Ben", "contributor"),
            "Ben is contributor of invoicing.\n",
        ),
        (
            &["project", "members", "remove", "Ben", "-p", "invoicing"],
            RouteId::RemoveMember,
            &[&project, BEN],
            Value::Null,
            json!({}),
            "Ben is no member of invoicing any more.\n",
        ),
        (
            &["people", "invite", "--role", "admin", "--note", "for Eve"],
            RouteId::CreateInvite,
            &[],
            json!({"role": "admin", "note": "for Eve"}),
            json!({"id": INVITE, "url": "http://host/invite#sam_inv_x", "expires_at": 1}),
            "http://host/invite#sam_inv_x\n",
        ),
        (
            &["people", "revoke", INVITE],
            RouteId::RevokeInvite,
            &[INVITE],
            Value::Null,
            json!({}),
            "Invite 00000000 lets nobody in.\n",
        ),
    ];
    for (arguments, route, segments, sent, answer, printed) in cases {
        let (server, program) = server().await;
        let invite = json!({"id": INVITE, "role": "member", "created_by": ADA, "created_at": 1, "expires_at": 2});
        server.on(
            "GET",
            "/api/people/invites",
            200,
            &json!({"invites": [invite]}),
        );
        let (method, path) = path(route, segments);
        server.on(method, &path, 200, &answer);
        let ran = program.run(arguments).await;
        ran.expect(0, printed);
        let asked = server.asked(method, &path);
        assert_eq!(asked.len(), 1, "{arguments:?}");
        if sent.is_null() {
            assert_eq!(asked[0].body, "", "{arguments:?}");
        } else {
            assert_eq!(asked[0].json(), sent, "{arguments:?}");
        }
    }
}

#[tokio::test]
async fn lists_are_tables_for_people_and_json_for_programs() {
    let (_server, program) = server().await;
    let listed = program.run(&["people", "list"]).await;
    assert_eq!(listed.code, 0, "{listed:?}");
    for part in ["NAME", "Ada", "admin", "active", "Ben", "suspended", BEN] {
        assert!(listed.stdout.contains(part), "{part}: {}", listed.stdout);
    }
    for arguments in [
        vec!["project", "members", "list", "--json"],
        vec!["project", "members", "-p", "invoicing", "--json"],
    ] {
        let (_server, program) = server().await;
        let listed = program.run(&arguments).await;
        let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
        assert_eq!(listed["members"][1], member(BEN, "Ben", "viewer"));
    }
}

fn node() -> Value {
    json!({
        "id": NODE, "owner": ADA, "name": "desk", "class": "own", "state": "ready", "since": now(),
        "facts": {
            "os": "linux", "arch": "x86_64", "hostname": "desk.local", "cpus": 2,
            "memory_bytes": 1_u64 << 34, "disk_free_bytes": 1_u64 << 40, "version": "1.2.3",
            "agents": ["sam-harness", "co\u{1b}[31mdex"], "max_workspaces": 4, "disk_full": true,
        },
        "workspaces": 1, "rev": 1,
    })
}

#[tokio::test]
async fn a_machine_is_shown_by_name_or_id() {
    for (given, exit) in [("desk", 0), (NODE, 0), ("nowhere", 4)] {
        let (server, program) = server().await;
        server.on("GET", "/api/nodes", 200, &json!({ "nodes": [node()] }));
        let ran = program.run(&["node", "show", given]).await;
        assert_eq!(ran.code, exit, "{ran:?}");
        if exit == 0 {
            ran.expect(
                0,
                &format!(
                    "● ready  desk\n  machine   {NODE}\n  since     just now\n  \
                     work      1 of 4 workspaces\n  host      desk.local\n  \
                     system    linux/x86_64\n  size      2 cpus, 16 GB\n  \
                     disk      1 TB free; too full for work\n  vm-agent  1.2.3\n  \
                     agents    sam-harness, codex\n"
                ),
            );
            let ran = program.run(&["node", "show", given, "--json"]).await;
            let said: Value = serde_json::from_str(&ran.stdout).unwrap();
            assert_eq!(said["facts"]["hostname"], "desk.local");
        }
    }
}

#[tokio::test]
async fn a_machine_is_taken_out_and_by_force_with_its_work() {
    for (flags, query) in [(&[][..], ""), (&["--force"][..], "?force=true")] {
        let (server, program) = server().await;
        server.on("GET", "/api/nodes", 200, &json!({ "nodes": [node()] }));
        let (method, path) = path(RouteId::RemoveNode, &[NODE]);
        server.on(method, &path, 200, &json!({}));
        let ran = program
            .run(&[&["node", "destroy", "desk"], flags].concat())
            .await;
        let short = &NODE[NODE.len() - 8..];
        ran.expect(0, &format!("desk ({short}) is out for good.\n"));
        assert_eq!(server.asked(method, &format!("{path}{query}")).len(), 1);
    }
}

#[tokio::test]
async fn what_a_machine_knows_of_itself_is_written_into_a_file() {
    let (server, program) = server().await;
    server.on("GET", "/api/nodes", 200, &json!({ "nodes": [node()] }));
    let taken = json!({
        "taken_at": 1, "facts": node()["facts"], "kernel": "Linux 6", "up": 2, "agent_up": 1, "load": "0 0 0",
        "memory_available_bytes": 3, "programs": [["git", "git version 2"]], "workspaces": [], "open_commands": 0,
        "pending_events": 0, "log": ["00:00:00 info  the link is up"],
    });
    let (method, path) = path(RouteId::NodeDiagnostics, &[NODE]);
    server.on(method, &path, 200, &taken);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("desk.json");
    let name = file.to_str().unwrap();
    let ran = program
        .run(&["node", "diagnostics", "desk", "-o", name])
        .await;
    ran.expect(0, &format!("What desk knows of itself is in {name}.\n"));
    let written = std::fs::read_to_string(&file).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), taken);
    let ran = program.run(&["node", "diagnostics", "desk"]).await;
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap(), taken);
}

#[tokio::test]
async fn a_machine_is_drained_and_takes_work_again() {
    for (flags, route, workspaces, said, hint) in [
        (
            &[][..],
            RouteId::DrainNode,
            0,
            "desk takes no more work; none is left there.\n",
            true,
        ),
        (
            &[],
            RouteId::DrainNode,
            1,
            "desk takes no more work; one workspace is still at work there.\n",
            true,
        ),
        (
            &[],
            RouteId::DrainNode,
            3,
            "desk takes no more work; 3 workspaces are still at work there.\n",
            true,
        ),
        (
            &["--undo"],
            RouteId::UndrainNode,
            3,
            "desk takes work again.\n",
            false,
        ),
    ] {
        let (server, program) = server().await;
        let mut node = node();
        server.on("GET", "/api/nodes", 200, &json!({ "nodes": [node] }));
        node["workspaces"] = json!(workspaces);
        node["state"] = json!("draining");
        let (method, path) = path(route, &[NODE]);
        server.on(method, &path, 200, &node);
        let ran = program
            .run(&[&["node", "drain", "desk"], flags].concat())
            .await;
        ran.expect(0, said);
        assert_eq!(ran.stderr.contains("--undo"), hint, "{ran:?}");
        let asked = server.asked(method, &path);
        assert_eq!((asked.len(), asked[0].body.as_str()), (1, ""));
        let ran = program
            .run(&[&["node", "drain", "desk", "--json"], flags].concat())
            .await;
        assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap(), node);
    }
}

#[tokio::test]
async fn a_draining_machine_says_so() {
    let (server, program) = server().await;
    let mut node = node();
    node["state"] = json!("draining");
    server.on("GET", "/api/nodes", 200, &json!({ "nodes": [node] }));
    for words in [&["node", "list"][..], &["node", "show", "desk"]] {
        let ran = program.run(words).await;
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.stdout.contains("◐ draining  "), "{ran:?}");
    }
}

#[tokio::test]
async fn a_machine_is_shared_by_name() {
    let (server, program) = server().await;
    let mut node = node();
    server.on("GET", "/api/nodes", 200, &json!({ "nodes": [node] }));
    let project = project_id().to_string();
    let (method, path) = path(RouteId::ShareNode, &[NODE, &project]);
    node["shared_with"] = json!([project]);
    server.on(method, &path, 200, &node);
    let ran = program.run(&["node", "share", "desk"]).await;
    ran.expect(0, "desk works for everybody in invoicing.\n");
}

#[tokio::test]
async fn an_invite_signs_in_under_a_name() {
    let server = Server::start().await;
    let program = Program::new(&server.url);
    let user = json!({"id": BEN, "name": "Ben", "role": "member"});
    let answer = json!({"token": "sam_ses_new", "user": user});
    server.on("POST", "/api/auth/invite-login", 200, &answer);
    let link = format!("{}/invite#sam_inv_secret", server.url);
    let arguments = ["auth", "login", "--invite", "-", "--name", "Ben"];
    let ran = program.run_with(&arguments, &link).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!format!("{ran:?}").contains("sam_inv_secret"), "{ran:?}");
    let asked = server.asked("POST", "/api/auth/invite-login");
    assert_eq!(
        asked[0].json(),
        json!({"invite": "sam_inv_secret", "name": "Ben"})
    );
    assert!(program.config().is_file());
    let ran = program.run(&["auth", "login", "--invite", "x"]).await;
    assert_eq!(ran.code, 2, "an invite needs a name: {ran:?}");
}
