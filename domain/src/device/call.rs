//! What a flow's object is asked.

use super::flow::DeviceAnswer;
use super::wire::{Asked, DeviceView};
use crate::id::UserId;
use serde::{Deserialize, Serialize};

/// A call to the object of one user code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceCall {
    /// Begin a flow. Replies [`Begun`].
    Begin {
        /// The HMAC of its device code.
        device_hmac: String,
        /// Who asks for what, from where.
        asked: Asked,
    },
    /// What the page shows. Replies [`DeviceView`], or refuses with 404 when there is no such flow.
    Look,
    /// A person decides. Replies [`Decided`], or refuses with 404.
    Decide {
        /// Who.
        by: UserId,
        /// Yes or no.
        approve: bool,
    },
    /// A program polls. Replies [`DeviceAnswer`].
    Poll {
        /// The HMAC of the device code it presents.
        device_hmac: String,
        /// The client it says it is.
        client_id: String,
    },
}

/// Reply to [`DeviceCall::Begin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Begun {
    /// It runs.
    Begun,
    /// The code is another flow's; draw another one.
    Taken,
}

/// Reply to [`DeviceCall::Decide`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// What the flow answered.
    pub answer: DeviceAnswer,
    /// The flow as it is now.
    pub view: DeviceView,
}
