//! The harness beside other coding agents: the same scripted model, the same four steps (read,
//! write, look, answer), the first three in the agent's own shell, because every agent has one.
//!
//! Memory is what the whole process tree holds at once: each process by its own peak so far, looked
//! at every few milliseconds. It fails when an agent did not do its work.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sam_e2e::{Result, ensure, failure};
use serde_json::json;

use crate::agents::{self, Agent};
use crate::model::Model;
use crate::report::{Aim, Figure};

const SAMPLES: usize = 9;
const CALLS: usize = 1000;
const EVENTS: usize = 10_000;
const ENDS_WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(3);

/// What one run took.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Kilobytes of the first request.
    request: f64,
    /// Seconds.
    wall: f64,
    /// Seconds, of it and everything it started.
    cpu: f64,
    /// Megabytes at most.
    peak: f64,
}

/// A field of a run: its name, its unit, and what ours should be of codex's.
type Compared = (&'static str, &'static str, fn(&Run) -> f64, f64);

const COMPARED: [Compared; 3] = [
    ("four steps, wall", "s", |run| run.wall, 0.2),
    ("four steps, processor time", "s", |run| run.cpu, 0.2),
    ("four steps, peak memory", "MB", |run| run.peak, 0.1),
];

pub(crate) fn measure() -> Result<Vec<Figure>> {
    let ours = agents::harness()?;
    let peers = agents::peers();
    let mut runs = Vec::new();
    let mut beside: Vec<Vec<Run>> = peers.iter().map(|_| Vec::new()).collect();
    for _ in 0..SAMPLES {
        runs.push(four_steps(&ours)?);
        for (peer, runs) in peers.iter().zip(&mut beside) {
            runs.push(four_steps(peer)?);
        }
    }
    let of = |runs: &[Run], field: fn(&Run) -> f64| runs.iter().map(field).collect::<Vec<_>>();
    let first = repeated(|| Ok(first_request(&ours)?.as_secs_f64() * 1e3))?;
    let mut figures =
        vec![Figure::new("start to the first request", "ms", first).aim(Aim::AtMost(10.0))];
    for (name, unit, field, share) in COMPARED {
        if peers.is_empty() {
            figures.push(Figure::new(name, unit, of(&runs, field)));
        }
        for (peer, theirs) in peers.iter().zip(&beside) {
            let figure = Figure::new(name, unit, of(&runs, field));
            let figure = figure.beside(peer.name, of(theirs, field));
            figures.push(if peer.name == "codex" {
                figure.ratio_aim(Aim::AtMost(share))
            } else {
                figure
            });
        }
    }
    let request = |runs: &[Run]| of(runs, |run| run.request);
    let alone = Figure::new("first request's body", "KB", request(&runs)).aim(Aim::AtMost(10.0));
    figures.push(alone.clone());
    for (peer, theirs) in peers.iter().zip(&beside) {
        figures.push(alone.clone().beside(peer.name, request(theirs)));
    }
    figures.push(
        Figure::new(
            "memory, from call 100 to call 1,000",
            "MB",
            vec![growth(&ours)?],
        )
        .aim(Aim::AtMost(4.0)),
    );
    figures.push(
        Figure::new("resuming 10,000 events", "ms", repeated(|| resume(&ours))?)
            .aim(Aim::AtMost(200.0)),
    );
    Ok(figures)
}

fn repeated(sample: impl Fn() -> Result<f64>) -> Result<Vec<f64>> {
    (0..SAMPLES).map(|_| sample()).collect()
}

/// A folder to be at home in, with one to work in below.
fn home() -> Result<tempfile::TempDir> {
    let home = tempfile::tempdir()?;
    std::fs::create_dir(home.path().join("work"))?;
    Ok(home)
}

fn four_steps(agent: &Agent) -> Result<Run> {
    let home = home()?;
    let work = home.path().join("work");
    std::fs::write(work.join("README.md"), "Say hello.\n")?;
    let steps = ["cat README.md", "echo hello > out.txt", "cat out.txt"];
    let model = Model::start(steps.map(str::to_owned).to_vec())?;
    let command = agent.command(&model.host, home.path(), "Do what README.md says.")?;
    // bash's own clock counts what everything below has used.
    let mut timed = Command::new("bash");
    timed
        .args([
            "-c",
            "TIMEFORMAT='%R %U %S'; { time \"$@\" <&- >out.log 2>err.log; } 2>times",
            "time",
        ])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(&work)
        .stdin(Stdio::null());
    timed.envs(
        command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let started = Instant::now();
    let mut child = timed.spawn()?;
    let mut peak: f64 = 0.0;
    while child.try_wait()?.is_none() {
        ensure(started.elapsed() < ENDS_WITHIN, || {
            format!("{} does not end", agent.name)
        })?;
        peak = peak.max(children(child.id()).into_iter().map(held).sum());
        std::thread::sleep(LOOK_EVERY);
    }
    let said = std::fs::read_to_string(work.join("err.log")).unwrap_or_default();
    let written = std::fs::read_to_string(work.join("out.txt")).unwrap_or_default();
    ensure(written == "hello\n", || {
        format!("{} did not write it: {said}", agent.name)
    })?;
    let asked = model.asked();
    ensure(asked.len() >= 4, || {
        format!("{} asked {} times: {said}", agent.name, asked.len())
    })?;
    let first = asked.first().ok_or_else(|| failure("nobody asked"))?;
    let times = std::fs::read_to_string(work.join("times"))?;
    let times: Vec<f64> = times
        .split_whitespace()
        .map_while(|word| word.parse().ok())
        .collect();
    let [wall, user, system] = times.as_slice() else {
        return Err(failure(format!("bash measured {times:?}")));
    };
    ensure(peak > 0.0, || format!("{} was not seen", agent.name))?;
    Ok(Run {
        request: first.bytes as f64 / 1024.0,
        wall: *wall,
        cpu: user + system,
        peak,
    })
}

/// From the start of the process to its request.
fn first_request(agent: &Agent) -> Result<Duration> {
    let home = home()?;
    let model = Model::start(Vec::new())?;
    let mut command = agent.command(&model.host, home.path(), "Hello.")?;
    command.current_dir(home.path().join("work"));
    asked_after(command, &model)
}

/// How long after its start a process that then ends well asks.
fn asked_after(mut command: Command, model: &Model) -> Result<Duration> {
    let started = Instant::now();
    let output = command.stdin(Stdio::null()).output()?;
    ensure(output.status.success(), || {
        String::from_utf8_lossy(&output.stderr).into_owned()
    })?;
    let first = model.asked().first().copied();
    let first = first.ok_or_else(|| failure("nobody asked"))?;
    Ok(first.at.duration_since(started))
}

/// Megabytes that a process grew by between its hundredth call and its last.
fn growth(agent: &Agent) -> Result<f64> {
    let home = home()?;
    let commands = (0..CALLS).map(|number| format!("echo {number}")).collect();
    let model = Model::start(commands)?;
    let mut command = agent.command(&model.host, home.path(), "Count.")?;
    command
        .current_dir(home.path().join("work"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn()?;
    let (mut early, mut late) = (None, 0.0);
    while child.try_wait()?.is_none() {
        let resident = megabytes(child.id(), "VmRSS:").unwrap_or(late);
        if model.asked().len() >= 100 {
            early.get_or_insert(resident);
            late = resident;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let asked = model.asked().len();
    ensure(asked == CALLS + 1, || format!("asked {asked} times"))?;
    let early = early.ok_or_else(|| failure("it was too quick to be measured"))?;
    Ok(late - early)
}

/// Milliseconds from the start of a process that resumes a long session to its request.
fn resume(agent: &Agent) -> Result<f64> {
    let home = home()?;
    let work = home.path().join("work");
    let session = "har_01m7wg0bq413ftezb04352e8yf";
    let folder = home.path().join("sam-harness/sessions").join(session);
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("000000.jsonl"), transcript(session, &work))?;
    let model = Model::start(Vec::new())?;
    let mut command = agent.command(&model.host, home.path(), "And?")?;
    command
        .args(["--resume", session, "--compaction", "off"])
        .current_dir(&work);
    let asked = asked_after(command, &model)?;
    let bytes = model.asked().first().map_or(0, |first| first.bytes);
    ensure(bytes > 100 * EVENTS / 3, || format!("only {bytes} bytes"))?;
    Ok(asked.as_secs_f64() * 1e3)
}

/// A transcript as `docs/transcript.md` describes it: a reply, a call and its result, again and again.
fn transcript(session: &str, cwd: &Path) -> String {
    let empty = json!({"messages": [], "tools": [], "plan": [], "files": {}, "settings": {},
        "title": null, "prompts": 0, "replies": 0, "compactions": 0, "reads": 0, "rereads": 0,
        "usage": {"input": 0, "output": 0, "total": 0}, "context": null, "measured": null, "call_ids": []});
    let mut lines = vec![
        json!({"format": "sam-transcript", "version": 1, "session": session, "segment": 0,
            "created": 0, "cwd": cwd, "agent": "bench", "provider": "chat", "model": "m",
            "context_window": 128_000, "compaction": "auto"}),
        json!({"at": 0, "type": "checkpoint", "state": empty}),
        json!({"at": 0, "type": "instructions", "text": "Count."}),
        json!({"at": 0, "type": "prompt", "parts": [{"type": "text", "text": "count"}]}),
    ];
    for number in 0..(EVENTS / 3) {
        let id = format!("call-{number}");
        let arguments = json!({"command": format!("echo {number}")}).to_string();
        let call = json!({"type": "call", "id": id, "name": "bash", "arguments": arguments});
        lines.push(json!({"at": 1, "type": "reply", "number": number, "parts": [call]}));
        lines.push(
            json!({"at": 2, "type": "tool_call", "call": {"id": id, "title": "Run",
            "kind": "execute", "status": "in_progress"}}),
        );
        lines.push(json!({"at": 3, "type": "tool_result", "call": id,
            "parts": [{"type": "text", "text": format!("{number}\n")}]}));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Everything that a process started, and what that started.
fn children(process: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task"));
    let mut found = Vec::new();
    for thread in threads.into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        found.extend(
            text.split_whitespace()
                .filter_map(|id| id.parse::<u32>().ok()),
        );
    }
    let below: Vec<u32> = found.iter().flat_map(|child| children(*child)).collect();
    found.extend(below);
    found
}

/// Megabytes that a process has held at most so far.
fn held(process: u32) -> f64 {
    megabytes(process, "VmHWM:").unwrap_or_default()
}

fn megabytes(process: u32, field: &str) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    let kilobytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes / 1024.0)
}
