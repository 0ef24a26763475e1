//! What a login's object is asked.

use super::wire::LoginView;
use crate::id::UserId;
use crate::time::Millis;
use serde::{Deserialize, Serialize};

/// A call to the object of one person's login for one agent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginCall {
    /// The object's name: whose login of which agent it is.
    pub name: LoginName,
    /// What is to be done.
    pub ask: LoginAsk,
}

/// Whose login of which agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginName {
    /// Whose.
    pub user: UserId,
    /// Of which agent.
    pub agent: String,
}

impl std::fmt::Display for LoginName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.user, self.agent)
    }
}

/// What is to be done with it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginAsk {
    /// Keep this file in place of what is there. Replies [`LoginReply`] with a view.
    Put(String),
    /// Forget it. Replies [`LoginReply`], empty when there was none.
    Remove,
    /// Give what the agent needs, refreshed when it is due. Replies [`LoginReply`] with a file.
    HandOver,
}

/// What the object replies.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginReply {
    /// The login as it is now.
    #[serde(default)]
    pub view: Option<LoginView>,
    /// What the agent needs, without the means to refresh it.
    #[serde(default)]
    pub file: Option<String>,
    /// When whoever was given it asks again.
    #[serde(default)]
    pub ask_again_in: Millis,
}
