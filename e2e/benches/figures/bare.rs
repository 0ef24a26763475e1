//! The local server as a process, for the product and for its bare peer alike.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sam_e2e::process::Process;
use sam_e2e::{Client, Result, ensure, failure, programs};
use serde_json::Value;
use tempfile::TempDir;

const STARTS_WITHIN: Duration = Duration::from_secs(60);
/// The Worker of the peer.
const WORKER: &str = include_str!("bare.mjs");
/// A WebAssembly module without content, which the server wants beside a Worker.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// A running local server. It ends with this value.
#[derive(Debug)]
pub(crate) struct Server {
    _process: Process,
    /// Somebody without a credential.
    pub(crate) client: Client,
    /// From the start of its process to its first 200.
    pub(crate) started_in: Duration,
}

impl Server {
    /// Starts a server with the web app on a free port.
    pub(crate) async fn start(directory: &Path, worker: &Path) -> Result<Self> {
        let mut command = Command::new(programs::node());
        command
            .arg(programs::root().join("scripts/server/main.mjs"))
            .args(["--port", "0", "--exit-with-stdin"])
            .arg("--state-dir")
            .arg(directory.join("state"))
            .arg("--worker-dir")
            .arg(worker);
        let begun = Instant::now();
        let mut process = Process::start("server", command, directory)?;
        let said = process.listening(STARTS_WITHIN)?;
        let url = said
            .get("listening")
            .and_then(Value::as_str)
            .ok_or_else(|| failure("the server does not say where it listens"))?;
        let client = Client::new(url)?;
        let reply = client.get("/healthz").await?;
        ensure(reply.status == 200, || {
            format!("/healthz: {}", reply.status)
        })?;
        Ok(Self {
            _process: process,
            client,
            started_in: begun.elapsed(),
        })
    }
}

/// The bare peer.
#[derive(Debug)]
pub(crate) struct Bare {
    server: Server,
    _directory: TempDir,
}

impl Bare {
    /// Starts it.
    pub(crate) async fn start() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let worker = write_worker(directory.path())?;
        Ok(Self {
            server: Server::start(directory.path(), &worker).await?,
            _directory: directory,
        })
    }

    /// Somebody who calls it.
    pub(crate) fn client(&self) -> &Client {
        &self.server.client
    }
}

/// Writes the peer's Worker to where the server finds it.
pub(crate) fn write_worker(directory: &Path) -> Result<PathBuf> {
    let worker = directory.join("worker");
    std::fs::create_dir_all(&worker)?;
    std::fs::write(worker.join("index.js"), WORKER)?;
    std::fs::write(worker.join("index_bg.wasm"), MODULE)?;
    Ok(worker)
}
