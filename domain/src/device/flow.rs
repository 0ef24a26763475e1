//! How a device flow moves.
//!
//! [`DeviceFlow::step`] is the whole machine: a state, the moment, an input, an
//! answer. The deadline is stored when the flow begins and is looked at with
//! every input, so that a flow ends in time whether or not its alarm came.

use super::wire::Asked;
use crate::access::tokens::Scopes;
use crate::id::UserId;
use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};

/// How long a flow may take.
pub const LIFETIME: Millis = Millis::minutes(15);
/// How long to wait between two polls, at first.
pub const INTERVAL: Millis = Millis::seconds(5);
/// What a poll that comes too early adds to that, for good.
pub const SLOW_DOWN: Millis = Millis::seconds(5);
/// How long what became of a flow is remembered after its end.
pub const REMEMBERED: Millis = Millis::hours(1);

/// Where a flow stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nobody decided.
    Pending,
    /// A person said yes; the next poll in time gets a session of theirs.
    Approved {
        /// Who.
        by: UserId,
    },
    /// A person said no.
    Denied,
    /// Its time passed.
    Expired,
    /// A poll got the session.
    Redeemed,
}

impl Standing {
    /// The word in the table.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved { .. } => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Redeemed => "redeemed",
        }
    }
}

/// A flow's whole memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceFlow {
    /// Where it stands.
    pub standing: Standing,
    /// The HMAC of the device code.
    pub device_hmac: String,
    /// Who asks for what, from where.
    pub asked: Asked,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// How long to wait between two polls.
    pub interval: Millis,
    /// When the program polled last, in time or not.
    pub polled_at: Option<Timestamp>,
}

/// What happens to a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceInput {
    /// Somebody polls.
    Polled {
        /// The HMAC of the device code they present.
        device_hmac: String,
        /// The client they say they are.
        client_id: String,
    },
    /// A person approves.
    Approved {
        /// Who.
        by: UserId,
    },
    /// A person denies.
    Denied,
    /// Its time passed.
    DeadlinePassed,
}

impl DeviceInput {
    /// The name in the table.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Polled { .. } => "polled",
            Self::Approved { .. } => "approved",
            Self::Denied => "denied",
            Self::DeadlinePassed => "deadline",
        }
    }
}

/// What the flow answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceAnswer {
    /// To a poll: nobody decided yet.
    Pending,
    /// To a poll: it came too early; wait longer from now on.
    SlowDown,
    /// To a poll: a person said no.
    Denied,
    /// To anything: its time passed.
    Expired,
    /// To a poll: not this flow's device code, another client, or redeemed before.
    Invalid,
    /// To one poll: this person said yes.
    Granted {
        /// Who.
        by: UserId,
        /// What the session may do; everything its person may, when absent.
        scopes: Option<Scopes>,
    },
    /// To a decision: it is taken.
    Decided,
    /// To a decision: somebody decided before.
    DecidedBefore,
}

impl DeviceFlow {
    /// A flow that begins now.
    #[must_use]
    pub fn begin(device_hmac: String, asked: Asked, now: Timestamp) -> Self {
        Self {
            standing: Standing::Pending,
            device_hmac,
            asked,
            created_at: now,
            expires_at: now.plus(LIFETIME),
            interval: INTERVAL,
            polled_at: None,
        }
    }

    /// One step.
    pub fn step(&mut self, now: Timestamp, input: DeviceInput) -> DeviceAnswer {
        if let DeviceInput::Polled {
            device_hmac,
            client_id,
        } = &input
        {
            // The length tells nothing: both are HMACs.
            if !same(device_hmac, &self.device_hmac) || *client_id != self.asked.client_id {
                return DeviceAnswer::Invalid;
            }
        }
        self.end_in_time(now);
        match input {
            DeviceInput::Polled { .. } => self.polled(now),
            DeviceInput::Approved { by } => self.decided(Standing::Approved { by }),
            DeviceInput::Denied => self.decided(Standing::Denied),
            DeviceInput::DeadlinePassed => DeviceAnswer::Expired,
        }
    }

    fn end_in_time(&mut self, now: Timestamp) {
        if now >= self.expires_at
            && matches!(self.standing, Standing::Pending | Standing::Approved { .. })
        {
            self.standing = Standing::Expired;
        }
    }

    fn polled(&mut self, now: Timestamp) -> DeviceAnswer {
        match &self.standing {
            Standing::Denied => return DeviceAnswer::Denied,
            Standing::Expired => return DeviceAnswer::Expired,
            Standing::Redeemed => return DeviceAnswer::Invalid,
            Standing::Pending | Standing::Approved { .. } => {}
        }
        let early = self
            .polled_at
            .is_some_and(|before| now.since(before) < self.interval);
        self.polled_at = Some(now);
        if early {
            self.interval = Millis(self.interval.0.saturating_add(SLOW_DOWN.0));
            return DeviceAnswer::SlowDown;
        }
        match std::mem::replace(&mut self.standing, Standing::Redeemed) {
            Standing::Approved { by } => DeviceAnswer::Granted {
                by,
                scopes: self.asked.scopes.clone(),
            },
            waiting => {
                self.standing = waiting;
                DeviceAnswer::Pending
            }
        }
    }

    fn decided(&mut self, decision: Standing) -> DeviceAnswer {
        match self.standing {
            Standing::Pending => {
                self.standing = decision;
                DeviceAnswer::Decided
            }
            Standing::Expired => DeviceAnswer::Expired,
            Standing::Approved { .. } | Standing::Denied | Standing::Redeemed => {
                DeviceAnswer::DecidedBefore
            }
        }
    }

    /// When it may be forgotten.
    #[must_use]
    pub const fn forgotten_at(&self) -> Timestamp {
        self.expires_at.plus(REMEMBERED)
    }
}

/// Whether two HMACs are the same, in a time that does not tell where they differ.
fn same(left: &str, right: &str) -> bool {
    let differing = left
        .bytes()
        .zip(right.bytes())
        .fold(0u8, |differing, (a, b)| differing | (a ^ b));
    left.len() == right.len() && differing == 0
}
