//! Our own wire types.

use proptest::prelude::*;
use sam_domain::actor::{Input, Machine as _};
use sam_domain::conversation::reducer::Conversation;
use sam_domain::conversation::wire::{LiveDelta, MessageBatch, SendPrompt, SubmitTask};
use sam_domain::feed::follower::{Follower, MAX_FOLLOWS, MEMORY_LIMIT, Received, Reply};
use sam_domain::feed::history::{Ahead, Counters, History, Present};
use sam_domain::feed::{ClientFrame, Scope, ServerFrame};
use sam_domain::id::{
    Id, NodeId, ProjectId, PromptId, RowId, SessionId, TaskId, UserId, WorkspaceId,
};
use sam_domain::link::frame::{AgentFrame, ObjectFrame};
use sam_domain::node::state::Node;
use sam_domain::node::step::{NodeLocal, NodeMachine};
use sam_domain::time::{Timestamp, Turn};
use sam_fuzz::{config, json, measured};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::bound;

const PROJECT: &str = "prj_01jd8x00000000000000000000";
const ROW: &str = "row_01jd8x00000000000000000000";
const SESSION: &str = "ses_01jd8x00000000000000000000";
const WORKSPACE: &str = "wsp_01jd8x00000000000000000000";

/// Frames as they are sent, one of each kind at least.
fn examples() -> Vec<Value> {
    let facts = json!({"os": "linux", "arch": "x86_64", "hostname": "h", "cpus": 2,
        "memory_bytes": 1, "disk_free_bytes": 2, "version": "1", "agents": ["goose"],
        "max_workspaces": 4, "disk_full": false});
    let command = json!({"id": "cmd_01jd8x00000000000000000000", "workspace": WORKSPACE,
        "attempt": 1, "remaining": 5000, "do": {"action": "prompt",
        "agent_session": "acp_01jd8x00000000000000000000",
        "prompt": "prm_01jd8x00000000000000000000", "text": "do it", "context": ""}});
    let tool = json!({"n": 3, "id": ROW, "rev": 2, "author": "agent", "created_at": 7,
        "kind": "tool", "body": {"name": "edit", "title": "Edit a.txt", "tool_kind": "edit",
        "status": "completed", "arguments": "{}", "locations": [{"path": "a.txt", "line": 3}],
        "diffs": [{"path": "a.txt", "unified": "@@", "added": 1, "removed": 0}],
        "output": "done", "ended_at": 9}});
    let text = json!({"id": ROW, "session": SESSION, "seq": 3, "pos": 1, "attempt": 1, "rev": 1,
        "author": "agent", "created_at": 7, "kind": "text", "body": {"text": "hello"}});
    let scope = json!({"session": SESSION});
    vec![
        json!({"t": "hello", "protocol": 1, "version": "1", "store_id": "s", "boot_id": "b",
            "facts": facts, "open_commands": ["cmd_01jd8x00000000000000000000"], "next_event": 1}),
        json!({"t": "ack", "command": "cmd_01jd8x00000000000000000000"}),
        json!({"t": "event", "n": 1, "workspace": WORKSPACE, "attempt": 1, "at": 5,
            "event": {"event": "agent_state", "agent_session": "acp_01jd8x00000000000000000000",
                "state": {"is": "ended", "reason": "killed"}}}),
        json!({"t": "event", "n": 2, "workspace": WORKSPACE, "attempt": 1, "at": 5,
            "event": {"event": "git_result", "commit": "0", "files_changed": 1, "added": 1,
                "removed": 0, "diff": {"sha256": "00", "bytes": 5}}}),
        json!({"t": "event", "n": 3, "attempt": 0, "at": 5, "event": {"event": "facts", "facts": facts}}),
        json!({"t": "welcome", "acked_event": 4, "commands": [command], "lease": 90000}),
        {
            let mut frame = command;
            frame["t"] = json!("command");
            frame
        },
        json!({"t": "acked", "store_id": "s", "n": 3}),
        json!({"t": "bye", "reason": "replaced"}),
        json!({"t": "follow", "scope": scope, "after": 0}),
        json!({"t": "next", "scope": scope, "to": 5}),
        json!({"t": "follow", "scope": {"project": PROJECT}, "after": 5, "epoch": "e"}),
        json!({"t": "unfollow", "scope": {"project": PROJECT}}),
        json!({"t": "hello", "scope": scope, "epoch": "e", "seq": 3, "floor": 0}),
        json!({"t": "changes", "scope": scope, "from": 0, "to": 3,
            "entities": [{"type": "row", "value": text}, {"type": "row_gone", "value": ROW}],
            "more": true}),
        json!({"t": "delta", "session": SESSION, "row": ROW, "attempt": 1, "rev": 1, "at": 5, "append": "!"}),
        json!({"t": "reset", "scope": scope}),
        json!({"rows": [tool]}),
        json!({"row": ROW, "rev": 1, "at": 5, "append": "more"}),
        json!({"prompt": "do it", "agent": "goose", "mode": "conversation", "base": "main"}),
        json!({"text": "and this"}),
    ]
}

/// Reads the bytes as a `T`, within the bound; what was read survives being written.
fn read<T>(bytes: &[u8]) -> Option<T>
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let (read, peak) = measured(|| serde_json::from_slice::<T>(bytes));
    assert!(
        peak <= bound(bytes.len()),
        "{peak} bytes for {}",
        bytes.len()
    );
    let value = read.ok()?;
    let written = serde_json::to_vec(&value).expect("what was read can be written");
    let again: T = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(again, value);
    Some(value)
}

fn is_id<T: Id + std::fmt::Debug>(text: &str) {
    if let Ok(id) = text.parse::<T>() {
        assert_eq!(id.to_string(), text);
        assert_eq!(text.len(), T::PREFIX.len() + 26);
        assert!(
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        );
    }
}

/// A node that joined, whose link is up.
fn node() -> (Node, Turn) {
    let mut node = Node::default();
    let mut turn = Turn::new(Timestamp(1_000_000), 7);
    let join = NodeLocal::Join {
        node: "nod_01jd8x00000000000000000000".parse().expect("an id"),
        owner: UserId::mint(Timestamp(1), 1),
        name: "machine".to_owned(),
        token_hmac: "x".to_owned(),
    };
    let _ = NodeMachine::step(&mut node, &mut turn, Input::Local(join));
    (node, turn)
}

/// A history whose every scope holds the numbers 3 to 9, two to a page.
struct Numbers(ProjectId);

impl History for Numbers {
    type Entities = Vec<u64>;
    type Error = std::convert::Infallible;

    fn project(&self) -> &ProjectId {
        &self.0
    }

    fn present(&self, _: &Scope) -> Result<Option<Present>, Self::Error> {
        let (epoch, counters) = (
            "e".to_owned(),
            Counters {
                seq: 9,
                pos: 9,
                floor: 2,
            },
        );
        Ok(Some(Present { epoch, counters }))
    }

    fn ahead(&self, scope: &Scope, after: u64) -> Result<Ahead, Self::Error> {
        let Ok(numbers) = self.read(scope, after, 9);
        let sizes = numbers.iter().map(|number| (*number, 1)).take(2);
        Ok(Ahead {
            sizes: sizes.collect(),
            is_all: numbers.len() <= 2,
        })
    }

    fn read(&self, _: &Scope, after: u64, to: u64) -> Result<Vec<u64>, Self::Error> {
        Ok((3..=9)
            .filter(|number| (after + 1..=to).contains(number))
            .collect())
    }
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn a_frame_is_understood_or_refused(bytes in json(examples())) {
        read::<AgentFrame>(&bytes);
        read::<ObjectFrame>(&bytes);
        read::<ClientFrame>(&bytes);
        read::<ServerFrame>(&bytes);
        read::<LiveDelta>(&bytes);
        read::<SubmitTask>(&bytes);
        read::<SendPrompt>(&bytes);
        if let Some(batch) = read::<MessageBatch>(&bytes) {
            for mut row in batch.rows {
                row.retime(Some(row.created_at), Timestamp(5_000_000));
                prop_assert!(row.created_at.0 <= 5_000_000 + 60_000);
            }
        }
    }

    #[test]
    fn an_id_is_exactly_what_it_says(text in "(tsk_|nod_|row_|ses_|wsp_|prm_)?[0-9a-zA-Z_./%-]{0,30}|\\PC{0,40}") {
        is_id::<TaskId>(&text);
        is_id::<NodeId>(&text);
        is_id::<RowId>(&text);
        is_id::<SessionId>(&text);
        is_id::<WorkspaceId>(&text);
        is_id::<PromptId>(&text);
    }
}

proptest! {
    #![proptest_config(config(300))]

    /// Whatever a machine says, its node's memory stays within bounds.
    #[test]
    fn a_node_takes_any_frames(frames in prop::collection::vec(json(examples()), 1..20)) {
        let (mut node, mut turn) = node();
        let mut said = 0;
        for (at, bytes) in frames.iter().enumerate() {
            let Ok(frame) = serde_json::from_slice(bytes) else { continue };
            said += bytes.len();
            let connection = 1 + u64::try_from(at).expect("few") / 5;
            let _ = NodeMachine::step(&mut node, &mut turn, Input::Local(NodeLocal::Frame { connection, frame }));
            turn = Turn::new(turn.now.plus(sam_domain::time::Millis(50)), u64::try_from(at).expect("few"));
        }
        let held = serde_json::to_vec(&node).expect("a node can be written").len();
        prop_assert!(held <= 8 * 1024 + 4 * said, "{held} bytes after {said}");
    }

    /// Whatever a client says, what is remembered of it stays within bounds, and so does the answer.
    #[test]
    fn a_follower_takes_any_frames(frames in prop::collection::vec(json(examples()), 1..20)) {
        let numbers = Numbers(PROJECT.parse().expect("an id"));
        let mut follower = Follower::new(Timestamp(2));
        for bytes in &frames {
            let text = String::from_utf8_lossy(bytes);
            let Ok(received) = follower.receive(&numbers, &text, Timestamp(1));
            let Received::Replies(replies) = received else {
                panic!("nobody expires here");
            };
            prop_assert!(replies.len() <= 2);
            for reply in replies {
                if let Reply::Page { from, page, .. } = reply {
                    prop_assert!(page.entities.len() <= 2 && page.to <= 9 && from <= page.to);
                    prop_assert_eq!(page.more, page.to < 9);
                }
            }
        }
        let held = serde_json::to_string(&follower).expect("a follower can be written");
        prop_assert!(held.len() <= MEMORY_LIMIT);
        prop_assert!(held.matches("\"p\":").count() <= MAX_FOLLOWS);
    }

    /// Whatever a server says, the reducer shows what it can and asks for the rest.
    #[test]
    fn a_conversation_takes_any_frames(frames in prop::collection::vec(json(examples()), 1..20)) {
        let mut conversation = Conversation::new(SESSION.parse().expect("an id"));
        for bytes in &frames {
            if let Ok(frame) = serde_json::from_slice::<ServerFrame>(bytes) {
                conversation.apply(&frame);
                let _ = conversation.follow();
            }
        }
        let positions: Vec<u64> = conversation.rows().map(|row| row.pos).collect();
        prop_assert!(positions.is_sorted());
    }
}
