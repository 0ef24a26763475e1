//! The API as an OpenAPI 3.1 document, made from the route table and the wire types.
//!
//! [`shape`] says what each route takes and answers. It matches exhaustively, so a route without an
//! entry does not compile. The document is kept as `docs/openapi.json`; a test fails when that file
//! is not what [`document`] returns.

use super::doctor::Diagnosis;
use super::principal::PrincipalKind;
use super::route::{ROUTES, Route, RouteId};
use super::setup::{ConfigView, PutConfig};
use super::tokens::{
    ApiTokenList, AuthSessionList, CreateApiToken, CreatedApiToken, Reach, TokenLogin,
};
use super::wire::{
    AuditList, ChangePerson, ClaimSetup, CreateInvite, CreateProject, CreatedInvite, InviteList,
    InviteLogin, JoinNode, JoinToken, Joined, LinkLogin, MemberList, MemberView, PersonList,
    PersonView, ProjectList, ProjectView, PutMember, SetupStatus, SignInLink, SignedIn, UserView,
    VersionInfo, WorkspaceTokens, WorkspaceTokensRequest,
};
use crate::budget::Limits;
use crate::budget::call::UsageSummary;
use crate::budget::reconcile::Reconciliation;
use crate::budget::wire::{BudgetView, UsageBy, UsageReport};
use crate::catalogue::Catalog;
use crate::catalogue::changes::ModelChange;
use crate::catalogue::model::Provider;
use crate::conversation::call::Done;
use crate::conversation::comparison::ComparisonView;
use crate::conversation::row::BodyRef;
use crate::conversation::wire::{
    AnswerAccepted, AnswerPermission, BatchAnswer, LiveDelta, MessageBatch, MessagePage,
    PromptAccepted, PromptView, SendPrompt, SessionList, SessionView, SubmitTask, Submitted,
    TaskList,
};
use crate::device::code::UserCode;
use crate::device::wire::{
    AccessToken, AuthorizationServer, DecideDevice, DeviceCodeRequest, DeviceCodes,
    DeviceTokenRequest, DeviceView, OAuthError,
};
use crate::error::ErrorBody;
use crate::feed::{ClientFrame, ServerFrame};
use crate::id::{
    ApiTokenId, InviteId, NodeId, ProjectId, PromptId, RowId, SessionId, TaskId, UserId,
    WorkspaceId,
};
use crate::link::frame::{AgentFrame, ObjectFrame};
use crate::link::question::{Diagnostics, FileView, PortList};
use crate::login::wire::{LoginView, PutLogin, WorkspaceLogin, WorkspaceLoginRequest};
use crate::node::wire::{NodeList, NodeView};
use crate::provider::wire::{
    AgentProvider, AgentProviders, CredentialList, CredentialView, ModelList, ModelView,
    PutAgentProvider, PutCredential, PutModelDefaults, Refreshed, Rotated,
};
use crate::release::{Arch, Os, Release};
use crate::task::TaskView;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// What travels in one direction.
enum Content {
    /// JSON of one of our types.
    Json(Value),
    /// JSON whose shape another protocol fixes.
    Foreign(&'static str),
    /// A stream of server-sent events or one JSON value, as the request asks.
    ForeignStream(&'static str),
    /// Text.
    Text,
    /// JSON or a form of one of our types, as RFC 8628 has it.
    Form(Value),
    /// Bytes.
    Bytes,
}

/// What a route takes and answers.
struct Shape {
    query: Vec<(&'static str, Value, &'static str)>,
    idempotency_key: bool,
    request: Option<Content>,
    status: u16,
    reply: Content,
    /// What the client and the server send, where the route is a WebSocket.
    frames: Option<(Value, Value)>,
}

impl Shape {
    fn taking(mut self, request: Content) -> Self {
        self.request = Some(request);
        self
    }

    fn created(mut self) -> Self {
        self.status = 201;
        self
    }

    /// Accepted under the client's key, to be worked on afterwards.
    fn accepted(mut self) -> Self {
        self.status = 202;
        self.idempotency_key = true;
        self
    }

    /// Accepted, to be worked on afterwards; repeating it is harmless without a key.
    fn under_way(mut self) -> Self {
        self.status = 202;
        self
    }

    fn query(mut self, name: &'static str, schema: Value, what: &'static str) -> Self {
        self.query.push((name, schema, what));
        self
    }

    fn paged<T: JsonSchema>(self, generator: &mut SchemaGenerator, most: u32) -> Self {
        let cursor = of::<T>(generator);
        self.query("before", cursor, "Only what is older than this one.")
            .query(
                "limit",
                json!({"type": "integer", "minimum": 1, "maximum": most, "default": most}),
                "At most this many.",
            )
    }
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

fn answers(reply: Content) -> Shape {
    Shape {
        query: Vec::new(),
        idempotency_key: false,
        request: None,
        status: 200,
        reply,
        frames: None,
    }
}

fn json<T: JsonSchema>(generator: &mut SchemaGenerator) -> Shape {
    answers(Content::Json(of::<T>(generator)))
}

/// Sends a browser elsewhere.
fn redirect() -> Shape {
    let mut shape = answers(Content::Text);
    shape.status = 302;
    shape
}

fn body<T: JsonSchema>(generator: &mut SchemaGenerator) -> Content {
    Content::Json(of::<T>(generator))
}

fn socket<Up: JsonSchema, Down: JsonSchema>(generator: &mut SchemaGenerator) -> Shape {
    let mut shape = answers(Content::Text);
    shape.status = 101;
    shape.frames = Some((of::<Up>(generator), of::<Down>(generator)));
    shape
}

/// What a route takes and answers.
fn shape(id: RouteId, g: &mut SchemaGenerator) -> Shape {
    match id {
        RouteId::Healthz => json::<Done>(g),
        RouteId::Version => json::<VersionInfo>(g),
        RouteId::CliVersion | RouteId::AgentVersion | RouteId::HarnessVersion => json::<Release>(g),
        RouteId::CliDownload | RouteId::AgentDownload | RouteId::HarnessDownload => {
            answers(Content::Bytes)
                .query(
                    "os",
                    of::<Os>(g),
                    "The operating system that it is to run on.",
                )
                .query("arch", of::<Arch>(g), "The processor that it is to run on.")
        }
        RouteId::CliInstall => answers(Content::Text),
        RouteId::OpenApi => answers(Content::Foreign("An OpenAPI 3.1 document.")),
        RouteId::Catalog => json::<Catalog>(g),
        RouteId::SetupStatus => json::<SetupStatus>(g),
        RouteId::SetupClaim => json::<SignedIn>(g).taking(body::<ClaimSetup>(g)),
        RouteId::GetConfig => json::<ConfigView>(g),
        RouteId::PutConfig => json::<ConfigView>(g).taking(body::<PutConfig>(g)),
        RouteId::Doctor => json::<Diagnosis>(g),
        RouteId::LinkLogin => json::<SignedIn>(g).taking(body::<LinkLogin>(g)),
        RouteId::InviteLogin => json::<SignedIn>(g).taking(body::<InviteLogin>(g)),
        RouteId::ListAuthSessions => json::<AuthSessionList>(g),
        RouteId::EndOtherAuthSessions | RouteId::EndAuthSession | RouteId::RevokeApiToken => {
            json::<Done>(g)
        }
        RouteId::ListApiTokens => json::<ApiTokenList>(g),
        RouteId::CreateApiToken => json::<CreatedApiToken>(g)
            .created()
            .taking(body::<CreateApiToken>(g)),
        RouteId::GithubStart => redirect().query(
            "back",
            json!({"type": "string"}),
            "Where to go once signed in.",
        ),
        RouteId::GithubCallback => redirect()
            .query("code", json!({"type": "string"}), "As GitHub sends it.")
            .query("state", json!({"type": "string"}), "As GitHub sends it."),
        RouteId::TokenLogin => json::<SignedIn>(g).taking(body::<TokenLogin>(g)),
        RouteId::AuthorizationServer => json::<AuthorizationServer>(g),
        RouteId::DeviceCode => {
            json::<DeviceCodes>(g).taking(Content::Form(of::<DeviceCodeRequest>(g)))
        }
        RouteId::DeviceToken => {
            json::<AccessToken>(g).taking(Content::Form(of::<DeviceTokenRequest>(g)))
        }
        RouteId::GetDevice => json::<DeviceView>(g),
        RouteId::ApproveDevice | RouteId::DenyDevice => {
            json::<DeviceView>(g).taking(body::<DecideDevice>(g))
        }
        RouteId::ListPeople => json::<PersonList>(g),
        RouteId::ChangePerson => json::<PersonView>(g).taking(body::<ChangePerson>(g)),
        RouteId::RemovePerson | RouteId::RevokeInvite | RouteId::RemoveMember => json::<Done>(g),
        RouteId::ListInvites => json::<InviteList>(g),
        RouteId::CreateInvite => json::<CreatedInvite>(g)
            .created()
            .taking(body::<CreateInvite>(g)),
        RouteId::ListAudit => json::<AuditList>(g),
        RouteId::ListMembers => json::<MemberList>(g),
        RouteId::PutMember => json::<MemberView>(g).taking(body::<PutMember>(g)),
        RouteId::Me => json::<UserView>(g),
        RouteId::Logout => json::<Done>(g),
        RouteId::CreateSignInLink => json::<SignInLink>(g).created(),
        RouteId::ListProjects => json::<ProjectList>(g),
        RouteId::CreateProject => json::<ProjectView>(g)
            .created()
            .taking(body::<CreateProject>(g)),
        RouteId::GetProject => json::<ProjectView>(g),
        RouteId::SubmitTask => json::<Submitted>(g)
            .accepted()
            .taking(body::<SubmitTask>(g)),
        RouteId::RetryTask => json::<Submitted>(g).accepted(),
        RouteId::ListTasks => json::<TaskList>(g).paged::<TaskId>(g, 100),
        RouteId::ListSessions => json::<SessionList>(g).paged::<SessionId>(g, 100),
        RouteId::Feed => socket::<ClientFrame, ServerFrame>(g),
        RouteId::GetTask | RouteId::CancelTask | RouteId::CloseTask => json::<TaskView>(g),
        RouteId::TaskDiff | RouteId::RowBody | RouteId::GetBody => answers(Content::Text),
        RouteId::TaskFiles => json::<FileView>(g)
            .query(
                "path",
                json!({"type": "string"}),
                "Below the checkout; the checkout itself when absent.",
            )
            .query(
                "offset",
                json!({"type": "integer", "minimum": 0}),
                "From which byte of a file on.",
            ),
        RouteId::TaskPorts => json::<PortList>(g),
        RouteId::NodeDiagnostics => json::<Diagnostics>(g),
        RouteId::TaskUsage => json::<UsageSummary>(g),
        RouteId::Usage | RouteId::ProjectUsage | RouteId::AllUsage => {
            let by = of::<UsageBy>(g);
            let day = json!({"type": "string", "format": "date"});
            json::<UsageReport>(g)
                .query("by", by, "What to group by; `day` when absent.")
                .query(
                    "from",
                    day.clone(),
                    "The first day; that of the month when absent.",
                )
                .query("to", day, "The last day; today when absent.")
                .query(
                    "format",
                    json!({"type": "string", "enum": ["json", "csv"]}),
                    "CSV also by `Accept: text/csv`.",
                )
                .query(
                    "after",
                    json!({"type": "string"}),
                    "Of everybody's: the person up to whom the page before told, its `next`.",
                )
        }
        RouteId::GetBudget | RouteId::GetProjectBudget | RouteId::GetAllowance => {
            json::<BudgetView>(g)
        }
        RouteId::PutBudget | RouteId::PutProjectBudget | RouteId::PutAllowance => {
            json::<BudgetView>(g).taking(body::<Limits>(g))
        }
        RouteId::GetReconciliation => json::<Reconciliation>(g),
        RouteId::Reconcile => json::<Reconciliation>(g).query(
            "settled_for",
            json!({"type": "integer", "minimum": 0}),
            "How old records are at least, in seconds; 60 when absent.",
        ),
        RouteId::GetSession => json::<SessionView>(g),
        RouteId::ListMessages => {
            let after = of::<RowId>(g);
            json::<MessagePage>(g).paged::<RowId>(g, 500).query(
                "after",
                after,
                "Only what is newer than this one.",
            )
        }
        RouteId::SendPrompt => json::<PromptAccepted>(g)
            .accepted()
            .taking(body::<SendPrompt>(g)),
        RouteId::EditPrompt => json::<PromptView>(g).taking(body::<SendPrompt>(g)),
        RouteId::AnswerPermission => json::<AnswerAccepted>(g)
            .under_way()
            .taking(body::<AnswerPermission>(g)),
        RouteId::GetComparison => json::<ComparisonView>(g),
        RouteId::RemovePrompt | RouteId::CancelTurn | RouteId::RemoveNode | RouteId::Choose => {
            json::<Done>(g)
        }
        RouteId::ListNodes => json::<NodeList>(g),
        RouteId::GetNode
        | RouteId::DrainNode
        | RouteId::UndrainNode
        | RouteId::ShareNode
        | RouteId::UnshareNode => json::<NodeView>(g),
        RouteId::CreateJoinToken => json::<JoinToken>(g).created(),
        RouteId::JoinNode => json::<Joined>(g).taking(body::<JoinNode>(g)),
        RouteId::NodeLink => socket::<AgentFrame, ObjectFrame>(g),
        RouteId::NodeTokens => json::<WorkspaceTokens>(g).taking(body::<WorkspaceTokensRequest>(g)),
        RouteId::Models => json::<ModelList>(g),
        RouteId::ChangeModel => json::<ModelView>(g).taking(body::<ModelChange>(g)),
        RouteId::PutModelDefaults => json::<ModelList>(g).taking(body::<PutModelDefaults>(g)),
        RouteId::RefreshModels => json::<Refreshed>(g),
        RouteId::ListAgents => json::<AgentProviders>(g),
        RouteId::PutAgentProvider | RouteId::PutDefaultAgentProvider => {
            json::<AgentProvider>(g).taking(body::<PutAgentProvider>(g))
        }
        RouteId::PutAgentLogin => json::<LoginView>(g).taking(body::<PutLogin>(g)),
        RouteId::NodeLogin => json::<WorkspaceLogin>(g).taking(body::<WorkspaceLoginRequest>(g)),
        RouteId::ListCredentials
        | RouteId::ListProjectCredentials
        | RouteId::ListPlatformCredentials => json::<CredentialList>(g),
        RouteId::PutCredential | RouteId::PutProjectCredential | RouteId::PutPlatformCredential => {
            json::<CredentialView>(g).taking(body::<PutCredential>(g))
        }
        RouteId::RemoveAgentLogin
        | RouteId::RemoveCredential
        | RouteId::RemoveProjectCredential
        | RouteId::RemovePlatformCredential => json::<Done>(g),
        RouteId::RotateKey => json::<Rotated>(g),
        RouteId::PostMessages => json::<BatchAnswer>(g)
            .taking(body::<MessageBatch>(g))
            .query(
                "sent_at",
                json!({"type": "integer", "minimum": 0}),
                "Now, by the clock that dates the rows, in milliseconds since the Unix epoch.",
            ),
        RouteId::LiveSocket => socket::<LiveDelta, ()>(g),
        RouteId::PutBody | RouteId::PutAttachment => json::<BodyRef>(g).taking(Content::Bytes),
        RouteId::ChatCompletions => answers(Content::ForeignStream(
            "A chat completion, as the upstream answers it.",
        ))
        .taking(Content::Foreign(
            "A chat completion request. `model` may be absent or `sam` for the configured one.",
        )),
        RouteId::Responses => answers(Content::ForeignStream(
            "A response, as the upstream answers it.",
        ))
        .taking(Content::Foreign(
            "A Responses request. `model` may be absent or `sam` for the configured one.",
        )),
        RouteId::Messages => answers(Content::ForeignStream(
            "A message, as the upstream answers it.",
        ))
        .taking(Content::Foreign(
            "A Messages request. `model` may be absent or `sam` for the configured one.",
        )),
        RouteId::CountTokens => answers(Content::Foreign(
            "`input_tokens`, as the upstream counts; with `x-sam-estimated`, about as many.",
        ))
        .taking(Content::Foreign("A Messages request without a bound.")),
        RouteId::ListModels => answers(Content::Foreign(
            "A list of models, as in the OpenAI API; as in the Anthropic API where the request has \
             `anthropic-version`.",
        )),
        RouteId::ListModelsForMessages => answers(Content::Foreign(
            "A list of models, as in the Anthropic API.",
        )),
    }
}

fn content(content: Content) -> Option<Value> {
    let foreign = |what: &str| json!({"type": "object", "description": what});
    Some(match content {
        Content::Json(schema) => json!({"application/json": {"schema": schema}}),
        Content::Foreign(what) => json!({"application/json": {"schema": foreign(what)}}),
        Content::ForeignStream(what) => json!({
            "application/json": {"schema": foreign(what)},
            "text/event-stream": {"schema": {"type": "string"}},
        }),
        Content::Text => json!({"text/plain": {"schema": {"type": "string"}}}),
        Content::Form(schema) => json!({
            "application/x-www-form-urlencoded": {"schema": schema},
            "application/json": {"schema": schema},
        }),
        Content::Bytes => json!({"application/octet-stream": {"schema": {}}}),
    })
}

/// The schema of a `{…}` segment, by its name.
fn segment(name: &str, g: &mut SchemaGenerator) -> Value {
    match name {
        "project" => of::<ProjectId>(g),
        "task" => of::<TaskId>(g),
        "session" => of::<SessionId>(g),
        "prompt" => of::<PromptId>(g),
        "permission" => of::<RowId>(g),
        "node" => of::<NodeId>(g),
        "workspace" => of::<WorkspaceId>(g),
        "user" => of::<UserId>(g),
        "invite" => of::<InviteId>(g),
        "provider" => of::<Provider>(g),
        "token" => of::<ApiTokenId>(g),
        "user_code" => of::<UserCode>(g),
        "sha256" => json!({"type": "string", "pattern": "^[0-9a-f]{64}$"}),
        _ => json!({"type": "string"}),
    }
}

fn parameters(route: &Route, shape: &Shape, g: &mut SchemaGenerator) -> Vec<Value> {
    let mut parameters = Vec::new();
    for part in route.path.split('/') {
        if let Some(name) = part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
            let schema = segment(name, g);
            parameters
                .push(json!({"name": name, "in": "path", "required": true, "schema": schema}));
        }
    }
    for (name, schema, what) in &shape.query {
        parameters
            .push(json!({"name": name, "in": "query", "schema": schema, "description": what}));
    }
    if shape.idempotency_key {
        parameters.push(json!({
            "name": "Idempotency-Key",
            "in": "header",
            "required": true,
            "description": "The client's own key for this intent. Repeating the request with it is \
                harmless; with another body it is refused (409).",
            "schema": {"type": "string", "minLength": 1, "maxLength": 200},
        }));
    }
    parameters
}

/// The security requirement of a route; any one of the listed schemes does.
fn security(kind: PrincipalKind) -> Value {
    match kind {
        PrincipalKind::Public => json!([]),
        PrincipalKind::User | PrincipalKind::Admin => {
            json!([{"session": []}, {"cookie": []}, {"api_token": []}])
        }
        PrincipalKind::JoinToken => json!([{"join_token": []}]),
        PrincipalKind::NodeToken => json!([{"node_token": []}]),
        PrincipalKind::WorkspaceToken => json!([{"workspace_token": []}]),
        PrincipalKind::ModelToken => json!([{"model_token": []}]),
    }
}

/// What a token of a person needs for a route: a scope, or that it is none but a session.
fn need(route: &Route) -> Option<&'static str> {
    if !matches!(route.principal, PrincipalKind::User | PrincipalKind::Admin) {
        return None;
    }
    match route.reach {
        Reach::Any => None,
        Reach::Scope(scope) => Some(scope.word()),
        Reach::Person => Some("session"),
    }
}

fn schemes() -> Value {
    let bearer = |what: &str| json!({"type": "http", "scheme": "bearer", "description": what});
    json!({
        "session": bearer("A person's session, `sam_ses_…`."),
        "cookie": {
            "type": "apiKey", "in": "cookie", "name": "sam_session",
            "description": "The same session in a browser. Requests that change something also \
                send the header `x-sam-csrf: 1`; WebSockets come from our own origin.",
        },
        "api_token": bearer("A person's API token, `sam_pat_…`; `x-needs` names the scope it needs."),
        "join_token": bearer("A single-use join token, `sam_join_…`."),
        "node_token": bearer("A node's token, `sam_nod_…`; reaches what is placed on it."),
        "workspace_token": bearer("One workspace's token, `sam_wsp_…`; an hour."),
        "model_token": bearer("One workspace's model token, `sam_mdl_…`; an hour."),
    })
}

fn operation(route: &Route, g: &mut SchemaGenerator) -> Value {
    let shape = shape(route.id, g);
    let error = if route.path.starts_with("/ai/") {
        json!({"type": "object", "description": "An error in the shape of the OpenAI API."})
    } else if matches!(route.id, RouteId::DeviceCode | RouteId::DeviceToken) {
        of::<OAuthError>(g)
    } else {
        of::<ErrorBody>(g)
    };
    let mut operation = json!({
        "operationId": format!("{:?}", route.id),
        "summary": route.summary,
        "security": security(route.principal),
    });
    if let Some(role) = route.role {
        let role = serde_json::to_value(role).unwrap_or_default();
        set(&mut operation, "x-least-role", Some(role));
    }
    if let Some(need) = need(route) {
        set(&mut operation, "x-needs", Some(need.into()));
    }
    let parameters = parameters(route, &shape, g);
    let mut reply = json!({"description": "Done."});
    if shape.frames.is_none() {
        set(&mut reply, "content", content(shape.reply));
    } else {
        set(&mut reply, "description", Some("A WebSocket.".into()));
    }
    let mut responses = json!({
        "default": {
            "description": "Refused or failed.",
            "content": {"application/json": {"schema": error}},
        },
    });
    set(&mut responses, &shape.status.to_string(), Some(reply));
    if !parameters.is_empty() {
        set(&mut operation, "parameters", Some(parameters.into()));
    }
    if let Some(request) = shape.request {
        let request = json!({"required": true, "content": content(request)});
        set(&mut operation, "requestBody", Some(request));
    }
    set(&mut operation, "responses", Some(responses));
    if let Some((client, server)) = shape.frames {
        let frames = json!({"client": client, "server": server});
        set(&mut operation, "x-websocket-frames", Some(frames));
    }
    operation
}

fn set(target: &mut Value, key: &str, value: Option<Value>) {
    if let (Some(map), Some(value)) = (target.as_object_mut(), value) {
        map.insert(key.to_owned(), value);
    }
}

/// The document.
#[must_use]
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let operation = operation(route, &mut generator);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        set(path, &route.method.word().to_lowercase(), Some(operation));
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "SAM",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The control plane's HTTP API.",
        },
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": schemes(),
        },
    });
    plain_descriptions(&mut document);
    document
}

/// Descriptions come from doc comments; their links into the code mean nothing outside it.
fn plain_descriptions(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if key == "description" => *text = plain(text),
                    other => plain_descriptions(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(plain_descriptions),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("[`") {
        let Some((name, after)) = after.split_once("`]") else {
            break;
        };
        out.push_str(before);
        out.push('`');
        out.push_str(name);
        out.push('`');
        rest = match after
            .strip_prefix('(')
            .and_then(|link| link.split_once(')'))
        {
            Some((_, after)) => after,
            None => after,
        };
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_into_the_code_become_words() {
        for (given, expected) in [
            ("see [`A`].", "see `A`."),
            ("see [`A`](crate::A) and [`B`]", "see `A` and `B`"),
            ("an array [1]", "an array [1]"),
            ("open [`x", "open [`x"),
        ] {
            assert_eq!(plain(given), expected);
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn check(value: &Value, schemas: &Value) {
            match value {
                Value::Object(map) => {
                    if let Some(Value::String(reference)) = map.get("$ref") {
                        let name = reference
                            .strip_prefix("#/components/schemas/")
                            .expect(reference);
                        assert!(schemas.get(name).is_some(), "{reference}");
                    }
                    map.values().for_each(|value| check(value, schemas));
                }
                Value::Array(items) => items.iter().for_each(|value| check(value, schemas)),
                _ => {}
            }
        }
        let document = document();
        check(&document, &document["components"]["schemas"]);
    }
}
