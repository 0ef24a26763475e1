//! The OpenAPI document in the repository is the one that the types make.

use sam_e2e::{Result, ensure, programs};
use serde_json::Value;

#[test]
fn the_document_is_in_step_with_the_types() -> Result {
    let path = programs::root().join("docs/openapi.json");
    let kept: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    let made = sam_domain::access::openapi::document();
    ensure(kept == made, || {
        "docs/openapi.json is stale; make it with `cargo run -q -p sam-domain --features schema \
         --example openapi > docs/openapi.json`"
            .to_owned()
    })
}
