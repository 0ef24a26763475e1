//! `codex exec` and `claude -p` by themselves: a URL and a model token are all they are given.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use sam_e2e::agents::hosted::own_dialect;
use sam_e2e::agents::{directory, options};
use sam_e2e::conversation::PATIENCE;
use sam_e2e::node::ScriptedNode;
use sam_e2e::repository::{git, sample, tests_of};
use sam_e2e::{Result, Stack, Work, ensure, failure, programs, wait_until};
use serde_json::json;
use tokio::process::Command;

const PROMPT: &str =
    "A test of this repository fails. Find the cause, fix the code and not the test.";

/// What a machine installed for an agent; it is made to, where none did.
pub(crate) async fn installed(agent: &str) -> Result<PathBuf> {
    let found = || {
        let entries = std::fs::read_dir(directory()).ok()?;
        let mut folders = entries.flatten().map(|entry| entry.path());
        let begins = format!("{agent}-");
        folders.find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            path.is_dir() && name.starts_with(&begins)
        })
    };
    if let Some(folder) = found() {
        return Ok(folder.join("node_modules"));
    }
    let mut stack = Stack::start_with(options()).await?;
    let repository = sample(stack.directory(), "inkwell")?;
    stack.start_node("machine", &[]).await?;
    let task = json!({"prompt": "What is here?", "agent": agent});
    let work = Work::begin(&stack, &repository.to_string_lossy(), &task).await?;
    let folder = wait_until("it is installed", PATIENCE, || async { Ok(found()) }).await?;
    work.end("cancel").await?;
    Ok(folder.join("node_modules"))
}

/// A stack, a checkout of the sample, and a token for the model alone.
struct Scene {
    stack: Stack,
    work: Work,
    repository: PathBuf,
    checkout: PathBuf,
    home: PathBuf,
    token: String,
    _node: ScriptedNode,
}

impl Scene {
    async fn open() -> Result<Self> {
        let stack = Stack::start_with(options()).await?;
        let repository = sample(stack.directory(), "inkwell")?;
        let mut node = ScriptedNode::join(&stack, "machine").await?;
        let task = json!({"prompt": "Begin"});
        let work = Work::begin(&stack, &repository.to_string_lossy(), &task).await?;
        let command = node.play_to_prompt().await?;
        let token = node.tokens(&command.workspace).await?.model_token;
        let checkout = stack.directory().join("checkout");
        let from = repository.to_string_lossy();
        git(stack.directory(), &["clone", "-q", &from, "checkout"])?;
        let home = stack.directory().join("home");
        std::fs::create_dir(&home)?;
        Ok(Self {
            stack,
            work,
            repository,
            checkout,
            home,
            token,
            _node: node,
        })
    }

    /// Runs a program in the checkout, and requires that it repaired the sample through one path of
    /// the gateway, and that each of its calls was recorded.
    async fn repairs(
        &self,
        program: &Path,
        arguments: &[&str],
        env: &[(&str, &str)],
        path: &str,
    ) -> Result {
        let run = Command::new(program)
            .args(arguments)
            .arg(PROMPT)
            .current_dir(&self.checkout)
            .env_clear()
            .env("PATH", programs::path())
            .env("HOME", &self.home)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let ran = tokio::time::timeout(PATIENCE, run).await??;
        let said = || {
            format!(
                "{}\n{}",
                String::from_utf8_lossy(&ran.stdout),
                String::from_utf8_lossy(&ran.stderr)
            )
        };
        ensure(ran.status.success(), said)?;
        let changed = git(&self.checkout, &["diff", "--name-only"])?;
        ensure(changed == "src/ageing.js", || {
            format!("{changed}\n{}", said())
        })?;
        git(&self.checkout, &["commit", "-qam", "Repair"])?;
        git(&self.checkout, &["push", "-q", "origin", "HEAD:repaired"])?;
        let (passes, told) = tests_of(&self.repository, "repaired")?;
        ensure(passes, || told.clone())?;
        own_dialect(&self.stack, &self.work, path).await
    }
}

#[tokio::test]
async fn codex_exec_works_with_a_model_token_alone() -> Result {
    let modules = installed("codex").await?;
    let scene = Scene::open().await?;
    let url = format!("{}/ai/v1", scene.stack.url());
    let provider = format!(
        "model_providers.sam={{name=\"SAM\",base_url=\"{url}\",wire_api=\"responses\",env_key=\"MODEL_KEY\"}}"
    );
    let arguments = [
        "exec",
        "--json",
        "--dangerously-bypass-approvals-and-sandbox",
        "-c",
        "model_provider=\"sam\"",
        "-c",
        "model=\"scripted\"",
        "-c",
        &provider,
    ];
    let env = [("MODEL_KEY", scene.token.as_str())];
    let program = modules.join(".bin/codex");
    scene
        .repairs(&program, &arguments, &env, "/v1/responses")
        .await
}

#[tokio::test]
async fn claude_works_with_a_model_token_alone() -> Result {
    let modules = installed("claude-code").await?;
    let program = ["x64", "arm64"]
        .map(|arch| {
            modules.join(format!(
                "@anthropic-ai/claude-agent-sdk-linux-{arch}/claude"
            ))
        })
        .into_iter()
        .find(|path| path.exists())
        .ok_or_else(|| failure("the package has no program for this platform"))?;
    let scene = Scene::open().await?;
    let url = format!("{}/ai/anthropic", scene.stack.url());
    let arguments = [
        "-p",
        "--output-format",
        "stream-json",
        "--verbose",
        "--dangerously-skip-permissions",
    ];
    let env = [
        ("ANTHROPIC_BASE_URL", url.as_str()),
        ("ANTHROPIC_API_KEY", scene.token.as_str()),
        ("ANTHROPIC_MODEL", "scripted"),
        ("ANTHROPIC_SMALL_FAST_MODEL", "scripted"),
        ("ANTHROPIC_DEFAULT_HAIKU_MODEL", "scripted"),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
        ("IS_SANDBOX", "1"),
    ];
    scene
        .repairs(&program, &arguments, &env, "/v1/messages")
        .await
}
