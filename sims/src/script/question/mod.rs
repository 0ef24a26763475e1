//! The job "answer a question about the code".
//!
//! Search for the words of the question, read the files that have most to do with it, and answer with the place, an
//! excerpt, what the comment there says, and who uses it. The answer says nothing that was not in a tool's result.

mod excerpt;
mod file;
mod terms;

use std::collections::{BTreeMap, BTreeSet};

use self::terms::{Terms, Wish, stem, terms};
use super::fix;
use super::observation::{Hit, hits};
use super::replay::{Replay, Say, Step};
use super::toolbox::Action;
use super::tree::Tree;
use crate::conversation::Reply;
use crate::javascript::UnitKind;
use crate::repair::project::{Project, UnitRef, is_code, is_test};

/// Files read to answer one question.
const MOST_FILES: usize = 4;
/// Uses named in an answer.
const MOST_USES: usize = 8;

/// Does the job as far as the conversation allows.
pub(crate) fn run(replay: &mut Replay<'_>, text: &str) -> Step<Reply> {
    let terms = terms(text);
    match terms.wish {
        Wish::Tests => fix::diagnose(replay),
        Wish::Project => about_the_project(replay, &terms),
        _ if terms.names.is_empty() && !terms.files.is_empty() => file::run(replay, &terms),
        _ => about_the_code(replay, &terms),
    }
}

fn reply(text: String) -> Reply {
    Reply {
        text,
        ..Reply::default()
    }
}

fn about_the_project(replay: &mut Replay<'_>, terms: &Terms) -> Step<Reply> {
    let mut tree = Tree::list(
        replay,
        &Say::text("I'll look at what is in the repository."),
    )?;
    let readme = tree
        .files
        .iter()
        .find(|file| file.to_lowercase().starts_with("readme"))
        .cloned();
    let wanted: Vec<String> = readme
        .iter()
        .cloned()
        .chain(tree.has("package.json").then(|| "package.json".into()))
        .collect();
    if wanted.is_empty() {
        return Ok(reply(format!(
            "There is no README and no `package.json` here; I see {} files: {}.",
            tree.files.len(),
            listing(&tree.files)
        )));
    }
    tree.read(
        replay,
        &Say::text("Its README and manifest should say."),
        &wanted,
    )?;
    tree.keep_manifest();
    let mut text = String::new();
    if let Some((file, content)) = readme
        .as_ref()
        .and_then(|file| Some((file, tree.texts.get(file)?)))
    {
        text.push_str(&excerpt::of_prose(file, content, &terms.stems));
    }
    if let Some(command) = tree.test_command() {
        text.push_str(&format!("\n\nThe tests run with `{command}`."));
    }
    let code: Vec<String> = tree
        .files
        .iter()
        .filter(|file| is_code(file) && !is_test(file))
        .cloned()
        .collect();
    if !code.is_empty() {
        text.push_str(&format!(" The code is in {}.", listing(&code)));
    }
    Ok(reply(text.trim().to_owned()))
}

fn listing(files: &[String]) -> String {
    let shown: Vec<String> = files
        .iter()
        .take(12)
        .map(|file| format!("`{file}`"))
        .collect();
    let more = files.len().saturating_sub(shown.len());
    let tail = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{}{tail}", shown.join(", "))
}

fn about_the_code(replay: &mut Replay<'_>, terms: &Terms) -> Step<Reply> {
    let patterns = terms.patterns();
    if patterns.is_empty() {
        return Ok(reply(
            "I could not find a subject in this question. I am a scripted model and search for names and words: ask \
             for instance \"Where is the total computed?\" or \"What does `parse` do?\""
                .to_owned(),
        ));
    }
    let mut found: Vec<Hit> = Vec::new();
    for (at, pattern) in patterns.iter().enumerate() {
        let say = match at {
            0 => format!("Searching for `{pattern}`."),
            _ => format!("That is not in the code as one term. Searching for `{pattern}`."),
        };
        let result = replay.act(&Say::text(say), &Action::Search(pattern.clone()))?;
        found.extend(hits(&result));
        if found
            .iter()
            .any(|hit| is_code(&hit.path) && !is_test(&hit.path))
        {
            break;
        }
    }
    let files = best_files(&found, terms);
    if files.is_empty() {
        return by_file_name(replay, terms, &patterns);
    }
    explain(replay, terms, &found, &files)
}

/// Reads the files and answers from them.
fn explain(replay: &mut Replay<'_>, terms: &Terms, found: &[Hit], files: &[String]) -> Step<Reply> {
    let mut tree = Tree::default();
    let most = files.first().cloned().unwrap_or_default();
    let say = match found.len() {
        0 => format!("`{most}` is named like that. Reading it."),
        1 => format!("One line mentions it, in `{most}`. Reading on there."),
        count => {
            format!("{count} lines mention it; `{most}` has most to do with it. Reading on there.")
        }
    };
    let say = Say::text(say);
    tree.read(replay, &say, files)?;
    let texts = std::mem::take(&mut tree.texts);
    let project = Project::new(&texts);
    let ranked = ranked_units(&project, terms, found);
    let Some((best, _)) = ranked.first().copied() else {
        return Ok(reply(plain_hits(found, terms)));
    };
    let Some((source, unit)) = project.unit(best) else {
        return Ok(reply(plain_hits(found, terms)));
    };
    let name = unit.name.clone();
    let pattern = format!(r"\b{}\b", regex::escape(&name));
    let known = terms.names.len() == 1 && terms.names.first() == Some(&name);
    let uses = if known {
        found.to_vec()
    } else {
        let say = Say::text(format!(
            "`{name}` in `{}` looks like the answer. Checking who uses it.",
            source.path
        ));
        hits(&replay.act(&say, &Action::Search(pattern))?)
    };
    let uses: Vec<&Hit> = uses
        .iter()
        .filter(|hit| is_use(hit, &name))
        .filter(|hit| hit.path != source.path || !excerpt::lines(source, unit).contains(&hit.line))
        .collect();
    Ok(reply(compose(&project, best, &ranked, &uses, terms)))
}

/// Whether a line uses a name, rather than importing or describing it.
fn is_use(hit: &Hit, name: &str) -> bool {
    let line = hit.text.trim();
    let spoken = line.starts_with(['*', '/', '#'])
        || line.starts_with("import ")
        || line.starts_with("export {");
    is_code(&hit.path) && !spoken && line.contains(name)
}

/// The files to read: code before tests before anything else, those with most distinct words of the question first.
fn best_files(found: &[Hit], terms: &Terms) -> Vec<String> {
    let mut words: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for hit in found {
        let text = format!("{} {}", hit.path, hit.text).to_lowercase();
        let mentioned = terms
            .stems
            .iter()
            .filter(|stem| text.contains(stem.as_str()));
        words
            .entry(&hit.path)
            .or_default()
            .extend(mentioned.map(String::as_str));
        let defines = terms.names.iter().any(|name| {
            ["function ", "const ", "class ", "let "]
                .iter()
                .any(|word| hit.text.contains(&format!("{word}{name}")))
        });
        *counts.entry(&hit.path).or_default() += if defines { 20 } else { 1 };
    }
    let code: Vec<&str> = words.keys().copied().filter(|path| is_code(path)).collect();
    let plain: Vec<&str> = code.iter().copied().filter(|path| !is_test(path)).collect();
    let mut files = if plain.is_empty() { code } else { plain };
    let count = |path: &str| counts.get(path).copied().unwrap_or(0);
    let distinct = |path: &str| words.get(path).map_or(0, BTreeSet::len);
    files.sort_by_key(|path| std::cmp::Reverse((distinct(path), count(path))));
    files
        .into_iter()
        .take(MOST_FILES)
        .map(str::to_owned)
        .collect()
}

/// Definitions by how much they have to do with the question.
fn ranked_units(project: &Project<'_>, terms: &Terms, found: &[Hit]) -> Vec<(UnitRef, usize)> {
    let mut ranked: Vec<(UnitRef, usize)> = Vec::new();
    for (at, source) in project.sources.iter().enumerate() {
        for (index, unit) in source.units.iter().enumerate() {
            let name = unit.name.to_lowercase();
            let doc: BTreeSet<String> = unit
                .doc
                .to_lowercase()
                .split(|c: char| !c.is_alphanumeric())
                .map(stem)
                .collect();
            let mut score = 0;
            if terms.names.contains(&unit.name) {
                score += 40;
            }
            for word in &terms.stems {
                score += if name.contains(word.as_str()) { 8 } else { 0 };
                score += if doc.contains(word) { 3 } else { 0 };
            }
            let lines = excerpt::lines(source, unit);
            let inside = found
                .iter()
                .filter(|hit| hit.path == source.path && lines.contains(&hit.line))
                .count();
            score += inside.min(4);
            if score > 0 && unit.kind == UnitKind::Function {
                score += 3;
            }
            if score > 0 {
                ranked.push(((at, index), score));
            }
        }
    }
    ranked.sort_by_key(|(_, score)| std::cmp::Reverse(*score));
    ranked
}

fn compose(
    project: &Project<'_>,
    best: UnitRef,
    ranked: &[(UnitRef, usize)],
    uses: &[&Hit],
    terms: &Terms,
) -> String {
    let Some((source, unit)) = project.unit(best) else {
        return String::new();
    };
    let place = |unit: UnitRef| {
        project.unit(unit).map(|(source, unit)| {
            format!(
                "`{}` (`{}:{}`)",
                unit.name,
                source.path,
                source.line(unit.span.start)
            )
        })
    };
    let line = source.line(unit.span.start);
    let mut text = format!("**`{}`** in `{}:{line}`", unit.name, source.path);
    if unit.doc.is_empty() {
        text.push('.');
    } else {
        text.push_str(&format!(". Its comment says: \"{}\"", unit.doc));
    }
    text.push_str(&format!("\n\n```js\n{}\n```\n", excerpt::of(source, unit)));
    let others: Vec<String> = project
        .reach(best.0, unit.tokens.clone())
        .into_iter()
        .filter(|(other, depth)| *depth == 1 && *other != best)
        .filter_map(|(other, _)| place(other))
        .collect();
    if !others.is_empty() && terms.wish == Wish::Explanation {
        text.push_str(&format!("\nIt relies on {}.\n", others.join(", ")));
    }
    if uses.is_empty() {
        text.push_str("\nI found no other line that uses it.\n");
    } else {
        text.push_str("\nUsed in:\n");
        for hit in uses.iter().take(MOST_USES) {
            text.push_str(&format!(
                "- `{}:{}` `{}`\n",
                hit.path,
                hit.line,
                hit.text.trim().replace('`', "'")
            ));
        }
        if uses.len() > MOST_USES {
            text.push_str(&format!("- and {} more lines\n", uses.len() - MOST_USES));
        }
    }
    let near = ranked.first().map_or(0, |(_, score)| score / 2);
    let also: Vec<String> = ranked
        .iter()
        .skip(1)
        .filter(|(_, score)| *score >= near.max(6))
        .take(3)
        .filter_map(|(unit, _)| place(*unit))
        .collect();
    if !also.is_empty() {
        text.push_str(&format!("\nAlso related: {}.", also.join(", ")));
    }
    text.trim_end().to_owned()
}

/// When no code mentions the words: files whose names do.
fn by_file_name(replay: &mut Replay<'_>, terms: &Terms, patterns: &[String]) -> Step<Reply> {
    let tree = Tree::list(
        replay,
        &Say::text("No code mentions that. Looking at the names of the files."),
    )?;
    let mentions = |file: &&String| {
        let lower = file.to_lowercase();
        terms
            .names
            .iter()
            .map(|name| name.to_lowercase())
            .chain(terms.stems.iter().cloned())
            .any(|word| lower.contains(&word))
    };
    let named: Vec<String> = tree
        .files
        .iter()
        .filter(|file| is_code(file))
        .filter(mentions)
        .cloned()
        .collect();
    if named.is_empty() {
        return Ok(reply(format!(
            "I found nothing: no line of code matches `{}`, and no file is named like that. There are {} files here: {}.",
            patterns.join("` or `"),
            tree.files.len(),
            listing(&tree.files)
        )));
    }
    let files: Vec<String> = named.into_iter().take(MOST_FILES).collect();
    let found: Vec<Hit> = Vec::new();
    let mut with_files = terms.clone();
    with_files.stems.extend(
        files
            .iter()
            .flat_map(|file| file.rsplit('/').next())
            .flat_map(|name| name.split('.').next())
            .map(stem),
    );
    explain(replay, &with_files, &found, &files)
}

fn plain_hits(found: &[Hit], terms: &Terms) -> String {
    let words: Vec<String> = terms
        .names
        .iter()
        .chain(&terms.stems)
        .map(|word| format!("`{word}`"))
        .collect();
    let mut text = format!("These lines mention {}:\n", words.join(", "));
    for hit in found
        .iter()
        .filter(|hit| is_code(&hit.path))
        .take(MOST_USES)
    {
        text.push_str(&format!(
            "- `{}:{}` `{}`\n",
            hit.path,
            hit.line,
            hit.text.trim().replace('`', "'")
        ));
    }
    text.push_str("\nI found no function or constant that is about it.");
    text
}
