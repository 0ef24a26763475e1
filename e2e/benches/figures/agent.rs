//! Hosting an agent: how fast its updates travel, how many, and how soon a machine is there.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sam_domain::conversation::row::Author;
use sam_domain::conversation::wire::PromptState;
use sam_domain::feed::{ClientFrame, Entity, Scope, ServerFrame};
use sam_domain::task::TaskState;
use sam_e2e::conversation::{texts, tools};
use sam_e2e::repository::sample;
use sam_e2e::{
    Result, Socket, Stack, StackOptions, Wire, Work, ensure, failure, machine, programs, wait_until,
};
use serde_json::json;

use crate::memory::megabytes;
use crate::report::{Aim, Figure};
use crate::talk::PATIENCE;

const FEW: usize = 5;
/// Rounds of twelve updates, of which two rows become.
const ROUNDS: usize = 2_000;
const UPDATES_A_ROUND: usize = 12;
/// How often the agent tells the time, and after how many milliseconds each.
const TIMES: usize = 100;
const EVERY: u64 = 25;
/// How long the network is away.
const AWAY: Duration = Duration::from_secs(3);

pub(crate) async fn measure() -> Result<Vec<Figure>> {
    let mut figures = vec![joining().await?];
    let mut stack = Stack::start_with(StackOptions {
        web: true,
        ..StackOptions::default()
    })
    .await?;
    let wire = Wire::to(stack.port()).await?;
    stack.machines_dial(&wire.url());
    let folder = stack.directory().join("agents");
    let agents = programs::scripted_agent(&folder, "goose", "e2e/benches/figures/agent.mjs")?;
    stack.start_node("machine", &[&agents]).await?;
    let repository = sample(stack.directory(), "sample")?;
    let task = json!({"prompt": "{\"say\": \"ready\"}", "agent": "goose", "mode": "conversation"});
    let mut work = Work::begin(&stack, &repository.to_string_lossy(), &task).await?;
    work.until(TaskState::AwaitingInput).await?;
    figures.push(delay(&stack, &mut work).await?);
    figures.push(recovery(&stack, &mut work, &wire).await?);
    figures.extend(throughput(&mut stack, &mut work).await?);
    Ok(figures)
}

/// From the start of a new machine's vm-agent to its node being ready.
async fn joining() -> Result<Figure> {
    let mut stack = Stack::start_with(StackOptions {
        web: true,
        ..StackOptions::default()
    })
    .await?;
    let mut samples = Vec::new();
    for number in 0..FEW {
        let name = format!("machine-{number}");
        stack.begin_node(&name, &[]).await?;
        let begun = Instant::now();
        stack.ready_node(&name).await?;
        samples.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(Figure::new("start to joined", "ms", samples).aim(Aim::AtMost(100.0)))
}

/// Follows the rows of a conversation.
async fn follow(stack: &Stack, work: &Work) -> Result<Socket> {
    let path = format!("/api/projects/{}/feed", work.project);
    let mut socket = stack.admin()?.socket(&path).await?;
    socket
        .send(&ClientFrame::Follow {
            scope: Scope::Session(work.session.clone()),
            after: 0,
            epoch: None,
        })
        .await?;
    Ok(socket)
}

/// What a frame brings of an agent's words: new text, or text not stored yet.
fn words(frame: ServerFrame) -> Vec<String> {
    match frame {
        ServerFrame::Delta { append, .. } => vec![append],
        ServerFrame::Changes { entities, .. } => entities
            .into_iter()
            .filter_map(|entity| match entity {
                Entity::Row(row) if row.author == Author::Agent => {
                    row.body.growing().map(str::to_owned)
                }
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// From the agent's writing of words to their coming out of a follower's socket.
async fn delay(stack: &Stack, work: &mut Work) -> Result<Figure> {
    let mut socket = follow(stack, work).await?;
    work.say(&json!({"clock": {"times": TIMES, "every": EVERY}}).to_string())
        .await?;
    let mut last = 0;
    let mut samples = Vec::new();
    while samples.len() < TIMES {
        let said = words(socket.next(PATIENCE).await?);
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
        for stamp in said.iter().flat_map(|said| said.split(['<', '>'])) {
            // What was seen once is not news.
            if let Ok(written) = stamp.parse::<u128>()
                && written > last
            {
                last = written;
                samples.push(now.saturating_sub(written) as f64 / 1000.0);
            }
        }
    }
    socket.close().await?;
    Ok(
        Figure::new("an agent's words to a follower's socket", "ms", samples)
            .aim(Aim::AtMost(20.0)),
    )
}

/// From the network's return to the agent's answer to a prompt that waited for it.
async fn recovery(stack: &Stack, work: &mut Work, wire: &Wire) -> Result<Figure> {
    let mut samples = Vec::new();
    for number in 0..FEW {
        let answer = format!("answer {number}");
        let mut socket = follow(stack, work).await?;
        wire.close();
        tokio::time::sleep(AWAY).await;
        work.say(&json!({ "say": answer }).to_string()).await?;
        wire.mend().await?;
        let begun = Instant::now();
        while !words(socket.next(PATIENCE).await?).contains(&answer) {}
        samples.push(begun.elapsed().as_secs_f64());
        socket.close().await?;
    }
    Ok(Figure::new(
        "the network's return after 3 s to an answer from the machine",
        "s",
        samples,
    )
    .aim(Aim::AtMost(2.0)))
}

/// Many updates: how many a second are stored as rows when the agent waits for nothing, and what the
/// vm-agent holds when it speaks at the pace that is aimed at.
async fn throughput(stack: &mut Stack, work: &mut Work) -> Result<[Figure; 2]> {
    let agent = stack.node_process()?.id();
    let (mut speeds, mut peaks) = (Vec::new(), Vec::new());
    for _ in 0..FEW {
        speeds.push(speak(agent, work, 0).await?.0);
    }
    // Ten rounds of twelve updates in twelve milliseconds are 10,000 updates a second.
    for _ in 0..FEW {
        peaks.push(speak(agent, work, UPDATES_A_ROUND as u32).await?.1);
    }
    let rows = work.rows().await?;
    let rounds = 2 * FEW * ROUNDS;
    ensure(tools(&rows).len() == rounds, || {
        format!("{} tool calls", tools(&rows).len())
    })?;
    let said = texts(&rows, Author::Agent);
    ensure(said.len() >= rounds, || format!("{} messages", said.len()))?;
    let first = peaks.first().copied();
    let (first, last) = first
        .zip(peaks.last().copied())
        .ok_or_else(|| failure("no sample"))?;
    Ok([
        Figure::new("an agent's updates stored as rows", "/s", speeds).aim(Aim::AtLeast(10_000.0)),
        Figure::new(
            "vm-agent, grown over 96,000 updates at 10,000 a second",
            "MB",
            vec![last - first],
        )
        .aim(Aim::AtMost(2.0)),
    ])
}

/// One turn of many updates: how many a second were taken in, and the most that the vm-agent held.
async fn speak(agent: u32, work: &mut Work, pace: u32) -> Result<(f64, f64)> {
    let held = || -> Result<f64> {
        let supervisors = machine::below(agent)
            .into_iter()
            .filter(|process| process.program() == "sam-vm-agent")
            .map(|process| process.id);
        std::iter::once(agent)
            .chain(supervisors)
            .map(megabytes)
            .sum()
    };
    let begun = Instant::now();
    work.say(&json!({"rounds": {"count": ROUNDS, "pace": pace}}).to_string())
        .await?;
    let mut most = held()?;
    wait_until("all is said", PATIENCE, || {
        most = held().map_or(most, |now| most.max(now));
        let work = &*work;
        async move { Ok((work.last_prompt().await?.state == PromptState::Finished).then_some(())) }
    })
    .await?;
    let took = begun.elapsed().as_secs_f64();
    Ok(((ROUNDS * UPDATES_A_ROUND) as f64 / took, most))
}
