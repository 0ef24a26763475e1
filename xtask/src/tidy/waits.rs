//! Objects wait for nothing outside themselves but through a probe.
//!
//! A probe's points are where tests have objects evicted, so a wait past it is a place that no test
//! disturbs. Checked by names: what is awaited in `durable-objects` is a function of its own, or a
//! probe's; and none of its own is called like one of `platform`'s, which could hide behind it.

use std::collections::BTreeSet;

use super::{Finding, Source};

/// What may be awaited besides functions of the crate itself.
const PROBED: &[&str] = &["point", "event", "outside", "join_all"];
/// What the runtime calls; nobody awaits these.
const ENTRANCES: &[&str] = &[
    "fetch",
    "alarm",
    "websocket_message",
    "websocket_close",
    "websocket_error",
    "connect",
];
/// What only the build for tests has: it is what disturbs.
const FAULTS: &str = "durable-objects/src/faults.rs";

/// Checks every source of the objects.
pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let of = |folder: &'static str| {
        sources
            .iter()
            .filter(move |source| source.path.starts_with(folder) && source.path != FAULTS)
    };
    let foreign: BTreeSet<&str> = of("platform/src/")
        .flat_map(|s| async_fns(&s.text))
        .collect();
    let own: BTreeSet<&str> = of("durable-objects/src/")
        .flat_map(|source| async_fns(&source.text))
        .filter(|name| !ENTRANCES.contains(name))
        .collect();
    let faults: BTreeSet<&str> = sources
        .iter()
        .filter(|source| source.path == FAULTS)
        .flat_map(|source| async_fns(&source.text))
        .collect();
    let mut findings = Vec::new();
    for source in of("durable-objects/src/") {
        for name in async_fns(&source.text) {
            if foreign.contains(name) && !ENTRANCES.contains(&name) {
                findings.push(Finding::new(
                    &source.path,
                    format!("async fn {name} has the name of one of platform's; give it another"),
                ));
            }
        }
        for (line, awaited) in awaited(&source.text) {
            let known =
                |name| own.contains(name) || faults.contains(name) || PROBED.contains(&name);
            if !awaited.is_some_and(known) {
                let what = awaited.unwrap_or("an expression");
                findings.push(Finding::new(
                    format!("{}:{line}", source.path),
                    format!("{what} is awaited past the probe; use Probe::outside"),
                ));
            }
        }
    }
    findings
}

/// The names of the async functions that a text defines.
fn async_fns(text: &str) -> impl Iterator<Item = &str> {
    text.split("async fn ").skip(1).map(|rest| {
        let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    })
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Every `.await` with its line, and the function whose call is awaited where it is a call.
fn awaited(text: &str) -> Vec<(usize, Option<&str>)> {
    text.match_indices(".await")
        // A name that only begins with the word is a field or a method.
        .filter(|(at, word)| {
            let rest = text.get(at + word.len()..).unwrap_or_default();
            !rest.starts_with(is_word)
        })
        .filter_map(|(at, _)| text.get(..at))
        .map(|before| (before.lines().count(), called(before)))
        .collect()
}

/// The name of the function whose call ends the text.
fn called(text: &str) -> Option<&str> {
    let text = text.trim_end().strip_suffix(')')?;
    let mut depth = 1;
    let (open, _) = text.char_indices().rev().find(|(_, c)| {
        match c {
            ')' => depth += 1,
            '(' => depth -= 1,
            _ => {}
        }
        depth == 0
    })?;
    let name = text.get(..open)?;
    let start = name.rfind(|c: char| !is_word(c)).map_or(0, |at| at + 1);
    name.get(start..).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    const PLATFORM: &str = "pub async fn deliver(&self) {}";

    fn found(text: &str) -> Vec<String> {
        let sources = [
            source("platform/src/objects.rs", PLATFORM),
            source("durable-objects/src/mail.rs", text),
            source(FAULTS, "async fn hold() { Delay::from(TIME).await }"),
        ];
        let what = |finding: Finding| format!("{}: {}", finding.place, finding.what);
        check(&sources).into_iter().map(what).collect()
    }

    #[test]
    fn waits_through_a_probe_and_for_each_other_pass() {
        let text = "async fn drain(&self) {\n self.probe\n .outside(Delivery, object.deliver(x(1)))\n \
                    .await;\n self.lane(1).await;\n hold().await;\n state.awaits_rows()\n }\n async fn lane(&self, n: u8) {}";
        assert_eq!(found(text), Vec::<String>::new());
    }

    #[test]
    fn a_wait_past_the_probe_is_found() {
        for text in [
            "async fn f() {\n object.deliver(x).await }",
            "async fn f() {\n future.await }",
            "async fn f() {\n self.fetch(x).await }\nasync fn fetch(x: X) {}",
        ] {
            let found = found(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].contains("mail.rs:2"), "{found:?}");
        }
    }

    #[test]
    fn a_name_of_platforms_is_found() {
        let found = found("async fn deliver() {}");
        assert!(
            matches!(&found[..], [one] if one.contains("async fn deliver")),
            "{found:?}"
        );
    }
}
