//! Signing in through the browser: the device flow (RFC 8628).
//!
//! The page and the code go to stderr, so that stdout stays for data. The pause
//! between two polls is the server's; told to slow down, it grows by five
//! seconds for good. That nobody answers for a while is no reason to give up
//! before the code expires.

use crate::api::{Api, Call};
use crate::error::Failure;
use crate::output::{note, progress, time};
use crate::secret::Secret;
use sam_domain::access::route::RouteId;
use sam_domain::device::wire::{AccessToken, DeviceCodes, GRANT_TYPE, OAuthError};
use sam_domain::error::ApiError;
use sam_domain::time::{Millis, Timestamp};
use std::io::IsTerminal;
use std::process::{Command, Stdio};
use std::time::Duration;
use url::Url;

/// What this program calls itself.
const CLIENT: &str = "sam-cli";
/// What each word to slow down adds to the pause between polls.
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// How often progress is shown on a terminal.
const TICK: Duration = Duration::from_secs(1);

/// How to sign in.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Scopes with spaces between them; everything when empty.
    pub(super) scope: String,
    /// Whether to open the page in a browser.
    pub(super) open: bool,
}

/// Signs in and returns the session's token.
pub(super) async fn sign_in(api: &Api, wanted: &Wanted) -> Result<Secret, Failure> {
    let mut fields = vec![("client_id", CLIENT)];
    if !wanted.scope.is_empty() {
        fields.push(("scope", &wanted.scope));
    }
    let begin = Call::new(RouteId::DeviceCode, &[]).form(&fields);
    let codes: DeviceCodes = api.oauth(begin).await?.map_err(refused)?;
    let page = web_page(&codes.verification_uri_complete)?;
    note(&format!(
        "Open this page, compare the code and approve:\n\n  {page}\n\n  code: {}\n",
        codes.user_code
    ));
    if wanted.open {
        open(&page);
    }
    wait(api, &codes).await
}

async fn wait(api: &Api, codes: &DeviceCodes) -> Result<Secret, Failure> {
    let ends = time::now().plus(Millis::seconds(codes.expires_in));
    let mut pause = Duration::from_secs(codes.interval);
    let shown = progress("Waiting for approval");
    loop {
        rest(pause, ends, &shown).await;
        if time::now() >= ends {
            return Err(expired());
        }
        let fields = [
            ("grant_type", GRANT_TYPE),
            ("device_code", codes.device_code.as_str()),
            ("client_id", CLIENT),
        ];
        let poll = Call::new(RouteId::DeviceToken, &[]).form(&fields);
        match api.oauth::<AccessToken>(poll).await {
            Ok(Ok(answer)) => return Ok(Secret::new(&answer.access_token)),
            Ok(Err(error)) => match error.error.as_str() {
                "authorization_pending" => {}
                "slow_down" => pause = pause.saturating_add(SLOW_DOWN),
                "expired_token" => return Err(expired()),
                _ => return Err(refused(error)),
            },
            // The person may be on their way to the page; the code still holds.
            Err(Failure::Unreachable { message, .. }) => shown.say(&message),
            Err(failure) => return Err(failure),
        }
    }
}

/// Waits, and shows how long there is left.
async fn rest(pause: Duration, ends: Timestamp, shown: &crate::output::Progress) {
    let mut left = pause;
    loop {
        shown.update(&format!("{} left", time::span(ends.since(time::now()))));
        let step = left.min(TICK);
        tokio::time::sleep(step).await;
        left -= step;
        if left.is_zero() {
            return;
        }
    }
}

fn expired() -> Failure {
    Failure::Api(
        ApiError::new(410, "expired_token", "The code has expired.")
            .hint("Start again with `sam auth login`."),
    )
}

fn refused(error: OAuthError) -> Failure {
    let message = match error.error.as_str() {
        "access_denied" => "You said no on the page, or may not sign in.".to_owned(),
        word => error.error_description.unwrap_or_else(|| word.to_owned()),
    };
    Failure::Api(
        ApiError::new(403, &error.error, message).hint("Start again with `sam auth login`."),
    )
}

/// The page's address, which must be one that a browser may be sent to.
fn web_page(address: &str) -> Result<Url, Failure> {
    Url::parse(address)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| Failure::unusable("The server's page for the code has no web address."))
}

/// Opens a page with `$BROWSER`, or on a terminal as the system does it. That it cannot be opened is
/// no failure: its address is on the screen.
fn open(page: &Url) {
    let chosen = std::env::var("BROWSER")
        .ok()
        .filter(|name| !name.is_empty());
    if chosen.is_none() && !std::io::stderr().is_terminal() {
        return;
    }
    let usual = if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    let _ = Command::new(chosen.as_deref().unwrap_or(usual))
        .arg(page.as_str())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
}
