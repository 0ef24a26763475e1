//! `sam usage …` and `sam budget …`

use clap::Subcommand;
use sam_domain::budget::period::Day;
use sam_domain::budget::wire::UsageBy;
use std::str::FromStr;

/// `sam usage`
#[derive(Debug, clap::Args)]
pub(crate) struct Usage {
    /// What to group by: day, project, task, model or user
    #[arg(long, default_value = "day")]
    pub(crate) by: UsageBy,
    /// The first day [default: the first of the month]
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) from: Option<Day>,
    /// The last day [default: today]
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) to: Option<Day>,
    /// A project's, with everybody's calls in it, by name or id
    #[arg(long, short = 'p', value_name = "NAME|ID")]
    pub(crate) project: Option<String>,
    /// Everybody's, for who runs the installation
    #[arg(long, conflicts_with = "project")]
    pub(crate) all: bool,
    /// As CSV
    #[arg(long)]
    pub(crate) csv: bool,
}

/// `sam budget …`
#[derive(Debug, Subcommand)]
pub(crate) enum Budget {
    /// Limits, and what is spent and reserved of them
    Show(Holder),
    /// Set your own limits, or as a maintainer a project's
    Set {
        /// A project's, by name or id
        #[arg(long, short = 'p', value_name = "NAME|ID")]
        project: Option<String>,
        #[command(flatten)]
        limits: NewLimits,
    },
    /// Set what a person or a project is allowed, for who runs the installation
    Allow {
        #[command(flatten)]
        holder: Holder,
        #[command(flatten)]
        limits: NewLimits,
    },
    /// Compare with AI Gateway's log now, for who runs the installation
    Reconcile {
        /// Only say how far it came
        #[arg(long)]
        status: bool,
    },
}

/// Whose budget; one's own when nobody is named.
#[derive(Debug, clap::Args)]
pub(crate) struct Holder {
    /// A person's, by name or id, for who runs the installation
    #[arg(long, value_name = "NAME|ID")]
    pub(crate) person: Option<String>,
    /// A project's, by name or id
    #[arg(long, short = 'p', value_name = "NAME|ID", conflicts_with = "person")]
    pub(crate) project: Option<String>,
}

/// Limits to set; those that are not named stay.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
pub(crate) struct NewLimits {
    /// Tokens a day, like 200000, 500k or 2M; `none` lifts it
    #[arg(long, value_name = "TOKENS")]
    pub(crate) daily_tokens: Option<Amount>,
    /// Dollars a month, like 20 or 7.50; `none` lifts it
    #[arg(long, value_name = "DOLLARS")]
    pub(crate) monthly_cost: Option<Dollars>,
    /// Model calls a minute; `none` lifts it
    #[arg(long, value_name = "CALLS")]
    pub(crate) requests_per_minute: Option<Amount>,
}

/// A number, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Amount(pub(crate) Option<u64>);

impl FromStr for Amount {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self(None));
        }
        let (digits, factor) = match text.as_bytes().last() {
            Some(b'k' | b'K') => (text.trim_end_matches(['k', 'K']), 1_000),
            Some(b'm' | b'M') => (text.trim_end_matches(['m', 'M']), 1_000_000),
            _ => (text, 1),
        };
        let number: Option<u64> = digits.replace('_', "").parse().ok();
        number
            .and_then(|number| number.checked_mul(factor))
            .map(|number| Self(Some(number)))
            .ok_or("a whole number like 200000, 500k or 2M, or `none`")
    }
}

/// Micro-dollars, written as dollars, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dollars(pub(crate) Option<u64>);

impl FromStr for Dollars {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "dollars like 20 or 7.50, or `none`";
        if text == "none" {
            return Ok(Self(None));
        }
        let text = text.strip_prefix('$').unwrap_or(text);
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > 6 {
            return Err(FORM);
        }
        let micro: u64 = format!("{fraction:0<6}").parse().map_err(|_| FORM)?;
        let whole: u64 = whole.parse().map_err(|_| FORM)?;
        whole
            .checked_mul(1_000_000)
            .and_then(|whole| whole.checked_add(micro))
            .map(|micro| Self(Some(micro)))
            .ok_or(FORM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (text, amount) in [
            ("200000", Some(200_000)),
            ("500k", Some(500_000)),
            ("2M", Some(2_000_000)),
            ("none", None),
        ] {
            assert_eq!(text.parse(), Ok(Amount(amount)), "{text}");
        }
        for (text, micro) in [
            ("20", Some(20_000_000)),
            ("$7.5", Some(7_500_000)),
            ("0.000001", Some(1)),
            ("none", None),
        ] {
            assert_eq!(text.parse(), Ok(Dollars(micro)), "{text}");
        }
        for bad in ["", "-1", "1.5", "kk", "99999999999999999999", "5kM"] {
            assert!(bad.parse::<Amount>().is_err(), "{bad}");
        }
        for bad in [
            "",
            "-1",
            "1.",
            ".5",
            "1.0000001",
            "1,5",
            "99999999999999999999",
        ] {
            assert!(bad.parse::<Dollars>().is_err(), "{bad}");
        }
    }
}
