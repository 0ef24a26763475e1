//! Programs are killed with signal 9.

use std::os::unix::process::ExitStatusExt as _;

use rustix::process::Signal;
use sam_e2e::conversation::PATIENCE;
use sam_e2e::machine::{self, Running};
use sam_e2e::{Result, Stack, ensure, failure, wait_until};

use crate::checks;
use crate::scene::{Moment, Scene, Setting, is_agent};
use crate::table::Case;

use Moment::{Finishing, Outbox, Preparing, Speaking, Starting, Tool};

faults! {
    vm_agent_preparing = "vm-agent/preparing": |case| vm_agent(case, Preparing);
    vm_agent_starting = "vm-agent/starting": |case| vm_agent(case, Starting);
    vm_agent_speaking = "vm-agent/speaking": |case| vm_agent(case, Speaking);
    vm_agent_tool = "vm-agent/tool": |case| vm_agent(case, Tool);
    vm_agent_outbox = "vm-agent/outbox": |case| vm_agent(case, Outbox);
    vm_agent_finishing = "vm-agent/finishing": |case| vm_agent(case, Finishing);
    vm_agent_twice = "vm-agent/twice": vm_agent_twice_in_a_row;
    agent_starting = "agent/starting": |case| agent(case, Starting);
    agent_starting_twice = "agent/starting-twice": agent_twice_in_a_row;
    agent_speaking = "agent/speaking": |case| agent(case, Speaking);
    agent_tool = "agent/tool": |case| agent(case, Tool);
    agent_outbox = "agent/outbox": |case| agent(case, Outbox);
    agent_finishing = "agent/finishing": |case| agent(case, Finishing);
    supervisor_tool = "supervisor/tool": supervisor;
    workerd_preparing = "workerd/preparing": |case| workerd(case, Preparing);
    workerd_starting = "workerd/starting": |case| workerd(case, Starting);
    workerd_speaking = "workerd/speaking": |case| workerd(case, Speaking);
    workerd_tool = "workerd/tool": |case| workerd(case, Tool);
    workerd_outbox = "workerd/outbox": |case| workerd(case, Outbox);
    workerd_finishing = "workerd/finishing": |case| workerd(case, Finishing);
    server_speaking = "server/speaking": server;
}

async fn vm_agent(case: Case, moment: Moment) -> Result {
    let mut scene = Scene::at(moment, Setting::default()).await?;
    let held = scene.kill_vm_agent().await?;
    ensure(scene.work.view().await?.state == scene.then.state, || {
        "the task gave up at once".to_owned()
    })?;
    scene.let_go().await?;
    scene.restart_vm_agent()?;
    scene.end(&case, Some(&held), &[]).await
}

/// The second one dies when it has written down what became of the first one's work, and has told
/// nobody.
async fn vm_agent_twice_in_a_row(case: Case) -> Result {
    let mut scene = Scene::at(Tool, Setting::default()).await?;
    let held = scene.kill_vm_agent().await?;
    let runtime = scene.stack.workerd_id()?;
    scene.freeze(runtime)?;
    scene.restart_vm_agent()?;
    let disk = scene.disk();
    wait_until("the end of the prompt is on the disk", PATIENCE, || async {
        let counts = disk.records()?.counts;
        let told = counts.contains(&("agent", 0)) && !counts.contains(&("event", 0));
        Ok(told.then_some(()))
    })
    .await?;
    scene.kill_vm_agent().await?;
    scene.let_go().await?;
    scene.restart_vm_agent()?;
    scene.end(&case, Some(&held), &[]).await
}

async fn agent(case: Case, moment: Moment) -> Result {
    let mut scene = Scene::at(moment, Setting::default()).await?;
    let agent = scene.agent()?;
    let below: Vec<Running> = machine::below(agent.id);
    agent.signal(Signal::KILL);
    checks::until_gone(&[agent]).await?;
    checks::until_gone(&below).await?;
    if moment == Speaking {
        until_dropped(&scene.stack).await?;
    }
    scene.let_go().await?;
    scene.end(&case, None, &[]).await
}

/// It is killed when it was started for the first time, and when it was started again.
async fn agent_twice_in_a_row(case: Case) -> Result {
    let mut scene = Scene::at(Starting, Setting::default()).await?;
    let first = scene.agent()?;
    first.signal(Signal::KILL);
    checks::until_gone(std::slice::from_ref(&first)).await?;
    let second = wait_until("it is started again", PATIENCE, || async {
        let started = scene.disk().started()?;
        Ok(started
            .into_iter()
            .find(|process| is_agent(process) && *process != first))
    })
    .await?;
    second.signal(Signal::KILL);
    checks::until_gone(&[second]).await?;
    scene.let_go().await?;
    scene.end(&case, None, &[]).await
}

/// What watches over the agent is killed: the agent must not outlive it for long.
async fn supervisor(case: Case) -> Result {
    let mut scene = Scene::at(Tool, Setting::default()).await?;
    let agent = scene.agent()?;
    let agents = scene.agents()?;
    let supervisor = agents
        .iter()
        .find(|process| process.id == agent.parent)
        .ok_or_else(|| failure(format!("nobody watches over {agent:?}")))?;
    let supervises = supervisor.arguments.iter().any(|word| word == "supervise");
    ensure(supervises, || format!("{supervisor:?}"))?;
    supervisor.signal(Signal::KILL);
    checks::until_gone(&agents).await?;
    scene.let_go().await?;
    scene.end(&case, None, &[]).await
}

async fn workerd(case: Case, moment: Moment) -> Result {
    let mut scene = Scene::at(moment, Setting::default()).await?;
    let agent = scene.agent().ok();
    let first = machine::process(scene.stack.workerd_id()?).ok_or_else(|| failure("no workerd"))?;
    first.signal(Signal::KILL);
    checks::until_gone(std::slice::from_ref(&first)).await?;
    if moment == Speaking {
        until_dropped(&scene.stack).await?;
    }
    let (anyone, stack) = (scene.stack.anyone()?, &scene.stack);
    wait_until("another workerd answers", PATIENCE, || async {
        let second = machine::process(stack.workerd_id()?).filter(|second| *second != first);
        let answers = anyone.get("/healthz").await?.status == 200;
        Ok((second.is_some() && answers).then_some(()))
    })
    .await?;
    ensure(scene.stack.server()?.is_running()?, || {
        "the server ended with its runtime".to_owned()
    })?;
    if matches!(moment, Starting | Speaking | Tool) {
        ensure(agent.as_ref().is_some_and(Running::is_running), || {
            format!("the agent ended with the control plane: {agent:?}")
        })?;
    }
    scene.let_go().await?;
    scene.end(&case, None, &[]).await
}

async fn server(case: Case) -> Result {
    let mut scene = Scene::at(Speaking, Setting::default()).await?;
    let agents = scene.agents()?;
    let runtime =
        machine::process(scene.stack.workerd_id()?).ok_or_else(|| failure("no workerd"))?;
    let status = scene.stack.server()?.kill()?;
    ensure(status.signal() == Some(9), || {
        format!("the server ended with {status}")
    })?;
    checks::until_gone(std::slice::from_ref(&runtime)).await?;
    until_dropped(&scene.stack).await?;
    ensure(agents.iter().all(Running::is_running), || {
        "the agent ended with the control plane".to_owned()
    })?;
    scene.stack.start_server().await?;
    scene.let_go().await?;
    scene.end(&case, None, &[]).await
}

/// Waits until the model's held stream is broken off at its end.
async fn until_dropped(stack: &Stack) -> Result {
    let dropped = |request: &serde_json::Value| request["outcome"] == "disconnected";
    stack
        .gateway()
        .until("the model's stream is dropped", PATIENCE, dropped)
        .await
        .map(drop)
}
