//! Noticing that a client has left.
//!
//! The runtime then aborts the request's signal. It tears the request down at once unless it was
//! asked to wait for something, so whoever wants to do anything about it must have asked before.

use futures::FutureExt as _;
use futures::channel::oneshot::{self, Receiver};
use futures::future::Shared;
use wasm_bindgen::JsCast as _;
use wasm_bindgen::closure::Closure;

/// Ends when the client leaves, or when nobody listens for that any more.
pub(super) type Gone = Shared<Receiver<()>>;

/// Listens for the client's departure until it is dropped.
pub(super) struct Departure {
    signal: web_sys::AbortSignal,
    listener: Closure<dyn FnMut()>,
    gone: Gone,
}

impl Departure {
    /// Listens for the departure of this request's client.
    pub(super) fn of(request: &web_sys::Request) -> Self {
        let (sender, receiver) = oneshot::channel();
        let mut sender = Some(sender);
        let listener = Closure::new(move || {
            if let Some(sender) = sender.take() {
                let _ = sender.send(());
            }
        });
        let signal = request.signal();
        // An aborted signal fires no more: then the runtime ends the request by itself.
        let _ = signal.add_event_listener_with_callback("abort", listener.as_ref().unchecked_ref());
        Self {
            signal,
            listener,
            gone: receiver.shared(),
        }
    }

    /// When the client has left.
    pub(super) fn gone(&self) -> Gone {
        self.gone.clone()
    }
}

impl Drop for Departure {
    fn drop(&mut self) {
        let _ = self
            .signal
            .remove_event_listener_with_callback("abort", self.listener.as_ref().unchecked_ref());
    }
}
