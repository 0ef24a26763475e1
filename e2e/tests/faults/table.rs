//! The table under "Faults" in SPECIFICATION.md: what each test is held to.

use sam_domain::conversation::row::{NoticeLevel, Row};
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
    ends: String,
    /// Whether the person has to answer before.
    pub(crate) asks: bool,
    /// The codes of the notices and the failure that tell of it, each once.
    codes: Vec<String>,
    /// Words that the person sees.
    sees: Option<String>,
}

/// Every row.
pub(crate) fn cases() -> Result<Vec<Case>> {
    let table = Table::under(HEADING)?;
    let mut cases = Vec::new();
    for row in table.rows() {
        let mut codes: Vec<String> = row
            .cell("code")?
            .split(", ")
            .map(|code| code.trim_matches('`').to_owned())
            .filter(|code| code != NONE)
            .collect();
        codes.sort();
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
            id: row.cell("case")?.trim_matches('`').to_owned(),
            ends: ends.to_owned(),
            asks,
            codes,
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

    /// The task ended as the row says, and the person saw what the row says and nothing worse.
    /// `also_seen` is what a person saw meanwhile in other places than the conversation.
    pub(crate) fn check(&self, view: &TaskView, rows: &[Row], also_seen: &[String]) -> Result {
        ensure(view.state.word() == self.ends, || {
            format!("the task ended {view:?}")
        })?;
        let told: Vec<_> = notices(rows)
            .into_iter()
            .filter(|notice| notice.level != NoticeLevel::Info)
            .map(|notice| (&notice.code, &notice.text, &notice.hint))
            .chain(view.failure.iter().map(|f| (&f.code, &f.message, &f.hint)))
            .collect();
        let mut codes: Vec<&String> = told.iter().map(|(code, ..)| *code).collect();
        codes.sort();
        ensure(codes == self.codes.iter().collect::<Vec<_>>(), || {
            format!("told is {told:#?}")
        })?;
        ensure(told.iter().all(|(.., hint)| hint.is_some()), || {
            format!("nobody is told what to do: {told:#?}")
        })?;
        if let Some(words) = &self.sees {
            let seen = told.iter().map(|(_, text, _)| *text).chain(also_seen);
            ensure(seen.clone().any(|text| text.contains(words)), || {
                format!("nobody sees “{words}” in {:#?}", seen.collect::<Vec<_>>())
            })?;
        }
        Ok(())
    }
}
