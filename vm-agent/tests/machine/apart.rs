//! What must never cross: rows, files, tokens, secrets.
#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

use crate::bench::Machine;
use crate::common::{number_in, wait_until};
use crate::plane::{JOIN_TOKEN, Plane};
use sam_domain::link::frame::StopReason;
use serde_json::json;

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
