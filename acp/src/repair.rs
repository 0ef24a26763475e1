//! Making a line readable that is JSON but for its text.
//!
//! Agents pass on what tools print, and some do it badly: bytes that are not
//! UTF-8, control characters that stand in a string as they are, and halves of
//! a surrogate pair, left where a long text was cut. A strict reader loses the
//! whole message for one such character; here the character is replaced, or
//! written as an escape, and everything else stays as it was.

/// The line with its strings repaired.
pub(crate) fn repaired(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text.chars();
    let mut in_string = false;
    while let Some(c) = rest.next() {
        match c {
            '"' => {
                in_string = !in_string;
                out.push(c);
            }
            '\\' if in_string => escape(&mut rest, &mut out),
            c if in_string && u32::from(c) < 0x20 => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

/// What comes after a backslash; half a surrogate pair becomes the replacement
/// character.
fn escape(rest: &mut std::str::Chars<'_>, out: &mut String) {
    let Some(unit) = unit(rest) else {
        out.push('\\');
        out.extend(rest.next());
        return;
    };
    let mut after = rest.clone();
    let pair = (0xd800..0xdc00).contains(&unit)
        && after.next() == Some('\\')
        && self::unit(&mut after).is_some_and(|low| (0xdc00..0xe000).contains(&low));
    if pair {
        // Both halves, as they stand.
        let both = rest.as_str().len() - after.as_str().len();
        out.push_str(&format!("\\u{unit:04x}"));
        out.push_str(rest.as_str().get(..both).unwrap_or_default());
        *rest = after;
    } else if (0xd800..0xe000).contains(&unit) {
        out.push_str("\\ufffd");
    } else {
        out.push_str(&format!("\\u{unit:04x}"));
    }
}

/// Takes `uXXXX`, if it is there.
fn unit(rest: &mut std::str::Chars<'_>) -> Option<u32> {
    let digits = rest.as_str().strip_prefix('u')?.get(..4)?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let unit = u32::from_str_radix(digits, 16).ok()?;
    rest.nth(4);
    Some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn check(line: &[u8], expect: &Value) {
        let read: Value = serde_json::from_str(&repaired(line)).unwrap();
        assert_eq!(read, *expect, "{}", String::from_utf8_lossy(line));
    }

    #[test]
    fn one_bad_character_costs_one_character() {
        check(
            b"{\"a\":\"x\xff\xfey\"}",
            &json!({"a": "x\u{fffd}\u{fffd}y"}),
        );
        check(br#"["a\ud83d"]"#, &json!(["a\u{fffd}"]));
        check(br#"["\ude00b"]"#, &json!(["\u{fffd}b"]));
        check(br#"["\ud83d\ud83d\ude00"]"#, &json!(["\u{fffd}\u{1f600}"]));
        check(br#"["\ud83d\n\u0041"]"#, &json!(["\u{fffd}\nA"]));
        check(b"[\"a\x00\x1b[2J\tb\"]", &json!(["a\0\x1b[2J\tb"]));
        check(
            br#"["\\ud83d", "\"", "\/"]"#,
            &json!(["\\ud83d", "\"", "/"]),
        );
    }

    proptest! {
        #[test]
        fn what_is_well_formed_says_the_same(text: String, other: String) {
            let value = json!({ text: [other, 1.5, null] });
            let read: Value = serde_json::from_str(&repaired(value.to_string().as_bytes())).unwrap();
            prop_assert_eq!(read, value);
        }

        #[test]
        fn any_bytes_become_a_text(bytes: Vec<u8>) {
            prop_assert!(repaired(&bytes).len() <= 6 * bytes.len());
        }
    }
}
