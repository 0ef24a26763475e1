//! What was used, read from the record of calls.

use sam_domain::budget::call::{UsageRows, UsageSummary};
use sam_domain::budget::period::Day;
use sam_domain::budget::wire::{UsageBy, UsageLine};
use sam_domain::id::{Id as _, RequestId, TaskId};
use sam_platform::sql::{Sql, SqlError};
use sam_platform::{columns, params};

/// Most groups that are answered.
const GROUPS: u32 = 1_000;

/// The ids of calls that can count on these days. A call counts on the day on which it was reserved,
/// which a clock elsewhere may put beside the one in its id.
fn ids(from: Day, to: Day) -> (RequestId, RequestId) {
    let first = Day(from.0.saturating_sub(1)).start();
    let last = to.next().next().start();
    (RequestId::mint(first, 0), RequestId::mint(last, 0))
}

/// The first id of a call that was made after this task.
fn after(task: &TaskId) -> String {
    // The first ten characters of what follows the prefix are the time.
    let time = task.as_str().get(4..14).unwrap_or_default();
    format!("{}{time:0<26}", RequestId::PREFIX)
}

/// What was used up to a day.
#[derive(Default)]
pub(super) struct Sum {
    /// Tokens of the day.
    pub(super) tokens: u64,
    /// Money of its month.
    pub(super) cost: u64,
    /// What of that was the installation's.
    pub(super) paid: u64,
}
columns!(Sum: tokens, cost, paid);

/// Tokens of a day, and money of its month.
pub(super) fn spent(sql: &Sql, day: Day) -> Result<Sum, SqlError> {
    let first = day.month().first();
    let (from, _) = ids(first, day);
    let sum: Option<Sum> = sql.first(
        "SELECT COALESCE(SUM(IIF(day = ?1, tokens, 0)), 0) AS tokens, \
           COALESCE(SUM(cost), 0) AS cost, COALESCE(SUM(IIF(own_key, 0, cost)), 0) AS paid \
         FROM calls WHERE request >= ?3 AND day >= ?2",
        params![day.0, first.0, &from],
    )?;
    Ok(sum.unwrap_or_default())
}

/// What was used on these days, grouped.
pub(super) fn grouped(sql: &Sql, by: UsageBy, from: Day, to: Day) -> Result<UsageRows, SqlError> {
    let (column, order) = match by {
        UsageBy::Day => ("day", "key"),
        UsageBy::Project => ("project", "cost DESC, key"),
        UsageBy::Task => ("task", "cost DESC, key"),
        UsageBy::Model => ("model", "cost DESC, key"),
        UsageBy::User => ("user", "cost DESC, key"),
    };
    let (first, last) = ids(from, to);
    let mut rows: Vec<UsageLine> = sql.read(
        &format!(
            "SELECT CAST({column} AS TEXT) AS key, COUNT(*) AS calls, \
               SUM(input IS NULL OR output IS NULL) AS unreported, \
               COALESCE(SUM(input), 0) AS input_tokens, \
               COALESCE(SUM(cached_input), 0) AS cached_input_tokens, \
               COALESCE(SUM(output), 0) AS output_tokens, SUM(cost) AS cost \
             FROM calls WHERE request >= ? AND request < ? AND day BETWEEN ? AND ? \
             GROUP BY 1 ORDER BY {order} LIMIT {GROUPS}"
        ),
        params![&first, &last, from.0, to.0],
    )?;
    if by == UsageBy::Day {
        for row in &mut rows {
            row.key = row.key.parse().map(Day).unwrap_or_default().to_string();
        }
    }
    Ok(UsageRows { rows })
}

/// What a task's calls used, together.
pub(super) fn of_task(sql: &Sql, task: &TaskId) -> Result<UsageSummary, SqlError> {
    struct Ended {
        ended: String,
        calls: u64,
        unreported: u64,
        input_tokens: u64,
        output_tokens: u64,
        cost: u64,
    }
    columns!(Ended: ended, calls, unreported, input_tokens, output_tokens, cost);
    let groups: Vec<Ended> = sql.rows(
        "SELECT ended, COUNT(*) AS calls, \
           SUM(input IS NULL OR output IS NULL) AS unreported, \
           COALESCE(SUM(input), 0) AS input_tokens, \
           COALESCE(SUM(output), 0) AS output_tokens, SUM(cost) AS cost \
         FROM calls WHERE request >= ? AND task = ? GROUP BY 1 LIMIT 10",
        params![after(task), task],
    )?;
    let sum = |count: fn(&Ended) -> u64| groups.iter().map(count).sum();
    Ok(UsageSummary {
        calls: sum(|group| group.calls),
        unreported: sum(|group| group.unreported),
        input_tokens: sum(|group| group.input_tokens),
        output_tokens: sum(|group| group.output_tokens),
        cost: sum(|group| group.cost),
        ends: groups
            .iter()
            .map(|group| (group.ended.clone(), group.calls))
            .collect(),
    })
}
