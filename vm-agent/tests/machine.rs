//! The whole program against a control plane and a coding agent that do as the
//! test says: real processes, real repositories, real sockets.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod common;
#[path = "common/plane.rs"]
mod plane;

use common::{PROGRAM, alive, file, kill, number_in, wait_until};
use plane::{JOIN_TOKEN, Plane};
use rustix::process::Signal;
use sam_domain::conversation::row::{RowBody, ToolStatus};
use sam_domain::id::WorkspaceId;
use sam_domain::link::frame::{Action, AgentState, Event, StopReason};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A machine: a state directory, agents, a repository, and the program on it.
struct Machine {
    dir: tempfile::TempDir,
    program: Option<Child>,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let bin = dir.path().join("bin");
        std::fs::create_dir(&bin).expect("bin");
        let here = std::env::current_exe().expect("the test");
        let target = here.parent().and_then(Path::parent).expect("target");
        for agent in ["sam-harness", "goose"] {
            std::os::unix::fs::symlink(target.join("examples/scripted-agent"), bin.join(agent))
                .expect("agent");
        }
        let machine = Self { dir, program: None };
        let origin = machine.origin();
        std::fs::create_dir(&origin).expect("origin");
        git(&origin, &["init", "-q", "-b", "main"]);
        std::fs::write(origin.join("a.txt"), "one\n").expect("file");
        git(&origin, &["add", "--all"]);
        git(
            &origin,
            &[
                "-c",
                "user.name=P",
                "-c",
                "user.email=p@example.invalid",
                "commit",
                "-q",
                "-m",
                "first",
            ],
        );
        machine
    }

    fn origin(&self) -> PathBuf {
        self.dir.path().join("origin")
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn file(&self, name: &str) -> PathBuf {
        file(&self.dir, name)
    }

    fn command(&self, plane: &Plane) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(["run", "--url", &plane.url, "--name", "test", "--state-dir"])
            .arg(self.state())
            .arg("--agent-path")
            .arg(self.dir.path().join("bin"))
            .env("SAM_JOIN_TOKEN", JOIN_TOKEN)
            .env("CANARY_OF_THE_HOST", "canary-of-the-host")
            .stdin(Stdio::null());
        command
    }

    fn start(&mut self, plane: &Plane) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.file("log"))
            .expect("log");
        let child = self.command(plane).stderr(log).spawn().expect("starts");
        self.program = Some(child);
        let before = plane.see().hellos;
        wait_until("the link is up", || plane.see().hellos > before);
    }

    fn pid(&self) -> u32 {
        self.program.as_ref().expect("running").id()
    }

    fn kill(&mut self) {
        let mut program = self.program.take().expect("running");
        kill(program.id(), Signal::KILL);
        program.wait().expect("reaped");
    }

    fn workspace_dir(&self, workspace: &WorkspaceId) -> PathBuf {
        self.state().join("workspaces").join(workspace.to_string())
    }

    /// A prepared workspace with a running agent.
    fn ready(&self, plane: &Plane) -> (WorkspaceId, sam_domain::id::AgentSessionId) {
        let workspace: WorkspaceId = plane.mint();
        plane.done(&plane.prepare(&workspace, &self.origin().to_string_lossy()));
        let (agent, command) = plane.start_agent(&workspace, "sam-harness");
        plane.done(&command);
        (workspace, agent)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(mut program) = self.program.take() {
            let _ = program.kill();
            let _ = program.wait();
        }
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.file("log")).unwrap_or_default();
            eprintln!("--- what the vm-agent said\n{log}---");
        }
    }
}

fn git(dir: &Path, arguments: &[&str]) -> String {
    let out = Command::new("git")
        .args(arguments)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git runs");
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

fn expect(rows: &[(&str, &str)]) -> Vec<(String, String)> {
    rows.iter()
        .map(|(kind, text)| ((*kind).to_owned(), (*text).to_owned()))
        .collect()
}

/// Everything a process and its descendants are, by the mark in their environment.
fn marked(state: &Path) -> Vec<u32> {
    let text = state.to_string_lossy().into_owned();
    std::fs::read_dir("/proc")
        .expect("proc")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| alive(*pid))
        .filter(|pid| {
            std::fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|env| String::from_utf8_lossy(&env).contains(&text))
        })
        .collect()
}

#[test]
fn a_task_runs_from_its_clone_to_its_branch() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    let prompt = plane.prompt(
        &workspace,
        &agent,
        &[
            json!({"think": "hm"}),
            json!({"plan": 2}),
            json!({"say": "I will fix it."}),
            json!({"run": ["t1", "2 tests failed"]}),
            json!({"write": ["a.txt", "one\ntwo\n"]}),
            json!({"model": "hello"}),
        ],
    );
    assert_eq!(plane.finished(&prompt), StopReason::EndTurn);
    let echo = format!("[model 200 OK: echo of hello for {workspace}]");
    assert_eq!(
        plane.shown(&workspace),
        expect(&[
            ("thought", "hm"),
            ("plan", ""),
            ("text", "I will fix it."),
            ("tool", "Completed 2 tests failed"),
            ("tool", "Completed "),
            ("text", &echo),
            ("usage", ""),
        ])
    );
    {
        let inner = plane.see();
        let diffs: Vec<_> = inner
            .rows
            .values()
            .filter_map(|held| match &held.row.body {
                RowBody::Tool(tool) => tool.diffs.first().cloned(),
                _ => None,
            })
            .collect();
        assert_eq!(diffs[0].path, "a.txt");
        assert_eq!(inner.model_calls.len(), 1);
    }
    let message = "Fix it".to_owned();
    plane.done(&plane.command(&workspace, Action::FinishGit { message }));
    let (commit, diff) = plane
        .see()
        .events
        .iter()
        .find_map(|frame| match &frame.event {
            Event::GitResult {
                commit,
                push_error: None,
                files_changed: 1,
                added: 1,
                removed: 0,
                diff,
            } => Some((commit.clone(), diff.clone())),
            _ => None,
        })
        .expect("a result");
    let branch = format!("sam/{}", sam_domain::id::Id::short(&workspace));
    assert_eq!(
        Some(git(&machine.origin(), &["rev-parse", &branch])),
        commit
    );
    let named = diff.expect("a diff").sha256;
    let body = plane
        .see()
        .bodies
        .get(&(workspace.clone(), named))
        .cloned()
        .expect("delivered");
    assert!(String::from_utf8_lossy(&body).contains("+two"));

    plane.done(&plane.command(&workspace, Action::StopAgent));
    plane.wait_for_event("the agent ended", |event| {
        matches!(event, Event::AgentState { state: AgentState::Ended { reason, .. }, .. } if reason == "stopped")
    });
    assert!(machine.workspace_dir(&workspace).exists());
    plane.done(&plane.command(&workspace, Action::DeleteWorkspace));
    assert!(!machine.workspace_dir(&workspace).exists());
    assert_eq!(plane.see().joins.len(), 1);
    plane.assert_no_violations();
}

#[test]
fn two_workspaces_at_once_share_nothing() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let both = [machine.ready(&plane), machine.ready(&plane)];
    let gate = machine.file("gate");
    let prompts: Vec<_> = both
        .iter()
        .map(|(workspace, agent)| {
            let mark = format!("mark-{workspace}");
            let own = machine.file(&format!("env-{workspace}"));
            let script = [
                json!({"stream": [format!("{mark} "), 200]}),
                json!({"reveal": own}),
                json!({"write": ["made.txt", mark]}),
                json!({"await": gate}),
                json!({"model": mark}),
                json!({"run": ["same-id", mark]}),
            ];
            plane.prompt(workspace, agent, &script)
        })
        .collect();
    for (workspace, _) in &both {
        wait_until("both are at the gate", || {
            machine.file(&format!("env-{workspace}")).exists()
        });
    }
    std::fs::write(&gate, "").expect("open");
    for prompt in &prompts {
        assert_eq!(plane.finished(prompt), StopReason::EndTurn);
    }
    let environments: Vec<String> = both
        .iter()
        .map(|(workspace, _)| {
            std::fs::read_to_string(machine.file(&format!("env-{workspace}"))).expect("env")
        })
        .collect();
    for (n, (workspace, _)) in both.iter().enumerate() {
        let (own, other) = (workspace, &both[1 - n].0);
        let shown = format!("{:?}", plane.shown(own));
        assert!(
            shown.contains(&format!("mark-{own}")) && !shown.contains(other.to_string().as_str())
        );
        let repo = machine.workspace_dir(own).join("repo/made.txt");
        assert_eq!(
            std::fs::read_to_string(repo).expect("made"),
            format!("mark-{own}")
        );
        assert!(!environments[n].contains(other.to_string().as_str()));
        let said: Vec<_> = plane
            .see()
            .model_calls
            .iter()
            .filter(|(by, _)| by == own)
            .cloned()
            .collect();
        assert_eq!(said, [(own.clone(), format!("mark-{own}"))]);
        let deltas = plane.see();
        for (by, delta) in &deltas.deltas {
            assert_eq!(
                by == own,
                delta.append.contains(&format!("mark-{own}")),
                "{delta:?}"
            );
        }
    }
    // One's secret opens nothing of the other.
    let value = |n: usize, name: &str| -> String {
        let line = environments[n]
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.expect("set").to_owned()
    };
    assert_ne!(value(0, "SAM_MODEL_URL"), value(1, "SAM_MODEL_URL"));
    let status = ask(&value(0, "SAM_MODEL_URL"), &value(1, "SAM_MODEL_KEY"));
    assert_eq!(status, 401);
    assert_eq!(
        ask(&value(0, "SAM_MODEL_URL"), &value(0, "SAM_MODEL_KEY")),
        200
    );
    plane.assert_no_violations();
}

fn ask(base: &str, key: &str) -> u16 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime");
    runtime.block_on(async {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("client");
        let request = client
            .post(format!("{base}/chat/completions"))
            .bearer_auth(key);
        request
            .json(&json!({"say": "x"}))
            .send()
            .await
            .expect("answered")
            .status()
            .as_u16()
    })
}

#[test]
fn no_secret_of_ours_reaches_the_workspace_the_agent_or_the_log() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    let (env, pid, gate) = (
        machine.file("env"),
        machine.file("pid"),
        machine.file("gate"),
    );
    let prompt = plane.prompt(
        &workspace,
        &agent,
        &[
            json!({"model": "x"}),
            json!({"reveal": env}),
            json!({"pid": pid}),
            json!({"await": gate}),
        ],
    );
    let agent_pid = number_in(&pid);
    let mut secrets = vec![plane.see().node_token.clone(), JOIN_TOKEN.to_owned()];
    secrets.extend(plane.see().tokens_given.clone());
    assert!(secrets.len() >= 4);
    let mut places = vec![(
        "what the agent sees".to_owned(),
        std::fs::read(&env).expect("env"),
    )];
    for what in ["environ", "cmdline"] {
        let path = format!("/proc/{agent_pid}/{what}");
        places.push((path.clone(), std::fs::read(path).expect("readable")));
    }
    places.push((
        "command line".into(),
        std::fs::read(format!("/proc/{}/cmdline", machine.pid())).expect("read"),
    ));
    places.push((
        "log".into(),
        std::fs::read(machine.file("log")).expect("log"),
    ));
    let mut open = vec![machine.workspace_dir(&workspace)];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).expect("dir").flatten() {
            if entry.file_type().expect("type").is_dir() {
                open.push(entry.path());
            } else {
                places.push((
                    entry.path().display().to_string(),
                    std::fs::read(entry.path()).unwrap_or_default(),
                ));
            }
        }
    }
    // Short-lived tokens are on no disk at all.
    for entry in std::fs::read_dir(machine.state()).expect("state").flatten() {
        if entry.file_type().expect("type").is_file() {
            let bytes = std::fs::read(entry.path()).expect("read");
            for secret in secrets.iter().filter(|s| !s.starts_with("sam_nod_")) {
                assert!(
                    !contains(&bytes, secret),
                    "{} in {}",
                    secret,
                    entry.path().display()
                );
            }
        }
    }
    for (place, bytes) in &places {
        for secret in &secrets {
            assert!(!contains(bytes, secret), "{secret} in {place}");
        }
    }
    let seen = String::from_utf8_lossy(&places[0].1).into_owned();
    assert!(
        !seen.contains("canary-of-the-host"),
        "the host's environment is not passed on"
    );
    let home = machine.workspace_dir(&workspace).join("home");
    assert!(seen.contains(&format!(
        "HOME={}",
        home.canonicalize().expect("home").display()
    )));
    std::fs::write(&gate, "").expect("open");
    plane.finished(&prompt);
    plane.assert_no_violations();
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn a_killed_agent_leaves_its_prompt_unknown_and_nothing_running() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    let (pid, left, never) = (
        machine.file("pid"),
        machine.file("left"),
        machine.file("never"),
    );
    let prompt = plane.prompt(
        &workspace,
        &agent,
        &[
            json!({"complain": "about to go"}),
            json!({"leave": left}),
            json!({"say": "working"}),
            json!({"open": "t1"}),
            json!({"pid": pid}),
            json!({"await": never}),
        ],
    );
    let (agent_pid, left_pid) = (number_in(&pid), number_in(&left));
    assert!(alive(left_pid));
    kill(agent_pid, Signal::KILL);
    let reason = plane.finished(&prompt);
    assert!(
        matches!(&reason, StopReason::Unknown { reason } if reason.contains("killed by signal 9")),
        "{reason:?}"
    );
    plane.wait_for_event("the agent ended", |event| {
        matches!(event, Event::AgentState { state: AgentState::Ended { reason, stderr_tail }, .. }
            if reason == "killed by signal 9" && stderr_tail.contains("about to go"))
    });
    assert_eq!(
        plane.shown(&workspace),
        expect(&[("text", "working"), ("tool", "Interrupted ")])
    );
    assert!(!alive(left_pid), "what it left behind is gone");
    // The same workspace takes another agent and another prompt.
    let (agent, command) = plane.start_agent(&workspace, "goose");
    plane.done(&command);
    let again = plane.prompt(&workspace, &agent, &[json!({"say": "back"})]);
    assert_eq!(plane.finished(&again), StopReason::EndTurn);
    plane.assert_no_violations();
}

#[test]
fn a_killed_vm_agent_leaves_nothing_running_and_tells_the_truth_when_it_is_back() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    let (left, pid, never) = (
        machine.file("left"),
        machine.file("pid"),
        machine.file("never"),
    );
    let prompt = plane.prompt(
        &workspace,
        &agent,
        &[
            json!({"leave": left}),
            json!({"pid": pid}),
            json!({"run": ["t1", "done"]}),
            json!({"open": "t2"}),
            json!({"say": "half a sentence"}),
            json!({"stream": [" more", 100_000]}),
            json!({"await": never}),
        ],
    );
    let (left_pid, agent_pid) = (number_in(&left), number_in(&pid));
    wait_until("deltas arrive", || plane.see().deltas.len() > 3);
    assert!(!marked(&machine.state()).is_empty());
    machine.kill();
    wait_until("the agent is gone", || {
        !alive(agent_pid) && !alive(left_pid)
    });
    wait_until("everything is gone", || marked(&machine.state()).is_empty());

    machine.start(&plane);
    let reason = plane.finished(&prompt);
    assert!(matches!(reason, StopReason::Unknown { .. }), "{reason:?}");
    plane.wait_for_event("the agent ended", |event| {
        matches!(event, Event::AgentState { agent_session, state: AgentState::Ended { .. } } if *agent_session == agent)
    });
    let shown = plane.shown(&workspace);
    assert_eq!(shown.len(), 3, "no row lost, none doubled: {shown:?}");
    assert_eq!(
        shown[..2],
        expect(&[("tool", "Completed done"), ("tool", "Interrupted ")])
    );
    assert!(shown[2].1.starts_with("half a sentence"));
    for held in plane.see().rows.values() {
        let over = match &held.row.body {
            RowBody::Text(text) => text.ended_at.is_some(),
            RowBody::Tool(tool) => tool.status.is_terminal() && tool.ended_at.is_some(),
            _ => true,
        };
        assert!(over, "{:?}", held.row);
    }
    assert_eq!(plane.see().joins.len(), 1, "it is the same node");
    // The workspace is there as it was left.
    let (agent, command) = plane.start_agent(&workspace, "sam-harness");
    plane.done(&command);
    let again = plane.prompt(&workspace, &agent, &[json!({"say": "back"})]);
    assert_eq!(plane.finished(&again), StopReason::EndTurn);
    plane.assert_no_violations();
}

#[test]
fn a_command_interrupted_by_a_crash_is_repeated_where_it_can_be() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    let prompt = plane.prompt(&workspace, &agent, &[json!({"write": ["a.txt", "two\n"]})]);
    plane.finished(&prompt);
    // A push that waits: the repository's own hook holds it until the test lets go.
    let (began, gate) = (machine.file("began"), machine.file("gate"));
    let hook = machine.origin().join(".git/hooks/pre-receive");
    let script = format!(
        "#!/bin/sh\necho $$ > {}\nwhile ! [ -e {} ]; do sleep 0.02; done\n",
        began.display(),
        gate.display()
    );
    std::fs::create_dir_all(hook.parent().expect("dir")).expect("hooks");
    std::fs::write(&hook, script).expect("hook");
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    std::fs::set_permissions(&hook, mode).expect("executable");
    let finish = plane.command(
        &workspace,
        Action::FinishGit {
            message: "Fix".into(),
        },
    );
    let hook_pid = number_in(&began);
    machine.kill();
    wait_until("git is gone", || !alive(hook_pid));
    std::fs::write(&gate, "").expect("open");
    machine.start(&plane);
    plane.done(&finish);
    let inner = plane.see();
    let results: Vec<_> = inner
        .events
        .iter()
        .filter(|frame| matches!(frame.event, Event::GitResult { .. }))
        .collect();
    assert_eq!(results.len(), 1);
    assert_eq!(
        inner.acks.iter().filter(|acked| **acked == finish).count(),
        1
    );
    drop(inner);
    plane.assert_no_violations();
}

#[test]
fn an_unreachable_control_plane_loses_and_doubles_nothing() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    let (gates, never): (Vec<_>, _) = (
        (0..3)
            .map(|n| machine.file(&format!("gate{n}")))
            .collect::<Vec<_>>(),
        machine.file("reached"),
    );
    let prompt = plane.prompt(
        &workspace,
        &agent,
        &[
            json!({"say": "before"}),
            json!({"run": ["a", "1"]}),
            json!({"await": gates[0]}),
            json!({"say": "while it is away"}),
            json!({"run": ["b", "2"]}),
            json!({"pid": never}),
            json!({"model": "held"}),
            json!({"run": ["c", "3"]}),
        ],
    );
    wait_until("the first rows", || plane.see().order.len() >= 2);
    plane.set_down(true);
    std::fs::write(&gates[0], "").expect("open");
    number_in(&never);
    let rows = plane.see().order.len();
    assert_eq!(rows, 2, "nothing arrives while it is away");
    plane.set_down(false);
    assert_eq!(plane.finished(&prompt), StopReason::EndTurn);
    let held = format!("[model 200 OK: echo of held for {workspace}]");
    assert_eq!(
        plane.shown(&workspace),
        expect(&[
            ("text", "before"),
            ("tool", "Completed 1"),
            ("text", "while it is away"),
            ("tool", "Completed 2"),
            ("text", &held),
            ("tool", "Completed 3"),
            ("usage", ""),
        ])
    );
    assert!(plane.see().hellos >= 2);
    plane.assert_no_violations();
}

#[test]
fn tokens_that_are_no_longer_good_are_replaced() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    for n in 0..3 {
        plane.expire_tokens();
        let script = [
            json!({"run": [format!("t{n}"), "x".repeat(40_000)]}),
            json!({"model": "y"}),
        ];
        let prompt = plane.prompt(&workspace, &agent, &script);
        assert_eq!(plane.finished(&prompt), StopReason::EndTurn);
    }
    let inner = plane.see();
    assert_eq!(inner.model_calls.len(), 3);
    let tools: Vec<_> = inner
        .rows
        .values()
        .filter_map(|held| match &held.row.body {
            RowBody::Tool(tool) => tool.output_ref.clone(),
            _ => None,
        })
        .collect();
    assert_eq!(tools.len(), 3);
    for named in tools {
        let body = inner
            .bodies
            .get(&(workspace.clone(), named.sha256))
            .expect("delivered before");
        assert_eq!(body.len() as u64, named.bytes);
    }
    drop(inner);
    plane.assert_no_violations();
}

#[test]
fn a_watcher_sees_growing_text_and_ends_with_the_stored_row() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    let script = [json!({"stream": ["wörd ", 600]})];
    let prompt = plane.prompt(&workspace, &agent, &script);
    assert_eq!(plane.finished(&prompt), StopReason::EndTurn);
    assert_eq!(plane.shown(&workspace)[0].1, "wörd ".repeat(600));
    let inner = plane.see();
    let numbers = &inner.numbers[&workspace];
    assert!(numbers.len() <= 4, "few writes: {numbers:?}");
    assert!(
        inner.deltas.len() >= 5,
        "many deltas: {}",
        inner.deltas.len()
    );
    // Each delta goes on where the one before it ended.
    let mut held = inner.deltas[0].1.at;
    for (_, delta) in &inner.deltas {
        assert_eq!((delta.at, delta.rev), (held, 1));
        held += delta.append.len() as u64;
    }
}

#[test]
fn a_cancelled_prompt_stops_politely_or_by_force() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    let never = machine.file("never");
    let cancel = |prompt: &sam_domain::id::PromptId| {
        plane.wait_for_event(
            "it started",
            |event| matches!(event, Event::PromptStarted { prompt: held } if held == prompt),
        );
        plane.command(
            &workspace,
            Action::CancelPrompt {
                prompt: prompt.clone(),
            },
        )
    };
    let polite = plane.prompt(
        &workspace,
        &agent,
        &[json!({"say": "a"}), json!({"await": never})],
    );
    plane.done(&cancel(&polite));
    assert_eq!(plane.finished(&polite), StopReason::Cancelled);
    // The agent is still there.
    let pid = machine.file("pid");
    let stubborn = plane.prompt(
        &workspace,
        &agent,
        &[
            json!("stubborn"),
            json!({"pid": pid}),
            json!({"open": "t"}),
            json!({"await": never}),
        ],
    );
    let agent_pid = number_in(&pid);
    plane.done(&cancel(&stubborn));
    assert_eq!(plane.finished(&stubborn), StopReason::Cancelled);
    assert!(!alive(agent_pid));
    plane.wait_for_event("the agent ended", |event| {
        matches!(
            event,
            Event::AgentState {
                state: AgentState::Ended { .. },
                ..
            }
        )
    });
    let interrupted = plane.see().rows.values().any(|held| {
        matches!(&held.row.body, RowBody::Tool(tool) if tool.status == ToolStatus::Interrupted)
    });
    assert!(interrupted);
    // With no agent, a prompt never runs, and says so.
    let late = plane.prompt(&workspace, &agent, &[json!({"say": "x"})]);
    assert!(matches!(plane.finished(&late), StopReason::NeverRan { .. }));
}

#[test]
fn permissions_are_granted_by_kind_and_refused_without_a_yes() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    let script = [
        json!({"ask": ["reject_once", "allow_always", "allow_once", "allow_once"]}),
        json!({"run": ["t", ""]}),
        json!({"ask": ["reject_once"]}),
        json!({"run": ["u", ""]}),
        json!({"fail": "model said sam_mdl_0123456789abcdefgh"}),
    ];
    let prompt = plane.prompt(&workspace, &agent, &script);
    let StopReason::Error { message } = plane.finished(&prompt) else {
        panic!("an error");
    };
    assert!(message.contains("model said [redacted]"), "{message}");
    let shown = plane.shown(&workspace);
    assert!(shown[0].1.contains("allow_once-2"), "{shown:?}");
    let notices = shown
        .iter()
        .filter(|(kind, code)| kind == "notice" && code == "permission_refused");
    assert_eq!(notices.count(), 1);
    assert!(
        shown.iter().any(|(_, text)| text.contains("reject_once-0")),
        "{shown:?}"
    );
}

#[test]
fn what_cannot_be_done_fails_with_its_reason() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let workspace: WorkspaceId = plane.mint();
    let code = |command| plane.failure(&command).0;
    assert_eq!(
        code(plane.start_agent(&workspace, "sam-harness").1),
        "no_workspace"
    );
    assert_eq!(
        code(plane.prepare(&workspace, "/nowhere/at/all")),
        "not_a_repository"
    );
    assert!(!machine.workspace_dir(&workspace).exists());
    assert_eq!(
        code(plane.prepare(&workspace, "ext::sh -c x")),
        "unsupported_repository"
    );
    let finish = Action::FinishGit {
        message: "x".into(),
    };
    assert_eq!(code(plane.command(&workspace, finish)), "no_workspace");
    plane.done(&plane.prepare(&workspace, &machine.origin().to_string_lossy()));
    assert_eq!(
        code(plane.start_agent(&workspace, "unheard-of").1),
        "agent_not_installed"
    );
    // An agent that cannot even start says why in its last words.
    let broken = machine.dir.path().join("bin/goose");
    std::fs::remove_file(&broken).expect("gone");
    std::fs::write(&broken, "#!/bin/sh\necho 'no such provider' >&2\nexit 3\n").expect("written");
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    std::fs::set_permissions(&broken, mode).expect("executable");
    assert_eq!(
        code(plane.start_agent(&workspace, "goose").1),
        "agent_failed_to_start"
    );
    plane.wait_for_event("its last words", |event| {
        matches!(event, Event::AgentState { state: AgentState::Ended { stderr_tail, .. }, .. }
            if stderr_tail.contains("no such provider"))
    });
    plane.assert_no_violations();
}

#[test]
fn an_orderly_stop_reports_before_it_ends() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    let never = machine.file("never");
    let prompt = plane.prompt(
        &workspace,
        &agent,
        &[json!({"say": "a"}), json!({"await": never})],
    );
    wait_until("it works", || !plane.shown(&workspace).is_empty());
    let mut program = machine.program.take().expect("running");
    kill(program.id(), Signal::TERM);
    assert!(program.wait().expect("ends").success());
    assert!(matches!(
        plane.finished(&prompt),
        StopReason::Unknown { .. }
    ));
    assert!(marked(&machine.state()).is_empty());
}

#[test]
fn a_machine_that_may_not_join_or_is_there_already_says_so() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    let refused = machine
        .command(&plane)
        .env("SAM_JOIN_TOKEN", "sam_join_wrong-token-here")
        .output();
    let refused = refused.expect("ends");
    assert_eq!(refused.status.code(), Some(3));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains("join token") && !said.contains("wrong-token-here"),
        "{said}"
    );
    let untold = machine
        .command(&plane)
        .env_remove("SAM_JOIN_TOKEN")
        .output()
        .expect("ends");
    assert_eq!(untold.status.code(), Some(2));
    machine.start(&plane);
    let second = machine.command(&plane).output().expect("ends");
    assert_eq!(second.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another vm-agent"));
    // A token that is taken away ends it with a reason.
    plane.see().node_token = "sam_nod_another-token-altogether".to_owned();
    machine.kill();
    let revoked = machine
        .command(&plane)
        .env_remove("SAM_JOIN_TOKEN")
        .output()
        .expect("ends");
    assert_eq!(revoked.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&revoked.stderr).contains("no longer accepted"));
}
