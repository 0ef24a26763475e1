//! Agents on this machine: which there are, and how one gets here.
//!
//! Model: an agent with a package lies in a folder of its own, named by its
//! version and by the SHA-256 of the lock file it was installed from. npm is
//! given that lock file, which carries a checksum for every package, and runs
//! none of their scripts. The folder is made under another name and renamed
//! when it is whole, so that what is there can be used, also without a network.
//!
//! Invariants:
//! - A person's own installation of an agent is not used, unless a folder with
//!   it is named on the command line; nothing is installed outside our folder.
//! - Of many that want one agent at the same time, in this process or another,
//!   one installs it and the others wait for it.
//!
//! npm itself is the person's, with its configuration: the registry and the
//! proxy are theirs to choose, the checksums are not.

use crate::hub::Failure;
use crate::layout::{find_executable, find_in, path_folders};
use crate::log::info;
use crate::process::{Program, Supervised};
use crate::secret;
use crate::store::Store;
use sam_domain::agents::{AGENTS, Agent, CUSTOM_AGENT, DEFAULT_AGENT, Package};
use sam_domain::id::WorkspaceId;
use sha2::{Digest as _, Sha256};
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;

/// How often it is looked whether another installation is over.
const LOCK_EVERY: Duration = Duration::from_millis(100);
/// How much of npm's complaint is told.
const TOLD: usize = 800;
/// What npm is given of the vm-agent's own environment.
const PASSED_ON: [&str; 12] = [
    "PATH",
    "HOME",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "no_proxy",
    "NO_PROXY",
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "npm_config_registry",
    "npm_config_userconfig",
];

/// The files npm installs an agent from.
struct Locked {
    agent: &'static str,
    manifest: &'static str,
    lock: &'static str,
}

macro_rules! locked {
    ($($agent:literal),*) => {
        &[$(Locked {
            agent: $agent,
            manifest: include_str!(concat!("../../agents/", $agent, "/package.json")),
            lock: include_str!(concat!("../../agents/", $agent, "/package-lock.json")),
        }),*]
    };
}

const LOCKED: &[Locked] = locked!(
    "claude-code",
    "codex",
    "opencode",
    "goose",
    "gemini",
    "qwen",
    "copilot",
    "pi",
    "kimi"
);

/// A program and its arguments, as a person wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandLine {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl CommandLine {
    /// Takes the words apart as a shell does; nothing is expanded.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut words = shlex::split(text)
            .ok_or("a quote is not closed")?
            .into_iter();
        let program = words.next().ok_or("it names no program")?;
        Ok(Self {
            program: program.into(),
            arguments: words.map(OsString::from).collect(),
        })
    }
}

/// Where agents are found and put.
#[derive(Clone, Debug)]
pub(crate) struct Agents {
    /// Folders that are searched first.
    pub(crate) first: Vec<PathBuf>,
    /// Where they are installed.
    pub(crate) dir: PathBuf,
    /// Whether they are installed when they are needed.
    pub(crate) on_demand: bool,
    /// Folders in which npm and node are looked for: those of PATH.
    pub(crate) path: Vec<PathBuf>,
    /// What the agent `custom` is.
    pub(crate) custom: Option<CommandLine>,
    /// The major version of the node on `path`, once it was looked at.
    node: OnceLock<Option<u32>>,
}

impl Agents {
    /// With folders that are the same from everywhere.
    pub(crate) fn new(
        first: Vec<PathBuf>,
        dir: &Path,
        on_demand: bool,
        custom: Option<CommandLine>,
    ) -> std::io::Result<Self> {
        Ok(Self {
            custom,
            node: OnceLock::new(),
            first,
            dir: std::path::absolute(dir)?,
            on_demand,
            path: path_folders(),
        })
    }

    /// Ids of the agents that can work here: those that are here, and those
    /// that can be installed.
    pub(crate) fn available(&self) -> Vec<String> {
        AGENTS
            .iter()
            .filter(|agent| self.has(agent))
            .map(|agent| agent.id.to_owned())
            .collect()
    }

    /// Whether the agent can work here, as far as one can tell without starting it.
    pub(crate) fn has(&self, agent: &Agent) -> bool {
        self.has_with(agent, |name| {
            std::env::var_os(name).is_some_and(|value| !value.is_empty())
        })
    }

    fn has_with(&self, agent: &Agent, given: impl Fn(&str) -> bool) -> bool {
        agent.from_machine.iter().all(|name| given(name))
            && (self.find(agent).is_some() || self.why_not(agent).is_none())
    }

    /// What the agent is started with.
    pub(crate) fn arguments(&self, agent: &Agent) -> Vec<OsString> {
        match self.custom_command(agent) {
            Some(custom) => custom.arguments.clone(),
            None => agent.arguments.iter().map(OsString::from).collect(),
        }
    }

    fn custom_command(&self, agent: &Agent) -> Option<&CommandLine> {
        self.custom.as_ref().filter(|_| agent.id == CUSTOM_AGENT)
    }

    /// The agent's executable, where it is here.
    pub(crate) fn find(&self, agent: &Agent) -> Option<PathBuf> {
        if let Some(custom) = self.custom_command(agent) {
            let program = &custom.program;
            return match program.to_str().filter(|name| !name.contains('/')) {
                Some(name) => find_in(name, &self.first).or_else(|| find_in(name, &self.path)),
                None => std::path::absolute(program).ok().filter(|it| it.is_file()),
            };
        }
        if agent.id == DEFAULT_AGENT {
            return find_executable(agent.executable, &self.first);
        }
        let Some(package) = here(agent) else {
            return find_in(agent.executable, &self.first);
        };
        find_in(agent.executable, &self.first).or_else(|| {
            let path = self
                .folder(agent, package)?
                .join("node_modules")
                .join(package.executable);
            path.is_file().then_some(path)
        })
    }

    /// Why the agent cannot be installed, if it cannot.
    fn why_not(&self, agent: &Agent) -> Option<Failure> {
        let missing = |message: String, hint: &str| {
            Some(Failure {
                hint: Some(hint.to_owned()),
                ..Failure::new("agent_not_installed", message)
            })
        };
        if agent.id == CUSTOM_AGENT {
            return missing(
                "This machine has no custom agent.".to_owned(),
                "Start the vm-agent with --custom-agent and a command line.",
            );
        }
        let Some(package) = here(agent) else {
            return missing(
                format!("The agent {} is not installed on this machine.", agent.name),
                "Install it, or start the vm-agent with --agent-path.",
            );
        };
        if !self.on_demand {
            return missing(
                format!(
                    "The agent {} is not installed, and this machine installs none.",
                    agent.name
                ),
                "Start the vm-agent without --no-install, or with --agent-path.",
            );
        }
        for (program, needed) in [("npm", true), ("node", package.node.is_some())] {
            if needed && find_in(program, &self.path).is_none() {
                return missing(
                    format!(
                        "The agent {} is installed with npm, and there is no {program} on PATH.",
                        agent.name
                    ),
                    "Install Node 22 or newer and start the vm-agent again.",
                );
            }
        }
        let old = package
            .node
            .zip(self.node())
            .filter(|(least, here)| here < least);
        if let Some((least, here)) = old {
            return missing(
                format!(
                    "The agent {} runs on Node {least} or newer, and the one on PATH is Node {here}.",
                    agent.name
                ),
                "Put a newer Node first on PATH and start the vm-agent again.",
            );
        }
        None
    }

    /// The major version of the node on PATH; none when it does not tell.
    fn node(&self) -> Option<u32> {
        *self.node.get_or_init(|| {
            let told = Command::new(find_in("node", &self.path)?)
                .arg("--version")
                .stdin(Stdio::null())
                .output()
                .ok()?;
            let told = String::from_utf8(told.stdout).ok()?;
            told.trim()
                .strip_prefix('v')?
                .split('.')
                .next()?
                .parse()
                .ok()
        })
    }

    /// Whether the agent is not here and can be installed.
    pub(crate) fn installs(&self, agent: &Agent) -> bool {
        self.find(agent).is_none() && self.why_not(agent).is_none()
    }

    fn folder(&self, agent: &Agent, package: &Package) -> Option<PathBuf> {
        let locked = LOCKED.iter().find(|locked| locked.agent == agent.id)?;
        let hash = Sha256::digest(locked.lock.as_bytes());
        let short: String = hash
            .iter()
            .take(6)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let name = format!("{}-{}-{short}", agent.id, package.version);
        Some(self.dir.join(name))
    }

    /// The agent's executable; it is installed if it is not here.
    pub(crate) async fn ensure(
        &self,
        agent: &Agent,
        store: &Arc<Store>,
        workspace: &WorkspaceId,
    ) -> Result<PathBuf, Failure> {
        if let Some(path) = self.find(agent) {
            return Ok(path);
        }
        if let Some(why) = self.why_not(agent) {
            return Err(why);
        }
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            Failure::new(
                "agent_not_installed",
                format!("{} cannot be installed: {what}: {error}.", agent.name),
            )
        };
        std::fs::create_dir_all(&self.dir).map_err(|error| failed("its folder", &error))?;
        let _lock = lock(&self.dir.join(format!("{}.lock", agent.id)))
            .await
            .map_err(|error| failed("its lock", &error))?;
        // Somebody else may have installed it meanwhile.
        if let Some(path) = self.find(agent) {
            return Ok(path);
        }
        let (Some(locked), Some((package, folder))) = (
            LOCKED.iter().find(|locked| locked.agent == agent.id),
            here(agent).and_then(|package| Some((package, self.folder(agent, package)?))),
        ) else {
            return Err(failed("its lock file", &"there is none"));
        };
        info!("installing {} {}", package.name, package.version);
        let partial = self.dir.join(format!("{}.partial", agent.id));
        let made = remove(&partial)
            .and_then(|()| std::fs::create_dir_all(&partial))
            .and_then(|()| std::fs::write(partial.join("package.json"), locked.manifest))
            .and_then(|()| std::fs::write(partial.join("package-lock.json"), locked.lock));
        made.map_err(|error| failed("its folder", &error))?;
        let outcome = self.npm(&partial, store, workspace).await;
        if let Err(why) = outcome {
            let _ = remove(&partial);
            return Err(Failure {
                hint: Some("Look at npm's words, and at this machine's network.".to_owned()),
                ..failed("npm", &why)
            });
        }
        if !partial
            .join("node_modules")
            .join(package.executable)
            .is_file()
        {
            return Err(failed("npm", &"the package lacks what is to be run"));
        }
        std::fs::rename(&partial, &folder).map_err(|error| failed("its folder", &error))?;
        info!("{} {} is installed", package.name, package.version);
        self.find(agent)
            .ok_or_else(|| failed("its folder", &"it is not there"))
    }

    /// Runs npm in a folder with a lock file. Returns its complaint when it fails.
    async fn npm(
        &self,
        folder: &Path,
        store: &Arc<Store>,
        workspace: &WorkspaceId,
    ) -> Result<(), String> {
        let npm = find_in("npm", &self.path).ok_or("there is no npm on PATH")?;
        let cache = self.dir.join("npm-cache");
        let mut arguments: Vec<OsString> = [
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--prefer-offline",
            "--loglevel=error",
            "--cache",
        ]
        .map(OsString::from)
        .into();
        arguments.push(cache.into());
        let program = Program {
            workspace: workspace.clone(),
            role: "install",
            executable: npm,
            arguments,
            env: PASSED_ON
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), std::env::var_os(name)?)))
                .collect(),
            directory: folder.to_owned(),
        };
        let mut child = Supervised::spawn(store, &program).map_err(|error| error.to_string())?;
        let Some((stdin, mut stdout, mut stderr)) = child.streams() else {
            return Err("it has no streams".to_owned());
        };
        drop(stdin);
        let (mut said, mut complaint) = (Vec::new(), Vec::new());
        let _ = tokio::join!(
            stdout.read_to_end(&mut said),
            stderr.read_to_end(&mut complaint)
        );
        match child.wait().await {
            Ok(status) if status.success() => Ok(()),
            // npm names the cause first and explains itself at length afterwards.
            Ok(_) => {
                let told = complaint.get(..TOLD).unwrap_or(&complaint);
                Err(secret::tail(told, TOLD))
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The agent's package, where there is one for this platform.
fn here(agent: &Agent) -> Option<&Package> {
    agent.package_for(std::env::consts::OS, std::env::consts::ARCH)
}

/// Holds a lock file until it is dropped.
async fn lock(path: &Path) -> std::io::Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_EVERY).await,
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

fn remove(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam_domain::agents::agent;
    use sam_domain::id::Id as _;
    use std::os::unix::fs::PermissionsExt as _;

    fn agents(dir: &Path) -> Agents {
        Agents {
            first: vec![dir.join("first")],
            dir: dir.join("agents"),
            on_demand: true,
            path: vec![dir.join("bin")],
            custom: None,
            node: OnceLock::new(),
        }
    }

    fn program(path: &Path) {
        std::fs::create_dir_all(path.parent().expect("parent")).expect("folder");
        std::fs::write(path, "#!/bin/sh\n").expect("written");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("mode");
    }

    #[test]
    fn every_lock_file_pins_the_catalogues_version_and_checksum() {
        for agent in AGENTS {
            let Some(package) = agent.package else {
                continue;
            };
            let locked = LOCKED.iter().find(|locked| locked.agent == agent.id);
            let lock: serde_json::Value =
                serde_json::from_str(locked.expect(agent.id).lock).expect("json");
            let held = &lock["packages"][format!("node_modules/{}", package.name)];
            assert_eq!(held["version"], package.version, "{}", agent.id);
            assert_eq!(held["integrity"], package.integrity, "{}", agent.id);
            let all = lock["packages"].as_object().expect("packages");
            let unchecked = all
                .iter()
                .filter(|(name, held)| !name.is_empty() && held.get("integrity").is_none());
            assert_eq!(unchecked.count(), 0, "{}", agent.id);
        }
    }

    #[test]
    fn a_folder_that_is_named_comes_first_and_path_is_not_searched() {
        let dir = tempfile::tempdir().expect("dir");
        let agents = agents(dir.path());
        let goose = agent("goose").expect("known");
        let Some(package) = here(goose) else {
            return;
        };
        assert_eq!(agents.find(goose), None);
        let own = agents.folder(goose, package).expect("pinned");
        let own = own.join("node_modules").join(package.executable);
        program(&own);
        assert_eq!(agents.find(goose), Some(own));
        let named = dir.path().join("first/goose");
        std::fs::create_dir_all(dir.path().join("first")).expect("folder");
        std::fs::write(&named, "").expect("written");
        assert_ne!(
            agents.find(goose),
            Some(named.clone()),
            "not executable yet"
        );
        program(&named);
        assert_eq!(agents.find(goose), Some(named));
    }

    #[test]
    fn an_agent_that_calls_its_maker_is_offered_where_its_key_is() {
        let dir = tempfile::tempdir().expect("dir");
        program(&dir.path().join("bin/npm"));
        program(&dir.path().join("bin/node"));
        let (agents, gemini) = (agents(dir.path()), agent("gemini").expect("known"));
        assert!(agents.has_with(gemini, |name| name == "GEMINI_API_KEY"));
        assert!(!agents.has_with(gemini, |name| name == "AMP_API_KEY"));
    }

    #[test]
    fn a_node_that_is_too_old_is_told_and_offers_no_agent() {
        let dir = tempfile::tempdir().expect("dir");
        let node = dir.path().join("bin/node");
        program(&dir.path().join("bin/npm"));
        program(&node);
        let codex = agent("codex").expect("known");
        for (version, fits) in [("v20.20.2", false), ("v22.0.0", true), ("?", true)] {
            std::fs::write(&node, format!("#!/bin/sh\necho '{version}'\n")).expect("written");
            let agents = agents(dir.path());
            assert_eq!(agents.has(codex), fits, "{version}");
            let told = agents.why_not(codex).map(|why| why.message);
            let named =
                told.is_none_or(|told| told.contains("Node 22") && told.contains("Node 20"));
            assert!(named, "{version}");
        }
    }

    #[test]
    fn a_custom_agent_is_the_command_line_that_was_given() {
        let dir = tempfile::tempdir().expect("dir");
        let custom = agent(CUSTOM_AGENT).expect("known");
        let mut agents = agents(dir.path());
        assert!(!agents.has(custom), "none was given");
        let own = dir.path().join("my agent");
        program(&own);
        let line = format!("'{}' acp --name \"a b\" $HOME", own.display());
        agents.custom = Some(CommandLine::parse(&line).expect("a command line"));
        assert_eq!(agents.find(custom), Some(own));
        assert_eq!(agents.arguments(custom), ["acp", "--name", "a b", "$HOME"]);
        let codex = agent("codex").expect("known");
        assert!(agents.arguments(codex).is_empty());
        agents.custom = Some(CommandLine::parse("nowhere").expect("a command line"));
        assert!(!agents.has(custom), "it is not there");
        assert!(CommandLine::parse("").is_err() && CommandLine::parse("a 'b").is_err());
    }

    /// An npm that notes each run and makes what goose's package has, unless it is to fail.
    fn npm(dir: &Path) -> PathBuf {
        let path = dir.join("bin/npm");
        program(&path);
        let goose = here(agent("goose").expect("known")).map_or("x", |package| package.executable);
        let script = format!(
            "#!/bin/sh\necho run >> '{runs}'\n\
            test -e '{broken}' && {{ echo 'integrity checksum failed' >&2; exit 1; }}\n\
            grep -q sha512- package-lock.json || exit 1\n\
            mkdir -p \"$(dirname 'node_modules/{goose}')\" && echo > 'node_modules/{goose}'\n",
            runs = dir.join("runs").display(),
            broken = dir.join("broken").display(),
        );
        std::fs::write(&path, script).expect("written");
        path
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_many_that_want_an_agent_one_installs_it_and_a_failure_leaves_nothing() {
        let dir = tempfile::tempdir().expect("dir");
        let goose = agent("goose").expect("known");
        if here(goose).is_none() {
            return;
        }
        let store = Arc::new(Store::open(&dir.path().join("state")).expect("store"));
        let workspace = WorkspaceId::mint(sam_domain::time::Timestamp(1), 1);
        let agents = agents(dir.path());
        let missing = agents.ensure(goose, &store, &workspace).await;
        let missing = missing.expect_err("there is no npm");
        assert!(missing.message.contains("no npm on PATH"), "{missing:?}");
        assert!(!agents.available().contains(&"goose".to_owned()));

        npm(dir.path());
        assert!(agents.available().contains(&"goose".to_owned()));
        std::fs::write(dir.path().join("broken"), "").expect("written");
        let failed = agents.ensure(goose, &store, &workspace).await;
        let failed = failed.expect_err("npm fails");
        assert!(
            failed.message.contains("integrity checksum failed"),
            "{failed:?}"
        );
        assert_eq!(agents.find(goose), None);
        std::fs::remove_file(dir.path().join("broken")).expect("removed");
        std::fs::remove_file(dir.path().join("runs")).expect("removed");

        let all = (0..8).map(|_| agents.ensure(goose, &store, &workspace));
        let found = futures::future::join_all(all).await;
        let first = found[0].as_ref().expect("installed");
        assert!(found.iter().all(|path| path.as_ref().ok() == Some(first)));
        let runs = std::fs::read_to_string(dir.path().join("runs")).expect("runs");
        assert_eq!(runs, "run\n");
        // Without npm it is still there.
        std::fs::remove_file(dir.path().join("bin/npm")).expect("removed");
        let again = agents.ensure(goose, &store, &workspace).await;
        assert_eq!(again.ok().as_ref(), Some(first));
    }
}
