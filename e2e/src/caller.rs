//! An agent of which a test is the words: a task on a scripted machine, with the token for its model
//! calls as a node fetches it.

use std::time::Duration;

use reqwest::{Method, Response};
use sam_domain::budget::call::UsageSummary;
use sam_domain::id::TaskId;
use serde_json::{Value, json};

use crate::node::ScriptedNode;
use crate::{Client, Result, Stack, StackOptions, wait_until, within};

/// How long a reply may take to begin, and a call to be recorded.
const PATIENCE: Duration = Duration::from_secs(60);

/// A stack with a task whose agent could call the model now.
#[derive(Debug)]
pub struct Caller {
    /// The stack.
    pub stack: Stack,
    /// The machine.
    pub node: ScriptedNode,
    /// The task.
    pub task: TaskId,
    /// Who calls with the task's model token.
    pub agent: Client,
    /// The token.
    pub token: String,
}

impl Caller {
    /// Where chat completions are asked for.
    pub const CHAT: &'static str = "/ai/v1/chat/completions";

    /// Starts a stack and plays a task up to its first prompt.
    ///
    /// # Errors
    /// When a step is refused.
    pub async fn start(options: StackOptions) -> Result<Self> {
        let stack = Stack::start_with(options).await?;
        let mut node = ScriptedNode::join(&stack, "caller").await?;
        let project = stack.create_project("/nowhere").await?;
        let submitted = stack
            .submit(&project.id, "caller", &json!({"prompt": "hello"}))
            .await?;
        let prompt = node.play_to_prompt().await?;
        let tokens = node.tokens(&prompt.workspace).await?;
        Ok(Self {
            agent: stack.anyone()?.with_token(&tokens.model_token),
            token: tokens.model_token,
            stack,
            node,
            task: submitted.task,
        })
    }

    /// A question whose answer makes no calls.
    #[must_use]
    pub fn question(stream: bool) -> Value {
        json!({
            "model": "sam",
            "stream": stream,
            "messages": [{"role": "user", "content": "What does this repository do?"}],
        })
    }

    /// A stream of chat completions that has begun.
    ///
    /// # Errors
    /// When no reply begins.
    pub async fn stream(&self) -> Result<Response> {
        let request = self.agent.request(Method::POST, Self::CHAT);
        let request = request.json(&Self::question(true));
        Ok(within("the response begins", PATIENCE, request.send()).await??)
    }

    /// What the task has used.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn usage(&self) -> Result<UsageSummary> {
        let path = format!("/api/tasks/{}/usage", self.task);
        self.stack.admin()?.get(&path).await?.json()
    }

    /// Waits until so many calls are recorded.
    ///
    /// # Errors
    /// When they are not within the time.
    pub async fn until_calls(&self, calls: u64) -> Result<UsageSummary> {
        wait_until("the calls are recorded", PATIENCE, || async {
            Ok(Some(self.usage().await?).filter(|usage| usage.calls == calls))
        })
        .await
    }
}
