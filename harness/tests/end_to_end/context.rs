//! Conversations that grow long: what is sent again, and what is compacted.

use std::collections::BTreeSet;

use crate::run::{Harness, check_code, err, out};
use crate::server::{Reply, Server, answer, calls};
use serde_json::{Value, json};

const LINES: usize = 60;

/// A file of about four kilobytes.
fn file(number: usize) -> String {
    let line = |line: usize| format!("file {number} line {line}: {}\n", "lorem ipsum ".repeat(4));
    (1..=LINES).map(line).collect()
}

fn name(number: usize) -> String {
    format!("parts/{number:02}.txt")
}

fn lay_out(harness: &Harness, files: usize) {
    std::fs::create_dir(harness.path("parts")).unwrap();
    for number in 0..files {
        std::fs::write(harness.path(&name(number)), file(number)).unwrap();
    }
}

/// All text of a request's conversation.
fn conversation(request: &Value) -> String {
    request["messages"].to_string()
}

#[test]
fn a_request_begins_with_the_bytes_of_the_one_before() {
    let chat = |n: usize| {
        calls(
            &format!("c{n}"),
            "glob",
            &json!({"pattern": format!("{n}*")}),
        )
    };
    let document = |body: Value| {
        let headers = "content-type: application/json\r\n";
        Reply::Answer(200, headers, body.to_string())
    };
    let responses = |n: usize| {
        let arguments = json!({"pattern": format!("{n}*")}).to_string();
        let id = format!("c{n}");
        document(
            json!({"id": "r", "object": "response", "status": "completed", "output": [
            {"type": "reasoning", "id": format!("rs_{n}"), "summary": [], "encrypted_content": "AAAA"},
            {"type": "function_call", "id": format!("fc_{n}"), "call_id": id, "name": "glob", "arguments": arguments,
             "status": "completed"}]}),
        )
    };
    let messages = |n: usize| {
        let input = json!({"pattern": format!("{n}*")});
        document(
            json!({"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use",
            "content": [{"type": "thinking", "thinking": "hm", "signature": "AAAA"},
                        {"type": "tool_use", "id": format!("c{n}"), "name": "glob", "input": input}],
            "usage": {"input_tokens": 9, "output_tokens": 1}}),
        )
    };
    let check = |provider: &str, reply: &dyn Fn(usize) -> Reply| {
        let server = Server::start((0..4).map(reply).collect());
        let run = Harness::new(&server)
            .with(&["--provider", provider, "--max-turns", "4"])
            .run();
        check_code(&run, 3);
        let bodies: Vec<String> = server
            .requests()
            .iter()
            // Markers for a cache are no part of what is cached.
            .map(|request| {
                request["_body"]
                    .as_str()
                    .unwrap()
                    .replace(r#","cache_control":{"type":"ephemeral"}"#, "")
            })
            .collect();
        assert_eq!(bodies.len(), 4, "{provider}: {}", err(&run));
        for pair in bodies.windows(2) {
            let same = pair[0]
                .bytes()
                .zip(pair[1].bytes())
                .take_while(|(a, b)| a == b)
                .count();
            let rest = &pair[0][same..];
            assert!(
                rest.starts_with(']') && !rest.contains("role"),
                "{provider}: {rest}"
            );
        }
    };
    check("chat", &chat);
    check("responses", &responses);
    check("messages", &messages);
}

/// A model that goes through files one by one, says what it found in each, and
/// looks back at the text of an earlier one at every seventh. What it needs and
/// does not see in its context, it reads.
fn diligent(files: usize) -> Server {
    let mut steps = 0;
    let mut back = BTreeSet::new();
    Server::thinking(move |request| {
        steps += 1;
        let context = conversation(request);
        let shown = |number: usize| context.contains(&format!("file {number} line {LINES}:"));
        let read = |number: usize| {
            calls(
                &format!("call-{steps}"),
                "read_file",
                &json!({"path": name(number)}),
            )
        };
        // The ledger tells what it has been through, and so do its own words.
        let next = (0..files).find(|number| !context.contains(&name(*number)));
        let Some(next) = next else {
            return answer("All are read.");
        };
        if next % 7 == 6 && back.insert(next) && !shown(next - 2) {
            return read(next - 2);
        }
        read(next)
    })
}

#[test]
fn three_compactions_cost_hardly_any_reading_again() {
    let files = 60;
    let server = diligent(files);
    let harness = Harness::new(&server).with(&["--output", "json", "--context-window", "12000"]);
    lay_out(&harness, files);
    let run = harness.run();
    check_code(&run, 0);
    let result: Value = serde_json::from_str(&out(&run)).unwrap();
    let (reads, rereads) = (&result["reads"], &result["rereads"]);
    let (reads, rereads) = (reads.as_u64().unwrap(), rereads.as_u64().unwrap());
    let compactions = harness
        .events()
        .iter()
        .filter(|e| e["type"] == "compaction")
        .count();
    assert!(compactions >= 3, "{compactions}");
    assert!(
        reads >= 60 && rereads * 10 < reads,
        "{rereads} of {reads}, {compactions} compactions"
    );
    // Nothing that was sent passed the context, at 3.5 bytes a token and more.
    let longest = server
        .requests()
        .iter()
        .map(|r| r["_body"].as_str().unwrap().len())
        .max();
    assert!(longest.unwrap() < 12_000 * 8, "{longest:?}");
    let last = server.requests().pop().unwrap();
    let context = conversation(&last);
    assert!(context.contains("do it"), "the person's words stay");
    assert!(context.contains("Files you have met"), "{context}");
    // The replay compacts at the same places.
    check_code(&harness.command(&["replay"]).output().unwrap(), 0);
}

#[test]
fn compaction_can_be_switched_off_and_a_refusal_compacts_once() {
    let files = 20;
    let server = diligent(files);
    let off = ["--context-window", "4000", "--compaction", "off"];
    let harness = Harness::new(&server).with(&off);
    lay_out(&harness, files);
    check_code(&harness.run(), 0);
    assert!(
        harness
            .events()
            .iter()
            .all(|event| event["type"] != "compaction")
    );
    // A model API that knows its limit better than we do.
    let mut refused = 0;
    let server = Server::thinking(move |request| {
        if request["_body"].as_str().unwrap().len() > 60_000 {
            refused += 1;
            let body = json!({"error": {"message": "prompt is too long: 1 > 0", "code": "x"}});
            return Reply::Answer(400, "", body.to_string());
        }
        match refused {
            0 => calls(
                &format!("c{}", request["messages"].as_array().unwrap().len()),
                "read_file",
                &json!({"path": name(request["messages"].as_array().unwrap().len() % 20)}),
            ),
            _ => answer("Now it fits."),
        }
    });
    let again = Harness::new(&server);
    lay_out(&again, files);
    let run = again.run();
    check_code(&run, 0);
    assert_eq!(out(&run), "Now it fits.\n");
    let events = again.events();
    let compactions: Vec<_> = events
        .iter()
        .filter(|e| e["type"] == "compaction")
        .collect();
    assert_eq!(compactions.len(), 1);
    assert_eq!(compactions[0]["reason"], "refused");
}

#[test]
fn the_first_request_is_small() {
    let server = Server::start(vec![answer("ok")]);
    check_code(&Harness::new(&server).run(), 0);
    let bytes = server.requests()[0]["_body"].as_str().unwrap().len();
    assert!(bytes < 10 * 1024, "{bytes}");
}
