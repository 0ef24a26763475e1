//! What the Worker asks of a Budget, and the record of a model call.
//!
//! Each call is one JSON value `POST`ed to the object of a person, a project or the installation,
//! and answered with its reply or an [`ApiError`](crate::error::ApiError). Repeating any of them is
//! harmless.

use super::ledger::{Outcome, Warning};
use super::period::Day;
use super::reconcile::{Logged, Reconciliation};
use super::refusal::{HolderKind, Refusal};
use super::wire::UsageBy;
use super::{Charge, Limits};
use crate::catalogue::price::{MicroDollars, Tokens};
use crate::collect::Map;
use crate::id::{ProjectId, RequestId, SessionId, TaskId, UserId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The name of the installation's own object, which keeps how far reconciliation came.
pub const INSTALLATION: &str = "installation";

/// What a model call is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallScope {
    /// On whose behalf.
    pub user: UserId,
    /// In which project.
    pub project: ProjectId,
    /// In which conversation.
    pub session: SessionId,
    /// For which task.
    pub task: TaskId,
    /// Under which attempt.
    pub attempt: u32,
    /// The model asked for.
    pub model: String,
    /// Whether a key of the person's or the project's own pays, and not the installation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_key: bool,
}

/// One model call, as the upstream reported it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelCall {
    /// The request it was.
    pub request: RequestId,
    /// What it is for.
    pub scope: CallScope,
    /// When it began.
    pub at: Timestamp,
    /// The upstream's HTTP status; 0 when it could not be reached.
    pub status: u16,
    /// What the upstream said it used; absent when it did not say.
    pub tokens: Option<Tokens>,
    /// What that costs.
    pub cost: MicroDollars,
    /// How it ended.
    pub end: CallEnd,
    /// What is reserved for it, where a limit made somebody reserve something: a call without a
    /// report counts as that for everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved: Option<Charge>,
    /// The id under which AI Gateway logged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

impl ModelCall {
    /// How it ended, as far as money goes. A reply that did not come to its end may have reported
    /// only its beginning.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let charge = self.tokens.map(|tokens| Charge {
            tokens: tokens.total(),
            cost: self.cost,
        });
        let answered = (200..400).contains(&self.status);
        match (charge, self.end) {
            (Some(charge), CallEnd::Complete) => Outcome::Reported(charge),
            (None, CallEnd::Refused) => Outcome::Nothing,
            (None, CallEnd::Unanswered) if !answered => Outcome::Nothing,
            (charge, _) => Outcome::Unknown(self.reserved.or(charge).unwrap_or_default()),
        }
    }
}

/// How a model call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallEnd {
    /// As it should.
    Complete,
    /// The upstream answered with an error.
    Refused,
    /// The upstream broke off.
    BrokeOff,
    /// The upstream said nothing for too long.
    Silent,
    /// The client left.
    ClientLeft,
    /// The upstream could not be reached, or its answer not be passed on.
    Unanswered,
}

impl CallEnd {
    /// The end as a word, as on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Refused => "refused",
            Self::BrokeOff => "broke_off",
            Self::Silent => "silent",
            Self::ClientLeft => "client_left",
            Self::Unanswered => "unanswered",
        }
    }
}

/// A call to a Budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetCall {
    /// Reserve the most that a model call can use. Reply: [`Reserved`].
    Reserve {
        /// Whose object this is.
        holder: HolderKind,
        /// The model call.
        request: RequestId,
        /// What it is for.
        scope: CallScope,
        /// The most that it can use.
        charge: Charge,
    },
    /// Give a reservation back: its call is not made. Reply: `Done`.
    Release {
        /// The model call.
        request: RequestId,
    },
    /// The call is still under way. Reply: `Done`.
    Renew {
        /// The model call.
        request: RequestId,
    },
    /// Calls ended. Reply: [`Settled`].
    Settle {
        /// Their records.
        records: Vec<ModelCall>,
    },
    /// Reply: [`BudgetView`](super::wire::BudgetView).
    View,
    /// Set one of the two layers of limits. Reply: [`BudgetView`](super::wire::BudgetView).
    SetLimits {
        /// Which layer.
        layer: Layer,
        /// The limits; those that are absent are lifted.
        limits: Limits,
    },
    /// What was used, grouped. Reply: [`UsageRows`].
    Usage {
        /// By what.
        by: UsageBy,
        /// The first day.
        from: Day,
        /// The last day.
        to: Day,
    },
    /// Reply: [`UsageSummary`].
    TaskUsage {
        /// Which task.
        task: TaskId,
    },
    /// Compare with the provider's records. Reply: [`Compared`].
    Reconcile {
        /// The records.
        logged: Vec<Logged>,
    },
    /// The installation's: how far reconciliation came. Reply: [`Reconciliation`].
    GetReconciliation,
    /// The installation's: how a run of it ended. Reply: [`Reconciliation`].
    PutReconciliation {
        /// What is known now.
        state: Reconciliation,
    },
}

/// The two layers of limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// What an administrator allows.
    Allowance,
    /// What the holder set.
    Own,
}

/// Reply of [`BudgetCall::Reserve`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reserved {
    /// Nothing is limited, and nothing was reserved.
    Unlimited,
    /// It is reserved.
    Granted {
        /// Limits that have come near, and were not told of before.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<Warning>,
    },
    /// It does not fit.
    Refused(Refusal),
}

/// Reply of [`BudgetCall::Settle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// Whether anything is limited now.
    pub limited: bool,
}

/// Reply of [`BudgetCall::Usage`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRows {
    /// At most 1,000 groups.
    pub rows: Vec<super::wire::UsageLine>,
}

/// Reply of [`BudgetCall::Reconcile`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// What the ledger had counted for these calls before.
    pub ledger_cost: MicroDollars,
    /// What the provider's records say.
    pub provider_cost: MicroDollars,
    /// Calls that counted as something else, and were corrected now.
    pub corrected: u64,
    /// Calls that only the provider knew, and that were added now.
    pub discovered: u64,
}

/// `GET /api/tasks/{task}/usage`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageSummary {
    /// Model calls.
    pub calls: u64,
    /// Calls of which the upstream did not report the usage.
    pub unreported: u64,
    /// Tokens sent.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Micro-dollars.
    #[serde(default)]
    pub cost: MicroDollars,
    /// Calls by how they ended: `complete`, `refused`, `broke_off`, `silent`, `client_left`,
    /// `unanswered`.
    #[serde(default)]
    pub ends: Map<String, u64>,
}
