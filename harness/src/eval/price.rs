//! What tokens cost here: what was given for the run, else the list price.

use std::collections::BTreeMap;
use std::path::Path;

use sam_dialects::Usage;
use sam_domain::catalogue::models::model_by_id;
use sam_domain::catalogue::price::{self, Tokens};
use serde::Deserialize;

use super::args::PriceArgs;

/// Micro-dollars in a dollar.
const MILLION: f64 = 1e6;

/// Prices of one model, in micro-dollars for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Prices(price::Prices);

/// The same in dollars, as files have it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dollars {
    input: f64,
    output: f64,
    cached_input: Option<f64>,
    cache_write: Option<f64>,
}

impl Prices {
    fn new(dollars: Dollars) -> Result<Self, String> {
        let micro = |dollars: f64| {
            let micro = (dollars * MILLION).round();
            if !(0.0..1e15).contains(&micro) {
                return Err(format!("{dollars} is no price"));
            }
            // Rounded and within bounds.
            format!("{micro:.0}")
                .parse()
                .map_err(|_| format!("{dollars} is no price"))
        };
        let input = micro(dollars.input)?;
        let or_input = |dollars: Option<f64>| dollars.map_or(Ok(input), micro);
        Ok(Self(price::Prices {
            input,
            output: micro(dollars.output)?,
            cached_input: or_input(dollars.cached_input)?,
            cache_write: or_input(dollars.cache_write)?,
        }))
    }

    /// What a reply cost, in micro-dollars.
    pub(super) fn cost(&self, usage: &Usage) -> u64 {
        self.0.cost(&Tokens {
            input: usage.input,
            cached_input: usage.cached_input,
            cache_write: usage.cache_write,
            output: usage.output,
        })
    }
}

/// The prices of a run.
#[derive(Debug, Default)]
pub(super) struct PriceList {
    every: Option<Prices>,
    by_model: BTreeMap<String, Prices>,
}

impl PriceList {
    /// As the flags say.
    pub(super) fn new(args: &PriceArgs) -> Result<Self, String> {
        let every = match (args.price_in, args.price_out) {
            (Some(input), Some(output)) => Some(Prices::new(Dollars {
                input,
                output,
                cached_input: args.price_cached,
                cache_write: None,
            })?),
            _ => None,
        };
        let by_model = args.prices.as_deref().map_or(Ok(BTreeMap::new()), read)?;
        Ok(Self { every, by_model })
    }

    /// The prices of a model, where they are known.
    pub(super) fn of(&self, model: &str) -> Option<Prices> {
        let given = self.by_model.get(model).copied().or(self.every);
        given.or_else(|| model_by_id(model)?.prices.map(Prices))
    }
}

fn read(path: &Path) -> Result<BTreeMap<String, Prices>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read(path).map_err(|error| failed(&error))?;
    let prices: BTreeMap<String, Dollars> =
        serde_json::from_slice(&text).map_err(|error| failed(&error))?;
    prices
        .into_iter()
        .map(|(model, dollars)| Ok((model, Prices::new(dollars)?)))
        .collect::<Result<_, String>>()
        .map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_comes_before_the_list_price() {
        let usage = Usage {
            input: 1_000_000,
            cached_input: 400_000,
            output: 100_000,
            ..Usage::default()
        };
        let args = |price_in, price_cached| PriceArgs {
            price_in,
            price_out: price_in,
            price_cached,
            prices: None,
        };
        let list = PriceList::new(&args(Some(2.5), Some(0.25))).unwrap();
        let cost = list.of("any").unwrap().cost(&usage);
        assert_eq!(cost, 600_000 * 5 / 2 + 100_000 + 250_000);
        let list = PriceList::new(&args(None, None)).unwrap();
        assert_eq!(list.of("any"), None);
        assert!(list.of("claude-sonnet-5").is_some());
        assert!(PriceList::new(&args(Some(-1.0), None)).is_err());
        assert!(PriceList::new(&args(Some(f64::NAN), None)).is_err());
    }
}
