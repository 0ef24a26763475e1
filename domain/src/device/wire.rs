//! The device flow on the wire. Field names and error words are those of RFC 8628, RFC 6749 and
//! RFC 8414; programs that know these know ours.

use super::code::UserCode;
use crate::access::tokens::Scopes;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The grant type of polls.
pub const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Who asks to be signed in, for what, and from where: what a person compares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Asked {
    /// What the program calls itself: its `client_id`.
    pub client_id: String,
    /// Its `User-Agent`, shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Its address, as the control plane saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Where that address is, as far as the edge knows: city, country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What the session may do; everything its person may, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Scopes>,
}

/// `POST /api/auth/device/code`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceCodeRequest {
    /// What the program calls itself, e.g. `sam-cli`.
    pub client_id: String,
    /// Scopes with spaces between them; everything its person may do, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

/// Answer to `POST /api/auth/device/code` (RFC 8628, 3.2).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceCodes {
    /// What the program polls with.
    pub device_code: String,
    /// What the person compares.
    pub user_code: UserCode,
    /// Where the person goes.
    pub verification_uri: String,
    /// The same with the code in it.
    pub verification_uri_complete: String,
    /// In how many seconds both codes end.
    pub expires_in: u64,
    /// How many seconds to wait between two polls.
    pub interval: u64,
}

impl std::fmt::Debug for DeviceCodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceCodes")
            .field("user_code", &self.user_code)
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

/// `POST /api/auth/device/token`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceTokenRequest {
    /// [`GRANT_TYPE`].
    pub grant_type: String,
    /// The device code.
    pub device_code: String,
    /// The same client as before.
    pub client_id: String,
}

/// A session for the program (RFC 6749, 5.1).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AccessToken {
    /// The session's token, `sam_ses_…`.
    pub access_token: String,
    /// `Bearer`.
    pub token_type: String,
    /// In how many seconds it ends.
    pub expires_in: u64,
    /// What it may do, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

impl std::fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessToken")
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

/// An error in the shape of RFC 6749, 5.2. Its status is 400, and 429 where a limit is met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OAuthError {
    /// The word, e.g. `authorization_pending`.
    pub error: String,
    /// The same for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_description: Option<String>,
}

impl OAuthError {
    /// An error from its word and its sentence.
    #[must_use]
    pub fn new(error: &str, description: &str) -> Self {
        Self {
            error: error.to_owned(),
            error_description: Some(description.to_owned()),
        }
    }
}

/// Where a flow stands, for the person who looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeviceState {
    /// It waits for a decision.
    Pending,
    /// It was approved; the program has not fetched its session yet.
    Approved,
    /// It was denied.
    Denied,
    /// Its time passed.
    Expired,
    /// The program has its session.
    Redeemed,
}

/// `GET /api/auth/device/{user_code}`: what a person compares before they decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceView {
    /// The code, as the program shows it.
    pub user_code: UserCode,
    /// Where it stands.
    pub state: DeviceState,
    /// Who asks for what, from where.
    #[serde(flatten)]
    pub asked: Asked,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// `POST /api/auth/device/approve` and `…/deny`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DecideDevice {
    /// The code that was compared.
    pub user_code: UserCode,
}

/// `GET /.well-known/oauth-authorization-server` (RFC 8414).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuthorizationServer {
    /// This installation.
    pub issuer: String,
    /// Where device flows begin.
    pub device_authorization_endpoint: String,
    /// Where programs poll.
    pub token_endpoint: String,
    /// None: there is no authorization endpoint.
    pub response_types_supported: Vec<String>,
    /// The device flow alone.
    pub grant_types_supported: Vec<String>,
    /// `none`: programs are public clients.
    pub token_endpoint_auth_methods_supported: Vec<String>,
    /// What may be asked for.
    pub scopes_supported: Vec<String>,
}
