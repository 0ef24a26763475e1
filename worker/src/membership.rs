//! People acting in a project.
//!
//! [`Member`] and [`TaskMember`] are principals: a handler that takes one runs only for a member of
//! the project that the path names, with at least the role that the route table names. What is not
//! theirs reads as if it did not exist.

use sam_domain::access::principal::PrincipalKind;
use sam_domain::access::route::Route;
use sam_domain::access::wire::ProjectRole;
use sam_domain::conversation::call::Editor;
use sam_domain::error::ApiError;
use sam_domain::id::{ProjectId, TaskId, UserId};
use sam_platform::d1::node_shares::NodeShares;
use sam_platform::d1::project_members::ProjectMembers;
use sam_platform::d1::task_index::TaskIndex;

use crate::call::Call;
use crate::errors::Failed;
use crate::principal::{Principal, User};

/// A member of the project that the path's first segment names.
#[derive(Debug)]
pub(crate) struct Member {
    /// The person.
    pub(crate) user: User,
    /// The project.
    pub(crate) project: ProjectId,
    /// Their role.
    pub(crate) role: ProjectRole,
}

impl Member {
    /// Their id.
    pub(crate) fn id(&self) -> &UserId {
        self.user.id()
    }

    /// How far they may change what waits in a conversation's queue.
    pub(crate) fn editor(&self) -> Editor {
        Editor {
            user: self.id().clone(),
            any: self.role >= ProjectRole::Maintainer,
        }
    }

    /// Whose pool a task of theirs draws on; `None` is their own.
    pub(crate) async fn pool(&self, call: &Call) -> Result<Option<UserId>, Failed> {
        let database = call.database()?;
        Ok(NodeShares(&database).pool(&self.project, self.id()).await?)
    }
}

impl Principal for Member {
    const KIND: PrincipalKind = PrincipalKind::User;
    const IN_PROJECT: bool = true;

    async fn authenticate(call: &Call, route: &Route) -> Result<Self, Failed> {
        let user = User::authenticate(call, route).await?;
        require(call, route, user, call.id(0, "project")?).await
    }
}

/// A member of the project of the task that the path's first segment names.
#[derive(Debug)]
pub(crate) struct TaskMember {
    /// The member.
    pub(crate) member: Member,
    /// The task.
    pub(crate) task: TaskId,
}

impl Principal for TaskMember {
    const KIND: PrincipalKind = PrincipalKind::User;
    const IN_PROJECT: bool = true;

    async fn authenticate(call: &Call, route: &Route) -> Result<Self, Failed> {
        let user = User::authenticate(call, route).await?;
        let task: TaskId = call.id(0, "task")?;
        let (project, _) = TaskIndex(&call.access_database()?)
            .place(&task)
            .await?
            .ok_or_else(|| ApiError::not_found("task"))?;
        match require(call, route, user, project).await {
            Ok(member) => Ok(Self { member, task }),
            // Whether a task exists in somebody else's project is not told.
            Err(error) if error.0.status == 404 => Err(ApiError::not_found("task").into()),
            Err(error) => Err(error),
        }
    }
}

async fn require(
    call: &Call,
    route: &Route,
    user: User,
    project: ProjectId,
) -> Result<Member, Failed> {
    let role = ProjectMembers(&call.access_database()?)
        .role(&project, user.id())
        .await?
        .ok_or_else(|| ApiError::not_found("project"))?;
    // A route without a role does not compile with these principals; were there one, nobody gets in.
    if role < route.role.unwrap_or(ProjectRole::Owner) {
        return Err(role_too_low().into());
    }
    Ok(Member {
        user,
        project,
        role,
    })
}

/// The refusal of a member whose role does not reach.
pub(crate) fn role_too_low() -> ApiError {
    ApiError::new(
        403,
        "role_too_low",
        "Your role in this project does not allow this.",
    )
    .hint("Ask an owner of the project for a higher role.")
}
