//! Questions about a file: what it says about itself, and what it defines.

use super::terms::Terms;
use super::{excerpt, listing, reply};
use crate::conversation::Reply;
use crate::javascript::{Kind, UnitKind};
use crate::repair::project::{Project, Source, imports, is_code};
use crate::script::replay::{Replay, Say, Step};
use crate::script::tree::Tree;

/// Reads the first file that is asked about.
pub(super) fn run(replay: &mut Replay<'_>, terms: &Terms) -> Step<Reply> {
    let mut tree = Tree::list(replay, &Say::text("I'll look for that file."))?;
    let wanted = terms.files.first().cloned().unwrap_or_default();
    let fits = |file: &&String| {
        file.strip_suffix(wanted.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
    };
    let Some(file) = tree.files.iter().find(fits).cloned() else {
        return Ok(reply(format!(
            "There is no file `{wanted}` here. I see {}.",
            listing(&tree.files)
        )));
    };
    tree.read(
        replay,
        &Say::text(format!("Reading `{file}`.")),
        std::slice::from_ref(&file),
    )?;
    let text = tree.texts.get(&file).cloned().unwrap_or_default();
    if !is_code(&file) {
        return Ok(reply(excerpt::of_prose(&file, &text, &terms.stems)));
    }
    let needs = imports(&file, &text, &tree.files, tree.package());
    let project = Project::new(&tree.texts);
    Ok(reply(
        project
            .sources
            .first()
            .map(|source| describe(source, &needs))
            .unwrap_or_default(),
    ))
}

fn describe(source: &Source<'_>, needs: &[String]) -> String {
    let mut text = format!(
        "`{}` has {} lines.",
        source.path,
        source.text.lines().count()
    );
    let heading = source
        .tokens
        .iter()
        .find(|token| token.kind != Kind::Comment || token.text.starts_with("/**"));
    let first_unit = source
        .units
        .first()
        .map(|unit| unit.doc.as_str())
        .unwrap_or_default();
    if let Some(comment) = heading.filter(|token| token.kind == Kind::Comment) {
        let lines = comment.text.trim_end_matches("*/").lines();
        let words: Vec<&str> = lines
            .map(|line| line.trim().trim_start_matches(['/', '*']).trim())
            .collect();
        let words = words.join(" ").trim().to_owned();
        if words != first_unit {
            text.push_str(&format!(" It says of itself: \"{words}\""));
        }
    }
    let top: Vec<_> = source
        .units
        .iter()
        .filter(|unit| unit.kind != UnitKind::Constant || !unit.doc.is_empty())
        .collect();
    if !top.is_empty() {
        text.push_str("\n\nIt defines:\n");
    }
    for unit in top {
        let line = source.line(unit.span.start);
        let signature = match unit.kind {
            UnitKind::Function => format!("{}({})", unit.name, unit.parameters.join(", ")),
            UnitKind::Class | UnitKind::Constant => unit.name.clone(),
        };
        let doc = if unit.doc.is_empty() {
            String::new()
        } else {
            format!(": {}", unit.doc)
        };
        text.push_str(&format!("- `{signature}` (line {line}){doc}\n"));
    }
    if !needs.is_empty() {
        text.push_str(&format!("\nIt imports {}.", listing(needs)));
    }
    text.trim_end().to_owned()
}
