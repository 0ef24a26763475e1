//! What a model's tokens cost: as the command line says, else as SAM's
//! catalogue knows it.

use sam_dialects::Usage;
use sam_domain::catalogue::models::model_by_id;
use sam_domain::catalogue::price::{MicroDollars, Prices, Tokens};

/// Reads an amount of US dollars, to the millionth.
pub(crate) fn amount(text: &str) -> Result<MicroDollars, String> {
    let text = text.trim();
    let wrong = || format!("{text} is no amount of dollars, such as 0.50");
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 6 || (whole.is_empty() && part.is_empty()) {
        return Err(wrong());
    }
    format!("{whole}{part:0<6}").parse().map_err(|_| wrong())
}

/// Reads the prices of a million tokens: input, output, and what differs for
/// caches.
pub(crate) fn prices(text: &str) -> Result<Prices, String> {
    let amounts: Vec<MicroDollars> = text.split(',').map(amount).collect::<Result<_, _>>()?;
    let (input, output, read, written) = match *amounts.as_slice() {
        [input, output] => (input, output, input, input),
        [input, output, read] => (input, output, read, input),
        [input, output, read, written] => (input, output, read, written),
        _ => return Err("two to four prices with commas between, such as 3,15".to_owned()),
    };
    Ok(Prices {
        input,
        output,
        cached_input: read,
        cache_write: written,
    })
}

/// What a reply of this model cost; none when nobody said. `given` goes before
/// the catalogue.
pub(crate) fn cost(model: &str, given: Option<&Prices>, usage: Usage) -> Option<MicroDollars> {
    let tokens = Tokens {
        input: usage.input,
        cached_input: usage.cached_input,
        cache_write: usage.cache_write,
        output: usage.output,
    };
    match given {
        Some(prices) => Some(prices.cost(&tokens)),
        None => model_by_id(model)?.cost(&tokens),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_or_refused() {
        for (text, expected) in [
            ("3", 3_000_000),
            ("0.5", 500_000),
            (".000001", 1),
            ("2.", 2_000_000),
        ] {
            assert_eq!(amount(text), Ok(expected), "{text}");
        }
        for wrong in [
            "",
            ".",
            "-1",
            "1e3",
            "0.0000001",
            "99999999999999999999",
            "$1",
        ] {
            assert!(amount(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_given_goes_before_the_catalogue() {
        let usage = Usage {
            input: 1_000_000,
            output: 1_000_000,
            cached_input: 500_000,
            ..Usage::default()
        };
        let given = prices("2,10,1").unwrap();
        assert_eq!(cost("claude-opus-5", Some(&given), usage), Some(11_500_000));
        assert!(cost("claude-opus-5", None, usage).is_some());
        assert_eq!(cost("nobody-knows", None, usage), None);
        assert!(prices("1").is_err() && prices("1,2,3,4,5").is_err());
    }
}
