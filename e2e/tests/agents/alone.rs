//! `codex exec`, `claude -p` and `goose run` by themselves, with a model token alone: on models
//! that speak as they do, and on models that do not.

use sam_e2e::Result;
use sam_e2e::agents::alone::Scene;

const GEMMA: &str = "@cf/google/gemma-4-26b-a4b-it";
const LLAMA: &str = "@cf/meta/llama-4-scout-17b-16e-instruct";
const WORKERS_AI: &str = "workers-ai/v1/chat/completions";
const ANTHROPIC: &str = "anthropic/v1/messages";

#[tokio::test]
async fn official_programs_work_with_a_model_token_alone_also_across_dialects() -> Result {
    let scene = Scene::open().await?;
    let codex = scene
        .codex("codex", "gpt-5.3-codex", "openai/responses")
        .await?;
    let claude = scene
        .claude("claude", "claude-sonnet-4-5", ANTHROPIC)
        .await?;
    tokio::try_join!(scene.repairs(&codex), scene.repairs(&claude))?;
    let codex = scene.codex("codex-on-chat", LLAMA, WORKERS_AI).await?;
    let claude = scene.claude("claude-on-chat", GEMMA, WORKERS_AI).await?;
    tokio::try_join!(scene.repairs(&codex), scene.repairs(&claude))?;
    let goose = scene.goose("goose", "gpt-4.1", "openai/chat/completions")?;
    let crossed = scene.goose("goose-on-claude", "claude-haiku-4-5", ANTHROPIC)?;
    tokio::try_join!(scene.repairs(&goose), scene.repairs(&crossed))?;
    scene.every_call_is_recorded().await
}
