//! The models that come with the product.
//!
//! Prices are the providers' list prices in US dollars for a million tokens; an administrator can
//! replace them, and add models, without a new release.

use super::model::{Dialect, Model, Provider, ToolSupport};
use super::price::{Limits, MicroDollars, Prices};
use Dialect::{Chat, Messages, Responses};
use Provider::{Anthropic, Openai, WorkersAi};
use ToolSupport::{Good, Strong, Weak};
use std::borrow::Cow;

/// The model for everything that is no agent's work, when nobody chose one.
pub const UTILITY_DEFAULT: &str = "@cf/google/gemma-4-26b-a4b-it";

const fn model(
    id: &'static str,
    name: &'static str,
    provider: Provider,
    dialects: &'static [Dialect],
    tools: ToolSupport,
    limits: Limits,
    prices: Prices,
) -> Model {
    Model {
        id: Cow::Borrowed(id),
        name: Cow::Borrowed(name),
        provider,
        provider_model: Cow::Borrowed(id),
        dialects: Cow::Borrowed(dialects),
        limits: Some(limits),
        prices: Some(prices),
        tools,
        deprecated_on: None,
        enabled: true,
    }
}

const fn limits(context: u64, output: u64, image: u64) -> Limits {
    Limits {
        context,
        output,
        image,
    }
}

/// Prices in micro-dollars for a million tokens.
const fn prices(
    input: MicroDollars,
    cached_input: MicroDollars,
    cache_write: MicroDollars,
    output: MicroDollars,
) -> Prices {
    Prices {
        input,
        cached_input,
        cache_write,
        output,
    }
}

const OPENAI: &[Dialect] = &[Responses, Chat];

/// Every model that comes with the product.
pub static MODELS: &[Model] = &[
    model(
        UTILITY_DEFAULT,
        "Gemma 4 26B A4B",
        WorkersAi,
        &[Chat],
        Good,
        limits(256_000, 16_384, 1_120),
        prices(100_000, 100_000, 100_000, 300_000),
    ),
    model(
        "@cf/meta/llama-4-scout-17b-16e-instruct",
        "Llama 4 Scout 17B",
        WorkersAi,
        &[Chat],
        Good,
        limits(131_000, 16_384, 2_400),
        prices(270_000, 270_000, 270_000, 850_000),
    ),
    model(
        "@cf/qwen/qwen2.5-coder-32b-instruct",
        "Qwen 2.5 Coder 32B",
        WorkersAi,
        &[Chat],
        Weak,
        limits(32_768, 8_192, 0),
        prices(660_000, 660_000, 660_000, 1_000_000),
    ),
    model(
        "gpt-4.1-mini",
        "GPT-4.1 mini",
        Openai,
        OPENAI,
        Good,
        limits(1_047_576, 32_768, 2_500),
        prices(400_000, 100_000, 400_000, 1_600_000),
    ),
    model(
        "gpt-4.1",
        "GPT-4.1",
        Openai,
        OPENAI,
        Strong,
        limits(1_047_576, 32_768, 1_536),
        prices(2_000_000, 500_000, 2_000_000, 8_000_000),
    ),
    model(
        "claude-sonnet-4-5",
        "Claude Sonnet 4.5",
        Anthropic,
        &[Messages],
        Strong,
        limits(200_000, 64_000, 1_600),
        prices(3_000_000, 300_000, 6_000_000, 15_000_000),
    ),
];

/// The model with this id, of those that come with the product.
#[must_use]
pub fn model_by_id(id: &str) -> Option<&'static Model> {
    MODELS.iter().find(|model| model.id == id)
}
