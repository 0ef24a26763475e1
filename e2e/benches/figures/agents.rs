//! Coding agents that work on a prompt once and exit: ours, and those it is measured beside.
//!
//! Peers are measured where they are installed: goose from the npm packages of this repository, the
//! others on the PATH or where `SAM_BENCH_GOOSE`, `SAM_BENCH_CODEX` and `SAM_BENCH_PI` say.

use std::path::{Path, PathBuf};
use std::process::Command;

use sam_e2e::{Result, programs};
use serde_json::json;

/// What makes an agent's command: the model's address, a home folder, a prompt.
type Launch = fn(&Path, &str, &Path, &str) -> Result<Command>;

/// One agent.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    pub(crate) name: &'static str,
    program: PathBuf,
    launch: Launch,
}

impl Agent {
    /// The command that has it work on a prompt.
    pub(crate) fn command(&self, host: &str, home: &Path, prompt: &str) -> Result<Command> {
        let mut command = (self.launch)(&self.program, host, home, prompt)?;
        command.env("HOME", home);
        Ok(command)
    }
}

/// Ours.
pub(crate) fn harness() -> Result<Agent> {
    Ok(Agent {
        name: "sam-harness",
        program: programs::native("sam-harness")?,
        launch: |program, host, home, prompt| {
            let mut command = Command::new(program);
            command
                .args(["run", "--max-turns", "2000", "-p", prompt])
                .env("SAM_MODEL_URL", format!("{host}/v1"))
                .env("SAM_MODEL", "m")
                .env("XDG_STATE_HOME", home);
            Ok(command)
        },
    })
}

/// Those that are installed; stderr says which are not.
pub(crate) fn peers() -> Vec<Agent> {
    let all: [(&'static str, &str, Option<PathBuf>, Launch); 3] = [
        ("codex", "SAM_BENCH_CODEX", None, codex),
        ("goose", "SAM_BENCH_GOOSE", programs::goose().ok(), goose),
        ("pi", "SAM_BENCH_PI", None, pi),
    ];
    let found = all
        .into_iter()
        .filter_map(|(name, variable, folder, launch)| {
            let named = std::env::var_os(variable).map(PathBuf::from);
            let program = named.or_else(|| find(name, folder));
            if program.is_none() {
                eprintln!("{name} is not installed and not measured; {variable} can name it");
            }
            let program = program?;
            Some(Agent {
                name,
                program,
                launch,
            })
        });
    found.collect()
}

fn find(name: &str, folder: Option<PathBuf>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = folder.into_iter().chain(std::env::split_paths(&path));
    folders.find_map(|folder| Some(folder.join(name)).filter(|program| program.is_file()))
}

fn codex(program: &Path, host: &str, home: &Path, prompt: &str) -> Result<Command> {
    let folder = home.join(".codex");
    std::fs::create_dir_all(&folder)?;
    let settings = format!(
        "model = \"m\"\nmodel_provider = \"bench\"\n[model_providers.bench]\nname = \"bench\"\n\
         base_url = \"{host}/v1\"\nwire_api = \"responses\"\nenv_key = \"BENCH_KEY\"\n"
    );
    std::fs::write(folder.join("config.toml"), settings)?;
    let mut command = Command::new(program);
    command
        .args(["exec", "--json", "--skip-git-repo-check"])
        .args(["--dangerously-bypass-approvals-and-sandbox", prompt])
        .env("CODEX_HOME", folder)
        .env("BENCH_KEY", "k");
    Ok(command)
}

fn goose(program: &Path, host: &str, _: &Path, prompt: &str) -> Result<Command> {
    let mut command = Command::new(program);
    command
        .args(["run", "--no-session", "--with-builtin", "developer"])
        .args(["-t", prompt])
        .env("GOOSE_PROVIDER", "openai")
        .env("GOOSE_MODEL", "m")
        .env("OPENAI_HOST", host)
        .env("OPENAI_API_KEY", "k")
        .env("GOOSE_DISABLE_KEYRING", "1")
        .env("GOOSE_MODE", "auto");
    Ok(command)
}

fn pi(program: &Path, host: &str, home: &Path, prompt: &str) -> Result<Command> {
    let folder = home.join(".pi/agent");
    std::fs::create_dir_all(&folder)?;
    let model = json!({
        "id": "m", "name": "m", "reasoning": false, "input": ["text"],
        "contextWindow": 128_000, "maxTokens": 8192,
        "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
    });
    let settings = json!({"providers": {"bench": {
        "baseUrl": format!("{host}/v1"), "apiKey": "k", "api": "openai-completions", "models": [model],
    }}});
    std::fs::write(folder.join("models.json"), settings.to_string())?;
    let mut command = Command::new(program);
    command
        .args(["--provider", "bench", "--model", "m"])
        .args(["--no-session", "-p", prompt]);
    Ok(command)
}
