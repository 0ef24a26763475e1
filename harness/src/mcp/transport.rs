//! How servers are reached: programs that are started, and URLs.

use std::collections::HashMap;
use std::process::Stdio;
use std::time::Duration;

use rmcp::model::Tool;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use sam_harness::mcp_client::{Link, words};
use tokio::process::Command;

use super::config::Endpoint;
use crate::tools::SECRETS;

/// Connects to a server, and asks for its tools.
pub(super) async fn open(endpoint: &Endpoint) -> Result<(Link, Vec<Tool>), String> {
    match endpoint {
        Endpoint::Http { url, headers } => Link::open(http(url, headers)?).await,
        Endpoint::Stdio {
            command,
            arguments,
            env,
        } => {
            let started = stdio(command, arguments, env);
            let process =
                started.map_err(|error| format!("{command} cannot be started: {error}"))?;
            Link::open(process).await
        }
    }
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
