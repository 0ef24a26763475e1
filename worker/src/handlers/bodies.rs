//! Bodies in object storage, named by their content.

use sam_domain::conversation::call::{GetSessionReply, ProjectCall};
use sam_domain::error::ApiError;
use sam_domain::id::ProjectId;
use sam_platform::http;
use sam_platform::r2::{Bodies, BodyName, MAX_BODY_BYTES, StoredBody};
use worker::Response;

use crate::call::Call;
use crate::errors::Answer;
use crate::membership::Member;
use crate::objects;
use crate::principal::WorkspaceToken;

pub(crate) async fn get(call: &Call, member: Member) -> Answer {
    let ask = ProjectCall::GetSession {
        session: call.id(1, "conversation")?,
    };
    let _: GetSessionReply = objects::project(call, &member.project, &ask).await?;
    let name = BodyName::parse(call.segment(2).unwrap_or_default())?;
    let stored = Bodies::of(&call.env, &member.project)?
        .get(&name)
        .await?
        .ok_or_else(|| ApiError::not_found("body"))?;
    Ok(as_text(stored))
}

/// A body for the machine: a prompt that is too long to travel inline.
pub(crate) async fn get_for_workspace(call: &Call, workspace: WorkspaceToken) -> Answer {
    let name = BodyName::parse(call.segment(1).unwrap_or_default())?;
    let stored = Bodies::of(&call.env, &workspace.claims.prj)?
        .get(&name)
        .await?
        .ok_or_else(|| ApiError::not_found("body"))?;
    Ok(as_text(stored))
}

pub(crate) async fn put(call: &Call, workspace: WorkspaceToken) -> Answer {
    keep(call, &workspace.claims.prj).await
}

pub(crate) async fn put_attachment(call: &Call, member: Member) -> Answer {
    keep(call, &member.project).await
}

async fn keep(call: &Call, project: &ProjectId) -> Answer {
    let name = BodyName::parse(call.segment(1).unwrap_or_default())?;
    let bytes = http::read_body(&call.request, MAX_BODY_BYTES).await?;
    let stored = Bodies::of(&call.env, project)?.put(&name, &bytes).await?;
    Ok(http::json(200, &stored))
}

/// Passes a body through, as text that no browser takes for anything else: it may hold whatever a
/// tool printed.
pub(super) fn as_text(stored: StoredBody) -> Response {
    let length = stored.bytes.to_string();
    http::streamed(
        200,
        &[
            ("content-type", "text/plain; charset=utf-8"),
            ("content-length", &length),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "sandbox"),
            ("cache-control", "private, no-store"),
        ],
        stored.stream,
    )
}
