//! The same work under several agents, side by side.
//!
//! A comparison is one request and as many conversations as it names agents, each with a task and a
//! branch of its own. They are known by the first of them, and know nothing more of each other: what
//! one does changes no other. ProjectData keeps which belong together and who chose one; each
//! conversation says so in its view. Choosing ends nothing and removes nothing, and can be done anew.

use super::wire::{SessionView, SubmitTask};
use crate::budget::call::UsageSummary;
use crate::error::ApiError;
use crate::id::UserId;
use crate::task::TaskView;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Most agents of one comparison.
pub const CANDIDATES: usize = 8;

/// `GET …/sessions/{session}/comparison`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ComparisonView {
    /// The conversations, in the order in which the agents were named.
    pub candidates: Vec<Candidate>,
}

/// One of those that are compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Candidate {
    /// The conversation; it says whether it was chosen.
    pub session: SessionView,
    /// Its newest task.
    pub task: TaskView,
    /// Who chose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen_by: Option<UserId>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen_at: Option<Timestamp>,
    /// How its last commands ended.
    #[serde(default)]
    pub checks: Checks,
    /// What its task's model calls used so far. An agent with a login of its own calls none through
    /// SAM.
    #[serde(default)]
    pub usage: UsageSummary,
}

/// Refuses agents that make no comparison.
///
/// # Errors
/// When there are fewer than two, more than [`CANDIDATES`], one twice, or one beside them.
pub fn check_agents(request: &SubmitTask) -> Result<(), ApiError> {
    let agents = &request.agents;
    if agents.is_empty() {
        return Ok(());
    }
    let again =
        |(index, agent): (usize, &String)| agents.iter().skip(index + 1).any(|a| a == agent);
    let sound = (2..=CANDIDATES).contains(&agents.len())
        && !agents.iter().enumerate().any(again)
        && request.agent.is_none();
    if sound {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "`agents` names two to {CANDIDATES} agents, each once, and `agent` none."
    )))
}

/// How the commands ended that an agent ran after its last change: what it checked its work with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Checks {
    /// Commands that succeeded.
    pub passed: u32,
    /// Commands that failed, or whose end nobody knows.
    pub failed: u32,
}

impl Checks {
    /// Counts the next tool call of a conversation that is over: its kind, its status and the end of
    /// its output, in the words of the wire.
    pub fn add(&mut self, kind: &str, status: &str, output: &str) {
        let completed = status == "completed";
        match kind {
            "edit" | "delete" | "move" if completed => *self = Self::default(),
            "execute" if completed && succeeded(output) => self.passed += 1,
            "execute" => self.failed += 1,
            _ => {}
        }
    }
}

/// Whether a command that ran succeeded. Agents call it completed, whatever its exit code; several of
/// them tell that at the output's end.
fn succeeded(output: &str) -> bool {
    let last = output.trim_end().lines().next_back().unwrap_or("");
    let code = last
        .to_ascii_lowercase()
        .split_once("exit code")
        .map(|(_, code)| code.trim_matches(|c: char| !c.is_ascii_digit()).to_owned());
    code.is_none_or(|code| code.is_empty() || code == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_has_two_to_eight_agents_each_once() {
        let request = |agent: Option<&str>, names: &[&str]| {
            let agents: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            let request = serde_json::json!({ "prompt": "p", "agent": agent, "agents": agents });
            serde_json::from_value::<SubmitTask>(request).unwrap()
        };
        for (good, agent) in [
            (&[][..], Some("a")),
            (&["a", "b"], None),
            (&["a", "b", "c", "d", "e", "f", "g", "h"], None),
        ] {
            assert_eq!(check_agents(&request(agent, good)), Ok(()));
        }
        for (bad, agent) in [
            (&["a"][..], None),
            (&["a", "b"], Some("c")),
            (&["a", "b", "a"], None),
            (&["a", "b", "c", "d", "e", "f", "g", "h", "i"], None),
        ] {
            assert!(check_agents(&request(agent, bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn checks_are_the_commands_after_the_last_change() {
        let mut checks = Checks::default();
        let mut after = |calls: &[(&str, &str, &str)]| {
            for (kind, status, output) in calls {
                checks.add(kind, status, output);
            }
            (checks.passed, checks.failed)
        };
        let before = [
            ("execute", "failed", "1 failing"),
            ("read", "completed", ""),
            ("edit", "failed", "no such file"),
        ];
        assert_eq!(after(&before), (0, 1));
        assert_eq!(after(&[("edit", "completed", "")]), (0, 0));
        let passed = [
            ("execute", "completed", "12 passing\n[exit code 0]"),
            ("execute", "completed", "12 passing"),
        ];
        assert_eq!(after(&passed), (2, 0));
        let failed = [
            ("execute", "completed", "1 failing\n[exit code 1]\n"),
            ("execute", "interrupted", ""),
        ];
        assert_eq!(after(&failed), (2, 2));
    }
}
