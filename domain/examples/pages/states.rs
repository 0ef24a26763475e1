//! The machines as a page: for each a picture, its states, and what moves it.

use sam_domain::table::{MachineTable, Place, machines, machines_alone};
use sam_domain::time::Millis;

const HEAD: &str = "\
# States

Every machine of SAM: the states a thing can be in, and what leads from one to another. This page is generated
(`cargo xtask generate`) from the tables beside the step functions. The simulator fails when a step makes a move that is not
listed here, and when a listed move is never made; a machine that speaks to no other has a property test of its own for that.

An input that is not listed for a state changes nothing there. A state with a limit ends by itself: the limit is stored when
the state begins, and nothing moves it.

";

/// The whole page.
pub(crate) fn page() -> String {
    let mut page = String::from(HEAD);
    let every = || machines().iter().chain(machines_alone());
    for table in every() {
        page.push_str(&format!("- [{0}](#{0}): {1}\n", table.name, table.about));
    }
    for table in every() {
        machine(&mut page, table);
    }
    page
}

fn machine(page: &mut String, table: &MachineTable) {
    page.push_str(&format!("\n## {}\n\n{}\n", table.name, table.about));
    page.push_str(&format!(
        "Decided in [`{0}`](../{0}).\n\n{1}\n",
        table.source,
        picture(table)
    ));
    page.push_str("| state | meaning | lasts at most |\n|---|---|---|\n");
    for state in table.states {
        let limit = match (state.deadline, state.place) {
            (Some(limit), _) => words(limit),
            (None, Place::Last) => "for good".to_owned(),
            (None, Place::First | Place::Middle) => "–".to_owned(),
        };
        page.push_str(&format!(
            "| `{}` | {} | {limit} |\n",
            state.name, state.meaning
        ));
    }
    page.push_str("\n| in | on | from | leads to |\n|---|---|---|---|\n");
    for row in table.moves {
        let sender = table
            .inputs
            .iter()
            .find(|input| input.name == row.input)
            .map_or("", |input| input.from);
        let to: Vec<_> = row.to.iter().map(|to| format!("`{to}`")).collect();
        page.push_str(&format!(
            "| `{}` | `{}` | {sender} | {} |\n",
            row.from,
            row.input,
            to.join(", ")
        ));
    }
    page.push_str("\n| input | says |\n|---|---|\n");
    for input in table.inputs {
        page.push_str(&format!("| `{}` | {} |\n", input.name, input.meaning));
    }
}

/// A diagram that GitHub and editors draw; arrows between the same two states are one.
fn picture(table: &MachineTable) -> String {
    let mut lines = String::from("```mermaid\nstateDiagram-v2\n");
    for state in table.states {
        if state.place == Place::First {
            lines.push_str(&format!("  [*] --> {}\n", state.name));
        }
    }
    let mut arrows: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for (from, input, to) in table.each() {
        match arrows
            .iter_mut()
            .find(|arrow| (arrow.0, arrow.1) == (from, to))
        {
            Some(arrow) => arrow.2.push(input),
            None => arrows.push((from, to, vec![input])),
        }
    }
    for (from, to, inputs) in arrows {
        lines.push_str(&format!("  {from} --> {to}: {}\n", inputs.join(", ")));
    }
    for state in table.states {
        if state.place == Place::Last {
            lines.push_str(&format!("  {} --> [*]\n", state.name));
        }
    }
    lines.push_str("```\n");
    lines
}

/// A limit in the largest unit that says it whole.
fn words(limit: Millis) -> String {
    let seconds = limit.0 / 1000;
    for (unit, name) in [(3600, "hour"), (60, "minute"), (1, "second")] {
        if seconds >= unit && seconds.is_multiple_of(unit) {
            let count = seconds / unit;
            let plural = if count == 1 { "" } else { "s" };
            return format!("{count} {name}{plural}");
        }
    }
    format!("{} ms", limit.0)
}
