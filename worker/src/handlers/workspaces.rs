//! What a node sends for one of its workspaces.

use sam_domain::access::internal::{LIVE_URL, LiveAccess, ROWS_URL, RowsAccess};
use sam_domain::conversation::wire::BATCH_BYTES;
use sam_domain::time::Timestamp;
use sam_platform::{http, objects as platform_objects};

use crate::call::Call;
use crate::errors::Answer;
use crate::objects;
use crate::principal::WorkspaceToken;

pub(crate) async fn messages(call: &Call, workspace: WorkspaceToken) -> Answer {
    // The object reads the rows; here they are only weighed, so that they are read once.
    let batch = http::read_stated_body(&call.request, BATCH_BYTES).await?;
    let object = platform_objects::project(&call.env, &workspace.claims.prj)?;
    let access = RowsAccess {
        claims: workspace.claims,
        sent_at: call.query("sent_at")?.map(Timestamp),
    };
    Ok(object.forward_body(ROWS_URL, &access, &batch).await?)
}

pub(crate) async fn live(call: &Call, workspace: WorkspaceToken) -> Answer {
    let object = platform_objects::project(&call.env, &workspace.claims.prj)?;
    let access = LiveAccess {
        claims: workspace.claims,
    };
    objects::upgrade(call, &object, LIVE_URL, &access).await
}
