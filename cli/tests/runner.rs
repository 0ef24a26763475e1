//! `sam runner …` on a machine whose programs are scripts (`tests/machine`) that note what they
//! were told.

#![expect(clippy::unwrap_used, reason = "what a test relies on fails it")]

mod support;

use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use support::program::{Program, Ran};
use support::server::Server;

const NODE: &str = "nod_01jd8x00000000000000000000";
/// A join token that must never show.
const JOIN: &str = "sam_join_canaryJOIN0123456789canaryJOIN0123456789";
const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/machine");

struct Machine {
    server: Server,
    program: Program,
}

fn node(state: &str) -> Value {
    json!({
        "id": NODE, "owner": "usr_01jd8x0000000000000000000a", "name": "laptop", "class": "own",
        "state": state, "since": 1, "workspaces": 1, "rev": 3,
        "facts": {
            "os": "linux", "arch": "x86_64", "hostname": "laptop", "cpus": 2, "memory_bytes": 1,
            "disk_free_bytes": 1, "version": "9.9.9", "agents": ["goose", "sam-harness"],
            "max_workspaces": 4,
        },
    })
}

fn node_path() -> String {
    format!("/api/nodes/{NODE}")
}

impl Machine {
    async fn new() -> Self {
        let server = Server::start().await;
        server.on(
            "POST",
            "/api/nodes/join-tokens",
            201,
            &json!({ "token": JOIN, "expires_at": 9_000_000_000_000_u64 }),
        );
        server.on("GET", &node_path(), 200, &node("ready"));
        server.on("DELETE", &node_path(), 200, &json!({}));
        let program = Program::signed_in(&server.url)
            .alone()
            .env("PATH", PROGRAMS);
        let home = program.home.path().to_str().unwrap().to_owned();
        let log = program.home.path().join("log");
        let program = program
            .env("HOME", &home)
            .env("MACHINE_LOG", log.to_str().unwrap());
        Self { server, program }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.program = self.program.without(name).env(name, value);
        self
    }

    fn home(&self) -> &Path {
        self.program.home.path()
    }

    fn state(&self) -> PathBuf {
        self.home().join(".local/state/sam/runner")
    }

    fn unit(&self) -> PathBuf {
        self.home().join("systemd/user/sam-runner.service")
    }

    /// What the scripts were told.
    fn log(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.home().join("log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Runs, and requires that no join token shows.
    async fn run(&self, arguments: &[&str]) -> Ran {
        let ran = self.program.run(arguments).await;
        assert!(!format!("{ran:?}").contains("canary"), "{ran:?}");
        ran
    }

    async fn installed() -> Self {
        let machine = Self::new().await;
        let ran = machine.run(&["runner", "install"]).await;
        assert_eq!(ran.code, 0, "{ran:?}");
        machine
    }

    async fn registered() -> Self {
        let machine = Self::installed().await;
        let ran = machine.run(&["runner", "register"]).await;
        assert_eq!(ran.code, 0, "{ran:?}");
        machine
    }

    fn join_line(&self, more: &str) -> String {
        format!(
            "vm-agent join --url {} --state-dir {}/agent{more} token={JOIN}",
            self.server.url,
            self.state().display()
        )
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// What this machine calls its system.
fn system() -> String {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(
        || "linux".to_owned(),
        |name| name.trim_matches('"').to_owned(),
    )
}

/// What the doctor prints: what every machine has, then `rest`.
fn seen_by_the_doctor(rest: &str) -> String {
    format!(
        "   WHAT          HERE\n✓  system        {}\n✓  architecture  {}\n{rest}",
        system(),
        std::env::consts::ARCH
    )
}

#[tokio::test]
async fn the_doctor_lists_what_is_there_and_changes_nothing() {
    let machine = Machine::new().await;
    let ran = machine.run(&["runner", "doctor"]).await;
    ran.expect(
        0,
        &seen_by_the_doctor(&format!(
            "✓  git           git version 2.99.0\n\
             ✓  vm-agent      sam-vm-agent 9.9.9, {PROGRAMS}/sam-vm-agent\n\
             ✓  docker        28.0.0\n\
             ✓  systemd       user: running, system: running\n\
             ✓  isolation     container, landlock, process\n\
             This machine is ready: sam runner register\n"
        )),
    );
    assert_eq!(ran.stderr, "");
    let ran = machine.run(&["runner", "doctor", "--json"]).await;
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["ready"], true);
    assert_eq!(
        report["isolation"],
        json!(["container", "landlock", "process"])
    );
    assert_eq!(
        report["checks"][2],
        json!({ "name": "git", "verdict": "ok", "detail": "git version 2.99.0" })
    );
    assert!(machine.server.requests().is_empty());
    assert_eq!(std::fs::read_dir(machine.home()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_machine_that_lacks_something_is_not_ready() {
    let machine = Machine::new().await.with("PATH", "/nowhere");
    let ran = machine.run(&["runner", "doctor"]).await;
    ran.expect(
        1,
        &seen_by_the_doctor(
            "✗  git           not found\n\
             ✗  vm-agent      not found\n\
             ○  docker        no engine answers\n\
             ○  systemd       does not run\n\
             ○  isolation     process\n\
             This machine is not ready.\n",
        ),
    );
    assert_eq!(
        ran.stderr,
        "git: Install git: work begins with a checkout.\n\
         vm-agent: Install `sam-vm-agent` beside `sam` or in PATH, or name it with --vm-agent.\n\
         docker: Agents work without it; projects that need containers do not.\n\
         systemd: Without it there is no service: sam runner register --foreground\n\
         isolation: Nothing keeps an agent's commands from the rest of this machine; install \
         bubblewrap.\n"
    );
    let ran = machine.run(&["runner", "doctor", "--json"]).await;
    assert_eq!(ran.code, 1);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (&report["ready"], &report["checks"][3]["verdict"]),
        (&json!(false), &json!("missing"))
    );
    let ran = machine.run(&["runner", "install"]).await;
    ran.expect_error(
        1,
        "error: There is no vm-agent on this machine.\n\
         hint: Install `sam-vm-agent` beside `sam` or in PATH, or name it with --vm-agent.\n",
    );
}

#[tokio::test]
async fn a_unit_says_what_the_flags_say_and_holds_no_secret() {
    let machine = Machine::new().await;
    let unit = |state: &str, work: &str| {
        format!(
            "# Written by `sam runner install`, which writes it anew.\n\
             [Unit]\n\
             Description=SAM vm-agent: runs coding agents for {url}/\n\
             StartLimitIntervalSec=0\n\
             \n\
             [Service]\n\
             Type=exec\n\
             ExecStart={PROGRAMS}/sam-vm-agent run --url {url} --state-dir {state}/agent{work}\n\
             Environment=PATH={PROGRAMS}\n\
             Restart=always\n\
             RestartSec=5\n\
             RestartPreventExitStatus=2 3\n\
             KillMode=mixed\n\
             TimeoutStopSec=40\n\
             UMask=0077\n\
             NoNewPrivileges=yes\n\
             \n\
             [Install]\n\
             WantedBy=default.target\n",
            url = machine.server.url
        )
    };
    let usual = machine.state().display().to_string();
    let chosen = machine.home().join("elsewhere").display().to_string();
    for (flags, state, work) in [
        (&[][..], &usual, ""),
        (&["--max-workspaces", "2"], &usual, " --max-workspaces 2"),
        (
            &["--agent-path", "/opt/a", "--agent-path", "/opt/b"],
            &usual,
            " --agent-path /opt/a --agent-path /opt/b",
        ),
        (&["--no-install"], &usual, " --no-install"),
        (&["--state-dir", "elsewhere"], &chosen, ""),
    ] {
        let arguments = [&["runner", "install", "--print"], flags].concat();
        machine.run(&arguments).await.expect(0, &unit(state, work));
    }
    // Looking changed nothing.
    assert!(!machine.unit().exists() && machine.log().is_empty());

    let ran = machine.run(&["runner", "install"]).await;
    ran.expect(0, &format!("Installed {}.\n", machine.unit().display()));
    assert_eq!(
        ran.stderr,
        "Join and start it: sam runner register\n\
         It ends when you sign out of this machine; `loginctl enable-linger` keeps it running.\n"
    );
    assert_eq!(
        std::fs::read_to_string(machine.unit()).unwrap(),
        unit(&usual, "")
    );
    assert_eq!(machine.log(), ["systemctl --user daemon-reload"]);
    // A service of another profile has another name and another place.
    let ran = machine
        .run(&[
            "runner",
            "install",
            "--print",
            "--json",
            "--profile",
            "work",
        ])
        .await;
    let printed: Value = serde_json::from_str(&ran.stdout).unwrap();
    let name = machine.home().join("systemd/user/sam-runner-work.service");
    assert_eq!(printed["unit"], json!(name));
    assert!(
        printed["text"]
            .as_str()
            .unwrap()
            .contains("/sam/runner-work/agent")
    );
    assert!(machine.server.requests().is_empty());
}

#[tokio::test]
async fn without_systemd_there_is_no_service_and_it_says_so() {
    let machine = Machine::new().await.with("MACHINE_SYSTEMD", "offline");
    let ran = machine.run(&["runner", "install"]).await;
    ran.expect_error(
        1,
        "error: There is no systemd for your services here.\n\
         hint: Work without a service: sam runner register --foreground\n",
    );
    assert!(!machine.unit().exists() && machine.log().is_empty());
    let ran = machine.run(&["runner", "register"]).await;
    ran.expect_error(
        2,
        "error: sam-runner.service is not installed.\n\
         hint: Install it: sam runner install; or work without a service: sam runner register \
         --foreground\n",
    );
    assert!(machine.server.requests().is_empty());
}

#[tokio::test]
async fn registering_joins_once_and_starts_the_service() {
    let machine = Machine::installed().await;
    let ran = machine
        .run(&["runner", "register", "--name", "My laptop"])
        .await;
    ran.expect(
        0,
        &format!(
            "This machine is laptop (00000000) on {}/.\n",
            machine.server.url
        ),
    );
    assert_eq!(ran.stderr, "Leave: sam runner unregister\n");
    let started = "systemctl --user enable --now sam-runner.service".to_owned();
    assert_eq!(
        machine.log()[1..],
        [machine.join_line(" --name My laptop"), started.clone()]
    );
    let record = machine.state().join("runner.json");
    let held: Value = serde_json::from_str(&std::fs::read_to_string(&record).unwrap()).unwrap();
    assert_eq!(
        held,
        json!({ "url": format!("{}/", machine.server.url), "node": NODE })
    );
    assert_eq!((mode(&record), mode(&machine.state())), (0o600, 0o700));
    let minted = machine.server.asked("POST", "/api/nodes/join-tokens");
    assert_eq!((minted.len(), minted[0].body.as_str()), (1, ""));

    // Again: it is that machine already, so that nothing is minted.
    let ran = machine.run(&["runner", "register", "--json"]).await;
    assert_eq!(
        serde_json::from_str::<Value>(&ran.stdout).unwrap(),
        json!({
            "node": NODE, "name": "laptop", "url": format!("{}/", machine.server.url),
            "service": "sam-runner.service",
        })
    );
    assert_eq!(
        machine.server.asked("POST", "/api/nodes/join-tokens").len(),
        1
    );
    assert_eq!(machine.log()[3..], [started]);
    let ran = machine
        .run(&["runner", "register", "--max-workspaces", "2"])
        .await;
    assert_eq!(ran.code, 2, "{ran:?}");
    let ran = machine.run(&["runner", "register", "--foreground"]).await;
    ran.expect_error(
        2,
        "error: sam-runner.service already works for this machine.\n\
         hint: See `sam runner status`.\n",
    );
}

#[tokio::test]
async fn in_the_foreground_it_becomes_the_vm_agent() {
    let machine = Machine::new().await.with("MACHINE_SYSTEMD", "offline");
    let arguments = [
        "runner",
        "register",
        "--foreground",
        "--max-workspaces",
        "2",
        "--agent-path",
        "/opt/a",
        "--no-install",
    ];
    let ran = machine.run(&arguments).await;
    assert_eq!(ran.code, 42, "the vm-agent's own: {ran:?}");
    let run = format!(
        "vm-agent run --url {} --state-dir {}/agent --max-workspaces 2 --agent-path /opt/a \
         --no-install token=",
        machine.server.url,
        machine.state().display()
    );
    assert_eq!(machine.log(), [machine.join_line(""), run]);
}

#[tokio::test]
async fn a_refused_join_is_told_without_its_token() {
    let machine = Machine::new().await.with("MACHINE_JOIN", "refused");
    let ran = machine.run(&["runner", "register", "--foreground"]).await;
    ran.expect_error(
        1,
        "error: The vm-agent could not join: error the control plane refused this machine: \
         [hidden] is used up.\n\
         hint: See `sam runner doctor`; it may be of another version than this program.\n",
    );
    assert!(!machine.state().join("runner.json").exists());
    // Somebody who may not join machines mints nothing.
    let machine = Machine::new().await;
    let server = Server::start().await;
    let refusal = json!({ "error": { "code": "scope_missing", "message": "This token may not join machines." } });
    server.on("POST", "/api/nodes/join-tokens", 403, &refusal);
    let machine = machine.with("SAM_API_URL", &server.url);
    let ran = machine.run(&["runner", "register", "--foreground"]).await;
    ran.expect_error(5, "error: This token may not join machines.\n");
    assert!(machine.log().is_empty());
}

#[tokio::test]
async fn status_says_what_is_here_and_how_the_server_sees_it() {
    let machine = Machine::new().await;
    let ran = machine.run(&["runner", "status"]).await;
    ran.expect(4, "  service  none\n  machine  has not joined\n");
    assert_eq!(ran.stderr, "Join: sam runner register\n");

    let machine = Machine::registered().await;
    let ran = machine.run(&["runner", "status"]).await;
    let url = format!("{}/", machine.server.url);
    let seen = ran.stdout.clone();
    assert_eq!(ran.code, 0, "{ran:?}");
    let since = seen.lines().find(|line| line.contains("state")).unwrap();
    assert_eq!(
        seen,
        format!(
            "  service  sam-runner.service (user): active\n  server   {url}\n  \
             machine  laptop ({NODE})\n{since}\n  work     1 of 4 workspaces\n  \
             agents   goose, sam-harness\n"
        )
    );
    let ran = machine.run(&["runner", "status", "--json"]).await;
    let status: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        status["service"],
        json!({ "name": "sam-runner.service", "scope": "user", "state": "active" })
    );
    assert_eq!(
        (&status["node"], &status["seen"]["state"]),
        (&json!(NODE), &json!("ready"))
    );

    machine.server.on("GET", &node_path(), 200, &node("away"));
    machine.run(&["runner", "status"]).await;
    let ran = machine.run(&["runner", "status"]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    machine.server.on(
        "GET",
        &node_path(),
        404,
        &json!({ "error": { "code": "not_found", "message": "There is no such node." } }),
    );
    machine.run(&["runner", "status"]).await;
    let ran = machine.run(&["runner", "status"]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stdout
            .contains("which the server does not know any more"),
        "{ran:?}"
    );
    let ran = machine.run(&["runner", "register"]).await;
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.stderr.contains("Leave first: sam runner unregister"),
        "{ran:?}"
    );

    let other = machine.with("SAM_API_URL", "http://127.0.0.1:9");
    let ran = other.run(&["runner", "status"]).await;
    ran.expect_error(
        2,
        &format!(
            "error: This machine has joined {url}, not http://127.0.0.1:9/.\n\
             hint: Choose that server with --profile or SAM_API_URL.\n"
        ),
    );
}

#[tokio::test]
async fn leaving_tells_the_server_first_and_leaves_nothing() {
    let machine = Machine::registered().await;
    std::fs::write(machine.state().join("notes.txt"), "mine").unwrap();
    let before = machine.log().len();
    let ran = machine.run(&["runner", "unregister"]).await;
    ran.expect(0, "This machine is 00000000 no more.\n");
    let asked = machine.server.asked("DELETE", &node_path());
    assert_eq!(asked.len(), 1);
    assert!(asked[0].header("idempotency-key").is_some());
    assert_eq!(
        machine.log()[before..],
        [
            "systemctl --user disable --now sam-runner.service",
            "systemctl --user daemon-reload"
        ]
    );
    assert!(!machine.unit().exists());
    let left: Vec<_> = std::fs::read_dir(machine.state())
        .unwrap()
        .flatten()
        .collect();
    assert_eq!(left.len(), 1, "what is not ours stays: {left:?}");
    let ran = machine.run(&["runner", "unregister"]).await;
    ran.expect_error(
        4,
        "error: This machine has not joined.\n\
         hint: A runner of another profile or place is named by --profile, --system or --state-dir.\n",
    );
}

#[tokio::test]
async fn a_refusal_to_let_go_changes_nothing_here() {
    let machine = Machine::registered().await;
    let before = machine.log().len();
    let busy = json!({ "error": {
        "code": "node_busy", "message": "Work is under way on this machine.", "hint": "Let it end.",
    } });
    machine.server.on("DELETE", &node_path(), 409, &busy);
    // With its service kept, it can come back.
    let ran = machine
        .run(&["runner", "unregister", "--keep-service", "--json"])
        .await;
    assert_eq!(
        serde_json::from_str::<Value>(&ran.stdout).unwrap(),
        json!({ "node": NODE, "left": true })
    );
    assert!(machine.unit().exists());
    assert_eq!(
        machine.log()[before..],
        ["systemctl --user disable --now sam-runner.service"]
    );
    machine.run(&["runner", "register"]).await;
    let before = machine.log().len();
    let ran = machine.run(&["runner", "unregister"]).await;
    ran.expect_error(
        5,
        "error: Work is under way on this machine.\nhint: Let it end.\n",
    );
    assert_eq!(machine.log().len(), before);
    assert!(machine.unit().exists() && machine.state().join("runner.json").exists());
    // By force, and when the server has forgotten it anyway.
    machine.server.on(
        "DELETE",
        &node_path(),
        404,
        &json!({ "error": { "code": "not_found", "message": "There is no such node." } }),
    );
    machine.run(&["runner", "unregister"]).await;
    let ran = machine.run(&["runner", "unregister", "--force"]).await;
    ran.expect(0, "This machine is 00000000 no more.\n");
    assert_eq!(ran.stderr, "The server had forgotten it already.\n");
    let forced = format!("{}?force=true", node_path());
    assert_eq!(machine.server.asked("DELETE", &forced).len(), 1);
}
