//! Subscription logins: the file with which a coding agent is signed in at its provider.
//!
//! Model: a person signs the agent in somewhere and gives SAM the file. It is kept sealed, its one
//! writer is the `SubscriptionLogin` object of that person and agent, and what an agent is given is
//! another file ([`file::Login::for_agent`]): its access token without the means to get a further
//! one. Providers replace the refresh token with each use and take a used one for theft, so nobody
//! but the one writer ever presents it, one request at a time ([`keeper`]).
//!
//! Invariants:
//! - A refresh token never leaves the control plane but to its provider.
//! - The token before stays in use until it ends by itself: while a refresh is under way, and after
//!   one that was refused.
//! - What was stored by a person while a refresh was under way is not overwritten by its result.
//!
//! It knows no storage, no keys and no HTTP.

pub mod call;
pub mod file;
pub mod keeper;
pub mod wire;

/// Whose login it is, and in which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginKind {
    /// `auth.json` of Codex, signed in with ChatGPT.
    Codex,
    /// `.credentials.json` of Claude Code, signed in at claude.ai.
    Claude,
}

impl LoginKind {
    /// Where its tokens are refreshed.
    #[must_use]
    pub const fn token_url(self) -> &'static str {
        match self {
            Self::Codex => "https://auth.openai.com/oauth/token",
            Self::Claude => "https://platform.claude.com/v1/oauth/token",
        }
    }

    /// The public OAuth client that the agent's own program is.
    #[must_use]
    pub const fn client_id(self) -> &'static str {
        match self {
            Self::Codex => "app_EMoamEEZ73f0CkXaXp7hrann",
            Self::Claude => "9d1c250a-e61b-44d9-88ed-5944d1962f5e",
        }
    }
}
