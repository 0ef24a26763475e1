//! What the installation is configured with for model calls.
//!
//! Two kinds of access can be set, and both at once: one endpoint (`SAM_MODEL_URL` and what belongs
//! to it), and an AI Gateway (`SAM_CLOUDFLARE_ACCOUNT` and `SAM_CLOUDFLARE_TOKEN`). Which of them a
//! call uses is [`sam_domain::provider::route`]'s business.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use sam_domain::access::wire::ModelStatus;
use sam_domain::catalogue::model::Dialect;
use sam_domain::catalogue::models::UTILITY_DEFAULT;
use sam_domain::error::ApiError;
use sam_domain::provider::address::{self, AddressError, Reach};
use sam_domain::provider::key::{Endpoint, KeyHeader};
use sam_domain::provider::route::{AI_GATEWAY, CLOUDFLARE, GATEWAY_ID, Gateway, Platform};
use sam_platform::bindings;
use sam_platform::crypto::Secret;
use url::Url;
use worker::Env;

/// How long a model endpoint may say nothing unless it is set.
const STANDARD_SILENCE: Duration = Duration::from_secs(600);

thread_local! {
    /// As it was read. An isolate's settings do not change: others come with another isolate.
    static READ: RefCell<Option<Rc<Installation>>> = RefCell::default();
}

/// The configuration.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    /// Endpoint and gateway.
    pub(crate) platform: Platform,
    /// The model for requests that name none.
    pub(crate) model: Option<String>,
    /// How long an upstream may say nothing. A model may think for minutes.
    pub(crate) silence: Duration,
    /// The endpoint's key.
    pub(crate) endpoint_key: Option<Secret>,
    /// The Cloudflare token.
    pub(crate) token: Option<Secret>,
    /// Base of Cloudflare's API, without a slash at the end.
    pub(crate) cloudflare: String,
}

/// Why the configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misconfigured {
    #[error("{0} is not a URL")]
    NotAUrl(&'static str),
    #[error("{0} must use https, except on this machine")]
    NotHttps(&'static str),
    #[error("{0}: {1}")]
    Refused(&'static str, AddressError),
    #[error(
        "SAM_MODEL_AUTH must be `authorization`, `cf-aig-authorization`, `x-api-key` or `none`"
    )]
    UnknownAuth,
    #[error("SAM_MODEL_DIALECTS must list `chat`, `responses` or `messages`")]
    UnknownDialect,
    #[error("SAM_MODEL_SILENCE must be a number of seconds from 1 to 3600")]
    NoSilence,
    #[error("SAM_CLOUDFLARE_ACCOUNT and SAM_CLOUDFLARE_TOKEN belong together")]
    HalfAGateway,
    #[error("{0} must be 1 to 64 letters, digits, `-` or `_`")]
    BadName(&'static str),
}

impl From<Misconfigured> for ApiError {
    fn from(cause: Misconfigured) -> Self {
        Self::new(503, "model_misconfigured", format!("{cause}."))
            .hint("Change the setting and start the server again.")
    }
}

/// The texts of the settings.
#[derive(Clone, Copy, Default)]
struct Texts<'a> {
    url: Option<&'a str>,
    auth: Option<&'a str>,
    dialects: Option<&'a str>,
    silence: Option<&'a str>,
    account: Option<&'a str>,
    gateway: Option<&'a str>,
    gateway_url: Option<&'a str>,
    cloudflare: Option<&'a str>,
    has_token: bool,
}

impl Installation {
    /// The settings, read once.
    pub(crate) fn of(env: &Env) -> Result<Rc<Self>, ApiError> {
        if let Some(read) = READ.with_borrow(Clone::clone) {
            return Ok(read);
        }
        let read = Rc::new(Self::read(env)?);
        READ.set(Some(Rc::clone(&read)));
        Ok(read)
    }

    fn read(env: &Env) -> Result<Self, ApiError> {
        let setting = |name| bindings::setting(env, name);
        let url_setting = |name| bindings::url_setting(env, name);
        let (url, auth) = (
            url_setting(bindings::SAM_MODEL_URL),
            setting(bindings::SAM_MODEL_AUTH),
        );
        let dialects = setting(bindings::SAM_MODEL_DIALECTS);
        let silence = setting(bindings::SAM_MODEL_SILENCE);
        let account = setting(bindings::SAM_CLOUDFLARE_ACCOUNT);
        let gateway = setting(bindings::SAM_AI_GATEWAY);
        let gateway_url = url_setting(bindings::SAM_AI_GATEWAY_URL);
        let cloudflare = url_setting(bindings::SAM_CLOUDFLARE_URL);
        let token = bindings::secret(env, bindings::SAM_CLOUDFLARE_TOKEN);
        let texts = Texts {
            url: url.as_deref(),
            auth: auth.as_deref(),
            dialects: dialects.as_deref(),
            silence: silence.as_deref(),
            account: account.as_deref(),
            gateway: gateway.as_deref(),
            gateway_url: gateway_url.as_deref(),
            cloudflare: cloudflare.as_deref(),
            has_token: token.is_some(),
        };
        Ok(Self {
            platform: Platform {
                endpoint: texts.endpoint()?,
                gateway: texts.gateway()?,
            },
            model: setting(bindings::SAM_MODEL),
            silence: texts.silence()?,
            endpoint_key: bindings::secret(env, bindings::SAM_MODEL_KEY),
            token,
            cloudflare: texts.base(bindings::SAM_CLOUDFLARE_URL, texts.cloudflare, CLOUDFLARE)?,
        })
    }
}

impl Texts<'_> {
    /// The one endpoint, if it is set. Whoever runs the installation may name any address that is
    /// encrypted or on this machine.
    fn endpoint(&self) -> Result<Option<Endpoint>, Misconfigured> {
        const NAME: &str = bindings::SAM_MODEL_URL;
        let Some(text) = self.url else {
            return Ok(None);
        };
        let url = Url::parse(text).map_err(|_| Misconfigured::NotAUrl(NAME))?;
        match url.scheme() {
            "https" => {}
            "http" if address::check(&bare(&url), Reach::Loopback).is_ok() => {}
            _ => return Err(Misconfigured::NotHttps(NAME)),
        }
        let dialects = match self.dialects {
            None => vec![Dialect::Chat],
            Some(list) => list
                .split(',')
                .map(|name| Dialect::parse(name.trim()))
                .collect::<Option<_>>()
                .ok_or(Misconfigured::UnknownDialect)?,
        };
        let header = match self.auth {
            None => KeyHeader::Authorization,
            Some(name) => KeyHeader::parse(name).ok_or(Misconfigured::UnknownAuth)?,
        };
        Ok(Some(Endpoint {
            url: text.trim().to_owned(),
            dialects,
            header,
        }))
    }

    fn gateway(&self) -> Result<Option<Gateway>, Misconfigured> {
        let account = match (self.account, self.has_token) {
            (None, false) => return Ok(None),
            (Some(account), true) => account,
            _ => return Err(Misconfigured::HalfAGateway),
        };
        let name = |setting, text: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            if text.is_empty() || text.len() > 64 || !text.bytes().all(plain) {
                return Err(Misconfigured::BadName(setting));
            }
            Ok(text.to_owned())
        };
        Ok(Some(Gateway {
            base: self.base(bindings::SAM_AI_GATEWAY_URL, self.gateway_url, AI_GATEWAY)?,
            account: name(bindings::SAM_CLOUDFLARE_ACCOUNT, account)?,
            id: name(bindings::SAM_AI_GATEWAY, self.gateway.unwrap_or(GATEWAY_ID))?,
        }))
    }

    fn base(
        &self,
        setting: &'static str,
        text: Option<&str>,
        standard: &str,
    ) -> Result<String, Misconfigured> {
        match text {
            None => Ok(standard.to_owned()),
            Some(text) => address::check(text, Reach::Loopback).map_err(|error| match error {
                AddressError::NotAUrl => Misconfigured::NotAUrl(setting),
                error => Misconfigured::Refused(setting, error),
            }),
        }
    }

    fn silence(&self) -> Result<Duration, Misconfigured> {
        match self.silence.map(|text| text.trim().parse()) {
            None => Ok(STANDARD_SILENCE),
            Some(Ok(seconds @ 1..=3600)) => Ok(Duration::from_secs(seconds)),
            Some(_) => Err(Misconfigured::NoSilence),
        }
    }
}

/// A URL without what only its caller reads.
fn bare(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

/// Where model calls go, as far as everyone may know.
pub(crate) fn status(env: &Env) -> ModelStatus {
    let endpoint = bindings::setting(env, bindings::SAM_MODEL_URL).is_some();
    let gateway = bindings::setting(env, bindings::SAM_CLOUDFLARE_ACCOUNT).is_some();
    let kind = bindings::setting(env, bindings::SAM_MODEL_KIND);
    let named = bindings::setting(env, bindings::SAM_MODEL);
    let catalogued = gateway.then(|| UTILITY_DEFAULT.to_owned());
    ModelStatus {
        model: named.filter(|_| endpoint || gateway).or(catalogued),
        scripted: endpoint && kind.as_deref() == Some("scripted"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> Result<Option<Endpoint>, Misconfigured> {
        Texts {
            url: Some(url),
            ..Texts::default()
        }
        .endpoint()
    }

    #[test]
    fn silence_is_bounded() {
        let silence = |silence| {
            Texts {
                silence,
                ..Texts::default()
            }
            .silence()
        };
        assert_eq!(silence(None), Ok(STANDARD_SILENCE));
        assert_eq!(silence(Some("2")), Ok(Duration::from_secs(2)));
        for bad in ["0", "3601", "-1", "soon"] {
            assert_eq!(silence(Some(bad)), Err(Misconfigured::NoSilence), "{bad}");
        }
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        for good in [
            "https://example.org/v1",
            "https://10.0.0.1/v1",
            "http://127.0.0.1:8080/v1?v=2",
            "http://127.1.2.3/v1",
            "http://[::1]:1/v1",
            "http://localhost/v1",
        ] {
            assert!(at(good).is_ok(), "{good}");
        }
        let not_https = Misconfigured::NotHttps("SAM_MODEL_URL");
        for (bad, why) in [
            ("http://example.org/v1", &not_https),
            ("http://10.0.0.1/v1", &not_https),
            ("http://localhost.example.org/v1", &not_https),
            ("ftp://localhost/", &not_https),
            ("localhost", &Misconfigured::NotAUrl("SAM_MODEL_URL")),
        ] {
            assert_eq!(at(bad).as_ref().err(), Some(why), "{bad}");
        }
    }

    #[test]
    fn an_endpoint_is_what_its_settings_say() {
        let texts = Texts {
            url: Some("https://a.example/v1"),
            ..Texts::default()
        };
        let endpoint = texts.endpoint().unwrap().unwrap();
        assert_eq!(endpoint.dialects, [Dialect::Chat]);
        assert_eq!(endpoint.header, KeyHeader::Authorization);
        let texts = Texts {
            auth: Some("x-api-key"),
            dialects: Some("responses, chat"),
            ..texts
        };
        let endpoint = texts.endpoint().unwrap().unwrap();
        assert_eq!(endpoint.dialects, [Dialect::Responses, Dialect::Chat]);
        assert_eq!(endpoint.header, KeyHeader::XApiKey);
        let unknown = Texts {
            dialects: Some("chat,"),
            ..texts
        };
        assert_eq!(unknown.endpoint(), Err(Misconfigured::UnknownDialect));
        let unknown = Texts {
            auth: Some("x"),
            ..texts
        };
        assert_eq!(unknown.endpoint(), Err(Misconfigured::UnknownAuth));
    }

    #[test]
    fn a_gateway_is_an_account_and_a_token() {
        let texts = Texts {
            account: Some("acc"),
            has_token: true,
            ..Texts::default()
        };
        let gateway = texts.gateway().unwrap().unwrap();
        assert_eq!(
            gateway.endpoint("openai"),
            format!("{AI_GATEWAY}/acc/sam/openai")
        );
        assert_eq!(Texts::default().gateway(), Ok(None));
        let half = Texts {
            has_token: false,
            ..texts
        };
        assert_eq!(half.gateway(), Err(Misconfigured::HalfAGateway));
        for bad in ["", "a/b", "../x"] {
            let named = Texts {
                gateway: Some(bad),
                ..texts
            };
            let name = Err(Misconfigured::BadName("SAM_AI_GATEWAY"));
            assert_eq!(named.gateway(), name, "{bad}");
        }
        let elsewhere = Texts {
            gateway_url: Some("http://10.0.0.1/v1"),
            ..texts
        };
        assert!(elsewhere.gateway().is_err());
    }
}
