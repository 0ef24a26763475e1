//! A tagged enum beside the same by serde's own tag.

use serde::{Deserialize, Serialize};
use serde_json::{from_str, from_value, json, to_string};

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Frame", rename_all = "snake_case")]
enum Frame {
    Ping,
    Said {
        text: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<u32>,
    },
    Counted(Count),
}
crate::tagged!(Frame, "t");

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Count {
    n: u64,
    inner: Option<Box<Frame>>,
}

/// The same by serde's own tag.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
enum Standard {
    Ping,
    Said {
        text: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<u32>,
    },
    Counted(StandardCount),
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StandardCount {
    n: u64,
    inner: Option<Box<Standard>>,
}

#[test]
fn what_is_written_is_what_serde_writes() {
    for text in [
        r#"{"t":"ping"}"#,
        r#"{"t":"said","text":"a\"b"}"#,
        r#"{"t":"said","text":"","to":3}"#,
        r#"{"t":"counted","n":18446744073709551615,"inner":{"t":"said","text":"x"}}"#,
    ] {
        let (frame, standard): (Frame, Standard) =
            (from_str(text).unwrap(), from_str(text).unwrap());
        assert_eq!(to_string(&frame).unwrap(), text);
        assert_eq!(to_string(&standard).unwrap(), text);
    }
}

#[test]
fn the_tag_may_stand_anywhere_and_what_is_unknown_is_passed_over() {
    let said = Frame::Said {
        text: "x".to_owned(),
        to: None,
    };
    for text in [
        r#"{"t":"said","text":"x","new":[{"t":"ping"}]}"#,
        r#"{"text":"x","t":"said","to":null}"#,
        r#" { "new" : {"a":1} , "\u0074" : "said" , "text" : "\u0078" } "#,
    ] {
        assert_eq!(from_str::<Frame>(text).unwrap(), said, "{text}");
    }
    assert_eq!(
        from_str::<Frame>(r#"{"n":1,"t":"ping"}"#).unwrap(),
        Frame::Ping
    );
    let counted = Frame::Counted(Count {
        n: 1,
        inner: Some(Box::new(said)),
    });
    let value = json!({ "inner": { "text": "x", "t": "said" }, "n": 1, "t": "counted" });
    assert_eq!(from_value::<Frame>(value).unwrap(), counted);
}

#[test]
fn what_is_none_is_refused() {
    for (text, reason) in [
        ("{}", "missing field `t`"),
        (r#"{"text":"x"}"#, "missing field `t`"),
        (
            r#"{"t":"shout"}"#,
            "unknown variant `shout`, expected one of `ping`, `said`, `counted`",
        ),
        (r#"{"t":"said"}"#, "missing field `text`"),
        (
            r#"{"to":"x","text":"","t":"said"}"#,
            "invalid type: string \"x\", expected u32",
        ),
        (r#"{"t":3}"#, "invalid type: integer `3`, expected a string"),
        (
            r#"["ping"]"#,
            "invalid type: sequence, expected an object with the field `t`",
        ),
        (
            "\"ping\"",
            "invalid type: string \"ping\", expected an object with the field `t`",
        ),
        (r#"{"t":"ping""#, "EOF while parsing an object"),
    ] {
        let error = from_str::<Frame>(text).unwrap_err().to_string();
        assert!(error.starts_with(reason), "{text}: {error}");
    }
}
