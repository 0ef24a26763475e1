//! What agent and host tell each other before the first prompt.

use crate::parse;
use crate::update::AcpSessionId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What the agent says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentInfo {
    /// The version it claims; some claim 2 and speak 1.
    pub protocol_version: u64,
    /// Its name.
    pub name: Option<String>,
    /// Its name for people.
    pub title: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Whether [`crate::Host::load_session`] may work.
    pub load_session: bool,
    /// Whether [`crate::Host::resume_session`] may work.
    pub resume_session: bool,
    /// Whether it connects to MCP servers over HTTP.
    pub http_servers: bool,
    /// How one can sign in to it.
    pub auth_methods: Vec<AuthMethod>,
    /// The whole answer's JSON.
    pub raw: Value,
}

/// One way to sign in to an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthMethod {
    /// What [`crate::Host::authenticate`] takes.
    pub id: String,
    /// For people.
    pub name: String,
}

/// The modes of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Modes {
    /// The mode it is in.
    pub current: String,
    /// The ids of all modes.
    pub available: Vec<String>,
}

/// A session that was opened or loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionOpened {
    /// Its id.
    pub session: AcpSessionId,
    /// Its modes, when it has any.
    pub modes: Option<Modes>,
    /// Its options' JSON, a list, when it has any.
    pub config_options: Option<Value>,
}

/// What a session is told besides its directory.
#[derive(Clone, Copy, Default)]
pub struct Besides<'a> {
    /// What this agent alone understands.
    pub meta: Option<&'a Value>,
    /// MCP servers that it is to connect to, as the protocol has them.
    pub servers: &'a [Value],
}

impl Besides<'_> {
    pub(crate) fn add_to(self, params: &mut Value) {
        let Some(params) = params.as_object_mut() else {
            return;
        };
        if let Some(meta) = self.meta {
            params.insert("_meta".to_owned(), meta.clone());
        }
        if !self.servers.is_empty() {
            params.insert("mcpServers".to_owned(), self.servers.to_vec().into());
        }
    }
}

impl std::fmt::Debug for Besides<'_> {
    /// Without secrets that servers are to be shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Besides")
            .field("meta", &self.meta)
            .field("servers", &self.servers.len())
            .finish()
    }
}

pub(crate) fn session_opened(session: AcpSessionId, raw: &Value) -> SessionOpened {
    let modes = parse::present(raw, "modes").and_then(|modes| {
        Some(Modes {
            current: parse::text(modes, "currentModeId")?,
            available: parse::list(modes, "availableModes")?
                .iter()
                .filter_map(|mode| parse::text(mode, "id"))
                .collect(),
        })
    });
    SessionOpened {
        session,
        modes,
        config_options: parse::present(raw, "configOptions").cloned(),
    }
}
