//! The main job while things fail under it: programs are killed, the link is cut, the disk fills up,
//! the machine sleeps.
//!
//! The table under "Faults" in SPECIFICATION.md is what these tests are held to: each row is one
//! test here, which reads its row, first proves that the fault happened at that moment, and then
//! requires the end, the code and the words of the row. Whatever failed, afterwards no row is lost or
//! doubled, no prompt was given to an agent twice, there is one commit at most, nothing runs, listens
//! or lies about that should not, and the machine's only place is free for the next task.
//!
//! - [`table`]: the table. [`scene`]: a task, brought to a moment and from there to its end, with
//!   [`checks`] of what has to be true then and [`gates`] at which an agent stands still.
//! - [`killed`]: the vm-agent, the agent, its supervisor, workerd and the whole server are killed.
//! - [`cut`]: the link is cut. [`full`]: the disk is full. [`asleep`]: the machine is suspended.

/// One test for each row of the table.
macro_rules! faults {
    ($($name:ident = $case:literal: $body:expr;)+) => {
        pub(crate) const TESTED: &[&str] = &[$($case),+];
        $(
            #[tokio::test]
            async fn $name() -> sam_e2e::Result {
                let case = crate::table::Case::of($case)?;
                ($body)(case).await.map_err(|error| sam_e2e::failure(format!("{}: {error}", $case)))
            }
        )+
    };
}

mod asleep;
mod checks;
mod cut;
mod full;
mod gates;
mod killed;
mod scene;
mod table;

use std::collections::BTreeSet;

use sam_e2e::{Result, ensure};

#[test]
fn every_row_has_its_test_and_every_test_its_row() -> Result {
    let tested = [killed::TESTED, cut::TESTED, full::TESTED, asleep::TESTED].concat();
    let cases = table::cases()?;
    let written: BTreeSet<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    let known: BTreeSet<&str> = tested.iter().copied().collect();
    ensure(
        cases.len() == written.len() && tested.len() == known.len(),
        || "a row stands twice".to_owned(),
    )?;
    ensure(written == known, || {
        let missing: Vec<_> = written.difference(&known).collect();
        let unknown: Vec<_> = known.difference(&written).collect();
        format!("rows without a test: {missing:?}; tests without a row: {unknown:?}")
    })
}
