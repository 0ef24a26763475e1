//! Projects.

use sam_domain::access::internal::{FEED_URL, FeedAccess, SOCKET_AUTHORISATION};
use sam_domain::access::wire::{CreateProject, ProjectList, ProjectRole, ProjectView};
use sam_domain::agents::{self, DEFAULT_AGENT, LISTED, Listed, PermissionMode};
use sam_domain::error::ApiError;
use sam_domain::id::ProjectId;
use sam_platform::d1::projects::{Project, Projects};
use sam_platform::{address, http, objects};
use url::Url;

use crate::call::Call;
use crate::errors::{Answer, Failed};
use crate::membership::Member;
use crate::principal::User;

/// Longest name of a project, in characters.
const NAME_LIMIT: usize = 100;
/// Longest repository URL or path, in bytes.
const REPOSITORY_LIMIT: usize = 2_000;

pub(crate) async fn list(call: &Call, user: User) -> Answer {
    let projects = Projects(&call.database()?).of_member(user.id()).await?;
    let projects = projects
        .into_iter()
        .map(|(project, role)| view(project, role))
        .collect();
    Ok(http::json(200, &ProjectList { projects }))
}

pub(crate) async fn create(call: &Call, user: User) -> Answer {
    let request: CreateProject = call.json().await?;
    let repository = repository(&request.repository)?;
    let name = match request.name.as_deref().map(str::trim) {
        Some(name) => name.to_owned(),
        None => name_of(&repository),
    };
    if name.is_empty() || name.chars().count() > NAME_LIMIT || name.chars().any(char::is_control) {
        let rule = format!("`name` must have 1 to {NAME_LIMIT} characters that can be seen.");
        return Err(bad(rule).into());
    }
    if let Some(agent) = &request.default_agent {
        known_agent(agent)?;
    }
    let project = Project {
        id: call.mint()?,
        name,
        owner_id: user.id().clone(),
        repository,
        default_agent: request
            .default_agent
            .unwrap_or_else(|| DEFAULT_AGENT.to_owned()),
        created_at: call.now,
    };
    Projects(&call.database()?).insert(&project).await?;
    Ok(http::json(201, &view(project, ProjectRole::Owner)))
}

pub(crate) async fn get(call: &Call, member: Member) -> Answer {
    let project = stored(call, &member.project).await?;
    Ok(http::json(200, &view(project, member.role)))
}

pub(crate) async fn feed(call: &Call, member: Member) -> Answer {
    let access = FeedAccess {
        user: member.id().clone(),
        auth_session: member.user.session.handle().to_owned(),
        project: member.project,
        authorised_until: call.now.plus(SOCKET_AUTHORISATION),
    };
    let object = objects::project(&call.env, &access.project)?;
    crate::objects::upgrade(call, &object, FEED_URL, &access).await
}

/// A project that is known to exist.
pub(super) async fn stored(call: &Call, id: &ProjectId) -> Result<Project, Failed> {
    Ok(Projects(&call.database()?)
        .get(id)
        .await?
        .ok_or_else(|| ApiError::not_found("project"))?)
}

/// The agent of this name; refuses one that the catalogue does not know.
pub(super) fn known_agent(id: &str) -> Result<&'static Listed, ApiError> {
    if let Some(agent) = agents::listed(id) {
        return Ok(agent);
    }
    let known: Vec<_> = LISTED.iter().map(|agent| agent.id).collect();
    Err(ApiError::new(
        400,
        "unknown_agent",
        "There is no such agent in the catalogue.",
    )
    .hint(format!("Choose one of: {}.", known.join(", "))))
}

/// Refuses a permission mode that an agent does not have.
pub(super) fn known_mode(agent: &str, mode: PermissionMode) -> Result<(), ApiError> {
    let agent = known_agent(agent)?;
    if agent.permission_modes().any(|held| held == mode) {
        return Ok(());
    }
    let known: Vec<_> = agent.permission_modes().map(PermissionMode::word).collect();
    Err(ApiError::new(
        400,
        "unknown_permission_mode",
        format!("{} has no permission mode `{}`.", agent.name, mode.word()),
    )
    .hint(format!("It has: {}.", known.join(", "))))
}

fn view(project: Project, role: ProjectRole) -> ProjectView {
    ProjectView {
        id: project.id,
        name: project.name,
        repository: project.repository,
        default_agent: project.default_agent,
        role,
        created_at: project.created_at,
    }
}

fn bad(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "bad_request", message)
}

/// Checks where a repository is said to be: an http(s) URL without credentials, or an absolute
/// path on the machine that will run the work. Whether something is there is the machine's to say.
fn repository(text: &str) -> Result<String, ApiError> {
    let text = text.trim();
    let refuse = |message: &str| {
        Err(ApiError::new(400, "bad_repository", message).hint(
            "Give an http(s) URL, such as https://example.org/you/thing.git, or an absolute path \
             on the machine that will run the work.",
        ))
    };
    if text.is_empty() || text.len() > REPOSITORY_LIMIT || text.chars().any(char::is_control) {
        return refuse("`repository` is empty, too long or has control characters.");
    }
    if text.starts_with('/') {
        return Ok(text.to_owned());
    }
    let is_remote_shell = |before: &str| before.contains('@') && !before.contains('/');
    if text.starts_with("ssh://")
        || text
            .split_once(':')
            .is_some_and(|(before, _)| is_remote_shell(before))
    {
        return refuse("`repository` is reached by SSH, for which machines have no key.");
    }
    match Url::parse(&address::plain(text)) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            refuse("`repository` must be an http or https URL, or an absolute path.")
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            refuse("`repository` carries a credential, which would be shown and stored.")
        }
        Ok(_) => Ok(text.to_owned()),
        Err(_) => refuse("`repository` is neither a URL nor an absolute path."),
    }
}

/// What a project is called when nobody says: the repository's last path segment.
fn name_of(repository: &str) -> String {
    let path = repository.split(['?', '#']).next().unwrap_or_default();
    let last = path
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or_default();
    let name = last.strip_suffix(".git").unwrap_or(last);
    let name: String = name.chars().take(NAME_LIMIT).collect();
    if name.is_empty() {
        "project".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_a_url_or_an_absolute_path() {
        for good in [
            "https://example.org/you/thing.git",
            "http://127.0.0.1:3000/x",
            "/home/you/thing",
            " /home/you/thing ",
        ] {
            assert_eq!(repository(good).unwrap(), good.trim());
        }
        for bad in [
            "",
            "thing",
            "../thing",
            "ssh://git@example.org/x",
            "git@example.org:x",
            "file:///etc",
            "https://you:secret@example.org/x",
            "https://token@example.org/x",
            "/a\nb",
        ] {
            assert!(repository(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_project_is_named_after_its_repository() {
        for (repository, name) in [
            ("https://example.org/you/thing.git", "thing"),
            ("https://example.org/you/thing/?x=1", "thing"),
            ("/home/you/thing/", "thing"),
            ("/", "project"),
        ] {
            assert_eq!(name_of(repository), name);
        }
    }
}
