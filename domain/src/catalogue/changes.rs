//! The catalogue of one installation: what comes with the product, and what its administrators
//! changed.
//!
//! Invariants:
//! - a model without prices or limits is not enabled, whoever says so;
//! - a deprecated model is nobody's default; it can be named as long as it is enabled;
//! - each role has a default as long as any model could be one.

use super::model::{Dialect, LongInput, Model, Provider, Reasoning, ToolSupport};
use super::models::{MODELS, UTILITY_DEFAULT, model_by_id};
use super::price::{Limits, Prices};
use crate::collect::Map;
use crate::error::ApiError;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What a model is used for when nobody names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A coding agent's own calls.
    Agent,
    /// The title of a task. Where it cannot be asked, the first line of the words is the title.
    TaskTitle,
    /// The summary of a conversation that became too long.
    ContextSummary,
    /// Making spoken words readable.
    SpeechCleanup,
    /// Everything else.
    Utility,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Agent,
        Self::TaskTitle,
        Self::ContextSummary,
        Self::SpeechCleanup,
        Self::Utility,
    ];

    /// Its name, as on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::TaskTitle => "task_title",
            Self::ContextSummary => "context_summary",
            Self::SpeechCleanup => "speech_cleanup",
            Self::Utility => "utility",
        }
    }
}

/// What administrators say of a model beside, or instead of, what comes with the product. What is
/// absent is as the product says it. A model that the product does not know needs its provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ModelChange {
    /// Which model.
    pub id: String,
    /// Its name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
    /// The provider's own id of it; the model's id when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_model: Option<String>,
    /// How it can be spoken to; what the provider speaks when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialects: Option<Vec<Dialect>>,
    /// What it takes and gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// What it costs. With new prices those for long input are gone, unless they are given as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<Prices>,
    /// What it costs when the input is long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long: Option<LongInput>,
    /// How well it works with tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<ToolSupport>,
    /// How it is told how much to think.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Reasoning>,
    /// Whether chat completions bounds its replies by `max_completion_tokens` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens: Option<bool>,
    /// The day on which the provider withdraws it, `YYYY-MM-DD`; empty when it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated_on: Option<String>,
    /// Whether it may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

impl ModelChange {
    /// The model as this says it is, starting from what the product knows; none for a model that
    /// neither describes.
    #[must_use]
    pub fn applied(&self) -> Option<Model> {
        let mut model = match model_by_id(&self.id) {
            Some(known) => known.clone(),
            None => Model {
                // Nothing is known of it, so nothing is free.
                limits: None,
                prices: None,
                enabled: false,
                provider: self.provider?,
                ..Model::undescribed(&self.id)
            },
        };
        if let Some(provider) = self.provider {
            model.provider = provider;
            model.dialects = Cow::Borrowed(provider.dialects());
        }
        if let Some(dialects) = self.dialects.as_ref().filter(|list| !list.is_empty()) {
            model.dialects = Cow::Owned(dialects.clone());
        }
        let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(name) = text(&self.name) {
            model.name = Cow::Owned(name);
        }
        if let Some(id) = text(&self.provider_model) {
            model.provider_model = Cow::Owned(id);
        }
        model.limits = self.limits.or(model.limits);
        if self.prices.is_some() {
            (model.prices, model.long) = (self.prices, None);
        }
        model.long = self.long.or(model.long);
        model.tools = self.tools.unwrap_or(model.tools);
        model.reasoning = self.reasoning.unwrap_or(model.reasoning);
        model.completion_tokens = self.completion_tokens.unwrap_or(model.completion_tokens);
        if let Some(day) = &self.deprecated_on {
            model.deprecated_on = text(&self.deprecated_on).map(|_| Cow::Owned(day.clone()));
        }
        model.enabled = self.enabled.unwrap_or(model.enabled) && model.is_priced();
        Some(model)
    }

    /// Refuses what makes no model, or would enable one that nobody can count.
    ///
    /// # Errors
    /// 422 that says what is missing.
    pub fn check(&self) -> Result<Model, ApiError> {
        let refuse = |code: &str, message: &str| Err(ApiError::new(422, code, message));
        let shown = |text: &str| {
            !text.is_empty()
                && text.len() <= 200
                && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let upstream = self.provider_model.as_deref();
        if !shown(&self.id) || upstream.is_some_and(|id| !id.is_empty() && !shown(id)) {
            return refuse(
                "bad_model_id",
                "A model's id is 1 to 200 printable characters.",
            );
        }
        let day = self.deprecated_on.as_deref().unwrap_or_default();
        if !day.is_empty() && !is_day(day) {
            return refuse("bad_day", "A day is written as 2026-12-31.");
        }
        if let Some(limits) = self.limits
            && (limits.output == 0 || limits.output > limits.context)
        {
            let message = "A model gives at least one token, and no more than its context holds.";
            return refuse("bad_limits", message);
        }
        let Some(model) = self.applied() else {
            let message = "The product does not know this model: say who runs it.";
            return refuse("provider_required", message);
        };
        if self.enabled == Some(true) && !model.is_priced() {
            return Err(ApiError::new(
                422,
                "model_not_priced",
                "A model without prices or limits cannot be enabled.",
            )
            .hint("Give `limits` and `prices` (micro-dollars for a million tokens)."));
        }
        Ok(model)
    }
}

fn is_day(text: &str) -> bool {
    let numbers = |range| {
        text.get(range)
            .and_then(|part: &str| part.parse::<u32>().ok())
    };
    text.len() == 10
        && text.bytes().filter(u8::is_ascii_digit).count() == 8
        && text.get(4..5) == Some("-")
        && text.get(7..8) == Some("-")
        && numbers(5..7).is_some_and(|month| (1..=12).contains(&month))
        && numbers(8..10).is_some_and(|day| (1..=31).contains(&day))
}

/// The catalogue of one installation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Models {
    changes: Vec<ModelChange>,
    defaults: Map<Role, String>,
}

impl Models {
    /// The catalogue with these changes, at most one for each model, and these defaults.
    #[must_use]
    pub const fn new(changes: Vec<ModelChange>, defaults: Map<Role, String>) -> Self {
        Self { changes, defaults }
    }

    /// The model with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Model> {
        match self.changes.iter().find(|change| change.id == id) {
            Some(change) => change.applied(),
            None => model_by_id(id).cloned(),
        }
    }

    /// Every model: the product's in their order, then those that were added.
    #[must_use]
    pub fn list(&self) -> Vec<Model> {
        let added = self
            .changes
            .iter()
            .filter(|change| model_by_id(&change.id).is_none())
            .filter_map(ModelChange::applied);
        let known = MODELS.iter().filter_map(|model| self.get(&model.id));
        known.chain(added).collect()
    }

    /// The model of a role: the one that was chosen for it, else for everything else, else the
    /// product's; never one that is deprecated or cannot be used.
    #[must_use]
    pub fn default_for(&self, role: Role) -> Option<Model> {
        let chosen = |role| self.defaults.get(&role).map(String::as_str);
        [chosen(role), chosen(Role::Utility), Some(UTILITY_DEFAULT)]
            .into_iter()
            .flatten()
            .filter_map(|id| self.get(id))
            .find(Self::may_be_default)
            .or_else(|| self.list().into_iter().find(Self::may_be_default))
    }

    /// Whether a model may be anybody's default.
    #[must_use]
    pub fn may_be_default(model: &Model) -> bool {
        model.is_selectable() && !model.is_deprecated()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn change(id: &str) -> ModelChange {
        ModelChange {
            id: id.to_owned(),
            ..ModelChange::default()
        }
    }

    const LIMITS: Limits = Limits {
        context: 1_000,
        output: 100,
        image: 0,
    };

    #[test]
    fn a_model_without_prices_or_limits_cannot_be_enabled() {
        let new = ModelChange {
            provider: Some(Provider::WorkersAi),
            enabled: Some(true),
            ..change("@cf/new/model")
        };
        let code = |change: &ModelChange| change.check().map(|_| ()).map_err(|error| error.code);
        assert_eq!(code(&new), Err("model_not_priced".to_owned()));
        assert!(!new.applied().unwrap().is_selectable());
        let priced = ModelChange {
            limits: Some(LIMITS),
            prices: Some(Prices::FREE),
            ..new
        };
        assert!(priced.check().unwrap().is_selectable());
        assert_eq!(
            code(&change("unheard-of")),
            Err("provider_required".to_owned())
        );
        let off = ModelChange {
            enabled: Some(false),
            ..change("gpt-4.1")
        };
        assert!(!off.check().unwrap().is_selectable());
        for bad in ["2026-13-01", "2026-1-1", "soon", "2026/12/31", "+026-12-31"] {
            let day = ModelChange {
                deprecated_on: Some(bad.to_owned()),
                ..change("gpt-4.1")
            };
            assert_eq!(code(&day), Err("bad_day".to_owned()), "{bad}");
        }
    }

    #[test]
    fn new_prices_replace_those_for_long_input() {
        let cheaper = ModelChange {
            prices: Some(Prices::FREE),
            ..change("gpt-5.4")
        };
        let model = cheaper.check().unwrap();
        assert_eq!((model.prices, model.long), (Some(Prices::FREE), None));
    }

    fn any_change() -> impl Strategy<Value = ModelChange> {
        let known = MODELS.iter().map(|model| model.id.to_string());
        let mut ids: Vec<String> = known.collect();
        ids.extend(["@cf/new/one".to_owned(), "another".to_owned()]);
        (
            proptest::sample::select(ids),
            proptest::option::of(proptest::sample::select(Provider::ALL.to_vec())),
            any::<[bool; 4]>(),
            proptest::option::of(any::<bool>()),
        )
            .prop_map(|(id, provider, [limits, prices, dated, day], enabled)| {
                ModelChange {
                    id,
                    provider,
                    limits: limits.then_some(LIMITS),
                    prices: prices.then_some(Prices::FREE),
                    deprecated_on: dated.then(|| if day { "2026-12-31" } else { "" }.to_owned()),
                    enabled,
                    ..ModelChange::default()
                }
            })
    }

    prop_compose! {
        pub(crate) fn any_models()(
            changes in proptest::collection::vec(any_change(), 0..30),
            chosen in proptest::collection::vec(0usize..30, 5),
        ) -> Models {
            let mut seen = std::collections::BTreeSet::new();
            let changes: Vec<_> = changes.into_iter().filter(|c| seen.insert(c.id.clone())).collect();
            let pick = |at: usize| changes.get(at).map_or_else(|| UTILITY_DEFAULT.to_owned(), |c| c.id.clone());
            let defaults = Role::ALL.into_iter().zip(chosen).map(|(role, at)| (role, pick(at)));
            Models::new(changes.clone(), defaults.collect())
        }
    }

    proptest! {
        #[test]
        fn a_deprecated_or_unusable_model_is_nobodys_default(models in any_models()) {
            let possible = models.list().iter().any(Models::may_be_default);
            for role in Role::ALL {
                let default = models.default_for(role);
                prop_assert_eq!(default.is_some(), possible);
                if let Some(model) = default {
                    prop_assert!(model.enabled && model.is_priced() && !model.is_deprecated());
                }
            }
        }

        #[test]
        fn what_is_enabled_has_prices_and_limits(models in any_models()) {
            for model in models.list() {
                prop_assert!(!model.enabled || (model.prices.is_some() && model.limits.is_some()));
                prop_assert_eq!(models.get(&model.id), Some(model.clone()));
            }
        }
    }
}
