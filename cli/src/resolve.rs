//! From what a person types to ids: names, whole ids, the ends of ids.

use crate::api::{Api, Call};
use crate::args::AskedTask;
use crate::context::Context;
use crate::error::Failure;
use crate::output::picker;
use sam_domain::access::route::RouteId;
use sam_domain::access::wire::{ProjectList, ProjectView};
use sam_domain::conversation::wire::{SessionList, SessionView, TaskList};
use sam_domain::id::{Id, ProjectId, SessionId, TaskId};
use sam_domain::task::TaskView;

/// Fewest characters of an id that may stand for it.
const SHORTEST: usize = 4;
/// Things that a mistake names.
const NAMED: usize = 20;
/// Pages of tasks that are searched for a short id.
const PAGES: usize = 10;
/// Conversations of one page.
const SESSION_PAGE: usize = 100;
/// Conversations that are searched for a short id.
const SESSIONS_SEARCHED: u32 = 1_000;

/// The project a command is about: the named one, else the current one, else
/// the only one there is.
pub(crate) async fn project(
    context: &Context,
    api: &Api,
    named: Option<&str>,
) -> Result<ProjectView, Failure> {
    let named = named.or(context.project.as_deref());
    if let Some(id) = named.and_then(|name| name.parse::<ProjectId>().ok()) {
        return api
            .json(Call::new(RouteId::GetProject, &[id.as_str()]))
            .await;
    }
    let list: ProjectList = api.json(Call::new(RouteId::ListProjects, &[])).await?;
    if let Some(name) = named {
        return pick_project(name, list.projects);
    }
    let current = context.settings.project(api.base());
    let mut projects = list.projects;
    if let Some(id) = current
        && let Some(index) = projects.iter().position(|p| p.id == *id)
    {
        return Ok(projects.swap_remove(index));
    }
    match projects.len() {
        0 => Err(Failure::usage(
            "There is no project yet.",
            "Create one with `sam project create --repo <url|path>`.",
        )),
        1 => Ok(projects.swap_remove(0)),
        _ => chosen(context, "project", projects, |p| {
            format!("{} {}", p.id, p.name)
        })
        .map_err(|failure| match failure {
            Failure::Usage { message, .. } => Failure::usage(
                message,
                "Choose one with `sam project use <name>`, or pass --project <name>.",
            ),
            other => other,
        }),
    }
}

fn pick_project(name: &str, projects: Vec<ProjectView>) -> Result<ProjectView, Failure> {
    let exact: Vec<ProjectView> = projects
        .iter()
        .filter(|p| p.name.eq_ignore_ascii_case(name))
        .cloned()
        .collect();
    let found = if exact.is_empty() {
        projects
            .into_iter()
            .filter(|p| stands_for(name, &p.id))
            .collect()
    } else {
        exact
    };
    one(found, name, "project", |p| format!("{} {}", p.id, p.name)).map_err(|failure| match failure
    {
        Failure::NotFound { message, .. } => Failure::NotFound {
            message,
            hint: Some("See `sam project list`.".to_owned()),
        },
        other => other,
    })
}

/// Something by its name, its whole id, or an end of its id.
pub(crate) fn named<T, I: Id>(
    given: &str,
    kind: &str,
    all: Vec<T>,
    parts: impl Fn(&T) -> (&str, &I),
) -> Result<T, Failure> {
    let (exact, others): (Vec<T>, Vec<T>) = all.into_iter().partition(|thing| {
        let (name, id) = parts(thing);
        (!name.is_empty() && name.eq_ignore_ascii_case(given)) || id.as_str() == given
    });
    let found = if exact.is_empty() {
        let ends = |thing: &T| stands_for(given, parts(thing).1);
        others.into_iter().filter(ends).collect()
    } else {
        exact
    };
    one(found, given, kind, |thing| {
        let (name, id) = parts(thing);
        format!("{id} {name}")
    })
}

/// The same; where nothing is named, who is at the terminal chooses one.
pub(crate) fn named_or_chosen<T, I: Id>(
    context: &Context,
    given: Option<&str>,
    kind: &str,
    all: Vec<T>,
    parts: impl Fn(&T) -> (&str, &I),
) -> Result<T, Failure> {
    if let Some(given) = given {
        return named(given, kind, all, parts);
    }
    chosen(context, kind, all, |thing| {
        let (name, id) = parts(thing);
        format!("{id} {name}")
    })
}

/// What the person at the terminal chooses; where nobody can be asked, a mistake that names what
/// there is.
pub(crate) fn chosen<T>(
    context: &Context,
    kind: &str,
    mut all: Vec<T>,
    show: impl Fn(&T) -> String,
) -> Result<T, Failure> {
    if all.is_empty() {
        return Err(Failure::NotFound {
            message: format!("There is no {kind}."),
            hint: None,
        });
    }
    let question = format!("Which {kind}?");
    let mut lines: Vec<String> = all.iter().map(show).collect();
    if context.out.can_ask() {
        let columns = context.out.columns.unwrap_or_default();
        return Ok(all.swap_remove(picker::choose(&question, &lines, columns)?));
    }
    let more = lines.len().saturating_sub(NAMED);
    lines.truncate(NAMED);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    Err(Failure::usage(
        format!("{question}\n  {}", lines.join("\n  ")),
        "Name one, by its name, its id or enough of the id.",
    ))
}

/// The named task, else one of the project's newest that the person at the terminal chooses.
pub(crate) async fn task_or_chosen(
    context: &Context,
    api: &Api,
    which: &AskedTask,
) -> Result<TaskView, Failure> {
    let within = which.within.project.as_deref();
    if let Some(named) = &which.task {
        return task(context, api, named, within).await;
    }
    let project = project(context, api, within).await?;
    let page = tasks(api, &project.id, None, None).await?;
    chosen(context, "task", page.tasks, |task| {
        format!("{} {} {}", task.id, task.state.word(), task.title)
    })
}

/// The task a command is about: by whole id, or by the end of its id among the
/// project's tasks.
pub(crate) async fn task(
    context: &Context,
    api: &Api,
    named: &str,
    within: Option<&str>,
) -> Result<TaskView, Failure> {
    if let Ok(id) = named.parse::<TaskId>() {
        return api.json(Call::new(RouteId::GetTask, &[id.as_str()])).await;
    }
    if bare(named).len() < SHORTEST {
        return Err(Failure::usage(
            format!("`{named}` is too short for a task's id."),
            format!("Give at least {SHORTEST} characters; see `sam task list`."),
        ));
    }
    let project = project(context, api, within).await?;
    let mut found = Vec::new();
    let mut before = None;
    for _ in 0..PAGES {
        let page = tasks(api, &project.id, before.as_ref(), None).await?;
        found.extend(page.tasks.into_iter().filter(|t| stands_for(named, &t.id)));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    one(found, named, "task", |t| format!("{} {}", t.id, t.title)).map_err(
        |failure| match failure {
            Failure::NotFound { message, .. } => Failure::NotFound {
                message: format!(
                    "{} It was looked for in the project {}.",
                    message, project.name
                ),
                hint: Some("See `sam task list`; name another project with --project.".to_owned()),
            },
            other => other,
        },
    )
}

/// The named task, else the project's newest.
pub(crate) async fn task_or_newest(
    context: &Context,
    api: &Api,
    named: Option<&str>,
    within: Option<&str>,
) -> Result<TaskView, Failure> {
    if let Some(named) = named {
        return task(context, api, named, within).await;
    }
    let project = project(context, api, within).await?;
    let page = tasks(api, &project.id, None, Some(1)).await?;
    page.tasks
        .into_iter()
        .next()
        .ok_or_else(|| Failure::NotFound {
            message: format!("The project {} has no tasks yet.", project.name),
            hint: Some("Submit one with `sam task submit \"…\"`.".to_owned()),
        })
}

/// One page of a project's tasks, newest first.
pub(crate) async fn tasks(
    api: &Api,
    project: &ProjectId,
    before: Option<&TaskId>,
    limit: Option<usize>,
) -> Result<TaskList, Failure> {
    let segments = [project.as_str()];
    let mut call = Call::new(RouteId::ListTasks, &segments);
    if let Some(before) = before {
        call = call.query("before", before.as_str());
    }
    if let Some(limit) = limit {
        call = call.query("limit", limit.to_string());
    }
    api.json(call).await
}

/// A project's newest tasks, up to a number of them.
pub(crate) async fn newest_tasks(
    api: &Api,
    project: &ProjectId,
    limit: u32,
) -> Result<TaskList, Failure> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut page = tasks(api, project, None, Some(limit)).await?;
    while page.tasks.len() < limit
        && let Some(before) = page.next.take()
    {
        let left = limit - page.tasks.len();
        let more = tasks(api, project, Some(&before), Some(left)).await?;
        if more.tasks.is_empty() {
            break;
        }
        page.tasks.extend(more.tasks);
        page.next = more.next;
    }
    page.tasks.truncate(limit);
    Ok(page)
}

/// A project's newest conversations, up to a number of them.
pub(crate) async fn sessions(
    api: &Api,
    project: &ProjectId,
    limit: u32,
) -> Result<SessionList, Failure> {
    let segments = [project.as_str()];
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut list = SessionList {
        sessions: Vec::new(),
        next: None,
    };
    loop {
        let left = limit - list.sessions.len();
        let mut call = Call::new(RouteId::ListSessions, &segments)
            .query("limit", left.min(SESSION_PAGE).to_string());
        if let Some(before) = &list.next {
            call = call.query("before", before.as_str());
        }
        let page: SessionList = api.json(call).await?;
        let is_last = page.sessions.is_empty() || page.next.is_none();
        list.sessions.extend(page.sessions);
        list.next = page.next;
        if is_last || list.sessions.len() >= limit {
            list.sessions.truncate(limit);
            return Ok(list);
        }
    }
}

/// A conversation by its id, an end of it, its title, or a task's id.
pub(crate) async fn session(
    context: &Context,
    api: &Api,
    given: &str,
    within: Option<&str>,
) -> Result<SessionView, Failure> {
    let whole = if given.starts_with(TaskId::PREFIX) {
        let task = task(context, api, given, within).await?;
        Some((task.project, task.session))
    } else {
        match given.parse::<SessionId>() {
            Ok(id) => Some((project(context, api, within).await?.id, id)),
            Err(_) => None,
        }
    };
    if let Some((project, id)) = whole {
        let segments = [project.as_str(), id.as_str()];
        return api.json(Call::new(RouteId::GetSession, &segments)).await;
    }
    let project = project(context, api, within).await?;
    let list = sessions(api, &project.id, SESSIONS_SEARCHED).await?;
    named(given, "conversation", list.sessions, |session| {
        (&session.title, &session.id)
    })
    .map_err(|failure| match failure {
        Failure::NotFound { message, .. } => Failure::NotFound {
            message: format!(
                "{message} It was looked for in the project {}.",
                project.name
            ),
            hint: Some("See `sam chat list`; name another project with --project.".to_owned()),
        },
        other => other,
    })
}

/// The named conversation, else the project's newest.
pub(crate) async fn session_or_newest(
    context: &Context,
    api: &Api,
    given: Option<&str>,
    within: Option<&str>,
) -> Result<SessionView, Failure> {
    if let Some(given) = given {
        return session(context, api, given, within).await;
    }
    let project = project(context, api, within).await?;
    let list = sessions(api, &project.id, 1).await?;
    list.sessions
        .into_iter()
        .next()
        .ok_or_else(|| Failure::NotFound {
            message: format!("The project {} has no conversation yet.", project.name),
            hint: Some("Begin one: sam chat \"what you want to say\"".to_owned()),
        })
}

/// An id's characters without its prefix.
fn bare(text: &str) -> &str {
    text.split_once('_').map_or(text, |(_, body)| body)
}

/// Whether `text` is the end or the beginning of `id`.
fn stands_for<I: Id>(text: &str, id: &I) -> bool {
    let text = text.to_ascii_lowercase();
    let text = text.strip_prefix(I::PREFIX).unwrap_or(&text);
    let body = bare(id.as_str());
    text.len() >= SHORTEST && (body.ends_with(text) || body.starts_with(text))
}

fn one<T>(
    mut found: Vec<T>,
    named: &str,
    kind: &str,
    show: impl Fn(&T) -> String,
) -> Result<T, Failure> {
    match found.len() {
        0 => Err(Failure::NotFound {
            message: format!("There is no {kind} `{named}`."),
            hint: None,
        }),
        1 => Ok(found.swap_remove(0)),
        _ => {
            let names: Vec<String> = found.iter().map(show).collect();
            Err(Failure::usage(
                format!(
                    "`{named}` could be several {kind}s:\n  {}",
                    names.join("\n  ")
                ),
                "Give more of the id.",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_and_beginnings_stand_for_an_id() {
        let id: TaskId = "tsk_01jd8x0000000000000000abcd".parse().unwrap();
        for (text, wanted) in [
            ("abcd", true),
            ("0ABCD", true),
            ("tsk_01jd8x", true),
            ("01jd8x", true),
            ("bcd", false),
            ("abce", false),
            ("prj_01jd8x", false),
        ] {
            assert_eq!(stands_for(text, &id), wanted, "{text}");
        }
    }
}
