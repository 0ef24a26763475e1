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
//! What a server says is bounded: a line or an event by the protocol's client,
//! tools and results here. Its hints about its tools are not believed.

mod config;
mod content;
mod link;

use std::collections::HashSet;
use std::sync::Arc;

use sam_dialects::conversation::Tool;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

pub(crate) use config::McpArgs;

use crate::tools::ToolOutput;
use config::ServerSpec;
use link::Link;

/// Tools of one server.
const MOST_TOOLS: usize = 128;
/// A tool's description and schema together.
const MAX_DEFINITION: usize = 32 * 1024;
/// What the dialects allow a name to be.
const MAX_NAME: usize = 64;

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

/// A tool as it is offered.
#[derive(Debug, Clone)]
struct Offered {
    /// Its name for the model.
    full: String,
    /// Its name at the server.
    name: String,
    definition: Tool,
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
                connected = Link::open(&server.spec.endpoint) => connected,
                () = cancel.cancelled() => Err("cancelled".to_owned()),
            };
            match connected {
                Ok((link, tools)) => {
                    let (tools, trouble) = offered(&server.spec, tools);
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
            Ok(result) => content::output(&result),
            Err(why) => ToolOutput::failed(format!("the MCP server {}: {why}", self.server)),
        }
    }
}

/// What of a server's tools is offered, by name, and what had to be left out.
fn offered(spec: &ServerSpec, mut tools: Vec<rmcp::model::Tool>) -> (Vec<Offered>, Option<String>) {
    tools.retain(|tool| {
        spec.profile
            .is_none_or(|profile| profile.offers(&tool.name))
    });
    tools.sort_by(|a, b| a.name.cmp(&b.name));
    tools.dedup_by(|a, b| a.name == b.name);
    let all = tools.len();
    let mut names = HashSet::new();
    let offered: Vec<Offered> = tools
        .into_iter()
        .filter_map(|tool| definition(spec, tool))
        .filter(|tool| names.insert(tool.full.clone()))
        .take(MOST_TOOLS)
        .collect();
    let left_out = all - offered.len();
    let trouble = (left_out > 0).then(|| {
        format!("{left_out} of its {all} tools are not offered: too many, too long, or of one name")
    });
    (offered, trouble)
}

fn definition(spec: &ServerSpec, tool: rmcp::model::Tool) -> Option<Offered> {
    let full = format!("{}__{}", plain(&spec.name), plain(&tool.name));
    let schema = Value::Object(Arc::unwrap_or_clone(tool.input_schema));
    let description = tool.description.unwrap_or_default().into_owned();
    let size = description.len() + schema.to_string().len();
    (full.len() <= MAX_NAME && size <= MAX_DEFINITION).then(|| Offered {
        definition: Tool::function(&full, &description, schema),
        full,
        name: tool.name.into_owned(),
    })
}

/// A name of the letters that every dialect takes.
fn plain(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    name.chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam_domain::tool_profile::ToolProfile;
    use serde_json::json;

    fn spec(profile: Option<ToolProfile>) -> ServerSpec {
        ServerSpec {
            name: "my server".to_owned(),
            endpoint: config::Endpoint::Http {
                url: String::new(),
                headers: Vec::new(),
            },
            profile,
        }
    }

    fn check(profile: Option<ToolProfile>, names: &[&str], expected: &[&str], left_out: bool) {
        let tools = names.iter().map(|name| {
            let tool = json!({"name": name, "inputSchema": {"type": "object"}});
            serde_json::from_value(tool).unwrap()
        });
        let (offered, trouble) = offered(&spec(profile), tools.collect());
        let got: Vec<&str> = offered.iter().map(|tool| tool.full.as_str()).collect();
        assert_eq!((got.as_slice(), trouble.is_some()), (expected, left_out));
    }

    #[test]
    fn tools_are_offered_by_name_as_far_as_the_profile_goes() {
        check(
            None,
            &["b", "a.x"],
            &["my_server__a_x", "my_server__b"],
            false,
        );
        let platform = ["dispatch_task", "get_task", "secret_tool"];
        check(
            Some(ToolProfile::Workspace),
            &platform,
            &["my_server__get_task"],
            false,
        );
        let both = ["my_server__dispatch_task", "my_server__get_task"];
        check(Some(ToolProfile::Orchestrate), &platform, &both, false);
        check(Some(ToolProfile::Full), &["x"], &["my_server__x"], false);
    }

    #[test]
    fn what_no_model_could_call_is_left_out_and_said() {
        let long = "n".repeat(60);
        check(None, &["a.b", "a_b", &long], &["my_server__a_b"], true);
        let many: Vec<String> = (0..200).map(|n| format!("t{n:03}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let tools = many
            .iter()
            .map(|name| serde_json::from_value(json!({"name": name, "inputSchema": {}})).unwrap());
        let (offered, trouble) = offered(&spec(None), tools.collect());
        assert_eq!(offered.len(), MOST_TOOLS);
        assert!(trouble.unwrap().starts_with("72 of its 200 tools"));
    }
}
