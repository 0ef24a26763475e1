//! Agents that the machine installs do the main job in a repository that would have them do
//! otherwise.

use sam_e2e::Result;
use sam_e2e::agents::hosted;

#[tokio::test]
async fn claude_code_fixes_the_sample_by_the_rules_it_is_given() -> Result {
    hosted::claude_code().await
}

#[tokio::test]
async fn codex_fixes_the_sample_by_the_rules_it_is_given() -> Result {
    hosted::codex().await
}
