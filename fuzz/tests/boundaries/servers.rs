//! MCP servers whose replies are not what the protocol says.

use std::time::Duration;

use proptest::prelude::*;
use sam_fuzz::{config, json as varied, measured};
use sam_harness::mcp_client::{Link, offered, text_of};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, split};

use super::bound;

/// Stands for the id of the request that is answered.
const ID: u64 = 777_777;

fn reply(result: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": ID, "result": result})
}

fn greeting() -> Value {
    reply(
        &json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {"listChanged": true}},
        "serverInfo": {"name": "s", "version": "1"}, "instructions": "Be kind."}),
    )
}

fn lists() -> Vec<Value> {
    let tool = |name: &str| {
        json!({"name": name, "title": "T", "description": "Does it.",
        "inputSchema": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        "annotations": {"readOnlyHint": true}})
    };
    vec![
        reply(&json!({"tools": [tool("a"), tool("b.c"), tool("a")]})),
        reply(&json!({"tools": [tool("a")], "nextCursor": "again"})),
        reply(&json!({"tools": []})),
        json!({"jsonrpc": "2.0", "id": ID, "error": {"code": -32601, "message": "no", "data": {}}}),
    ]
}

fn results() -> Vec<Value> {
    vec![
        reply(&json!({"content": [{"type": "text", "text": "hé"},
            {"type": "image", "data": "AAAA", "mimeType": "image/png"},
            {"type": "audio", "data": "AAAA", "mimeType": "audio/wav"},
            {"type": "resource", "resource": {"uri": "file:///a", "text": "x", "mimeType": "text/plain"}},
            {"type": "resource", "resource": {"uri": "file:///b", "blob": "AAAA"}},
            {"type": "resource_link", "uri": "file:///c", "name": "c"}], "isError": false})),
        reply(&json!({"content": [], "structuredContent": {"n": [1, 2]}, "isError": true})),
        // What a server says of its own accord.
        json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}),
        json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": 0.5}}),
        json!({"jsonrpc": "2.0", "id": 9, "method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 1}}),
        json!({"jsonrpc": "2.0", "id": 9, "method": "ping"}),
    ]
}

fn line(corpus: Vec<Value>) -> impl Strategy<Value = Vec<u8>> {
    varied(corpus).prop_map(|input| input.to_vec())
}

/// A session: a greeting that is mostly right, and lines that mostly are not.
fn session() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let right = Just(greeting().to_string().into_bytes());
    let greeting = prop_oneof![4 => right, 1 => line(vec![greeting()])];
    let rest = [lists(), results()].concat();
    let said = prop_oneof![2 => line(lists()), 2 => line(results()), 1 => line(rest)];
    (greeting, prop::collection::vec(said, 0..8))
        .prop_map(|(greeting, rest)| std::iter::once(greeting).chain(rest).collect())
}

/// Answers each request by the next line, in its name, and hangs up after the last.
async fn serve(pipe: tokio::io::DuplexStream, lines: Vec<Vec<u8>>) {
    let (reader, mut writer) = split(pipe);
    let mut requests = BufReader::new(reader).lines();
    for line in lines {
        let id = loop {
            let Ok(Some(request)) = requests.next_line().await else {
                return;
            };
            let request: Value = serde_json::from_str(&request).expect("the client sends JSON");
            if request.get("method").is_some() && request.get("id").is_some() {
                break request["id"].to_string();
            }
        };
        let text: Vec<u8> = match String::from_utf8(line) {
            Ok(text) => text.replace(&ID.to_string(), &id).into_bytes(),
            Err(line) => line.into_bytes(),
        };
        // A client that has left hears nothing.
        let _ = writer.write_all(&[&text[..], b"\n"].concat()).await;
    }
}

/// What a conversation makes of such a server: its tools, and the results of three calls.
async fn talk(lines: Vec<Vec<u8>>) -> (usize, Vec<String>) {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let server = tokio::spawn(serve(theirs, lines));
    let mut told = Vec::new();
    let mut tools = 0;
    match Link::open(split(ours)).await {
        Err(why) => told.push(why),
        Ok((link, listed)) => {
            let (offered, _) = offered("s", None, listed);
            tools = offered.len();
            for tool in &offered {
                assert!(tool.full.len() <= 64, "{}", tool.full);
            }
            for _ in 0..3 {
                let called = link.call("a", serde_json::Map::new()).await;
                told.push(called.map_or_else(|why| why, |result| text_of(&result)));
            }
        }
    }
    server.abort();
    (tools, told)
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn a_server_costs_no_more_than_it_says_and_nothing_waits_for_ever(lines in session()) {
        // Time passes as soon as everybody waits.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let length: usize = lines.iter().map(Vec::len).sum();
        let patience = Duration::from_secs(24 * 3600);
        let talk = || tokio::time::timeout(patience, talk(lines.clone()));
        let (talked, peak) = measured(|| runtime.block_on(async { talk().await }));
        let (tools, told) = talked.expect("it comes to an end");
        prop_assert!(tools <= 128);
        prop_assert!(told.iter().all(|text| text.len() <= 100 * 1024));
        // The pipe and the lines' own copies are memory as well.
        prop_assert!(peak <= 2 * bound(length) + (2 << 20), "{peak} bytes for {length}");
    }
}
