//! Durations, moments, sizes and states as people say them.

use sam_domain::access::tokens::Scope;
use sam_domain::conversation::row::ToolKind;
use sam_domain::node::wire::NodeState;
use sam_domain::task::{StepName, TaskState};
use sam_domain::time::Millis;

/// A span that is over: `0.4 s`, `12 s`, `3 m 05 s`, `1 h 02 m`.
pub fn took(span: Millis) -> String {
    if span.0 < 9_950 {
        let tenths = (span.0 + 50) / 100;
        return format!("{}.{} s", tenths / 10, tenths % 10);
    }
    elapsed(Millis(span.0 + 500))
}

/// A span that still runs, in whole seconds: `4 s`, `3 m 05 s`, `1 h 02 m`.
pub fn elapsed(span: Millis) -> String {
    let seconds = span.0 / 1_000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {:02} m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {:02} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// How long ago something was, coarsely: `now`, `4 min`, `2 h`, `3 d`, `5 w`.
pub fn ago(span: Millis) -> String {
    let minutes = span.0 / 60_000;
    match minutes {
        0 => "now".to_owned(),
        1..60 => format!("{minutes} min"),
        60..1_440 => format!("{} h", minutes / 60),
        1_440..20_160 => format!("{} d", minutes / 1_440),
        _ => format!("{} w", minutes / 10_080),
    }
}

/// How long something still is, coarsely: `less than a minute`, `4 min`, `2 h`, `3 d`.
#[must_use]
pub fn until(span: Millis) -> String {
    match ago(span) {
        now if now == "now" => "less than a minute".to_owned(),
        span => span,
    }
}

/// A count of bytes: `812 B`, `3.4 KB`, `12 MB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KB", "MB", "GB", "TB"];
    if count < 1_000 {
        return format!("{count} B");
    }
    let mut tenths = u128::from(count) * 10 / 1_000;
    let mut unit = 0;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1_000;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or("TB");
    if tenths < 100 {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    } else {
        format!("{} {name}", tenths / 10)
    }
}

/// A number with its thousands apart: `12,408`.
pub fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 file`, `3 files`.
pub fn count(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(n), if n == 1 { one } else { many })
}

/// How a state looks beside its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A dashed ring: nothing runs yet.
    Waiting,
    /// An open ring that turns: something runs.
    Working,
    /// A diamond: a person has the next word.
    Asking,
    /// A tick in a ring.
    Done,
    /// A cross in a square.
    Failed,
    /// A struck ring.
    Stopped,
}

impl Shape {
    /// The class that colours it.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Waiting => "state waiting",
            Self::Working => "state working",
            Self::Asking => "state asking",
            Self::Done => "state done",
            Self::Failed => "state failed",
            Self::Stopped => "state stopped",
        }
    }
}

/// A task's state as shown: the API's word with spaces, and a shape.
pub fn task_state(state: TaskState) -> (&'static str, Shape) {
    let shape = match state {
        TaskState::Queued => Shape::Waiting,
        TaskState::Placing
        | TaskState::Preparing
        | TaskState::Starting
        | TaskState::Running
        | TaskState::Finishing => Shape::Working,
        TaskState::AwaitingInput => Shape::Asking,
        TaskState::Completed => Shape::Done,
        TaskState::Failed => Shape::Failed,
        TaskState::Cancelled => Shape::Stopped,
    };
    let word = match state {
        TaskState::AwaitingInput => "awaiting input",
        other => other.word(),
    };
    (word, shape)
}

/// A node's state as shown.
pub const fn node_state(state: NodeState) -> (&'static str, Shape) {
    let shape = match state {
        NodeState::Joining => Shape::Waiting,
        NodeState::Ready => Shape::Done,
        NodeState::Draining | NodeState::Away => Shape::Stopped,
        NodeState::Contested => Shape::Failed,
    };
    (state.word(), shape)
}

/// A step's word, and what it is about.
pub const fn step(name: StepName) -> (&'static str, &'static str) {
    match name {
        StepName::Placing => ("placing", "finding a machine"),
        StepName::Preparing => ("preparing", "making the workspace"),
        StepName::Starting => ("starting", "starting the agent"),
        StepName::Running => ("running", "the agent works"),
        StepName::Finishing => ("finishing", "commit and push"),
    }
}

/// A tool's kind as a word.
pub const fn tool_kind(kind: ToolKind) -> &'static str {
    match kind {
        ToolKind::Read => "read",
        ToolKind::Edit => "edit",
        ToolKind::Delete => "delete",
        ToolKind::Move => "move",
        ToolKind::Search => "search",
        ToolKind::Execute => "run",
        ToolKind::Think => "think",
        ToolKind::Fetch => "fetch",
        ToolKind::Other => "tool",
    }
}

/// What a scope means.
pub const fn scope(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "read what you can see",
        Scope::Write => "read and change what you can",
        Scope::Admin => "do all that you may, running the installation included",
        Scope::NodeJoin => "join machines as yours",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_people_say_them() {
        let cases = [
            (0, "0.0 s", "0 s"),
            (440, "0.4 s", "0 s"),
            (9_949, "9.9 s", "9 s"),
            (9_950, "10 s", "9 s"),
            (59_400, "59 s", "59 s"),
            (59_700, "1 m 00 s", "59 s"),
            (185_000, "3 m 05 s", "3 m 05 s"),
            (3_720_000, "1 h 02 m", "1 h 02 m"),
            (90_000_000, "1 d 01 h", "1 d 01 h"),
        ];
        for (millis, over, running) in cases {
            assert_eq!(took(Millis(millis)), over, "{millis}");
            assert_eq!(elapsed(Millis(millis)), running, "{millis}");
        }
    }

    #[test]
    fn moments_sizes_and_counts() {
        for (millis, expected) in [
            (0, "now"),
            (240_000, "4 min"),
            (7_200_000, "2 h"),
            (259_200_000, "3 d"),
            (3_024_000_000, "5 w"),
        ] {
            assert_eq!(ago(Millis(millis)), expected);
        }
        for (size, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 KB"),
            (3_450, "3.4 KB"),
            (120_000, "120 KB"),
            (999_999, "999 KB"),
            (1_200_000, "1.2 MB"),
            (u64::MAX, "18446744 TB"),
        ] {
            assert_eq!(bytes(size), expected);
        }
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(number(12), "12");
        assert_eq!(count(1, "file", "files"), "1 file");
    }

    #[test]
    fn every_state_has_its_own_word() {
        let mut words: Vec<_> = TaskState::ALL.map(|s| task_state(s).0).to_vec();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), TaskState::ALL.len());
    }
}
