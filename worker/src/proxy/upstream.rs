//! Where model calls go.

use std::time::Duration;

use sam_dialects::Dialect;
use sam_domain::access::wire::ModelStatus;
use sam_domain::error::ApiError;
use sam_platform::bindings;
use sam_platform::crypto::Secret;
use url::{Host, Url};
use worker::Env;

/// How long a model endpoint may say nothing unless it is set.
const STANDARD_SILENCE: Duration = Duration::from_secs(600);

/// How the key travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Auth {
    /// `Authorization: Bearer …`.
    Bearer,
    /// `x-api-key: …`.
    Bare,
    /// `cf-aig-authorization: Bearer …`: an AI Gateway that holds the provider's key itself.
    Gateway,
    /// Not at all.
    None,
}

/// The configured upstream.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    base: Url,
    key: Option<Secret>,
    /// How the key travels.
    pub(crate) auth: Auth,
    /// The model for requests that name none.
    pub(crate) model: Option<String>,
    /// How it speaks, the preferred way first.
    dialects: Vec<Dialect>,
    /// How long it may say nothing. A model may think for minutes.
    pub(crate) silence: Duration,
}

/// Why the configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Misconfigured {
    #[error("SAM_MODEL_URL is not a URL")]
    NotAUrl,
    #[error("SAM_MODEL_URL must use https, except on this machine")]
    NotHttps,
    #[error(
        "SAM_MODEL_AUTH must be `authorization`, `cf-aig-authorization`, `x-api-key` or `none`"
    )]
    UnknownAuth,
    #[error("SAM_MODEL_DIALECTS must list `chat`, `responses` or `messages`")]
    UnknownDialect,
    #[error("SAM_MODEL_SILENCE must be a number of seconds from 1 to 3600")]
    NoSilence,
}

impl Upstream {
    /// The upstream, or the error that says what is missing.
    pub(crate) fn required(env: &Env) -> Result<Self, ApiError> {
        let url = bindings::setting(env, bindings::SAM_MODEL_URL).ok_or_else(|| {
            ApiError::new(503, "model_not_configured", "No model is configured.")
                .hint("Set SAM_MODEL_URL, SAM_MODEL_KEY and SAM_MODEL, and start the server again.")
        })?;
        Self::parse(
            &url,
            bindings::secret(env, bindings::SAM_MODEL_KEY),
            bindings::setting(env, bindings::SAM_MODEL_AUTH).as_deref(),
            bindings::setting(env, bindings::SAM_MODEL),
            bindings::setting(env, bindings::SAM_MODEL_SILENCE).as_deref(),
        )
        .and_then(|upstream| {
            let dialects = bindings::setting(env, bindings::SAM_MODEL_DIALECTS);
            upstream.speaking(dialects.as_deref())
        })
        .map_err(|cause| {
            ApiError::new(503, "model_misconfigured", format!("{cause}."))
                .hint("Change the setting and start the server again.")
        })
    }

    fn parse(
        url: &str,
        key: Option<Secret>,
        auth: Option<&str>,
        model: Option<String>,
        silence: Option<&str>,
    ) -> Result<Self, Misconfigured> {
        let base = Url::parse(url).map_err(|_| Misconfigured::NotAUrl)?;
        match base.scheme() {
            "https" => {}
            "http" if is_loopback(&base) => {}
            _ => return Err(Misconfigured::NotHttps),
        }
        let auth = match auth {
            None | Some("authorization") => Auth::Bearer,
            Some("cf-aig-authorization") => Auth::Gateway,
            Some("x-api-key") => Auth::Bare,
            Some("none") => Auth::None,
            Some(_) => return Err(Misconfigured::UnknownAuth),
        };
        let silence = match silence.map(|text| text.trim().parse()) {
            None => STANDARD_SILENCE,
            Some(Ok(seconds @ 1..=3600)) => Duration::from_secs(seconds),
            Some(_) => return Err(Misconfigured::NoSilence),
        };
        Ok(Self {
            base,
            key,
            auth,
            model,
            dialects: vec![Dialect::Chat],
            silence,
        })
    }

    /// The same upstream, with the dialects of a list.
    fn speaking(mut self, list: Option<&str>) -> Result<Self, Misconfigured> {
        if let Some(list) = list {
            let dialects = list.split(',').map(|name| Dialect::parse(name.trim()));
            self.dialects = dialects
                .collect::<Option<_>>()
                .ok_or(Misconfigured::UnknownDialect)?;
        }
        Ok(self)
    }

    /// How to speak to it for a client that speaks so: the same, if it can.
    pub(crate) fn speaks(&self, client: Dialect) -> Dialect {
        let same = self.dialects.iter().find(|dialect| **dialect == client);
        *same.or(self.dialects.first()).unwrap_or(&Dialect::Chat)
    }

    /// The URL of an endpoint below the base, whose query is kept, before the client's.
    pub(crate) fn endpoint(&self, path: &str, query: Option<&str>) -> String {
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}/{path}",
            self.base.path().trim_end_matches('/')
        ));
        url.set_fragment(None);
        let both: Vec<&str> = self.base.query().into_iter().chain(query).collect();
        if !both.is_empty() {
            url.set_query(Some(&both.join("&")));
        }
        url.into()
    }

    /// The header that carries the key.
    pub(crate) fn authorisation(&self) -> Option<(&'static str, String)> {
        let key = self.key.as_ref()?;
        let name = match self.auth {
            Auth::Bare => return Some(("x-api-key", key.expose().to_owned())),
            Auth::Bearer => "authorization",
            Auth::Gateway => "cf-aig-authorization",
            Auth::None => return None,
        };
        Some((name, format!("Bearer {}", key.expose())))
    }

    /// What tells two upstreams apart in a cache; not a secret.
    pub(crate) fn cache_name(&self) -> String {
        format!("{}{}", self.base.authority(), self.base.path())
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Where model calls go, as far as everyone may know.
pub(crate) fn status(env: &Env) -> ModelStatus {
    let configured = bindings::setting(env, bindings::SAM_MODEL_URL).is_some();
    let kind = bindings::setting(env, bindings::SAM_MODEL_KIND);
    ModelStatus {
        model: bindings::setting(env, bindings::SAM_MODEL).filter(|_| configured),
        scripted: configured && kind.as_deref() == Some("scripted"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(url: &str, auth: Option<&str>) -> Result<Upstream, Misconfigured> {
        Upstream::parse(url, Some(Secret::new("key")), auth, None, None)
    }

    #[test]
    fn silence_is_bounded() {
        let silence = |text| {
            Upstream::parse("https://a.example", None, None, None, text).map(|up| up.silence)
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
            "http://127.0.0.1:8080/v1",
            "http://127.1.2.3/v1",
            "http://[::1]:1/v1",
            "http://localhost/v1",
        ] {
            assert!(upstream(good, None).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("http://example.org/v1", Misconfigured::NotHttps),
            ("http://10.0.0.1/v1", Misconfigured::NotHttps),
            ("http://localhost.example.org/v1", Misconfigured::NotHttps),
            ("ftp://localhost/", Misconfigured::NotHttps),
            ("localhost", Misconfigured::NotAUrl),
        ] {
            assert_eq!(upstream(bad, None).err(), Some(why), "{bad}");
        }
    }

    #[test]
    fn endpoints_lie_below_the_base() {
        for (base, endpoint) in [
            ("https://a.example/v1", "https://a.example/v1/models"),
            ("https://a.example/v1/", "https://a.example/v1/models"),
            ("https://a.example", "https://a.example/models"),
            (
                "https://a.example/v1?v=2",
                "https://a.example/v1/models?v=2",
            ),
        ] {
            let upstream = upstream(base, None).unwrap();
            assert_eq!(upstream.endpoint("models", None), endpoint);
        }
        let both = upstream("https://a.example/v1?v=2", None).unwrap();
        assert_eq!(
            both.endpoint("messages", Some("beta=true")),
            "https://a.example/v1/messages?v=2&beta=true"
        );
    }

    #[test]
    fn a_client_is_spoken_to_as_it_speaks_where_that_can_be() {
        let speaks = |list: Option<&str>| {
            let upstream = upstream("https://a.example", None).unwrap();
            let upstream = upstream.speaking(list)?;
            Ok(Dialect::ALL.map(|client| upstream.speaks(client)))
        };
        let [chat, responses, messages] = Dialect::ALL;
        assert_eq!(speaks(None), Ok([chat; 3]));
        assert_eq!(speaks(Some("messages")), Ok([messages; 3]));
        assert_eq!(
            speaks(Some("responses, chat")),
            Ok([chat, responses, responses])
        );
        assert_eq!(speaks(Some("chat,")), Err(Misconfigured::UnknownDialect));
    }

    #[test]
    fn the_key_travels_as_configured() {
        let header = |auth| upstream("https://a.example", auth).unwrap().authorisation();
        let key = || "Bearer key".to_owned();
        assert_eq!(header(None), Some(("authorization", key())));
        assert_eq!(
            header(Some("cf-aig-authorization")),
            Some(("cf-aig-authorization", key()))
        );
        assert_eq!(
            header(Some("x-api-key")),
            Some(("x-api-key", "key".to_owned()))
        );
        assert_eq!(header(Some("none")), None);
        assert_eq!(
            upstream("https://a.example", Some("x")).err(),
            Some(Misconfigured::UnknownAuth)
        );
    }
}
