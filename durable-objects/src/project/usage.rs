//! Model calls as the upstream reported them.

use std::collections::BTreeMap;

use sam_domain::conversation::call::{CallEnd, ModelCall, UsageSummary};
use sam_domain::id::TaskId;
use sam_platform::params;
use sam_platform::sql::{Sql, SqlError};
use serde::Deserialize;

/// Keeps one call. A repeat changes nothing.
pub(super) fn record(sql: &Sql, call: &ModelCall) -> Result<(), SqlError> {
    sql.run(
        "INSERT INTO model_calls (request, task, session, attempt, at, model, status, \
           input_tokens, output_tokens, complete, ended) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (request) DO NOTHING",
        params![
            &call.request,
            &call.task,
            &call.session,
            call.attempt,
            call.at,
            &call.model,
            call.status,
            call.input_tokens,
            call.output_tokens,
            call.end == CallEnd::Complete,
            call.end.word(),
        ],
    )
    .map(|_| ())
}

/// Calls of a task that ended in one way.
#[derive(Deserialize)]
struct Ended {
    ended: String,
    calls: u64,
    unreported: u64,
    input_tokens: u64,
    output_tokens: u64,
}

/// What a task's calls used, together.
pub(super) fn of_task(sql: &Sql, task: &TaskId) -> Result<UsageSummary, SqlError> {
    // Calls recorded before ends were are told by whether they were complete.
    let groups: Vec<Ended> = sql.rows(
        "SELECT COALESCE(ended, IIF(complete, 'complete', 'broke_off')) AS ended, \
           COUNT(*) AS calls, \
           COALESCE(SUM(input_tokens IS NULL OR output_tokens IS NULL), 0) AS unreported, \
           COALESCE(SUM(input_tokens), 0) AS input_tokens, \
           COALESCE(SUM(output_tokens), 0) AS output_tokens \
         FROM model_calls WHERE task = ? GROUP BY 1 LIMIT 10",
        params![task],
    )?;
    let sum = |count: fn(&Ended) -> u64| groups.iter().map(count).sum();
    Ok(UsageSummary {
        calls: sum(|group| group.calls),
        unreported: sum(|group| group.unreported),
        input_tokens: sum(|group| group.input_tokens),
        output_tokens: sum(|group| group.output_tokens),
        ends: groups
            .iter()
            .map(|group| (group.ended.clone(), group.calls))
            .collect::<BTreeMap<_, _>>(),
    })
}
