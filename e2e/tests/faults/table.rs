//! The table under "Faults" in SPECIFICATION.md: what each test is held to.

use sam_domain::conversation::row::{NoticeBody, NoticeLevel, Row};
use sam_domain::task::TaskView;
use sam_e2e::conversation::notices;
use sam_e2e::specification::Table;
use sam_e2e::{Result, ensure, failure};

/// The heading it stands under.
const HEADING: &str = "Faults";
/// What a cell says where there is nothing.
const NONE: &str = "–";

/// One row: a fault at a moment, and what comes of it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Its name, `<what fails>/<when>`.
    pub(crate) id: String,
    /// The task's last state.
    pub(crate) ends: String,
    /// Whether the person has to answer before.
    pub(crate) asks: bool,
    /// The code of the notice or failure that tells of it.
    pub(crate) code: Option<String>,
    /// Words that the person sees.
    pub(crate) sees: Option<String>,
}

/// Every row.
pub(crate) fn cases() -> Result<Vec<Case>> {
    let table = Table::under(HEADING)?;
    let mut cases = Vec::new();
    for row in table.rows() {
        let code_quoted =
            |column: &str| -> Result<String> { Ok(row.cell(column)?.trim_matches('`').to_owned()) };
        let ends = row.cell("the task ends")?;
        let (ends, asks) = match ends.strip_suffix(", when answered") {
            Some(state) => (state, true),
            None => (ends, false),
        };
        let said = row.cell("the person sees")?;
        let quoted = said
            .split_once('“')
            .and_then(|(_, rest)| rest.split_once('”'));
        cases.push(Case {
            id: code_quoted("case")?,
            ends: ends.to_owned(),
            asks,
            code: Some(code_quoted("code")?).filter(|code| code != NONE),
            sees: quoted.map(|(words, _)| words.to_owned()),
        });
    }
    Ok(cases)
}

impl Case {
    /// The row of this name.
    pub(crate) fn of(id: &str) -> Result<Self> {
        let found = cases()?.into_iter().find(|case| case.id == id);
        found.ok_or_else(|| failure(format!("SPECIFICATION.md has no fault {id}")))
    }

    /// The one notice that the row names, if it names one.
    pub(crate) fn notice<'a>(&self, rows: &'a [Row]) -> Result<Option<&'a NoticeBody>> {
        let told = notices(rows);
        let Some(code) = &self.code else {
            return Ok(None);
        };
        let named: Vec<_> = told.iter().filter(|notice| notice.code == *code).collect();
        match named.as_slice() {
            [] => Ok(None),
            [only] => Ok(Some(only)),
            more => Err(failure(format!(
                "{code} is told {} times: {more:?}",
                more.len()
            ))),
        }
    }

    /// The task ended as the row says, and the person saw what the row says and nothing worse.
    /// `also_seen` is what a person saw meanwhile in other places than the conversation.
    pub(crate) fn check(&self, view: &TaskView, rows: &[Row], also_seen: &[String]) -> Result {
        ensure(view.state.word() == self.ends, || {
            format!("{}: the task ended {view:?}", self.id)
        })?;
        let notice = self.notice(rows)?;
        let failed = view.failure.as_ref();
        let code = notice
            .map(|notice| &notice.code)
            .or(failed.map(|failure| &failure.code));
        ensure(code == self.code.as_ref(), || {
            format!("{}: the code is {code:?}", self.id)
        })?;
        let mut seen = also_seen.to_vec();
        seen.extend(notice.map(|notice| notice.text.clone()));
        seen.extend(failed.map(|failure| failure.message.clone()));
        if let Some(words) = &self.sees {
            ensure(seen.iter().any(|text| text.contains(words)), || {
                format!("{}: nobody sees “{words}” in {seen:#?}", self.id)
            })?;
        }
        if self.code.is_some() {
            let hint = notice
                .map(|notice| &notice.hint)
                .or(failed.map(|failure| &failure.hint));
            ensure(hint.is_some_and(Option::is_some), || {
                format!("{}: nobody is told what to do", self.id)
            })?;
        }
        let worse: Vec<_> = notices(rows)
            .into_iter()
            .filter(|other| other.level != NoticeLevel::Info && Some(&other.code) != code)
            .collect();
        ensure(worse.is_empty(), || format!("{}: {worse:#?}", self.id))
    }
}
