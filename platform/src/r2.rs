//! R2: bodies, named by the SHA-256 of their bytes.
//!
//! A body's key is `<scope>/<sha256>`; the scope is the project, so that equal bytes of two tenants
//! are two objects and knowing a hash opens nothing. A body is stored only when its bytes have the
//! hash they are stored under.

use sam_domain::conversation::row::BodyRef;
use sam_domain::id::{Id as _, ProjectId};
use wasm_bindgen::prelude::*;
use worker::Env;

use crate::bindings::{self, BindingError};
use crate::crypto::sha256_hex;
use crate::js::{self, JsFailure};

#[wasm_bindgen]
extern "C" {
    type RawBucket;

    #[wasm_bindgen(structural, method, catch)]
    fn put(this: &RawBucket, key: &str, value: &js_sys::Uint8Array) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(structural, method, catch)]
    fn get(this: &RawBucket, key: &str) -> Result<JsValue, JsValue>;

    type RawObject;

    #[wasm_bindgen(structural, method, catch)]
    fn text(this: &RawObject) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(structural, method, catch)]
    fn head(this: &RawBucket, key: &str) -> Result<JsValue, JsValue>;
}

/// The longest body, in bytes.
pub const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

/// What the body store can fail with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyStoreError {
    /// The bucket is not bound.
    #[error(transparent)]
    Binding(#[from] BindingError),
    /// The runtime failed.
    #[error("r2: {0}")]
    Runtime(#[from] JsFailure),
    /// The name is not 64 lower-case hexadecimal digits.
    #[error("a body is named by 64 lower-case hexadecimal digits")]
    BadName,
    /// The bytes do not have the hash they were sent under.
    #[error("the bytes do not have the SHA-256 they were sent under")]
    Mismatch,
    /// The body is longer than [`MAX_BODY_BYTES`].
    #[error("the body is longer than {MAX_BODY_BYTES} bytes")]
    TooLarge,
}

impl From<JsValue> for BodyStoreError {
    fn from(value: JsValue) -> Self {
        Self::Runtime(value.into())
    }
}

/// A body's name, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyName(String);

impl BodyName {
    /// Checks a name as it came from outside.
    pub fn parse(text: &str) -> Result<Self, BodyStoreError> {
        let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 64 && text.bytes().all(hexadecimal) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BodyStoreError::BadName)
        }
    }

    /// The 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether these bytes are the body of this name.
    pub fn names(&self, bytes: &[u8]) -> bool {
        sha256_hex(bytes) == self.0
    }
}

/// A stored body, not read yet.
#[derive(Debug, Clone)]
pub struct StoredBody {
    /// Length in bytes.
    pub bytes: u64,
    /// Its bytes, to pass through.
    pub stream: web_sys::ReadableStream,
}

/// The bodies of one project, or the files of the releases.
#[derive(Debug, Clone)]
pub struct Bodies {
    bucket: JsValue,
    scope: String,
}

impl Bodies {
    /// The bodies of a project in the bucket bound as `BODIES`.
    pub fn of(env: &Env, project: &ProjectId) -> Result<Self, BodyStoreError> {
        Ok(Self {
            bucket: bindings::raw(env, bindings::BODIES)?,
            scope: project.as_str().to_owned(),
        })
    }

    /// The files of the releases, in the same bucket.
    pub fn of_releases(env: &Env) -> Result<Self, BodyStoreError> {
        Ok(Self {
            bucket: bindings::raw(env, bindings::BODIES)?,
            scope: "release".to_owned(),
        })
    }

    fn raw(&self) -> &RawBucket {
        self.bucket.unchecked_ref()
    }

    fn key(&self, name: &BodyName) -> String {
        format!("{}/{}", self.scope, name.as_str())
    }

    /// Stores bytes under their name. Storing the same body again changes nothing.
    pub async fn put(&self, name: &BodyName, bytes: &[u8]) -> Result<BodyRef, BodyStoreError> {
        if bytes.len() > MAX_BODY_BYTES {
            return Err(BodyStoreError::TooLarge);
        }
        if !name.names(bytes) {
            return Err(BodyStoreError::Mismatch);
        }
        let array = js_sys::Uint8Array::from(bytes);
        js::settle(self.raw().put(&self.key(name), &array)?).await?;
        Ok(BodyRef {
            sha256: name.as_str().to_owned(),
            bytes: bytes.len() as u64,
        })
    }

    /// A body as a stream; `None` when there is none of this name.
    pub async fn get(&self, name: &BodyName) -> Result<Option<StoredBody>, BodyStoreError> {
        let Some(object) = self.object(name.as_str()).await? else {
            return Ok(None);
        };
        let bytes = js::get(&object, "size")?.as_f64().unwrap_or_default() as u64;
        let stream = js::get(&object, "body")?
            .dyn_into::<web_sys::ReadableStream>()
            .map_err(|_| JsFailure::new("the stored object has no body"))?;
        Ok(Some(StoredBody { bytes, stream }))
    }

    /// What a document says, by its own name; `None` when there is none.
    pub async fn document(&self, name: &str) -> Result<Option<String>, BodyStoreError> {
        let Some(object) = self.object(name).await? else {
            return Ok(None);
        };
        let text = js::settle(object.unchecked_ref::<RawObject>().text()?).await?;
        Ok(text.as_string())
    }

    async fn object(&self, name: &str) -> Result<Option<JsValue>, BodyStoreError> {
        let key = format!("{}/{name}", self.scope);
        let object = js::settle(self.raw().get(&key)?).await?;
        Ok((!object.is_null() && !object.is_undefined()).then_some(object))
    }

    /// Whether a body of this name is stored.
    pub async fn exists(&self, name: &BodyName) -> Result<bool, BodyStoreError> {
        let object = js::settle(self.raw().head(&self.key(name))?).await?;
        Ok(!object.is_null() && !object.is_undefined())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_hash_of_its_bytes() {
        let name = BodyName::parse(&sha256_hex(b"abc")).unwrap();
        assert!(name.names(b"abc"));
        assert!(!name.names(b"abd"));
        for bad in [
            "",
            "ABC",
            &"g".repeat(64),
            &"A".repeat(64),
            &"a".repeat(63),
            "../etc",
        ] {
            assert_eq!(BodyName::parse(bad), Err(BodyStoreError::BadName), "{bad}");
        }
    }
}
