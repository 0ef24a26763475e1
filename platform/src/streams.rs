//! Byte streams read chunk by chunk, with every failure caught and the source cancelled when the
//! reader is dropped.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::{FutureExt, Stream, StreamExt};
use js_sys::Uint8Array;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::js::{self, JsFailure};

/// The chunks of a `ReadableStream`. Dropping it before the end cancels the source, which is how a
/// client that leaves closes the upstream.
#[derive(Debug)]
pub struct Chunks {
    reader: Option<web_sys::ReadableStreamDefaultReader>,
    pending: Option<JsFuture>,
}

impl Chunks {
    /// Takes the stream's only reader. Fails when somebody else holds it.
    pub fn of(stream: &web_sys::ReadableStream) -> Result<Self, JsFailure> {
        let reader = web_sys::ReadableStreamDefaultReader::new(stream)?;
        Ok(Self {
            reader: Some(reader),
            pending: None,
        })
    }

    /// A stream without a chunk.
    pub fn empty() -> Self {
        Self {
            reader: None,
            pending: None,
        }
    }

    /// Reads to the end, refusing more than `limit` bytes.
    pub async fn collect_within(&mut self, limit: usize) -> Result<Vec<u8>, CollectError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.next().await {
            let chunk = chunk?;
            if bytes.len() + chunk.len() > limit {
                return Err(CollectError::TooLarge { limit });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

/// Why a stream was not collected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CollectError {
    /// It is longer than allowed.
    #[error("longer than {limit} bytes")]
    TooLarge {
        /// The bound in bytes.
        limit: usize,
    },
    /// Its source failed.
    #[error("the stream broke off: {0}")]
    Broken(#[from] JsFailure),
}

impl Stream for Chunks {
    type Item = Result<Vec<u8>, JsFailure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(reader) = &this.reader else {
            return Poll::Ready(None);
        };
        let pending = this
            .pending
            .get_or_insert_with(|| JsFuture::from(reader.read()));
        let outcome = futures::ready!(pending.poll_unpin(cx));
        this.pending = None;
        let chunk = outcome.map_err(JsFailure::from).and_then(|result| {
            let done = js::get(&result, "done")?.as_bool().unwrap_or(true);
            let value = js::get(&result, "value")?;
            Ok((!done).then_some(value))
        });
        Poll::Ready(match chunk {
            Ok(Some(value)) => match value.dyn_into::<Uint8Array>() {
                Ok(array) => Some(Ok(array.to_vec())),
                Err(_) => Some(Err(JsFailure::new(
                    "the stream holds something other than bytes",
                ))),
            },
            Ok(None) => {
                this.reader = None;
                None
            }
            Err(failure) => {
                this.reader = None;
                Some(Err(failure))
            }
        })
    }
}

impl Drop for Chunks {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            // Fire and forget: the promise's rejection is silenced, since nobody is left to tell.
            let silenced = reader.cancel_with_reason(&JsValue::from_str("the reader left"));
            wasm_bindgen_futures::spawn_local(async move {
                let _ = JsFuture::from(silenced).await;
            });
        }
    }
}
