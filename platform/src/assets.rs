//! The files that are deployed beside the Worker.

use wasm_bindgen::prelude::*;
use worker::{Env, Response};

use crate::bindings::ASSETS;
use crate::js::{self, JsFailure};

#[wasm_bindgen]
extern "C" {
    type Files;

    #[wasm_bindgen(method, catch)]
    fn fetch(this: &Files, url: &str) -> Result<JsValue, JsValue>;
}

/// A file that is no page, by its path from the root, as the runtime answers for it; `None` when it was not deployed.
pub async fn file(env: &Env, path: &str) -> Result<Option<Response>, JsFailure> {
    let files: Files = js::get(env, ASSETS)?.unchecked_into();
    // The runtime reads the path alone.
    let fetched = files.fetch(&format!("https://assets{path}"))?;
    let response: web_sys::Response = js::settle(fetched).await?.unchecked_into();
    let response = Response::from(response);
    // For a path that is no file the app's page is answered.
    let stated = response.headers().get("content-type")?.unwrap_or_default();
    let is_file = response.status_code() == 200 && !stated.starts_with("text/html");
    // Headers as they were fetched cannot be added to.
    let headers = response.headers().clone();
    Ok(is_file.then(|| response.with_headers(headers)))
}
