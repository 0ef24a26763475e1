//! What an agent asks its host to do: read and write the person's files, run
//! commands in terminals. Only what the host offered is answered.

use std::path::Path;

use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::agent::AgentLink;
use crate::error::RpcError;
use crate::parse;
use crate::rpc::Pending;
use crate::session::{TerminalExit, TerminalOutput};
use crate::update::AcpSessionId;
use crate::wire;

impl AgentLink {
    async fn call(&self, method: &str, params: &Value) -> Result<Value, RpcError> {
        let gone = || RpcError::internal("the host is gone");
        let (sender, receiver) = oneshot::channel();
        let sent = self.peer().request(method, params, Pending::Call(sender));
        sent.map_err(|_| gone())?;
        receiver.await.map_err(|_| gone())?
    }

    /// A text file as the host has it, also when it is not saved yet.
    pub async fn read_text_file(
        &self,
        session: &AcpSessionId,
        path: &Path,
    ) -> Result<String, RpcError> {
        let params = wire::read_text_file(session, path);
        let answer = self.call("fs/read_text_file", &params).await?;
        parse::text(&answer, "content")
            .ok_or_else(|| RpcError::internal("the host's answer has no content"))
    }

    /// Writes a text file through the host, which creates it if need be.
    pub async fn write_text_file(
        &self,
        session: &AcpSessionId,
        path: &Path,
        content: &str,
    ) -> Result<(), RpcError> {
        let params = wire::write_text_file(session, path, content);
        self.call("fs/write_text_file", &params).await.map(|_| ())
    }

    /// Runs a command in a terminal of the host's, which keeps at most the
    /// last `limit` bytes of its output; the terminal's id.
    pub async fn create_terminal(
        &self,
        session: &AcpSessionId,
        command: &str,
        arguments: &[String],
        cwd: &Path,
        limit: u64,
    ) -> Result<String, RpcError> {
        let params = wire::create_terminal(session, command, arguments, cwd, limit);
        let answer = self.call("terminal/create", &params).await?;
        parse::text(&answer, "terminalId")
            .ok_or_else(|| RpcError::internal("the host's answer has no terminalId"))
    }

    /// What a terminal has shown so far.
    pub async fn terminal_output(
        &self,
        session: &AcpSessionId,
        terminal: &str,
    ) -> Result<TerminalOutput, RpcError> {
        let params = terminal_params(session, terminal);
        let answer = self.call("terminal/output", &params).await?;
        Ok(TerminalOutput {
            text: parse::text(&answer, "output").unwrap_or_default(),
            truncated: answer.get("truncated").and_then(Value::as_bool) == Some(true),
        })
    }

    /// Waits until a terminal's command has ended.
    pub async fn wait_for_terminal(
        &self,
        session: &AcpSessionId,
        terminal: &str,
    ) -> Result<TerminalExit, RpcError> {
        let params = terminal_params(session, terminal);
        let answer = self.call("terminal/wait_for_exit", &params).await?;
        Ok(TerminalExit {
            code: answer.get("exitCode").and_then(Value::as_i64),
            signal: parse::text(&answer, "signal"),
        })
    }

    /// Ends a terminal's command; the terminal stays.
    pub async fn kill_terminal(
        &self,
        session: &AcpSessionId,
        terminal: &str,
    ) -> Result<(), RpcError> {
        let params = terminal_params(session, terminal);
        self.call("terminal/kill", &params).await.map(|_| ())
    }

    /// Gives a terminal back, ending its command if it still runs. Nobody
    /// waits for the answer.
    pub fn release_terminal(&self, session: &AcpSessionId, terminal: &str) {
        let params = terminal_params(session, terminal);
        let (sender, _) = oneshot::channel();
        let method = "terminal/release";
        // A host that is gone has released everything.
        let _ = self.peer().request(method, &params, Pending::Call(sender));
    }
}

fn terminal_params(session: &AcpSessionId, terminal: &str) -> Value {
    json!({"sessionId": session, "terminalId": terminal})
}
