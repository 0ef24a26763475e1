//! Which MCP servers there are: the platform's, those of configuration files,
//! and those a host names for a session.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sam_domain::tool_profile::ToolProfile;
use sam_harness::transcript::Redactor;
use serde_json::{Map, Value};

/// The name of the platform's server.
pub(crate) const PLATFORM: &str = "sam";

/// Flags about MCP servers.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "MCP servers")]
pub(crate) struct McpArgs {
    /// The platform's MCP server.
    #[arg(long, value_name = "URL", env = "SAM_MCP_URL")]
    pub(crate) mcp_url: Option<String>,
    /// The bearer token for it; better given by the environment.
    #[arg(
        hide_short_help = true,
        long,
        value_name = "TOKEN",
        env = "SAM_MCP_TOKEN",
        hide_env_values = true
    )]
    pub(crate) mcp_token: Option<String>,
    /// A file with further servers, {"mcpServers": {name: {"command", "args", "env"} or {"url", "headers"}}}; ${NAME} stands for an environment variable. May be given more than once.
    #[arg(long, value_name = "FILE")]
    pub(crate) mcp_config: Vec<PathBuf>,
    /// Which of the platform's tools are offered.
    #[arg(
        hide_short_help = true,
        long,
        value_enum,
        env = "SAM_TOOL_PROFILE",
        default_value_t,
        value_name = "PROFILE"
    )]
    pub(crate) tool_profile: Profile,
}

/// [`ToolProfile`] on the command line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// What concerns the agent's own task.
    #[default]
    Workspace,
    /// Also what starts and watches the work of others.
    Orchestrate,
    /// Everything it serves.
    Full,
}

impl From<Profile> for ToolProfile {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::Workspace => Self::Workspace,
            Profile::Orchestrate => Self::Orchestrate,
            Profile::Full => Self::Full,
        }
    }
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// Behind a URL, by streamable HTTP.
    Http {
        url: String,
        headers: Vec<(String, String)>,
    },
    /// A program that speaks on its standard streams.
    Stdio {
        command: String,
        arguments: Vec<String>,
        env: Vec<(String, String)>,
    },
}

/// A server to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerSpec {
    pub(super) name: String,
    pub(super) endpoint: Endpoint,
    /// Which of its tools are offered; none for all.
    pub(super) profile: Option<ToolProfile>,
}

impl ServerSpec {
    /// What it is told that nobody else may read.
    pub(super) fn secrets(&self) -> Vec<String> {
        match &self.endpoint {
            // Of "Bearer x" also x alone.
            Endpoint::Http { headers, .. } => headers
                .iter()
                .flat_map(|(_, value)| [value.as_str(), value.rsplit(' ').next().unwrap_or(value)])
                .map(str::to_owned)
                .collect(),
            Endpoint::Stdio { env, .. } => env
                .iter()
                .filter(|(name, _)| Redactor::is_secret(name))
                .map(|(_, value)| value.clone())
                .collect(),
        }
    }
}

/// The servers of the command line, the platform's first, then by name.
pub(super) fn of_args(args: &McpArgs) -> Result<Vec<ServerSpec>, String> {
    let mut specs = Vec::new();
    if let Some(url) = args.mcp_url.as_ref().filter(|url| !url.is_empty()) {
        let bearer = |token| ("authorization".to_owned(), format!("Bearer {token}"));
        specs.push(ServerSpec {
            name: PLATFORM.to_owned(),
            endpoint: Endpoint::Http {
                url: url.clone(),
                headers: args.mcp_token.iter().map(bearer).collect(),
            },
            profile: Some(args.tool_profile.into()),
        });
    }
    for file in &args.mcp_config {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        let text = std::fs::read_to_string(file).map_err(|error| failed(&error))?;
        let env = |name: &str| std::env::var(name).ok();
        let further = of_text(&text, &env).map_err(|error| failed(&error))?;
        specs.extend(further);
    }
    distinct(specs)
}

/// Servers as a configuration file names them, by name.
fn of_text(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Vec<ServerSpec>, String> {
    let config: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let servers = config.get("mcpServers").and_then(Value::as_object);
    let servers = servers.ok_or("there is no object mcpServers")?;
    let mut specs: Vec<ServerSpec> = servers
        .iter()
        .map(|(name, server)| {
            of_object(name, server, env).map_err(|error| format!("server {name}: {error}"))
        })
        .collect::<Result<_, _>>()?;
    specs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(specs)
}

/// Servers as a host names them.
pub(super) fn of_host(servers: &[Value]) -> Result<Vec<ServerSpec>, String> {
    let specs = servers.iter().map(|server| {
        let name = server.get("name").and_then(Value::as_str);
        let name = name.ok_or("an MCP server has no name")?;
        of_object(name, server, &|_| None).map_err(|error| format!("server {name}: {error}"))
    });
    specs.collect()
}

/// A name for each that no other has; the first keeps its own.
pub(super) fn distinct(specs: Vec<ServerSpec>) -> Result<Vec<ServerSpec>, String> {
    let mut seen = std::collections::HashSet::new();
    for spec in &specs {
        if !seen.insert(spec.name.as_str()) {
            return Err(format!("there are two MCP servers named {}", spec.name));
        }
    }
    Ok(specs)
}

fn of_object(
    name: &str,
    server: &Value,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<ServerSpec, String> {
    if server.get("type").and_then(Value::as_str) == Some("sse") {
        return Err("the old SSE transport is not spoken; use streamable HTTP".to_owned());
    }
    let text = |key: &str| {
        let value = server.get(key).and_then(Value::as_str);
        value.map(|text| expanded(text, env)).transpose()
    };
    let endpoint = match (text("url")?, text("command")?) {
        (Some(url), None) => Endpoint::Http {
            url,
            headers: pairs(server.get("headers"), env)?,
        },
        (None, Some(command)) => {
            let arguments = server.get("args").and_then(Value::as_array);
            let arguments = arguments.into_iter().flatten().map(|argument| {
                let argument = argument.as_str().ok_or("args are not all text")?;
                expanded(argument, env)
            });
            Endpoint::Stdio {
                command,
                arguments: arguments.collect::<Result<_, String>>()?,
                env: pairs(server.get("env"), env)?,
            }
        }
        _ => return Err("it needs a url or a command, and not both".to_owned()),
    };
    Ok(ServerSpec {
        name: name.to_owned(),
        endpoint,
        profile: None,
    })
}

/// Names with values: an object, or a list of {name, value}.
fn pairs(
    value: Option<&Value>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<(String, String)>, String> {
    let pair = |name: &str, value: Option<&Value>| {
        let value = value.and_then(Value::as_str);
        let value = value.ok_or_else(|| format!("{name} is no text"))?;
        Ok((name.to_owned(), expanded(value, env)?))
    };
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Object(object)) => {
            let object: &Map<String, Value> = object;
            object
                .iter()
                .map(|(name, value)| pair(name, Some(value)))
                .collect()
        }
        Some(Value::Array(list)) => {
            let named = list.iter().map(|entry| {
                let name = entry.get("name").and_then(Value::as_str);
                pair(name.ok_or("an entry has no name")?, entry.get("value"))
            });
            named.collect()
        }
        Some(_) => Err("env and headers are objects".to_owned()),
    }
}

/// With `${NAME}` replaced by environment variables; one that is not set is an
/// error, so that no half address is ever called.
fn expanded(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else {
            break;
        };
        out.push_str(before);
        let value = env(name).ok_or_else(|| format!("the variable {name} is not set"))?;
        out.push_str(&value);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn env(name: &str) -> Option<String> {
        (name == "KEY").then(|| "k".to_owned())
    }

    #[test]
    fn servers_of_a_file_come_by_name() {
        let text = json!({"mcpServers": {
            "z": {"command": "z", "args": ["-x", "${KEY}"], "env": {"A": "${KEY}!"}},
            "a": {"type": "http", "url": "http://h/${KEY}", "headers": {"X-Key": "${KEY}"}},
        }});
        let specs = of_text(&text.to_string(), &env).unwrap();
        let pair = |a: &str, b: &str| vec![(a.to_owned(), b.to_owned())];
        assert_eq!(
            specs,
            [
                ServerSpec {
                    name: "a".to_owned(),
                    endpoint: Endpoint::Http {
                        url: "http://h/k".to_owned(),
                        headers: pair("X-Key", "k"),
                    },
                    profile: None,
                },
                ServerSpec {
                    name: "z".to_owned(),
                    endpoint: Endpoint::Stdio {
                        command: "z".to_owned(),
                        arguments: vec!["-x".to_owned(), "k".to_owned()],
                        env: pair("A", "k!"),
                    },
                    profile: None,
                },
            ]
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let check = |text: &str, expected: &str| {
            let error = of_text(text, &env).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("{", "EOF");
        check("{}", "no object mcpServers");
        check(
            r#"{"mcpServers":{"a":{}}}"#,
            "server a: it needs a url or a command",
        );
        check(
            r#"{"mcpServers":{"a":{"url":"x","type":"sse"}}}"#,
            "not spoken",
        );
        check(r#"{"mcpServers":{"a":{"url":"${NO}"}}}"#, "NO is not set");
        check(
            r#"{"mcpServers":{"a":{"command":"x","args":[1]}}}"#,
            "not all text",
        );
        check(
            r#"{"mcpServers":{"a":{"command":"x","env":[{"value":"v"}]}}}"#,
            "no name",
        );
    }

    #[test]
    fn a_hosts_servers_are_read_and_the_platform_comes_first() {
        let host = [
            json!({"name": "b", "command": "c", "args": [], "env": [{"name": "${KEY}", "value": "v"}]}),
            json!({"type": "http", "name": "a", "url": "http://h", "headers": []}),
        ];
        let names = |specs: &[ServerSpec]| specs.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
        let specs = of_host(&host).unwrap();
        assert_eq!(names(&specs), ["b", "a"]);
        assert!(of_host(&[json!({"command": "c"})]).is_err());
        let args = McpArgs {
            mcp_url: Some("http://p".to_owned()),
            mcp_token: Some("t".to_owned()),
            ..McpArgs::default()
        };
        let platform = of_args(&args).unwrap();
        assert_eq!(
            (names(&platform), platform[0].profile),
            (vec![PLATFORM.to_owned()], Some(ToolProfile::Workspace))
        );
        assert_eq!(platform[0].secrets(), ["Bearer t", "t"]);
        assert!(distinct([platform.clone(), platform].concat()).is_err());
    }
}
