//! Changes to the structure of JSON, and then perhaps to its bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use crate::{Input, text};

#[derive(Clone, Debug)]
enum Edit {
    /// Something else in place of a value.
    Replace(Index, Value),
    /// A member or an element less.
    Remove(Index, Index),
    /// A member more, or an element twice.
    Add(Index, String, Value),
    /// One value in place of another.
    Copy(Index, Index),
}

/// Values where a reader expects others.
fn odd() -> impl Strategy<Value = Value> {
    prop_oneof![
        select(vec![
            Value::Null,
            json!(true),
            json!(0),
            json!(-1),
            json!(1.5),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(u32::MAX),
            json!(1e300),
            json!(""),
            json!("\0\u{1b}[2J\u{202e}\u{feff}"),
            json!("../../../etc/passwd"),
            json!("tsk_01jd8x00000000000000000000"),
            json!("tsk_01JD8X00000000000000000000"),
            json!([]),
            json!({}),
            json!([[[[[[[[{}]]]]]]]]),
        ]),
        "\\PC{0,40}".prop_map(Value::from),
        (1_usize..4000).prop_map(|length| Value::from("ü".repeat(length))),
        (1_usize..500).prop_map(|length| Value::from(vec![json!({}); length])),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    let index = any::<Index>;
    prop_oneof![
        4 => (index(), odd()).prop_map(|(at, value)| Edit::Replace(at, value)),
        2 => (index(), index()).prop_map(|(at, which)| Edit::Remove(at, which)),
        1 => (index(), "[a-z_]{1,8}", odd()).prop_map(|(at, key, value)| Edit::Add(at, key, value)),
        2 => (index(), index()).prop_map(|(at, from)| Edit::Copy(at, from)),
    ]
}

fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum::<usize>(),
        Value::Object(fields) => fields.values().map(size).sum(),
        _ => 0,
    }
}

/// The `n`th value of a tree, in order.
fn nth(value: &mut Value, n: usize) -> Option<&mut Value> {
    if n == 0 {
        return Some(value);
    }
    let mut rest = n - 1;
    let below: Box<dyn Iterator<Item = &mut Value>> = match value {
        Value::Array(items) => Box::new(items.iter_mut()),
        Value::Object(fields) => Box::new(fields.values_mut()),
        _ => return None,
    };
    for item in below {
        let held = size(item);
        if rest < held {
            return nth(item, rest);
        }
        rest -= held;
    }
    None
}

fn apply(tree: &mut Value, edit: &Edit) {
    let count = size(tree);
    let place = |tree: &mut Value, at: &Index| nth(tree, at.index(count)).cloned();
    match edit {
        Edit::Replace(at, value) => {
            if let Some(held) = nth(tree, at.index(count)) {
                held.clone_from(value);
            }
        }
        Edit::Remove(at, which) => match nth(tree, at.index(count)) {
            Some(Value::Array(items)) if !items.is_empty() => {
                items.remove(which.index(items.len()));
            }
            Some(Value::Object(fields)) if !fields.is_empty() => {
                let key = fields.keys().nth(which.index(fields.len())).cloned();
                key.and_then(|key| fields.remove(&key));
            }
            _ => {}
        },
        Edit::Add(at, key, value) => match nth(tree, at.index(count)) {
            Some(Value::Array(items)) => items.push(items.first().unwrap_or(value).clone()),
            Some(Value::Object(fields)) => {
                fields.insert(key.clone(), value.clone());
            }
            _ => {}
        },
        Edit::Copy(at, from) => {
            let copied = place(tree, from);
            if let (Some(held), Some(copied)) = (nth(tree, at.index(count)), copied) {
                *held = copied;
            }
        }
    }
}

/// One of the examples with up to four changes of its structure; of every four,
/// one with changed bytes as well.
pub fn json(corpus: Vec<Value>) -> impl Strategy<Value = Input> {
    let changed = (any::<Index>(), vec(edit(), 0..4)).prop_map(move |(which, edits)| {
        let mut tree = corpus
            .get(which.index(corpus.len().max(1)))
            .cloned()
            .unwrap_or_default();
        for edit in &edits {
            apply(&mut tree, edit);
        }
        tree.to_string().into_bytes()
    });
    changed.prop_flat_map(|text| {
        let untouched = Just(Input(text.clone()));
        prop_oneof![3 => untouched, 1 => text::bytes(vec![text])]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_a_tree_is_found() {
        let mut tree = json!({"a": [1, {"b": 2}], "c": 3});
        assert_eq!(size(&tree), 6);
        let found: Vec<String> = (0..7)
            .filter_map(|n| nth(&mut tree, n).map(|value| value.to_string()))
            .collect();
        let expect = [
            r#"{"a":[1,{"b":2}],"c":3}"#,
            r#"[1,{"b":2}]"#,
            "1",
            r#"{"b":2}"#,
            "2",
            "3",
        ];
        assert_eq!(found, expect);
    }
}
