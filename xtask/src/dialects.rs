//! `docs/dialects.md`: which pairs of dialects are proven, and by what.
//!
//! A pair is proven by a request that an agent sent, beside which lie what it
//! becomes and what its client is told of the reply. What has no such request
//! is listed as unproven.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::paths::{self, Paths};

/// Name and what people call it.
const DIALECTS: [(&str, &str); 3] = [
    ("chat", "chat completions"),
    ("responses", "Responses"),
    ("messages", "Messages"),
];

const HEAD: &str = "\
# Dialects

A client speaks one of three model APIs, and so does whoever runs the model. Where both speak the same, bytes pass. Where
they differ, the request and the streamed reply are translated, and the reply's `x-sam-translated` names what the other
side has no word for; `dialects/src/translate.rs` says what becomes of each thing. This page is generated (`cargo xtask
generate`).

A translation is proven by a request that a real agent sent, with what it has to become, and what the agent has to be told
of the reply, beside it. A pair without one is unproven.

| the client speaks ↓, the model → | chat completions | Responses | Messages |
|---|---|---|---|
";

const FOOT: &str = "
The requests are in `dialects/tests/dialects/captured`, trimmed as each says of itself. To record one again, and to write
anew what it becomes:

```sh
node dialects/tests/dialects/capture.mjs claude-code PATH/TO/claude   # codex, opencode, goose-chat, goose-messages
UPDATE_GOLDEN=1 cargo test -p sam-dialects captured
cargo xtask generate
```

What changed is read before it is committed: nothing else says that it is right.
";

#[derive(Deserialize)]
struct Captured {
    agent: String,
    dialect: String,
}

/// The page.
pub(crate) fn page(paths: &Paths) -> Result<String> {
    let tests = paths.root.join("dialects/tests/dialects");
    let captured = captured(&tests.join("captured"))?;
    let mut page = HEAD.to_owned();
    for (client, called) in DIALECTS {
        let _ = write!(page, "| {called} |");
        for (upstream, _) in DIALECTS {
            let proofs = captured.iter().filter(|(name, request)| {
                let beside = |ending| {
                    tests
                        .join("golden")
                        .join(format!("{name}.{upstream}.{ending}"))
                        .exists()
                };
                request.dialect == client && beside("json") && beside("sse")
            });
            let proofs: Vec<&str> = proofs.map(|(_, it)| it.agent.as_str()).collect();
            let said = match proofs.as_slice() {
                _ if client == upstream => "bytes pass".to_owned(),
                [] => "unproven".to_owned(),
                proofs => proofs.join(", "),
            };
            let _ = write!(page, " {said} |");
        }
        page.push('\n');
    }
    page.push_str(FOOT);
    Ok(page)
}

/// Name and head of each captured request, in order.
fn captured(folder: &Path) -> Result<Vec<(String, Captured)>> {
    let unreadable =
        |error: &dyn std::fmt::Display| Error::Refused(format!("{}: {error}", folder.display()));
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| unreadable(&error))? {
        let path = entry.map_err(|error| unreadable(&error))?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let head =
            serde_json::from_str(&paths::read(&path)?).map_err(|error| unreadable(&error))?;
        all.push((name.into_owned(), head));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(all)
}
