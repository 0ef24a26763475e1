//! How an object is evicted.
//!
//! `ctx.abort` ends the JavaScript that runs, and with it the wasm below: called from Rust it would
//! leave the instance in pieces. So it is bound and handed to a timer, and the point waits for it.

use std::time::Duration;

use wasm_bindgen::prelude::*;

use crate::js::{self, JsFailure};

#[wasm_bindgen]
extern "C" {
    type RawFunction;

    #[wasm_bindgen(structural, method, catch)]
    fn bind(this: &RawFunction, context: &JsValue, reason: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_name = setTimeout)]
    fn set_timeout(handler: &JsValue, millis: i32) -> Result<JsValue, JsValue>;
}

/// How long a point waits for the eviction, which comes at once.
const COMES_WITHIN: Duration = Duration::from_secs(5);

/// Evicts the object with this state. Never returns, unless the runtime refused.
pub(super) async fn evict(context: &JsValue, reason: &str) -> Result<(), JsFailure> {
    let abort = js::get(context, "abort")?;
    let bound = abort.unchecked_ref::<RawFunction>().bind(context, reason)?;
    set_timeout(&bound, 0)?;
    worker::Delay::from(COMES_WITHIN).await;
    Err(JsFailure::new("the object was not evicted"))
}
