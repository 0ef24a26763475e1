//! What kind of trouble a run has, drawn from its seed.
//!
//! Runs differ in kind and not only in luck: a run in which everything breaks
//! all the time never gets far, one in which nothing breaks shows nothing.

use crate::random::Random;

/// The trouble of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    /// Messages lost on the way, in percent.
    pub(crate) loss: u64,
    /// Messages that arrive twice, in percent.
    pub(crate) repeat: u64,
    /// Messages to one receiver are sent at once and overtake each other.
    pub(crate) reorder: bool,
    /// Turns lost before their write, and again after it, in percent.
    pub(crate) crash: u64,
    /// Steps on a machine that fail, in percent.
    pub(crate) failure: u64,
    /// vm-agents live at most this long, in milliseconds; 0: they are not killed.
    pub(crate) kill_within: u64,
    /// Connections last at most this long, in milliseconds; 0: they are not cut.
    pub(crate) cut_within: u64,
    /// Kills that take the disk along, in percent.
    pub(crate) disk_loss: u64,
    /// Some machines stay away for longer than any grace, or for good.
    pub(crate) absence: bool,
    /// Clocks jump, and machines' clocks are wrong.
    pub(crate) clocks: bool,
    /// A second agent appears under a machine's identity.
    pub(crate) twins: bool,
    /// The project is followed.
    pub(crate) feed: bool,
    /// Most of what machines do takes longer than it may.
    pub(crate) slow: bool,
    /// Most prompts do not reach their agent.
    pub(crate) mute: bool,
    /// Many people at once, who often change their minds.
    pub(crate) crowd: bool,
}

impl Conditions {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let weather = random.below(4);
        let (loss, repeat, crash, failure) = match weather {
            0 => (0, 0, 0, 2),
            1 => (2, 2, 1, 3),
            _ => (5, 3, 2, 5),
        };
        let fragile = random.chance(4);
        let crowd = random.chance(2);
        let weather = if crowd { 0 } else { weather };
        let (kill_within, cut_within) = match weather {
            0 => (0, 0),
            1 => (9_000_000, 3_000_000),
            _ => (2_400_000, 1_200_000),
        };
        let twins = random.chance(16);
        // Two agents take turns only when their connections end.
        let cut_within = if twins { 150_000 } else { cut_within };
        Self {
            loss,
            repeat,
            reorder: random.chance(30),
            crash,
            failure,
            kill_within,
            cut_within,
            disk_loss: match (fragile, weather) {
                (true, _) => 70,
                (false, 3) => 10,
                (false, _) => 2,
            },
            absence: random.chance(12),
            clocks: random.chance(20),
            twins,
            feed: random.chance(50),
            slow: random.chance(3),
            mute: random.chance(3),
            crowd,
        }
    }
}
