//! Requests that real agents sent, translated.
//!
//! `captured/` holds requests recorded from agents at work, with their
//! instructions and most of their tools taken out. `golden/` holds what they
//! become; `UPDATE_GOLDEN=1` writes it anew.

use std::path::{Path, PathBuf};

use sam_dialects::conversation::{Body, Part, Request};
use sam_dialects::translate::{Exchange, translate};
use sam_dialects::{Dialect, Target, read_request, write_request};
use serde_json::Value;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/dialects")
        .join(name)
}

/// Name, dialect and body of each captured request.
pub(crate) fn captured() -> Vec<(String, Dialect, Value)> {
    let entries = std::fs::read_dir(folder("captured")).unwrap();
    let mut all: Vec<_> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let mut record: Value = serde_json::from_str(&text).unwrap();
            let dialect = Dialect::parse(record["dialect"].as_str().unwrap()).unwrap();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, dialect, record["body"].take())
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(all.len() >= 5);
    all
}

fn exchange<'a>(client: Dialect, target: &'a Target) -> Exchange<'a> {
    Exchange {
        client,
        target,
        model: "upstream/model",
        id: "r1",
        now: 1_000,
    }
}

#[test]
fn what_real_agents_ask_becomes_what_it_should() {
    for (name, client, body) in captured() {
        for dialect in Dialect::ALL
            .into_iter()
            .filter(|dialect| *dialect != client)
        {
            let target = Target::new(dialect);
            let body = body.to_string();
            let translated = translate(&exchange(client, &target), body.as_bytes()).unwrap();
            let written: Value = serde_json::from_slice(&translated.body).unwrap();
            let mut dropped = translated.dropped;
            dropped.sort_unstable();
            let got = serde_json::json!({ "body": written, "dropped": dropped });
            let path = folder("golden").join(format!("{name}.{}.json", dialect.name()));
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                std::fs::create_dir_all(folder("golden")).unwrap();
                std::fs::write(&path, serde_json::to_string_pretty(&got).unwrap() + "\n").unwrap();
            }
            let golden = std::fs::read_to_string(&path).unwrap();
            let golden: Value = serde_json::from_str(&golden).unwrap();
            assert_eq!(got, golden, "{name} to {dialect:?}");
        }
    }
}

/// What all dialects keep of a conversation.
fn said(request: &Request) -> Vec<(String, Vec<String>)> {
    let part = |part: &Part| match &part.body {
        Body::Text(text) => Some(text.clone()),
        Body::Call(call) => {
            let arguments: Value = serde_json::from_str(&call.arguments).unwrap();
            Some(format!("{} {} {arguments}", call.id, call.name))
        }
        Body::Result(result) => {
            let texts: String = result.parts.iter().filter_map(Part::as_text).collect();
            Some(format!("{}: {texts}", result.call))
        }
        _ => None,
    };
    let message = |m: &sam_dialects::conversation::Message| {
        (
            format!("{:?}", m.role),
            m.parts.iter().filter_map(part).collect(),
        )
    };
    request.messages.iter().map(message).collect()
}

#[test]
fn what_real_agents_ask_is_read_and_written_as_it_was() {
    for (name, dialect, body) in captured() {
        let read = read_request(dialect, body.to_string().as_bytes()).unwrap();
        let written = write_request(&read, &Target::new(dialect)).unwrap();
        let again = read_request(dialect, &written.to_bytes()).unwrap();
        let texts = |said: Vec<(String, Vec<String>)>| -> Vec<String> {
            said.into_iter().flat_map(|(_, parts)| parts).collect()
        };
        let (first, second) = (texts(said(&read)), texts(said(&again)));
        assert_eq!(first.join("\n\n"), second.join("\n\n"), "{name}");
        assert_eq!(
            (read.max_output, read.stream),
            (again.max_output, again.stream),
            "{name}"
        );
        assert_eq!(read.extra, {
            let mut extra = again.extra;
            if !body.as_object().unwrap().contains_key("store") {
                extra.remove("store");
                extra.remove("include");
            }
            extra
        });
    }
}
