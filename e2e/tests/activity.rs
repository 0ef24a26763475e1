//! Activity that a machine reports under an agent session's id reaches the conversation it belongs
//! to, and nobody who watches another.

use std::time::Duration;

use sam_domain::conversation::wire::ActivityState;
use sam_domain::feed::{ClientFrame, Scope, ServerFrame};
use sam_domain::id::{AgentSessionId, SessionId};
use sam_domain::link::frame::{Action, AgentState, Command, Event};
use sam_e2e::node::ScriptedNode;
use sam_e2e::{Result, Socket, Stack, ensure, failure};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(20);

/// Follows one conversation, from its beginning up to the present.
async fn watch(stack: &Stack, project: &str, session: &SessionId) -> Result<Socket> {
    let mut socket = stack
        .admin()?
        .socket(&format!("/api/projects/{project}/feed"))
        .await?;
    let scope = Scope::Session(session.clone());
    socket
        .send(&ClientFrame::Follow {
            scope: scope.clone(),
            after: 0,
            epoch: None,
        })
        .await?;
    socket
        .until("the present", PATIENCE, |frame| match frame {
            ServerFrame::Changes {
                scope: of, more, ..
            } if of == scope && !more => Some(()),
            _ => None,
        })
        .await?;
    Ok(socket)
}

fn agent_session(command: &Command) -> Result<AgentSessionId> {
    match &command.action {
        Action::Prompt { agent_session, .. } => Ok(agent_session.clone()),
        other => Err(failure(format!("{} is not a prompt", other.word()))),
    }
}

#[tokio::test]
async fn activity_reaches_those_who_watch_its_conversation_alone() -> Result {
    let stack = Stack::start().await?;
    let mut node = ScriptedNode::join(&stack, "activity").await?;
    let project = stack.create_project("/nowhere").await?;
    let id = project.id.to_string();

    let first = stack
        .submit(&project.id, "first", &json!({"prompt": "one"}))
        .await?;
    let prompt = node.play_to_prompt().await?;
    let second = stack
        .submit(&project.id, "second", &json!({"prompt": "two"}))
        .await?;
    let other = node.play_to_prompt().await?;
    ensure(prompt.workspace != other.workspace, || {
        "one workspace for two tasks".to_owned()
    })?;

    let mut here = watch(&stack, &id, &first.session).await?;
    let mut there = watch(&stack, &id, &second.session).await?;

    // Both report something new, under their agent sessions' ids, in the opposite order of their sessions.
    for (command, state) in [
        (&other, ActivityState::Prompting),
        (&prompt, ActivityState::WaitingForPerson),
    ] {
        let event = Event::AgentState {
            agent_session: agent_session(command)?,
            state: AgentState::Activity { state },
        };
        let n = node
            .report(&command.workspace, command.attempt, event)
            .await?;
        node.stored(n).await?;
    }

    for (socket, own, state) in [
        (&mut here, &first.session, ActivityState::WaitingForPerson),
        (&mut there, &second.session, ActivityState::Prompting),
    ] {
        let mut strayed = None;
        socket
            .until("the reported activity", PATIENCE, |frame| match frame {
                ServerFrame::Activity { session, activity } => {
                    if session != *own {
                        strayed = Some(session);
                        return Some(());
                    }
                    (activity.state == state).then_some(())
                }
                _ => None,
            })
            .await?;
        ensure(strayed.is_none(), || {
            format!("activity of {strayed:?} came to who watches {own}")
        })?;
    }
    Ok(())
}
