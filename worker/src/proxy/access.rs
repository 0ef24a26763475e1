//! What a model call rests on: the person's choice, the catalogue, the keys that are held, and the
//! installation's configuration, brought together into one [`Upstream`].
//!
//! Model calls may rest on what D1 said at most five seconds ago; the isolate through which
//! something was changed knows at once. A key is opened for the one call that needs it.

use std::rc::Rc;

use sam_dialects::Dialect;
use sam_domain::access::claims::Claims;
use sam_domain::agents::DEFAULT_AGENT;
use sam_domain::catalogue::changes::Role;
use sam_domain::catalogue::model::{self as catalogue, Model, Provider};
use sam_domain::catalogue::models::MODELS;
use sam_domain::error::ApiError;
use sam_domain::id::CredentialId;
use sam_domain::provider::address::{self, Reach};
use sam_domain::provider::key::{HeldKey, Resolution, Scope, resolve};
use sam_domain::provider::route::{KeySource, Platform, Route, Unrouted, route};
use sam_domain::provider::{Mode, chosen, not_chosen};
use sam_platform::bindings;
use sam_platform::crypto::{Keyring, Secret};
use sam_platform::d1::model_access::{self, Asker, Ended, ModelAccess};

use super::installation::Installation;
use super::upstream::{Upstream, catalogued};
use crate::call::Call;
use crate::errors::{Failed, hidden, log};

/// Everything that decides where the calls of a workspace go.
pub(crate) struct Access {
    /// The installation's configuration.
    pub(crate) installation: Rc<Installation>,
    /// What D1 says.
    pub(crate) held: ModelAccess,
    /// Whose access is used.
    pub(crate) mode: Mode,
    keys: Vec<HeldKey>,
}

impl Access {
    /// What the calls of a workspace rest on; refused while nobody has chosen who pays.
    pub(crate) async fn of(call: &Call, claims: &Claims) -> Result<Self, Failed> {
        let agent = claims.agt.as_deref().unwrap_or(DEFAULT_AGENT);
        let asker = Asker {
            user: &claims.usr,
            project: Some(&claims.prj),
            agent,
            task: Some(&claims.tsk),
            node: Some(&claims.nod),
        };
        Self::for_agent(call, asker).await
    }

    /// What the calls on behalf of a person's agent in a project rest on.
    pub(crate) async fn for_agent(call: &Call, asker: Asker<'_>) -> Result<Self, Failed> {
        let installation = Installation::of(&call.env)?;
        let database = call.database()?.recent(call.now);
        let held = model_access::read(&database, asker).await?;
        if let Some(ended) = held.ended {
            return Err(over(ended).into());
        }
        let (person, administrator) = (held.person.as_ref(), held.administrator.as_ref());
        let (mode, _) = chosen(
            person.map(|it| it.mode),
            administrator.map(|it| it.mode),
            installation.platform.endpoint.is_some(),
        );
        let mode = mode.ok_or_else(|| {
            // Where there is nothing to choose from, a choice is not what is missing.
            let nothing = installation.platform == Platform::default() && held.keys.is_empty();
            if nothing {
                not_configured()
            } else {
                not_chosen(asker.agent)
            }
        })?;
        if mode == Mode::OwnLogin {
            return Err(ApiError::from(Unrouted::OwnLogin).into());
        }
        Ok(Self {
            mode,
            keys: held.keys.iter().map(|key| key.held()).collect(),
            installation,
            held,
        })
    }

    /// The id of the model for requests that name none: the one chosen with the mode, else the
    /// installation's, else the catalogue's.
    pub(crate) fn default_model(&self) -> Result<String, ApiError> {
        let chosen = self
            .held
            .person
            .as_ref()
            .or(self.held.administrator.as_ref());
        chosen
            .and_then(|it| it.model.clone())
            .or_else(|| self.installation.model.clone())
            .or_else(|| Some(self.held.models.default_for(Role::Agent)?.id.into_owned()))
            .ok_or_else(|| {
                ApiError::new(
                    400,
                    "model_required",
                    "The request names no model and no default is configured.",
                )
                .hint("Name one of GET /ai/v1/models, or set SAM_MODEL.")
            })
    }

    /// The model of this id: the catalogue's, or one that an endpoint of somebody's own may have.
    pub(crate) fn model(&self, id: &str) -> Result<Model, ApiError> {
        if let Some(model) = self.held.models.get(id) {
            return if model.is_selectable() {
                Ok(model)
            } else {
                Err(ApiError::new(
                    403,
                    "model_not_enabled",
                    format!("The model {} is not enabled here.", shown(id)),
                )
                .hint("An administrator enables it, or name one of GET /ai/v1/models."))
            };
        }
        if self.has_endpoint() {
            return Ok(Model::undescribed(id));
        }
        Err(ApiError::new(
            404,
            "model_not_found",
            format!("There is no model {} here.", shown(id)),
        )
        .hint("GET /ai/v1/models lists them."))
    }

    /// Whether there is an endpoint that may have models which the catalogue does not know.
    fn has_endpoint(&self) -> bool {
        let scopes: &[Scope] = match self.mode {
            Mode::Sam => &[Scope::Platform],
            Mode::OwnKey => &[Scope::Project, Scope::User],
            Mode::OwnLogin => &[],
        };
        let held = resolve(&self.keys, Provider::Custom, scopes) != Resolution::Absent;
        held || (self.mode == Mode::Sam && self.installation.platform.endpoint.is_some())
    }

    /// Where a call to a model goes.
    pub(crate) fn route(&self, model: &Model, client: Dialect) -> Result<Route, Unrouted> {
        let platform = &self.installation.platform;
        route(model, catalogued(client), self.mode, &self.keys, platform)
    }

    /// The upstream of a call, with its keys. `named` is the model that the request names.
    pub(crate) fn upstream(
        &self,
        call: &Call,
        client: Dialect,
        named: Option<&str>,
    ) -> Result<Upstream, Failed> {
        let model = match named {
            Some(named) => self.model(named)?,
            None => self.model(&self.default_model()?)?,
        };
        let route = self.route(&model, client).map_err(ApiError::from)?;
        let open = |id: &CredentialId| open(call, &self.held, id);
        with_keys(route, model, &self.installation, open)
    }
}

/// The upstream of a route, with the key of each of its headers; `open` opens those that are held.
pub(crate) fn with_keys(
    route: Route,
    model: Model,
    installation: &Installation,
    open: impl Fn(&CredentialId) -> Result<Secret, Failed>,
) -> Result<Upstream, Failed> {
    let mut keys = Vec::new();
    for (header, source) in &route.keys {
        let key = match source {
            KeySource::Endpoint => installation.endpoint_key.clone(),
            KeySource::Gateway => installation.token.clone(),
            KeySource::Held(id) => Some(open(id)?),
        };
        keys.extend(key.map(|key| (*header, key)));
    }
    Ok(Upstream::new(route, model, keys, installation.silence)?)
}

fn open(call: &Call, held: &ModelAccess, id: &CredentialId) -> Result<Secret, Failed> {
    let key = held.keys.iter().find(|key| key.id == *id);
    let key = key.ok_or_else(|| hidden(&"a routed key is not held"))?;
    if let Some(endpoint) = key.held().endpoint {
        // It was checked when it was stored, by the rules of then.
        address::check(&endpoint.url, Reach::Loopback)
            .map_err(|error| ApiError::new(403, "address_refused", format!("Refused: {error}.")))?;
    }
    let opened = keyring(call)?.open(&key.purpose(), &key.sealed());
    Ok(opened.map_err(|error| {
        log(&format!("{id}: {error}"));
        unreadable()
    })?)
}

/// Where the installation's own calls to a provider go.
pub(crate) fn platform_upstream(
    call: &Call,
    installation: &Installation,
    held: &ModelAccess,
    provider: Provider,
) -> Result<Upstream, Failed> {
    let known = MODELS.iter().find(|model| model.provider == provider);
    let model = known.cloned().unwrap_or_else(|| Model::undescribed("any"));
    let keys: Vec<HeldKey> = held.keys.iter().map(|key| key.held()).collect();
    let dialect = *model.dialects.first().unwrap_or(&catalogue::Dialect::Chat);
    // The one endpoint is nobody's list of a provider's models.
    let platform = Platform {
        endpoint: None,
        ..installation.platform.clone()
    };
    let route = route(&model, dialect, Mode::Sam, &keys, &platform).map_err(ApiError::from)?;
    let open = |id: &CredentialId| open(call, held, id);
    with_keys(route, model, installation, open)
}

/// The installation's one endpoint.
pub(crate) fn endpoint_upstream(installation: &Installation) -> Option<Upstream> {
    let platform = Platform {
        gateway: None,
        ..installation.platform.clone()
    };
    let model = Model::undescribed("any");
    let dialect = *platform.endpoint.as_ref()?.dialects.first()?;
    let route = route(&model, dialect, Mode::Sam, &[], &platform).ok()?;
    let open = |_: &CredentialId| Err(unreadable().into());
    with_keys(route, model, installation, open).ok()
}

/// The installation's encryption keys.
pub(crate) fn keyring(call: &Call) -> Result<Keyring, Failed> {
    let setting = bindings::secret(&call.env, bindings::SAM_CREDENTIAL_KEYS);
    Keyring::new(setting.as_ref(), &call.key()?).map_err(|error| hidden(&error))
}

fn over(ended: Ended) -> ApiError {
    match ended {
        Ended::Person => ApiError::new(
            403,
            "account_suspended",
            "Whoever this work is for may not use models here any more.",
        ),
        Ended::Task => ApiError::new(403, "task_ended", "The task of this token is over."),
        Ended::Node => ApiError::new(
            403,
            "node_removed",
            "The machine of this token was taken out.",
        ),
    }
}

fn not_configured() -> ApiError {
    ApiError::new(503, "model_not_configured", "No model is configured.").hint(
        "Set SAM_MODEL_URL, or SAM_CLOUDFLARE_ACCOUNT and SAM_CLOUDFLARE_TOKEN for AI Gateway, and \
         start the server again; or store a key of your own with `sam credential set`.",
    )
}

fn unreadable() -> ApiError {
    ApiError::new(
        503,
        "key_unreadable",
        "The key that pays for this call cannot be read any more.",
    )
    .hint("Store it again; nothing else is used in its place.")
}

/// What a client called a model, for a message.
fn shown(id: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() { c } else { '?' };
    id.chars().take(100).map(plain).collect()
}
