//! D1: people, sessions, tokens, invites, projects, members, changes of access, models and keys to
//! them, and the cross-project index of tasks and nodes.
//!
//! One repository module per table; SQL text of D1 appears in them and nowhere else. Everything is
//! bound as text or as a double that holds the integer exactly. A batch is one transaction.
//!
//! Who wins a race is decided by a single statement (`INSERT … ON CONFLICT DO NOTHING`,
//! `UPDATE … WHERE not yet … RETURNING`), never by a read followed by a write.

pub mod agent_logins;
pub mod agent_providers;
pub mod api_tokens;
pub mod audit_log;
pub mod auth_sessions;
pub mod credentials;
pub mod identities;
pub mod installation;
pub mod invites;
pub mod join_tokens;
pub mod model_access;
pub mod models;
pub mod node_index;
pub mod node_shares;
pub mod project_members;
pub mod projects;
mod recent;
pub mod settings;
pub mod sign_in_links;
pub mod task_index;
pub mod users;

use std::rc::Rc;

use js_sys::Array;
use sam_domain::time::Timestamp;
use wasm_bindgen::prelude::*;

pub use self::recent::FRESH;

use crate::bindings::BindingError;
use crate::js::{self, JsFailure};
use crate::row::{self, FromRow, RowError};
use crate::value::{SqlValue, ValueError, to_array};

#[wasm_bindgen]
extern "C" {
    type RawDatabase;
    #[derive(Debug, Clone)]
    type RawStatement;

    #[wasm_bindgen(structural, method, catch)]
    fn prepare(this: &RawDatabase, query: &str) -> Result<RawStatement, JsValue>;

    #[wasm_bindgen(structural, method, catch)]
    fn batch(this: &RawDatabase, statements: Array) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(structural, method, catch, variadic)]
    fn bind(this: &RawStatement, values: Array) -> Result<RawStatement, JsValue>;

    #[wasm_bindgen(structural, method, catch)]
    fn all(this: &RawStatement) -> Result<JsValue, JsValue>;
}

/// What D1 can fail with. None of the texts belongs into a reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum D1Error {
    /// The database is not bound.
    #[error(transparent)]
    Binding(#[from] BindingError),
    /// A parameter that would not be stored as it is.
    #[error("d1 parameter: {0}")]
    Value(#[from] ValueError),
    /// A uniqueness rule was broken.
    #[error("d1: not unique: {0}")]
    NotUnique(String),
    /// A row was named that does not exist, or is still named by another.
    #[error("d1: foreign key: {0}")]
    ForeignKey(String),
    /// The runtime or the statement failed.
    #[error("d1: {0}")]
    Runtime(String),
    /// A row does not fit the type it is read as.
    #[error("d1 row: {0}")]
    Row(#[from] RowError),
}

impl From<JsFailure> for D1Error {
    fn from(failure: JsFailure) -> Self {
        let text = failure.message;
        if text.contains("UNIQUE constraint failed") {
            Self::NotUnique(text)
        } else if text.contains("FOREIGN KEY constraint failed") {
            Self::ForeignKey(text)
        } else {
            Self::Runtime(text)
        }
    }
}

impl From<JsValue> for D1Error {
    fn from(value: JsValue) -> Self {
        JsFailure::from(value).into()
    }
}

/// One bound statement, for a batch.
#[derive(Debug, Clone)]
pub struct Statement {
    raw: RawStatement,
    /// Whether it changes nothing.
    reads: bool,
}

impl Statement {
    fn new(raw: RawStatement, query: &str) -> Self {
        Self {
            raw,
            reads: query.starts_with("SELECT"),
        }
    }
}

/// The database.
#[derive(Debug, Clone)]
pub struct D1 {
    database: JsValue,
    /// The moment of the request whose reads may be answered by what was read shortly before it.
    recent_at: Option<Timestamp>,
}

impl D1 {
    pub(crate) fn new(database: JsValue) -> Self {
        Self {
            database,
            recent_at: None,
        }
    }

    /// The same database, whose reads may be answered by what was read at most [`FRESH`] before `now`
    /// (see [`recent`]). For finding out who a reader is and what they
    /// may read, and what a model call rests on; nothing else.
    pub fn recent(self, now: Timestamp) -> Self {
        Self {
            recent_at: Some(now),
            ..self
        }
    }

    fn raw(&self) -> &RawDatabase {
        self.database.unchecked_ref()
    }

    /// Prepares and binds a statement. The text is a constant: values travel as parameters.
    pub fn statement(
        &self,
        query: &'static str,
        params: &[SqlValue],
    ) -> Result<Statement, D1Error> {
        let prepared = self.raw().prepare(query)?;
        if params.is_empty() {
            return Ok(Statement::new(prepared, query));
        }
        let bound = prepared.bind(to_array(params)?)?;
        Ok(Statement::new(bound, query))
    }

    async fn result(&self, statement: &Statement) -> Result<JsValue, D1Error> {
        let result = self
            .performing(statement.reads, async {
                Ok(js::settle(statement.raw.all()?).await?)
            })
            .await?;
        counted(&result);
        Ok(result)
    }

    /// Does something to the database; if it may write, what was read before and meanwhile is out of
    /// date.
    async fn performing<T>(
        &self,
        reads: bool,
        work: impl Future<Output = Result<T, D1Error>>,
    ) -> Result<T, D1Error> {
        if reads {
            return work.await;
        }
        recent::forget();
        let done = work.await;
        recent::forget();
        done
    }

    /// Every row of a query.
    pub async fn all<T: FromRow>(
        &self,
        query: &'static str,
        params: &[SqlValue],
    ) -> Result<Vec<T>, D1Error> {
        Ok(row::all(&self.answer(query, params).await?)?)
    }

    /// The rows of a query as the text of a JSON array.
    async fn answer(&self, query: &'static str, params: &[SqlValue]) -> Result<Rc<str>, D1Error> {
        let Some(now) = self.recent_at else {
            let result = self.result(&self.statement(query, params)?).await?;
            return Ok(rows(&result)?.into());
        };
        let question = (query, format!("{params:?}").into_boxed_str());
        if let Some(answer) = recent::find(&question, now) {
            return Ok(answer);
        }
        let reading = recent::begin(now);
        let result = self.result(&self.statement(query, params)?).await?;
        let answer: Rc<str> = rows(&result)?.into();
        recent::keep(question, reading, Rc::clone(&answer));
        Ok(answer)
    }

    /// The first row of a query, if there is one.
    pub async fn first<T: FromRow>(
        &self,
        query: &'static str,
        params: &[SqlValue],
    ) -> Result<Option<T>, D1Error> {
        Ok(row::first(&self.answer(query, params).await?)?)
    }

    /// Runs a statement and returns how many rows it changed.
    pub async fn run(&self, query: &'static str, params: &[SqlValue]) -> Result<u64, D1Error> {
        changes(&self.result(&self.statement(query, params)?).await?)
    }

    /// Runs statements as one transaction and returns how many rows each changed.
    pub async fn batch(&self, statements: Vec<Statement>) -> Result<Vec<u64>, D1Error> {
        let array = Array::new();
        for statement in &statements {
            array.push(&statement.raw);
        }
        let reads = statements.iter().all(|statement| statement.reads);
        let results = self
            .performing(reads, async {
                Ok(js::settle(self.raw().batch(array)?).await?)
            })
            .await?;
        Array::from(&results)
            .iter()
            .inspect(counted)
            .map(|result| changes(&result))
            .collect()
    }
}

/// The rows of a result as the text of a JSON array.
fn rows(result: &JsValue) -> Result<String, D1Error> {
    let results = js::get(result, "results")?;
    if results.is_undefined() || results.is_null() {
        return Ok("[]".to_owned());
    }
    js::to_json(&results).map_err(|failure| RowError::new(failure.message).into())
}

/// Counts what a statement wrote, where tests ask for it.
fn counted(result: &JsValue) {
    #[cfg(feature = "fault-injection")]
    if let Ok(meta) = js::get(result, "meta")
        && let Ok(rows) = js::get(&meta, "rows_written")
    {
        crate::probe::registry::database_wrote(rows.as_f64().unwrap_or_default() as u64);
    }
    #[cfg(not(feature = "fault-injection"))]
    let _ = result;
}

fn changes(result: &JsValue) -> Result<u64, D1Error> {
    let meta = js::get(result, "meta")?;
    Ok(js::get(&meta, "changes")?.as_f64().unwrap_or_default() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_rule_is_told_from_a_failure() {
        let of = |text: &str| D1Error::from(JsFailure::new(text));
        assert!(matches!(
            of("Error: D1_ERROR: UNIQUE constraint failed: users.id"),
            D1Error::NotUnique(_)
        ));
        assert!(matches!(
            of("Error: D1_ERROR: FOREIGN KEY constraint failed"),
            D1Error::ForeignKey(_)
        ));
        assert!(matches!(of("Error: no such table"), D1Error::Runtime(_)));
    }
}
