//! Resident memory, as the kernel counts it.

use sam_domain::task::TaskState;
use sam_e2e::machine::below;
use sam_e2e::repository::sample;
use sam_e2e::{Result, Stack, StackOptions, Work, ensure, failure};
use serde_json::json;

use crate::report::{Aim, Figure};

const WORKSPACES: usize = 10;

/// Fresh starts of everything.
const SAMPLES: usize = 3;

pub(crate) async fn measure() -> Result<Vec<Figure>> {
    let mut samples: [Vec<f64>; 5] = Default::default();
    for _ in 0..SAMPLES {
        for (of_one, sample) in samples.iter_mut().zip(sample_all().await?) {
            of_one.push(sample);
        }
    }
    let [agent, workspace, server, idle, busy] = samples;
    let figure = |name, samples| Figure::new(name, "MB", samples);
    Ok(vec![
        figure("vm-agent, idle", agent).aim(Aim::AtMost(10.0)),
        figure("vm-agent, for each of 10 workspaces", workspace).aim(Aim::AtMost(4.0)),
        figure("server's node, idle", server),
        figure("workerd, idle", idle),
        figure("workerd, after 10 conversations", busy),
    ])
}

/// One start: the figures in the order of [`measure`].
async fn sample_all() -> Result<[f64; 5]> {
    let mut stack = Stack::start_with(StackOptions {
        web: true,
        max_workspaces: Some(WORKSPACES as u32),
        ..StackOptions::default()
    })
    .await?;
    stack.start_node("machine", &[]).await?;
    let agent = stack.node_process()?.id();
    let idle = megabytes(agent)?;
    let (server, workerd) = (stack.server()?.id(), stack.workerd_id()?);
    let (server_idle, workerd_idle) = (megabytes(server)?, megabytes(workerd)?);

    let repository = sample(stack.directory(), "sample")?;
    let project = stack.create_project(&repository.to_string_lossy()).await?;
    let mut talks = Vec::new();
    for number in 0..WORKSPACES {
        // A conversation keeps its workspace and its agent until it is closed.
        let task = json!({"prompt": "Where is the late fee computed?", "mode": "conversation"});
        talks.push(Work::submit(&stack, &project.id, &format!("talk-{number}"), &task).await?);
    }
    for talk in &talks {
        talk.until(TaskState::AwaitingInput).await?;
    }
    let busy = megabytes(agent)?;
    let supervisors: Vec<u32> = below(agent)
        .into_iter()
        .filter(|process| process.program() == "sam-vm-agent")
        .map(|process| process.id)
        .collect();
    ensure(supervisors.len() >= WORKSPACES, || {
        format!("{supervisors:?}")
    })?;
    let mut beside = 0.0;
    for supervisor in supervisors {
        beside += own_megabytes(supervisor)?;
    }
    Ok([
        idle,
        (busy - idle + beside) / WORKSPACES as f64,
        server_idle,
        workerd_idle,
        megabytes(workerd)?,
    ])
}

/// What a process holds, what it shares with others included.
pub(crate) fn megabytes(process: u32) -> Result<f64> {
    field(&format!("/proc/{process}/status"), "VmRSS:")
}

/// What a process holds, divided among those who share it.
fn own_megabytes(process: u32) -> Result<f64> {
    field(&format!("/proc/{process}/smaps_rollup"), "Pss:")
}

fn field(file: &str, name: &str) -> Result<f64> {
    let text = std::fs::read_to_string(file)?;
    let kilobytes: f64 = text
        .lines()
        .find_map(|line| {
            line.strip_prefix(name)?
                .trim()
                .strip_suffix(" kB")?
                .parse()
                .ok()
        })
        .ok_or_else(|| failure(format!("{file} has no {name}")))?;
    Ok(kilobytes / 1024.0)
}
