//! The local server with the scripted gateway behind it, and the machines that joined it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sam_domain::access::wire::{JoinToken, ProjectView, SignedIn};
use sam_domain::conversation::wire::Submitted;
use sam_domain::id::{ProjectId, TaskId};
use sam_domain::node::wire::{NodeList, NodeState, NodeView};
use sam_domain::task::TaskView;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::disk::{self, Disk};
use crate::gateway::Gateway;
use crate::process::Process;
use crate::{Client, Result, ensure, failure, machine, programs, wait_until};

const STARTS_WITHIN: Duration = Duration::from_secs(60);
/// How long a machine may take to end and deliver everything after a task.
const SETTLES_WITHIN: Duration = Duration::from_secs(90);
/// Stacks that run at once; the tests of a crate share one machine, and spend half of their time
/// waiting.
static ROOM: Semaphore = Semaphore::const_new(4);
/// The key between the server and the gateway.
pub const MODEL_KEY: &str = "key-of-the-scripted-gateway";

/// What a stack is started with.
#[derive(Clone, Debug, Default)]
pub struct StackOptions {
    /// Use the Worker with faults on demand.
    pub fault_injection: bool,
    /// Serve the built web app as well.
    pub web: bool,
    /// What every vm-agent is told on its command line besides.
    pub node_arguments: Vec<String>,
    /// Where every vm-agent installs coding agents; it installs none when absent.
    pub agents_dir: Option<PathBuf>,
    /// Settings that replace those of the gateway, e.g. `("SAM_MODEL_URL", "")` for no model;
    /// `{gateway}` in a value stands for the gateway's address.
    pub settings: Vec<(String, String)>,
    /// Places of every machine; the vm-agent's own number when absent.
    pub max_workspaces: Option<u32>,
}

impl StackOptions {
    /// With these settings.
    #[must_use]
    pub fn with_settings<const N: usize>(settings: [(&str, &str); N]) -> Self {
        let owned = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            settings: owned.into(),
            ..Self::default()
        }
    }

    /// With one Cloudflare token for every model, and the gateway as AI Gateway.
    #[must_use]
    pub fn with_one_cloudflare_token() -> Self {
        Self::with_settings([
            ("SAM_MODEL_URL", ""),
            ("SAM_MODEL_KEY", ""),
            ("SAM_MODEL", ""),
            ("SAM_MODEL_KIND", ""),
            ("SAM_CLOUDFLARE_ACCOUNT", "acc"),
            ("SAM_CLOUDFLARE_TOKEN", MODEL_KEY),
            ("SAM_AI_GATEWAY_URL", "{gateway}/v1"),
            ("SAM_CLOUDFLARE_URL", "{gateway}/client/v4"),
        ])
    }
}

/// A running stack. Everything it started ends with it.
#[derive(Debug)]
pub struct Stack {
    /// Machines, real ones; stopped first.
    nodes: Vec<Process>,
    server: Option<Process>,
    gateway: Gateway,
    options: StackOptions,
    url: String,
    /// Where machines find the server, when that is not its own address.
    machines_url: Option<String>,
    port: u16,
    admin: Option<Client>,
    directory: TempDir,
    _room: SemaphorePermit<'static>,
}

impl Stack {
    /// Starts a stack and claims it.
    ///
    /// # Errors
    /// When a program is missing or does not start.
    pub async fn start() -> Result<Self> {
        Self::start_with(StackOptions::default()).await
    }

    /// The same with options.
    ///
    /// # Errors
    /// When a program is missing or does not start.
    pub async fn start_with(options: StackOptions) -> Result<Self> {
        let mut stack = Self::start_unclaimed(options).await?;
        let token = std::fs::read_to_string(stack.state_directory().join("claim-token"))?;
        let signed_in: SignedIn = stack
            .anyone()?
            .post("/api/setup/claim", &json!({"claim_token": token.trim()}))
            .await?
            .json()?;
        stack.admin = Some(stack.anyone()?.with_token(&signed_in.token));
        Ok(stack)
    }

    /// Starts a stack that nobody has claimed.
    ///
    /// # Errors
    /// When a program is missing or does not start.
    pub async fn start_unclaimed(options: StackOptions) -> Result<Self> {
        let room = ROOM.acquire().await?;
        let directory = tempfile::Builder::new().prefix("sam-e2e-").tempdir()?;
        let gateway = Gateway::start(directory.path(), MODEL_KEY)?;
        let mut stack = Self {
            nodes: Vec::new(),
            server: None,
            gateway,
            options,
            url: String::new(),
            machines_url: None,
            port: 0,
            admin: None,
            directory,
            _room: room,
        };
        stack.start_server().await?;
        Ok(stack)
    }

    /// Starts the server again where it was, with the same state.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_server(&mut self) -> Result {
        let mut command = Command::new(programs::node());
        command
            .arg(programs::root().join("scripts/server/main.mjs"))
            .args(["--port", &self.port.to_string(), "--exit-with-stdin"])
            .arg("--state-dir")
            .arg(self.state_directory())
            .arg("--worker-dir")
            .arg(programs::worker(self.options.fault_injection)?);
        if self.options.fault_injection {
            command.arg("--testing");
        }
        if !self.options.web {
            command.args(["--web-dir", "none"]);
        }
        for (name, value) in self.settings() {
            command.arg("--var").arg(format!("{name}={value}"));
        }
        let mut server = Process::start("server", command, self.directory.path())?;
        let said = server.listening(STARTS_WITHIN)?;
        let url = said
            .get("listening")
            .and_then(Value::as_str)
            .ok_or_else(|| failure("the server does not say where it listens"))?;
        self.port = url
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok())
            .ok_or_else(|| failure(format!("no port in {url}")))?;
        url.clone_into(&mut self.url);
        self.server = Some(server);
        let anyone = self.anyone()?;
        wait_until("the server answers", STARTS_WITHIN, || async {
            Ok((anyone.get("/healthz").await?.status == 200).then_some(()))
        })
        .await
    }

    fn settings(&self) -> Vec<(String, String)> {
        let mut settings = vec![
            ("SAM_MODEL_URL".to_owned(), self.gateway.model_url()),
            ("SAM_MODEL_KEY".to_owned(), MODEL_KEY.to_owned()),
            ("SAM_MODEL".to_owned(), "scripted".to_owned()),
            ("SAM_MODEL_KIND".to_owned(), "scripted".to_owned()),
        ];
        for (name, value) in &self.options.settings {
            settings.retain(|(held, _)| held != name);
            let gateway = self.gateway.model_url();
            let gateway = gateway.trim_end_matches("/v1");
            settings.push((name.clone(), value.replace("{gateway}", gateway)));
        }
        settings
    }

    /// Changes a setting for the next start of the server.
    pub fn set(&mut self, name: &str, value: &str) {
        let settings = &mut self.options.settings;
        settings.retain(|(held, _)| held != name);
        settings.push((name.to_owned(), value.to_owned()));
    }

    /// Where the server listens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// On which port the server listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// A directory of this stack alone, gone with it.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where the server keeps everything.
    #[must_use]
    pub fn state_directory(&self) -> PathBuf {
        self.directory.path().join("server-state")
    }

    /// The gateway.
    #[must_use]
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// The server's process: the one that supervises workerd.
    ///
    /// # Errors
    /// While it is stopped.
    pub fn server(&mut self) -> Result<&mut Process> {
        self.server
            .as_mut()
            .ok_or_else(|| failure("the server is stopped"))
    }

    /// Stops the server.
    ///
    /// # Errors
    /// When it is stopped already.
    pub fn stop_server(&mut self) -> Result {
        self.server()?.stop()?;
        self.server = None;
        Ok(())
    }

    /// Runs one statement on D1 behind the stopped server's back, to bring about what only time would.
    /// Returns how many rows it changed.
    ///
    /// # Errors
    /// When the database cannot be opened or the statement fails.
    pub fn in_database(&self, statement: &str) -> Result<usize> {
        let directory = self
            .state_directory()
            .join("v3/d1/miniflare-D1DatabaseObject");
        let mut changed = 0;
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            let is_database = path.extension().is_some_and(|e| e == "sqlite")
                && path.file_stem().is_some_and(|stem| stem != "metadata");
            if is_database {
                changed += rusqlite::Connection::open(path)?.execute(statement, [])?;
            }
        }
        Ok(changed)
    }

    /// The process id of workerd itself.
    ///
    /// # Errors
    /// When the server has not written it.
    pub fn workerd_id(&self) -> Result<u32> {
        let text = std::fs::read_to_string(self.state_directory().join("workerd.pid"))?;
        Ok(text.trim().parse()?)
    }

    /// Somebody without a credential.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn anyone(&self) -> Result<Client> {
        Client::new(&self.url)
    }

    /// The person who claimed the stack.
    ///
    /// # Errors
    /// When nobody did.
    pub fn admin(&self) -> Result<&Client> {
        self.admin
            .as_ref()
            .ok_or_else(|| failure("nobody has claimed this stack"))
    }

    /// Machines that are started from now on reach the server at this address.
    pub fn machines_dial(&mut self, url: &str) {
        self.machines_url = Some(url.to_owned());
    }

    /// Starts a real vm-agent on this machine and waits until its node is ready. `paths` are
    /// searched for coding agents before the built harness.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn start_node(&mut self, name: &str, paths: &[&Path]) -> Result<NodeView> {
        self.begin_node(name, paths).await?;
        self.ready_node(name).await
    }

    /// The same without waiting.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn begin_node(&mut self, name: &str, paths: &[&Path]) -> Result {
        let token: JoinToken = self
            .admin()?
            .post("/api/nodes/join-tokens", &json!({}))
            .await?
            .json()?;
        self.spawn_node(name, Some(&token.token), paths)
    }

    /// Starts the vm-agent of this name again, on the disk it had.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn restart_node(&mut self, name: &str, paths: &[&Path]) -> Result {
        self.spawn_node(name, None, paths)
    }

    fn spawn_node(&mut self, name: &str, join: Option<&str>, paths: &[&Path]) -> Result {
        let home = self.directory.path().join(format!("{name}-home"));
        std::fs::create_dir_all(&home)?;
        let scratch = self.scratch_directory(name);
        std::fs::create_dir_all(&scratch)?;
        let url = self.machines_url.as_ref().unwrap_or(&self.url);
        let mut command = Command::new(programs::native("sam-vm-agent")?);
        command
            .args(["run", "--url", url, "--name", name])
            .arg("--state-dir")
            .arg(self.node_directory(name))
            .env("HOME", &home)
            .env("TMPDIR", &scratch)
            .env("PATH", programs::path());
        if let Some(places) = self.options.max_workspaces {
            command.args(["--max-workspaces", &places.to_string()]);
        }
        command.args(&self.options.node_arguments);
        match &self.options.agents_dir {
            Some(dir) => command.arg("--agents-dir").arg(dir),
            None => command.arg("--no-install"),
        };
        for path in paths {
            command.arg("--agent-path").arg(path);
        }
        command
            .arg("--agent-path")
            .arg(programs::native_directory()?);
        match join {
            // Not in the arguments, which everybody on the machine can read.
            Some(token) => command.env("SAM_JOIN_TOKEN", token),
            None => command.env_remove("SAM_JOIN_TOKEN"),
        };
        let process = Process::start(name, command, self.directory.path())?;
        self.nodes.push(process);
        Ok(())
    }

    /// Where a vm-agent keeps everything.
    #[must_use]
    pub fn node_directory(&self, name: &str) -> PathBuf {
        self.directory.path().join(format!("{name}-state"))
    }

    /// The temporary directory of a vm-agent.
    #[must_use]
    pub fn scratch_directory(&self, name: &str) -> PathBuf {
        self.directory.path().join(format!("{name}-scratch"))
    }

    /// The disk of a vm-agent.
    #[must_use]
    pub fn disk(&self, name: &str) -> Disk {
        Disk::new(self.node_directory(name))
    }

    /// Waits until nothing goes on on a machine: it owes nothing, nothing it started runs, nothing
    /// listens for an agent, no temporary file is left.
    ///
    /// # Errors
    /// When something still does after a while; says what.
    pub async fn until_quiet(&mut self, name: &str) -> Result {
        let disk = self.disk(name);
        let scratch = self.scratch_directory(name);
        let node = self.node_process()?.id();
        wait_until("the machine is quiet", SETTLES_WITHIN, || async {
            let mut found = Vec::new();
            found.extend(disk.started()?.iter().map(|held| format!("{held:?}")));
            found.extend(machine::below(node).iter().map(|held| format!("{held:?}")));
            found.extend(
                machine::listening(node)
                    .iter()
                    .map(|port| format!("port {port}")),
            );
            found.extend(disk::list(&scratch).iter().map(|path| format!("{path:?}")));
            let unfinished = disk.records()?.unfinished();
            if found.is_empty() && unfinished.is_empty() {
                Ok(Some(()))
            } else {
                Err(failure(format!("{found:#?} {unfinished}")))
            }
        })
        .await
    }

    /// Waits until a machine is quiet and holds no workspace.
    ///
    /// # Errors
    /// When something is left after a while; says what.
    pub async fn until_empty(&mut self, name: &str) -> Result {
        self.until_quiet(name).await?;
        let disk = self.disk(name);
        wait_until("no workspace is left", SETTLES_WITHIN, || async {
            let folders = disk.workspace_folders();
            let records = disk.records()?;
            let kept = records.counts.contains(&("workspace", 0));
            if folders.is_empty() && kept {
                Ok(Some(()))
            } else {
                Err(failure(format!("{folders:?} {:?}", records.counts)))
            }
        })
        .await
    }

    /// The newest vm-agent's process.
    ///
    /// # Errors
    /// When none was started.
    pub fn node_process(&mut self) -> Result<&mut Process> {
        self.nodes
            .last_mut()
            .ok_or_else(|| failure("no vm-agent was started"))
    }

    /// Waits until the node of this name is ready.
    ///
    /// # Errors
    /// When it is not within the time; with the end of the vm-agent's log.
    pub async fn ready_node(&mut self, name: &str) -> Result<NodeView> {
        let admin = self.admin()?.clone();
        let ready = wait_until("the node is ready", STARTS_WITHIN, || async {
            let nodes: NodeList = admin.get("/api/nodes").await?.json()?;
            Ok(nodes
                .nodes
                .into_iter()
                .find(|node| node.name == name && node.state == NodeState::Ready))
        })
        .await;
        match ready {
            Ok(node) => Ok(node),
            Err(error) => {
                let log = self.nodes.last().map(Process::log_tail).unwrap_or_default();
                Err(failure(format!("{error}\n{log}")))
            }
        }
    }

    /// Creates a project of the admin's.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn create_project(&self, repository: &str) -> Result<ProjectView> {
        self.admin()?
            .post("/api/projects", &json!({"repository": repository}))
            .await?
            .json()
    }

    /// Submits a task with fields of [`sam_domain::conversation::wire::SubmitTask`].
    ///
    /// # Errors
    /// When it is refused.
    pub async fn submit(&self, project: &ProjectId, key: &str, task: &Value) -> Result<Submitted> {
        self.admin()?
            .intend(&format!("/api/projects/{project}/tasks"), key, task)
            .await?
            .json()
    }

    /// A task as it is now.
    ///
    /// # Errors
    /// When it does not exist.
    pub async fn task(&self, task: &TaskId) -> Result<TaskView> {
        self.admin()?
            .get(&format!("/api/tasks/{task}"))
            .await?
            .json()
    }

    /// Waits until a task satisfies the condition.
    ///
    /// # Errors
    /// Names `what`, and shows the task, when it does not within the time.
    pub async fn until_task(
        &self,
        what: &str,
        task: &TaskId,
        deadline: Duration,
        condition: impl Fn(&TaskView) -> bool,
    ) -> Result<TaskView> {
        let found = wait_until(what, deadline, || async {
            Ok(Some(self.task(task).await?).filter(|view| condition(view)))
        })
        .await;
        match found {
            Ok(view) => Ok(view),
            Err(error) => {
                let now = self.task(task).await;
                Err(failure(format!("{error}; the task is now {now:#?}")))
            }
        }
    }
}

impl Stack {
    /// Stops everything, in the order of [`Drop`], and requires that nothing of it is left: no
    /// process that knows this stack's directory, no port, no temporary file of the server's.
    ///
    /// # Errors
    /// Names what is left.
    pub async fn end(mut self) -> Result {
        for node in &mut self.nodes {
            node.stop()?;
        }
        let server = self.server()?;
        let status = server.stop()?;
        let log = server.log_tail();
        ensure(status.success(), || {
            format!("the server ended with {status}:\n{log}")
        })?;
        self.gateway.process().stop()?;
        let name = self.directory.path().to_string_lossy().into_owned();
        wait_until("nothing of the stack runs", STARTS_WITHIN, || async {
            let left = machine::knowing(&name);
            if left.is_empty() {
                Ok(Some(()))
            } else {
                Err(failure(format!("{left:#?}")))
            }
        })
        .await?;
        let port = std::net::TcpListener::bind(("127.0.0.1", self.port));
        ensure(port.is_ok(), || {
            format!("the server's port is taken: {port:?}")
        })?;
        let left = disk::list(&self.state_directory().join("tmp"));
        ensure(left.is_empty(), || {
            format!("temporary files are left: {left:?}\n{log}")
        })
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // Machines first, so that they do not log a server that went away.
        self.nodes.clear();
        self.server = None;
        if std::thread::panicking() || std::env::var_os("SAM_E2E_KEEP").is_some() {
            for name in ["server", "gateway"] {
                let log = self.directory.path().join(format!("{name}.log"));
                let text = std::fs::read_to_string(log).unwrap_or_default();
                eprintln!("--- {name}.log\n{text}");
            }
        }
    }
}
