//! The edge to JavaScript: what a thrown value says, and promises awaited without traps.

use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// Something thrown by the runtime, reduced to its text. The text is for logs, never for replies:
/// it may name tables, bindings or addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct JsFailure {
    /// `Name: message` of the thrown error, or the thrown string itself.
    pub message: String,
}

impl JsFailure {
    /// A failure of our own with the same type, for checks done beside the runtime's.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

impl From<JsValue> for JsFailure {
    fn from(value: JsValue) -> Self {
        Self {
            message: describe(&value),
        }
    }
}

impl From<worker::Error> for JsFailure {
    fn from(error: worker::Error) -> Self {
        Self {
            message: error.to_string(),
        }
    }
}

/// What a thrown value says.
pub fn describe(value: &JsValue) -> String {
    if let Some(error) = value.dyn_ref::<js_sys::Error>() {
        return format!(
            "{}: {}",
            String::from(error.name()),
            String::from(error.message())
        );
    }
    value
        .as_string()
        .unwrap_or_else(|| "a value that is not an error was thrown".to_owned())
}

/// Awaits what a JavaScript call returned. A value that is not a promise counts as settled.
pub async fn settle(returned: JsValue) -> Result<JsValue, JsFailure> {
    match returned.dyn_into::<js_sys::Promise>() {
        Ok(promise) => JsFuture::from(promise).await.map_err(JsFailure::from),
        Err(value) => Ok(value),
    }
}

/// A property of an object, `undefined` when it is missing.
pub fn get(target: &JsValue, key: &str) -> Result<JsValue, JsFailure> {
    js_sys::Reflect::get(target, &JsValue::from_str(key)).map_err(JsFailure::from)
}

/// Sets a property of a plain object.
pub fn set(target: &JsValue, key: &str, value: &JsValue) -> Result<(), JsFailure> {
    js_sys::Reflect::set(target, &JsValue::from_str(key), value)
        .map(|_| ())
        .map_err(JsFailure::from)
}

/// A JavaScript value as JSON text.
pub fn to_json(value: &JsValue) -> Result<String, JsFailure> {
    js_sys::JSON::stringify(value)
        .map_err(JsFailure::from)?
        .as_string()
        .ok_or_else(|| JsFailure::new("the value has no JSON form"))
}
