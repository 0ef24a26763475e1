//! The Worker is bound to the same things on Cloudflare (`wrangler.toml`) and
//! on one machine (`scripts/server/bindings.mjs`), and its entry exports every
//! class that either names.

use std::collections::BTreeSet;

use super::Finding;

/// Checks that the three files agree.
pub(super) fn check(wrangler: &str, bindings: &str, entry: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut compare = |what: &str, there: BTreeSet<&str>, here: BTreeSet<&str>| {
        if there != here || there.is_empty() {
            findings.push(Finding::new(
                "wrangler.toml",
                format!("{what}: {there:?} here, {here:?} in scripts/server/bindings.mjs"),
            ));
        }
    };
    compare(
        "compatibility date",
        toml_values(wrangler, "compatibility_date"),
        quoted(between(bindings, "COMPATIBILITY_DATE", ";")),
    );
    compare(
        "compatibility flags",
        toml_values(wrangler, "compatibility_flags"),
        quoted(between(bindings, "COMPATIBILITY_FLAGS", ";")),
    );
    compare(
        "paths of the Worker",
        toml_values(wrangler, "run_worker_first"),
        quoted(between(bindings, "WORKER_PATHS", ";")),
    );
    compare(
        "bindings of objects",
        toml_values(wrangler, "name")
            .into_iter()
            .filter(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
            .collect(),
        keys(between(bindings, "DURABLE_OBJECTS", ";")),
    );
    compare(
        "schedule",
        toml_values(wrangler, "crons"),
        quoted(between(bindings, "CRON =", ";")),
    );
    let classes = quoted(between(bindings, "DURABLE_OBJECTS", ";"));
    compare(
        "classes",
        toml_values(wrangler, "class_name"),
        classes.clone(),
    );
    compare(
        "classes with SQLite",
        toml_values(wrangler, "new_sqlite_classes"),
        classes.clone(),
    );
    let stores: BTreeSet<&str> = ["D1 =", "KV =", "R2 =", "ASSETS ="]
        .iter()
        .filter_map(|store| between(bindings, store, ";").split('"').nth(1))
        .collect();
    compare(
        "bindings of stores and files",
        toml_values(wrangler, "binding"),
        stores,
    );

    for class in classes {
        if !entry.contains(&format!("export const {class} ")) {
            findings.push(Finding::new(
                "worker/entry/index.mjs",
                format!("it does not export {class}"),
            ));
        }
    }
    findings
}

/// The text after `start` up to `end`; empty if there is none.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start)
        .and_then(|(_, rest)| rest.split_once(end))
        .map_or("", |(found, _)| found)
}

/// All texts in double quotes.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('"').skip(1).step_by(2).collect()
}

/// The keys of a JavaScript object literal.
fn keys(text: &str) -> BTreeSet<&str> {
    text.lines()
        .filter_map(|line| line.trim().split_once(':'))
        .map(|(key, _)| key)
        .collect()
}

/// The quoted values of every line that sets this key, in any table.
fn toml_values<'a>(text: &'a str, key: &str) -> BTreeSet<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(name, _)| name.trim() == key)
        .flat_map(|(_, value)| quoted(value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRANGLER: &str = r#"
name = "sam"
compatibility_date = "2026-01-01"
compatibility_flags = ["a_flag"]
run_worker_first = ["/api/*"]
name = "TASK_RUNNER"
class_name = "TaskRunner"
new_sqlite_classes = ["TaskRunner"]
binding = "DB"
binding = "CACHE"
binding = "BODIES"
binding = "ASSETS"
crons = ["0 * * * *"]
"#;
    const BINDINGS: &str = r#"
export const COMPATIBILITY_DATE = "2026-01-01";
export const COMPATIBILITY_FLAGS = ["a_flag"];
export const DURABLE_OBJECTS = {
  TASK_RUNNER: "TaskRunner",
};
export const D1 = { binding: "DB", name: "x" };
export const KV = { binding: "CACHE", name: "x" };
export const R2 = { binding: "BODIES", name: "x" };
export const ASSETS = { binding: "ASSETS" };
export const WORKER_PATHS = ["/api/*"];
export const CRON = "0 * * * *";
"#;
    const ENTRY: &str = "export const TaskRunner = objectClass(\"TaskRunner\");";

    #[test]
    fn files_that_agree_pass() {
        assert_eq!(check(WRANGLER, BINDINGS, ENTRY), []);
    }

    #[test]
    fn every_disagreement_is_found() {
        for (from, to) in [
            ("2026-01-01", "2026-02-01"),
            ("a_flag", "another"),
            ("/api/*", "/ai/*"),
            ("TASK_RUNNER", "TASKS"),
            ("class_name = \"TaskRunner\"", "class_name = \"Runner\""),
            ("[\"TaskRunner\"]", "[]"),
            ("\"DB\"", "\"DATABASE\""),
        ] {
            let changed = WRANGLER.replace(from, to);
            assert_eq!(check(&changed, BINDINGS, ENTRY).len(), 1, "{from} to {to}");
        }
        assert_eq!(check(WRANGLER, BINDINGS, "").len(), 1);
    }
}
