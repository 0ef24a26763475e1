//! `plan`: the steps of a longer task, which people see beside the work.

use sam_acp::{PlanEntry, PlanPriority, PlanStatus, ToolKind};
use serde::Deserialize;

use crate::tools::{Description, ToolOutput, shorten};

const MAX_STEPS: usize = 50;
const MAX_TEXT: usize = 400;

/// Arguments of `plan`.
#[derive(Debug, Deserialize)]
pub(crate) struct Plan {
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
struct Step {
    step: String,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    #[default]
    Pending,
    InProgress,
    Completed,
}

impl Plan {
    pub(crate) fn describe(&self) -> Description {
        let done = self
            .steps
            .iter()
            .filter(|step| matches!(step.status, Status::Completed));
        Description {
            title: format!("Plan: {} of {} done", done.count(), self.steps.len()),
            kind: ToolKind::Think,
            locations: Vec::new(),
        }
    }

    pub(crate) fn run(self) -> ToolOutput {
        if self.steps.len() > MAX_STEPS {
            return ToolOutput::failed(format!("a plan has at most {MAX_STEPS} steps"));
        }
        let entries = self.steps.into_iter().map(|step| PlanEntry {
            content: shorten(step.step.trim(), MAX_TEXT),
            priority: PlanPriority::Medium,
            status: match step.status {
                Status::Pending => PlanStatus::Pending,
                Status::InProgress => PlanStatus::InProgress,
                Status::Completed => PlanStatus::Completed,
            },
        });
        ToolOutput {
            plan: Some(entries.collect()),
            ..ToolOutput::ok("the plan is kept".to_owned())
        }
    }
}
