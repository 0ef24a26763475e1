//! Whether agents do what a host needs: each is driven through the same steps
//! against the scripted gateway, and what came of it is written down.
//!
//! Model: a step passes, is not offered by the agent, or fails with a sentence.
//! The agent is started as for a task, by its recipe and under the supervisor;
//! in place of the relay it is given the gateway's own address. Results are
//! kept by agent, so that one can be driven again without the others.
//!
//! - [`drive`]: the steps.

mod drive;

use super::install::{Agents, CommandLine};
use crate::log::info;
use crate::run::RunError;
use crate::store::Store;
use drive::Bench;
use sam_domain::agents::{AGENTS, Agent};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a run was told.
#[derive(Debug)]
pub(crate) struct Options {
    /// The scripted gateway's address.
    pub(crate) gateway: String,
    /// A folder of its own.
    pub(crate) state_dir: PathBuf,
    /// Where agents are installed.
    pub(crate) agents_dir: PathBuf,
    /// Folders searched first for agents.
    pub(crate) agent_path: Vec<PathBuf>,
    /// The command line of the custom agent.
    pub(crate) custom_agent: Option<CommandLine>,
    /// Which; all that can be driven here when empty.
    pub(crate) agents: Vec<String>,
    /// The day.
    pub(crate) on: String,
    /// Where results go.
    pub(crate) out: PathBuf,
}

/// What came of one agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Report {
    /// The pinned version.
    version: String,
    /// The day.
    on: String,
    /// Each step with `passed`, `not offered`, `held back unasked` or what failed.
    steps: BTreeMap<String, String>,
}

/// Drives the agents and writes their results.
pub(crate) async fn run(options: Options) -> Result<(), RunError> {
    let wanted = |agent: &&Agent| {
        options.agents.is_empty() || options.agents.iter().any(|id| id == agent.id)
    };
    let store = Arc::new(Store::open(&options.state_dir)?);
    let agents = Agents::new(
        options.agent_path.clone(),
        &options.agents_dir,
        true,
        options.custom_agent,
    )?;
    let gateway = options.gateway.trim_end_matches('/');
    prepare(gateway).await?;
    let mut reports = read(&options.out)?;
    let mut failed = Vec::new();
    for agent in AGENTS.iter().filter(wanted) {
        if options.agents.is_empty() && !agents.has(agent) {
            info!("{}: it is not here and cannot be installed", agent.id);
            continue;
        }
        info!("{}", agent.id);
        let bench = Bench {
            store: &store,
            agents: &agents,
            gateway,
            agent,
        };
        let steps = bench.steps().await;
        for (step, came) in &steps {
            info!("{}: {step}: {came}", agent.id);
        }
        let well = [drive::PASSED, drive::NOT_OFFERED, drive::HELD_BACK];
        if steps.values().any(|came| !well.contains(&came.as_str())) {
            failed.push(agent.id);
        }
        let version = agent.version().unwrap_or_default();
        reports.insert(
            agent.id.to_owned(),
            Report {
                version: version.to_owned(),
                on: options.on.clone(),
                steps,
            },
        );
        let mut text = serde_json::to_string_pretty(&reports).map_err(std::io::Error::other)?;
        text.push('\n');
        std::fs::write(&options.out, text)?;
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(RunError::Conformance(format!(
        "not everything passed with: {}",
        failed.join(", ")
    )))
}

/// Requires a gateway that takes no call without its key: an agent whose recipe gives it none would
/// otherwise pass here and fail in every task.
async fn prepare(gateway: &str) -> Result<(), RunError> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build();
    let client = client.map_err(std::io::Error::other)?;
    let models = client.get(format!("{gateway}/v1/models")).send().await;
    let refused = models.map_err(std::io::Error::other)?.status();
    // Where its Anthropic dialect is, the key of the gateway itself would be asked for as well.
    let made = client
        .post(format!(
            "{gateway}/client/v4/accounts/account/ai-gateway/gateways"
        ))
        .bearer_auth(drive::KEY)
        .header("content-type", "application/json")
        .body(drive::GATEWAY)
        .send()
        .await
        .map_err(std::io::Error::other)?
        .status();
    let there = made.is_success() || made == reqwest::StatusCode::CONFLICT;
    if refused == reqwest::StatusCode::UNAUTHORIZED && there {
        return Ok(());
    }
    Err(RunError::Conformance(format!(
        "the gateway does not ask for this key: start it as `sam-sims gateway --key {0} --provider-key {0}`",
        drive::KEY
    )))
}

fn read(path: &Path) -> std::io::Result<BTreeMap<String, Report>> {
    match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map_err(std::io::Error::other),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error),
    }
}
