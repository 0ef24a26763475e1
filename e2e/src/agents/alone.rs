//! Official programs by themselves: a URL and a model token are all they are given.
//!
//! One stack serves them all. Its models are behind an AI Gateway, each where its provider has it
//! and in the provider's dialect, so that the model a program asks for decides whether its calls
//! pass or are translated.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;

use super::{directory, options};
use crate::conversation::PATIENCE;
use crate::node::ScriptedNode;
use crate::repository::{git, sample, tests_of};
use crate::{Result, Stack, StackOptions, Work, ensure, failure, programs, wait_until};

const PROMPT: &str =
    "A test of this repository fails. Find the cause, fix the code and not the test.";

/// What a machine installed for an agent; it is made to, where none did.
///
/// # Errors
/// When it cannot be installed.
pub async fn installed(agent: &str) -> Result<PathBuf> {
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

/// A program, how it is started, and where the model that it asks for is.
pub struct Run {
    /// Names its checkout, and the branch it pushes.
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    env: Vec<(&'static str, String)>,
    /// The model, which no other program of the scene asks for.
    model: &'static str,
    /// Where its provider is at the gateway.
    path: &'static str,
}

/// A stack and a token for models alone.
pub struct Scene {
    stack: Stack,
    work: Work,
    repository: PathBuf,
    token: String,
    _node: ScriptedNode,
}

impl Scene {
    /// A task whose agent could call models now.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn open() -> Result<Self> {
        let stack = Stack::start_with(StackOptions::with_one_cloudflare_token()).await?;
        let repository = sample(stack.directory(), "inkwell")?;
        let mut node = ScriptedNode::join(&stack, "machine").await?;
        let task = json!({"prompt": "Begin"});
        let work = Work::begin(&stack, &repository.to_string_lossy(), &task).await?;
        let command = node.play_to_prompt().await?;
        let token = node.tokens(&command.workspace).await?.model_token;
        let admin = stack.admin()?;
        let choice = admin.request(Method::PUT, "/api/agents/sam-harness/provider");
        let chosen = admin.send(choice.json(&json!({"mode": "sam"}))).await?;
        ensure(chosen.status == 200, || chosen.text())?;
        Ok(Self {
            stack,
            work,
            repository,
            token,
            _node: node,
        })
    }

    /// Lets a program work, and requires that it repaired the sample, asked its model where that is
    /// and nobody else for it.
    ///
    /// # Errors
    /// When it did not; with what it said.
    pub async fn repairs(&self, run: &Run) -> Result {
        let home = self.stack.directory().join(format!("home-{}", run.name));
        std::fs::create_dir(&home)?;
        let from = self.repository.to_string_lossy();
        git(self.stack.directory(), &["clone", "-q", &from, run.name])?;
        let checkout = self.stack.directory().join(run.name);
        let work = Command::new(&run.program)
            .args(&run.arguments)
            .arg(PROMPT)
            .current_dir(&checkout)
            .env_clear()
            .env("PATH", programs::path())
            .env("HOME", &home)
            .envs(run.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let ran = tokio::time::timeout(PATIENCE, work).await??;
        let said = || {
            format!(
                "{}\n{}\n{}",
                run.name,
                String::from_utf8_lossy(&ran.stdout),
                String::from_utf8_lossy(&ran.stderr)
            )
        };
        ensure(ran.status.success(), said)?;
        let changed = git(&checkout, &["diff", "--name-only"])?;
        ensure(changed == "src/ageing.js", || {
            format!("{changed}\n{}", said())
        })?;
        git(&checkout, &["commit", "-qam", "Repair"])?;
        let to = format!("HEAD:{}", run.name);
        git(&checkout, &["push", "-q", "origin", &to])?;
        let (passes, told) = tests_of(&self.repository, run.name)?;
        ensure(passes, || told.clone())?;
        let asked = self.asked(Some(run.model)).await?;
        let there = format!("/v1/acc/sam/{}", run.path);
        let right = asked.len() > 2 && asked.iter().all(|path| *path == there);
        ensure(right, || format!("{}: {asked:?}", run.name))
    }

    /// Requires that each call was recorded, once.
    ///
    /// # Errors
    /// When one was not.
    pub async fn every_call_is_recorded(&self) -> Result {
        let calls = self.asked(None).await?.len() as u64;
        wait_until("every call is recorded", PATIENCE, || async {
            let usage = self.work.usage().await?;
            Ok((usage.calls == calls && usage.input_tokens > 0).then_some(()))
        })
        .await
    }

    /// At which of the gateway's paths a model was asked.
    async fn asked(&self, model: Option<&str>) -> Result<Vec<String>> {
        let requests = self.stack.gateway().requests().await?;
        let of = |request: &&Value| {
            let asked = request.pointer("/body/model").and_then(Value::as_str);
            asked.is_some() && (model.is_none() || model == asked)
        };
        let paths = requests.iter().filter(of);
        let paths = paths.filter_map(|request| request.get("path")?.as_str());
        Ok(paths.map(str::to_owned).collect())
    }

    fn url(&self, path: &str) -> String {
        format!("{}/ai{path}", self.stack.url())
    }

    /// `codex exec`, which speaks Responses.
    ///
    /// # Errors
    /// When it cannot be installed.
    pub async fn codex(
        &self,
        name: &'static str,
        model: &'static str,
        path: &'static str,
    ) -> Result<Run> {
        let url = self.url("/v1");
        let provider = format!(
            "model_providers.sam={{name=\"SAM\",base_url=\"{url}\",wire_api=\"responses\",env_key=\"MODEL_KEY\"}}"
        );
        let model_is = format!("model=\"{model}\"");
        let arguments = [
            "exec",
            "--json",
            "--dangerously-bypass-approvals-and-sandbox",
            "-c",
            "model_provider=\"sam\"",
            "-c",
            &model_is,
            "-c",
            &provider,
        ];
        Ok(Run {
            name,
            program: installed("codex").await?.join(".bin/codex"),
            arguments: arguments.map(str::to_owned).into(),
            env: vec![("MODEL_KEY", self.token.clone())],
            model,
            path,
        })
    }

    /// `claude -p`, which speaks Messages.
    ///
    /// # Errors
    /// When it cannot be installed.
    pub async fn claude(
        &self,
        name: &'static str,
        model: &'static str,
        path: &'static str,
    ) -> Result<Run> {
        let modules = installed("claude-code").await?;
        let of = |arch| format!("@anthropic-ai/claude-agent-sdk-linux-{arch}/claude");
        let mut programs = ["x64", "arm64"]
            .map(|arch| modules.join(of(arch)))
            .into_iter();
        let program = programs
            .find(|path| path.exists())
            .ok_or_else(|| failure("the package has no program for this platform"))?;
        let arguments = [
            "-p",
            "--output-format",
            "stream-json",
            "--verbose",
            "--dangerously-skip-permissions",
        ];
        let named = |variable| (variable, model.to_owned());
        Ok(Run {
            name,
            program,
            arguments: arguments.map(str::to_owned).into(),
            env: vec![
                ("ANTHROPIC_BASE_URL", self.url("/anthropic")),
                ("ANTHROPIC_API_KEY", self.token.clone()),
                named("ANTHROPIC_MODEL"),
                named("ANTHROPIC_SMALL_FAST_MODEL"),
                named("ANTHROPIC_DEFAULT_HAIKU_MODEL"),
                ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".to_owned()),
                ("IS_SANDBOX", "1".to_owned()),
            ],
            model,
            path,
        })
    }

    /// `goose run`, as it speaks chat completions.
    ///
    /// # Errors
    /// When it is not there.
    pub fn goose(
        &self,
        name: &'static str,
        model: &'static str,
        path: &'static str,
    ) -> Result<Run> {
        let arguments = [
            "run",
            "--no-session",
            "--with-builtin",
            "developer",
            "--text",
        ];
        Ok(Run {
            name,
            program: programs::goose()?.join("goose"),
            arguments: arguments.map(str::to_owned).into(),
            env: vec![
                ("GOOSE_PROVIDER", "openai".to_owned()),
                ("GOOSE_MODEL", model.to_owned()),
                ("GOOSE_DISABLE_KEYRING", "1".to_owned()),
                ("GOOSE_MODE", "auto".to_owned()),
                ("OPENAI_HOST", self.url("")),
                ("OPENAI_API_KEY", self.token.clone()),
            ],
            model,
            path,
        })
    }

    /// `opencode run`, which speaks chat completions.
    ///
    /// # Errors
    /// When it cannot be installed.
    pub async fn opencode(
        &self,
        name: &'static str,
        model: &'static str,
        path: &'static str,
    ) -> Result<Run> {
        let program = Path::new("opencode-linux-x64/bin/opencode");
        let config = json!({
            "autoupdate": false,
            "small_model": format!("sam/{model}"),
            "permission": {"edit": "allow", "bash": "allow"},
            "provider": {"sam": {
                "npm": "@ai-sdk/openai-compatible",
                "options": {"baseURL": self.url("/v1"), "apiKey": self.token},
                "models": {model: {"name": model}},
            }},
        });
        Ok(Run {
            name,
            program: installed("opencode").await?.join(program),
            arguments: vec![
                "run".to_owned(),
                "--model".to_owned(),
                format!("sam/{model}"),
            ],
            env: vec![
                ("OPENCODE_CONFIG_CONTENT", config.to_string()),
                ("OPENCODE_DISABLE_AUTOUPDATE", "1".to_owned()),
                ("OPENCODE_DISABLE_MODELS_FETCH", "1".to_owned()),
                ("OPENCODE_DISABLE_LSP_DOWNLOAD", "1".to_owned()),
                ("OPENCODE_DISABLE_DEFAULT_PLUGINS", "1".to_owned()),
            ],
            model,
            path,
        })
    }
}
