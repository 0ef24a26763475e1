//! Models, keys and choices on the wire.

use super::key::{Endpoint, Scope};
use super::{ChosenBy, Mode};
use crate::catalogue::changes::Role;
use crate::catalogue::model::{Model, Provider};
use crate::collect::Map;
use crate::id::{CredentialId, UserId};
use crate::login::wire::LoginView;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A model of the catalogue, for whoever asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModelView {
    /// The model.
    #[serde(flatten)]
    pub model: Model,
    /// The modes in which the asking person could call it now, outside of a project.
    pub available: Vec<Mode>,
    /// The roles that it is the default of.
    pub default_for: Vec<Role>,
}

/// `GET /api/models`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModelList {
    /// The product's models in their order, then those that were added.
    pub models: Vec<ModelView>,
}

/// `PUT /api/models/defaults`: what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PutModelDefaults {
    /// The model of each role; an empty text for the product's own default.
    pub defaults: Map<Role, String>,
}

/// `POST /api/models/refresh`: what the providers list and the catalogue did not know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Refreshed {
    /// Models that were added, switched off until an administrator prices and enables them.
    pub added: Vec<String>,
    /// Models that are enabled and that their provider does not list.
    pub unlisted: Vec<String>,
    /// Providers that could not be asked, and why.
    pub unasked: Vec<String>,
}

/// Stores a key, or changes one that is stored. Nothing ever answers with it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PutCredential {
    /// The key; may be absent when one is stored already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether it may be used; a key that may not blocks. `true` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// Where the API is: for `custom`, and for it alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// The Cloudflare account the key is for: for `workers-ai`, and for it alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}

impl std::fmt::Debug for PutCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PutCredential")
            .field("active", &self.active)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// How a key was found when it was last tried at its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum KeyCheck {
    /// The provider takes it.
    Accepted,
    /// The provider refuses it.
    Refused,
    /// The provider did not say.
    Unknown,
}

impl KeyCheck {
    /// Its name, as on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

/// A stored key, without the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CredentialView {
    /// Names it.
    pub id: CredentialId,
    /// Whose it is.
    pub scope: Scope,
    /// For which provider.
    pub provider: Provider,
    /// Whether it may be used.
    pub active: bool,
    /// Where it is sent, when the provider is `custom`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// The Cloudflare account it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The encryption key under which it is kept.
    pub key_id: String,
    /// How it was found when it was stored.
    pub check: KeyCheck,
    /// What that means, where it means something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// Who stored it last.
    pub updated_by: UserId,
    /// When.
    pub updated_at: Timestamp,
}

/// Keys of one scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CredentialList {
    /// By provider.
    pub credentials: Vec<CredentialView>,
}

/// `POST /api/admin/rotate-key`: every stored key is kept under the present encryption key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rotated {
    /// The present encryption key's id.
    pub key_id: String,
    /// Keys and logins that were encrypted anew.
    pub moved: u64,
    /// Those that were under it already.
    pub already: u64,
    /// Those that nothing can read, because their encryption key is not configured any more: a key by
    /// its id, a login as `usr_…/agent`.
    pub unreadable: Vec<String>,
}

/// `PUT /api/agents/{agent}/provider`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PutAgentProvider {
    /// Whose access to models the agent uses; null takes the choice back.
    pub mode: Option<Mode>,
    /// The model when the agent names none; the installation's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// Whose access to models an agent uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AgentProvider {
    /// Which agent.
    pub agent: String,
    /// The mode that holds; absent when nobody chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Who chose it.
    pub chosen_by: ChosenBy,
    /// The model when the agent names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What can be chosen.
    pub choices: Vec<Mode>,
    /// One's login for it, without its tokens, if one is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<LoginView>,
}

/// `GET /api/agents`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AgentProviders {
    /// In the catalogue's order.
    pub agents: Vec<AgentProvider>,
}
