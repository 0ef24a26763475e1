//! An MCP server as a client sees it: one connection, over whatever carries it,
//! and what of the server's replies goes on to a model.
//!
//! Whatever a server says is bounded here: the time it takes, the number of its
//! tools, their definitions, its results and its errors.

mod content;
mod offer;

use std::sync::Arc;
use std::time::Duration;

use rmcp::ServiceExt;
use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientCapabilities, Implementation,
    InitializeRequestParams, PaginatedRequestParams, ProtocolVersion, Tool,
};
use rmcp::service::{RoleClient, RunningService};
use rmcp::transport::IntoTransport;
use serde_json::{Map, Value};

pub use content::text_of;
pub use offer::{Offered, offered};

/// For a server to answer that it is there, and with which tools.
const START_LIMIT: Duration = Duration::from_secs(20);
/// Pages of one list of tools; a server may go on for ever.
const MOST_PAGES: usize = 100;
/// Bytes of all definitions on them.
const MAX_LIST: usize = 8 * 1024 * 1024;
/// For a call.
const CALL_LIMIT: Duration = Duration::from_secs(600);
/// Errors of servers are passed on so far.
const MAX_WORDS: usize = 1000;

/// A server that answers.
#[derive(Clone)]
pub struct Link {
    service: Arc<RunningService<RoleClient, InitializeRequestParams>>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Link {
    /// Greets the server, and asks for its tools.
    ///
    /// # Errors
    /// In words, when it does not answer as the protocol says, or not in time.
    pub async fn open<T, E, A>(transport: T) -> Result<(Self, Vec<Tool>), String>
    where
        T: IntoTransport<RoleClient, E, A>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let us = Implementation::new("sam-harness", env!("CARGO_PKG_VERSION"));
        // No sampling, elicitation or roots: a server gets to ask nothing of us.
        let mut client = InitializeRequestParams::new(ClientCapabilities::default(), us);
        // The newest revision that begins with `initialize`.
        client.protocol_version = ProtocolVersion::V_2025_11_25;
        let opening = async {
            let service = client.serve(transport).await;
            let service = service.map_err(|error| words(&error))?;
            let service = Arc::new(service);
            let link = Self { service };
            let tools = link.tools().await?;
            Ok((link, tools))
        };
        let seconds = START_LIMIT.as_secs();
        tokio::time::timeout(START_LIMIT, opening)
            .await
            .unwrap_or_else(|_| Err(format!("it did not answer within {seconds} s")))
    }

    /// The tools that the server lists, page by page, as far as they are taken.
    async fn tools(&self) -> Result<Vec<Tool>, String> {
        let (mut tools, mut cursor, mut room) = (Vec::new(), None, MAX_LIST);
        for _ in 0..MOST_PAGES {
            let page = PaginatedRequestParams::default().with_cursor(cursor);
            let listed = self.service.list_tools(Some(page)).await;
            let listed = listed.map_err(|error| words(&error))?;
            for tool in listed.tools {
                let size = serde_json::to_string(&tool).map_or(room, |text| text.len());
                match room.checked_sub(size) {
                    Some(left) => room = left,
                    None => return Ok(tools),
                }
                tools.push(tool);
            }
            cursor = listed.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        Ok(tools)
    }

    /// Whether the connection is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.service.is_closed()
    }

    /// Calls a tool.
    ///
    /// # Errors
    /// In words, when there is no result; the server may have done it.
    pub async fn call(
        &self,
        name: &str,
        arguments: Map<String, Value>,
    ) -> Result<CallToolResult, String> {
        let params = CallToolRequestParams::new(name.to_owned()).with_arguments(arguments);
        let calling = self.service.call_tool(params);
        match tokio::time::timeout(CALL_LIMIT, calling).await {
            Ok(result) => result.map_err(|error| words(&error)),
            Err(_) => Err(format!(
                "it gave no result within {} s",
                CALL_LIMIT.as_secs()
            )),
        }
    }
}

/// An error with its causes, bounded, and without the names of types.
pub fn words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(deeper) = source {
        let more = deeper.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        source = deeper.source();
    }
    if let Some((before, rest)) = words.split_once("Transport [")
        && let Some((_, after)) = rest.split_once("] error: ")
    {
        words = format!("{before}{after}");
    }
    match words.char_indices().nth(MAX_WORDS) {
        Some((end, _)) => format!("{}\u{2026}", words.get(..end).unwrap_or_default()),
        None => words,
    }
}
