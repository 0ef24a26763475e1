//! `sam project …`

use crate::api::Call;
use crate::args::Project;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::output::style::Paint;
use crate::output::table::Cell;
use crate::output::{note, text, time};
use crate::resolve;
use sam_domain::access::route::RouteId;
use sam_domain::access::wire::{CreateProject, ProjectList, ProjectRole, ProjectView};
use sam_domain::id::Id;
use std::path::{Component, Path, PathBuf};
use url::Url;

pub(super) async fn run(context: &mut Context, command: Project) -> Result<Exit, Failure> {
    match command {
        Project::Create { repo, name, agent } => create(context, &repo, name, agent).await,
        Project::List => list(context).await,
        Project::Use { project } => choose(context, project.as_deref()).await,
        Project::Show { project } => {
            let api = context.api()?;
            let project = resolve::project(context, &api, project.as_deref()).await?;
            show(context, &project)?;
            Ok(Exit::Ok)
        }
        Project::Members(command) => super::members::run(context, command).await,
    }
}

async fn create(
    context: &mut Context,
    repo: &str,
    name: Option<String>,
    default_agent: Option<String>,
) -> Result<Exit, Failure> {
    let here = std::env::current_dir()
        .map_err(|error| Failure::local("Could not find the current directory", &error))?;
    let repository = repository(repo, &here)?;
    let (api, url, _) = context.signed_in()?;
    let body = CreateProject {
        repository,
        name,
        default_agent,
    };
    let project: ProjectView = api
        .json(Call::new(RouteId::CreateProject, &[]).body(&body)?)
        .await?;
    remember(context, &url, &project);
    if context.out.json {
        context.out.value(&project)?;
    } else {
        context.out.line(&format!(
            "Created {} for {}; it is now the current project.",
            text::clean_line(&project.name),
            text::clean_line(&project.repository)
        ))?;
        context
            .out
            .hint("Next: sam task submit \"what is to be done\" --follow");
    }
    Ok(Exit::Ok)
}

/// Makes `project` the current one. That it cannot be remembered (no place for
/// the file) does not undo what was done.
fn remember(context: &mut Context, url: &Url, project: &ProjectView) {
    if let Err(failure) = context.settings.use_project(url, &project.id) {
        note(&format!(
            "The current project could not be remembered: {failure} Use SAM_PROJECT={}.",
            project.id
        ));
    }
}

/// The repository as the server wants it: an http(s) URL or an absolute path.
fn repository(given: &str, here: &Path) -> Result<String, Failure> {
    const FORMS: &str = "Give an http(s) URL, or a path on the machine that will do the work.";
    if given.trim().is_empty() {
        return Err(Failure::usage("The repository is empty.", FORMS));
    }
    if let Some((scheme, _)) = given.split_once("://") {
        return match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" => {
                let url = Url::parse(given).map_err(|error| {
                    Failure::usage(format!("The repository's URL is wrong: {error}."), FORMS)
                })?;
                if url.password().is_some() || !url.username().is_empty() {
                    return Err(Failure::usage(
                        "The repository's URL carries a user or password.",
                        "Leave it out: it would be stored and shown. Let git on the machine know it.",
                    ));
                }
                Ok(url.to_string())
            }
            "file" => {
                let path = Url::parse(given)
                    .ok()
                    .and_then(|url| url.to_file_path().ok())
                    .ok_or_else(|| Failure::usage("The file URL is wrong.", FORMS))?;
                local(&path)
            }
            other => Err(Failure::usage(
                format!("Repositories at {other}:// are not supported."),
                FORMS,
            )),
        };
    }
    // `git@host:owner/repository`, git's other way to write an ssh address.
    if let Some((host, _)) = given.split_once(':')
        && host.contains('@')
        && !host.contains('/')
    {
        return Err(Failure::usage(
            "Repositories over ssh are not supported.",
            FORMS,
        ));
    }
    local(&here.join(given))
}

/// An absolute path without `.` and `..`, with a remark where it looks wrong
/// from here: the path is meant for the machine that does the work, which may
/// be another one.
fn local(path: &Path) -> Result<String, Failure> {
    let path = path.canonicalize().unwrap_or_else(|_| normal(path));
    if path.is_file() {
        return Err(Failure::usage(
            format!("{} is a file, not a repository.", path.display()),
            "Give the repository's directory.",
        ));
    }
    if !path.exists() {
        note(&format!(
            "{} is not on this machine; the machine that does the work must have it.",
            path.display()
        ));
    } else if !(path.join(".git").exists() || path.join("HEAD").exists()) {
        return Err(Failure::usage(
            format!("{} is not a git repository.", path.display()),
            "Give the repository's top directory, or run `git init` and commit there first.",
        ));
    }
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Failure::usage(
            "The repository's path is not valid UTF-8.",
            "Move it to a path that is.",
        )
    })
}

/// `.` and `..` resolved by their words alone.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

async fn list(context: &Context) -> Result<Exit, Failure> {
    let (api, url, _) = context.signed_in()?;
    let list: ProjectList = api.json(Call::new(RouteId::ListProjects, &[])).await?;
    let out = &context.out;
    if out.json {
        out.value(&list)?;
        return Ok(Exit::Ok);
    }
    if list.projects.is_empty() {
        out.hint("There is no project yet: sam project create --repo <url|path>");
        return Ok(Exit::Ok);
    }
    let current = context.settings.project(&url);
    let now = time::now();
    let rows: Vec<Vec<Cell>> = list
        .projects
        .iter()
        .map(|project| {
            let is_current = current == Some(&project.id);
            vec![
                Cell::new(if is_current { "*" } else { "" }).paint(Paint::Ok),
                Cell::new(&project.name).paint(Paint::Strong),
                Cell::new(&project.default_agent),
                Cell::new(time::ago(project.created_at, now)),
                Cell::new(project.id.short()).paint(Paint::Muted),
                Cell::new(&project.repository),
            ]
        })
        .collect();
    let headings = ["", "NAME", "AGENT", "CREATED", "ID", "REPOSITORY"];
    out.table(&headings, &rows)?;
    Ok(Exit::Ok)
}

async fn choose(context: &mut Context, named: Option<&str>) -> Result<Exit, Failure> {
    let (api, url, _) = context.signed_in()?;
    let project = match named.or(context.project.as_deref()) {
        Some(named) => resolve::project(context, &api, Some(named)).await?,
        None => {
            let list: ProjectList = api.json(Call::new(RouteId::ListProjects, &[])).await?;
            resolve::chosen(context, "project", list.projects, |project| {
                format!("{} {}", project.id, project.name)
            })?
        }
    };
    context.settings.use_project(&url, &project.id)?;
    if context.out.json {
        context.out.value(&project)?;
    } else {
        context.out.line(&format!(
            "{} is now the current project.",
            text::clean_line(&project.name)
        ))?;
    }
    Ok(Exit::Ok)
}

fn show(context: &Context, project: &ProjectView) -> Result<(), Failure> {
    let out = &context.out;
    if out.json {
        return out.value(project);
    }
    let facts = [
        ("name", project.name.clone()),
        ("repository", project.repository.clone()),
        ("agent", project.default_agent.clone()),
        ("your role", role(project.role).to_owned()),
        ("created", time::ago(project.created_at, time::now())),
        ("id", project.id.to_string()),
    ];
    out.facts(&facts)?;
    Ok(())
}

pub(super) const fn role(role: ProjectRole) -> &'static str {
    match role {
        ProjectRole::Viewer => "viewer",
        ProjectRole::Contributor => "contributor",
        ProjectRole::Maintainer => "maintainer",
        ProjectRole::Owner => "owner",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_become_urls_or_absolute_paths() {
        let here = Path::new("/nowhere/at/all");
        for (given, wanted) in [
            (
                "https://example.com/a/b.git",
                Some("https://example.com/a/b.git"),
            ),
            ("http://127.0.0.1:9/r", Some("http://127.0.0.1:9/r")),
            ("../there/./r", Some("/nowhere/at/there/r")),
            ("/abs/olute/../r", Some("/abs/r")),
            ("file:///abs/r", Some("/abs/r")),
            ("https://me:pw@example.com/r", None),
            ("ssh://git@example.com/r", None),
            ("git@example.com:a/b.git", None),
            ("", None),
        ] {
            assert_eq!(repository(given, here).ok().as_deref(), wanted, "{given}");
        }
    }
}
