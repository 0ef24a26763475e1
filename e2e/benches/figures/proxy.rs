//! Model calls through the proxy, beside the same calls to the model's gateway itself.
//!
//! Both sides are asked in turn, in the same run, over connections that are kept. What workerd
//! spends is read from the kernel, of its process as a whole: reserving, settling and recording are
//! in it.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use reqwest::{Method, Response};
use sam_e2e::caller::Caller;
use sam_e2e::stack::MODEL_KEY;
use sam_e2e::{Client, Result, StackOptions, ensure, failure, wait_until};
use serde_json::{Value, json};

use crate::load::CONNECTIONS;
use crate::memory::megabytes;
use crate::report::{Aim, Figure};

/// Rounds of each figure; a first one, to warm up, is not counted.
const ROUNDS: usize = 7;
/// Calls of a round of first bytes, on each side.
const CALLS: usize = 100;
/// How long a round of short streams takes.
const ROUND: Duration = Duration::from_millis(1500);
/// Pieces of the long stream, and the bytes of text in each.
const PIECES: usize = 40_000;
const PIECE: usize = 110;
/// The least that the long stream has, in bytes.
const LONG: usize = 11_000_000;
/// Streams that are held open.
const HELD: usize = 100;
const PATIENCE: Duration = Duration::from_secs(60);

/// One way to the model.
struct Way {
    client: Client,
    path: &'static str,
}

impl Way {
    /// A stream whose answer has begun.
    async fn ask(&self, body: &str) -> Result<Response> {
        let request = self.client.request(Method::POST, self.path);
        let request = request.header("content-type", "application/json");
        let response = request.body(body.to_owned()).send().await?;
        let status = response.status().as_u16();
        if status != 200 {
            let text = response.text().await?;
            return Err(failure(format!("{}: {status} {text}", self.path)));
        }
        Ok(response)
    }

    /// Asks, and reads to the end. Returns when the first byte came, and how many there were.
    async fn whole(&self, body: &str) -> Result<(Duration, usize)> {
        let begun = Instant::now();
        let mut response = self.ask(body).await?;
        let (mut first, mut bytes) = (None, 0);
        let mut last = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            first.get_or_insert_with(|| begun.elapsed());
            bytes += chunk.len();
            last.extend_from_slice(&chunk);
            let excess = last.len().saturating_sub(64);
            last.drain(..excess);
        }
        ensure(last.ends_with(b"data: [DONE]\n\n"), || {
            format!("{}: {}", self.path, String::from_utf8_lossy(&last))
        })?;
        let first = first.ok_or_else(|| failure("an empty stream"))?;
        Ok((first, bytes))
    }
}

struct Scene {
    caller: Caller,
    proxied: Way,
    direct: Way,
}

impl Scene {
    async fn set() -> Result<Self> {
        let caller = Caller::start(StackOptions {
            web: true,
            ..StackOptions::default()
        })
        .await?;
        let gateway = caller.stack.gateway().model_url();
        Ok(Self {
            proxied: Way {
                client: caller.agent.clone(),
                path: Caller::CHAT,
            },
            direct: Way {
                client: Client::new(&gateway)?.with_token(MODEL_KEY),
                path: "/chat/completions",
            },
            caller,
        })
    }

    /// Has the model answer at once, in a few pieces.
    async fn answers_at_once(&self) -> Result {
        let gateway = self.caller.stack.gateway();
        gateway.reset().await?;
        let short = json!({"kind": "long", "pieces": 20, "bytes": 20, "times": u32::MAX});
        gateway.fault(&short).await
    }

    fn ways(&self) -> [&Way; 2] {
        [&self.proxied, &self.direct]
    }
}

/// A request whose body has about so many bytes.
fn question(bytes: usize) -> String {
    let said = "Some words of a file that an agent has read.\n".repeat(bytes / 46);
    json!({
        "model": "scripted", "stream": true,
        "messages": [
            {"role": "user", "content": said},
            {"role": "user", "content": "What does this repository do?"},
        ],
    })
    .to_string()
}

pub(crate) async fn measure() -> Result<Vec<Figure>> {
    let scene = Scene::set().await?;
    scene.answers_at_once().await?;
    let mut figures = Vec::new();
    figures.extend(first_bytes(&scene).await?);
    figures.push(short_streams(&scene).await?);
    figures.extend(long_streams(&scene).await?);
    scene.answers_at_once().await?;
    for (name, bytes, most) in [
        ("CPU of a turn of 50 KB", 50_000, 3.0),
        ("CPU of a turn of 1 MB", 1_000_000, 10.0),
    ] {
        let spent = processor_time(&scene, bytes).await?;
        figures.push(Figure::new(name, "ms", spent).aim(Aim::AtMost(most)));
    }
    figures.push(held_streams(&scene).await?);
    Ok(figures)
}

/// What the proxy adds to the first byte's time, in milliseconds.
async fn first_bytes(scene: &Scene) -> Result<Vec<Figure>> {
    let body = question(1_000);
    let (mut p50, mut p99, mut direct) = (vec![], vec![], vec![]);
    for round in 0..=ROUNDS {
        let mut took = [vec![], vec![]];
        for _ in 0..CALLS {
            for (way, took) in scene.ways().into_iter().zip(&mut took) {
                let (first, _) = way.whole(&body).await?;
                took.push(first.as_secs_f64() * 1000.0);
            }
        }
        for took in &mut took {
            took.sort_by(f64::total_cmp);
        }
        let of = |took: &Vec<f64>, share: usize| took.get(CALLS * share / 100).copied();
        let at = |share| {
            took.each_ref()
                .map(|took| of(took, share).unwrap_or(f64::NAN))
        };
        let ([half, half_direct], [most, most_direct]) = (at(50), at(99));
        if round > 0 {
            p50.push(half - half_direct);
            p99.push(most - most_direct);
            direct.push(half_direct);
        }
    }
    Ok(vec![
        Figure::new("added to the first byte, p50", "ms", p50)
            .beside("direct, in all", direct)
            .aim(Aim::AtMost(1.5)),
        Figure::new("added to the first byte, p99", "ms", p99),
    ])
}

/// Short streams a second.
async fn short_streams(scene: &Scene) -> Result<Figure> {
    let body = question(1_000);
    let mut rates = [vec![], vec![]];
    for round in 0..=ROUNDS {
        for (way, rates) in scene.ways().into_iter().zip(&mut rates) {
            let begun = Instant::now();
            let connections = (0..CONNECTIONS).map(async |_| {
                let mut streams = 0_u32;
                while begun.elapsed() < ROUND {
                    way.whole(&body).await?;
                    streams += 1;
                }
                Ok::<u32, sam_e2e::Failure>(streams)
            });
            let streams: u32 = try_join_all(connections).await?.into_iter().sum();
            if round > 0 {
                rates.push(f64::from(streams) / begun.elapsed().as_secs_f64());
            }
        }
    }
    let [proxied, direct] = rates;
    Ok(Figure::new("short streams, 16 connections", "/s", proxied)
        .beside("direct", direct)
        .aim(Aim::AtLeast(1000.0)))
}

/// A stream of 11 MB in events as they come from a model, in megabytes a second.
async fn long_streams(scene: &Scene) -> Result<Vec<Figure>> {
    let body = question(1_000);
    let long = json!({"kind": "long", "pieces": PIECES, "bytes": PIECE});
    let (mut rates, mut shares) = ([vec![], vec![]], vec![]);
    for round in 0..=ROUNDS {
        let mut of_round = vec![];
        for (way, rates) in scene.ways().into_iter().zip(&mut rates) {
            let gateway = scene.caller.stack.gateway();
            gateway.reset().await?;
            gateway.fault(&long).await?;
            let begun = Instant::now();
            let (_, bytes) = way.whole(&body).await?;
            ensure(bytes >= LONG, || format!("{bytes} bytes of a long stream"))?;
            let rate = bytes as f64 / 1e6 / begun.elapsed().as_secs_f64();
            of_round.push(rate);
            if round > 0 {
                rates.push(rate);
            }
        }
        if let (true, [proxied, direct]) = (round > 0, of_round.as_slice()) {
            shares.push(proxied / direct);
        }
    }
    let [proxied, direct] = rates;
    Ok(vec![
        Figure::new("a stream of 11 MB", "MB/s", proxied).beside("direct", direct),
        Figure::new("a stream of 11 MB, of direct", "", shares).aim(Aim::AtLeast(0.5)),
    ])
}

/// What workerd spends on one call with a body of so many bytes, in milliseconds.
async fn processor_time(scene: &Scene, bytes: usize) -> Result<Vec<f64>> {
    let workerd = scene.caller.stack.workerd_id()?;
    let body = question(bytes);
    let calls = (4_000_000 / bytes).clamp(20, 80);
    let mut spent = vec![];
    for round in 0..=ROUNDS {
        let before = processor_seconds(workerd)?;
        for _ in 0..calls {
            scene.proxied.whole(&body).await?;
        }
        let after = processor_seconds(workerd)?;
        if round > 0 {
            spent.push((after - before) * 1000.0 / calls as f64);
        }
    }
    Ok(spent)
}

/// What the threads of a process have spent, in seconds.
fn processor_seconds(process: u32) -> Result<f64> {
    let mut spent = 0.0;
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        let nanoseconds = text.split(' ').next().unwrap_or_default();
        spent += nanoseconds.parse::<f64>()? / 1e9;
    }
    Ok(spent)
}

/// What workerd holds for each of many streams that wait for their upstream, in kilobytes.
async fn held_streams(scene: &Scene) -> Result<Figure> {
    let workerd = scene.caller.stack.workerd_id()?;
    let gateway = scene.caller.stack.gateway();
    let body = question(1_000);
    let mut each = vec![];
    // The first round leaves behind what is kept for ever.
    for round in 0..=3 {
        gateway.reset().await?;
        let hold = json!({"kind": "hold", "after_chunks": 2, "times": HELD});
        gateway.fault(&hold).await?;
        let before = megabytes(workerd)?;
        let asked = (0..HELD).map(|_| scene.proxied.ask(&body));
        let streams = try_join_all(asked).await?;
        wait_until("every stream is held", PATIENCE, || async {
            let requests = gateway.requests().await?;
            let held = |request: &&Value| request.get("held") == Some(&json!(true));
            Ok((requests.iter().filter(held).count() == HELD).then_some(()))
        })
        .await?;
        if round > 0 {
            each.push((megabytes(workerd)? - before).max(0.0) * 1024.0 / HELD as f64);
        }
        gateway.release().await?;
        for mut stream in streams {
            while stream.chunk().await?.is_some() {}
        }
    }
    Ok(Figure::new("memory of an open stream", "KB", each))
}
