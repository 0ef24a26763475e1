//! The pages of the administration module, which both modules know by name.

/// The event by which the module tells the app that nobody is signed in any more.
pub const SIGNED_OUT: &str = "sam-signed-out";

/// A page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Who waits, API tokens, where one is signed in.
    Settings,
    /// What model calls used and cost, and the limits.
    Usage,
    /// The models, and who pays for which agent.
    Models,
    /// What the installation needs to work.
    Setup,
}

impl Page {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Self; 4] = [Self::Settings, Self::Usage, Self::Models, Self::Setup];

    /// Its path is this behind a slash.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Usage => "usage",
            Self::Models => "models",
            Self::Setup => "setup",
        }
    }

    /// What stands over it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Settings => "Settings",
            Self::Usage => "Usage",
            Self::Models => "Models",
            Self::Setup => "Setup",
        }
    }

    /// The page of a word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|page| page.word() == word)
    }
}
