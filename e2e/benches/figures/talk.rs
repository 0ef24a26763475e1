//! A conversation with a machine that writes rows as fast as they are taken, and its followers.

use std::time::Duration;

use sam_domain::conversation::row::{Author, RowBody, RowUpsert, TextBody};
use sam_domain::conversation::wire::{BatchAnswer, MessageBatch, RowOutcome};
use sam_domain::feed::{ClientFrame, Scope, ServerFrame};
use sam_domain::id::{Id as _, ProjectId, RowId, SessionId};
use sam_domain::time::Timestamp;
use sam_e2e::node::ScriptedNode;
use sam_e2e::{Client, Result, Socket, Stack, ensure, failure};
use serde_json::json;

/// How long a frame may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of a row's text.
const TEXT_BYTES: usize = 500;

/// A conversation in which an agent works.
pub(crate) struct Talk {
    pub(crate) project: ProjectId,
    pub(crate) session: SessionId,
    /// The machine on behalf of the workspace.
    writer: Client,
    path: String,
    written: u64,
    /// Tells this conversation's rows from another's.
    number: u64,
}

/// A batch as it travels.
pub(crate) struct Batch {
    pub(crate) body: String,
    rows: usize,
}

impl Talk {
    /// Submits a task and plays its machine up to the first prompt.
    pub(crate) async fn begin(
        stack: &Stack,
        node: &mut ScriptedNode,
        project: &ProjectId,
        number: u64,
    ) -> Result<Self> {
        let task = json!({"prompt": "Write a great deal."});
        let submitted = stack
            .submit(project, &format!("talk-{number}"), &task)
            .await?;
        let prompt = node.play_to_prompt().await?;
        let tokens = node.tokens(&prompt.workspace).await?;
        Ok(Self {
            project: project.clone(),
            session: submitted.session,
            writer: stack.anyone()?.with_token(&tokens.workspace_token),
            path: format!("/api/workspaces/{}/messages", prompt.workspace),
            written: 0,
            number,
        })
    }

    /// New rows of an agent's finished words, as one batch.
    pub(crate) fn batch(&mut self, rows: usize) -> Result<Batch> {
        let rows = (0..rows).map(|_| self.row()).collect::<Vec<_>>();
        Ok(Batch {
            rows: rows.len(),
            body: serde_json::to_string(&MessageBatch { rows })?,
        })
    }

    fn row(&mut self) -> RowUpsert {
        self.written += 1;
        let words =
            "The importer reads the whole file before it parses a line; \"streaming\" helps.\n";
        RowUpsert {
            n: self.written,
            id: RowId::mint(Timestamp(self.number), u128::from(self.written)),
            rev: 1,
            author: Author::Agent,
            created_at: Timestamp(1_700_000_000_000),
            body: RowBody::Text(TextBody {
                text: words.chars().cycle().take(TEXT_BYTES).collect(),
                ended_at: Some(Timestamp(1_700_000_000_500)),
                ..TextBody::default()
            }),
        }
    }

    /// Posts a batch; every row must be taken.
    pub(crate) async fn post(&self, batch: &Batch) -> Result {
        let request = self
            .writer
            .request(reqwest::Method::POST, &self.path)
            .body(batch.body.clone());
        let answer: BatchAnswer = self.writer.send(request).await?.json()?;
        let taken = answer
            .outcomes
            .iter()
            .filter(|outcome| **outcome == RowOutcome::Accepted);
        let taken = taken.count();
        ensure(taken == batch.rows, || {
            format!("{taken} rows of {} were taken", batch.rows)
        })
    }

    /// A page of the conversation's messages.
    pub(crate) fn messages(&self, query: &str) -> String {
        format!(
            "/api/projects/{}/sessions/{}/messages?{query}",
            self.project, self.session
        )
    }

    /// Follows the conversation from its beginning to the present; says how many rows came, in how
    /// many frames and bytes.
    pub(crate) async fn follow(&self, stack: &Stack) -> Result<(Socket, CaughtUp)> {
        let path = format!("/api/projects/{}/feed", self.project);
        let mut socket = stack.admin()?.socket(&path).await?;
        let scope = Scope::Session(self.session.clone());
        let follow = ClientFrame::Follow {
            scope: scope.clone(),
            after: 0,
            epoch: None,
        };
        socket.send(&follow).await?;
        let mut caught_up = CaughtUp::default();
        loop {
            let text = socket
                .next_text(PATIENCE)
                .await?
                .ok_or_else(|| failure("the feed was closed"))?;
            let ServerFrame::Changes {
                to, entities, more, ..
            } = serde_json::from_str(&text)?
            else {
                continue;
            };
            caught_up.rows += entities.len();
            caught_up.frames.push(text.len());
            if !more {
                return Ok((socket, caught_up));
            }
            let next = ClientFrame::Next {
                scope: scope.clone(),
                to,
            };
            socket.send(&next).await?;
        }
    }
}

/// What catching up brought.
#[derive(Debug, Default)]
pub(crate) struct CaughtUp {
    pub(crate) rows: usize,
    /// Bytes of each page.
    pub(crate) frames: Vec<usize>,
}
