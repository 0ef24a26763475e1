//! Where one model call goes, with the keys it carries.

use std::time::Duration;

use sam_dialects::{Dialect, Target};
use sam_domain::catalogue::model::{self, Model, Reasoning};
use sam_domain::error::ApiError;
use sam_domain::provider::key::{KeyHeader, Scope};
use sam_domain::provider::route::Route;
use sam_platform::crypto::Secret;
use url::Url;

/// The upstream of one call.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    base: Url,
    /// Headers that carry keys. Their values print nothing.
    keys: Vec<(KeyHeader, Secret)>,
    /// How it is spoken to.
    pub(crate) dialect: Dialect,
    /// The model, by its name there.
    pub(crate) model: String,
    /// The model as the catalogue knows it: what it takes and costs.
    pub(crate) catalogued: Model,
    /// Whose money it is.
    pub(crate) payer: Scope,
    /// Whether it passes an AI Gateway.
    pub(crate) gateway: bool,
    /// How long it may say nothing.
    pub(crate) silence: Duration,
}

impl Upstream {
    /// The upstream of a route, with the key of each of its headers.
    pub(crate) fn new(
        route: Route,
        catalogued: Model,
        keys: Vec<(KeyHeader, Secret)>,
        silence: Duration,
    ) -> Result<Self, ApiError> {
        let base = Url::parse(&route.base).map_err(|_| {
            ApiError::new(503, "model_misconfigured", "The model endpoint is no URL.")
        })?;
        Ok(Self {
            base,
            keys,
            dialect: dialect(route.dialect),
            model: route.model,
            catalogued,
            payer: route.payer,
            gateway: route.gateway,
            silence,
        })
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

    /// Whom a translated request is written for: the model as the catalogue describes it.
    pub(crate) fn target(&self) -> Target {
        let model = &self.catalogued;
        let standard = Target::new(self.dialect);
        let most = model.limits.map_or(u64::MAX, |limits| limits.output);
        Target {
            reasons: model.reasoning != Reasoning::None,
            adaptive: model.reasoning == Reasoning::Adaptive,
            completion_tokens: model.completion_tokens,
            default_output: standard.default_output.min(most),
            ..standard
        }
    }

    /// The headers that carry the keys.
    pub(crate) fn authorisation(&self) -> Vec<(&'static str, String)> {
        let headers = self.keys.iter();
        headers
            .filter_map(|(header, key)| header.with(key.expose()))
            .collect()
    }

    /// What one does about a key that it refuses.
    pub(crate) fn key_hint(&self) -> &'static str {
        match (self.payer, self.gateway) {
            (Scope::User, _) => "Store your key for this provider again: `sam credential set`.",
            (Scope::Project, _) => "A maintainer stores the project's key for it again.",
            (Scope::Platform, true) => {
                "An administrator runs `sam admin doctor`, which says what the gateway lacks."
            }
            (Scope::Platform, false) => "Check SAM_MODEL_KEY and SAM_MODEL_AUTH.",
        }
    }

    /// What tells two upstreams apart in a cache; not a secret.
    pub(crate) fn cache_name(&self) -> String {
        format!("{}{}", self.base.authority(), self.base.path())
    }
}

/// A dialect of the catalogue as the translator knows it.
pub(crate) const fn dialect(dialect: model::Dialect) -> Dialect {
    match dialect {
        model::Dialect::Chat => Dialect::Chat,
        model::Dialect::Responses => Dialect::Responses,
        model::Dialect::Messages => Dialect::Messages,
    }
}

/// A dialect of the translator as the catalogue knows it.
pub(crate) const fn catalogued(dialect: Dialect) -> model::Dialect {
    match dialect {
        Dialect::Chat => model::Dialect::Chat,
        Dialect::Responses => model::Dialect::Responses,
        Dialect::Messages => model::Dialect::Messages,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam_domain::catalogue::models::model_by_id;

    fn upstream(base: &str, header: KeyHeader) -> Upstream {
        let route = Route {
            base: base.to_owned(),
            dialect: model::Dialect::Chat,
            model: "m".to_owned(),
            keys: Vec::new(),
            payer: Scope::Platform,
            gateway: false,
        };
        let keys = vec![(header, Secret::new("key"))];
        let silence = Duration::from_secs(1);
        Upstream::new(route, Model::undescribed("m"), keys, silence).unwrap()
    }

    #[test]
    fn endpoints_lie_below_the_base() {
        let upstream = |base| upstream(base, KeyHeader::None);
        for (base, endpoint) in [
            ("https://a.example/v1", "https://a.example/v1/models"),
            ("https://a.example/v1/", "https://a.example/v1/models"),
            ("https://a.example", "https://a.example/models"),
            (
                "https://a.example/v1?v=2",
                "https://a.example/v1/models?v=2",
            ),
        ] {
            assert_eq!(upstream(base).endpoint("models", None), endpoint);
        }
        assert_eq!(
            upstream("https://a.example/v1?v=2").endpoint("messages", Some("beta=true")),
            "https://a.example/v1/messages?v=2&beta=true"
        );
    }

    #[test]
    fn a_request_is_written_for_what_the_catalogue_knows_of_the_model() {
        let target = |id: &str| {
            let mut upstream = upstream("https://a.example", KeyHeader::None);
            upstream.catalogued = model_by_id(id).unwrap().clone();
            let target = upstream.target();
            (target.reasons, target.adaptive, target.completion_tokens)
        };
        assert_eq!(target("gpt-4.1"), (false, false, false));
        assert_eq!(target("gpt-5-mini"), (true, false, true));
        assert_eq!(target("claude-haiku-4-5"), (true, false, false));
        assert_eq!(target("claude-opus-5"), (true, true, false));
    }

    #[test]
    fn the_key_travels_as_configured() {
        let header = |header| upstream("https://a.example", header).authorisation();
        let bearer = |name| vec![(name, "Bearer key".to_owned())];
        assert_eq!(header(KeyHeader::Authorization), bearer("authorization"));
        assert_eq!(
            header(KeyHeader::CfAigAuthorization),
            bearer("cf-aig-authorization")
        );
        assert_eq!(
            header(KeyHeader::XApiKey),
            [("x-api-key", "key".to_owned())]
        );
        assert_eq!(header(KeyHeader::None), []);
    }
}
