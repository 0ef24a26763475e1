//! Recorded conversations with real agents, changed on their way to the host.

use std::time::Duration;

use proptest::prelude::*;
use sam_acp::{AcpSessionId, Block, Host, HostEvent, HostOptions};
use sam_fuzz::{Input, config, json, measured};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::bound;

/// What the agents of the recordings said, message by message.
fn recorded() -> Vec<Value> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../acp/tests/transcripts");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the recordings are there")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let messages: Vec<Value> = files
        .iter()
        .flat_map(|file| {
            let text = std::fs::read_to_string(file).expect("a recording");
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .filter_map(|line| serde_json::from_str::<Value>(&line).ok())
        .filter(|line| line["dir"] == "a>c")
        .map(|mut line| line["msg"].take())
        .collect();
    assert!(messages.len() > 100, "{} messages", messages.len());
    messages
}

/// Plays lines to a host with a prompt in flight, and ends the connection. Says how many events came.
async fn play(lines: &[Input]) -> usize {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let (reader, writer) = tokio::io::split(ours);
    let (mut from_host, mut to_host) = tokio::io::split(theirs);
    let (host, mut events) = Host::connect(reader, writer, HostOptions::default());
    let _ = host.prompt(&AcpSessionId("s".to_owned()), &[Block::text("go")]);
    let said = tokio::spawn(async move {
        let mut sink = Vec::new();
        let _ = from_host.read_to_end(&mut sink).await;
    });
    let lines: Vec<u8> = lines
        .iter()
        .flat_map(|line| [&line[..], b"\n"].concat())
        .collect();
    let tell = async move {
        let _ = to_host.write_all(&lines).await;
        let _ = to_host.shutdown().await;
    };
    let hear = async {
        let mut count = 0;
        loop {
            match events.recv().await {
                Some(HostEvent::Closed(_)) | None => return count,
                Some(_) => count += 1,
            }
        }
    };
    let (_, count) =
        tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(tell, hear) })
            .await
            .expect("the host has heard everything and says that the agent is gone");
    drop((host, events));
    said.abort();
    count
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn a_host_survives_what_an_agent_says(lines in prop::collection::vec(json(recorded()), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let length: usize = lines.iter().map(|line| line.len()).sum();
        let (_, peak) = measured(|| runtime.block_on(play(&lines)));
        // The pipe between the two is memory as well.
        prop_assert!(peak <= bound(length) + (4 << 20), "{peak} bytes for {length}");
    }
}
