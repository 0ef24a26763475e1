//! The pages of the administration module, which both modules know by name.

/// The event by which the module tells the app that nobody is signed in any more.
pub const SIGNED_OUT: &str = "sam-signed-out";

/// A page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// API tokens, where one is signed in.
    Settings,
    /// What model calls used and cost, and the limits.
    Usage,
    /// The models, and who pays for which agent.
    Models,
    /// Everybody of the installation.
    People,
    /// What the installation needs to work.
    Setup,
}

impl Page {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Self; 5] = [
        Self::Settings,
        Self::Usage,
        Self::Models,
        Self::People,
        Self::Setup,
    ];

    /// Its path is this behind a slash.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Usage => "usage",
            Self::Models => "models",
            Self::People => "people",
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
            Self::People => "People",
            Self::Setup => "Setup",
        }
    }

    /// Whether it is offered to administrators alone.
    #[must_use]
    pub const fn is_for_administrators(self) -> bool {
        matches!(self, Self::People | Self::Setup)
    }

    /// The page of a word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|page| page.word() == word)
    }
}
