//! What takes too long for every run: `scripts/test --full`.
//!
//! - here: further agents do the main job, and one works by itself with nothing but a model token;
//! - [`evals`]: other agents on the tasks of an evaluation.

mod evals;

use sam_e2e::Result;
use sam_e2e::agents::alone::Scene;
use sam_e2e::agents::hosted;

#[tokio::test]
async fn opencode_fixes_the_sample_by_the_rules_it_is_given() -> Result {
    hosted::opencode().await
}

#[tokio::test]
async fn goose_is_installed_and_fixes_the_sample() -> Result {
    hosted::goose().await
}

#[tokio::test]
async fn qwen_fixes_the_sample_by_the_rules_it_is_given() -> Result {
    hosted::qwen().await
}

#[tokio::test]
async fn copilot_fixes_the_sample_with_a_provider_of_our_own() -> Result {
    hosted::copilot().await
}

#[tokio::test]
async fn pi_fixes_the_sample_with_the_model_it_is_given() -> Result {
    hosted::pi().await
}

#[tokio::test]
async fn kimi_fixes_the_sample() -> Result {
    hosted::kimi().await
}

#[tokio::test]
async fn opencode_run_works_with_a_model_token_alone_also_on_claude() -> Result {
    let scene = Scene::open().await?;
    let own = scene
        .opencode("opencode", "gpt-4.1", "openai/chat/completions")
        .await?;
    scene.repairs(&own).await?;
    let crossed = scene
        .opencode(
            "opencode-on-claude",
            "claude-haiku-4-5",
            "anthropic/v1/messages",
        )
        .await?;
    scene.repairs(&crossed).await?;
    scene.every_call_is_recorded().await
}
