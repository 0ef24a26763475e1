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
        if self.breaks(self.conditions.loss * 2) {
            let step = VmStep::PostRows(workspace);
            self.after(Millis(10_000), Happening::Machine { vm, boot, step });
            return;
        }
        let span = self.random.span(1, 5_000);
        let happening = Happening::RowsArrive {
            vm,
            boot,
            workspace,
            through,
        };
        self.after(span, happening);
    }

    pub(super) fn rows_arrive(
        &mut self,
        vm: usize,
        boot: u64,
        workspace: WorkspaceId,
        through: u64,
    ) {
        let taken = self.take_rows(vm, &workspace, through);
        let happening = Happening::RowsAnswered {
            vm,
            boot,
            workspace: workspace.clone(),
            through: taken,
        };
        if self.breaks(self.conditions.loss) {
            let step = VmStep::PostRows(workspace);
            self.after(Millis(10_000), Happening::Machine { vm, boot, step });
        } else {
            let span = self.random.span(1, 1_000);
            self.after(span, happening);
        }
    }

    /// Stores rows up to a number. `None`: the workspace may write nothing now.
    fn take_rows(&mut self, vm: usize, workspace: &WorkspaceId, through: u64) -> Option<u64> {
        let node = self.node_of(vm)?;
        let scope = self.nodes.get(&node)?.state.scope(workspace)?;
        let address = Address::Session {
            project: scope.project,
            session: scope.session,
        };
        let session = &self.sessions.get(&address)?.state;
        if !session.takes_rows_from(workspace, scope.attempt) {
            return None;
        }
        let stored = self.rows.get(workspace).copied().unwrap_or(0);
        let waits = session.awaits_rows_from(workspace);
        if through > stored {
            self.rows.insert(workspace.clone(), through);
            self.feed_rows(&address, workspace, scope.attempt, stored, through);
        }
        if waits {
            let local = SessionLocal::RowsStored {
                workspace: workspace.clone(),
                through: stored.max(through),
                said: Vec::new(),
            };
            if !self.session_local(&address, local) {
                // The rows are stored in the same turn, so they are lost with it.
                self.rows.insert(workspace.clone(), stored);
                return None;
            }
        }
        Some(stored.max(through))
    }

    pub(super) fn rows_answered(
        &mut self,
        vm: usize,
        boot: u64,
        workspace: WorkspaceId,
        through: Option<u64>,
    ) {
        let Some(through) = through else {
            let happening = Happening::OfferAgain {
                vm,
                boot,
                workspace,
            };
            let span = if self.faults { 20_000 } else { 600_000 };
            self.after(Millis(span), happening);
            return;
        };
        let held = self
            .vms
            .get_mut(vm)
            .filter(|vm| vm.boot == boot && vm.agent.is_some())
            .and_then(|vm| vm.disk.workspaces.get_mut(&workspace));
        let Some(held) = held else {
            return;
        };
        held.rows.retain(|n| *n > through);
        if !held.rows.is_empty() {
            self.post_rows(vm, boot, workspace);
        }
    }
}
