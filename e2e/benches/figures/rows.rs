//! Rows: stored, read back, caught up with, told to 20 sockets.

use std::time::{Duration, Instant};

use sam_domain::conversation::wire::MessagePage;
use sam_e2e::node::ScriptedNode;
use sam_e2e::{Client, Result, Socket, Stack, StackOptions, ensure, failure};
use tokio::task::JoinSet;

use crate::bare::Bare;
use crate::report::{Aim, Figure};
use crate::talk::{Batch, PATIENCE, Talk};

const ROWS: usize = 5_000;
const BATCH: usize = 50;
const WRITERS: usize = 4;
const SOCKETS: usize = 20;

/// Samples of what takes long, and of what does not.
const FEW: usize = 7;
const MANY: usize = 40;

pub(crate) async fn measure() -> Result<Vec<Figure>> {
    let stack = Stack::start_with(StackOptions {
        web: true,
        ..StackOptions::default()
    })
    .await?;
    let bare = Bare::start().await?;
    let mut node = ScriptedNode::join(&stack, "writer").await?;
    let project = stack
        .create_project("https://git.example.invalid/sample")
        .await?;
    let mut talks = Vec::new();
    for number in 0..WRITERS {
        talks.push(Talk::begin(&stack, &mut node, &project.id, number as u64).await?);
    }
    let mut figures = Vec::new();
    let first = talks
        .first_mut()
        .ok_or_else(|| failure("no conversation"))?;
    let (mut one, mut one_bare) = ingest_alone(first, &bare, 1).await?;
    figures.push(read_back(&stack, first, &bare).await?);
    let again = ingest_alone(first, &bare, 1).await?;
    one.extend(again.0);
    one_bare.extend(again.1);
    figures.push(catch_up(&stack, first, &bare).await?);
    figures.push(fan_out(&stack, first, &bare).await?);
    let again = ingest_alone(first, &bare, FEW - 2).await?;
    one.extend(again.0);
    one_bare.extend(again.1);
    let ingest = |name, samples, peer| {
        Figure::new(name, "s", samples)
            .beside("bare object write", peer)
            .aim(Aim::AtMost(0.25))
    };
    figures.insert(
        0,
        ingest(
            "5,000 of 500 bytes in batches of 50, one writer",
            one,
            one_bare,
        ),
    );
    let (four, four_bare) = ingest_together(&mut talks, &bare).await?;
    figures.insert(1, ingest("the same, four writers", four, four_bare));
    Ok(figures)
}

/// Posts batches one after the other, to the product and to the peer in turn.
async fn ingest_alone(
    talk: &mut Talk,
    bare: &Bare,
    samples: usize,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let (mut subject, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..samples {
        let batches = batches(talk, ROWS)?;
        let begun = Instant::now();
        for batch in &batches {
            talk.post(batch).await?;
        }
        subject.push(begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        for batch in &batches {
            write_bare(bare.client(), "/api/one", batch).await?;
        }
        peer.push(begun.elapsed().as_secs_f64());
    }
    Ok((subject, peer))
}

/// The same rows from as many conversations of one project at once.
async fn ingest_together(talks: &mut [Talk], bare: &Bare) -> Result<(Vec<f64>, Vec<f64>)> {
    let (mut subject, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..FEW {
        let mut work = Vec::new();
        for talk in talks.iter_mut() {
            work.push(batches(talk, ROWS / WRITERS)?);
        }
        let begun = Instant::now();
        let posting = talks.iter().zip(&work).map(|(talk, batches)| async move {
            for batch in batches {
                talk.post(batch).await?;
            }
            Ok::<(), sam_e2e::Failure>(())
        });
        futures::future::try_join_all(posting).await?;
        subject.push(begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        let writing = work.iter().map(|batches| async move {
            for batch in batches {
                write_bare(bare.client(), "/api/four", batch).await?;
            }
            Ok::<(), sam_e2e::Failure>(())
        });
        futures::future::try_join_all(writing).await?;
        peer.push(begun.elapsed().as_secs_f64());
    }
    Ok((subject, peer))
}

fn batches(talk: &mut Talk, rows: usize) -> Result<Vec<Batch>> {
    (0..rows / BATCH).map(|_| talk.batch(BATCH)).collect()
}

async fn write_bare(client: &Client, path: &str, batch: &Batch) -> Result {
    let request = client
        .request(reqwest::Method::POST, path)
        .body(batch.body.clone());
    let reply = client.send(request).await?;
    ensure(reply.status == 200, || format!("{path}: {}", reply.status))
}

/// Reads a conversation of 5,000 rows page by page, newest first. The peer answers pages of the same
/// sizes.
async fn read_back(stack: &Stack, talk: &Talk, bare: &Bare) -> Result<Figure> {
    let (mut subject, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..FEW {
        let mut replies = Vec::new();
        let mut query = "limit=500".to_owned();
        let begun = Instant::now();
        loop {
            let reply = stack.admin()?.get(&talk.messages(&query)).await?;
            let bounds = bounds(&reply.body)?;
            replies.push(reply);
            match bounds {
                Some(first) => query = format!("limit=500&before={first}"),
                None => break,
            }
        }
        subject.push(milliseconds(begun));
        let mut rows = 0;
        for reply in &replies {
            rows += reply.json::<MessagePage>()?.rows.len();
        }
        ensure(rows >= ROWS, || format!("{rows} rows were read back"))?;
        let begun = Instant::now();
        for reply in &replies {
            let path = format!("/api/route?bytes={}", reply.body.len());
            let reply = bare.client().get(&path).await?;
            ensure(reply.status == 200, || format!("{path}: {}", reply.status))?;
        }
        peer.push(milliseconds(begun));
    }
    Ok(Figure::new("5,000 read back in pages", "ms", subject)
        .beside("bare route", peer)
        .aim(Aim::AtMost(20.0)))
}

/// The first row's id where there are rows before the page. Found without reading the page whole,
/// which would measure the reader.
fn bounds(page: &[u8]) -> Result<Option<String>> {
    let text = std::str::from_utf8(page)?;
    if text.contains("\"has_before\":false") {
        return Ok(None);
    }
    let (_, rest) = text
        .split_once("\"id\":\"")
        .ok_or_else(|| failure("a page without rows"))?;
    Ok(rest.split('"').next().map(str::to_owned))
}

/// Follows a conversation of 10,000 rows from its beginning. The peer sends frames of the same sizes
/// when asked.
async fn catch_up(stack: &Stack, talk: &Talk, bare: &Bare) -> Result<Figure> {
    let (mut subject, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..FEW {
        let begun = Instant::now();
        let (socket, caught_up) = talk.follow(stack).await?;
        subject.push(milliseconds(begun));
        socket.close().await?;
        ensure(caught_up.rows >= 2 * ROWS, || {
            format!("caught up with {} rows", caught_up.rows)
        })?;
        let begun = Instant::now();
        let mut socket = bare.client().socket("/api/catch-up").await?;
        for bytes in &caught_up.frames {
            socket.send_text(&bytes.to_string()).await?;
            socket.next_text(PATIENCE).await?;
        }
        peer.push(milliseconds(begun));
        socket.close().await?;
    }
    Ok(Figure::new("catching up with 10,000", "ms", subject).beside("bare socket", peer))
}

/// One row posted, to the moment at which the last of 20 sockets has it.
async fn fan_out(stack: &Stack, talk: &mut Talk, bare: &Bare) -> Result<Figure> {
    let (mut sockets, mut bare_sockets) = (Vec::new(), Vec::new());
    for _ in 0..SOCKETS {
        sockets.push(talk.follow(stack).await?.0);
        bare_sockets.push(bare.client().socket("/api/fan-out").await?);
    }
    let (mut subject, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..MANY {
        let batch = talk.batch(1)?;
        let begun = Instant::now();
        let (last, posted) = tokio::join!(heard_by_all(sockets), talk.post(&batch));
        posted?;
        let heard;
        (heard, sockets) = last?;
        subject.push(heard.duration_since(begun).as_secs_f64() * 1000.0);
        let begun = Instant::now();
        let (last, posted) = tokio::join!(
            heard_by_all(bare_sockets),
            write_bare(bare.client(), "/api/fan-out", &batch)
        );
        posted?;
        let heard;
        (heard, bare_sockets) = last?;
        peer.push(heard.duration_since(begun).as_secs_f64() * 1000.0);
    }
    Ok(
        Figure::new("one row to the last of 20 sockets", "ms", subject)
            .beside("bare socket", peer)
            .aim(Aim::AtMost(4.0)),
    )
}

/// When the last of the sockets has got a row.
async fn heard_by_all(sockets: Vec<Socket>) -> Result<(Instant, Vec<Socket>)> {
    let mut waiting = JoinSet::new();
    for mut socket in sockets {
        waiting.spawn(async move {
            loop {
                let text = socket
                    .next_text(PATIENCE)
                    .await?
                    .ok_or_else(|| failure("a follower was closed"))?;
                if text.contains("\"text\":") {
                    return Ok::<_, sam_e2e::Failure>((Instant::now(), socket));
                }
            }
        });
    }
    let mut last = None;
    let mut sockets = Vec::new();
    while let Some(heard) = waiting.join_next().await {
        let (at, socket) = heard??;
        last = last.max(Some(at));
        sockets.push(socket);
    }
    Ok((last.ok_or_else(|| failure("nobody follows"))?, sockets))
}

fn milliseconds(begun: Instant) -> f64 {
    Duration::as_secs_f64(&begun.elapsed()) * 1000.0
}
