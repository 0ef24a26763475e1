//! The front door of the control plane.
//!
//! Model: a request is matched against the one route table of `sam-domain`, the principal that the
//! table names is established, and the handler runs with that principal as an argument. Handlers
//! check membership, ask the object that owns a fact, and answer. Model calls are passed on to the
//! configured upstream by [`proxy`].
//!
//! Invariants:
//! - a handler cannot be called without its principal, and a principal's type that disagrees with
//!   the route table does not compile ([`router`]);
//! - what is another tenant's reads as if it did not exist;
//! - nothing is kept here between two requests, save what D1 said of a person a moment ago, for reads
//!   alone ([`call::Call::access_database`]);
//! - neither content nor a secret is logged, or told in an error.
//!
//! What it refuses to know: the rules of tasks, conversations and machines. Those are the objects'.

#![cfg_attr(
    not(target_arch = "wasm32"),
    expect(
        dead_code,
        reason = "the event handler, its only entrance, exists in wasm alone"
    )
)]

mod call;
mod config;
mod errors;
#[cfg(feature = "fault-injection")]
mod faults;
mod handlers;
mod limits;
mod membership;
mod objects;
mod origin;
mod principal;
mod proxy;
mod router;

// The classes of the objects are exported by their crate; naming it keeps them in the artifact.
use sam_durable_objects as _;

/// Every HTTP request. The crate's own `event` attribute would answer a failure of its own making by
/// unwrapping.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub async fn fetch(
    request: web_sys::Request,
    env: worker::Env,
    context: worker::worker_sys::Context,
) -> web_sys::Response {
    let context = worker::Context::new(context);
    router::serve(request.into(), env, &context).await.into()
}

/// What the schedule asks for.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub async fn scheduled(
    _event: wasm_bindgen::JsValue,
    env: worker::Env,
    _context: worker::worker_sys::Context,
) {
    handlers::reconciliation::scheduled(&env).await;
}
