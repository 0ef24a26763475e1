//! Every route of the control plane.
//!
//! This table feeds the router, the OpenAPI document and the access test. A
//! route is for one kind of principal; the router refuses everyone else before
//! the handler runs, and the handler gets the principal as an argument.
//!
//! A route inside a project is for its members and names the least role:
//! `User(Contributor)`. To everybody else it answers as if there were nothing.

use super::principal::PrincipalKind;
use super::tokens::{Reach, Scope};
use super::wire::ProjectRole;
use crate::limit::LimitName;
use PrincipalKind::{Admin, JoinToken, ModelToken, NodeToken, Public, User, WorkspaceToken};
use serde::{Deserialize, Serialize};

/// An HTTP method that routes use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Reads.
    Get,
    /// Creates or acts.
    Post,
    /// Stores at a name.
    Put,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// The word on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// One route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its name, by which the router finds the handler.
    pub id: RouteId,
    /// The method.
    pub method: Method,
    /// The path; `{name}` matches one segment.
    pub path: &'static str,
    /// Who may call it.
    pub principal: PrincipalKind,
    /// The least role in the project that the path leads into, if it leads into one.
    pub role: Option<ProjectRole>,
    /// What a person's credential needs for it; of no meaning for machines' tokens.
    pub reach: Reach,
    /// How often one address may call it; absent where a credential comes first.
    pub limit: Option<LimitName>,
    /// What it does, in a few words: for the API document alone.
    #[cfg(feature = "schema")]
    pub summary: &'static str,
}

macro_rules! routes {
    ($($id:ident $method:ident $path:literal $principal:ident $(($role:ident))? $summary:literal;)*) => {
        /// The name of a route.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum RouteId { $(#[doc = $summary] $id,)* }

        /// All routes.
        pub const ROUTES: &[Route] = &[$(Route {
            id: RouteId::$id,
            method: Method::$method,
            path: $path,
            principal: $principal,
            role: routes!(@role $($role)?),
            reach: reach(RouteId::$id, Method::$method, PrincipalKind::$principal),
            limit: limit(RouteId::$id),
            #[cfg(feature = "schema")]
            summary: $summary,
        },)*];
    };
    (@role) => { None };
    (@role $role:ident) => { Some(ProjectRole::$role) };
}

routes! {
    Healthz Get "/healthz" Public "Whether the control plane answers";
    Version Get "/api/version" Public "The running version";
    OpenApi Get "/api/openapi.json" Public "This API as an OpenAPI document";
    Catalog Get "/api/catalog" Public "Agents, models and statuses";
    CliVersion Get "/api/cli/version" Public "The released command line: its version, platforms and checksums";
    CliDownload Get "/api/cli/download" Public "The command line for a platform, with its SHA-256 in `x-checksum-sha256`";
    CliInstall Get "/api/cli/install" Public "A shell script that installs the command line and compares its checksum";
    AgentVersion Get "/api/agent/version" Public "The released node agent: its version, platforms and checksums";
    AgentDownload Get "/api/agent/download" Public "The node agent for a platform, with its SHA-256 in `x-checksum-sha256`";
    HarnessVersion Get "/api/harness/version" Public "The released harness: its version, platforms and checksums";
    HarnessDownload Get "/api/harness/download" Public "The harness for a platform, with its SHA-256 in `x-checksum-sha256`";
    SetupStatus Get "/api/setup/status" Public "Whether the installation is claimed, and where model calls go";
    SetupClaim Post "/api/setup/claim" Public "Claim the installation: makes the first admin, once";
    Doctor Post "/api/setup/doctor" Admin "Look over what the installation is bound and set to";
    GetConfig Get "/api/setup/config" Admin "Which settings are set, and where; never their values";
    PutConfig Put "/api/setup/config" Admin "Set or forget settings that can be kept in the app";
    LinkLogin Post "/api/auth/link-login" Public "Sign in with a single-use link";
    Me Get "/api/auth/me" User "Who is signed in";
    Logout Post "/api/auth/logout" User "End this session";
    CreateSignInLink Post "/api/auth/sign-in-links" User "Mint a single-use sign-in link for oneself";
    InviteLogin Post "/api/auth/invite-login" Public "Come in with an invite: makes a person and signs them in, once";
    ListAuthSessions Get "/api/auth/sessions" User "One's open sessions";
    EndOtherAuthSessions Delete "/api/auth/sessions" User "End all one's sessions but this one";
    EndAuthSession Delete "/api/auth/sessions/{handle}" User "End one of one's sessions";
    ListApiTokens Get "/api/auth/tokens" User "One's API tokens";
    CreateApiToken Post "/api/auth/tokens" User "Make an API token; its secret is shown once";
    RevokeApiToken Delete "/api/auth/tokens/{token}" User "Revoke an API token and end what was opened with it";
    GithubStart Get "/api/auth/github/start" Public "Go to GitHub to sign in";
    GithubCallback Get "/api/auth/github/callback" Public "Come back from GitHub, signed in";
    TokenLogin Post "/api/auth/token-login" Public "Open a session with an API token";
    AuthorizationServer Get "/.well-known/oauth-authorization-server" Public "Where and how programs are signed in (RFC 8414)";
    DeviceCode Post "/api/auth/device/code" Public "Begin a device flow (RFC 8628)";
    DeviceToken Post "/api/auth/device/token" Public "Poll for the session of a device flow (RFC 8628)";
    ApproveDevice Post "/api/auth/device/approve" User "Sign a program in, after comparing its code";
    DenyDevice Post "/api/auth/device/deny" User "Refuse to sign a program in";
    GetDevice Get "/api/auth/device/{user_code}" User "Who asks to be signed in with a code, and from where";
    ListPeople Get "/api/people" Admin "Everybody of the installation";
    ChangePerson Patch "/api/people/{user}" Admin "Change a person's role, suspend them or let them back in";
    RemovePerson Delete "/api/people/{user}" Admin "Remove a person for good; what they wrote stays";
    ListInvites Get "/api/people/invites" Admin "Invites that can still be used";
    CreateInvite Post "/api/people/invites" Admin "Mint a single-use invite for a new person";
    RevokeInvite Delete "/api/people/invites/{invite}" Admin "Take an invite back";
    ListAudit Get "/api/audit" Admin "Who changed access to what, newest first";
    ListProjects Get "/api/projects" User "The projects one is a member of";
    CreateProject Post "/api/projects" User "Create a project";
    GetProject Get "/api/projects/{project}" User(Viewer) "One project";
    ListMembers Get "/api/projects/{project}/members" User(Viewer) "The project's members";
    PutMember Put "/api/projects/{project}/members/{user}" User(Maintainer) "Add a member or change their role";
    RemoveMember Delete "/api/projects/{project}/members/{user}" User(Viewer) "Remove a member as a maintainer, or leave";
    SubmitTask Post "/api/projects/{project}/tasks" User(Contributor) "Submit a task";
    ListTasks Get "/api/projects/{project}/tasks" User(Viewer) "The project's tasks, newest first";
    ListSessions Get "/api/projects/{project}/sessions" User(Viewer) "The project's conversations, newest first";
    Feed Get "/api/projects/{project}/feed" User(Viewer) "Follow the project (WebSocket)";
    GetTask Get "/api/tasks/{task}" User(Viewer) "One task";
    CancelTask Post "/api/tasks/{task}/cancel" User(Contributor) "Cancel a task";
    CloseTask Post "/api/tasks/{task}/close" User(Contributor) "Close a conversation-mode task: commit and push";
    RetryTask Post "/api/tasks/{task}/retry" User(Contributor) "Do the work of a task that is over again from the beginning, as a new task";
    TaskDiff Get "/api/tasks/{task}/diff" User(Viewer) "The task's diff against its base (text)";
    TaskFiles Get "/api/tasks/{task}/files" User(Viewer) "A file or folder of the task's workspace, as it is on the machine now";
    TaskPorts Get "/api/tasks/{task}/ports" User(Viewer) "The ports that programs in the task's workspace listen on now";
    TaskUsage Get "/api/tasks/{task}/usage" User(Viewer) "Model calls of a task, as the upstream reported them";
    GetSession Get "/api/projects/{project}/sessions/{session}" User(Viewer) "One conversation";
    ListMessages Get "/api/projects/{project}/sessions/{session}/messages" User(Viewer) "Rows of a conversation, by page";
    SendPrompt Post "/api/projects/{project}/sessions/{session}/prompts" User(Contributor) "Send a prompt";
    EditPrompt Patch "/api/projects/{project}/sessions/{session}/prompts/{prompt}" User(Contributor) "Change the words of a queued prompt: one's own, or as a maintainer anyone's";
    RemovePrompt Delete "/api/projects/{project}/sessions/{session}/prompts/{prompt}" User(Contributor) "Take back a queued prompt: one's own, or as a maintainer anyone's";
    AnswerPermission Post "/api/projects/{project}/sessions/{session}/permissions/{permission}" User(Contributor) "Answer what the agent asked; the first answer counts";
    GetComparison Get "/api/projects/{project}/sessions/{session}/comparison" User(Viewer) "The conversations that do the same work as this one, their tasks, and which was chosen";
    Choose Post "/api/projects/{project}/sessions/{session}/choose" User(Contributor) "Choose this one of the conversations that do the same work; the others stay";
    CancelTurn Post "/api/projects/{project}/sessions/{session}/cancel" User(Contributor) "Stop the agent's current turn";
    RowBody Get "/api/projects/{project}/sessions/{session}/bodies/{sha256}" User(Viewer) "A body that a row names";
    ListNodes Get "/api/nodes" User "One's machines";
    GetNode Get "/api/nodes/{node}" User "One machine";
    RemoveNode Delete "/api/nodes/{node}" User "Take out one's machine that has no work, or with `force=true` any";
    NodeDiagnostics Get "/api/nodes/{node}/diagnostics" User "What one's machine knows of itself now, without secrets";
    DrainNode Put "/api/nodes/{node}/drain" User "Let one's machine end its work and take no more";
    UndrainNode Delete "/api/nodes/{node}/drain" User "Let one's machine take work again";
    ShareNode Put "/api/nodes/{node}/shares/{project}" User "Let one's machine take a project's tasks beside one's own";
    UnshareNode Delete "/api/nodes/{node}/shares/{project}" User "Let one's machine take a project's tasks no more";
    CreateJoinToken Post "/api/nodes/join-tokens" User "Mint a token that joins one machine";
    JoinNode Post "/api/nodes/join" JoinToken "Join as a node";
    NodeLink Get "/api/nodes/{node}/link" NodeToken "The node link (WebSocket)";
    NodeTokens Post "/api/nodes/{node}/tokens" NodeToken "Short-lived tokens for a workspace placed on the node";
    NodeLogin Post "/api/nodes/{node}/logins" NodeToken "The login of a workspace's agent, where its owner chose to use one, for a machine of theirs";
    Models Get "/api/models" User "The catalogue's models, with what they take, give and cost";
    ChangeModel Patch "/api/models" Admin "Add a model, or change what the catalogue says of one; null is what the product says";
    PutModelDefaults Put "/api/models/defaults" Admin "Choose the models that are used where nobody names one";
    RefreshModels Post "/api/models/refresh" Admin "Ask the providers which models they have";
    ListAgents Get "/api/agents" User "Whose access to models one's agents use";
    PutAgentProvider Put "/api/agents/{agent}/provider" User "Choose whose access to models one's agent uses";
    PutAgentLogin Put "/api/agents/{agent}/login" User "Store one's subscription login for an agent: its own login file";
    RemoveAgentLogin Delete "/api/agents/{agent}/login" User "Forget one's subscription login for an agent";
    PutDefaultAgentProvider Put "/api/admin/agents/{agent}/provider" Admin "Choose whose access to models the agent uses for everybody who did not choose";
    ListCredentials Get "/api/credentials" User "One's keys to model APIs, without the keys";
    PutCredential Put "/api/credentials/{provider}" User "Store or change one's key; a key that its provider refuses is stored with a warning";
    RemoveCredential Delete "/api/credentials/{provider}" User "Remove one's key";
    ListProjectCredentials Get "/api/projects/{project}/credentials" User(Viewer) "The project's keys to model APIs, without the keys";
    PutProjectCredential Put "/api/projects/{project}/credentials/{provider}" User(Maintainer) "Store or change the project's key";
    RemoveProjectCredential Delete "/api/projects/{project}/credentials/{provider}" User(Maintainer) "Remove the project's key";
    ListPlatformCredentials Get "/api/admin/credentials" Admin "The installation's keys to model APIs, without the keys";
    PutPlatformCredential Put "/api/admin/credentials/{provider}" Admin "Store or change the installation's key";
    RemovePlatformCredential Delete "/api/admin/credentials/{provider}" Admin "Remove the installation's key";
    RotateKey Post "/api/admin/rotate-key" Admin "Encrypt every stored key under the present encryption key";
    PostMessages Post "/api/workspaces/{workspace}/messages" WorkspaceToken "Store rows";
    LiveSocket Get "/api/workspaces/{workspace}/live" WorkspaceToken "Send deltas (WebSocket)";
    PutAttachment Put "/api/projects/{project}/attachments/{sha256}" User(Contributor) "Store a file by its SHA-256, to be attached to a prompt";
    PutBody Put "/api/workspaces/{workspace}/bodies/{sha256}" WorkspaceToken "Store a body by its SHA-256";
    GetBody Get "/api/workspaces/{workspace}/bodies/{sha256}" WorkspaceToken "A body of the workspace's project";
    Usage Get "/api/usage" User "What one's model calls used, by day, project, task, model or user; also as CSV";
    ProjectUsage Get "/api/projects/{project}/usage" User(Viewer) "What the project's model calls used";
    AllUsage Get "/api/admin/usage" Admin "What everybody's model calls used";
    GetBudget Get "/api/budgets" User "One's limits, and what is spent and reserved of them";
    PutBudget Put "/api/budgets" User "Set one's own limits; an administrator's hold beside them";
    GetProjectBudget Get "/api/projects/{project}/budget" User(Viewer) "The project's limits, and what is spent and reserved of them";
    PutProjectBudget Put "/api/projects/{project}/budget" User(Maintainer) "Set the project's limits";
    GetAllowance Get "/api/admin/budgets/{holder}" Admin "The budget of a person or a project";
    PutAllowance Put "/api/admin/budgets/{holder}" Admin "Set what a person or a project is allowed";
    GetReconciliation Get "/api/admin/reconciliation" Admin "How far the comparison with AI Gateway's log came";
    Reconcile Post "/api/admin/reconciliation" Admin "Compare with AI Gateway's log now";
    ChatCompletions Post "/ai/v1/chat/completions" ModelToken "Chat completions, passed to the configured upstream, translated if it speaks otherwise";
    Responses Post "/ai/v1/responses" ModelToken "Responses, passed to the configured upstream, translated if it speaks otherwise";
    Messages Post "/ai/anthropic/v1/messages" ModelToken "Anthropic Messages, passed to the configured upstream, translated if it speaks otherwise";
    CountTokens Post "/ai/anthropic/v1/messages/count_tokens" ModelToken "Tokens of a Messages request; an estimate where the upstream does not count them";
    ListModels Get "/ai/v1/models" ModelToken "The models this token may use, in the form of the OpenAI API, or with `anthropic-version` of the Anthropic API";
    ListModelsForMessages Get "/ai/anthropic/v1/models" ModelToken "The same, in the form of the Anthropic API";
}

/// What a person's credential needs: to read `read`, to change `write`, to run the installation
/// `admin`. What deviates from that is listed here.
const fn reach(id: RouteId, method: Method, principal: PrincipalKind) -> Reach {
    match (id, method, principal) {
        (RouteId::Me | RouteId::Logout, ..) => Reach::Any,
        (RouteId::CreateJoinToken, ..) => Reach::Scope(Scope::NodeJoin),
        // Whoever has a token must not make another way in with it, nor see or close the others.
        (
            RouteId::CreateSignInLink
            | RouteId::ListAuthSessions
            | RouteId::EndOtherAuthSessions
            | RouteId::EndAuthSession
            | RouteId::ListApiTokens
            | RouteId::CreateApiToken
            | RouteId::RevokeApiToken
            | RouteId::GetDevice
            | RouteId::ApproveDevice
            | RouteId::DenyDevice,
            ..,
        ) => Reach::Person,
        (_, _, PrincipalKind::Admin) => Reach::Scope(Scope::Admin),
        (_, Method::Get, _) => Reach::Scope(Scope::Read),
        _ => Reach::Scope(Scope::Write),
    }
}

/// How often one address may call what needs no credential.
const fn limit(id: RouteId) -> Option<LimitName> {
    Some(match id {
        RouteId::Healthz
        | RouteId::Version
        | RouteId::OpenApi
        | RouteId::Catalog
        | RouteId::CliVersion
        | RouteId::CliDownload
        | RouteId::CliInstall
        | RouteId::AgentVersion
        | RouteId::AgentDownload
        | RouteId::HarnessVersion
        | RouteId::HarnessDownload
        | RouteId::SetupStatus
        | RouteId::AuthorizationServer => LimitName::PublicReadAddress,
        RouteId::SetupClaim
        | RouteId::LinkLogin
        | RouteId::InviteLogin
        | RouteId::GithubStart
        | RouteId::GithubCallback => LimitName::SignInAddress,
        RouteId::TokenLogin => LimitName::TokenLoginAddress,
        RouteId::DeviceCode => LimitName::DeviceCodeAddress,
        RouteId::DeviceToken => LimitName::DeviceTokenAddress,
        _ => return None,
    })
}

/// A route that anybody may call and that has no limit does not compile.
const _: () = {
    let mut rest = ROUTES;
    while let Some((route, others)) = rest.split_first() {
        let public = matches!(route.principal, PrincipalKind::Public);
        assert!(
            public == route.limit.is_some(),
            "a public route needs a limit"
        );
        rest = others;
    }
};

/// Finds the route for a method and path, with the values of its `{…}`
/// segments in order. `Err` lists the methods that the path does have.
pub fn find(method: Method, path: &str) -> Result<(&'static Route, Vec<String>), Vec<Method>> {
    let mut allowed = Vec::new();
    for route in ROUTES {
        if let Some(values) = matches(route.path, path) {
            if route.method == method {
                return Ok((route, values));
            }
            allowed.push(route.method);
        }
    }
    Err(allowed)
}

/// The methods that a path has; none when there is no such path.
#[must_use]
pub fn methods(path: &str) -> Vec<Method> {
    ROUTES
        .iter()
        .filter(|route| matches(route.path, path).is_some())
        .map(|route| route.method)
        .collect()
}

fn matches(pattern: &str, path: &str) -> Option<Vec<String>> {
    let mut values = Vec::new();
    let mut given = path.split('/');
    for wanted in pattern.split('/') {
        let segment = given.next()?;
        if wanted.starts_with('{') {
            if segment.is_empty() {
                return None;
            }
            values.push(segment.to_owned());
        } else if wanted != segment {
            return None;
        }
    }
    given.next().is_none().then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_route_is_found_by_its_own_path_and_no_two_overlap() {
        let mut seen = BTreeSet::new();
        for route in ROUTES {
            assert!(
                seen.insert((route.method.word(), route.path)),
                "{} twice",
                route.path
            );
            let path: Vec<_> = route
                .path
                .split('/')
                .map(|s| if s.starts_with('{') { "x1" } else { s })
                .collect();
            let (found, _) = find(route.method, &path.join("/")).expect("found");
            assert_eq!(found.id, route.id);
        }
    }

    #[test]
    fn a_route_inside_a_project_names_a_role() {
        for route in ROUTES {
            let inside = ["/api/projects/{project}", "/api/tasks/{task}"];
            let is_inside = inside.iter().any(|prefix| route.path.starts_with(prefix));
            assert_eq!(route.role.is_some(), is_inside, "{}", route.path);
            assert!(
                route.role.is_none() || route.principal == User,
                "{}",
                route.path
            );
        }
    }

    #[test]
    fn a_wrong_method_names_the_right_ones() {
        assert_eq!(find(Method::Delete, "/healthz"), Err(vec![Method::Get]));
        assert_eq!(find(Method::Get, "/nowhere"), Err(vec![]));
    }
}
