//! The app's addresses.
//!
//! A secret (a sign-in link, an invite, a claim token) only ever sits in the fragment,
//! which browsers do not send; [`Route`] never holds one.

use sam_domain::id::{ProjectId, SessionId};
use sam_web_parts::page::Page;

/// Where one is in the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/`: projects.
    Home,
    /// `/sign-in`.
    SignIn,
    /// `/claim`.
    Claim,
    /// `/invite`.
    Invite,
    /// `/projects/{project}`: its conversations.
    Project(ProjectId),
    /// `/projects/{project}/new`: a new task.
    Compose(ProjectId),
    /// `/projects/{project}/sessions/{session}`: one conversation.
    Session(ProjectId, SessionId),
    /// `/nodes`: one's machines.
    Nodes,
    /// `/tools`: what one can work with beside this app.
    Tools,
    /// `/tools/cli`: the command line.
    CommandLine,
    /// `/settings`, `/usage`, `/models`, `/people`, `/setup`: a page of the administration module.
    Administration(Page),
    /// `/device`: signing a program in. The code is in the query; it opens nothing by itself.
    Device,
    /// Anything else.
    Unknown,
}

impl Route {
    /// The route a path names.
    pub(crate) fn parse(path: &str) -> Self {
        let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
        match segments.as_slice() {
            [] => Self::Home,
            ["sign-in"] => Self::SignIn,
            ["claim"] => Self::Claim,
            ["invite"] => Self::Invite,
            ["nodes"] => Self::Nodes,
            ["tools"] => Self::Tools,
            ["tools", "cli"] => Self::CommandLine,
            ["device"] => Self::Device,
            ["projects"] => Self::Home,
            ["projects", project] => project.parse().map_or(Self::Unknown, Self::Project),
            ["projects", project, "new"] => project.parse().map_or(Self::Unknown, Self::Compose),
            ["projects", project, "sessions", session] => {
                match (project.parse(), session.parse()) {
                    (Ok(project), Ok(session)) => Self::Session(project, session),
                    _ => Self::Unknown,
                }
            }
            [word] => Page::named(word).map_or(Self::Unknown, Self::Administration),
            _ => Self::Unknown,
        }
    }

    /// Its path.
    pub(crate) fn path(&self) -> String {
        match self {
            Self::Home | Self::Unknown => "/".to_owned(),
            Self::SignIn => "/sign-in".to_owned(),
            Self::Claim => "/claim".to_owned(),
            Self::Invite => "/invite".to_owned(),
            Self::Project(project) => format!("/projects/{project}"),
            Self::Compose(project) => format!("/projects/{project}/new"),
            Self::Session(project, session) => format!("/projects/{project}/sessions/{session}"),
            Self::Nodes => "/nodes".to_owned(),
            Self::Tools => "/tools".to_owned(),
            Self::CommandLine => "/tools/cli".to_owned(),
            Self::Administration(page) => format!("/{}", page.word()),
            Self::Device => "/device".to_owned(),
        }
    }

    /// The project it lies in.
    pub(crate) const fn project(&self) -> Option<&ProjectId> {
        match self {
            Self::Project(project) | Self::Compose(project) | Self::Session(project, _) => {
                Some(project)
            }
            Self::Home
            | Self::SignIn
            | Self::Claim
            | Self::Invite
            | Self::Nodes
            | Self::Tools
            | Self::CommandLine
            | Self::Administration(_)
            | Self::Device
            | Self::Unknown => None,
        }
    }

    /// The conversation it shows.
    pub(crate) const fn session(&self) -> Option<&SessionId> {
        match self {
            Self::Session(_, session) => Some(session),
            _ => None,
        }
    }

    /// Where `Esc` and the back arrow lead.
    pub(crate) fn up(&self) -> Option<Self> {
        match self {
            Self::Compose(project) | Self::Session(project, _) => {
                Some(Self::Project(project.clone()))
            }
            Self::CommandLine => Some(Self::Tools),
            Self::Project(_)
            | Self::Nodes
            | Self::Tools
            | Self::Administration(_)
            | Self::Device
            | Self::Claim
            | Self::Invite
            | Self::SignIn
            | Self::Unknown => Some(Self::Home),
            Self::Home => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_routes_agree() {
        let project = "prj_01jd8x0000000000000000000a";
        let session = "ses_01jd8x0000000000000000000b";
        for path in [
            "/".to_owned(),
            "/sign-in".to_owned(),
            "/claim".to_owned(),
            "/invite".to_owned(),
            "/nodes".to_owned(),
            "/tools".to_owned(),
            "/tools/cli".to_owned(),
            "/settings".to_owned(),
            "/usage".to_owned(),
            "/models".to_owned(),
            "/people".to_owned(),
            "/setup".to_owned(),
            "/device".to_owned(),
            format!("/projects/{project}"),
            format!("/projects/{project}/new"),
            format!("/projects/{project}/sessions/{session}"),
        ] {
            let route = Route::parse(&path);
            assert_ne!(route, Route::Unknown, "{path}");
            assert_eq!(route.path(), path);
            assert_eq!(Route::parse(&format!("{path}/")), route);
        }
        for path in ["/x", "/projects/nope", "/projects/x/sessions/y", "/nodes/1"] {
            assert_eq!(Route::parse(path), Route::Unknown, "{path}");
        }
    }
}
