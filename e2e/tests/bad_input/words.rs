//! Words that are long, and words that are hardly text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use sam_domain::conversation::row::{Author, INLINE_TEXT_LIMIT, Row, RowBody, ToolBody};
use sam_domain::task::TaskState;
use sam_e2e::conversation::{notices, texts, tools};
use sam_e2e::repository::create;
use sam_e2e::{Result, Stack, Work, ensure, failure};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::with_machine;

fn sha256(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the agent says when it has heard exactly these words.
fn heard(words: &str) -> String {
    format!("heard {} {}\n", words.len(), sha256(words))
}

/// A body that a row of this conversation names.
async fn body(stack: &Stack, work: &Work, sha256: &str) -> Result<String> {
    let (project, session) = (&work.project, &work.session);
    let path = format!("/api/projects/{project}/sessions/{session}/bodies/{sha256}");
    let reply = stack.admin()?.get(&path).await?;
    ensure(reply.status == 200, || reply.text())?;
    Ok(String::from_utf8(reply.body)?)
}

#[tokio::test]
async fn long_and_odd_prompts_are_heard_whole() -> Result {
    let mut stack = with_machine(&[]).await?;
    let repository = create(stack.directory(), "plain", &[("a.txt", "a\n")])?;
    let long = format!(
        "Read this.\n{{\"heard\": 1}}\n{}the end\0\u{1b}[2J\u{202e}",
        "ü \"quoted\" 0123456789\n".repeat(135_000)
    );
    ensure(long.len() > 3_000_000, || long.len().to_string())?;
    let task = json!({"prompt": long, "agent": "goose", "mode": "conversation"});
    let mut work = Work::begin(&stack, &repository.to_string_lossy(), &task).await?;
    work.until(TaskState::AwaitingInput).await?;
    let odd = "Once more.\n{\"heard\": 1}\n\0\u{7}\u{1b}]0;x\u{7}\u{202e}\u{feff}e\u{301}👩‍👩‍👧";
    work.say(odd).await?;
    let is_heard = |rows: &[Row], words: &str| {
        texts(rows, Author::Agent)
            .iter()
            .any(|said| said.text == heard(words))
    };
    sam_e2e::wait_until(
        "both are heard",
        sam_e2e::conversation::PATIENCE,
        || async {
            let rows = work.rows().await?;
            Ok((is_heard(&rows, &long) && is_heard(&rows, odd)).then_some(()))
        },
    )
    .await?;

    let rows = work.rows().await?;
    let said = texts(&rows, Author::Person);
    let [first, second] = said.as_slice() else {
        return Err(failure(format!("{} rows of the person", said.len())));
    };
    let whole = first.body_ref.as_ref().ok_or_else(|| failure("no body"))?;
    ensure(
        first.text.len() <= INLINE_TEXT_LIMIT
            && long.starts_with(&first.text)
            && whole.bytes == long.len() as u64
            && second.text == odd
            && second.body_ref.is_none(),
        || format!("{first:?}"),
    )?;
    ensure(body(&stack, &work, &whole.sha256).await? == long, || {
        "the stored words are others".to_owned()
    })?;
    ensure(work.view().await?.title == "Read this.", || {
        "the title is not the first line".to_owned()
    })?;
    work.end("close").await?;
    work.until(TaskState::Completed).await?;
    stack.until_empty("machine").await
}

#[tokio::test]
async fn words_beyond_the_limit_or_no_text_are_refused() -> Result {
    let stack = Stack::start().await?;
    let project = stack.create_project("/nowhere").await?;
    let path = format!("/api/projects/{}/tasks", project.id);
    let prompt = |text: &str| json!({ "prompt": text }).to_string().into_bytes();
    for (number, (bytes, status, code)) in [
        (
            prompt(&"x".repeat(8 * 1024 * 1024 + 1)),
            413,
            "prompt_too_long",
        ),
        (
            prompt(&"\u{1}".repeat(4 * 1024 * 1024)),
            413,
            "body_too_large",
        ),
        (prompt(" \n\t "), 400, "bad_request"),
        (br#"{"prompt":"\ud800"}"#.to_vec(), 400, "malformed_body"),
        (b"{\"prompt\":\"\xff\"}".to_vec(), 400, "malformed_body"),
        (b"{\"prompt\":\"\0\"}".to_vec(), 400, "malformed_body"),
    ]
    .into_iter()
    .enumerate()
    {
        let admin = stack.admin()?;
        let request = admin
            .request(Method::POST, &path)
            .header("idempotency-key", format!("key-{number}"))
            .body(bytes);
        let reply = admin.send(request).await?;
        ensure(
            (reply.status, reply.code().as_str()) == (status, code),
            || {
                format!(
                    "{number}: expected {status} {code}: {} {}",
                    reply.status,
                    reply.text()
                )
            },
        )?;
    }
    Ok(())
}

fn tool<'a>(rows: &'a [Row], title: &str) -> Result<&'a ToolBody> {
    tools(rows)
        .into_iter()
        .find(|tool| tool.title == title)
        .ok_or_else(|| failure(format!("no tool call {title}")))
}

/// A line of the agent's protocol that says `text`, as it stands between two quotation marks.
fn said(id: usize, text: &[u8]) -> (String, String, String) {
    let before = br#"{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"one","update":{"sessionUpdate":"agent_message_chunk","messageId":""#;
    let id = format!("m{id}\",\"content\":{{\"type\":\"text\",\"text\":\"");
    let before = [before.as_slice(), id.as_bytes()].concat();
    (
        STANDARD.encode(before),
        STANDARD.encode(text),
        STANDARD.encode(br#""}}}}"#),
    )
}

#[tokio::test]
async fn long_and_odd_output_is_bounded_and_marked() -> Result {
    let mut stack = with_machine(&[]).await?;
    let repository = create(stack.directory(), "plain", &[("a.txt", "a\n")])?;
    let raw = |text: &[u8], times: usize| {
        // Each line is a message of its own.
        let (before, middle, after) = said(text.len(), text);
        json!({"raw": {"before": before, "middle": middle, "times": times, "after": after}})
    };
    let steps: [Value; 7] = [
        json!({"print": {"id": "long", "bytes": 20_000_000}}),
        raw(b"not utf-8 \xff\xfe here", 1),
        raw(br"half a pair \ud83d here", 1),
        raw(b"raw \x00\x1b[2J\t here", 1),
        // Longer than any message that is taken.
        raw(b"0123456789abcdef", 40_000_000 / 16),
        json!({"raw": {"before": STANDARD.encode("just a remark on standard output")}}),
        json!({"say": "the last words"}),
    ];
    let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
    let task = json!({"prompt": format!("Print.\n{}", steps.join("\n")), "agent": "goose"});
    let work = Work::begin(&stack, &repository.to_string_lossy(), &task).await?;
    let view = work.until(TaskState::Completed).await?;
    ensure(!view.rows_incomplete, || format!("{view:?}"))?;
    let rows = work.rows().await?;

    let long = tool(&rows, "long")?;
    let ends = |text: &str| {
        text.starts_with("the first line\n")
            && text.ends_with("\nthe last line")
            && text.contains("bytes left out here")
    };
    ensure(
        ends(&long.output)
            && long.output.len() <= INLINE_TEXT_LIMIT
            && long.truncated_bytes > 10_000_000,
        || format!("{} {}", long.output.len(), long.truncated_bytes),
    )?;
    let kept = long.output_ref.as_ref().ok_or_else(|| failure("no body"))?;
    let whole = body(&stack, &work, &kept.sha256).await?;
    let mark = format!("\n… [{} bytes left out here] …\n", long.truncated_bytes);
    let all = whole.len() + usize::try_from(long.truncated_bytes)? - mark.len();
    // Of the filler's lines whole ones alone.
    let filler = "ü0123456789abcde\n".len();
    let printed = "the first line\n".len() + 20_000_000 / filler * filler + "the last line".len();
    ensure(
        ends(&whole) && whole.contains(&mark) && whole.len() <= 8 * 1024 * 1024 && all == printed,
        || format!("{} {all} {printed}", whole.len()),
    )?;

    let said: Vec<&str> = texts(&rows, Author::Agent)
        .iter()
        .map(|text| text.text.as_str())
        .collect();
    for words in [
        "not utf-8 \u{fffd}\u{fffd} here",
        "half a pair \u{fffd} here",
        "raw \0\u{1b}[2J\t here",
        "the last words",
    ] {
        ensure(said.iter().any(|said| said.contains(words)), || {
            format!("{words:?} is not among {said:?}")
        })?;
    }
    let lost: Vec<_> = notices(&rows)
        .into_iter()
        .filter(|notice| notice.code == "agent_message_lost")
        .collect();
    ensure(
        lost.len() == 1 && lost.iter().all(|notice| notice.text.contains(" 40000")),
        || format!("{:?}", notices(&rows)),
    )?;
    ensure(
        rows.iter()
            .all(|row| !matches!(&row.body, RowBody::Text(text) if text.text.contains("remark"))),
        || "a remark became a row".to_owned(),
    )?;
    stack.until_empty("machine").await
}
