//! Which of the platform's tools an agent is offered.
//!
//! The platform serves its tools over MCP under these names. A coding agent
//! needs few of them, and one that may start further agents is another kind of
//! agent: a profile names what each gets. A name that is in no list is offered
//! in the full profile alone, so that a new tool is never given away by
//! accident.

use serde::{Deserialize, Serialize};

/// How much of the platform an agent is offered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolProfile {
    /// For work in one workspace: what concerns its own task.
    #[default]
    Workspace,
    /// For work by others: to hand out tasks and to watch them.
    Orchestrate,
    /// Everything the platform serves.
    Full,
}

/// What concerns an agent's own task, and what it may read of its project.
pub const WORKSPACE_TOOLS: [&str; 9] = [
    "ask_person",
    "complete_task",
    "create_idea",
    "get_session",
    "get_task",
    "link_idea",
    "list_tasks",
    "report_progress",
    "search_sessions",
];

/// What starts, steers and ends the work of others.
pub const ORCHESTRATION_TOOLS: [&str; 8] = [
    "cancel_task",
    "close_task",
    "create_mission",
    "dispatch_task",
    "get_mission",
    "retry_task",
    "send_message",
    "wait_for_task",
];

impl ToolProfile {
    /// Every profile, from the narrowest.
    pub const ALL: [Self; 3] = [Self::Workspace, Self::Orchestrate, Self::Full];

    /// Its word on command lines and in protocols.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Orchestrate => "orchestrate",
            Self::Full => "full",
        }
    }

    /// Whether it offers the platform's tool of this name.
    #[must_use]
    pub fn offers(self, tool: &str) -> bool {
        match self {
            Self::Workspace => WORKSPACE_TOOLS.contains(&tool),
            Self::Orchestrate => {
                WORKSPACE_TOOLS.contains(&tool) || ORCHESTRATION_TOOLS.contains(&tool)
            }
            Self::Full => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_profile_offers_more_than_the_one_before() {
        let offered = |profile: ToolProfile| {
            let all = WORKSPACE_TOOLS.iter().chain(&ORCHESTRATION_TOOLS);
            all.chain(&["another"])
                .filter(|tool| profile.offers(tool))
                .count()
        };
        assert_eq!(ToolProfile::ALL.map(offered), [9, 17, 18]);
    }

    #[test]
    fn work_in_a_workspace_starts_no_other_work() {
        assert!(!ToolProfile::Workspace.offers("dispatch_task"));
        assert!(ToolProfile::Orchestrate.offers("dispatch_task"));
        assert!(ToolProfile::Workspace.offers("complete_task"));
    }

    #[test]
    fn no_name_is_in_both_lists_and_both_are_sorted() {
        assert!(WORKSPACE_TOOLS.is_sorted() && ORCHESTRATION_TOOLS.is_sorted());
        let both = WORKSPACE_TOOLS
            .iter()
            .filter(|tool| ORCHESTRATION_TOOLS.contains(tool));
        assert_eq!(both.count(), 0);
    }
}
