//! One connection to a server.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rmcp::ServiceExt;
use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientCapabilities, Implementation,
    InitializeRequestParams, ProtocolVersion, Tool,
};
use rmcp::service::{RoleClient, RunningService};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use serde_json::{Map, Value};
use tokio::process::Command;

use super::config::Endpoint;
use crate::tools::SECRETS;

/// For a server to answer that it is there, and with which tools.
const START_LIMIT: Duration = Duration::from_secs(20);
/// For a call.
const CALL_LIMIT: Duration = Duration::from_secs(600);
/// Errors of servers are passed on so far.
const MAX_WORDS: usize = 1000;

type Service = RunningService<RoleClient, InitializeRequestParams>;

/// A server that answers.
#[derive(Clone)]
pub(super) struct Link {
    service: Arc<Service>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Link {
    /// Connects, and asks for the tools.
    pub(super) async fn open(endpoint: &Endpoint) -> Result<(Self, Vec<Tool>), String> {
        let opening = async {
            let service = connect(endpoint).await?;
            let tools = service
                .list_all_tools()
                .await
                .map_err(|error| words(&error))?;
            let service = Arc::new(service);
            Ok((Self { service }, tools))
        };
        let seconds = START_LIMIT.as_secs();
        tokio::time::timeout(START_LIMIT, opening)
            .await
            .unwrap_or_else(|_| Err(format!("it did not answer within {seconds} s")))
    }

    /// Whether the connection is gone.
    pub(super) fn is_closed(&self) -> bool {
        self.service.is_closed()
    }

    /// Calls a tool.
    pub(super) async fn call(
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

async fn connect(endpoint: &Endpoint) -> Result<Service, String> {
    let us = Implementation::new("sam-harness", env!("CARGO_PKG_VERSION"));
    // No sampling, elicitation or roots: a server gets to ask nothing of us.
    let mut client = InitializeRequestParams::new(ClientCapabilities::default(), us);
    // The newest revision that begins with `initialize`.
    client.protocol_version = ProtocolVersion::V_2025_11_25;
    let service = match endpoint {
        Endpoint::Http { url, headers } => client.serve(http(url, headers)?).await,
        Endpoint::Stdio {
            command,
            arguments,
            env,
        } => {
            let started = stdio(command, arguments, env);
            let process =
                started.map_err(|error| format!("{command} cannot be started: {error}"))?;
            client.serve(process).await
        }
    };
    service.map_err(|error| words(&error))
}

fn http(
    url: &str,
    headers: &[(String, String)],
) -> Result<StreamableHttpClientTransport<reqwest::Client>, String> {
    let address: reqwest::Url = url.parse().map_err(|error| format!("{url}: {error}"))?;
    let mut builder = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .tcp_nodelay(true)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("sam-harness/", env!("CARGO_PKG_VERSION")));
    if address.scheme() == "http" {
        builder = builder.tls_certs_only([]);
    }
    // A second installation in one process is refused and harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = builder.build().map_err(|error| words(&error))?;
    let mut custom = HashMap::new();
    for (name, value) in headers {
        let name: reqwest::header::HeaderName = name
            .parse()
            .map_err(|_| format!("{name} is no name for a header"))?;
        let mut value: reqwest::header::HeaderValue = value
            .parse()
            .map_err(|_| format!("the value of {name} cannot be a header"))?;
        value.set_sensitive(true);
        custom.insert(name, value);
    }
    let config = StreamableHttpClientTransportConfig::with_uri(url).custom_headers(custom);
    Ok(StreamableHttpClientTransport::with_client(client, config))
}

/// A server's own words go nowhere: its standard error is not the agent's.
fn stdio(
    command: &str,
    arguments: &[String],
    env: &[(String, String)],
) -> std::io::Result<TokioChildProcess> {
    let mut process = Command::new(command);
    for secret in SECRETS {
        process.env_remove(secret);
    }
    process
        .args(arguments)
        .envs(env.iter().map(|(name, value)| (name, value)))
        .kill_on_drop(true);
    let (process, _) = TokioChildProcess::builder(process)
        .stderr(Stdio::null())
        .spawn()?;
    Ok(process)
}

fn words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(deeper) = source {
        let more = deeper.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        source = deeper.source();
    }
    match words.char_indices().nth(MAX_WORDS) {
        Some((end, _)) => format!("{}\u{2026}", words.get(..end).unwrap_or_default()),
        None => words,
    }
}
