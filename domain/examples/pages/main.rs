//! Prints what the reference pages take from the types: `cargo xtask generate` runs it.

mod states;

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    let page = std::env::args().nth(1).unwrap_or_default();
    let text = match page.as_str() {
        "settings" => sam_domain::settings::table(),
        "states" => states::page(),
        other => {
            return Err(std::io::Error::other(format!(
                "there is no page called {other:?}; there are `settings` and `states`"
            )));
        }
    };
    std::io::stdout().write_all(text.as_bytes())
}
