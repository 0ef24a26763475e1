//! The codes: a short one for people, a long one for the program.
//!
//! User codes have eight letters out of twenty, without vowels, so that they
//! spell nothing and none is mistaken for another. People may type them in any
//! case, with or without the hyphen.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The letters of a user code.
const LETTERS: [u8; 20] = *b"BCDFGHJKLMNPQRSTVWXZ";
/// How many there are in one.
const LENGTH: usize = 8;

/// The prefix of device codes; the user code without its hyphen, a dot and the secret follow.
pub const DEVICE_CODE: &str = "sam_dev_";

/// A user code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserCode([u8; LENGTH]);

/// Why a text is no user code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a code has eight letters, like BCDF-GHJK")]
pub struct NoUserCode;

impl UserCode {
    /// A code from 128 bits of entropy.
    #[must_use]
    pub fn draw(mut entropy: u128) -> Self {
        let count = LETTERS.len() as u128;
        Self(std::array::from_fn(|_| {
            let at = usize::try_from(entropy % count).unwrap_or_default();
            entropy /= count;
            LETTERS.get(at).copied().unwrap_or(b'B')
        }))
    }

    /// The eight letters, by which its flow is named.
    #[must_use]
    pub fn letters(&self) -> &str {
        // Only ASCII is ever put in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The device code of this user code's flow with this secret.
    #[must_use]
    pub fn device_code(&self, secret: &str) -> String {
        format!("{DEVICE_CODE}{}.{secret}", self.letters())
    }

    /// The user code that a device code belongs to; none for anything else.
    #[must_use]
    pub fn of_device_code(code: &str) -> Option<Self> {
        let (letters, secret) = code.strip_prefix(DEVICE_CODE)?.split_once('.')?;
        let well_formed = letters.len() == LENGTH && !secret.is_empty();
        well_formed.then(|| letters.parse().ok())?
    }
}

impl FromStr for UserCode {
    type Err = NoUserCode;

    fn from_str(text: &str) -> Result<Self, NoUserCode> {
        let mut letters = text
            .bytes()
            .filter(|byte| !matches!(byte, b'-' | b' '))
            .map(|byte| byte.to_ascii_uppercase());
        let mut code = [0; LENGTH];
        for place in &mut code {
            *place = letters
                .next()
                .filter(|letter| LETTERS.contains(letter))
                .ok_or(NoUserCode)?;
        }
        match letters.next() {
            None => Ok(Self(code)),
            Some(_) => Err(NoUserCode),
        }
    }
}

impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = self.letters().split_at(LENGTH / 2);
        write!(f, "{first}-{second}")
    }
}

impl fmt::Debug for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for UserCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UserCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for UserCode {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "UserCode".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$",
            "description": "The code a person compares. In requests any case will do, and the hyphen may be missing.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn people_may_type_it_as_they_like() {
        let code: UserCode = "BCDF-GHJK".parse().unwrap();
        for typed in ["bcdfghjk", "BCDFGHJK", " bcdf ghjk ", "b-c-d-f-g-h-j-k"] {
            assert_eq!(typed.parse(), Ok(code), "{typed}");
        }
        for bad in [
            "",
            "BCDF-GHJ",
            "BCDF-GHJKL",
            "BCDF-GHJA",
            "BCDF_GHJK",
            "BCDF-GHJ\u{c9}",
        ] {
            assert_eq!(bad.parse::<UserCode>(), Err(NoUserCode), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_drawn_code_is_one_and_is_found_in_its_device_code(entropy: u128) {
            let code = UserCode::draw(entropy);
            prop_assert_eq!(code.to_string().parse(), Ok(code));
            let device = code.device_code("secret");
            prop_assert_eq!(UserCode::of_device_code(&device), Some(code));
            prop_assert_eq!(UserCode::of_device_code(&device.to_lowercase()), Some(code));
        }

        #[test]
        fn nothing_else_is_a_device_code(text in "(sam_dev_)?[A-Z.\\-]{0,12}(\\.x)?") {
            if let Some(code) = UserCode::of_device_code(&text) {
                let start = format!("{DEVICE_CODE}{}.", code.letters());
                prop_assert!(text.starts_with(&start));
            }
        }
    }
}
