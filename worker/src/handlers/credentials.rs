//! Keys to model APIs: a person's, a project's, the installation's. They come in and never go out.
//!
//! A key is tried at its provider when it is stored. One that is refused is stored all the same, with
//! a warning: a provider may be down, and who stores it may know better.

use std::time::Duration;

use sam_domain::catalogue::model::{Model, Provider};
use sam_domain::catalogue::models::MODELS;
use sam_domain::conversation::call::Done;
use sam_domain::error::ApiError;
use sam_domain::id::{CredentialId, ProjectId, UserId};
use sam_domain::login::call::LoginName;
use sam_domain::provider::Mode;
use sam_domain::provider::address::{self, Reach};
use sam_domain::provider::key::{HeldKey, KeyHeader, Scope};
use sam_domain::provider::route::route;
use sam_domain::provider::wire::{
    CredentialList, CredentialView, KeyCheck, PutCredential, Rotated,
};
use sam_platform::crypto::{Keyring, Secret};
use sam_platform::d1::agent_logins::{self, AgentLogins};
use sam_platform::d1::credentials::{self, Credential, Credentials, Details};
use sam_platform::d1::settings::{self, Settings};
use sam_platform::http;

use super::audit;
use crate::call::Call;
use crate::errors::{Answer, Failed, hidden};
use crate::membership::Member;
use crate::principal::{Admin, User};
use crate::proxy::access::{keyring, with_keys};
use crate::proxy::installation::Installation;
use crate::proxy::models::{self, Listed};

/// Longest key that is taken, in bytes.
const KEY_LIMIT: usize = 8 * 1024;
/// How long a provider may take to say whether it takes a key.
const PATIENCE: Duration = Duration::from_secs(5);
/// Keys that are encrypted anew between two reads.
const PAGE: u32 = 50;

/// Whose keys are meant, and who asks.
struct Place {
    scope: Scope,
    owner: String,
    project: Option<ProjectId>,
    by: UserId,
    /// How far addresses may reach: only who runs the installation names its own machine.
    reach: Reach,
    /// Which segment of the path is the provider.
    segment: usize,
}

impl Place {
    fn of_user(user: &User) -> Self {
        Self {
            scope: Scope::User,
            owner: user.id().to_string(),
            project: None,
            by: user.id().clone(),
            reach: reach(user),
            segment: 0,
        }
    }

    fn of_project(member: &Member) -> Self {
        Self {
            scope: Scope::Project,
            owner: member.project.to_string(),
            project: Some(member.project.clone()),
            by: member.id().clone(),
            reach: reach(&member.user),
            segment: 1,
        }
    }

    fn of_platform(admin: &Admin) -> Self {
        Self {
            scope: Scope::Platform,
            owner: "platform".to_owned(),
            project: None,
            by: admin.id().clone(),
            reach: Reach::Loopback,
            segment: 0,
        }
    }

    fn provider(&self, call: &Call) -> Result<Provider, ApiError> {
        call.segment(self.segment)
            .and_then(Provider::parse)
            .ok_or_else(|| ApiError::not_found("provider"))
    }

    async fn audit(&self, call: &Call, what: &'static str, of: Provider) -> Result<(), Failed> {
        let project = self.project.as_ref();
        let database = call.database()?;
        let detail = Some(of.name());
        audit::detailed(
            call,
            &database,
            &self.by,
            what,
            &self.owner,
            project,
            detail,
        )
        .await
    }
}

fn reach(user: &User) -> Reach {
    match user.person.role {
        sam_domain::access::wire::Role::Admin => Reach::Loopback,
        sam_domain::access::wire::Role::Member => Reach::Public,
    }
}

pub(crate) async fn list(call: &Call, user: User) -> Answer {
    list_at(call, &Place::of_user(&user)).await
}

pub(crate) async fn put(call: &Call, user: User) -> Answer {
    put_at(call, &Place::of_user(&user)).await
}

pub(crate) async fn remove(call: &Call, user: User) -> Answer {
    remove_at(call, &Place::of_user(&user)).await
}

pub(crate) async fn list_of_project(call: &Call, member: Member) -> Answer {
    list_at(call, &Place::of_project(&member)).await
}

pub(crate) async fn put_for_project(call: &Call, member: Member) -> Answer {
    put_at(call, &Place::of_project(&member)).await
}

pub(crate) async fn remove_from_project(call: &Call, member: Member) -> Answer {
    remove_at(call, &Place::of_project(&member)).await
}

pub(crate) async fn list_of_platform(call: &Call, admin: Admin) -> Answer {
    list_at(call, &Place::of_platform(&admin)).await
}

pub(crate) async fn put_for_platform(call: &Call, admin: Admin) -> Answer {
    put_at(call, &Place::of_platform(&admin)).await
}

pub(crate) async fn remove_from_platform(call: &Call, admin: Admin) -> Answer {
    remove_at(call, &Place::of_platform(&admin)).await
}

async fn list_at(call: &Call, place: &Place) -> Answer {
    let held = Credentials(&call.database()?)
        .list(place.scope, &place.owner)
        .await?;
    let credentials = held.iter().map(|held| view(held, None)).collect();
    Ok(http::json(200, &CredentialList { credentials }))
}

async fn put_at(call: &Call, place: &Place) -> Answer {
    let provider = place.provider(call)?;
    let request: PutCredential = call.json().await?;
    let database = call.database()?;
    let table = Credentials(&database);
    let keys = keyring(call)?;
    let held = table.list(place.scope, &place.owner).await?;
    let held = held.into_iter().find(|held| held.provider == provider);

    let mut key = HeldKey {
        id: match &held {
            Some(held) => held.id.clone(),
            None => call.mint()?,
        },
        scope: place.scope,
        provider,
        active: request.active.unwrap_or(true),
        endpoint: None,
        account: None,
    };
    destination(&mut key, &request, held.as_ref(), place.reach)?;
    let keyless = key
        .endpoint
        .as_ref()
        .is_some_and(|endpoint| endpoint.header == KeyHeader::None);
    let purpose = credentials::purpose(place.scope, &place.owner, provider);
    let moved = held.as_ref().is_some_and(|held| {
        let held = held.held();
        held.endpoint != key.endpoint || held.account != key.account
    });
    let secret = match (request.key.as_deref().map(str::trim), &held) {
        (Some(text), _) if text.is_empty() && keyless => Secret::new(""),
        (Some(text), _) => checked(text)?,
        (None, _) if keyless => Secret::new(""),
        // A key that was given for one address is not sent to another.
        (None, Some(_)) if moved => return Err(key_required().into()),
        (None, Some(held)) => keys
            .open(&purpose, &held.sealed())
            .map_err(|_| key_required())?,
        (None, None) => return Err(key_required().into()),
    };
    let (check, warning) = tried(call, &key, &secret).await;
    let details = Details {
        active: key.active,
        endpoint: key.endpoint.clone(),
        account: key.account.clone(),
        checked: check,
        by: place.by.clone(),
        at: call.now,
    };
    let sealed = keys.seal(&purpose, &secret).map_err(|e| hidden(&e))?;
    let owner = (place.scope, place.owner.as_str(), provider);
    table.put(&key.id, owner, &sealed, &details).await?;
    place.audit(call, "credential_stored", provider).await?;
    let stored = table.list(place.scope, &place.owner).await?;
    let stored = stored.into_iter().find(|held| held.provider == provider);
    let stored = stored.ok_or_else(|| hidden(&"a stored key is gone"))?;
    Ok(http::json(200, &view(&stored, warning)))
}

async fn remove_at(call: &Call, place: &Place) -> Answer {
    let provider = place.provider(call)?;
    let removed = Credentials(&call.database()?)
        .remove(place.scope, &place.owner, provider)
        .await?;
    if !removed {
        return Err(ApiError::not_found("key").into());
    }
    place.audit(call, "credential_removed", provider).await?;
    Ok(http::json(200, &Done {}))
}

/// Where a key is sent, as asked for, else as it was.
fn destination(
    key: &mut HeldKey,
    request: &PutCredential,
    held: Option<&Credential>,
    reach: Reach,
) -> Result<(), ApiError> {
    let refuse = |code: &str, message: &str| Err(ApiError::new(422, code, message));
    let before = held.map(Credential::held);
    let (custom, workers) = (
        key.provider == Provider::Custom,
        key.provider == Provider::WorkersAi,
    );
    if request.endpoint.is_some() && !custom {
        let message = "Only a `custom` provider has an endpoint of its own.";
        return refuse("endpoint_not_expected", message);
    }
    if request.account.is_some() && !workers {
        return refuse("account_not_expected", "Only Workers AI has an account.");
    }
    let kept = before.as_ref();
    if custom {
        let endpoint = request.endpoint.clone();
        let endpoint = endpoint.or_else(|| kept.and_then(|held| held.endpoint.clone()));
        let Some(mut endpoint) = endpoint else {
            return refuse("endpoint_required", "Say where the API is: `endpoint.url`.");
        };
        if endpoint.dialects.is_empty() {
            return refuse("bad_endpoint", "An API speaks at least one dialect.");
        }
        endpoint.url = address::check(&sam_platform::address::plain(&endpoint.url), reach)
            .map_err(|error| ApiError::new(422, "address_refused", format!("Refused: {error}.")))?;
        key.endpoint = Some(endpoint);
    }
    if workers {
        let account = request.account.clone();
        let account = account.or_else(|| kept.and_then(|held| held.account.clone()));
        let plain = |text: &String| {
            !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        let Some(account) = account.filter(plain) else {
            let message = "Say which Cloudflare account the token is for: `account`.";
            return refuse("account_required", message);
        };
        key.account = Some(account);
    }
    Ok(())
}

/// A key as a header can carry it.
fn checked(text: &str) -> Result<Secret, ApiError> {
    if text.is_empty() || text.len() > KEY_LIMIT || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(ApiError::new(
            422,
            "bad_key",
            "A key is printable characters without spaces.",
        ));
    }
    Ok(Secret::new(text))
}

fn key_required() -> ApiError {
    ApiError::new(422, "key_required", "The key itself is missing: `key`.")
}

/// How the provider takes a key, and what to say of it.
async fn tried(call: &Call, key: &HeldKey, secret: &Secret) -> (KeyCheck, Option<String>) {
    let unknown = |why: &str| {
        let words =
            format!("The key is stored; whether its provider takes it is not known: {why}.");
        (KeyCheck::Unknown, Some(words))
    };
    let installation = match Installation::of(&call.env) {
        Ok(installation) => installation,
        Err(error) => return unknown(&error.message),
    };
    let known = MODELS.iter().find(|model| model.provider == key.provider);
    let model = known.cloned().unwrap_or_else(|| Model::undescribed("any"));
    let mode = match key.scope {
        Scope::Platform => Mode::Sam,
        Scope::Project | Scope::User => Mode::OwnKey,
    };
    let held = HeldKey {
        active: true,
        ..key.clone()
    };
    let [dialect, ..] = model.dialects.as_ref() else {
        return unknown("the model has no dialect");
    };
    let routed = route(&model, *dialect, mode, &[held], &installation.platform);
    let routed = match routed {
        Ok(routed) => routed,
        Err(cause) => return unknown(&ApiError::from(cause).message),
    };
    let open = |_: &CredentialId| Ok(secret.clone());
    let upstream = match with_keys(routed, model, &installation, open) {
        Ok(upstream) => upstream,
        Err(Failed(error)) => return unknown(&error.message),
    };
    match models::ask(&upstream, PATIENCE).await {
        Ok(Listed::Models(_)) => (KeyCheck::Accepted, None),
        Ok(Listed::Status(status @ (401 | 403))) => (
            KeyCheck::Refused,
            Some(format!(
                "The provider refuses this key ({status}). It is stored all the same."
            )),
        ),
        Ok(Listed::Status(status)) => unknown(&format!("it answered with {status}")),
        Err(_) => unknown("it cannot be reached"),
    }
}

fn view(held: &Credential, warning: Option<String>) -> CredentialView {
    let (key, details) = (held.held(), held.details());
    CredentialView {
        id: key.id,
        scope: key.scope,
        provider: key.provider,
        active: key.active,
        endpoint: key.endpoint,
        account: key.account,
        key_id: held.sealed().key_id,
        check: details.checked,
        warning,
        updated_by: details.by,
        updated_at: details.at,
    }
}

/// Encrypts every stored key under the present encryption key. Repeating it is harmless.
pub(crate) async fn rotate(call: &Call, admin: Admin) -> Answer {
    let keys = keyring(call)?;
    let database = call.database()?;
    let table = Credentials(&database);
    let mut rotated = Rotated {
        key_id: keys.present().to_owned(),
        moved: 0,
        already: 0,
        unreadable: Vec::new(),
    };
    let mut last = String::new();
    loop {
        let page = table.after(&last, PAGE).await?;
        let Some(end) = page.last() else {
            break;
        };
        last = end.id.to_string();
        for held in page {
            let sealed = held.sealed();
            if sealed.key_id == rotated.key_id {
                rotated.already += 1;
                continue;
            }
            let Ok(secret) = keys.open(&held.purpose(), &sealed) else {
                rotated.unreadable.push(held.id.to_string());
                continue;
            };
            let anew = keys
                .seal(&held.purpose(), &secret)
                .map_err(|e| hidden(&e))?;
            // Whoever stored another one meanwhile did so under the present key.
            if table.reseal(&held, &anew).await? {
                rotated.moved += 1;
            } else {
                rotated.already += 1;
            }
        }
    }
    rotate_logins(&AgentLogins(&database), &keys, &mut rotated).await?;
    rotate_settings(&Settings(&database), &keys, &mut rotated).await?;
    audit::record(call, &database, admin.id(), "key_rotated", &rotated.key_id).await?;
    Ok(http::json(200, &rotated))
}

/// The same for settings that are kept in the app.
async fn rotate_settings(
    table: &Settings<'_>,
    keys: &Keyring,
    rotated: &mut Rotated,
) -> Result<(), Failed> {
    for held in table.list().await? {
        let (sealed, purpose) = (held.sealed(), settings::purpose(&held.name));
        if sealed.key_id == rotated.key_id {
            rotated.already += 1;
            continue;
        }
        let Ok(secret) = keys.open(&purpose, &sealed) else {
            rotated.unreadable.push(held.name);
            continue;
        };
        let anew = keys.seal(&purpose, &secret).map_err(|e| hidden(&e))?;
        if table.reseal(&held, &anew).await? {
            rotated.moved += 1;
        } else {
            rotated.already += 1;
        }
    }
    Ok(())
}

/// The same for subscription logins.
async fn rotate_logins(
    table: &AgentLogins<'_>,
    keys: &Keyring,
    rotated: &mut Rotated,
) -> Result<(), Failed> {
    let mut last: Option<LoginName> = None;
    loop {
        let page = table.logins_after(last.as_ref(), PAGE).await?;
        let Some(end) = page.last() else {
            return Ok(());
        };
        last = Some(end.name());
        for held in page {
            let (sealed, purpose) = (held.sealed(), agent_logins::purpose(&held.name()));
            if sealed.key_id == rotated.key_id {
                rotated.already += 1;
                continue;
            }
            let Ok(secret) = keys.open(&purpose, &sealed) else {
                rotated.unreadable.push(held.name().to_string());
                continue;
            };
            let anew = keys.seal(&purpose, &secret).map_err(|e| hidden(&e))?;
            if table.resealed(&held, &anew).await? {
                rotated.moved += 1;
            } else {
                rotated.already += 1;
            }
        }
    }
}
