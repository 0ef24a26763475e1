//! Failures of our own machinery: told in the log, hidden from the reply.

use sam_domain::error::ApiError;
use sam_platform::bindings::BindingError;
use sam_platform::crypto::{ClaimsError, KeyError};
use sam_platform::d1::D1Error;
use sam_platform::entropy::EntropyError;
use sam_platform::js::JsFailure;
use sam_platform::r2::BodyStoreError;

/// An error of this crate's handlers. It is what the client gets; what it hides was logged. Boxed,
/// because every result on the way carries room for it.
#[derive(Debug)]
pub(crate) struct Failed(pub(crate) Box<ApiError>);

impl From<ApiError> for Failed {
    fn from(error: ApiError) -> Self {
        Self(Box::new(error))
    }
}

impl From<sam_platform::http::BodyError> for Failed {
    fn from(error: sam_platform::http::BodyError) -> Self {
        ApiError::from(error).into()
    }
}

impl From<BodyStoreError> for Failed {
    fn from(error: BodyStoreError) -> Self {
        let (status, code) = match &error {
            BodyStoreError::BadName => (400, "bad_body_name"),
            BodyStoreError::Mismatch => (400, "body_mismatch"),
            BodyStoreError::TooLarge => (413, "body_too_large"),
            BodyStoreError::Binding(_) | BodyStoreError::Runtime(_) => return hidden(&error),
        };
        ApiError::new(status, code, capitalised(&error.to_string())).into()
    }
}

macro_rules! hide {
    ($($error:ty),*) => {$(
        impl From<$error> for Failed {
            fn from(error: $error) -> Self {
                hidden(&error)
            }
        }
    )*};
}

hide!(
    D1Error,
    BindingError,
    KeyError,
    EntropyError,
    JsFailure,
    ClaimsError,
    worker::Error
);

/// Logs what failed and answers 500 without it.
pub(crate) fn hidden(cause: &impl std::fmt::Display) -> Failed {
    hide(&cause.to_string())
}

fn hide(cause: &str) -> Failed {
    log(cause);
    ApiError::internal().into()
}

/// A line in the runtime's log. It never carries content or secrets.
pub(crate) fn log(line: &str) {
    #[cfg(target_arch = "wasm32")]
    worker::console_error!("{line}");
    #[cfg(not(target_arch = "wasm32"))]
    let _ = line;
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        None => String::new(),
    }
}

/// What handlers answer.
pub(crate) type Answer = Result<worker::Response, Failed>;
