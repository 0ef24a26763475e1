//! A model as the catalogue knows it.

use super::price::{self, Limits, MicroDollars, Prices, Request, Tokens, WorstCase};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// How a model API speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's Responses.
    Responses,
    /// Anthropic's Messages.
    Messages,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Chat, Self::Responses, Self::Messages];

    /// Its name, as settings have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Messages => "messages",
        }
    }

    /// By its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }
}

/// Who runs a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Provider {
    /// Cloudflare.
    WorkersAi,
    /// `OpenAI`.
    Openai,
    /// Anthropic.
    Anthropic,
    /// Any other whose models AI Gateway's unified endpoint reaches; the model's own id there
    /// begins with the provider's, e.g. `google-ai-studio/`.
    AiGateway,
    /// Any API that speaks one of the dialects, at an address that somebody configured.
    Custom,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::WorkersAi,
        Self::Openai,
        Self::Anthropic,
        Self::AiGateway,
        Self::Custom,
    ];

    /// Its name, as on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WorkersAi => "workers-ai",
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
            Self::AiGateway => "ai-gateway",
            Self::Custom => "custom",
        }
    }

    /// By its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// How its API can be spoken to, the preferred way first.
    #[must_use]
    pub const fn dialects(self) -> &'static [Dialect] {
        match self {
            Self::WorkersAi | Self::AiGateway => &[Dialect::Chat],
            Self::Openai => &[Dialect::Responses, Dialect::Chat],
            Self::Anthropic => &[Dialect::Messages],
            Self::Custom => &Dialect::ALL,
        }
    }
}

/// How well a model works with tools, as far as this project knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ToolSupport {
    /// It takes none.
    None,
    /// It takes them, and often goes wrong: calls as text, broken arguments.
    Weak,
    /// It calls them one at a time.
    Good,
    /// It calls several at once and goes on for long.
    Strong,
}

/// How a model is told how much to think.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Reasoning {
    /// Not at all: it does not think, and refuses to be told.
    None,
    /// By a word, like `low`.
    #[default]
    Effort,
    /// By a number of tokens (Messages).
    Budget,
    /// It decides by itself, and is told in a word (newer models of Messages).
    Adaptive,
}

impl Reasoning {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::None, Self::Effort, Self::Budget, Self::Adaptive];

    /// Its name, as on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Effort => "effort",
            Self::Budget => "budget",
            Self::Adaptive => "adaptive",
        }
    }

    /// By its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// Other prices for calls with long input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LongInput {
    /// They hold for calls with more input tokens than this.
    pub above: u64,
    /// The prices.
    pub prices: Prices,
}

/// A model that can be chosen, or could be once an administrator says what it costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Model {
    /// Its id, by which clients name it, e.g. `@cf/google/gemma-4-26b-a4b-it`.
    pub id: Cow<'static, str>,
    /// Its name for people.
    pub name: Cow<'static, str>,
    /// Who runs it.
    pub provider: Provider,
    /// The provider's own id of it.
    pub provider_model: Cow<'static, str>,
    /// How it can be spoken to, the preferred way first; never empty.
    pub dialects: Cow<'static, [Dialect]>,
    /// What it takes and gives; absent when nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// What it costs; absent when nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<Prices>,
    /// What it costs instead from some length of input on; absent when length makes no difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long: Option<LongInput>,
    /// How well it works with tools.
    pub tools: ToolSupport,
    /// How it is told how much to think.
    #[serde(default)]
    pub reasoning: Reasoning,
    /// Whether chat completions bounds its replies by `max_completion_tokens` alone, and refuses
    /// `max_tokens`, as OpenAI's reasoning models do.
    #[serde(default)]
    pub completion_tokens: bool,
    /// The day on which the provider withdraws it, `YYYY-MM-DD`. A model that has one is
    /// deprecated, before that day as well: it is nobody's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated_on: Option<Cow<'static, str>>,
    /// Whether it may be used.
    pub enabled: bool,
}

impl Model {
    /// Whether it may be enabled: only when it is known what it takes and costs.
    #[must_use]
    pub const fn is_priced(&self) -> bool {
        self.limits.is_some() && self.prices.is_some()
    }

    /// Whether requests may name it.
    #[must_use]
    pub const fn is_selectable(&self) -> bool {
        self.enabled && self.is_priced()
    }

    /// Whether the provider has announced its end.
    #[must_use]
    pub const fn is_deprecated(&self) -> bool {
        self.deprecated_on.is_some()
    }

    /// The field of chat completions that bounds its replies.
    #[must_use]
    pub const fn chat_limit(&self) -> &'static str {
        if self.completion_tokens {
            "max_completion_tokens"
        } else {
            "max_tokens"
        }
    }

    /// What a call cost; none when nobody said.
    #[must_use]
    pub fn cost(&self, tokens: &Tokens) -> Option<MicroDollars> {
        Some(self.prices_for(tokens.input)?.cost(tokens))
    }

    /// The most that a request can use; none when nobody said what it takes and costs.
    #[must_use]
    pub fn worst_case(&self, request: &Request) -> Option<WorstCase> {
        let limits = self.limits?;
        let worst = price::worst_case(&limits, &self.prices?, request);
        let long = price::worst_case(&limits, &self.prices_for(worst.input)?, request);
        Some(if long.cost > worst.cost { long } else { worst })
    }

    /// The prices of a call with so much input.
    fn prices_for(&self, input: u64) -> Option<Prices> {
        let long = self.long.filter(|long| input > long.above);
        long.map(|long| long.prices).or(self.prices)
    }

    /// A model of an installation's own endpoint that nobody described: its operator pays for it
    /// elsewhere, so tokens are counted and money is not.
    #[must_use]
    pub fn undescribed(id: &str) -> Self {
        Self {
            id: Cow::Owned(id.to_owned()),
            name: Cow::Owned(id.to_owned()),
            provider: Provider::Custom,
            provider_model: Cow::Owned(id.to_owned()),
            dialects: Cow::Borrowed(&Dialect::ALL),
            limits: Some(Limits {
                context: 200_000,
                output: 64_000,
                image: 2_000,
            }),
            prices: Some(Prices::FREE),
            long: None,
            tools: ToolSupport::Good,
            reasoning: Reasoning::Effort,
            completion_tokens: false,
            deprecated_on: None,
            enabled: true,
        }
    }
}
