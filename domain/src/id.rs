//! Identifiers that say what they name.
//!
//! An id is a prefix and a lower-case ULID (26 characters of Crockford base 32):
//! `tsk_01jd8x…`. Ids sort by the time they were minted. The server mints an id
//! once, before any side effect; no function that crosses a boundary takes a
//! bare string for one.

use crate::time::{Timestamp, Turn};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Why a string is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id of this kind: expected {expected} followed by 26 characters")]
pub struct IdError {
    /// The prefix that was expected, with its underscore.
    pub expected: &'static str,
}

/// What all ids have in common.
pub trait Id: Sized + Clone + Ord + fmt::Display + FromStr<Err = IdError> {
    /// The prefix, with its underscore.
    const PREFIX: &'static str;

    /// Mints an id from a moment and 80 bits of entropy.
    fn mint(now: Timestamp, entropy: u128) -> Self;

    /// Mints an id that sorts after `newest`, also within the same millisecond or when the clock
    /// went back: then it is the next one after it.
    fn mint_after(newest: Option<&Self>, now: Timestamp, entropy: u128) -> Self {
        let newest = newest.and_then(|id| {
            let text = id.as_str().strip_prefix(Self::PREFIX)?;
            ulid::Ulid::from_string(text).ok()
        });
        match newest {
            Some(newest) if newest.timestamp_ms() >= now.0 => {
                let next = newest.increment().unwrap_or(newest);
                Self::mint(Timestamp(next.timestamp_ms()), next.random())
            }
            _ => Self::mint(now, entropy),
        }
    }

    /// Mints an id from a turn.
    fn draw(turn: &mut Turn) -> Self {
        let entropy = turn.draw();
        Self::mint(turn.now, entropy)
    }

    /// The whole id as text.
    fn as_str(&self) -> &str;

    /// The last eight characters: enough for a person to tell ids apart.
    fn short(&self) -> &str {
        let text = self.as_str();
        text.get(text.len().saturating_sub(8)..).unwrap_or(text)
    }
}

/// Length of every id in bytes: a prefix of four and a ULID.
const LEN: usize = 30;

/// An id's text, kept in place: ids are cloned with every turn, and a copy
/// costs no allocation.
type Text = [u8; LEN];

fn parse(prefix: &'static str, text: &str) -> Result<Text, IdError> {
    let error = IdError { expected: prefix };
    let Some(body) = text.strip_prefix(prefix) else {
        return Err(error);
    };
    let valid = body.bytes().all(|b| {
        b.is_ascii_digit() || (b.is_ascii_lowercase() && !matches!(b, b'i' | b'l' | b'o' | b'u'))
    });
    match text.as_bytes().try_into() {
        Ok(text) if valid => Ok(text),
        _ => Err(error),
    }
}

fn mint(prefix: &'static str, now: Timestamp, entropy: u128) -> Text {
    let mut body = [0; ulid::ULID_LEN];
    let body = ulid::Ulid::from_parts(now.0, entropy).array_to_str(&mut body);
    let mut text = [b'0'; LEN];
    for (place, byte) in text.iter_mut().zip(prefix.bytes().chain(body.bytes())) {
        *place = byte.to_ascii_lowercase();
    }
    text
}

macro_rules! ids {
    ($($(#[doc = $doc:literal])* $name:ident $prefix:literal;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Text);

        impl Id for $name {
            const PREFIX: &'static str = $prefix;

            fn mint(now: Timestamp, entropy: u128) -> Self {
                Self(mint($prefix, now, entropy))
            }

            fn as_str(&self) -> &str {
                // Only ASCII is ever put in.
                std::str::from_utf8(&self.0).unwrap_or($prefix)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                parse($prefix, text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "pattern": concat!("^", $prefix, "[0-9a-hjkmnp-tv-z]{26}$"),
                    "description": concat!($($doc),*).trim(),
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// A person.
    UserId "usr_";
    /// A project: one repository and the conversations about it.
    ProjectId "prj_";
    /// A conversation. It outlives tasks and machines.
    SessionId "ses_";
    /// One row of a conversation.
    RowId "row_";
    /// One prompt a person sent.
    PromptId "prm_";
    /// A task: one piece of work with its attempts.
    TaskId "tsk_";
    /// A checkout on a node, for one attempt.
    WorkspaceId "wsp_";
    /// A machine that runs workspaces.
    NodeId "nod_";
    /// One running agent process's session, as the node knows it.
    AgentSessionId "acp_";
    /// A command to a node.
    CommandId "cmd_";
    /// An invite for a new person.
    InviteId "inv_";
    /// A stored key to a model API.
    CredentialId "crd_";
    /// An API token.
    ApiTokenId "tok_";
    /// One HTTP request, named in its error.
    RequestId "req_";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let task = TaskId::mint(Timestamp(1), 7);
        assert!(task.as_str().parse::<TaskId>().is_ok());
        assert!(task.as_str().parse::<NodeId>().is_err());
        for bad in [
            "",
            "tsk_",
            "tsk_short",
            "tsk_01jd8xil0000000000000000000",
            "tsk_../../../../../../../../..",
        ] {
            assert!(bad.parse::<TaskId>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn ids_round_trip_and_sort_by_time(a in 0u64..1 << 47, b in 0u64..1 << 47, seed: u128) {
            let (x, y) = (RowId::mint(Timestamp(a), seed), RowId::mint(Timestamp(b), seed));
            prop_assert_eq!(x.as_str().parse::<RowId>().unwrap(), x.clone());
            prop_assert_eq!(a.cmp(&b), x.cmp(&y));
        }

        #[test]
        fn an_id_minted_after_another_sorts_after_it(a in 0u64..1 << 47, b in 0u64..1 << 47, seed in 0u128..1 << 79, other: u128) {
            let newest = TaskId::mint(Timestamp(a), seed);
            let next = TaskId::mint_after(Some(&newest), Timestamp(b), other);
            prop_assert!(next > newest);
            prop_assert_eq!(TaskId::mint_after(None, Timestamp(b), other), TaskId::mint(Timestamp(b), other));
        }
    }
}
