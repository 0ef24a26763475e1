//! API tokens, sessions, and what either may do.
//!
//! A scope narrows what its person may do and never widens it: every other
//! check applies as well. What needs which scope is said in the route table.

use crate::collect::Map;
use crate::id::ApiTokenId;
use crate::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Something that a token or session is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Read what its person can see.
    Read,
    /// Read and change what its person can.
    Write,
    /// Whatever its person may do, running the installation included.
    Admin,
    /// Mint join tokens, so that machines join as its person's.
    NodeJoin,
}

/// Why a text names no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no scope {0:?}; there are read, write, admin and node-join")]
pub struct NoScope(pub String);

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Admin, Self::NodeJoin];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
            Self::NodeJoin => "node-join",
        }
    }

    /// Whether who has this scope may do what needs `wanted`.
    #[must_use]
    pub const fn admits(self, wanted: Self) -> bool {
        match self {
            Self::Admin => true,
            Self::Write => matches!(wanted, Self::Write | Self::Read),
            Self::Read => matches!(wanted, Self::Read),
            Self::NodeJoin => matches!(wanted, Self::NodeJoin),
        }
    }
}

impl FromStr for Scope {
    type Err = NoScope;

    fn from_str(text: &str) -> Result<Self, NoScope> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.word() == text)
            .ok_or_else(|| NoScope(text.to_owned()))
    }
}

/// Some scopes; as one text they have spaces between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(Map<Scope, ()>);

impl Scopes {
    /// Whether one of them admits it.
    #[must_use]
    pub fn admit(&self, wanted: Scope) -> bool {
        self.0.keys().any(|scope| scope.admits(wanted))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Scope> + '_ {
        self.0.keys().copied()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Self {
        Self(scopes.into_iter().map(|scope| (scope, ())).collect())
    }
}

impl FromStr for Scopes {
    type Err = NoScope;

    fn from_str(text: &str) -> Result<Self, NoScope> {
        text.split_whitespace().map(str::parse).collect()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.iter().map(Scope::word).collect();
        f.write_str(&words.join(" "))
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.keys())
    }
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Scope>::deserialize(deserializer).map(|scopes| scopes.into_iter().collect())
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Scopes {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Scopes".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let scope = generator.subschema_for::<Scope>();
        schemars::json_schema!({"type": "array", "uniqueItems": true, "items": scope})
    }
}

/// What a credential needs for a route of people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Any credential of a person will do.
    Any,
    /// A credential with this scope, or an unnarrowed session.
    Scope(Scope),
    /// An unnarrowed session: no token makes another way in.
    Person,
}

impl Reach {
    /// Whether a credential reaches it; `None` is an unnarrowed session.
    #[must_use]
    pub fn is_met_by(self, scopes: Option<&Scopes>) -> bool {
        match (self, scopes) {
            (_, None) | (Self::Any, Some(_)) => true,
            (Self::Scope(wanted), Some(scopes)) => scopes.admit(wanted),
            (Self::Person, Some(_)) => false,
        }
    }
}

/// `POST /api/auth/tokens`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateApiToken {
    /// What it is for, as a note to oneself.
    pub name: String,
    /// What it may do; `read` and `write` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Scopes>,
    /// In how many days it ends, from 1 to 3650; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_days: Option<u32>,
}

/// An API token as its person sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApiTokenView {
    /// Its id.
    pub id: ApiTokenId,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
}

/// A fresh API token, with its secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreatedApiToken {
    /// `sam_pat_…`, shown once.
    pub token: String,
    /// What can be seen of it later.
    #[serde(flatten)]
    pub view: ApiTokenView,
}

impl fmt::Debug for CreatedApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedApiToken")
            .field("view", &self.view)
            .finish_non_exhaustive()
    }
}

/// `GET /api/auth/tokens`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApiTokenList {
    /// Newest first; those that ended or were revoked are not among them.
    pub tokens: Vec<ApiTokenView>,
}

/// `POST /api/auth/token-login`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TokenLogin {
    /// An API token: `sam_pat_…`, or `sam_test_…` of older installations.
    pub token: String,
}

impl fmt::Debug for TokenLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenLogin").finish_non_exhaustive()
    }
}

/// A session as its person sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuthSessionView {
    /// A public name to end it by; opens nothing.
    pub handle: String,
    /// Where it was opened: `web`, `cli`, or what a program calls itself.
    pub client: String,
    /// The program's own description, shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// What it may do; everything its person may, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Scopes>,
    /// The API token it was opened with, and with which it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_token: Option<ApiTokenId>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// `GET /api/auth/sessions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuthSessionList {
    /// Newest first.
    pub sessions: Vec<AuthSessionView>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_and_written_as_one_text() {
        let scopes: Scopes = " write  node-join write".parse().unwrap();
        assert_eq!(scopes.to_string(), "write node-join");
        assert_eq!(
            serde_json::to_string(&scopes).unwrap(),
            r#"["write","node-join"]"#
        );
        assert_eq!("root".parse::<Scopes>(), Err(NoScope("root".to_owned())));
        assert!("".parse::<Scopes>().unwrap().is_empty());
    }

    #[test]
    fn a_scope_admits_what_it_says_and_no_more() {
        use Scope::{Admin, NodeJoin, Read, Write};
        for (held, admitted) in [
            (Read, vec![Read]),
            (Write, vec![Read, Write]),
            (Admin, vec![Read, Write, Admin, NodeJoin]),
            (NodeJoin, vec![NodeJoin]),
        ] {
            for wanted in Scope::ALL {
                assert_eq!(
                    held.admits(wanted),
                    admitted.contains(&wanted),
                    "{held:?} {wanted:?}"
                );
            }
        }
        let all: Scopes = Scope::ALL.into_iter().collect();
        assert!(!Reach::Person.is_met_by(Some(&all)));
        assert!(Reach::Person.is_met_by(None));
        assert!(Reach::Any.is_met_by(Some(&Scopes::default())));
    }
}
