//! Requests that real agents sent, translated.
//!
//! `captured/` holds requests recorded from agents at work by `capture.mjs`,
//! which says how, and what it takes out of them. `replies/` holds streams as
//! the services document them: a thought, words, two calls at once, what was
//! cached. `golden/` holds what each request becomes in the other dialects
//! (`.json`), and what its client is told of the stream that answers it
//! (`.sse`); `UPDATE_GOLDEN=1 cargo test -p sam-dialects` writes it anew.
//! `docs/dialects.md` is made from what lies here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sam_dialects::conversation::{Body, Part, Request};
use sam_dialects::translate::{Exchange, translate};
use sam_dialects::{Dialect, Target, read_request, write_request};
use serde_json::Value;

use crate::support::read;

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

/// What a golden file holds, after it was written anew if that is asked for.
fn golden(name: &str, got: &str) -> String {
    let path = folder("golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(folder("golden")).unwrap();
        std::fs::write(&path, got).unwrap();
    }
    std::fs::read_to_string(&path).unwrap()
}

/// A stream with the keys of its JSON in order, in what is hidden in signatures too: which order
/// they have otherwise depends on what else is compiled.
fn in_order(stream: &str) -> String {
    let line = |line: &str| {
        let data = line.strip_prefix("data: ");
        let value = data.and_then(|data| serde_json::from_str(data).ok());
        value.map_or_else(
            || format!("{line}\n"),
            |it| format!("data: {}\n", sorted(it)),
        )
    };
    stream.lines().map(line).collect()
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<_, _> = members.into_iter().collect();
            members
                .into_iter()
                .map(|(key, it)| (key, sorted(it)))
                .collect()
        }
        Value::Array(values) => values.into_iter().map(sorted).collect(),
        Value::String(text) => {
            let hidden = text.find('{').filter(|_| text.starts_with("sam1:"));
            let parsed = hidden.and_then(|at| serde_json::from_str(&text[at..]).ok());
            match (hidden, parsed) {
                (Some(at), Some(hidden)) => format!("{}{}", &text[..at], sorted(hidden)).into(),
                _ => text.into(),
            }
        }
        other => other,
    }
}

#[test]
fn what_real_agents_are_told_is_a_stream_of_their_own() {
    for (name, client, body) in captured() {
        let body = body.to_string();
        for dialect in Dialect::ALL.into_iter().filter(|it| *it != client) {
            let target = Target::new(dialect);
            let path = folder("replies").join(format!("{}.sse", dialect.name()));
            let stream = std::fs::read(path).unwrap();
            // However its bytes come.
            let told = [1, 7, stream.len()].map(|size| {
                let mut reply = translate(&exchange(client, &target), body.as_bytes())
                    .unwrap()
                    .reply;
                let mut told: String = stream.chunks(size).map(|it| reply.push(it)).collect();
                told.push_str(&reply.finish());
                assert!(reply.is_complete(), "{name} from {dialect:?}");
                told
            });
            let golden = golden(&format!("{name}.{}.sse", dialect.name()), &told[2]);
            let told = told.map(|told| in_order(&told));
            let golden = in_order(&golden);
            for told in &told {
                let (told, golden) = (read(client, told).unwrap(), read(client, &golden).unwrap());
                assert_eq!(told, golden, "{name} from {dialect:?}");
            }
            assert_eq!(told[2], golden, "{name} from {dialect:?}");
        }
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
            let golden = golden(
                &format!("{name}.{}.json", dialect.name()),
                &(serde_json::to_string_pretty(&got).unwrap() + "\n"),
            );
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
