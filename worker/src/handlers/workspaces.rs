//! What a node sends for one of its workspaces.

use sam_domain::access::internal::{LIVE_URL, LiveAccess};
use sam_domain::conversation::call::{PostMessagesReply, ProjectCall};
use sam_domain::conversation::wire::{BATCH_BYTES, BATCH_ROWS, MessageBatch};
use sam_domain::error::ApiError;
use sam_domain::time::Timestamp;
use sam_platform::{http, objects as platform_objects};

use crate::call::Call;
use crate::errors::Answer;
use crate::objects;
use crate::principal::WorkspaceToken;

pub(crate) async fn messages(call: &Call, workspace: WorkspaceToken) -> Answer {
    let (batch, _): (MessageBatch, _) = http::read_stated_json(&call.request, BATCH_BYTES).await?;
    if batch.rows.len() > BATCH_ROWS {
        return Err(ApiError::new(
            413,
            "batch_too_large",
            format!("A batch holds at most {BATCH_ROWS} rows."),
        )
        .into());
    }
    let project = workspace.claims.prj.clone();
    let ask = ProjectCall::PostMessages {
        claims: workspace.claims,
        batch,
        sent_at: call.query("sent_at")?.map(Timestamp),
    };
    let reply: PostMessagesReply = objects::project(call, &project, &ask).await?;
    Ok(http::json(200, &reply))
}

pub(crate) async fn live(call: &Call, workspace: WorkspaceToken) -> Answer {
    let object = platform_objects::project(&call.env, &workspace.claims.prj)?;
    let access = LiveAccess {
        claims: workspace.claims,
    };
    objects::upgrade(call, &object, LIVE_URL, &access).await
}
