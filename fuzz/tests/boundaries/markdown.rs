//! Agents' text as HTML.

use proptest::prelude::*;
use sam_fuzz::{bytes, config, measured};

use super::bound;

fn examples() -> Vec<Vec<u8>> {
    [
        "# Title\n\nSome *words*, `code` and [a link](https://host.example/x \"t\").\n\n- one\n  1. two\n\n> said\n",
        "```rust\nfn main() { let x = \"<b>\"; }\n```\n\n| a | b |\n|---|:-:|\n| 1 | 2 |\n",
        "<script>alert(1)</script> <img src=x onerror=alert(1)> [x](javascript:alert(1)) ![i](data:text/html,x)\n",
        "<https://host.example> [a]: /b\n\n[a] ~~gone~~ - [x] done\n***\n&lt;&#60;\\<\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// The tags of HTML, without their brackets.
fn tags(html: &str) -> Vec<&str> {
    html.split('<')
        .skip(1)
        .filter_map(|rest| rest.split('>').next())
        .collect()
}

proptest! {
    #![proptest_config(config(1000))]

    #[test]
    fn text_becomes_no_element_that_does_anything(source in bytes(examples())) {
        let text = String::from_utf8_lossy(&source);
        let (blocks, peak) = measured(|| sam_web_markdown::blocks(&text));
        prop_assert!(peak <= 4 * bound(source.len()), "{peak} bytes for {}", source.len());
        let html = blocks.concat();
        for tag in tags(&html) {
            let lower = tag.to_ascii_lowercase();
            let name = lower.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
            prop_assert!(
                !["script", "img", "iframe", "style", "object", "svg", "form", "input", "link", "meta"].contains(&name),
                "{tag}"
            );
            // Attributes stand outside quotation marks; values within are text.
            let bare: String = lower.split('"').step_by(2).collect();
            prop_assert!(!bare.contains(" on") && !bare.contains("style="), "{tag}");
            prop_assert!(!lower.contains("javascript:") && !lower.contains("data:text"), "{tag}");
        }
    }
}
