//! The provider's own records, compared with the ledger.
//!
//! Model: AI Gateway logs each call under an id that it also tells in the reply. The job reads the
//! log since its cursor, oldest first, and hands each holder the records of its calls. A call is
//! corrected to what its record says, once, whatever it counted as; a record without a call is
//! counted as a call of its own, under an id made from the record's. So a record changes something
//! the first time it is seen and never again, and a run may be repeated, or overlap another.
//!
//! A record without a cost says nothing about money, and is passed over.
//!
//! Of what Cloudflare publishes of `GET /accounts/{account_id}/ai-gateway/gateways/{gateway_id}/logs`
//! this is used:
//!
//! | place | fields |
//! |---|---|
//! | query | `page`, `per_page` (50), `order_by` (`created_at`), `order_by_direction` (`asc`), `filters` (`created_at`, `gt`) |
//! | reply | `success`, `result` |
//! | record | `id`, `created_at`, `model`, `cached`, `tokens_in`, `tokens_out` (both may be null), `cost` and `metadata` (both may be absent) |

use super::period;
use crate::catalogue::price::MicroDollars;
use crate::id::{Id, ProjectId, RequestId, SessionId, TaskId, UserId};
use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How far back before its cursor a run reads: records may appear out of order.
pub const OVERLAP: Millis = Millis::minutes(10);
/// How old a record is before it is compared: until then the call may not be settled.
pub const SETTLING: Millis = Millis::minutes(1);

/// One record of AI Gateway, as far as money goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logged {
    /// Its id there.
    pub log: String,
    /// When it was made.
    pub at: Timestamp,
    /// The model.
    pub model: String,
    /// What it cost.
    pub cost: MicroDollars,
    /// Tokens sent.
    pub input: Option<u64>,
    /// Tokens written.
    pub output: Option<u64>,
    /// On whose behalf.
    pub user: UserId,
    /// In which project.
    pub project: ProjectId,
    /// In which conversation.
    pub session: SessionId,
    /// For which task.
    pub task: TaskId,
}

impl Logged {
    /// The id under which a record is kept that no call of ours is known for. The same record has
    /// the same id, whoever sees it and how often.
    #[must_use]
    pub fn request(&self) -> RequestId {
        // FNV-1a: it has to tell records of a millisecond apart, and to be the same for ever.
        let prime = 0x0000_0000_0100_0000_0000_0000_0000_013b_u128;
        let seed = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128;
        let hash = self.log.bytes().fold(seed, |hash, byte| {
            (hash ^ u128::from(byte)).wrapping_mul(prime)
        });
        RequestId::mint(self.at, hash)
    }
}

/// A page of AI Gateway's log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPage {
    /// Records that say what somebody's call cost.
    pub logged: Vec<Logged>,
    /// How many records the page had, with those that say nothing of that.
    pub records: usize,
    /// When the newest of them was made.
    pub newest: Option<Timestamp>,
}

/// Why a page cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// It is not what the published description says.
    #[error("the log has another shape than published: {0}")]
    Shape(&'static str),
}

/// Reads a page of `GET /accounts/{account}/ai-gateway/gateways/{gateway}/logs`.
///
/// # Errors
/// When it does not have the published shape.
pub fn read_page(page: &Value) -> Result<LogPage, PageError> {
    if page.get("success") != Some(&Value::Bool(true)) {
        return Err(PageError::Shape("`success` is not true"));
    }
    let records = page
        .get("result")
        .and_then(Value::as_array)
        .ok_or(PageError::Shape("`result` is not a list"))?;
    let mut read = LogPage {
        records: records.len(),
        ..LogPage::default()
    };
    for record in records {
        let at = record
            .get("created_at")
            .and_then(Value::as_str)
            .and_then(period::read_rfc3339)
            .ok_or(PageError::Shape("`created_at` is no moment"))?;
        let id = record.get("id").and_then(Value::as_str);
        let id = id.ok_or(PageError::Shape("`id` is no text"))?;
        read.newest = read.newest.max(Some(at));
        read.logged.extend(logged(record, id, at));
    }
    Ok(read)
}

/// The record, if it says what a call of ours cost.
fn logged(record: &Value, log: &str, at: Timestamp) -> Option<Logged> {
    let number = |name: &str| record.get(name).and_then(Value::as_u64);
    // Published as a text with JSON, answered as an object as well.
    let metadata = match record.get("metadata")? {
        Value::String(text) => serde_json::from_str(text).ok()?,
        other => other.clone(),
    };
    let id = |name: &str| metadata.get(name).and_then(Value::as_str);
    // What the gateway's own cache answered cost nothing.
    let cost = match record.get("cached") {
        Some(Value::Bool(true)) => 0,
        _ => micro_dollars(record.get("cost")?)?,
    };
    Some(Logged {
        log: log.to_owned(),
        at,
        model: record
            .get("model")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        cost,
        input: number("tokens_in"),
        output: number("tokens_out"),
        user: id("user")?.parse().ok()?,
        project: id("project")?.parse().ok()?,
        session: id("session")?.parse().ok()?,
        task: id("task")?.parse().ok()?,
    })
}

/// Dollars, as a number of JSON, in micro-dollars, rounded up. By its digits: a cost of a millionth
/// is no place for the arithmetic of fractions.
fn micro_dollars(number: &Value) -> Option<MicroDollars> {
    let text = number.as_number()?.to_string();
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (text.as_str(), 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all: u128 = format!("{whole}{fraction}").parse().ok()?;
    let places = i32::try_from(fraction.len()).ok()?;
    let power = exponent.checked_sub(places)?.checked_add(6)?;
    let scale = 10_u128.checked_pow(power.unsigned_abs())?;
    let scaled = if power >= 0 {
        all.checked_mul(scale)?
    } else {
        all.div_ceil(scale)
    };
    u64::try_from(scaled).ok()
}

/// One person in the last comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Drift {
    /// Whose.
    pub user: UserId,
    /// What the ledger had counted, in micro-dollars.
    pub ledger_cost: MicroDollars,
    /// What the gateway's log says.
    pub gateway_cost: MicroDollars,
    /// Calls that were corrected.
    pub corrected: u64,
    /// Calls that only the log knew.
    pub discovered: u64,
}

/// `GET /api/reconciliation`: how far the comparison with AI Gateway's log came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Reconciliation {
    /// The moment up to which the log was read.
    pub cursor: Option<Timestamp>,
    /// When a run last came to its end.
    pub succeeded_at: Option<Timestamp>,
    /// How long ago that was when it was asked for, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<u64>,
    /// When a run was last tried.
    pub tried_at: Option<Timestamp>,
    /// Why the last try failed; limits hold on the ledger meanwhile.
    pub problem: Option<String>,
    /// Records compared so far.
    pub compared: u64,
    /// Calls corrected so far.
    pub corrected: u64,
    /// Calls so far that only the log knew.
    pub discovered: u64,
    /// The last comparison by person; for show, and possibly a little old.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<Drift>,
}

impl Reconciliation {
    /// From where a run reads; none reads everything that is kept.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        let cursor = self.cursor.unwrap_or_default();
        Timestamp(cursor.0.saturating_sub(OVERLAP.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn id<T: Id>(n: u128) -> T {
        T::mint(Timestamp(1), n)
    }

    fn metadata() -> Value {
        json!({
            "user": id::<UserId>(1).as_str(), "project": id::<ProjectId>(2).as_str(),
            "session": id::<SessionId>(3).as_str(), "task": id::<TaskId>(4).as_str(),
            "workspace": "wsp",
        })
    }

    fn record(change: impl FnOnce(&mut Value)) -> Value {
        let mut record = json!({
            "id": "01LOG", "created_at": "2026-11-20T10:00:00.000Z", "provider": "openai",
            "model": "gpt-4.1", "tokens_in": 10, "tokens_out": 5, "cost": 0.0000043, "cached": false,
            "success": true, "status_code": 200, "metadata": metadata().to_string(),
        });
        change(&mut record);
        record
    }

    fn page(records: &[Value]) -> Result<LogPage, PageError> {
        let info = json!({"page": 1, "per_page": 50, "count": 1, "total_count": 1});
        read_page(&json!({"success": true, "result": records, "result_info": info}))
    }

    #[test]
    fn a_record_says_what_a_call_cost() {
        let read = page(&[record(|_| ())]).unwrap();
        let logged = read.logged.first().unwrap();
        assert_eq!(
            (logged.cost, logged.input, logged.output),
            (5, Some(10), Some(5))
        );
        assert_eq!(logged.user, id(1));
        assert_eq!(read.newest, Some(logged.at));
        assert_eq!(logged.request(), logged.clone().request());
        let as_object = record(|record| record["metadata"] = metadata());
        assert_eq!(page(&[as_object]).unwrap(), read);
    }

    #[test]
    fn a_record_that_says_nothing_of_money_is_passed_over() {
        for say_nothing in [
            |record: &mut Value| record["cost"] = Value::Null,
            |record: &mut Value| record["cost"] = json!(-1),
            |record: &mut Value| record["metadata"] = Value::Null,
            |record: &mut Value| record["metadata"] = json!("{\"user\":\"somebody\"}"),
        ] {
            let read = page(&[record(say_nothing)]).unwrap();
            assert_eq!((read.logged.len(), read.records), (0, 1));
            assert!(read.newest.is_some(), "the cursor moves on");
        }
        let cached = record(|record| record["cached"] = json!(true));
        assert_eq!(page(&[cached]).unwrap().logged.first().unwrap().cost, 0);
    }

    #[test]
    fn another_shape_is_told() {
        for bad in [
            json!({"success": false, "errors": [{"code": 9109, "message": "no"}]}),
            json!({"success": true, "result": {}}),
            json!({"success": true, "result": [{"id": "x"}]}),
            json!({"success": true, "result": [{"created_at": "2026-11-20T10:00:00Z"}]}),
            json!([]),
        ] {
            assert!(read_page(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn dollars_are_read_by_their_digits() {
        for (number, micro) in [
            ("0.0000043", 5),
            ("4.3e-6", 5),
            ("0.01719325", 17_194),
            ("1", 1_000_000),
            ("1e2", 100_000_000),
            ("0", 0),
        ] {
            let number: Value = serde_json::from_str(number).unwrap();
            assert_eq!(micro_dollars(&number), Some(micro), "{number}");
        }
        assert_eq!(micro_dollars(&json!(1e30)), None);
        assert_eq!(micro_dollars(&json!("1")), None);
    }
}
