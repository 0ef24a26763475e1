//! Values bound to SQL, the same for an object's SQLite and for D1.
//!
//! Both bind JavaScript numbers, which are doubles: an integer beyond 2^53 would be changed without
//! a word. [`SqlValue::check`] refuses it, so ids and large numbers travel as text. Rows come back
//! as JSON, hence no blobs: bodies live in R2.

use sam_domain::id::{
    AgentSessionId, ApiTokenId, CommandId, CredentialId, Id as _, InviteId, NodeId, ProjectId,
    PromptId, RequestId, RowId, SessionId, TaskId, UserId, WorkspaceId,
};
use sam_domain::time::Timestamp;
use wasm_bindgen::JsValue;

/// The largest integer that a double holds exactly together with its neighbours.
pub const MAX_SAFE_INTEGER: i64 = 9_007_199_254_740_991;

/// One bound parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum SqlValue {
    /// SQL NULL.
    Null,
    /// An integer; refused at the binding when it is beyond ±(2^53 − 1).
    Integer(i64),
    /// A finite double; NaN and infinities are refused.
    Real(f64),
    /// UTF-8 text, at most 2 MB (the runtime's limit for one value).
    Text(String),
}

/// A value that the runtime would have changed or refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The integer does not survive the way through a double.
    #[error("integer {0} is beyond 2^53 and must be bound as text")]
    UnsafeInteger(i64),
    /// NaN or an infinity.
    #[error("a number that is not finite cannot be stored")]
    NotFinite,
    /// Text above the limit of one stored value.
    #[error("text of {0} bytes is above the 2 MB that one value holds")]
    TooLong(usize),
}

/// The longest text accepted for one value. A little under the runtime's 2 MB, which count the
/// whole row.
pub const MAX_TEXT_BYTES: usize = 1_900_000;

impl SqlValue {
    /// Whether the runtime will store exactly this value.
    pub fn check(&self) -> Result<(), ValueError> {
        match self {
            Self::Integer(value) if value.unsigned_abs() > MAX_SAFE_INTEGER.unsigned_abs() => {
                Err(ValueError::UnsafeInteger(*value))
            }
            Self::Real(value) if !value.is_finite() => Err(ValueError::NotFinite),
            Self::Text(text) if text.len() > MAX_TEXT_BYTES => Err(ValueError::TooLong(text.len())),
            Self::Null | Self::Integer(_) | Self::Real(_) | Self::Text(_) => Ok(()),
        }
    }

    /// The JavaScript form, once checked.
    pub(crate) fn to_js(&self) -> Result<JsValue, ValueError> {
        self.check()?;
        Ok(match self {
            Self::Null => JsValue::NULL,
            Self::Integer(value) => JsValue::from_f64(*value as f64),
            Self::Real(value) => JsValue::from_f64(*value),
            Self::Text(text) => JsValue::from_str(text),
        })
    }
}

/// Parameters as the array that the variadic JavaScript calls take.
pub(crate) fn to_array(values: &[SqlValue]) -> Result<js_sys::Array, ValueError> {
    let array = js_sys::Array::new();
    for value in values {
        array.push(&value.to_js()?);
    }
    Ok(array)
}

impl From<bool> for SqlValue {
    fn from(value: bool) -> Self {
        Self::Integer(i64::from(value))
    }
}

macro_rules! integers {
    ($($kind:ty),*) => {$(
        impl From<$kind> for SqlValue {
            fn from(value: $kind) -> Self {
                // What does not fit is refused at the binding all the same.
                Self::Integer(i64::try_from(value).unwrap_or(i64::MAX))
            }
        }
    )*};
}
integers!(i32, u32, i64, u64, usize, u8, u16);

impl From<f64> for SqlValue {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<&str> for SqlValue {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<&String> for SqlValue {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

impl From<String> for SqlValue {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Timestamp> for SqlValue {
    fn from(value: Timestamp) -> Self {
        Self::from(value.0)
    }
}

macro_rules! ids {
    ($($kind:ty),*) => {$(
        impl From<&$kind> for SqlValue {
            fn from(value: &$kind) -> Self {
                Self::Text(value.as_str().to_owned())
            }
        }
    )*};
}
ids!(
    UserId,
    CredentialId,
    ApiTokenId,
    InviteId,
    ProjectId,
    SessionId,
    RowId,
    PromptId,
    TaskId,
    WorkspaceId,
    NodeId,
    AgentSessionId,
    CommandId,
    RequestId
);

impl<T: Into<SqlValue>> From<Option<T>> for SqlValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Parameters under construction. A list rather than an array: it lives across the wait for its
/// statement, which for an array would be written out at every place that asks something.
#[derive(Debug, Clone, Default)]
pub struct Params(Vec<SqlValue>);

impl Params {
    /// With one more.
    #[must_use]
    pub fn with(mut self, value: impl Into<SqlValue>) -> Self {
        self.0.push(value.into());
        self
    }

    /// All of them, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[SqlValue] {
        &self.0
    }
}

/// Parameters of a statement: `params![id, now, name.as_deref()]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        $crate::value::Params::default()$(.with($value))*.as_slice()
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_double_cannot_hold_is_refused() {
        let cases: [(SqlValue, bool); 8] = [
            (SqlValue::from(MAX_SAFE_INTEGER), true),
            (SqlValue::from(-MAX_SAFE_INTEGER), true),
            (SqlValue::from(MAX_SAFE_INTEGER + 1), false),
            (SqlValue::from(u64::MAX), false),
            (SqlValue::from(i64::MIN), false),
            (SqlValue::from(f64::NAN), false),
            (SqlValue::from(true), true),
            (SqlValue::from(None::<&str>), true),
        ];
        for (value, accepted) in cases {
            assert_eq!(value.check().is_ok(), accepted, "{value:?}");
        }
    }

    #[test]
    fn text_has_a_bound() {
        let long = SqlValue::from("x".repeat(MAX_TEXT_BYTES + 1));
        assert_eq!(long.check(), Err(ValueError::TooLong(MAX_TEXT_BYTES + 1)));
    }
}
