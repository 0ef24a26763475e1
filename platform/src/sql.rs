//! An object's SQLite, without the calls that hang.
//!
//! A cursor of the stock binding hangs its caller when JavaScript throws while reading it; here the
//! whole result is read by one catching call and decoded from JSON. Statements are synchronous:
//! everything an object writes between two awaits on the outside world commits as one unit.

use js_sys::{Array, JsString};
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;

use crate::js::{self, JsFailure};
use crate::probe::Probe;
use crate::row::{self, FromRow, RowError};
use crate::text::Text;
use crate::value::{SqlValue, ValueError, to_array};

#[wasm_bindgen]
extern "C" {
    type RawSql;
    type RawCursor;
    type RawStorage;

    #[wasm_bindgen(structural, method, catch, variadic, js_name = exec)]
    fn exec(this: &RawSql, query: &str, bindings: Array) -> Result<RawCursor, JsValue>;

    #[wasm_bindgen(structural, method, catch, js_name = toArray)]
    fn to_array(this: &RawCursor) -> Result<Array, JsValue>;

    #[wasm_bindgen(structural, method, catch, getter, js_name = rowsWritten)]
    fn rows_written(this: &RawCursor) -> Result<f64, JsValue>;

    #[wasm_bindgen(structural, method, catch, js_name = transactionSync)]
    fn transaction_sync(
        this: &RawStorage,
        closure: &mut dyn FnMut() -> Result<JsValue, JsValue>,
    ) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(structural, method, catch, js_name = deleteAll)]
    fn delete_all(this: &RawStorage) -> Result<JsValue, JsValue>;
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
    Row(#[from] RowError),
}

impl From<JsValue> for SqlError {
    fn from(value: JsValue) -> Self {
        Self::Runtime(value.into())
    }
}

/// The SQLite database of one object.
#[derive(Debug, Clone)]
pub struct Sql {
    backend: Backend,
    probe: Probe,
}

#[derive(Debug, Clone)]
enum Backend {
    Runtime {
        sql: JsValue,
        storage: JsValue,
    },
    #[cfg(all(feature = "native-sql", not(target_arch = "wasm32")))]
    Native(native::Database),
}

impl Sql {
    /// The database of the object with this state. Fails for a class that is not SQLite-backed.
    pub fn of(state: &worker::State, probe: Probe) -> Result<Self, SqlError> {
        let storage: JsValue = state.as_raw().storage()?.into();
        let sql = js::get(&storage, "sql")?;
        if sql.is_undefined() || sql.is_null() {
            return Err(JsFailure::new("this object's class is not SQLite-backed").into());
        }
        Ok(Self {
            backend: Backend::Runtime { sql, storage },
            probe,
        })
    }

    /// A database in memory, for tests of the statements that objects run.
    #[cfg(all(feature = "native-sql", not(target_arch = "wasm32")))]
    pub fn in_memory() -> Result<Self, SqlError> {
        Ok(Self {
            backend: Backend::Native(native::Database::in_memory()?),
            probe: Probe::default(),
        })
    }

    /// Every row of a query. The caller bounds it with LIMIT.
    pub fn rows<T: FromRow>(&self, query: &str, params: &[SqlValue]) -> Result<Vec<T>, SqlError> {
        Ok(row::all(&self.answer(query, params)?)?)
    }

    /// Every row of a query whose columns are the fields of a type that travels.
    pub fn read<T: DeserializeOwned>(
        &self,
        query: &str,
        params: &[SqlValue],
    ) -> Result<Vec<T>, SqlError> {
        let rows = self.answer(query, params)?;
        Ok(sam_domain::json::from_str(&rows).map_err(|error| RowError::new(error.to_string()))?)
    }

    /// Whether a query has a row.
    pub fn any(&self, query: &str, params: &[SqlValue]) -> Result<bool, SqlError> {
        Ok(self.answer(query, params)? != "[]")
    }

    /// The rows of a query as the text of a JSON array.
    fn answer(&self, query: &str, params: &[SqlValue]) -> Result<String, SqlError> {
        match &self.backend {
            Backend::Runtime { sql, .. } => {
                let cursor = cursor(sql, query, params)?;
                let rows = cursor.to_array()?;
                // A query writes where it has a RETURNING; nobody else asks for the number.
                #[cfg(feature = "fault-injection")]
                self.probe.wrote(cursor.rows_written()? as u64);
                Ok(js::to_json(&rows).map_err(|failure| RowError::new(failure.message))?)
            }
            #[cfg(all(feature = "native-sql", not(target_arch = "wasm32")))]
            Backend::Native(database) => {
                Ok(serde_json::Value::from(database.rows(query, params)?).to_string())
            }
        }
    }

    /// The first row of a query, if there is one.
    pub fn first<T: FromRow>(
        &self,
        query: &str,
        params: &[SqlValue],
    ) -> Result<Option<T>, SqlError> {
        Ok(row::first(&self.answer(query, params)?)?)
    }

    /// The first row of a query, to be read column by column: for long texts, which [`Self::rows`]
    /// would take through JSON once more.
    pub fn record(&self, query: &str, params: &[SqlValue]) -> Result<Option<Record>, SqlError> {
        match &self.backend {
            Backend::Runtime { sql, .. } => {
                let rows = cursor(sql, query, params)?.to_array()?;
                Ok((rows.length() > 0).then(|| Record(Columns::Runtime(rows.get(0)))))
            }
            #[cfg(all(feature = "native-sql", not(target_arch = "wasm32")))]
            Backend::Native(database) => {
                let rows = database.rows(query, params)?;
                let first = rows.into_iter().next();
                Ok(first.map(|row| Record(Columns::Native(row))))
            }
        }
    }

    /// Runs a statement to its end and returns the number of rows written, index rows included (the
    /// figure that is billed; without them on a database in memory).
    pub fn run(&self, statement: &str, params: &[SqlValue]) -> Result<u64, SqlError> {
        match &self.backend {
            Backend::Runtime { sql, .. } => {
                let cursor = cursor(sql, statement, params)?;
                // A statement does its work while its cursor is read.
                cursor.to_array()?;
                let written = cursor.rows_written()? as u64;
                self.probe.wrote(written);
                Ok(written)
            }
            #[cfg(all(feature = "native-sql", not(target_arch = "wasm32")))]
            Backend::Native(database) => database.run(statement, params),
        }
    }

    /// Deletes everything that the object has stored, its tables and its alarm included. Synchronous:
    /// it commits with the turn.
    pub fn delete_all(&self) -> Result<(), SqlError> {
        match &self.backend {
            Backend::Runtime { storage, .. } => {
                let storage: &RawStorage = storage.unchecked_ref();
                // The promise only reports the commit, which the turn waits for in any case.
                storage.delete_all()?;
                self.probe.wrote(1);
                Ok(())
            }
            #[cfg(all(feature = "native-sql", not(target_arch = "wasm32")))]
            Backend::Native(_) => {
                Err(JsFailure::new("a database in memory is dropped instead").into())
            }
        }
    }

    /// Runs `body` as one transaction: an error undoes its statements and nothing else. Without it,
    /// what was written earlier in the same turn commits even if a later statement fails.
    pub fn transaction<T, E: From<SqlError>>(
        &self,
        body: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        match &self.backend {
            Backend::Runtime { storage, .. } => transaction(storage, body),
            #[cfg(all(feature = "native-sql", not(target_arch = "wasm32")))]
            Backend::Native(database) => database.transaction(body),
        }
    }
}

/// One row of a result.
#[derive(Debug)]
pub struct Record(Columns);

#[derive(Debug)]
enum Columns {
    Runtime(JsValue),
    #[cfg(all(feature = "native-sql", not(target_arch = "wasm32")))]
    Native(serde_json::Value),
}

impl Record {
    /// A column of text; `None` for NULL.
    pub fn text(&self, column: &str) -> Result<Option<String>, SqlError> {
        match &self.0 {
            Columns::Runtime(row) => Ok(js::get(row, column)?.as_string()),
            #[cfg(all(feature = "native-sql", not(target_arch = "wasm32")))]
            Columns::Native(row) => Ok(row
                .get(column)
                .and_then(|value| value.as_str())
                .map(str::to_owned)),
        }
    }

    /// A column of text that is passed on unread; empty for NULL.
    pub fn passed_on(&self, column: &str) -> Result<Text, SqlError> {
        match &self.0 {
            Columns::Runtime(row) => Ok(js::get(row, column)?
                .dyn_into::<JsString>()
                .map(Text::from)
                .unwrap_or_default()),
            #[cfg(all(feature = "native-sql", not(target_arch = "wasm32")))]
            Columns::Native(_) => Ok(self.text(column)?.unwrap_or_default().into()),
        }
    }

    /// A column that holds a count or a number given by one; `None` for NULL.
    pub fn number(&self, column: &str) -> Result<Option<u64>, SqlError> {
        let number = match &self.0 {
            Columns::Runtime(row) => js::get(row, column)?.as_f64(),
            #[cfg(all(feature = "native-sql", not(target_arch = "wasm32")))]
            Columns::Native(row) => row.get(column).and_then(serde_json::Value::as_f64),
        };
        Ok(number.map(|number| number as u64))
    }
}

fn cursor(sql: &JsValue, query: &str, params: &[SqlValue]) -> Result<RawCursor, SqlError> {
    let bindings = to_array(params)?;
    Ok(sql.unchecked_ref::<RawSql>().exec(query, bindings)?)
}

fn transaction<T, E: From<SqlError>>(
    storage: &JsValue,
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
        storage
            .unchecked_ref::<RawStorage>()
            .transaction_sync(&mut closure)
            .err()
    };
    match (outcome, thrown) {
        (Some(Ok(_)), Some(thrown)) | (None, Some(thrown)) => Err(SqlError::from(thrown).into()),
        (Some(result), _) => result,
        (None, None) => {
            Err(SqlError::Runtime(JsFailure::new("the transaction did not run")).into())
        }
    }
}

#[cfg(all(feature = "native-sql", not(target_arch = "wasm32")))]
mod native {
    //! The same statements on SQLite of this machine. Integers are bound as doubles, as the runtime
    //! binds them.

    use std::rc::Rc;

    use rusqlite::types::{Value, ValueRef};
    use rusqlite::{Connection, params_from_iter};

    use super::SqlError;
    use crate::js::JsFailure;
    use crate::value::SqlValue;

    #[derive(Debug, Clone)]
    pub(super) struct Database(Rc<Connection>);

    impl From<rusqlite::Error> for SqlError {
        fn from(error: rusqlite::Error) -> Self {
            Self::Runtime(JsFailure::new(error.to_string()))
        }
    }

    fn bind(params: &[SqlValue]) -> Result<Vec<Value>, SqlError> {
        params
            .iter()
            .map(|value| {
                value.check()?;
                Ok(match value {
                    SqlValue::Null => Value::Null,
                    SqlValue::Integer(number) => Value::Real(*number as f64),
                    SqlValue::Real(number) => Value::Real(*number),
                    SqlValue::Text(text) => Value::Text(text.clone()),
                })
            })
            .collect()
    }

    fn json(value: ValueRef<'_>) -> serde_json::Value {
        match value {
            ValueRef::Null | ValueRef::Blob(_) => serde_json::Value::Null,
            ValueRef::Integer(number) => number.into(),
            ValueRef::Real(number) => number.into(),
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned().into(),
        }
    }

    impl Database {
        pub(super) fn in_memory() -> Result<Self, SqlError> {
            Ok(Self(Rc::new(Connection::open_in_memory()?)))
        }

        pub(super) fn rows(
            &self,
            query: &str,
            params: &[SqlValue],
        ) -> Result<Vec<serde_json::Value>, SqlError> {
            let mut statement = self.0.prepare_cached(query)?;
            let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
            let mut found = statement.query(params_from_iter(bind(params)?))?;
            let mut rows = Vec::new();
            while let Some(row) = found.next()? {
                let mut object = serde_json::Map::new();
                for (index, name) in names.iter().enumerate() {
                    object.insert(name.clone(), json(row.get_ref(index)?));
                }
                rows.push(object.into());
            }
            Ok(rows)
        }

        pub(super) fn run(&self, statement: &str, params: &[SqlValue]) -> Result<u64, SqlError> {
            let changed = self
                .0
                .prepare_cached(statement)?
                .execute(params_from_iter(bind(params)?))?;
            Ok(changed as u64)
        }

        pub(super) fn transaction<T, E: From<SqlError>>(
            &self,
            body: impl FnOnce() -> Result<T, E>,
        ) -> Result<T, E> {
            let control = |statement: &str| {
                self.0
                    .execute_batch(statement)
                    .map_err(|error| E::from(SqlError::from(error)))
            };
            control("SAVEPOINT turn")?;
            match body() {
                Ok(value) => {
                    control("RELEASE turn")?;
                    Ok(value)
                }
                Err(error) => {
                    control("ROLLBACK TO turn; RELEASE turn")?;
                    Err(error)
                }
            }
        }
    }
}
