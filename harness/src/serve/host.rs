//! The host of a session as its tools meet it: calls over the protocol.

use std::path::Path;
use std::time::Duration;

use sam_acp::{
    AcpSessionId, AgentLink, AgentUpdate, HostAbilities, RpcError, TerminalExit, ToolCallUpdate,
    ToolContent,
};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::host::{Host, InTerminal, TerminalCommand, TerminalResult};

/// For a host to answer, about all but the end of a command.
const ANSWER: Duration = Duration::from_secs(30);

/// A session's host.
pub(super) struct Lender {
    pub(super) link: AgentLink,
    pub(super) session: AcpSessionId,
    pub(super) abilities: HostAbilities,
    /// For calls from threads that may wait.
    pub(super) runtime: Handle,
}

impl std::fmt::Debug for Lender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Lender").field(&self.abilities).finish()
    }
}

impl Lender {
    /// Waits for a host's answer, on a thread that may.
    fn wait<T>(&self, asked: impl Future<Output = Result<T, RpcError>>) -> Result<T, String> {
        self.runtime.block_on(answered(asked))
    }

    async fn in_terminal(
        &self,
        command: TerminalCommand<'_>,
        cancel: &CancellationToken,
    ) -> Result<TerminalResult, String> {
        let (link, session) = (&self.link, &self.session);
        let refused = |error: String| format!("the host's terminal: {error}");
        let (program, arguments) = command.program.split_first().ok_or("there is no program")?;
        let created = link.create_terminal(session, program, arguments, command.cwd, command.bytes);
        let terminal = answered(created).await.map_err(refused)?;
        let update = ToolCallUpdate {
            id: command.call.to_owned(),
            content: Some(vec![ToolContent::Terminal {
                terminal_id: terminal.clone(),
            }]),
            ..ToolCallUpdate::default()
        };
        link.update(session, &AgentUpdate::ToolCallUpdate(update));
        let seconds = command.limit.as_secs();
        let ended = tokio::select! {
            exit = link.wait_for_terminal(session, &terminal) => exit.map(note).map_err(|error| refused(error.to_string())),
            () = cancel.cancelled() => Ok(Some("[cancelled; its processes were ended]".to_owned())),
            () = tokio::time::sleep(command.limit) => Ok(Some(format!(
                "[stopped after {seconds} s: the time limit; its processes were ended]"
            ))),
        };
        if !matches!(ended, Ok(None)) {
            // One that has ended is not killed any more.
            let _ = answered(link.kill_terminal(session, &terminal)).await;
        }
        let output = answered(link.terminal_output(session, &terminal)).await;
        link.release_terminal(session, &terminal);
        let output = output.map_err(refused)?;
        let mut text = output.text;
        if output.truncated {
            text.insert_str(0, "[the beginning is left out]\n");
        }
        Ok(TerminalResult {
            terminal,
            text,
            note: ended?,
        })
    }
}

/// A host's answer, unless it gives none.
async fn answered<T>(asked: impl Future<Output = Result<T, RpcError>>) -> Result<T, String> {
    let answer = tokio::time::timeout(ANSWER, asked).await;
    let silent = || format!("the editor gave no answer in {} s", ANSWER.as_secs());
    answer
        .map_err(|_| silent())?
        .map_err(|error| error.to_string())
}

fn note(exit: TerminalExit) -> Option<String> {
    match (exit.code, exit.signal) {
        (Some(0), _) | (None, None) => None,
        (Some(code), _) => Some(format!("[exit code {code}]")),
        (None, Some(signal)) => Some(format!("[ended by signal {signal}]")),
    }
}

impl Host for Lender {
    fn read(&self, path: &Path) -> Option<String> {
        if !self.abilities.read_text_file {
            return None;
        }
        // What the host has not, or does not take for text, lies on the disk.
        self.wait(self.link.read_text_file(&self.session, path))
            .ok()
    }

    fn write(&self, path: &Path, text: &str) -> Option<Result<(), String>> {
        let writes = self.abilities.write_text_file;
        writes.then(|| self.wait(self.link.write_text_file(&self.session, path, text)))
    }

    fn lends_files(&self) -> bool {
        self.abilities.read_text_file || self.abilities.write_text_file
    }

    fn run<'a>(
        &'a self,
        command: TerminalCommand<'a>,
        cancel: &'a CancellationToken,
    ) -> Option<InTerminal<'a>> {
        let lends = self.abilities.terminal;
        lends.then(|| -> InTerminal<'a> { Box::pin(self.in_terminal(command, cancel)) })
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use sam_acp::{AgentDescription, AgentServer};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_host_that_gives_no_answer_keeps_no_turn() {
        let (ours, _theirs) = tokio::io::duplex(1 << 16);
        let (reader, writer) = tokio::io::split(ours);
        let description = AgentDescription {
            name: String::new(),
            title: String::new(),
            version: String::new(),
            keeps_sessions: false,
            takes_images: false,
            isolation: None,
        };
        let (link, _requests) = AgentServer::connect(reader, writer, description);
        let lender = Lender {
            link,
            session: AcpSessionId("s".to_owned()),
            abilities: HostAbilities::default(),
            runtime: Handle::current(),
        };
        let command = TerminalCommand {
            call: "c",
            program: vec!["true".to_owned()],
            cwd: &PathBuf::from("/"),
            limit: Duration::from_secs(600),
            bytes: 1,
        };
        let cancel = CancellationToken::new();
        cancel.cancel();
        let error = lender.in_terminal(command, &cancel).await.unwrap_err();
        assert_eq!(
            error,
            "the host's terminal: the editor gave no answer in 30 s"
        );
    }
}
