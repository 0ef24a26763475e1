//! What tokens cost, and the most that a call can.
//!
//! Money is counted in micro-dollars (millionths of a US dollar), in whole numbers. A price is for
//! a million tokens, so that `tokens × price / 1,000,000` is micro-dollars; each call is rounded up
//! once. Nothing overflows: what does not fit is the largest number, which no budget has.

use serde::{Deserialize, Serialize};

/// Micro-dollars: millionths of a US dollar.
pub type MicroDollars = u64;

/// The number of tokens that a price is for.
const MILLION: u128 = 1_000_000;

/// Prices in micro-dollars for a million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// Input that no cache held.
    pub input: MicroDollars,
    /// Input read from the provider's cache.
    pub cached_input: MicroDollars,
    /// Input written to the provider's cache.
    pub cache_write: MicroDollars,
    /// Output, reasoning included.
    pub output: MicroDollars,
}

/// What a model can take and give, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Input and output together.
    pub context: u64,
    /// Output of one reply, reasoning included.
    pub output: u64,
    /// The most that one image counts as.
    pub image: u64,
}

/// Tokens of one call as a provider reports them. Cached ones are counted within `input`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tokens {
    /// Input, whatever caches held of it.
    pub input: u64,
    /// Of the input, read from the provider's cache.
    #[serde(default)]
    pub cached_input: u64,
    /// Of the input, written to the provider's cache.
    #[serde(default)]
    pub cache_write: u64,
    /// Output, reasoning included.
    pub output: u64,
}

impl Tokens {
    /// Input and output together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

impl Prices {
    /// Nothing costs anything.
    pub const FREE: Self = Self {
        input: 0,
        cached_input: 0,
        cache_write: 0,
        output: 0,
    };

    /// What a call cost. Of a report that claims more cached input than input, the cached part is
    /// cut to the input, the dearer kind first.
    #[must_use]
    pub fn cost(&self, tokens: &Tokens) -> MicroDollars {
        let written = tokens.cache_write.min(tokens.input);
        let read = tokens.cached_input.min(tokens.input - written);
        let plain = tokens.input - written - read;
        let total = u128::from(plain) * u128::from(self.input)
            + u128::from(read) * u128::from(self.cached_input)
            + u128::from(written) * u128::from(self.cache_write)
            + u128::from(tokens.output) * u128::from(self.output);
        u64::try_from(total.div_ceil(MILLION)).unwrap_or(u64::MAX)
    }

    /// The dearest kind of input.
    #[must_use]
    pub fn dearest_input(&self) -> MicroDollars {
        self.input.max(self.cached_input).max(self.cache_write)
    }
}

/// What is known of a request before it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Bytes of its text. No tokenizer makes more than one token of a byte, so the whole body is a
    /// bound, what a provider adds around each message included.
    pub text_bytes: u64,
    /// How many images it carries, or names.
    pub images: u64,
    /// The output limit that it names.
    pub output_limit: Option<u64>,
    /// How many replies it asks for (`n` of chat completions); 0 counts as 1.
    pub replies: u64,
}

/// The most that a call can use, which is reserved before it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorstCase {
    /// Input tokens.
    pub input: u64,
    /// Output tokens of all replies together.
    pub output: u64,
    /// The limit that the request has to name for one reply, so that the bound holds.
    pub output_limit: u64,
    /// What that costs.
    pub cost: MicroDollars,
}

impl WorstCase {
    /// Input and output together.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

/// The most that a request can use of a model with these limits and prices.
#[must_use]
pub fn worst_case(limits: &Limits, prices: &Prices, request: &Request) -> WorstCase {
    let output_limit = request
        .output_limit
        .map_or(limits.output, |named| named.min(limits.output));
    let images = request.images.saturating_mul(limits.image);
    let input = request.text_bytes.saturating_add(images);
    let output = output_limit.saturating_mul(request.replies.max(1));
    let total = u128::from(input) * u128::from(prices.dearest_input())
        + u128::from(output) * u128::from(prices.output);
    WorstCase {
        input,
        output,
        output_limit,
        cost: u64::try_from(total.div_ceil(MILLION)).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits {
        context: 100_000,
        output: 4_000,
        image: 1_500,
    };
    const PRICES: Prices = Prices {
        input: 3_000_000,
        cached_input: 300_000,
        cache_write: 3_750_000,
        output: 15_000_000,
    };

    #[test]
    fn a_call_costs_what_its_kinds_of_tokens_cost() {
        let cost = |input, cached_input, cache_write, output| {
            PRICES.cost(&Tokens {
                input,
                cached_input,
                cache_write,
                output,
            })
        };
        assert_eq!(cost(0, 0, 0, 0), 0);
        assert_eq!(cost(1_000_000, 0, 0, 0), 3_000_000);
        assert_eq!(cost(0, 0, 0, 1_000), 15_000);
        assert_eq!(cost(1_000, 900, 0, 0), 300 + 270);
        assert_eq!(cost(1_000, 0, 1_000, 0), 3_750);
        // Rounded up, once.
        assert_eq!(
            PRICES.cost(&Tokens {
                input: 1,
                cached_input: 1,
                ..Tokens::default()
            }),
            1
        );
        // A report that claims more than there is.
        assert_eq!(cost(10, 10, 10, 0), 38);
        assert_eq!(cost(u64::MAX, 0, 0, u64::MAX), u64::MAX);
    }

    #[test]
    fn the_worst_case_is_bytes_images_and_the_output_limit() {
        let request = |text_bytes, images, output_limit, replies| {
            worst_case(
                &LIMITS,
                &PRICES,
                &Request {
                    text_bytes,
                    images,
                    output_limit,
                    replies,
                },
            )
        };
        let plain = request(1_000, 2, None, 1);
        assert_eq!(
            (plain.input, plain.output, plain.output_limit),
            (4_000, 4_000, 4_000)
        );
        assert_eq!(plain.cost, 15_000 + 60_000);
        assert_eq!(request(0, 0, Some(10), 0).output, 10);
        assert_eq!(request(0, 0, Some(9_999), 1).output_limit, 4_000);
        assert_eq!(request(0, 0, Some(10), 3).output, 30);
    }

    proptest! {
        #[test]
        fn no_call_within_the_bound_costs_more_than_the_worst_case(
            prices in any::<(u32, u32, u32, u32)>(),
            text_bytes in 0u64..1 << 24, images in 0u64..20,
            named in proptest::option::of(0u64..1 << 20), replies in 0u64..4,
            cached in 0u64..1 << 25, written in 0u64..1 << 25, share in 0u64..=100,
        ) {
            let prices = Prices {
                input: prices.0.into(),
                cached_input: prices.1.into(),
                cache_write: prices.2.into(),
                output: prices.3.into(),
            };
            let request = Request { text_bytes, images, output_limit: named, replies };
            let worst = worst_case(&LIMITS, &prices, &request);
            prop_assert!(worst.output_limit <= LIMITS.output);
            let tokens = Tokens {
                input: worst.input * share / 100,
                cached_input: cached,
                cache_write: written,
                output: worst.output * share / 100,
            };
            prop_assert!(prices.cost(&tokens) <= worst.cost);
            prop_assert!(tokens.total() <= worst.tokens());
        }
    }
}
