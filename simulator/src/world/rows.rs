//! Rows on their way from a machine to the conversation.

use super::*;

impl World {
    pub(super) fn post_rows(&mut self, vm: usize, boot: u64, workspace: WorkspaceId) {
        let Some(through) = self
            .vms
            .get(vm)
            .and_then(|vm| vm.disk.workspaces.get(&workspace))
            .and_then(|held| held.rows.back().copied())
        else {
            return;
        };
        let lost = self.breaks(10);
        if !lost {
            let span = self.random.span(1, 5_000);
            let workspace = workspace.clone();
            self.after(
                span,
                Happening::RowsArrive {
                    vm,
                    boot,
                    workspace,
                    through,
                },
            );
        }
        self.after(
            Millis(10_000),
            Happening::Machine {
                vm,
                boot,
                step: VmStep::PostRows(workspace),
            },
        );
    }

    pub(super) fn rows_arrive(
        &mut self,
        vm: usize,
        boot: u64,
        workspace: WorkspaceId,
        through: u64,
    ) {
        let Some(node) = self.vms.get(vm).map(|vm| Address::Node(vm.node.clone())) else {
            return;
        };
        let Some(scope) = self
            .nodes
            .get(&node)
            .and_then(|node| node.state.scope(&workspace))
        else {
            return;
        };
        let address = Address::Session {
            project: scope.project,
            session: scope.session,
        };
        let takes = self
            .sessions
            .get(&address)
            .is_some_and(|a| a.state.takes_rows_from(&workspace, scope.attempt));
        if takes {
            let stored = self.rows.entry(workspace.clone()).or_insert(0);
            *stored = (*stored).max(through);
            let through = *stored;
            let waits = self
                .sessions
                .get(&address)
                .is_some_and(|a| a.state.awaits_rows_from(&workspace));
            if waits {
                let local = SessionLocal::RowsStored {
                    workspace: workspace.clone(),
                    through,
                    said: Vec::new(),
                };
                if !self.session_local(&address, local) {
                    return;
                }
            }
        }
        if !self.breaks(5) {
            let span = self.random.span(1, 1_000);
            self.after(
                span,
                Happening::RowsAnswered {
                    vm,
                    boot,
                    workspace,
                    through,
                },
            );
        }
    }
}
