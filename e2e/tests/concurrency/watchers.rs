//! Twenty browsers on one conversation while it grows: they all end with what is stored, whatever
//! happened to their connections.

use std::time::Duration;

use futures::future::{join_all, try_join};
use reqwest::Method;
use sam_domain::conversation::reducer::Conversation;
use sam_domain::conversation::row::{Author, Row, RowBody, RowUpsert, TextBody};
use sam_domain::conversation::wire::{BatchAnswer, LiveDelta, MessageBatch, RowOutcome};
use sam_domain::feed::{Entity, ServerFrame};
use sam_domain::id::{Id as _, ProjectId, RowId, SessionId, WorkspaceId};
use sam_domain::time::Timestamp;
use sam_e2e::node::ScriptedNode;
use sam_e2e::{Client, Result, Socket, Stack, Work, ensure, failure};
use serde_json::json;
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(60);
/// Batches of rows; a growing text spans a few of them.
const BATCHES: usize = 60;
const ROWS: usize = 5;
/// Bytes of a row, so that catching up takes more than one page.
const ROW_BYTES: usize = 1_500;
const LAST: &str = "the last row";

/// How a browser behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// It is there from the beginning and reads as things come.
    Steady,
    /// It loses its connection after so many frames, again and again. The first is a greeting, so
    /// that with fewer than two it would never hear anything.
    Breaking(usize),
    /// It reads nothing until so many batches are written.
    Lagging(usize),
    /// It comes when so many batches are written.
    Late(usize),
}

/// One browser: what it holds, and what it was told.
struct Browser {
    manner: Manner,
    conversation: Conversation,
    /// Each version of a row that it was told of: id, version, sequence number.
    told: Vec<(RowId, u32, u64)>,
    deltas: usize,
    /// Up to where it was told without a gap, within a connection.
    reached: Option<u64>,
}

impl Browser {
    fn new(session: &SessionId, manner: Manner) -> Self {
        Self {
            manner,
            conversation: Conversation::new(session.clone()),
            told: Vec::new(),
            deltas: 0,
            reached: None,
        }
    }

    async fn connect(&mut self, client: &Client, project: &ProjectId) -> Result<Socket> {
        let path = format!("/api/projects/{project}/feed");
        let mut socket = client.socket(&path).await?;
        socket.send(&self.conversation.follow()).await?;
        self.reached = None;
        Ok(socket)
    }

    /// Follows until it has seen the last row.
    async fn watch(
        mut self,
        client: &Client,
        project: &ProjectId,
        mut written: watch::Receiver<usize>,
    ) -> Result<Self> {
        if let Manner::Late(batches) = self.manner {
            written.wait_for(|count| *count >= batches).await?;
        }
        let mut socket = self.connect(client, project).await?;
        if let Manner::Lagging(batches) = self.manner {
            written.wait_for(|count| *count >= batches).await?;
        }
        let mut frames = 0;
        loop {
            let frame: ServerFrame = socket.next(PATIENCE).await?;
            frames += 1;
            self.hear(&frame)?;
            let applied = self.conversation.apply(&frame);
            ensure(!applied.reset, || {
                "everything had to be forgotten".to_owned()
            })?;
            if let Some(reply) = applied.reply {
                socket.send(&reply).await?;
            }
            if self.conversation.is_current() && self.has_last() {
                return Ok(self);
            }
            if let Manner::Breaking(after) = self.manner
                && frames % after == 0
            {
                socket.close().await?;
                socket = self.connect(client, project).await?;
            }
        }
    }

    /// Requires that the frames of one connection follow on each other.
    fn hear(&mut self, frame: &ServerFrame) -> Result {
        match frame {
            ServerFrame::Delta { .. } => self.deltas += 1,
            ServerFrame::Changes {
                from, to, entities, ..
            } => {
                ensure(self.reached.is_none_or(|reached| reached == *from), || {
                    format!(
                        "{:?}: told up to {:?}, then from {from}",
                        self.manner, self.reached
                    )
                })?;
                self.reached = Some(*to);
                for entity in entities {
                    if let Entity::Row(row) = entity {
                        ensure(row.seq > *from && row.seq <= *to, || {
                            format!("row {} is not in {from}..{to}", row.seq)
                        })?;
                        self.told.push((row.id.clone(), row.rev, row.seq));
                    }
                }
            }
            ServerFrame::Refused { code, .. } => return Err(failure(code.clone())),
            _ => {}
        }
        Ok(())
    }

    fn has_last(&self) -> bool {
        let last = self.conversation.rows().next_back();
        last.is_some_and(|row| matches!(&row.body, RowBody::Text(body) if body.text == LAST))
    }
}

/// The agent's side: rows in batches, and text live before it is stored.
struct Writer {
    client: Client,
    workspace: WorkspaceId,
    live: Socket,
    n: u64,
}

impl Writer {
    fn upsert(&mut self, id: &RowId, rev: u32, text: &str, ended: bool) -> RowUpsert {
        self.n += 1;
        RowUpsert {
            n: self.n,
            id: id.clone(),
            rev,
            author: Author::Agent,
            created_at: Timestamp(self.n),
            body: RowBody::Text(TextBody {
                text: text.to_owned(),
                ended_at: ended.then_some(Timestamp(self.n)),
                ..TextBody::default()
            }),
        }
    }

    async fn store(&self, rows: Vec<RowUpsert>) -> Result {
        let path = format!("/api/workspaces/{}/messages", self.workspace);
        let answer: BatchAnswer = self
            .client
            .send(
                self.client
                    .request(Method::POST, &path)
                    .json(&MessageBatch { rows }),
            )
            .await?
            .json()?;
        ensure(
            answer
                .outcomes
                .iter()
                .all(|outcome| *outcome == RowOutcome::Accepted),
            || format!("{answer:?}"),
        )
    }

    /// Writes everything, saying how far it is.
    async fn write(mut self, written: watch::Sender<usize>) -> Result {
        for batch in 0..BATCHES {
            let growing = RowId::mint(Timestamp(1), 1_000_000 + batch as u128);
            let mut rows = vec![self.upsert(&growing, 1, "", false)];
            for row in 1..ROWS {
                let id = RowId::mint(Timestamp(1), (batch * ROWS + row) as u128);
                let text = format!("{batch}.{row} {}", "x".repeat(ROW_BYTES));
                rows.push(self.upsert(&id, 1, &text, true));
            }
            self.store(rows).await?;
            let mut text = String::new();
            for word in ["It ", "grows ", "und wächst."] {
                let delta = LiveDelta {
                    row: growing.clone(),
                    rev: 1,
                    at: text.len() as u64,
                    append: word.to_owned(),
                };
                self.live.send(&delta).await?;
                text.push_str(word);
            }
            let ended = self.upsert(&growing, 2, &text, true);
            self.store(vec![ended]).await?;
            written.send_replace(batch + 1);
        }
        let last = RowId::mint(Timestamp(1), 2_000_000);
        let last = self.upsert(&last, 1, LAST, true);
        self.store(vec![last]).await
    }
}

#[tokio::test]
async fn twenty_browsers_see_the_same_rows_in_the_same_order() -> Result {
    let stack = Stack::start().await?;
    let mut node = ScriptedNode::join(&stack, "watched").await?;
    let task = json!({"prompt": "Say a lot", "mode": "conversation"});
    let work = Work::begin(&stack, "/nowhere", &task).await?;
    let prompt = node.play_to_prompt().await?;
    let tokens = node.tokens(&prompt.workspace).await?;
    let client = stack.anyone()?.with_token(&tokens.workspace_token);
    let live = client
        .socket(&format!("/api/workspaces/{}/live", prompt.workspace))
        .await?;
    let writer = Writer {
        client,
        workspace: prompt.workspace.clone(),
        live,
        n: 0,
    };

    let manners = [Manner::Steady; 8]
        .into_iter()
        .chain([2, 3, 5, 7, 19, 50].map(Manner::Breaking))
        .chain([5, 30, BATCHES].map(Manner::Lagging))
        .chain([1, 20, BATCHES].map(Manner::Late));
    let (sender, receiver) = watch::channel(0);
    let admin = stack.admin()?;
    let watching = manners.map(|manner| {
        Browser::new(&work.session, manner).watch(admin, &work.project, receiver.clone())
    });
    let watching = async {
        join_all(watching)
            .await
            .into_iter()
            .collect::<Result<Vec<_>>>()
    };
    let (browsers, ()) = try_join(watching, writer.write(sender)).await?;

    let stored = work.rows().await?;
    // The person's row, the growing and the whole rows, and the last.
    ensure(stored.len() == 1 + BATCHES * ROWS + 1, || {
        format!("{} rows are stored", stored.len())
    })?;
    for browser in &browsers {
        let held: Vec<&Row> = browser.conversation.rows().collect();
        ensure(
            held.len() == stored.len() && held.into_iter().eq(&stored),
            || format!("{:?} holds something else than is stored", browser.manner),
        )?;
        let grows = browser
            .told
            .iter()
            .zip(browser.told.iter().skip(1))
            .all(|(before, after)| before.2 < after.2);
        ensure(grows, || {
            format!(
                "{:?} was told something twice or out of order",
                browser.manner
            )
        })?;
    }
    let mut steady = browsers
        .iter()
        .filter(|browser| browser.manner == Manner::Steady);
    let first = steady.next().ok_or_else(|| failure("nobody was steady"))?;
    for other in steady {
        // Who connected a moment later may have got the first versions as one page.
        let from = first.told.len().min(other.told.len()) / 2;
        let tail = |told: &[(RowId, u32, u64)]| told.get(told.len() - from..).map(<[_]>::to_vec);
        ensure(tail(&first.told) == tail(&other.told), || {
            "two steady browsers were told different things".to_owned()
        })?;
        ensure(other.deltas > 0, || {
            "a steady browser got no live text".to_owned()
        })?;
    }
    Ok(())
}
