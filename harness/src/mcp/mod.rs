//! The tools of MCP servers, beside our own.
//!
//! Servers are connected to when a turn begins, all at once; one that cannot
//! be reached is reported, tried again at the next turn, and stands in nobody's
//! way. A tool is offered as `server__tool`, after our own tools: servers in
//! the order they were named, the tools of each by name, so that a conversation
//! keeps its beginning byte for byte. A server that fails in the middle of a
//! call is an error of that call: it may have done what it was asked, so it is
//! not asked again.
//!
//! What a server says is bounded by [`sam_harness::mcp_client`]. Its hints
//! about its tools are not believed.

mod config;
mod transport;

use sam_dialects::conversation::Tool;
use sam_harness::mcp_client::{Link, Offered, offered, text_of};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

pub(crate) use config::McpArgs;

use crate::tools::ToolOutput;
use config::ServerSpec;

/// The servers of one conversation.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    servers: Vec<Server>,
}

#[derive(Debug)]
struct Server {
    spec: ServerSpec,
    link: Option<Link>,
    tools: Vec<Offered>,
}

/// A call of a server's tool.
#[derive(Debug)]
pub(crate) struct ServerCall {
    /// The tool's name for the model.
    pub(crate) full: String,
    server: String,
    name: String,
    arguments: Map<String, Value>,
    link: Option<Link>,
}

impl Servers {
    /// The servers of the command line and those a host named; none is
    /// connected to yet.
    pub(crate) fn new(args: &McpArgs, host: &[Value]) -> Result<Self, String> {
        let mut specs = config::of_args(args)?;
        specs.extend(config::of_host(host)?);
        let servers = config::distinct(specs)?.into_iter().map(|spec| Server {
            spec,
            link: None,
            tools: Vec::new(),
        });
        Ok(Self {
            servers: servers.collect(),
        })
    }

    /// Connects to what is not connected; the names of servers that could not
    /// be reached, and why.
    pub(crate) async fn connect(&mut self, cancel: &CancellationToken) -> Vec<(String, String)> {
        let missing = self
            .servers
            .iter_mut()
            .filter(|server| server.link.as_ref().is_none_or(Link::is_closed));
        let connecting = missing.map(|server| async {
            let connected = tokio::select! {
                connected = transport::open(&server.spec.endpoint) => connected,
                () = cancel.cancelled() => Err("cancelled".to_owned()),
            };
            match connected {
                Ok((link, tools)) => {
                    let (tools, trouble) = offered(&server.spec.name, server.spec.profile, tools);
                    server.link = Some(link);
                    server.tools = tools;
                    trouble.map(|why| (server.spec.name.clone(), why))
                }
                Err(why) => {
                    server.link = None;
                    Some((server.spec.name.clone(), why))
                }
            }
        });
        let troubles = futures::future::join_all(connecting).await;
        troubles.into_iter().flatten().collect()
    }

    /// The tools as the model is offered them.
    pub(crate) fn definitions(&self) -> Vec<Tool> {
        let tools = self.servers.iter().flat_map(|server| &server.tools);
        tools.map(|tool| tool.definition.clone()).collect()
    }

    /// A call of the tool with this name, if some server has it.
    pub(crate) fn call(&self, full: &str) -> Option<ServerCall> {
        self.servers.iter().find_map(|server| {
            let tool = server.tools.iter().find(|tool| tool.full == full)?;
            Some(ServerCall {
                full: tool.full.clone(),
                server: server.spec.name.clone(),
                name: tool.name.clone(),
                arguments: Map::new(),
                link: server.link.clone(),
            })
        })
    }

    /// What the servers are told that nobody else may read.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let secrets = self.servers.iter().flat_map(|server| server.spec.secrets());
        secrets.collect()
    }

    /// Whether there are any.
    pub(crate) fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }
}

impl ServerCall {
    /// The call with its arguments.
    pub(crate) fn with(self, arguments: Map<String, Value>) -> Self {
        Self { arguments, ..self }
    }

    /// The call for people.
    pub(crate) fn title(&self) -> String {
        format!("{}: {}", self.server, self.name)
    }

    /// Calls the tool.
    pub(crate) async fn run(self, cancel: &CancellationToken) -> ToolOutput {
        let Some(link) = self.link else {
            let words = format!("the MCP server {} is not connected", self.server);
            return ToolOutput::failed(words);
        };
        let called = tokio::select! {
            called = link.call(&self.name, self.arguments) => called,
            () = cancel.cancelled() => return ToolOutput::failed("cancelled; the server may have done it"),
        };
        match called {
            Ok(result) => ToolOutput {
                text: text_of(&result),
                failed: result.is_error == Some(true),
                ..ToolOutput::default()
            },
            Err(why) => ToolOutput::failed(format!("the MCP server {}: {why}", self.server)),
        }
    }
}
