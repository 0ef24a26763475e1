//! Tells the host what happens in a turn, and how it ended.

use sam_acp::{
    AcpSessionId, AgentLink, AgentUpdate, Chunk, ContextUsage, Cost, Notice, PermissionOption,
    PlanEntry, PromptFault, PromptOutcome, RpcError, StopReason, TokenUsage, ToolCall,
    ToolCallUpdate,
};

use sam_domain::catalogue::price::MicroDollars;

use crate::guard::{Asked, Person};
use crate::limits::{TurnEnd, TurnSummary};
use crate::model::{ModelError, Trouble};
use crate::notice;
use crate::turn::Observer;

/// A prompt's answer when its turn failed.
pub(super) fn refusal(error: &ModelError) -> RpcError {
    let message = error.to_string();
    match error {
        ModelError::Cancelled => RpcError::new(RpcError::INTERNAL_ERROR, message),
        ModelError::Failed { kind, .. } => {
            let fault = PromptFault {
                code: kind.code().to_owned(),
                hint: Some(kind.hint().to_owned()),
            };
            RpcError::prompt_failed(message, &fault)
        }
    }
}

/// A prompt's answer when its turn ended.
pub(super) fn outcome(summary: &TurnSummary) -> PromptOutcome {
    let usage = summary.usage;
    PromptOutcome {
        stop_reason: match summary.end {
            TurnEnd::Complete => StopReason::EndTurn,
            TurnEnd::MaxTokens => StopReason::MaxTokens,
            // The protocol knows no other limits; a notice has named it.
            TurnEnd::MaxTurns
            | TurnEnd::MaxSeconds
            | TurnEnd::MaxTotalTokens
            | TurnEnd::MaxCost
            | TurnEnd::Repeating => StopReason::MaxTurnRequests,
            TurnEnd::Refused => StopReason::Refusal,
            TurnEnd::Cancelled => StopReason::Cancelled,
        },
        usage: (usage.total > 0).then_some(TokenUsage {
            input: usage.input,
            output: usage.output,
            total: usage.total,
            thought: Some(usage.reasoning).filter(|tokens| *tokens > 0),
            cached_read: Some(usage.cached_input).filter(|tokens| *tokens > 0),
            cached_write: Some(usage.cache_write).filter(|tokens| *tokens > 0),
        }),
    }
}

/// Tells the host what happens in a turn.
pub(super) struct Watcher {
    link: AgentLink,
    session: AcpSessionId,
    /// The model's context in tokens.
    window: u64,
}

impl Watcher {
    pub(super) fn new(link: AgentLink, session: AcpSessionId, window: u64) -> Self {
        Self {
            link,
            session,
            window,
        }
    }

    pub(super) fn send(&self, update: AgentUpdate) {
        self.link.update(&self.session, &update);
    }
}

/// A piece of a message.
pub(super) fn chunk(message: &str, text: &str) -> Chunk {
    Chunk {
        message_id: Some(message.to_owned()),
        block: sam_acp::Block::text(text),
    }
}

/// How full a context of `window` tokens is, and what the session has cost.
pub(super) fn fullness(used: u64, window: u64, cost: Option<MicroDollars>) -> AgentUpdate {
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact up to billions of dollars"
    )]
    let cost = cost.map(|cost| Cost {
        amount: cost as f64 / 1e6,
        currency: "USD".to_owned(),
    });
    AgentUpdate::ContextUsage(ContextUsage {
        used,
        size: window.max(used),
        cost,
    })
}

impl Person for Watcher {
    fn ask<'a>(&'a self, call: &'a ToolCallUpdate, options: &'a [PermissionOption]) -> Asked<'a> {
        Box::pin(async move {
            let asked = self.link.request_permission(&self.session, call, options);
            Some(asked.await)
        })
    }
}

impl Observer for Watcher {
    fn text(&self, message: &str, text: &str) {
        self.send(AgentUpdate::Message(chunk(message, text)));
    }

    fn thought(&self, message: &str, text: &str) {
        self.send(AgentUpdate::Thought(chunk(message, text)));
    }

    fn tool_started(&self, call: &ToolCall) {
        self.send(AgentUpdate::ToolCall(call.clone()));
    }

    fn tool_changed(&self, update: &ToolCallUpdate) {
        self.send(AgentUpdate::ToolCallUpdate(update.clone()));
    }

    fn plan(&self, entries: &[PlanEntry]) {
        let entries = entries.to_vec();
        self.send(AgentUpdate::Plan { entries });
    }

    fn context(&self, used: u64, cost: Option<MicroDollars>) {
        self.send(fullness(used, self.window, cost));
    }

    fn trouble(&self, id: &str, trouble: &Trouble<'_>) {
        self.send(AgentUpdate::Notice(notice::trouble(id, trouble)));
    }

    fn stopped(&self, end: TurnEnd, why: &str) {
        self.send(AgentUpdate::Notice(notice::stopped(end, why)));
    }

    fn notice(&self, notice: &Notice) {
        self.send(AgentUpdate::Notice(notice.clone()));
    }
}
