//! Prints the OpenAPI document: `cargo run -p sam-domain --features schema --example openapi`.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    let mut document = sam_domain::access::openapi::document();
    // The order in which a map hands out its keys depends on what else is compiled.
    document.sort_all_objects();
    let document = serde_json::to_string_pretty(&document)?;
    writeln!(std::io::stdout(), "{document}")
}
