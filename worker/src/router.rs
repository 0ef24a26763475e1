//! From a request to its handler.
//!
//! The table of `sam-domain` says which path is which route and whom it is for. [`dispatch`] has
//! one line for each route: an arm that is missing, and an arm whose principal is not the table's,
//! do not compile.

use std::pin::Pin;

use sam_domain::access::principal::PrincipalKind;
use sam_domain::access::route::{self, Method, ROUTES, Route, RouteId};
use sam_domain::error::ApiError;
use sam_platform::http;
use worker::{Env, Request, Response};

use crate::call::Call;
use crate::errors::{Answer, Failed, log};
use crate::handlers::{
    agents, api_tokens, auth, auth_sessions, bodies, budgets, credentials, device, doctor, github,
    logins, members, meta, models, nodes, people, projects, reconciliation, releases, sessions,
    setup, tasks, usage, workspaces,
};
use crate::membership::{Member, TaskMember};
use crate::principal::{
    Admin, JoinToken, ModelToken, NodeToken, Principal, Public, User, WorkspaceToken,
};
use crate::proxy;

/// What every answer says of itself.
const GUARDS: [(&str, &str); 3] = [
    ("x-content-type-options", "nosniff"),
    (
        "content-security-policy",
        "default-src 'none'; frame-ancestors 'none'",
    ),
    ("referrer-policy", "no-referrer"),
];

/// Answers a request, whatever happens to it.
pub(crate) async fn serve(request: Request, env: Env, context: &worker::Context) -> Response {
    let mut call = match Call::new(request, env, context) {
        Ok(call) => call,
        Err(error) => {
            log(&error.to_string());
            return http::error(
                400,
                "bad_request",
                "The request's URL cannot be read.",
                None,
            );
        }
    };
    let answered = answer(&mut call).await;
    http::drain(&call.request).await;
    let mut response = match answered {
        Ok(response) => response,
        Err(Failed(error)) => {
            if error.status >= 500 {
                log(&format!("{}: {}", call.id, error.code));
            }
            render(&call, &error)
        }
    };
    if response.status_code() != 101 {
        guard(&call, response.headers_mut());
    }
    response
}

/// Whatever this answers is data: no page, no script and no frame, and a browser takes it for nothing
/// else.
fn guard(call: &Call, headers: &mut worker::Headers) {
    for (name, value) in GUARDS {
        // Where a header is given already it says more; constants are what the runtime takes.
        if matches!(headers.get(name), Ok(None)) {
            let _ = headers.set(name, value);
        }
    }
    if call.secure_cookies() {
        let _ = headers.set("strict-transport-security", "max-age=31536000");
    }
}

async fn answer(call: &mut Call) -> Answer {
    #[cfg(feature = "fault-injection")]
    if let Some(answer) = crate::faults::answer(call).await {
        return answer;
    }
    let path = call.url.path().to_owned();
    let asked = method(&call.request.method());
    let allowed = match asked {
        Some(asked) => match route::find(asked, &path) {
            Ok((route, segments)) => {
                call.segments = segments;
                return dispatch(call, route).await;
            }
            Err(allowed) => allowed,
        },
        None => route::methods(&path),
    };
    if allowed.is_empty() {
        return Err(ApiError::new(404, "no_such_route", "There is no such route.").into());
    }
    let words: Vec<_> = allowed.iter().map(|method| method.word()).collect();
    let words = words.join(", ");
    let error = ApiError::new(
        405,
        "method_not_allowed",
        "This route does not know the request's method.",
    )
    .hint(format!("It knows: {words}."));
    let mut response = render(call, &error);
    response.headers_mut().set("allow", &words)?;
    Ok(response)
}

fn render(call: &Call, error: &ApiError) -> Response {
    let mut response = if let Some(dialect) = proxy::error::dialect_of(call.url.path()) {
        proxy::error::render(dialect, error, &call.id)
    } else if matches!(
        call.url.path(),
        "/api/auth/device/code" | "/api/auth/device/token"
    ) {
        device::in_words_of_oauth(error)
    } else {
        http::error_from(error, Some(&call.id))
    };
    if error.status == 401 {
        // Both are constants that the runtime takes.
        let _ = response.headers_mut().set("www-authenticate", "Bearer");
    }
    if let Some(seconds) = call.retry_after.get() {
        let _ = response
            .headers_mut()
            .set("retry-after", &seconds.to_string());
    }
    response
}

fn method(method: &worker::Method) -> Option<Method> {
    match method {
        worker::Method::Get => Some(Method::Get),
        worker::Method::Post => Some(Method::Post),
        worker::Method::Put => Some(Method::Put),
        worker::Method::Patch => Some(Method::Patch),
        worker::Method::Delete => Some(Method::Delete),
        _ => None,
    }
}

/// Whether the table says that the route is for this kind of principal, inside a project or not.
const fn is_for(id: RouteId, kind: PrincipalKind, in_project: bool) -> bool {
    let mut rest = ROUTES;
    while let Some((route, others)) = rest.split_first() {
        if route.id as usize == id as usize {
            return route.principal as usize == kind as usize && route.role.is_some() == in_project;
        }
        rest = others;
    }
    false
}

/// Whom a route is for, and whoever proved to be that.
macro_rules! principals {
    ($($principal:ident),*) => {
        /// Whom a route is for.
        #[derive(Clone, Copy)]
        enum Whom { $($principal),* }

        /// Whoever proved to be that.
        enum Presented { $($principal($principal)),* }

        impl Whom {
            async fn authenticate(self, call: &Call, route: &Route) -> Result<Presented, Failed> {
                Ok(match self {
                    $(Self::$principal => {
                        Presented::$principal($principal::authenticate(call, route).await?)
                    })*
                })
            }
        }
    };
}

principals!(
    Public,
    User,
    Admin,
    JoinToken,
    NodeToken,
    WorkspaceToken,
    ModelToken,
    Member,
    TaskMember
);

macro_rules! dispatch {
    ($($route:ident => $principal:ident, $handler:path;)*) => {
        /// Establishes the route's principal and runs its handler.
        async fn dispatch(call: &Call, route: &Route) -> Answer {
            let whom = match route.id {
                $(RouteId::$route => {
                    const {
                        assert!(
                            is_for(
                                RouteId::$route,
                                <$principal as Principal>::KIND,
                                <$principal as Principal>::IN_PROJECT,
                            ),
                            "the route table names another principal"
                        );
                    }
                    Whom::$principal
                })*
            };
            // Boxed, so that a request costs the memory of its own handler alone; behind one type, so
            // that waiting for it is written once.
            let answered: Pin<Box<dyn Future<Output = Answer> + '_>> =
                match (route.id, whom.authenticate(call, route).await?) {
                    $((RouteId::$route, Presented::$principal(principal)) => {
                        Box::pin($handler(call, principal))
                    })*
                    _ => return Err(ApiError::internal().into()),
                };
            answered.await
        }
    };
}

dispatch! {
    Healthz => Public, meta::healthz;
    Version => Public, meta::version;
    OpenApi => Public, meta::openapi;
    Catalog => Public, meta::catalog;
    CliVersion => Public, releases::version;
    CliDownload => Public, releases::download;
    CliInstall => Public, releases::install;
    AgentVersion => Public, releases::version;
    AgentDownload => Public, releases::download;
    HarnessVersion => Public, releases::version;
    HarnessDownload => Public, releases::download;
    SetupStatus => Public, setup::status;
    SetupClaim => Public, setup::claim;
    Doctor => Admin, doctor::examine;
    GetConfig => Admin, setup::config;
    PutConfig => Admin, setup::put_config;
    LinkLogin => Public, auth::link_login;
    Me => User, auth::me;
    Logout => User, auth::logout;
    CreateSignInLink => User, auth::create_link;
    InviteLogin => Public, auth::invite_login;
    ListAuthSessions => User, auth_sessions::list;
    EndOtherAuthSessions => User, auth_sessions::end_others;
    EndAuthSession => User, auth_sessions::end;
    ListApiTokens => User, api_tokens::list;
    CreateApiToken => User, api_tokens::create;
    RevokeApiToken => User, api_tokens::revoke;
    GithubStart => Public, github::start;
    GithubCallback => Public, github::callback;
    TokenLogin => Public, api_tokens::login;
    AuthorizationServer => Public, device::metadata;
    DeviceCode => Public, device::begin;
    DeviceToken => Public, device::poll;
    ApproveDevice => User, device::approve;
    DenyDevice => User, device::deny;
    GetDevice => User, device::get;
    ListPeople => Admin, people::list;
    ChangePerson => Admin, people::change;
    RemovePerson => Admin, people::remove;
    ListInvites => Admin, people::list_invites;
    CreateInvite => Admin, people::create_invite;
    RevokeInvite => Admin, people::revoke_invite;
    ListAudit => Admin, people::list_audit;
    ListProjects => User, projects::list;
    CreateProject => User, projects::create;
    GetProject => Member, projects::get;
    ListMembers => Member, members::list;
    PutMember => Member, members::put;
    RemoveMember => Member, members::remove;
    SubmitTask => Member, tasks::submit;
    ListTasks => Member, tasks::list;
    ListSessions => Member, sessions::list;
    Feed => Member, projects::feed;
    GetTask => TaskMember, tasks::get;
    CancelTask => TaskMember, tasks::cancel;
    CloseTask => TaskMember, tasks::close;
    RetryTask => TaskMember, tasks::retry;
    TaskDiff => TaskMember, tasks::diff;
    TaskFiles => TaskMember, tasks::files;
    TaskPorts => TaskMember, tasks::ports;
    TaskUsage => TaskMember, tasks::usage;
    GetSession => Member, sessions::get;
    ListMessages => Member, sessions::messages;
    SendPrompt => Member, sessions::send_prompt;
    EditPrompt => Member, sessions::edit_prompt;
    RemovePrompt => Member, sessions::remove_prompt;
    AnswerPermission => Member, sessions::answer_permission;
    GetComparison => Member, sessions::comparison;
    Choose => Member, sessions::choose;
    CancelTurn => Member, sessions::cancel_turn;
    RowBody => Member, bodies::get;
    ListNodes => User, nodes::list;
    GetNode => User, nodes::get;
    RemoveNode => User, nodes::remove;
    NodeDiagnostics => User, nodes::diagnostics;
    DrainNode => User, nodes::drain;
    UndrainNode => User, nodes::undrain;
    ShareNode => User, nodes::share;
    UnshareNode => User, nodes::unshare;
    CreateJoinToken => User, nodes::create_join_token;
    JoinNode => JoinToken, nodes::join;
    NodeLink => NodeToken, nodes::link;
    NodeTokens => NodeToken, nodes::tokens;
    NodeLogin => NodeToken, logins::of_workspace;
    Models => User, models::list;
    ChangeModel => Admin, models::change;
    PutModelDefaults => Admin, models::put_defaults;
    RefreshModels => Admin, models::refresh;
    ListAgents => User, agents::list;
    PutAgentProvider => User, agents::put;
    PutAgentLogin => User, logins::put;
    RemoveAgentLogin => User, logins::remove;
    PutDefaultAgentProvider => Admin, agents::put_default;
    ListCredentials => User, credentials::list;
    PutCredential => User, credentials::put;
    RemoveCredential => User, credentials::remove;
    ListProjectCredentials => Member, credentials::list_of_project;
    PutProjectCredential => Member, credentials::put_for_project;
    RemoveProjectCredential => Member, credentials::remove_from_project;
    ListPlatformCredentials => Admin, credentials::list_of_platform;
    PutPlatformCredential => Admin, credentials::put_for_platform;
    RemovePlatformCredential => Admin, credentials::remove_from_platform;
    RotateKey => Admin, credentials::rotate;
    PostMessages => WorkspaceToken, workspaces::messages;
    LiveSocket => WorkspaceToken, workspaces::live;
    PutAttachment => Member, bodies::put_attachment;
    PutBody => WorkspaceToken, bodies::put;
    GetBody => WorkspaceToken, bodies::get_for_workspace;
    Usage => User, usage::own;
    ProjectUsage => Member, usage::of_project;
    AllUsage => Admin, usage::of_all;
    GetBudget => User, budgets::get;
    PutBudget => User, budgets::put;
    GetProjectBudget => Member, budgets::of_project;
    PutProjectBudget => Member, budgets::put_project;
    GetAllowance => Admin, budgets::allowance;
    PutAllowance => Admin, budgets::put_allowance;
    GetReconciliation => Admin, reconciliation::get;
    Reconcile => Admin, reconciliation::run_now;
    ChatCompletions => ModelToken, proxy::chat_completions;
    Responses => ModelToken, proxy::responses;
    Messages => ModelToken, proxy::messages;
    CountTokens => ModelToken, proxy::count_tokens;
    ListModels => ModelToken, proxy::models::list;
    ListModelsForMessages => ModelToken, proxy::models::list_for_messages;
}
