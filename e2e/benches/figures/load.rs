//! The load generator: connections that ask again as soon as they are answered.

use std::time::{Duration, Instant};

use sam_e2e::{Client, Reply, Result, ensure};
use tokio::task::JoinSet;

/// How long one round takes.
const ROUND: Duration = Duration::from_millis(1500);
/// Rounds of each side; a first one, to warm up, is not counted.
const ROUNDS: usize = 7;
/// Connections at once.
pub(crate) const CONNECTIONS: usize = 16;

/// Requests a second of each side, round by round in turn.
pub(crate) struct Rates {
    pub(crate) subject: Vec<f64>,
    pub(crate) peer: Vec<f64>,
}

/// Loads a subject and its peer in turn. An answer that `is_whole` does not accept fails the run.
pub(crate) async fn compare(
    subject: (&Client, &str),
    peer: (&Client, &str),
    is_whole: fn(&Reply) -> bool,
) -> Result<Rates> {
    let mut rates = Rates {
        subject: Vec::new(),
        peer: Vec::new(),
    };
    for round in 0..=ROUNDS {
        let of_subject = rate(subject.0, subject.1, is_whole).await?;
        let of_peer = rate(peer.0, peer.1, |_| true).await?;
        if round > 0 {
            rates.subject.push(of_subject);
            rates.peer.push(of_peer);
        }
    }
    Ok(rates)
}

async fn rate(client: &Client, path: &str, is_whole: fn(&Reply) -> bool) -> Result<f64> {
    let begun = Instant::now();
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (client, path) = (client.clone(), path.to_owned());
        connections.spawn(async move {
            let mut answered = 0_u32;
            while begun.elapsed() < ROUND {
                let reply = client.get(&path).await?;
                // The first answer of each connection is looked at whole.
                ensure(
                    reply.status == 200 && (answered > 0 || is_whole(&reply)),
                    || format!("{path}: {} {}", reply.status, reply.text()),
                )?;
                answered += 1;
            }
            Ok::<u32, sam_e2e::Failure>(answered)
        });
    }
    let mut answered = 0;
    while let Some(done) = connections.join_next().await {
        answered += done??;
    }
    Ok(f64::from(answered) / begun.elapsed().as_secs_f64())
}
