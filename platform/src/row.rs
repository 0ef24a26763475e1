//! Rows read column by column.
//!
//! Model: a result is the JSON text of an array of objects. It is split into rows once, by code that
//! is the same for all; each type then asks for its columns by name. A type that were read as a whole
//! would bring a reader of its own, and the Worker is downloaded wherever it starts.

use sam_domain::collect::Map;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// Why a row cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RowError(String);

impl RowError {
    /// An error that says this.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// One row, not yet read.
#[derive(Debug)]
pub struct Row<'a>(Map<&'a str, &'a RawValue>);

impl Row<'_> {
    /// The value of a column. One that is missing reads as NULL.
    pub fn column<T: DeserializeOwned>(&self, name: &str) -> Result<T, RowError> {
        sam_domain::json::from_str(self.text(name)).map_err(|error| of_column(name, &error))
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("null", |value| value.get())
    }
}

fn of_column(name: &str, error: &serde_json::Error) -> RowError {
    RowError(format!("{name}: {error}"))
}

/// What a row can be read as; see [`columns`](crate::columns).
pub trait FromRow: Sized {
    /// Reads it.
    fn from_row(row: &Row<'_>) -> Result<Self, RowError>;
}

/// A result split into its rows.
pub(crate) fn split(rows: &str) -> Result<Vec<Row<'_>>, RowError> {
    let rows: Vec<Map<&str, &RawValue>> =
        serde_json::from_str(rows).map_err(|error| RowError(error.to_string()))?;
    Ok(rows.into_iter().map(Row).collect())
}

/// Every row of a result.
pub(crate) fn all<T: FromRow>(rows: &str) -> Result<Vec<T>, RowError> {
    split(rows)?.iter().map(T::from_row).collect()
}

/// The first row of a result, if there is one.
pub(crate) fn first<T: FromRow>(rows: &str) -> Result<Option<T>, RowError> {
    split(rows)?.first().map(T::from_row).transpose()
}

/// The rows of a result that can be read.
pub(crate) fn readable<T: FromRow>(rows: &str) -> Vec<T> {
    let rows = split(rows).unwrap_or_default();
    rows.iter()
        .filter_map(|row| T::from_row(row).ok())
        .collect()
}

/// Reads a struct from the columns that its fields are named after: `columns!(User: id, name)`. A
/// field after `..` is read from the same row by its own columns.
#[macro_export]
macro_rules! columns {
    ($row:ty: $($column:ident),+ $(, ..$rest:ident)?) => {
        impl $crate::row::FromRow for $row {
            fn from_row(row: &$crate::row::Row<'_>) -> Result<Self, $crate::row::RowError> {
                Ok(Self {
                    $($column: row.column(stringify!($column))?,)+
                    $($rest: $crate::row::FromRow::from_row(row)?,)?
                })
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    struct Named {
        name: String,
        at: Option<u64>,
    }
    columns!(Named: name, at);

    #[derive(Debug, PartialEq, Eq)]
    struct Counted {
        n: u32,
        named: Named,
    }
    columns!(Counted: n, ..named);

    #[test]
    fn a_row_is_read_by_the_names_of_its_columns() {
        let rows: Vec<Counted> =
            all(r#"[{"name":"a \"b\"","other":{"x":[1]},"n":3,"at":null}]"#).unwrap();
        let name = "a \"b\"".to_owned();
        let named = Named { name, at: None };
        assert_eq!(rows, [Counted { n: 3, named }]);
    }

    #[test]
    fn what_does_not_fit_names_its_column_and_hides_no_other_row() {
        let rows = r#"[{"name":1},{"name":"b","at":2},{}]"#;
        let error = all::<Named>(rows).unwrap_err().to_string();
        assert!(error.starts_with("name: invalid type: integer"), "{error}");
        assert_eq!(readable::<Named>(rows).len(), 1);
        assert!(all::<Named>("{}").is_err());
        assert!(readable::<Named>("{").is_empty());
    }
}
