//! What is left of a conversation that has become too long for its model.
//!
//! A compacted conversation is: the instructions; everything the person said,
//! word for word; one account of the rest (what the model said, what its
//! tools did, one line each; the plan; a ledger of the files met, with the
//! hashes of their content); and the newest turns as they were. Nothing is
//! asked of a model for it, so it costs nothing, cannot fail and is the same
//! every time.
//!
//! Invariant: no call is parted from its result, and no message of the
//! person's is lost.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sam_acp::PlanStatus;
use sam_dialects::conversation::{Body, Message, Part, Role};

use crate::transcript::State;

/// Of the room for the conversation, what the newest turns may take.
const NEWEST: u64 = 40;
/// Of the room, what the account may take.
const ACCOUNT: u64 = 15;
/// Bytes of one saying of the model's in the account.
const SAYING: usize = 1200;
/// Bytes of a call's arguments, or of the end of its result, in the account.
const DETAIL: usize = 160;
/// Files in the ledger.
const FILES: usize = 400;

/// What begins the account, which a later compaction finds again.
const ACCOUNT_BEGINS: &str =
    "[Earlier parts of this conversation were replaced by this account of them.]";

/// A compacted conversation, whose request has about `room` bytes at most, as
/// far as the person's own words allow.
pub fn compact(state: &State, room: u64) -> State {
    let mut compacted = state.clone();
    compacted.compactions += 1;
    let instructions = |message: &&Message| matches!(message.role, Role::System | Role::Developer);
    let begin = state.messages.iter().take_while(instructions).count();
    let split = newest(&state.messages, begin, room.saturating_mul(NEWEST) / 100);
    let older = state.messages.get(begin..split).unwrap_or_default();
    let newer = state.messages.get(split..).unwrap_or_default();
    if older.is_empty() {
        return compacted;
    }
    let mut messages: Vec<Message> = state.messages.get(..begin).unwrap_or_default().to_vec();
    messages.extend(older.iter().filter_map(said_by_person));
    let room = room.saturating_mul(ACCOUNT) / 100;
    let account = account(state, older, usize::try_from(room).unwrap_or(usize::MAX));
    messages.push(Message::text(Role::User, account));
    messages.extend(newer.iter().cloned());
    compacted.messages = messages;
    compacted.context = None;
    compacted
}

/// Where the newest turns begin: as many whole steps as fit, at least one.
fn newest(messages: &[Message], begin: usize, room: u64) -> usize {
    let mut split = messages.len();
    let mut bytes = 0_u64;
    // Calls whose results lie behind, as a rule of the step that is looked at.
    let mut open: BTreeSet<&str> = BTreeSet::new();
    for (at, message) in messages.iter().enumerate().skip(begin).rev() {
        bytes = bytes.saturating_add(size(message));
        if bytes > room && split < messages.len() {
            break;
        }
        for part in &message.parts {
            match &part.body {
                Body::Result(result) => {
                    open.insert(&result.call);
                }
                Body::Call(call) => {
                    open.remove(call.id.as_str());
                }
                _ => {}
            }
        }
        if open.is_empty() {
            split = at;
        }
    }
    split
}

fn is_result(part: &Part) -> bool {
    matches!(part.body, Body::Result(_))
}

/// What the person said in a message; none for results and earlier accounts.
fn said_by_person(message: &Message) -> Option<Message> {
    if message.role != Role::User || is_account(message) {
        return None;
    }
    let parts: Vec<Part> = message
        .parts
        .iter()
        .filter(|part| !is_result(part))
        .cloned()
        .collect();
    (!parts.is_empty()).then_some(Message {
        role: Role::User,
        parts,
    })
}

fn is_account(message: &Message) -> bool {
    let text = message.parts.first().and_then(Part::as_text);
    text.is_some_and(|text| text.starts_with(ACCOUNT_BEGINS))
}

/// About how many bytes of a request a message takes.
fn size(message: &Message) -> u64 {
    let bytes: usize = message.parts.iter().map(part_size).sum();
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn part_size(part: &Part) -> usize {
    const FRAME: usize = 60;
    FRAME
        + match &part.body {
            Body::Text(text) | Body::Refusal(text) => text.len(),
            Body::Image(image) => image.url.len(),
            Body::Document { data, .. } => data.len(),
            Body::Thinking(thinking) => thinking.text.len(),
            Body::Call(call) => call.arguments.len() + call.name.len(),
            Body::Result(result) => result.parts.iter().map(part_size).sum(),
            Body::Foreign { raw, .. } => raw.to_string().len(),
        }
}

/// The account of messages that go. Its oldest lines go first when it is
/// longer than `room` bytes; plan and ledger stay.
fn account(state: &State, older: &[Message], room: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for message in older {
        if is_account(message) {
            let earlier = message.parts.first().and_then(Part::as_text);
            lines.extend(earlier.into_iter().flat_map(steps_of));
            continue;
        }
        for part in &message.parts {
            match &part.body {
                Body::Text(text) if message.role == Role::Assistant && !text.trim().is_empty() => {
                    let said = shorten(text.trim(), SAYING).replace('\n', "\n  ");
                    lines.push(format!("- you said: {said}"));
                }
                Body::Call(call) => {
                    let arguments = shorten(&one_line(&call.arguments), DETAIL);
                    lines.push(format!("- you called {} {arguments}", call.name));
                }
                Body::Result(result) => {
                    let text: String = result.parts.iter().filter_map(Part::as_text).collect();
                    let word = if result.failed { "failed" } else { "gave" };
                    let lines_of = text.lines().count();
                    let end = text.lines().rfind(|line| !line.trim().is_empty());
                    let end = shorten(&one_line(end.unwrap_or_default()), DETAIL);
                    if let Some(last) = lines
                        .last_mut()
                        .filter(|line| line.starts_with("- you called"))
                    {
                        let _ = write!(last, ": {word} {lines_of} lines, the last: {end}");
                    } else {
                        lines.push(format!("- a call {word} {lines_of} lines, the last: {end}"));
                    }
                }
                _ => {}
            }
        }
    }
    let mut length = 0_usize;
    let fitting = lines.iter().rev().take_while(|line| {
        length = length.saturating_add(line.len() + 1);
        length <= room
    });
    let dropped = lines.len() - fitting.count();
    let mut text =
        format!("{ACCOUNT_BEGINS}\nThe person's messages stand above in full.\n\n{STEPS}\n");
    if dropped > 0 {
        let _ = writeln!(text, "- ({dropped} older steps are left out)");
    }
    for line in lines.iter().skip(dropped) {
        text.push_str(line);
        text.push('\n');
    }
    text.push_str(&plan(state));
    text.push_str(&ledger(state));
    text
}

const STEPS: &str = "What was done, oldest first:";

/// The steps within an account.
fn steps_of(account: &str) -> impl Iterator<Item = String> {
    let steps = account.split_once(STEPS).map_or("", |(_, rest)| rest);
    let steps = steps.split("\n\n").next().unwrap_or_default();
    steps
        .split("\n- ")
        .map(|step| step.trim_start_matches("- ").trim())
        .filter(|step| !step.is_empty() && !step.starts_with('('))
        .map(|step| format!("- {step}"))
}

fn plan(state: &State) -> String {
    if state.plan.is_empty() {
        return String::new();
    }
    let mut text = String::from("\nThe plan as it stands:\n");
    for entry in &state.plan {
        let mark = match entry.status {
            PlanStatus::Pending => " ",
            PlanStatus::InProgress => "~",
            PlanStatus::Completed => "x",
        };
        let _ = writeln!(text, "- [{mark}] {}", entry.content);
    }
    text
}

/// The files met, the newest first.
fn ledger(state: &State) -> String {
    if state.files.is_empty() {
        return String::new();
    }
    let mut files: Vec<_> = state.files.iter().collect();
    files.sort_by_key(|(_, file)| std::cmp::Reverse(file.reply));
    let mut text = String::from(
        "\nFiles you have met, with the first digits of the SHA-256 of their content (read one again only if you \
         need its text):\n",
    );
    for (path, file) in files.iter().take(FILES) {
        let hash = file.sha256.get(..12).unwrap_or(&file.sha256);
        let shown: Vec<String> = file
            .shown
            .iter()
            .map(|(first, last)| format!("{first}-{last}"))
            .collect();
        let _ = write!(text, "- {path} {hash}, {} lines", file.lines);
        if !shown.is_empty() {
            let _ = write!(text, ", read {}", shown.join(" "));
        }
        if file.written {
            text.push_str(", written by you");
        }
        text.push('\n');
    }
    if files.len() > FILES {
        let _ = writeln!(text, "- (and {} more)", files.len() - FILES);
    }
    text
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// At most `most` bytes, cut at a character.
fn shorten(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end));
    format!("{}…", text.get(..end.unwrap_or(0)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use sam_acp::PlanEntry;
    use sam_dialects::conversation::{ToolCall, ToolResult};

    use super::*;
    use crate::transcript::{Event, FileSeen};

    fn said(role: Role, text: &str) -> Message {
        Message::text(role, text)
    }

    fn step(state: &mut State, number: usize, size: usize) {
        let id = format!("c{number}");
        state.messages.push(Message {
            role: Role::Assistant,
            parts: vec![
                Part::text(format!("Step {number}.")),
                Body::Call(ToolCall {
                    id: id.clone(),
                    name: "bash".to_owned(),
                    arguments: format!(r#"{{"command":"run {number}"}}"#),
                    custom: false,
                })
                .into(),
            ],
        });
        state.messages.push(Message {
            role: Role::User,
            parts: vec![
                Body::Result(ToolResult {
                    call: id,
                    parts: vec![Part::text(format!("{}\nend {number}", "x".repeat(size)))],
                    ..ToolResult::default()
                })
                .into(),
            ],
        });
    }

    fn long() -> State {
        let mut state = State {
            messages: vec![
                said(Role::System, "Be good."),
                said(Role::User, "First wish."),
            ],
            ..State::default()
        };
        for number in 0..10 {
            step(&mut state, number, 1000);
        }
        state.messages.push(said(Role::User, "Second wish."));
        for number in 10..20 {
            step(&mut state, number, 1000);
        }
        state.apply(&Event::Plan {
            entries: vec![PlanEntry {
                content: "finish".to_owned(),
                priority: sam_acp::PlanPriority::Medium,
                status: PlanStatus::InProgress,
            }],
        });
        state.apply(&Event::ToolResult {
            call: "c19".to_owned(),
            parts: Vec::new(),
            failed: false,
            custom: false,
            update: None,
            files: vec![FileSeen {
                path: "src/a.rs".to_owned(),
                sha256: "0123456789abcdef".repeat(4),
                lines: 9,
                shown: Some((1, 9)),
                written: false,
            }],
        });
        state.messages.pop();
        state
    }

    fn text(state: &State) -> Vec<String> {
        let texts = state.messages.iter().map(|message| {
            message
                .parts
                .iter()
                .filter_map(Part::as_text)
                .collect::<String>()
        });
        texts.collect()
    }

    #[test]
    fn what_stays_of_a_long_conversation() {
        let state = long();
        let compacted = compact(&state, 8000);
        let texts = text(&compacted);
        assert_eq!(&texts[..3], ["Be good.", "First wish.", "Second wish."]);
        let account = &texts[3];
        for words in [
            "- you said: Step 9.",
            r#"- you called bash {"command":"run 9"}: gave 2 lines, the last: end 9"#,
            "- [~] finish",
            "- src/a.rs 0123456789ab, 9 lines, read 1-9",
        ] {
            assert!(account.contains(words), "{words}: {account}");
        }
        // The newest turns are as they were, calls with their results.
        let kept = compacted.messages.len() - 4;
        assert!((2..20).contains(&kept), "{kept}");
        assert_eq!(
            compacted.messages[4..],
            state.messages[state.messages.len() - kept..]
        );
        assert!(compacted.messages[4].role == Role::Assistant);
        // Again, and what the first account says goes into the second.
        let mut grown = compacted.clone();
        for number in 20..40 {
            step(&mut grown, number, 1000);
        }
        let again = compact(&grown, 8000);
        let texts = text(&again);
        assert_eq!(&texts[..3], ["Be good.", "First wish.", "Second wish."]);
        assert!(texts[3].contains("run 35") && texts[3].matches(ACCOUNT_BEGINS).count() == 1);
        assert_eq!((again.compactions, again.files.len()), (2, 1));
    }

    #[test]
    fn what_is_short_stays_as_it_is() {
        let mut state = State::default();
        state.messages.push(said(Role::User, "Hello."));
        assert_eq!(compact(&state, 100_000).messages, state.messages);
    }
}
