//! Model calls as the upstream reported them.

use sam_domain::conversation::call::{ModelCall, UsageSummary};
use sam_domain::id::TaskId;
use sam_platform::params;
use sam_platform::sql::{Sql, SqlError};

/// Keeps one call. A repeat changes nothing.
pub(super) fn record(sql: &Sql, call: &ModelCall) -> Result<(), SqlError> {
    sql.run(
        "INSERT INTO model_calls (request, task, session, attempt, at, model, status, \
           input_tokens, output_tokens, complete) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (request) DO NOTHING",
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
            call.complete,
        ],
    )
    .map(|_| ())
}

/// What a task's calls used, together.
pub(super) fn of_task(sql: &Sql, task: &TaskId) -> Result<UsageSummary, SqlError> {
    Ok(sql
        .first(
            "SELECT COUNT(*) AS calls, \
               COALESCE(SUM(input_tokens IS NULL OR output_tokens IS NULL), 0) AS unreported, \
               COALESCE(SUM(input_tokens), 0) AS input_tokens, \
               COALESCE(SUM(output_tokens), 0) AS output_tokens \
             FROM model_calls WHERE task = ?",
            params![task],
        )?
        .unwrap_or_default())
}
