//! The ledger as it is stored, with the record of each call.

use sam_domain::budget::call::{CallScope, Compared, Layer, ModelCall, Reserved, Settled};
use sam_domain::budget::ledger::{Basis, Counted, Ledger};
use sam_domain::budget::period::{self, Day};
use sam_domain::budget::reconcile::{Logged, Reconciliation};
use sam_domain::budget::refusal::HolderKind;
use sam_domain::budget::wire::{BudgetView, Spent};
use sam_domain::budget::{Charge, Limits};
use sam_domain::catalogue::price::Tokens;
use sam_domain::error::ApiError;
use sam_domain::id::RequestId;
use sam_domain::time::Timestamp;
use sam_platform::sql::{Sql, SqlError};
use sam_platform::{columns, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::usage;
use crate::object;
use crate::shell::ShellError;

const LEDGER: &str = "ledger";
const RECONCILIATION: &str = "reconciliation";
/// The most of anything that one call is recorded with: sums of what a provider makes up stay
/// numbers.
const MOST: u64 = 1 << 40;
/// A difference in cost that is rounding, in micro-dollars.
const ROUNDING: u64 = 1;

struct ValueRow {
    value: String,
}
columns!(ValueRow: value);

fn load<T: DeserializeOwned + Default>(sql: &Sql, key: &str) -> Result<T, ShellError> {
    let row: Option<ValueRow> = sql.first("SELECT value FROM state WHERE key = ?", params![key])?;
    match row {
        None => Ok(T::default()),
        Some(row) => sam_domain::json::from_str(&row.value).map_err(|error| ShellError::Stored {
            key: key.to_owned(),
            cause: error.to_string(),
        }),
    }
}

fn store(sql: &Sql, key: &str, value: &impl Serialize) -> Result<(), ShellError> {
    sql.run(
        "INSERT INTO state (key, value) VALUES (?1, ?2) \
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        params![key, object::text(value)?],
    )?;
    Ok(())
}

/// Whether the ledger has to be kept: without limits the record of calls says all there is.
fn is_kept(ledger: &Ledger) -> bool {
    ledger.limits().is_limited() || !ledger.open().is_empty()
}

/// Changes the ledger; `change` says whether it did.
pub(super) fn change(
    sql: &Sql,
    change: impl FnOnce(&mut Ledger) -> bool,
) -> Result<(), ShellError> {
    let mut ledger: Ledger = load(sql, LEDGER)?;
    if change(&mut ledger) {
        store(sql, LEDGER, &ledger)?;
    }
    Ok(())
}

/// Reserves, and says when the first reservation expires.
pub(super) fn reserve(
    sql: &Sql,
    now: Timestamp,
    holder: HolderKind,
    request: &RequestId,
    charge: Charge,
    scope: CallScope,
) -> Result<(Reserved, Option<Timestamp>), ShellError> {
    let mut ledger: Ledger = load(sql, LEDGER)?;
    if !ledger.limits_of(scope.own_key).is_limited() {
        return Ok((Reserved::Unlimited, None));
    }
    if by_request(sql, request)?.is_some() {
        return Err(ApiError::conflict("already_settled", "This model call has ended.").into());
    }
    match ledger.reserve(now, holder, request, charge, scope) {
        Ok(()) => {
            let warnings = ledger.warn();
            store(sql, LEDGER, &ledger)?;
            Ok((Reserved::Granted { warnings }, ledger.next_expiry()))
        }
        Err(refusal) => Ok((Reserved::Refused(refusal), None)),
    }
}

/// Counts and records calls that ended.
pub(super) fn settle(
    sql: &Sql,
    now: Timestamp,
    records: &[ModelCall],
) -> Result<Settled, ShellError> {
    let mut ledger: Ledger = load(sql, LEDGER)?;
    let was_kept = is_kept(&ledger);
    for record in records {
        let by_log = match &record.log {
            Some(log) => by_log(sql, log)?,
            None => None,
        };
        // A record of the provider may have come before ours.
        let previous = match by_log {
            Some(found) => Some(found.counted),
            None => by_request(sql, &record.request)?,
        };
        let counted = ledger.settle(
            now,
            &record.request,
            record.scope.own_key,
            record.outcome(),
            previous.as_ref(),
        );
        if let Some(counted) = counted {
            write(sql, &Entry::of(record), &counted)?;
        }
    }
    if was_kept {
        store(sql, LEDGER, &ledger)?;
    }
    Ok(Settled {
        limited: ledger.limits().is_limited(),
    })
}

/// Counts in full what was not renewed, and says when the next reservation expires.
pub(super) fn expire(sql: &Sql, now: Timestamp) -> Result<Option<Timestamp>, ShellError> {
    let mut ledger: Ledger = load(sql, LEDGER)?;
    let expired = ledger.expire(now);
    if !expired.is_empty() {
        store(sql, LEDGER, &ledger)?;
    }
    for (request, reservation, counted) in expired {
        let entry = Entry {
            request,
            scope: reservation.call,
            status: 0,
            ended: "expired",
            tokens: None,
            log: None,
        };
        write(sql, &entry, &counted)?;
    }
    Ok(ledger.next_expiry())
}

/// Sets one layer of limits. What is spent is taken from the record, since it was not kept while
/// nothing was limited.
pub(super) fn set_limits(
    sql: &Sql,
    now: Timestamp,
    layer: Layer,
    limits: Limits,
) -> Result<(), ShellError> {
    let mut ledger: Ledger = load(sql, LEDGER)?;
    match layer {
        Layer::Allowance => ledger.allowance = limits,
        Layer::Own => ledger.own = limits,
    }
    ledger.roll(now);
    let spent = usage::spent(sql, ledger.day())?;
    ledger.restore(now, spent.tokens, spent.cost, spent.paid);
    store(sql, LEDGER, &ledger)
}

/// The limits, and what is spent of them.
pub(super) fn view(sql: &Sql, now: Timestamp) -> Result<BudgetView, ShellError> {
    let mut ledger: Ledger = load(sql, LEDGER)?;
    ledger.roll(now);
    let spent = usage::spent(sql, ledger.day())?;
    ledger.restore(now, spent.tokens, spent.cost, spent.paid);
    let (day, reserved) = (ledger.day(), ledger.reserved());
    let month = day.month();
    Ok(BudgetView {
        limits: ledger.limits(),
        own: ledger.own,
        allowance: ledger.allowance,
        daily_tokens: Spent {
            spent: spent.tokens,
            reserved: reserved.tokens,
            resets_at: day.next().start(),
        },
        monthly_cost: Spent {
            spent: spent.cost,
            reserved: reserved.cost,
            resets_at: month.next().first().start(),
        },
        monthly_forecast: month.forecast(spent.cost, now),
        requests_per_minute: Spent {
            spent: ledger.minute_requests(),
            reserved: 0,
            resets_at: period::end_of_minute(period::minute(now)),
        },
        open_calls: u64::try_from(ledger.open().len()).unwrap_or(u64::MAX),
        warnings: ledger.near(),
    })
}

/// Compares calls with the provider's records of them.
pub(super) fn reconcile(
    sql: &Sql,
    now: Timestamp,
    logged: &[Logged],
) -> Result<Compared, ShellError> {
    let mut ledger: Ledger = load(sql, LEDGER)?;
    let is_kept = is_kept(&ledger);
    let mut compared = Compared::default();
    for record in logged {
        compared.provider_cost = compared.provider_cost.saturating_add(record.cost);
        let reported = record
            .input
            .zip(record.output)
            .map(|(input, output)| input.saturating_add(output));
        let Some(found) = by_log(sql, &record.log)? else {
            let charge = Charge {
                tokens: reported.unwrap_or_default(),
                cost: record.cost,
            };
            let counted = ledger.discover(now, Day::of(record.at), charge);
            write(sql, &Entry::discovered(record), &counted)?;
            compared.discovered += 1;
            continue;
        };
        let before = found.counted.charge;
        compared.ledger_cost = compared.ledger_cost.saturating_add(before.cost);
        let agrees =
            found.counted.basis == Basis::Reported && before.cost.abs_diff(record.cost) <= ROUNDING;
        if agrees {
            continue;
        }
        let charge = Charge {
            tokens: reported.unwrap_or(before.tokens),
            cost: record.cost,
        };
        if let Some(counted) = ledger.correct(now, &found.counted, charge) {
            correct(sql, &found.request, record, &counted)?;
            compared.corrected += 1;
        }
    }
    if is_kept && compared.corrected + compared.discovered > 0 {
        store(sql, LEDGER, &ledger)?;
    }
    Ok(compared)
}

/// How far the comparison came.
pub(super) fn reconciliation(sql: &Sql) -> Result<Reconciliation, ShellError> {
    load(sql, RECONCILIATION)
}

/// Keeps how far the comparison came. The cursor never goes back: of two runs at once the later
/// counts.
pub(super) fn put_reconciliation(
    sql: &Sql,
    mut state: Reconciliation,
) -> Result<Reconciliation, ShellError> {
    let stored = reconciliation(sql)?;
    state.cursor = state.cursor.max(stored.cursor);
    state.succeeded_at = state.succeeded_at.max(stored.succeeded_at);
    store(sql, RECONCILIATION, &state)?;
    Ok(state)
}

/// What is recorded of a call beside what it counts as.
struct Entry<'a> {
    request: RequestId,
    scope: CallScope,
    status: u16,
    ended: &'a str,
    tokens: Option<Tokens>,
    log: Option<&'a str>,
}

impl<'a> Entry<'a> {
    fn of(record: &'a ModelCall) -> Self {
        Self {
            request: record.request.clone(),
            scope: record.scope.clone(),
            status: record.status,
            ended: record.end.word(),
            tokens: record.tokens,
            log: record.log.as_deref(),
        }
    }

    fn discovered(record: &'a Logged) -> Self {
        Self {
            request: record.request(),
            scope: CallScope {
                user: record.user.clone(),
                project: record.project.clone(),
                session: record.session.clone(),
                task: record.task.clone(),
                attempt: 0,
                model: record.model.clone(),
                own_key: false,
            },
            status: 200,
            ended: "complete",
            tokens: record
                .input
                .zip(record.output)
                .map(|(input, output)| Tokens {
                    input,
                    output,
                    ..Tokens::default()
                }),
            log: Some(&record.log),
        }
    }
}

fn bounded(number: u64) -> u64 {
    number.min(MOST)
}

fn write(sql: &Sql, entry: &Entry<'_>, counted: &Counted) -> Result<(), SqlError> {
    let of = |part: fn(&Tokens) -> u64| entry.tokens.as_ref().map(|tokens| bounded(part(tokens)));
    sql.run(
        "INSERT INTO calls (request, day, user, project, session, task, attempt, model, status, \
           ended, input, cached_input, cache_write, output, tokens, cost, basis, log, own_key) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT (request) DO UPDATE SET status = excluded.status, ended = excluded.ended, \
           input = excluded.input, cached_input = excluded.cached_input, \
           cache_write = excluded.cache_write, output = excluded.output, \
           tokens = excluded.tokens, cost = excluded.cost, basis = excluded.basis, \
           log = excluded.log",
        params![
            &entry.request,
            counted.day.0,
            &entry.scope.user,
            &entry.scope.project,
            &entry.scope.session,
            &entry.scope.task,
            entry.scope.attempt,
            &entry.scope.model,
            entry.status,
            entry.ended,
            of(|tokens| tokens.input),
            of(|tokens| tokens.cached_input),
            of(|tokens| tokens.cache_write),
            of(|tokens| tokens.output),
            bounded(counted.charge.tokens),
            bounded(counted.charge.cost),
            counted.basis.word(),
            entry.log,
            u32::from(counted.own_key),
        ],
    )
    .map(|_| ())
}

fn correct(
    sql: &Sql,
    request: &RequestId,
    record: &Logged,
    counted: &Counted,
) -> Result<(), SqlError> {
    sql.run(
        "UPDATE calls SET input = COALESCE(?, input), output = COALESCE(?, output), tokens = ?, \
           cost = ?, basis = ? WHERE request = ?",
        params![
            record.input.map(bounded),
            record.output.map(bounded),
            bounded(counted.charge.tokens),
            bounded(counted.charge.cost),
            counted.basis.word(),
            request,
        ],
    )
    .map(|_| ())
}

/// A recorded call.
struct Found {
    request: RequestId,
    counted: Counted,
}

struct FoundRow {
    request: RequestId,
    day: Day,
    tokens: u64,
    cost: u64,
    basis: Basis,
    own_key: u8,
}
columns!(FoundRow: request, day, tokens, cost, basis, own_key);

impl From<FoundRow> for Found {
    fn from(row: FoundRow) -> Self {
        Self {
            request: row.request,
            counted: Counted {
                day: row.day,
                charge: Charge {
                    tokens: row.tokens,
                    cost: row.cost,
                },
                basis: row.basis,
                own_key: row.own_key != 0,
            },
        }
    }
}

fn by_request(sql: &Sql, request: &RequestId) -> Result<Option<Counted>, SqlError> {
    let row: Option<FoundRow> = sql.first(
        "SELECT request, day, tokens, cost, basis, own_key FROM calls WHERE request = ?",
        params![request],
    )?;
    Ok(row.map(|row| Found::from(row).counted))
}

fn by_log(sql: &Sql, log: &str) -> Result<Option<Found>, SqlError> {
    let row: Option<FoundRow> = sql.first(
        "SELECT request, day, tokens, cost, basis, own_key FROM calls WHERE log = ?",
        params![log],
    )?;
    Ok(row.map(Found::from))
}
