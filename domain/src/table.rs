//! The machines as tables: states, inputs and the moves between.
//!
//! Model: each table is data beside the step function it describes. A move
//! says to which states an input may lead from a state; an input that is not
//! listed for a state leaves the state as it is. The step functions decide;
//! the simulator checks that every move they make is declared and that every
//! declared move is made, so a table is neither too narrow nor too wide.
//! `docs/states.md` is generated from them.
//!
//! It does not know how a step decides between the states that a move names.

use crate::time::Millis;

/// One machine.
#[derive(Clone, Copy, Debug)]
pub struct MachineTable {
    /// Its name, e.g. `task`.
    pub name: &'static str,
    /// What it is the state of, in a sentence.
    pub about: &'static str,
    /// Where its steps are decided, relative to the repository.
    pub source: &'static str,
    /// Its states, in the order they are met.
    pub states: &'static [StateRow],
    /// What moves it.
    pub inputs: &'static [InputRow],
    /// The moves, in the order of the states.
    pub moves: &'static [Move],
}

/// One state.
#[derive(Clone, Copy, Debug)]
pub struct StateRow {
    /// The word on the wire, or what comes closest.
    pub name: &'static str,
    /// What it means, in a line.
    pub meaning: &'static str,
    /// Where in a life it lies.
    pub place: Place,
    /// How long it lasts at most; then the input `deadline` comes.
    pub deadline: Option<Millis>,
}

/// Where in a life a state lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Every life begins here.
    First,
    /// On the way.
    Middle,
    /// Nothing follows.
    Last,
}

/// One kind of input.
#[derive(Clone, Copy, Debug)]
pub struct InputRow {
    /// Its name, as [`crate::actor::Named`] gives it.
    pub name: &'static str,
    /// Who sends it: `person`, `conversation`, `task`, `pool`, `machine`, `link`, `time`, …
    pub from: &'static str,
    /// What it says, in a line.
    pub meaning: &'static str,
}

/// Where an input may lead from a state.
#[derive(Clone, Copy, Debug)]
pub struct Move {
    /// From this state,
    pub from: &'static str,
    /// on this input,
    pub input: &'static str,
    /// to one of these.
    pub to: &'static [&'static str],
}

impl MachineTable {
    /// Whether this input may lead from the one state to the other. To stay is
    /// always possible.
    #[must_use]
    pub fn allows(&self, from: &str, input: &str, to: &str) -> bool {
        from == to
            || self
                .moves
                .iter()
                .any(|row| row.from == from && row.input == input && row.to.contains(&to))
    }

    /// Every single move: from, input, to.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> + '_ {
        self.moves
            .iter()
            .flat_map(|row| row.to.iter().map(|to| (row.from, row.input, *to)))
    }
}

/// Shorthands for the tables.
pub(crate) const fn state(name: &'static str, meaning: &'static str) -> StateRow {
    StateRow {
        name,
        meaning,
        place: Place::Middle,
        deadline: None,
    }
}

impl StateRow {
    pub(crate) const fn first(mut self) -> Self {
        self.place = Place::First;
        self
    }

    pub(crate) const fn last(mut self) -> Self {
        self.place = Place::Last;
        self
    }

    pub(crate) const fn within(mut self, limit: Millis) -> Self {
        self.deadline = Some(limit);
        self
    }
}

pub(crate) const fn input(
    name: &'static str,
    from: &'static str,
    meaning: &'static str,
) -> InputRow {
    InputRow {
        name,
        from,
        meaning,
    }
}

pub(crate) const fn on(
    from: &'static str,
    input: &'static str,
    to: &'static [&'static str],
) -> Move {
    Move { from, input, to }
}

/// Every machine that the simulator plays, in the order of the main job.
static MACHINES: &[MachineTable] = &[
    crate::conversation::table::CONVERSATION,
    crate::conversation::table::PROMPT,
    crate::task::table::TASK,
    crate::task::table::AGENT_SESSION,
    crate::pool::table::PLACE,
    crate::node::table::NODE,
    crate::node::table::COMMAND,
    crate::node::table::WORKSPACE,
    crate::link::table::LINK,
    crate::link::table::MACHINE_LINK,
    crate::link::table::MACHINE_COMMAND,
    crate::feed::table::FOLLOWER,
    crate::feed::table::CURSOR,
];

/// Every machine that the simulator plays, in the order of the main job.
#[must_use]
pub const fn machines() -> &'static [MachineTable] {
    MACHINES
}

/// Machines that send no messages to others, so that nothing is to be simulated; each has a property
/// test that makes all its moves and no others.
static ALONE: &[MachineTable] = &[crate::device::table::DEVICE_CODE];

/// Machines that send no messages to others.
#[must_use]
pub const fn machines_alone() -> &'static [MachineTable] {
    ALONE
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_tables_are_whole() {
        for table in machines().iter().chain(machines_alone()) {
            let name = table.name;
            let states: BTreeSet<_> = table.states.iter().map(|state| state.name).collect();
            assert_eq!(states.len(), table.states.len(), "{name}: states differ");
            let declared: BTreeSet<_> = table.inputs.iter().map(|input| input.name).collect();
            assert_eq!(declared.len(), table.inputs.len(), "{name}: inputs differ");
            let used: BTreeSet<_> = table.moves.iter().map(|row| row.input).collect();
            assert_eq!(used, declared, "{name}: each input moves something");
            for (from, input, to) in table.each() {
                assert!(
                    states.contains(from) && states.contains(to),
                    "{name}: {from} {to}"
                );
                assert_ne!(from, to, "{name}: {input} moves nothing");
            }
            let rows: BTreeSet<_> = table
                .moves
                .iter()
                .map(|row| (row.from, row.input))
                .collect();
            assert_eq!(rows.len(), table.moves.len(), "{name}: a row for each pair");
            for state in table.states {
                let left = table.moves.iter().any(|row| row.from == state.name);
                assert_eq!(left, state.place != Place::Last, "{name}: {}", state.name);
                let met = table.each().any(|(_, _, to)| to == state.name);
                assert!(met || state.place == Place::First, "{name}: {}", state.name);
                let ends = table
                    .moves
                    .iter()
                    .any(|row| row.from == state.name && row.input == "deadline");
                assert!(
                    ends || state.deadline.is_none(),
                    "{name}: {} never ends",
                    state.name
                );
            }
            let firsts = table
                .states
                .iter()
                .filter(|state| state.place == Place::First);
            assert_eq!(firsts.count(), 1, "{name}: one beginning");
        }
    }

    #[test]
    fn the_words_are_those_of_the_wire() {
        let words = |name| -> Vec<&str> {
            let table = machines().iter().find(|table| table.name == name);
            table
                .iter()
                .flat_map(|table| table.states)
                .map(|state| state.name)
                .collect()
        };
        assert_eq!(
            words("task"),
            crate::task::TaskState::ALL.map(crate::task::TaskState::word)
        );
        use crate::node::wire::NodeState::{Away, Contested, Draining, Joining, Ready};
        assert_eq!(
            words("node"),
            [Joining, Ready, Draining, Away, Contested].map(|state| state.word())
        );
    }
}
