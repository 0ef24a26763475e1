//! The one function that says where a model call goes.
//!
//! | mode | key that is held | AI Gateway | goes to | paid by |
//! |---|---|---|---|---|
//! | `sam` | the installation's for the provider | configured | the provider's endpoint of the gateway, both keys | the installation |
//! | `sam` | the installation's for the provider | – | the provider | the installation |
//! | `sam` | none | configured | the provider's endpoint of the gateway, or its unified one, with the gateway's token alone | the installation |
//! | `sam` | none | – | `SAM_MODEL_URL` | the installation |
//! | `own-key` | the project's, else the person's | configured | the provider's endpoint of the gateway, both keys | whose key it is |
//! | `own-key` | the project's, else the person's | – | the provider | whose key it is |
//!
//! A `custom` provider's key goes to its own address. A key for Workers AI that is not the
//! installation's belongs to another account than its gateway, and goes to Cloudflare directly.

use super::Mode;
use super::key::{Endpoint, HeldKey, KeyHeader, Resolution, Scope, resolve};
use crate::catalogue::model::{Dialect, Model, Provider};
use crate::error::ApiError;
use crate::id::CredentialId;

/// The base of OpenAI's API.
const OPENAI: &str = "https://api.openai.com/v1";
/// The base of Anthropic's API.
const ANTHROPIC: &str = "https://api.anthropic.com/v1";
/// The base of Cloudflare's API.
pub const CLOUDFLARE: &str = "https://api.cloudflare.com/client/v4";
/// The base of AI Gateway, below which accounts lie.
pub const AI_GATEWAY: &str = "https://gateway.ai.cloudflare.com/v1";
/// The gateway's id when none is set.
pub const GATEWAY_ID: &str = "sam";

/// What the installation has configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Platform {
    /// The one endpoint of `SAM_MODEL_URL`.
    pub endpoint: Option<Endpoint>,
    /// Its AI Gateway.
    pub gateway: Option<Gateway>,
}

/// An AI Gateway, with a Cloudflare token beside it that is not known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Base of all gateways, normally [`AI_GATEWAY`].
    pub base: String,
    /// The Cloudflare account.
    pub account: String,
    /// The gateway's id in it.
    pub id: String,
}

impl Gateway {
    /// The base of one of its endpoints, e.g. `openai` or `compat`.
    #[must_use]
    pub fn endpoint(&self, path: &str) -> String {
        format!("{}/{}/{}/{path}", self.base, self.account, self.id)
    }
}

/// Which secret a header carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// `SAM_MODEL_KEY`.
    Endpoint,
    /// The installation's Cloudflare token.
    Gateway,
    /// A key that is held.
    Held(CredentialId),
}

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The base of the API, without a slash at the end.
    pub base: String,
    /// How it is spoken to.
    pub dialect: Dialect,
    /// The model, by its name there.
    pub model: String,
    /// Which key travels in which header.
    pub keys: Vec<(KeyHeader, KeySource)>,
    /// Whose money it is: the installation's, the project's or the person's.
    pub payer: Scope,
    /// Whether it passes an AI Gateway, which keeps ids beside its own record.
    pub gateway: bool,
}

/// Why a call goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrouted {
    /// The agent has a login of its own, and calls its provider itself.
    OwnLogin,
    /// The nearest key for the provider is switched off.
    Blocked(Scope, Provider),
    /// There is no own key for the provider.
    NoKey(Provider),
    /// The installation has no access to the provider.
    NoAccess(Provider),
    /// The key that is held lacks its address or account.
    Incomplete(Scope, Provider),
}

/// Where a call to a model goes for a client that speaks so.
///
/// # Errors
/// Why it goes nowhere; never because of another's money.
pub fn route(
    model: &Model,
    client: Dialect,
    mode: Mode,
    keys: &[HeldKey],
    platform: &Platform,
) -> Result<Route, Unrouted> {
    let asked = Asked {
        model,
        client,
        platform,
    };
    let provider = model.provider;
    match mode {
        Mode::OwnLogin => Err(Unrouted::OwnLogin),
        Mode::OwnKey => match resolve(keys, provider, &[Scope::Project, Scope::User]) {
            Resolution::Found(key) => asked.with(key),
            Resolution::Blocked(scope) => Err(Unrouted::Blocked(scope, provider)),
            Resolution::Absent => Err(Unrouted::NoKey(provider)),
        },
        Mode::Sam => match resolve(keys, provider, &[Scope::Platform]) {
            Resolution::Found(key) => asked.with(key),
            Resolution::Blocked(scope) => Err(Unrouted::Blocked(scope, provider)),
            Resolution::Absent => asked.without_key(),
        },
    }
}

struct Asked<'a> {
    model: &'a Model,
    client: Dialect,
    platform: &'a Platform,
}

impl Asked<'_> {
    /// With a key for the provider.
    fn with(&self, key: &HeldKey) -> Result<Route, Unrouted> {
        let incomplete = Unrouted::Incomplete(key.scope, key.provider);
        let held = KeySource::Held(key.id.clone());
        let provider = self.model.provider;
        let header = match provider {
            Provider::Anthropic => KeyHeader::XApiKey,
            _ => KeyHeader::Authorization,
        };
        if provider == Provider::Custom {
            let endpoint = key.endpoint.as_ref().ok_or(incomplete)?;
            return Ok(self.to_endpoint(endpoint, held, key.scope));
        }
        if provider == Provider::WorkersAi {
            let account = key.account.as_deref().ok_or(incomplete)?;
            let base = format!("{CLOUDFLARE}/accounts/{account}/ai/v1");
            return Ok(self.to(base, vec![(header, held)], key.scope, false));
        }
        if let Some(gateway) = &self.platform.gateway {
            let keys = vec![
                (header, held),
                (KeyHeader::CfAigAuthorization, KeySource::Gateway),
            ];
            return Ok(self.to(self.through(gateway), keys, key.scope, true));
        }
        let base = match provider {
            Provider::Openai => OPENAI,
            Provider::Anthropic => ANTHROPIC,
            // It has no address but the gateway's.
            Provider::AiGateway | Provider::WorkersAi | Provider::Custom => {
                return Err(Unrouted::NoAccess(provider));
            }
        };
        Ok(self.to(base.to_owned(), vec![(header, held)], key.scope, false))
    }

    /// With the installation's access alone.
    fn without_key(&self) -> Result<Route, Unrouted> {
        let provider = self.model.provider;
        if let (Some(gateway), true) = (&self.platform.gateway, provider != Provider::Custom) {
            let mut keys = vec![(KeyHeader::CfAigAuthorization, KeySource::Gateway)];
            if provider == Provider::WorkersAi {
                // Cloudflare is the provider here, and takes the same token as its key.
                keys.insert(0, (KeyHeader::Authorization, KeySource::Gateway));
            }
            return Ok(self.to(self.through(gateway), keys, Scope::Platform, true));
        }
        match &self.platform.endpoint {
            Some(endpoint) => Ok(self.to_endpoint(endpoint, KeySource::Endpoint, Scope::Platform)),
            None => Err(Unrouted::NoAccess(provider)),
        }
    }

    /// The base of the provider's endpoint of a gateway.
    fn through(&self, gateway: &Gateway) -> String {
        gateway.endpoint(match self.model.provider {
            Provider::Openai => "openai",
            Provider::Anthropic => "anthropic/v1",
            Provider::WorkersAi => "workers-ai/v1",
            Provider::AiGateway | Provider::Custom => "compat",
        })
    }

    fn to(
        &self,
        base: String,
        keys: Vec<(KeyHeader, KeySource)>,
        payer: Scope,
        gateway: bool,
    ) -> Route {
        Route {
            base,
            dialect: spoken(&self.model.dialects, self.client),
            model: self.model.provider_model.to_string(),
            keys,
            payer,
            gateway,
        }
    }

    fn to_endpoint(&self, endpoint: &Endpoint, key: KeySource, payer: Scope) -> Route {
        Route {
            base: endpoint.url.clone(),
            dialect: spoken(&endpoint.dialects, self.client),
            model: self.model.provider_model.to_string(),
            keys: vec![(endpoint.header, key)],
            payer,
            gateway: endpoint.header == KeyHeader::CfAigAuthorization,
        }
    }
}

/// How to speak to somebody who speaks these for a client that speaks so: the same, if that can be.
#[must_use]
pub fn spoken(dialects: &[Dialect], client: Dialect) -> Dialect {
    let same = dialects.iter().find(|dialect| **dialect == client);
    *same.or(dialects.first()).unwrap_or(&Dialect::Chat)
}

impl From<Unrouted> for ApiError {
    fn from(cause: Unrouted) -> Self {
        let whose = |scope| match scope {
            Scope::Project => "The project's",
            Scope::User => "Your",
            Scope::Platform => "The installation's",
        };
        match cause {
            Unrouted::OwnLogin => Self::new(
                403,
                "own_login",
                "This agent has a login of its own: its model calls do not go through here.",
            )
            .hint("Choose `sam` or `own-key` with `sam agent provider`, and start the task again."),
            Unrouted::Blocked(scope, provider) => Self::new(
                403,
                "key_switched_off",
                format!(
                    "{} key for {} is switched off.",
                    whose(scope),
                    provider.name()
                ),
            )
            .hint("Nothing else is used in its place. Switch it on, or remove it."),
            Unrouted::NoKey(provider) => Self::new(
                403,
                "own_key_missing",
                format!(
                    "This agent pays with your own key, and there is none for {}.",
                    provider.name()
                ),
            )
            .hint(format!(
                "Store one with `sam credential set {}`, name a model of another provider, or \
                 choose `sam` for this agent.",
                provider.name()
            )),
            Unrouted::NoAccess(provider) => Self::new(
                503,
                "model_not_configured",
                format!("This installation has no access to {}.", provider.name()),
            )
            .hint(
                "An administrator sets SAM_MODEL_URL, or SAM_CLOUDFLARE_ACCOUNT and \
                 SAM_CLOUDFLARE_TOKEN for AI Gateway, or stores a key.",
            ),
            Unrouted::Incomplete(scope, provider) => Self::new(
                403,
                "key_incomplete",
                format!(
                    "{} key for {} lacks the address or the account it is for.",
                    whose(scope),
                    provider.name()
                ),
            )
            .hint("Store it again."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::changes::Role;
    use crate::catalogue::models::{MODELS, model_by_id};
    use crate::id::Id as _;
    use crate::time::Timestamp;
    use proptest::prelude::*;

    const TOKEN: &str = "the token";

    fn gateway() -> Platform {
        Platform {
            gateway: Some(Gateway {
                base: AI_GATEWAY.to_owned(),
                account: "acc".to_owned(),
                id: GATEWAY_ID.to_owned(),
            }),
            endpoint: None,
        }
    }

    fn endpoint() -> Platform {
        Platform {
            gateway: None,
            endpoint: Some(Endpoint {
                url: "https://models.example/v1".to_owned(),
                dialects: vec![Dialect::Chat],
                header: KeyHeader::Authorization,
            }),
        }
    }

    fn key(scope: Scope, provider: Provider) -> HeldKey {
        HeldKey {
            id: CredentialId::mint(Timestamp(1), scope as u128),
            scope,
            provider,
            active: true,
            endpoint: Some(Endpoint {
                url: "https://own.example/v1".to_owned(),
                dialects: vec![Dialect::Messages],
                header: KeyHeader::XApiKey,
            }),
            account: Some("own".to_owned()),
        }
    }

    fn known(id: &str) -> Model {
        model_by_id(id).unwrap().clone()
    }

    /// The address, the headers with what is in them, and who pays.
    fn shown(route: &Route) -> (String, String, Scope) {
        let keys: Vec<_> = route
            .keys
            .iter()
            .map(|(header, source)| {
                let (name, _) = header.with(TOKEN).unwrap_or(("none", String::new()));
                let source = match source {
                    KeySource::Endpoint => "endpoint",
                    KeySource::Gateway => "gateway",
                    KeySource::Held(_) => "held",
                };
                format!("{name}={source}")
            })
            .collect();
        (
            format!("{} {}", route.base, route.model),
            keys.join(" "),
            route.payer,
        )
    }

    #[test]
    fn each_line_of_the_table() {
        let (own, sam) = (Mode::OwnKey, Mode::Sam);
        let (user, platform) = (Scope::User, Scope::Platform);
        let mine = |provider| vec![key(user, provider)];
        let ours = |provider| vec![key(platform, provider)];
        let gemma = "@cf/google/gemma-4-26b-a4b-it";
        for (id, mode, keys, configured, address, headers, payer) in [
            (
                "gpt-4.1",
                sam,
                vec![],
                gateway(),
                "https://gateway.ai.cloudflare.com/v1/acc/sam/openai gpt-4.1",
                "cf-aig-authorization=gateway",
                platform,
            ),
            (
                gemma,
                sam,
                vec![],
                gateway(),
                "https://gateway.ai.cloudflare.com/v1/acc/sam/workers-ai/v1 @cf/google/gemma-4-26b-a4b-it",
                "authorization=gateway cf-aig-authorization=gateway",
                platform,
            ),
            (
                "claude-sonnet-4-5",
                sam,
                vec![],
                gateway(),
                "https://gateway.ai.cloudflare.com/v1/acc/sam/anthropic/v1 claude-sonnet-4-5",
                "cf-aig-authorization=gateway",
                platform,
            ),
            (
                "google-ai-studio/gemini-3.5-flash",
                sam,
                vec![],
                gateway(),
                "https://gateway.ai.cloudflare.com/v1/acc/sam/compat google-ai-studio/gemini-3.5-flash",
                "cf-aig-authorization=gateway",
                platform,
            ),
            (
                "gpt-4.1",
                sam,
                ours(Provider::Openai),
                gateway(),
                "https://gateway.ai.cloudflare.com/v1/acc/sam/openai gpt-4.1",
                "authorization=held cf-aig-authorization=gateway",
                platform,
            ),
            (
                "gpt-4.1",
                sam,
                ours(Provider::Openai),
                Platform::default(),
                "https://api.openai.com/v1 gpt-4.1",
                "authorization=held",
                platform,
            ),
            (
                "gpt-4.1",
                sam,
                mine(Provider::Openai),
                endpoint(),
                "https://models.example/v1 gpt-4.1",
                "authorization=endpoint",
                platform,
            ),
            (
                "gpt-4.1",
                own,
                mine(Provider::Openai),
                gateway(),
                "https://gateway.ai.cloudflare.com/v1/acc/sam/openai gpt-4.1",
                "authorization=held cf-aig-authorization=gateway",
                user,
            ),
            (
                "claude-sonnet-4-5",
                own,
                mine(Provider::Anthropic),
                endpoint(),
                "https://api.anthropic.com/v1 claude-sonnet-4-5",
                "x-api-key=held",
                user,
            ),
            (
                gemma,
                own,
                mine(Provider::WorkersAi),
                gateway(),
                "https://api.cloudflare.com/client/v4/accounts/own/ai/v1 @cf/google/gemma-4-26b-a4b-it",
                "authorization=held",
                user,
            ),
        ] {
            let route = route(&known(id), Dialect::Chat, mode, &keys, &configured).unwrap();
            let expected = (address.to_owned(), headers.to_owned(), payer);
            assert_eq!(shown(&route), expected, "{id} {mode:?}");
        }
        let custom = Model::undescribed("mine");
        let keys = mine(Provider::Custom);
        let route = route(&custom, Dialect::Chat, own, &keys, &endpoint()).unwrap();
        assert_eq!(shown(&route).0, "https://own.example/v1 mine");
        assert_eq!(route.dialect, Dialect::Messages);
    }

    #[test]
    fn a_client_is_spoken_to_as_it_speaks_where_that_can_be() {
        let [chat, responses, messages] = Dialect::ALL;
        let spoken = |list: &[Dialect]| Dialect::ALL.map(|client| spoken(list, client));
        assert_eq!(spoken(&[chat]), [chat; 3]);
        assert_eq!(spoken(&[messages]), [messages; 3]);
        assert_eq!(spoken(&[responses, chat]), [chat, responses, responses]);
        assert_eq!(spoken(&[]), [chat; 3]);
    }

    #[test]
    fn what_goes_nowhere_says_why() {
        let model = known("gpt-4.1");
        let why = |mode, keys: &[HeldKey], platform: &Platform| {
            route(&model, Dialect::Chat, mode, keys, platform).unwrap_err()
        };
        let openai = Provider::Openai;
        let mut off = key(Scope::User, openai);
        off.active = false;
        assert_eq!(why(Mode::OwnLogin, &[], &gateway()), Unrouted::OwnLogin);
        assert_eq!(why(Mode::OwnKey, &[], &gateway()), Unrouted::NoKey(openai));
        assert_eq!(
            why(Mode::OwnKey, &[off], &gateway()),
            Unrouted::Blocked(Scope::User, openai)
        );
        assert_eq!(
            why(Mode::Sam, &[], &Platform::default()),
            Unrouted::NoAccess(openai)
        );
        let mut bare = key(Scope::User, Provider::Custom);
        bare.endpoint = None;
        let custom = Model::undescribed("mine");
        let gone = route(&custom, Dialect::Chat, Mode::OwnKey, &[bare], &gateway());
        assert_eq!(
            gone,
            Err(Unrouted::Incomplete(Scope::User, Provider::Custom))
        );
    }

    proptest! {
        #[test]
        fn every_selectable_model_routes_with_one_cloudflare_token(
            models in crate::catalogue::changes::tests::any_models(),
            client in proptest::sample::select(Dialect::ALL.to_vec()),
        ) {
            // What an administrator added at an address of its own needs that address.
            let platform = Platform { endpoint: endpoint().endpoint, ..gateway() };
            for model in models.list().iter().filter(|model| model.is_selectable()) {
                let needed = if model.provider == Provider::Custom { &platform } else { &gateway() };
                let routed = route(model, client, Mode::Sam, &[], needed);
                prop_assert!(routed.is_ok(), "{:?}", model);
            }
            for role in Role::ALL {
                if let Some(model) = models.default_for(role) {
                    prop_assert!(route(&model, client, Mode::Sam, &[], &platform).is_ok());
                }
            }
        }

        #[test]
        fn who_pays_follows_from_the_choice_alone(
            at in 0..MODELS.len(),
            mode in proptest::sample::select(Mode::ALL.to_vec()),
            held in proptest::collection::vec(
                (proptest::sample::select(vec![Scope::Project, Scope::User, Scope::Platform]),
                 proptest::sample::select(Provider::ALL.to_vec()), any::<bool>()), 0..12),
            with_gateway: bool, with_endpoint: bool,
        ) {
            let mut keys: Vec<HeldKey> = Vec::new();
            for (scope, provider, active) in held {
                if resolve(&keys, provider, &[scope]) == Resolution::Absent {
                    keys.push(HeldKey { active, ..key(scope, provider) });
                }
            }
            let platform = Platform {
                gateway: gateway().gateway.filter(|_| with_gateway),
                endpoint: endpoint().endpoint.filter(|_| with_endpoint),
            };
            let Ok(route) = route(&MODELS[at], Dialect::Chat, mode, &keys, &platform) else {
                return Ok(());
            };
            let carries = |header: KeyHeader| route.keys.iter().any(|(it, _)| *it == header);
            match mode {
                Mode::Sam => prop_assert_eq!(route.payer, Scope::Platform),
                Mode::OwnKey => {
                    prop_assert_ne!(route.payer, Scope::Platform);
                    // Without a key of the provider's own, the gateway would spend its owner's money.
                    let own = route.keys.iter().any(|(header, source)| {
                        *header != KeyHeader::CfAigAuthorization && matches!(source, KeySource::Held(_))
                    });
                    prop_assert!(own);
                    prop_assert!(!route.keys.iter().any(|(_, source)| *source == KeySource::Endpoint));
                }
                Mode::OwnLogin => prop_assert!(false, "the agent calls its provider itself"),
            }
            prop_assert_eq!(route.gateway, carries(KeyHeader::CfAigAuthorization));
        }
    }
}
