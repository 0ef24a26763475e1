//! Prints what the reference pages take from the types: `cargo xtask generate` runs it.

mod agents;
mod states;

use std::io::Write as _;
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let page = std::env::args().nth(1).unwrap_or_default();
    let text = match page.as_str() {
        "settings" => sam_domain::settings::table(),
        "states" => states::page(),
        "agents" => {
            let results = std::env::args().nth(2).unwrap_or_default();
            agents::page(Path::new(&results))?
        }
        other => {
            return Err(format!(
                "there is no page called {other:?}; there are `settings`, `states` and `agents`"
            )
            .into());
        }
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}
