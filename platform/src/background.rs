//! Work that goes on after the reply.
//!
//! The stock `wait_until` unwraps; here a runtime that refuses (after the event is over) lets the
//! work run as long as the isolate lives, which is all it could have had.

use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

#[wasm_bindgen]
extern "C" {
    type RawContext;

    #[wasm_bindgen(structural, method, catch, js_name = waitUntil)]
    fn wait_until(this: &RawContext, promise: &js_sys::Promise) -> Result<(), JsValue>;
}

/// What keeps an event alive after its reply. Cheap to clone, so that a stream can hold it and
/// record its end when it is dropped.
#[derive(Debug, Clone)]
pub struct Background {
    context: JsValue,
}

impl Background {
    /// Of a request to the Worker.
    pub fn of_request(context: &worker::Context) -> Self {
        Self {
            context: AsRef::<JsValue>::as_ref(AsRef::<worker::worker_sys::Context>::as_ref(
                context,
            ))
            .clone(),
        }
    }

    /// Of an object.
    pub fn of_object(state: &worker::State) -> Self {
        Self {
            context: AsRef::<JsValue>::as_ref(state.as_raw()).clone(),
        }
    }

    /// Runs `work`, and asks the runtime to keep the event alive until it is done.
    pub fn run(&self, work: impl Future<Output = ()> + 'static) {
        let promise = future_to_promise(async move {
            work.await;
            Ok(JsValue::UNDEFINED)
        });
        let _ = self
            .context
            .unchecked_ref::<RawContext>()
            .wait_until(&promise);
    }
}
