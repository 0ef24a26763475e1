//! What a person may do in a project.

use sam_domain::access::wire::ProjectRole;
use sam_domain::error::ApiError;
use sam_domain::id::{ProjectId, TaskId};
use sam_platform::d1::project_members::ProjectMembers;
use sam_platform::d1::task_index::TaskIndex;

use crate::call::Call;
use crate::errors::Failed;
use crate::principal::User;

/// A person's standing in a project: proof that they are a member of it. Made only here.
#[derive(Debug)]
pub(crate) struct Membership {
    /// The project.
    pub(crate) project: ProjectId,
    /// Their role.
    pub(crate) role: ProjectRole,
}

/// Checks that the person may act in the project with at least this role. What is not theirs reads
/// as if it did not exist.
pub(crate) async fn require(
    call: &Call,
    user: &User,
    project: ProjectId,
    at_least: ProjectRole,
) -> Result<Membership, Failed> {
    let role = ProjectMembers(&call.database()?)
        .role(&project, user.id())
        .await?
        .ok_or_else(|| ApiError::not_found("project"))?;
    if role < at_least {
        return Err(ApiError::new(
            403,
            "role_too_low",
            "Your role in this project does not allow this.",
        )
        .hint("Ask an owner of the project for a higher role.")
        .into());
    }
    Ok(Membership { project, role })
}

/// The same for the project that the path's first segment names.
pub(crate) async fn of_path(
    call: &Call,
    user: &User,
    at_least: ProjectRole,
) -> Result<Membership, Failed> {
    require(call, user, call.id(0, "project")?, at_least).await
}

/// The same for the project of the task that the path's first segment names.
pub(crate) async fn of_task(
    call: &Call,
    user: &User,
    at_least: ProjectRole,
) -> Result<(Membership, TaskId), Failed> {
    let task: TaskId = call.id(0, "task")?;
    let (project, _) = TaskIndex(&call.database()?)
        .place(&task)
        .await?
        .ok_or_else(|| ApiError::not_found("task"))?;
    match require(call, user, project, at_least).await {
        Ok(membership) => Ok((membership, task)),
        // Whether a task exists in somebody else's project is not told.
        Err(error) if error.0.status == 404 => Err(ApiError::not_found("task").into()),
        Err(error) => Err(error),
    }
}
