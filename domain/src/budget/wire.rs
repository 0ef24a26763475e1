//! Limits and usage as the API tells them. Money is in micro-dollars, days are those of UTC.

use super::ledger::Warning;
use super::{Limits, dollars};
use crate::catalogue::price::MicroDollars;
use crate::collect::sort_many;
use crate::id::UserId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What is spent of a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Spent {
    /// Spent: of settled calls.
    pub spent: u64,
    /// Reserved by calls under way.
    pub reserved: u64,
    /// When the period ends.
    pub resets_at: Timestamp,
}

/// `GET /api/budgets`: the limits of a person or a project, and what is spent of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BudgetView {
    /// What holds: the lower of both layers.
    pub limits: Limits,
    /// What the person, or the project's maintainers, set.
    pub own: Limits,
    /// What an administrator allows.
    pub allowance: Limits,
    /// Tokens of this day.
    pub daily_tokens: Spent,
    /// Micro-dollars of this month.
    pub monthly_cost: Spent,
    /// Micro-dollars at the end of the month, if it goes on like this.
    pub monthly_forecast: MicroDollars,
    /// Calls of this minute; counted only while there is a limit.
    pub requests_per_minute: Spent,
    /// Calls under way that have reserved something.
    pub open_calls: u64,
    /// Limits of which 80 hundredths are spent.
    pub warnings: Vec<Warning>,
}

/// Most lines of a report.
const LINES: usize = 1_000;

/// What usage is grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum UsageBy {
    /// Days.
    Day,
    /// Projects.
    Project,
    /// Tasks.
    Task,
    /// Models.
    Model,
    /// People.
    User,
}

impl UsageBy {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Day,
        Self::Project,
        Self::Task,
        Self::Model,
        Self::User,
    ];

    /// The name, as on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Project => "project",
            Self::Task => "task",
            Self::Model => "model",
            Self::User => "user",
        }
    }
}

/// Not a way to group usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not one of day, project, task, model, user")]
pub struct UnknownGroup;

impl FromStr for UsageBy {
    type Err = UnknownGroup;

    fn from_str(text: &str) -> Result<Self, UnknownGroup> {
        Self::ALL
            .into_iter()
            .find(|by| by.word() == text)
            .ok_or(UnknownGroup)
    }
}

/// What one group used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageLine {
    /// The day, or the id of the project, task, model or person.
    pub key: String,
    /// Its name for people, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Model calls.
    pub calls: u64,
    /// Of them, those whose usage the provider did not report with the reply.
    pub unreported: u64,
    /// Tokens sent, cached ones included.
    pub input_tokens: u64,
    /// Of them, those that the provider's cache held.
    pub cached_input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Micro-dollars that count, those of unreported calls in full.
    pub cost: MicroDollars,
}

impl UsageLine {
    /// Adds what another one used.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.calls, other.calls),
            (&mut self.unreported, other.unreported),
            (&mut self.input_tokens, other.input_tokens),
            (&mut self.cached_input_tokens, other.cached_input_tokens),
            (&mut self.output_tokens, other.output_tokens),
            (&mut self.cost, other.cost),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// `GET /api/usage`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageReport {
    /// What the lines are.
    pub by: UsageBy,
    /// The first day, `YYYY-MM-DD`.
    pub from: String,
    /// The last day.
    pub to: String,
    /// By day in order of days, otherwise the dearest first; at most 1,000.
    pub lines: Vec<UsageLine>,
    /// All of them together; its key is `total`.
    pub total: UsageLine,
    /// Micro-dollars at the end of this month, if it goes on like this.
    pub monthly_forecast: MicroDollars,
    /// Limits of the person or the project of which 80 hundredths are spent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// Of everybody's usage, that of the people up to here: the rest follows `after` it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<UserId>,
}

impl UsageReport {
    /// Adds what further people used, from the page that follows this one.
    pub fn append(&mut self, page: Self) {
        for line in page.lines {
            match self.lines.iter_mut().find(|held| held.key == line.key) {
                Some(held) => held.add(&line),
                None => self.lines.push(line),
            }
        }
        self.total.add(&page.total);
        self.monthly_forecast = self.monthly_forecast.saturating_add(page.monthly_forecast);
        self.next = page.next;
        self.sort();
    }

    /// Puts the lines in their order, and keeps as many as a report has.
    pub fn sort(&mut self) {
        let by_day = self.by == UsageBy::Day;
        sort_many(&mut self.lines, |one, other| match by_day {
            true => one.key.cmp(&other.key),
            false => (other.cost, &one.key).cmp(&(one.cost, &other.key)),
        });
        self.lines.truncate(LINES);
    }

    /// The report as CSV, RFC 4180, with a heading. The cost is in dollars.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut page = format!(
            "{},name,calls,unreported,input_tokens,cached_input_tokens,output_tokens,cost_usd\r\n",
            self.by.word()
        );
        for line in &self.lines {
            let cost = dollars(line.cost).replace(['$', ','], "");
            let name = line.name.as_deref().unwrap_or_default();
            page.push_str(&format!(
                "{},{},{},{},{},{},{},{cost}\r\n",
                field(&line.key),
                field(name),
                line.calls,
                line.unreported,
                line.input_tokens,
                line.cached_input_tokens,
                line.output_tokens,
            ));
        }
        page
    }
}

/// A text as a field of CSV. What a spreadsheet would take for a formula is made a text by an
/// apostrophe: names are chosen by whoever may choose them.
fn field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_as_csv_is_read_as_it_was_meant() {
        let line = |key: &str, name: &str| UsageLine {
            key: key.to_owned(),
            name: Some(name.to_owned()),
            calls: 2,
            input_tokens: 10,
            output_tokens: 5,
            cost: 1_234_567,
            ..UsageLine::default()
        };
        let report = UsageReport {
            by: UsageBy::Project,
            from: "2026-11-01".to_owned(),
            to: "2026-11-30".to_owned(),
            lines: vec![line("prj_a", "a, \"b\""), line("prj_b", "=SUM(A1)")],
            total: UsageLine::default(),
            monthly_forecast: 0,
            warnings: Vec::new(),
            next: None,
        };
        assert_eq!(
            report.csv(),
            "project,name,calls,unreported,input_tokens,cached_input_tokens,output_tokens,cost_usd\r\n\
             prj_a,\"a, \"\"b\"\"\",2,0,10,0,5,1.234567\r\n\
             prj_b,'=SUM(A1),2,0,10,0,5,1.234567\r\n"
        );
    }

    #[test]
    fn pages_add_up_to_one_report() {
        let line = |key: &str, cost| UsageLine {
            key: key.to_owned(),
            calls: 1,
            cost,
            ..UsageLine::default()
        };
        let page = |lines: &[UsageLine], next| UsageReport {
            by: UsageBy::Model,
            from: String::new(),
            to: String::new(),
            lines: lines.to_vec(),
            total: line("total", lines.iter().map(|line| line.cost).sum()),
            monthly_forecast: 5,
            warnings: Vec::new(),
            next,
        };
        let here = crate::id::Id::mint(Timestamp(1), 1);
        let mut report = page(&[line("a", 3), line("b", 2)], Some(here));
        report.append(page(&[line("b", 2), line("c", 9)], None));
        let lines = report.lines.iter().map(|it| (&*it.key, it.cost, it.calls));
        let lines: Vec<_> = lines.collect();
        assert_eq!(lines, [("c", 9, 1), ("b", 4, 2), ("a", 3, 1)]);
        assert_eq!((report.total.cost, report.monthly_forecast), (16, 10));
        assert_eq!(report.next, None);
    }

    #[test]
    fn groups_are_read_by_their_names() {
        for by in UsageBy::ALL {
            assert_eq!(by.word().parse(), Ok(by));
        }
        assert_eq!("week".parse::<UsageBy>(), Err(UnknownGroup));
    }
}
