//! Looking into JSON that somebody else wrote: nothing here assumes a shape.

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Reads a whole document. All of them are read as text: a program that is downloaded has one parser.
///
/// # Errors
/// What is wrong with it, and where.
pub fn read<'a, T: Deserialize<'a>>(document: &'a [u8]) -> Result<T, String> {
    let text = std::str::from_utf8(document).map_err(|error| error.to_string())?;
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// The text of a field; none when it is missing or no text.
pub(crate) fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key)?.as_str()
}

/// The text of a field, owned.
pub(crate) fn string(value: &Value, key: &str) -> Option<String> {
    text(value, key).map(str::to_owned)
}

/// The non-negative integer of a field.
pub(crate) fn count(value: &Value, key: &str) -> Option<u64> {
    value.get(key)?.as_u64()
}

/// A field that is there and not null.
pub(crate) fn present<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    value.get(key).filter(|value| !value.is_null())
}

/// The elements of a list; nothing when it is none.
pub(crate) fn items<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// Sets a field of an object.
pub(crate) fn set(object: &mut Value, key: &str, value: impl Into<Value>) {
    if let Value::Object(fields) = object {
        fields.insert(key.to_owned(), value.into());
    }
}

/// Sets a field of an object if there is a value for it.
pub(crate) fn set_some(object: &mut Value, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        set(object, key, value);
    }
}

/// The arguments of a call, which dialects carry as text, as the object that
/// Messages wants. What is not an object is kept under one name.
pub(crate) fn arguments_object(text: &str) -> Value {
    if text.trim().is_empty() {
        return json!({});
    }
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => value,
        Ok(value) => json!({ "value": value }),
        Err(_) => json!({ "malformed": text }),
    }
}

/// Takes the known fields out of an object and hands back the rest.
pub(crate) fn rest(body: &Value, known: &[&str]) -> Map<String, Value> {
    let fields = body.as_object().into_iter().flatten();
    object(
        fields
            .filter(|(key, value)| !known.contains(&key.as_str()) && !value.is_null())
            .map(|(key, value)| (key.clone(), value.clone())),
    )
}

/// An object of these fields. `collect` would bring a sort of its own.
pub(crate) fn object(fields: impl Iterator<Item = (String, Value)>) -> Map<String, Value> {
    let mut object = Map::new();
    for (key, value) in fields {
        object.insert(key, value);
    }
    object
}
