//! Defects that are put into the world on purpose, to see that they are caught.
//!
//! Each is a plausible mistake of a shell or a machine. They are made by the
//! world around the machines, so the machines themselves stay as they are.

/// A seeded mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Defect {
    /// A message is forgotten by its sender before it was sent.
    EffectDropped,
    /// What a machine reports in passing gives the step more time.
    HeartbeatMovesDeadline,
    /// A place is given without being claimed.
    DispatchBeforeClaim,
    /// A message is answered as taken although the turn was lost.
    AcknowledgeBeforeStore,
    /// An event of the link is acknowledged although the turn was lost.
    EventAcknowledgedBeforeStore,
    /// A commit that ends after a cancel makes the task completed.
    LateSuccessOverCancel,
    /// A receiver does not remember what it took in.
    ForgetfulInbox,
    /// A machine does not remember the commands that it has finished.
    ForgetfulMachine,
    /// Older attempts are not fenced off, and what comes under one is taken as
    /// the current one's.
    OldAttemptAccepted,
    /// A node that is silent counts as heard of.
    LeaseNeverLapses,
    /// A turn's deadline does not become an alarm.
    AlarmForgotten,
    /// A page of the feed leaves one entity out.
    FeedSkipsOne,
    /// Tombstones are purged and the floor stays.
    FloorForgotten,
    /// A restored history keeps its epoch.
    EpochKept,
    /// What a follower follows is not kept at its socket.
    FollowerForgotten,
    /// The rows' mark is taken as reached at once.
    RowsNotAwaited,
    /// A second agent with the same identity is welcomed again and again.
    RivalWelcomed,
}

impl Defect {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::EffectDropped,
        Self::HeartbeatMovesDeadline,
        Self::DispatchBeforeClaim,
        Self::AcknowledgeBeforeStore,
        Self::EventAcknowledgedBeforeStore,
        Self::LateSuccessOverCancel,
        Self::ForgetfulInbox,
        Self::ForgetfulMachine,
        Self::OldAttemptAccepted,
        Self::LeaseNeverLapses,
        Self::AlarmForgotten,
        Self::FeedSkipsOne,
        Self::FloorForgotten,
        Self::EpochKept,
        Self::FollowerForgotten,
        Self::RowsNotAwaited,
        Self::RivalWelcomed,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::EffectDropped => "effect-dropped",
            Self::HeartbeatMovesDeadline => "heartbeat-moves-deadline",
            Self::DispatchBeforeClaim => "dispatch-before-claim",
            Self::AcknowledgeBeforeStore => "acknowledge-before-store",
            Self::EventAcknowledgedBeforeStore => "event-acknowledged-before-store",
            Self::LateSuccessOverCancel => "late-success-over-cancel",
            Self::ForgetfulInbox => "forgetful-inbox",
            Self::ForgetfulMachine => "forgetful-machine",
            Self::OldAttemptAccepted => "old-attempt-accepted",
            Self::LeaseNeverLapses => "lease-never-lapses",
            Self::AlarmForgotten => "alarm-forgotten",
            Self::FeedSkipsOne => "feed-skips-one",
            Self::FloorForgotten => "floor-forgotten",
            Self::EpochKept => "epoch-kept",
            Self::FollowerForgotten => "follower-forgotten",
            Self::RowsNotAwaited => "rows-not-awaited",
            Self::RivalWelcomed => "rival-welcomed",
        }
    }
}

impl std::str::FromStr for Defect {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::word).join(", ");
        Self::ALL
            .into_iter()
            .find(|defect| defect.word() == word)
            .ok_or_else(|| format!("no such defect; there are {}", known()))
    }
}
