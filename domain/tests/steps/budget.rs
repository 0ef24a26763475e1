//! A budget that comes near a limit.

use sam_domain::actor::{Input, Message};
use sam_domain::budget::ledger::Warning;
use sam_domain::budget::refusal::{HolderKind, LimitName};
use sam_domain::task::TaskMode;
use sam_domain::task::step::{TaskLocal, TaskMachine};

use crate::scene::{at_work, session, step};

#[test]
fn a_limit_that_comes_near_is_a_notice_and_changes_nothing() {
    let mut task = at_work(TaskMode::Task);
    let before = task.clone();
    let near = TaskLocal::BudgetNear {
        holder: HolderKind::Project,
        warning: Warning {
            limit: LimitName::DailyTokens,
            allowed: 1_000,
            spent: 900,
        },
    };
    let sent = step::<TaskMachine>(&mut task, 20, Input::Local(near)).send;
    let [(to, Message::Notice(notice))] = sent.as_slice() else {
        unreachable!("it is one notice: {sent:?}");
    };
    assert_eq!((to, notice.code.as_str()), (&session(), "budget_near"));
    assert!(
        notice.text.contains("1,000 tokens") && notice.text.contains("900 tokens"),
        "{}",
        notice.text
    );
    assert_eq!(task, before);
}
