//! The models that come with the product.
//!
//! Prices are the providers' list prices; an administrator can replace them, and add models,
//! without a new release ([`super::changes`]). Where a provider asks different prices for what is
//! the same kind here, the dearer one stands: budgets must hold.

use super::model::{LongInput, Model, Provider, Reasoning, ToolSupport};
use super::price::{Limits, MicroDollars, Prices};
use ToolSupport::{Good, Strong, Weak};
use std::borrow::Cow;

/// The model of every role that nobody chose one for.
pub const UTILITY_DEFAULT: &str = "@cf/google/gemma-4-26b-a4b-it";

const fn model(
    provider: Provider,
    id: &'static str,
    name: &'static str,
    tools: ToolSupport,
    limits: Limits,
    prices: Prices,
) -> Model {
    Model {
        id: Cow::Borrowed(id),
        name: Cow::Borrowed(name),
        provider,
        provider_model: Cow::Borrowed(id),
        dialects: Cow::Borrowed(provider.dialects()),
        limits: Some(limits),
        prices: Some(prices),
        long: None,
        tools,
        reasoning: Reasoning::Effort,
        completion_tokens: false,
        deprecated_on: None,
        enabled: true,
    }
}

/// A model that is told so how much to think.
const fn told(mut model: Model, reasoning: Reasoning) -> Model {
    model.reasoning = reasoning;
    model
}

/// One of OpenAI's that thinks before it answers.
const fn thinking(mut model: Model) -> Model {
    model.completion_tokens = true;
    model
}

const fn limits(context: u64, output: u64, image: u64) -> Limits {
    Limits {
        context,
        output,
        image,
    }
}

/// Cloudflare's, without a price for what is cached.
const fn workers_ai(
    id: &'static str,
    name: &'static str,
    tools: ToolSupport,
    limits: Limits,
    input: MicroDollars,
    output: MicroDollars,
) -> Model {
    let prices = Prices {
        input,
        cached_input: input,
        cache_write: input,
        output,
    };
    model(Provider::WorkersAi, id, name, tools, limits, prices)
}

/// OpenAI's, which asks nothing for writing to its cache, or a quarter more than for input.
const fn openai(
    id: &'static str,
    name: &'static str,
    tools: ToolSupport,
    limits: Limits,
    (input, cached_input, cache_write, output): (
        MicroDollars,
        MicroDollars,
        MicroDollars,
        MicroDollars,
    ),
) -> Model {
    let prices = Prices {
        input,
        cached_input,
        cache_write,
        output,
    };
    model(Provider::Openai, id, name, tools, limits, prices)
}

/// The same, dearer when the input is long: twice for input, one and a half times for output.
const fn dearer_above(mut model: Model, above: u64) -> Model {
    if let Some(base) = model.prices {
        let prices = Prices {
            input: base.input * 2,
            cached_input: base.cached_input * 2,
            cache_write: base.cache_write * 2,
            output: base.output * 3 / 2,
        };
        model.long = Some(LongInput { above, prices });
    }
    model
}

/// Anthropic's: what is cached costs a tenth to read, and to write twice as much as input where it
/// is kept for an hour.
const fn anthropic(
    id: &'static str,
    name: &'static str,
    limits: Limits,
    input: MicroDollars,
    output: MicroDollars,
) -> Model {
    let prices = Prices {
        input,
        cached_input: input / 10,
        cache_write: input * 2,
        output,
    };
    model(Provider::Anthropic, id, name, Strong, limits, prices)
}

/// Another provider's, through AI Gateway's unified endpoint.
const fn through_gateway(
    id: &'static str,
    name: &'static str,
    limits: Limits,
    input: MicroDollars,
    cached_input: MicroDollars,
    output: MicroDollars,
) -> Model {
    let prices = Prices {
        input,
        cached_input,
        cache_write: input,
        output,
    };
    model(Provider::AiGateway, id, name, Good, limits, prices)
}

/// Every model that comes with the product. Prices in micro-dollars for a million tokens.
#[rustfmt::skip]
pub static MODELS: &[Model] = &[
    workers_ai(UTILITY_DEFAULT, "Gemma 4 26B", Good, limits(256_000, 16_384, 1_120), 100_000, 300_000),
    told(workers_ai("@cf/meta/llama-4-scout-17b-16e-instruct", "Llama 4 Scout 17B", Good, limits(131_000, 16_384, 2_400), 270_000, 850_000), Reasoning::None),
    told(workers_ai("@cf/qwen/qwen2.5-coder-32b-instruct", "Qwen 2.5 Coder 32B", Weak, limits(32_768, 8_192, 0), 660_000, 1_000_000), Reasoning::None),
    workers_ai("@cf/openai/gpt-oss-120b", "gpt-oss 120B", Good, limits(128_000, 32_768, 0), 350_000, 750_000),
    workers_ai("@cf/zai-org/glm-4.7-flash", "GLM 4.7 Flash", Good, limits(131_072, 32_768, 0), 60_000, 400_000),
    workers_ai("@cf/moonshotai/kimi-k2.7-code", "Kimi K2.7 Code", Strong, limits(262_144, 65_536, 0), 950_000, 4_000_000),
    told(openai("gpt-4.1-mini", "GPT-4.1 mini", Good, limits(1_047_576, 32_768, 2_500), (400_000, 100_000, 400_000, 1_600_000)), Reasoning::None),
    told(openai("gpt-4.1", "GPT-4.1", Strong, limits(1_047_576, 32_768, 1_536), (2_000_000, 500_000, 2_000_000, 8_000_000)), Reasoning::None),
    thinking(openai("gpt-5-mini", "GPT-5 mini", Good, limits(400_000, 128_000, 2_500), (250_000, 25_000, 250_000, 2_000_000))),
    thinking(openai("gpt-5.3-codex", "GPT-5.3-Codex", Strong, limits(400_000, 128_000, 2_500), (1_750_000, 175_000, 1_750_000, 14_000_000))),
    thinking(dearer_above(openai("gpt-5.4", "GPT-5.4", Strong, limits(1_050_000, 128_000, 10_000), (2_500_000, 250_000, 2_500_000, 15_000_000)), 272_000)),
    thinking(openai("gpt-5.4-mini", "GPT-5.4 mini", Good, limits(400_000, 128_000, 2_500), (750_000, 75_000, 750_000, 4_500_000))),
    thinking(dearer_above(openai("gpt-5.6-luna", "GPT-5.6 Luna", Good, limits(1_050_000, 128_000, 10_000), (200_000, 20_000, 250_000, 1_200_000)), 200_000)),
    thinking(dearer_above(openai("gpt-5.6-terra", "GPT-5.6 Terra", Strong, limits(1_050_000, 128_000, 10_000), (2_000_000, 200_000, 2_500_000, 12_000_000)), 272_000)),
    thinking(dearer_above(openai("gpt-5.6-sol", "GPT-5.6 Sol", Strong, limits(1_050_000, 128_000, 10_000), (5_000_000, 500_000, 6_250_000, 30_000_000)), 272_000)),
    told(anthropic("claude-haiku-4-5", "Claude Haiku 4.5", limits(200_000, 64_000, 1_600), 1_000_000, 5_000_000), Reasoning::Budget),
    told(anthropic("claude-sonnet-4-5", "Claude Sonnet 4.5", limits(200_000, 64_000, 1_600), 3_000_000, 15_000_000), Reasoning::Budget),
    told(anthropic("claude-sonnet-4-6", "Claude Sonnet 4.6", limits(200_000, 64_000, 1_600), 3_000_000, 15_000_000), Reasoning::Adaptive),
    told(anthropic("claude-opus-4-8", "Claude Opus 4.8", limits(1_000_000, 128_000, 5_000), 5_000_000, 25_000_000), Reasoning::Adaptive),
    told(anthropic("claude-sonnet-5", "Claude Sonnet 5", limits(1_000_000, 128_000, 5_000), 2_000_000, 10_000_000), Reasoning::Adaptive),
    told(anthropic("claude-opus-5", "Claude Opus 5", limits(1_000_000, 128_000, 5_000), 5_000_000, 25_000_000), Reasoning::Adaptive),
    through_gateway("google-ai-studio/gemini-3.5-flash", "Gemini 3.5 Flash", limits(1_048_576, 65_536, 1_120), 1_500_000, 150_000, 9_000_000),
];

/// The model with this id, of those that come with the product.
#[must_use]
pub fn model_by_id(id: &str) -> Option<&'static Model> {
    MODELS.iter().find(|model| model.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_models_that_are_promised_are_there_and_gemma_3_is_not() {
        for id in [
            "@cf/google/gemma-4-26b-a4b-it",
            "@cf/meta/llama-4-scout-17b-16e-instruct",
            "@cf/qwen/qwen2.5-coder-32b-instruct",
            "gpt-4.1-mini",
            "gpt-4.1",
        ] {
            assert!(model_by_id(id).is_some_and(Model::is_selectable), "{id}");
        }
        for family in ["claude-sonnet-", "claude-opus-", "claude-haiku-", "gpt-5"] {
            assert!(
                MODELS.iter().any(|model| model.id.starts_with(family)),
                "{family}"
            );
        }
        assert!(MODELS.iter().all(|model| !model.id.contains("gemma-3")));
    }

    #[test]
    fn a_model_that_thinks_bounds_its_replies_by_their_other_name() {
        let field = |id| model_by_id(id).unwrap().chat_limit();
        assert_eq!(field("gpt-4.1"), "max_tokens");
        for model in MODELS.iter().filter(|model| model.id.starts_with("gpt-5")) {
            assert_eq!(model.chat_limit(), "max_completion_tokens", "{}", model.id);
        }
        let elsewhere = |model: &&Model| model.provider != Provider::Openai;
        let named = |model: &Model| model.completion_tokens;
        assert!(!MODELS.iter().filter(elsewhere).any(named));
    }

    #[test]
    fn every_model_is_whole() {
        let mut ids = BTreeSet::new();
        for model in MODELS {
            assert!(ids.insert(model.id.as_ref()), "{} twice", model.id);
            assert!(!model.dialects.is_empty(), "{}", model.id);
            let (limits, prices) = (model.limits.unwrap(), model.prices.unwrap());
            assert!(limits.output <= limits.context, "{}", model.id);
            assert!(prices.cached_input <= prices.input, "{}", model.id);
            assert!(
                prices.input > 0 && prices.output >= prices.input,
                "{}",
                model.id
            );
        }
    }

    #[test]
    fn long_input_is_dearer_and_reserved_as_such() {
        use crate::catalogue::price::{Request, Tokens};
        let model = model_by_id("gpt-5.4").unwrap();
        let cost = |input| {
            model
                .cost(&Tokens {
                    input,
                    ..Tokens::default()
                })
                .unwrap()
        };
        assert_eq!(cost(272_000), 680_000);
        assert_eq!(cost(272_001), 1_360_005);
        let text_bytes = 300_000;
        let worst = model
            .worst_case(&Request {
                text_bytes,
                ..Request::default()
            })
            .unwrap();
        assert_eq!(worst.cost, 1_500_000 + 128_000 * 45 / 2);
    }
}
