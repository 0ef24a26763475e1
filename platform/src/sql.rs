//! An object's SQLite, without the calls that hang.
//!
//! A cursor of the stock binding hangs its caller when JavaScript throws while reading it; here the
//! whole result is read by one catching call and decoded from JSON. Statements are synchronous:
//! everything an object writes between two awaits on the outside world commits as one unit.

use js_sys::Array;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;

use crate::js::{self, JsFailure};
use crate::value::{SqlValue, ValueError, to_array};

#[wasm_bindgen]
extern "C" {
    type RawSql;
    type RawCursor;
    type RawStorage;

    #[wasm_bindgen(structural, method, catch, variadic, js_name = exec)]
    fn exec(this: &RawSql, query: &str, bindings: Array) -> Result<RawCursor, JsValue>;

    #[wasm_bindgen(structural, method, catch, getter, js_name = databaseSize)]
    fn database_size(this: &RawSql) -> Result<f64, JsValue>;

    #[wasm_bindgen(structural, method, catch, js_name = toArray)]
    fn to_array(this: &RawCursor) -> Result<Array, JsValue>;

    #[wasm_bindgen(structural, method, catch, getter, js_name = rowsWritten)]
    fn rows_written(this: &RawCursor) -> Result<f64, JsValue>;

    #[wasm_bindgen(structural, method, catch, js_name = transactionSync)]
    fn transaction_sync(
        this: &RawStorage,
        closure: &mut dyn FnMut() -> Result<JsValue, JsValue>,
    ) -> Result<JsValue, JsValue>;
}

/// What a statement can fail with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// The runtime refused or failed; the text names the statement's fault.
    #[error("sql: {0}")]
    Runtime(#[from] JsFailure),
    /// A parameter that would not be stored as it is.
    #[error("sql parameter: {0}")]
    Value(#[from] ValueError),
    /// A row that does not fit the type it is read as.
    #[error("sql row: {0}")]
    Row(String),
}

impl From<JsValue> for SqlError {
    fn from(value: JsValue) -> Self {
        Self::Runtime(value.into())
    }
}

/// The SQLite database of one object.
#[derive(Debug, Clone)]
pub struct Sql {
    sql: JsValue,
    storage: JsValue,
}

impl Sql {
    /// The database of the object with this state. Fails for a class that is not SQLite-backed.
    pub fn of(state: &worker::State) -> Result<Self, SqlError> {
        let storage: JsValue = state.as_raw().storage()?.into();
        let sql = js::get(&storage, "sql")?;
        if sql.is_undefined() || sql.is_null() {
            return Err(JsFailure::new("this object's class is not SQLite-backed").into());
        }
        Ok(Self { sql, storage })
    }

    fn cursor(&self, query: &str, params: &[SqlValue]) -> Result<RawCursor, SqlError> {
        let bindings = to_array(params)?;
        Ok(self.sql.unchecked_ref::<RawSql>().exec(query, bindings)?)
    }

    /// Every row of a query. The caller bounds it with LIMIT.
    pub fn rows<T: DeserializeOwned>(
        &self,
        query: &str,
        params: &[SqlValue],
    ) -> Result<Vec<T>, SqlError> {
        let rows = self.cursor(query, params)?.to_array()?;
        js::decode(&rows).map_err(|failure| SqlError::Row(failure.message))
    }

    /// The first row of a query, if there is one.
    pub fn first<T: DeserializeOwned>(
        &self,
        query: &str,
        params: &[SqlValue],
    ) -> Result<Option<T>, SqlError> {
        Ok(self.rows(query, params)?.into_iter().next())
    }

    /// Runs a statement to its end and returns the number of rows written, index rows included (the
    /// figure that is billed).
    pub fn run(&self, statement: &str, params: &[SqlValue]) -> Result<u64, SqlError> {
        let cursor = self.cursor(statement, params)?;
        // A statement does its work while its cursor is read.
        cursor.to_array()?;
        Ok(cursor.rows_written()? as u64)
    }

    /// Size of the database in bytes.
    pub fn size(&self) -> Result<u64, SqlError> {
        Ok(self.sql.unchecked_ref::<RawSql>().database_size()? as u64)
    }

    /// Runs `body` as one transaction: an error undoes its statements and nothing else. Without it,
    /// what was written earlier in the same turn commits even if a later statement fails.
    pub fn transaction<T, E: From<SqlError>>(
        &self,
        body: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let mut body = Some(body);
        let mut outcome: Option<Result<T, E>> = None;
        let thrown = {
            let mut closure = || -> Result<JsValue, JsValue> {
                let Some(body) = body.take() else {
                    return Err(JsValue::from_str("a transaction's body runs once"));
                };
                let result = body();
                let failed = result.is_err();
                outcome = Some(result);
                if failed {
                    Err(JsValue::from_str("rolled back"))
                } else {
                    Ok(JsValue::UNDEFINED)
                }
            };
            self.storage
                .unchecked_ref::<RawStorage>()
                .transaction_sync(&mut closure)
                .err()
        };
        match (outcome, thrown) {
            (Some(Ok(_)), Some(thrown)) | (None, Some(thrown)) => {
                Err(SqlError::from(thrown).into())
            }
            (Some(result), _) => result,
            (None, None) => {
                Err(SqlError::Runtime(JsFailure::new("the transaction did not run")).into())
            }
        }
    }
}
