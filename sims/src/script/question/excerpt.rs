//! Pieces of files for an answer.

use std::ops::RangeInclusive;

use super::terms::stem;
use crate::javascript::Unit;
use crate::repair::project::Source;

/// Lines of code shown at most.
const MOST_LINES: usize = 30;
/// Lines of prose shown at most.
const MOST_PROSE: usize = 14;

/// The lines of a definition.
pub(super) fn lines(source: &Source<'_>, unit: &Unit) -> RangeInclusive<usize> {
    source.line(unit.span.start)..=source.line(unit.span.end.saturating_sub(1))
}

/// The text of a definition, whole lines, cut if it is long.
pub(super) fn of(source: &Source<'_>, unit: &Unit) -> String {
    let range = lines(source, unit);
    let first = range.start() - 1;
    let count = range.end() - first;
    let mut shown: Vec<&str> = source
        .text
        .lines()
        .skip(first)
        .take(count.min(MOST_LINES))
        .collect();
    if count > MOST_LINES {
        shown.push("// …");
    }
    shown.join("\n")
}

/// The section of a text whose heading or words fit best; its beginning when none does.
pub(super) fn of_prose(file: &str, text: &str, stems: &[String]) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let headings: Vec<usize> = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.starts_with('#'))
        .map(|(at, _)| at)
        .collect();
    let score = |from: usize| {
        let section = lines
            .iter()
            .skip(from)
            .take(MOST_PROSE)
            .take_while(|line| !line.starts_with('#') || lines.get(from) == Some(line));
        let words: Vec<String> = section
            .flat_map(|line| line.split(|c: char| !c.is_alphanumeric()))
            .map(|word| stem(&word.to_lowercase()))
            .collect();
        let heading = lines
            .get(from)
            .map(|line| line.to_lowercase())
            .unwrap_or_default();
        stems
            .iter()
            .map(|stem| {
                usize::from(words.contains(stem)) + 2 * usize::from(heading.contains(stem.as_str()))
            })
            .sum::<usize>()
    };
    let mut best = 0;
    for heading in &headings {
        if score(*heading) > score(best) {
            best = *heading;
        }
    }
    let mut shown: Vec<&str> = Vec::new();
    for line in lines.iter().skip(best).take(MOST_PROSE) {
        if !shown.is_empty() && line.starts_with('#') {
            break;
        }
        shown.push(line);
    }
    let quoted: Vec<String> = shown
        .iter()
        .map(|line| format!("> {line}").trim_end().to_owned())
        .collect();
    format!(
        "`{file}:{}` says:\n\n{}",
        best + 1,
        quoted.join("\n").trim_end_matches("\n>")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_that_fits_is_quoted() {
        let text = "# Shop\n\nSells things.\n\n## Tests\n\nRun them.\n\n## Rules\n\nNone.\n";
        let check = |stem: &str, expect: &str| {
            assert_eq!(of_prose("README.md", text, &[stem.to_owned()]), expect)
        };
        check("test", "`README.md:5` says:\n\n> ## Tests\n>\n> Run them.");
        check(
            "nothing",
            "`README.md:1` says:\n\n> # Shop\n>\n> Sells things.",
        );
    }
}
