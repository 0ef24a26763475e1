//! Keys to model APIs as everybody but their keeper knows them, and which of them holds.

use crate::catalogue::model::{Dialect, Provider};
use crate::id::CredentialId;
use serde::{Deserialize, Serialize};

/// Whose a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// A project's: for everybody who works in it.
    Project,
    /// A person's: for them, in every project.
    User,
    /// The installation's.
    Platform,
}

impl Scope {
    /// Its name, as on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::User => "user",
            Self::Platform => "platform",
        }
    }
}

/// How a key travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum KeyHeader {
    /// `authorization: Bearer …`.
    #[default]
    Authorization,
    /// `x-api-key: …`.
    XApiKey,
    /// `cf-aig-authorization: Bearer …`: to an AI Gateway.
    CfAigAuthorization,
    /// Not at all.
    None,
}

impl KeyHeader {
    /// By the name that settings have for it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "authorization" => Self::Authorization,
            "x-api-key" => Self::XApiKey,
            "cf-aig-authorization" => Self::CfAigAuthorization,
            "none" => Self::None,
            _ => return None,
        })
    }

    /// The header's name and the value that carries this key.
    #[must_use]
    pub fn with(self, key: &str) -> Option<(&'static str, String)> {
        let bearer = || format!("Bearer {key}");
        match self {
            Self::Authorization => Some(("authorization", bearer())),
            Self::XApiKey => Some(("x-api-key", key.to_owned())),
            Self::CfAigAuthorization => Some(("cf-aig-authorization", bearer())),
            Self::None => None,
        }
    }
}

/// A model API at an address of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Its base, version path included, without a slash at the end.
    pub url: String,
    /// How it can be spoken to, the preferred way first; chat completions when absent.
    #[serde(default = "chat")]
    pub dialects: Vec<Dialect>,
    /// How its key travels.
    #[serde(default)]
    pub header: KeyHeader,
}

impl Endpoint {
    /// One that speaks chat completions, with its key as a bearer token.
    #[must_use]
    pub fn chat_at(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            dialects: chat(),
            header: KeyHeader::default(),
        }
    }
}

fn chat() -> Vec<Dialect> {
    vec![Dialect::Chat]
}

/// A key that is held for a provider, without the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldKey {
    /// Names it.
    pub id: CredentialId,
    /// Whose it is.
    pub scope: Scope,
    /// For which provider.
    pub provider: Provider,
    /// Whether it may be used. One that may not blocks; it does not fall through.
    pub active: bool,
    /// Where it is sent, when the provider is `custom`.
    pub endpoint: Option<Endpoint>,
    /// The Cloudflare account it is for, when the provider is `workers-ai`.
    pub account: Option<String>,
}

/// What looking for a key brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution<'a> {
    /// This one holds.
    Found(&'a HeldKey),
    /// The nearest one is switched off.
    Blocked(Scope),
    /// There is none.
    Absent,
}

/// The key that holds for a provider: the first in the order of the scopes. One that is switched
/// off blocks those behind it.
#[must_use]
pub fn resolve<'a>(keys: &'a [HeldKey], provider: Provider, scopes: &[Scope]) -> Resolution<'a> {
    for scope in scopes {
        let held = keys
            .iter()
            .find(|key| key.scope == *scope && key.provider == provider);
        match held {
            Some(key) if key.active => return Resolution::Found(key),
            Some(_) => return Resolution::Blocked(*scope),
            None => {}
        }
    }
    Resolution::Absent
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id as _;
    use crate::time::Timestamp;

    #[test]
    fn the_nearest_key_holds_and_one_that_is_off_blocks() {
        let key = |scope, active| HeldKey {
            id: CredentialId::mint(Timestamp(1), scope as u128),
            scope,
            provider: Provider::Openai,
            active,
            endpoint: None,
            account: None,
        };
        let order = [Scope::Project, Scope::User];
        let found = |keys: &[HeldKey]| match resolve(keys, Provider::Openai, &order) {
            Resolution::Found(key) => Ok(Some(key.scope)),
            Resolution::Blocked(scope) => Err(scope),
            Resolution::Absent => Ok(None),
        };
        let (user, project) = (key(Scope::User, true), key(Scope::Project, true));
        assert_eq!(found(&[user.clone(), project]), Ok(Some(Scope::Project)));
        assert_eq!(found(std::slice::from_ref(&user)), Ok(Some(Scope::User)));
        assert_eq!(
            found(&[user.clone(), key(Scope::Project, false)]),
            Err(Scope::Project)
        );
        assert_eq!(found(&[key(Scope::User, false)]), Err(Scope::User));
        // The installation's key is looked for only where it is named.
        assert_eq!(found(&[key(Scope::Platform, true)]), Ok(None));
        assert_eq!(
            resolve(&[user], Provider::Anthropic, &order),
            Resolution::Absent
        );
    }

    /// Every state of a key at the project, the person and the installation, and what that brings.
    #[test]
    fn project_then_person_then_installation() {
        let order = [Scope::Project, Scope::User, Scope::Platform];
        // none, switched off, switched on
        let states = [None, Some(false), Some(true)];
        for (project, user, platform) in states
            .into_iter()
            .flat_map(|a| states.map(|b| (a, b)))
            .flat_map(|(a, b)| states.map(|c| (a, b, c)))
        {
            let held: Vec<HeldKey> = order
                .into_iter()
                .zip([project, user, platform])
                .filter_map(|(scope, active)| {
                    Some(HeldKey {
                        id: CredentialId::mint(Timestamp(1), scope as u128),
                        scope,
                        provider: Provider::Openai,
                        active: active?,
                        endpoint: None,
                        account: None,
                    })
                })
                .collect();
            let expected = match (project, user, platform) {
                (Some(true), ..) => Ok(Some(Scope::Project)),
                (Some(false), ..) => Err(Scope::Project),
                (None, Some(true), _) => Ok(Some(Scope::User)),
                (None, Some(false), _) => Err(Scope::User),
                (None, None, Some(true)) => Ok(Some(Scope::Platform)),
                (None, None, Some(false)) => Err(Scope::Platform),
                (None, None, None) => Ok(None),
            };
            let found = match resolve(&held, Provider::Openai, &order) {
                Resolution::Found(key) => Ok(Some(key.scope)),
                Resolution::Blocked(scope) => Err(scope),
                Resolution::Absent => Ok(None),
            };
            assert_eq!(found, expected, "{project:?} {user:?} {platform:?}");
        }
    }
}
