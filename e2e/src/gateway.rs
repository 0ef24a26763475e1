//! The scripted model gateway, and what a test asks of it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::process::Process;
use crate::{Client, Result, failure, programs, wait_until};

/// The key that providers behind the gateway take.
pub const PROVIDER_KEY: &str = "sk-canary-of-somebodys-own";
const STARTS_WITHIN: Duration = Duration::from_secs(20);

/// The messages of a recorded request, oldest first; none when it was not about a conversation.
#[must_use]
pub fn messages(request: &Value) -> &[Value] {
    request
        .pointer("/body/messages")
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Whether a recorded request offered tools, as an agent at work does.
#[must_use]
pub fn offers_tools(request: &Value) -> bool {
    let tools = request.pointer("/body/tools").and_then(Value::as_array);
    tools.is_some_and(|tools| !tools.is_empty())
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    process: Process,
    client: Client,
}

impl Gateway {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(logs: &Path, key: &str) -> Result<Self> {
        Self::start_with(logs, key, &[])
    }

    /// The same, with further options.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_with(logs: &Path, key: &str, options: &[&str]) -> Result<Self> {
        let mut command = Command::new(programs::native("sam-sims")?);
        command
            .args(["gateway", "--port", "0"])
            .args(options)
            .env("SAM_SIMS_KEY", key)
            .env("SAM_SIMS_PROVIDER_KEY", PROVIDER_KEY);
        let mut process = Process::start("gateway", command, logs)?;
        let said = process.listening(STARTS_WITHIN)?;
        let address = said
            .get("listening")
            .and_then(Value::as_str)
            .ok_or_else(|| failure("the gateway does not say where it listens"))?;
        Ok(Self {
            client: Client::new(address)?,
            process,
        })
    }

    /// The base URL for clients, `/v1` included.
    #[must_use]
    pub fn model_url(&self) -> String {
        format!("{}/v1", self.client.base())
    }

    /// The process.
    #[must_use]
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Queues a fault, e.g. `{"kind": "hold", "after_chunks": 2}`.
    ///
    /// # Errors
    /// When the gateway refuses it.
    pub async fn fault(&self, fault: &Value) -> Result {
        self.client
            .post("/control/fault", fault)
            .await?
            .json::<Value>()
            .map(|_| ())
    }

    /// Lets every held stream go on.
    ///
    /// # Errors
    /// When the gateway does not answer.
    pub async fn release(&self) -> Result {
        self.client
            .post("/control/release", &json!({}))
            .await?
            .json::<Value>()
            .map(|_| ())
    }

    /// Forgets records and faults.
    ///
    /// # Errors
    /// When the gateway does not answer.
    pub async fn reset(&self) -> Result {
        self.client
            .post("/control/reset", &json!({}))
            .await?
            .json::<Value>()
            .map(|_| ())
    }

    /// Every request it has seen, oldest first.
    ///
    /// # Errors
    /// When the gateway does not answer.
    pub async fn requests(&self) -> Result<Vec<Value>> {
        let said: Value = self.client.get("/control/requests").await?.json()?;
        Ok(said
            .get("requests")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default())
    }

    /// Waits until a recorded request satisfies the condition, and returns it.
    ///
    /// # Errors
    /// Names `what` when none does within the time.
    pub async fn until(
        &self,
        what: &str,
        deadline: Duration,
        condition: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        wait_until(what, deadline, || async {
            Ok(self.requests().await?.into_iter().find(|r| condition(r)))
        })
        .await
    }
}
