//! What takes too long for every run: `scripts/test --full`.
//!
//! - here: further agents do the main job;
//! - [`alone`]: the official programs by themselves, with nothing but a model token;
//! - [`evals`]: other agents on the tasks of an evaluation.

mod alone;
mod evals;

use sam_e2e::Result;
use sam_e2e::agents::hosted;

#[tokio::test]
async fn opencode_fixes_the_sample_by_the_rules_it_is_given() -> Result {
    hosted::opencode().await
}

#[tokio::test]
async fn goose_is_installed_and_fixes_the_sample() -> Result {
    hosted::goose().await
}
