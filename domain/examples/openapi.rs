//! Prints the OpenAPI document: `cargo run -p sam-domain --features schema --example openapi`.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    let document = serde_json::to_string_pretty(&sam_domain::access::openapi::document())?;
    writeln!(std::io::stdout(), "{document}")
}
