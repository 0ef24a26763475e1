//! Signing in with GitHub: the OAuth web flow with PKCE and state.
//!
//! What binds the way out to the way back lies in a signed cookie of this browser alone: the state,
//! the verifier and where to go afterwards. So a callback that somebody else began, or that was kept
//! for later, signs nobody in. GitHub's own token is used once, to ask who this is, and forgotten.
//!
//! People meet these routes as pages: what is refused leads back to the sign-in page with a word.

use std::time::Duration;

use sam_domain::access::doctor::{Check, Health};
use sam_domain::error::ApiError;
use sam_domain::id::{Id as _, UserId};
use sam_domain::time::{Millis, Timestamp};
use sam_platform::bindings;
use sam_platform::crypto::{Expiring, Secret, base64url, keys::TOKEN_BYTES, sha256_base64url};
use sam_platform::d1::D1;
use sam_platform::d1::identities::{Identities, Identity, Known};
use sam_platform::d1::users::User as Person;
use sam_platform::entropy;
use sam_platform::fetch::{self, Outgoing};
use sam_platform::http::{self, cookies};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::{Host, Url, form_urlencoded};
use worker::Response;

use super::{audit, auth};
use crate::call::Call;
use crate::config::Config;
use crate::errors::{Answer, Failed, log};
use crate::principal::{self, COOKIE, Public};

/// The word of this provider.
const PROVIDER: &str = "github";
/// The cookie that binds the way back to the way out; its value has this prefix as well.
const TRIP: &str = "sam_oauth";
const TRIP_PREFIX: &str = "sam_oau_";
/// How long somebody may be away.
const TRIP_LIFETIME: Millis = Millis::minutes(10);
/// How long GitHub may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longest answer of GitHub's that is read, in bytes.
const ANSWER_LIMIT: usize = 256 * 1024;
/// Longest address to come back to, in bytes.
const BACK_LIMIT: usize = 300;
/// Longest name, in characters.
const NAME_LIMIT: usize = 100;

/// The configured OAuth app.
struct Github {
    client_id: String,
    client_secret: Secret,
    web: Url,
    api: Url,
}

/// Whether one can sign in with GitHub here.
pub(super) async fn is_configured(call: &Call) -> bool {
    match Config::of(call).await {
        Ok(config) => Github::configured(call, &config).is_some(),
        Err(_) => false,
    }
}

impl Github {
    fn configured(call: &Call, config: &Config<'_>) -> Option<Self> {
        let url_setting = |name| bindings::url_setting(&call.env, name);
        let base = |name, standard: &str| {
            let url = Url::parse(&url_setting(name).unwrap_or_else(|| standard.to_owned())).ok()?;
            let loopback = match url.host() {
                Some(Host::Ipv4(ip)) => ip.is_loopback(),
                Some(Host::Ipv6(ip)) => ip.is_loopback(),
                _ => false,
            };
            (url.scheme() == "https" || (url.scheme() == "http" && loopback)).then_some(url)
        };
        Some(Self {
            client_id: config
                .value(bindings::SAM_GITHUB_CLIENT_ID)?
                .expose()
                .to_owned(),
            client_secret: config.value(bindings::SAM_GITHUB_CLIENT_SECRET)?,
            web: base(bindings::SAM_GITHUB_URL, "https://github.com")?,
            api: base(bindings::SAM_GITHUB_API_URL, "https://api.github.com")?,
        })
    }
}

/// What this browser set out with.
#[derive(Serialize, Deserialize)]
struct Trip {
    state: String,
    verifier: String,
    /// A path of ours with its query.
    back: String,
    exp: Timestamp,
}

impl Expiring for Trip {
    fn expires_at(&self) -> Timestamp {
        self.exp
    }
}

/// Who GitHub says this is.
#[derive(Deserialize)]
struct Account {
    id: u64,
    login: String,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Deserialize)]
struct Exchanged {
    access_token: Option<Secret>,
    error: Option<String>,
}

pub(crate) async fn start(call: &Call, _: Public) -> Answer {
    let config = Config::of(call).await?;
    let github = Github::configured(call, &config).ok_or_else(|| {
        ApiError::new(
            503,
            "github_not_configured",
            "Nobody can sign in with GitHub here.",
        )
        .hint("An administrator sets the app up under Setup, or where the server is started.")
    })?;
    let trip = Trip {
        state: base64url(&entropy::bytes::<TOKEN_BYTES>()?),
        verifier: base64url(&entropy::bytes::<TOKEN_BYTES>()?),
        back: back(call),
        exp: call.now.plus(TRIP_LIFETIME),
    };
    let mut page = github.web.clone();
    page.set_path("/login/oauth/authorize");
    page.query_pairs_mut()
        .append_pair("client_id", &github.client_id)
        .append_pair("redirect_uri", &callback_url(call))
        .append_pair("scope", "read:user")
        .append_pair("state", &trip.state)
        .append_pair(
            "code_challenge",
            &sha256_base64url(trip.verifier.as_bytes()),
        )
        .append_pair("code_challenge_method", "S256");
    let value = call.key()?.sign(TRIP_PREFIX, &trip)?;
    let cookie = cookies::issue(
        TRIP,
        value.expose(),
        TRIP_LIFETIME.0 / 1000,
        call.secure_cookies(),
    );
    redirect(page.as_str(), &[cookie])
}

/// Where to go afterwards: a path of ours, or home.
fn back(call: &Call) -> String {
    let wanted = call.url.query_pairs().find(|(name, _)| name == "back");
    let here = call.public_url();
    wanted
        .filter(|(_, path)| path.len() <= BACK_LIMIT && path.starts_with('/'))
        .and_then(|(_, path)| here.join(&path).ok())
        .filter(|url| url.origin() == here.origin())
        .map_or_else(
            || "/".to_owned(),
            |url| match url.query() {
                Some(query) => format!("{}?{query}", url.path()),
                None => url.path().to_owned(),
            },
        )
}

fn callback_url(call: &Call) -> String {
    let mut url = call.public_url();
    url.set_path("/api/auth/github/callback");
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

fn redirect(to: &str, set_cookies: &[String]) -> Answer {
    let mut reply: Response = http::empty(302);
    let headers = reply.headers_mut();
    headers.set("location", to)?;
    headers.set("cache-control", "no-store")?;
    for cookie in set_cookies {
        headers.append("set-cookie", cookie)?;
    }
    Ok(reply)
}

/// Back to the sign-in page, with the word of what was refused.
fn refused(call: &Call, word: &str) -> Answer {
    let away = cookies::revoke(TRIP, call.secure_cookies());
    redirect(&format!("/sign-in?refused={word}"), &[away])
}

pub(crate) async fn callback(call: &Call, _: Public) -> Answer {
    let config = Config::of(call).await?;
    let Some(github) = Github::configured(call, &config) else {
        return refused(call, "github_not_configured");
    };
    let parameter = |name: &str| {
        let mut pairs = call.url.query_pairs();
        pairs
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    let trip: Option<Trip> = http::cookie(&call.request, TRIP)
        .and_then(|value| call.key().ok()?.verify(TRIP_PREFIX, &value, call.now).ok());
    let (Some(trip), Some(state)) = (trip, parameter("state")) else {
        return refused(call, "sign_in_not_begun_here");
    };
    let same = call
        .key()?
        .secrets_equal(&Secret::new(trip.state), &Secret::new(state));
    if !same {
        return refused(call, "sign_in_not_begun_here");
    }
    let Some(code) = parameter("code") else {
        return refused(call, "github_said_no");
    };
    let account = match who(call, &github, &code, &trip.verifier).await {
        Ok(account) => account,
        Err(cause) => {
            log(&format!("signing in with GitHub: {cause}"));
            return refused(call, "github_failed");
        }
    };
    let person = match person(call, &config, &account).await? {
        Ok(person) => person,
        Err(word) => return refused(call, word),
    };
    if person.waits_since.is_some() {
        return refused(call, "waits_for_approval");
    }
    if principal::active(&person).is_err() {
        return refused(call, "account_shut_out");
    }
    auth::end_former(call).await?;
    let (token, lasts) = auth::open_session(call, &person, &auth::Narrowed::default()).await?;
    let secure = call.secure_cookies();
    let session = cookies::issue(COOKIE, token.expose(), lasts.0 / 1000, secure);
    redirect(
        &format!("{}#signed-in", trip.back),
        &[cookies::revoke(TRIP, secure), session],
    )
}

/// Exchanges a code for GitHub's token.
async fn exchange(
    call: &Call,
    github: &Github,
    code: &str,
    verifier: &str,
) -> Result<Exchanged, String> {
    let mut url = github.web.clone();
    url.set_path("/login/oauth/access_token");
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", &github.client_id)
        .append_pair("client_secret", github.client_secret.expose())
        .append_pair("code", code)
        .append_pair("redirect_uri", &callback_url(call))
        .append_pair("code_verifier", verifier)
        .finish();
    ask(&Outgoing {
        method: "POST",
        url: url.as_str(),
        headers: vec![
            ("accept", "application/json".to_owned()),
            (
                "content-type",
                "application/x-www-form-urlencoded".to_owned(),
            ),
            ("user-agent", "sam".to_owned()),
        ],
        body: Some(form.into_bytes()),
        first_byte_within: PATIENCE,
    })
    .await
}

/// Exchanges the code and asks who this is.
async fn who(call: &Call, github: &Github, code: &str, verifier: &str) -> Result<Account, String> {
    let exchanged = exchange(call, github, code, verifier).await?;
    let Some(token) = exchanged.access_token else {
        return Err(format!(
            "the code was refused: {}",
            exchanged.error.unwrap_or_default()
        ));
    };
    let url = github.api.join("user").map_err(|error| error.to_string())?;
    ask(&Outgoing {
        method: "GET",
        url: url.as_str(),
        headers: vec![
            ("accept", "application/vnd.github+json".to_owned()),
            ("authorization", format!("Bearer {}", token.expose())),
            ("user-agent", "sam".to_owned()),
        ],
        body: None,
        first_byte_within: PATIENCE,
    })
    .await
}

/// Whether GitHub takes the app's id and secret: a code that is none is refused for being none, and
/// not for who presents it.
pub(super) async fn check(call: &Call) -> Check {
    let name = "github";
    let Ok(config) = Config::of(call).await else {
        return Check::not(
            name,
            Health::Failed,
            "The settings cannot be read.",
            "Mend the database first: settings of the app are in it.",
        );
    };
    let set = |name| config.value(name).is_some();
    let Some(github) = Github::configured(call, &config) else {
        let begun = set(bindings::SAM_GITHUB_CLIENT_ID) || set(bindings::SAM_GITHUB_CLIENT_SECRET);
        let health = if begun { Health::Failed } else { Health::Off };
        return Check::not(
            name,
            health,
            "Nobody can sign in with GitHub here.",
            "Make an OAuth app on GitHub; set SAM_GITHUB_CLIENT_ID and SAM_GITHUB_CLIENT_SECRET under Setup, or where the server is started.",
        );
    };
    match exchange(call, &github, "doctor", "doctor").await {
        Ok(Exchanged {
            error: Some(error), ..
        }) if error == "bad_verification_code" => {
            Check::ok(name, "GitHub knows the app and takes its secret.")
        }
        Ok(Exchanged { error, .. }) => Check::not(
            name,
            Health::Failed,
            format!("GitHub refuses the app: {}.", error.unwrap_or_default()),
            "Check SAM_GITHUB_CLIENT_ID and SAM_GITHUB_CLIENT_SECRET.",
        ),
        Err(cause) => Check::not(
            name,
            Health::Failed,
            format!("GitHub cannot be asked: {cause}."),
            "Check SAM_GITHUB_URL.",
        ),
    }
}

/// A JSON answer; the error says nothing of what was sent.
async fn ask<T: DeserializeOwned>(outgoing: &Outgoing<'_>) -> Result<T, String> {
    let incoming = fetch::send(outgoing)
        .await
        .map_err(|error| error.to_string())?;
    let status = incoming.status;
    let bytes = incoming
        .into_bytes(ANSWER_LIMIT)
        .await
        .map_err(|error| format!("the answer broke off: {error:?}"))?;
    if !(200..300).contains(&status) {
        return Err(format!("it answered {status}"));
    }
    http::parse_json(&bytes).map_err(|error| format!("an answer of another shape: {error}"))
}

/// The person of an account: known, the one whose browser this is, or new where new people may come.
/// `Err` is the word of the refusal.
async fn person(
    call: &Call,
    config: &Config<'_>,
    account: &Account,
) -> Result<Result<Person, &'static str>, Failed> {
    let database = call.database()?;
    let identities = Identities(&database);
    let subject = account.id.to_string();
    let identity = Identity {
        provider: PROVIDER,
        subject: &subject,
    };
    match identities.find(identity).await? {
        Known::Person(person) => return Ok(Ok(person)),
        Known::Removed => return Ok(Err("account_shut_out")),
        Known::Nobody => {}
    }
    if let Some(signed_in) = principal::whose_browser(call).await? {
        identities.link(identity, &signed_in.id, call.now).await?;
        note(
            call,
            &database,
            &signed_in.id,
            "github_linked",
            &account.login,
        )
        .await?;
    } else {
        let sign_up = config.value(bindings::SAM_SIGN_UP);
        let waits = match sign_up.as_ref().map(Secret::expose) {
            Some("open") => false,
            Some("approval") => true,
            _ => return Ok(Err("not_invited")),
        };
        let id: UserId = call.mint()?;
        let name = account.name.as_deref().unwrap_or(&account.login);
        let name: String = name
            .chars()
            .filter(|c| !c.is_control())
            .take(NAME_LIMIT)
            .collect();
        let name = Some(name.trim()).filter(|name| !name.is_empty());
        identities
            .come(
                identity,
                &id,
                name.unwrap_or(&account.login),
                waits,
                call.now,
            )
            .await?;
        let action = if waits { "person_waits" } else { "person_came" };
        note(call, &database, &id, action, &account.login).await?;
        if waits {
            return Ok(Err("waits_for_approval"));
        }
    }
    Ok(match identities.find(identity).await? {
        Known::Person(person) => Ok(person),
        Known::Removed | Known::Nobody => Err("account_shut_out"),
    })
}

/// Writes down who is somebody on GitHub.
async fn note(
    call: &Call,
    database: &D1,
    user: &UserId,
    action: &'static str,
    login: &str,
) -> Result<(), Failed> {
    audit::detailed(
        call,
        database,
        user,
        action,
        user.as_str(),
        None,
        Some(login),
    )
    .await
}
