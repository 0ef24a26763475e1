//! What each route answers its right principal, as data for the access test.
//!
//! The test calls every route with every kind of principal. The wrong ones must be refused with 401
//! or 403; the right one must reach its handler, which shows by an answer that only the handler
//! gives. The match is exhaustive: a route without an expectation does not compile.

use super::route::RouteId;

/// How the access test calls a route with its right principal, and what it must see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// The request's body.
    pub body: &'static str,
    /// Statuses that only the handler gives for it; with a code of its own also 401.
    pub statuses: &'static [u16],
    /// The error's code, where the status is one that the router gives as well.
    pub code: Option<&'static str>,
}

const fn answers(statuses: &'static [u16]) -> Expectation {
    Expectation {
        body: "",
        statuses,
        code: None,
    }
}

const fn takes(body: &'static str, statuses: &'static [u16]) -> Expectation {
    Expectation {
        body,
        statuses,
        code: None,
    }
}

/// The thing that the path names does not exist; the handler says so in its own words.
const fn missing() -> Expectation {
    Expectation {
        body: "",
        statuses: &[404],
        code: Some("not_found"),
    }
}

/// The handler's answer to a request that is not a WebSocket.
const NOT_A_SOCKET: &[u16] = &[426];

/// What the access test expects of a route. Ids in the path are the caller's own project, node and
/// workspace, and otherwise ids of nothing.
#[must_use]
pub const fn expectation(id: RouteId) -> Expectation {
    match id {
        RouteId::Healthz
        | RouteId::Version
        | RouteId::OpenApi
        | RouteId::Catalog
        | RouteId::CliInstall
        | RouteId::SetupStatus
        | RouteId::AuthorizationServer
        | RouteId::ListAuthSessions
        | RouteId::EndOtherAuthSessions
        | RouteId::ListApiTokens
        | RouteId::Me
        | RouteId::Logout
        | RouteId::Doctor
        | RouteId::GetConfig
        | RouteId::ListPeople
        | RouteId::ListInvites
        | RouteId::ListAudit
        | RouteId::ListProjects
        | RouteId::GetProject
        | RouteId::ListMembers
        | RouteId::ListTasks
        | RouteId::ListSessions
        | RouteId::ListNodes
        | RouteId::GetNode
        | RouteId::Models
        | RouteId::RefreshModels
        | RouteId::ListAgents
        | RouteId::ListCredentials
        | RouteId::ListProjectCredentials
        | RouteId::ListPlatformCredentials
        | RouteId::RotateKey
        | RouteId::ListModels
        | RouteId::ListModelsForMessages
        | RouteId::Usage
        | RouteId::ProjectUsage
        | RouteId::AllUsage
        | RouteId::GetBudget
        | RouteId::GetProjectBudget
        | RouteId::GetReconciliation => answers(&[200]),
        // Nothing is released where the test runs.
        RouteId::CliVersion | RouteId::AgentVersion | RouteId::HarnessVersion => Expectation {
            body: "",
            statuses: &[404],
            code: Some("nothing_released"),
        },
        // It names no platform.
        RouteId::CliDownload | RouteId::AgentDownload | RouteId::HarnessDownload => answers(&[400]),
        RouteId::ChangeModel => takes(r#"{"id":"of nobody"}"#, &[422]),
        RouteId::PutModelDefaults => takes(r#"{"defaults":{}}"#, &[200]),
        RouteId::PutAgentProvider | RouteId::PutDefaultAgentProvider => {
            takes(r#"{"mode":"sam"}"#, &[404])
        }
        RouteId::PutCredential | RouteId::PutProjectCredential | RouteId::PutPlatformCredential => {
            takes(r#"{"key":"k"}"#, &[404])
        }
        RouteId::PutConfig => takes(r#"{"settings":{"OF_NOBODY":"x"}}"#, &[400]),
        RouteId::PutAgentLogin => takes(r#"{"login":"{}"}"#, &[404]),
        RouteId::SetupClaim => takes(r#"{"claim_token":"spent"}"#, &[409]),
        RouteId::LinkLogin => takes(r#"{"link":"sam_lnk_unknown"}"#, &[410]),
        RouteId::InviteLogin => takes(r#"{"invite":"sam_inv_unknown","name":"n"}"#, &[410]),
        RouteId::TokenLogin => Expectation {
            body: r#"{"token":"sam_pat_unknown"}"#,
            statuses: &[401],
            code: Some("api_token_refused"),
        },
        // None is configured where the test runs; a browser is sent back to the sign-in page.
        RouteId::GithubStart => answers(&[503]),
        RouteId::GithubCallback => answers(&[302]),
        RouteId::CreateApiToken => takes(r#"{"name":"n"}"#, &[201]),
        // In the words of RFC 6749, which the router does not speak.
        RouteId::DeviceCode => takes("client_id=access", &[200]),
        RouteId::DeviceToken => takes("grant_type=password", &[400]),
        RouteId::ApproveDevice | RouteId::DenyDevice => {
            takes(r#"{"user_code":"BCDF-GHJK"}"#, &[404])
        }
        RouteId::CreateInvite => takes("{}", &[201]),
        // Nobody else's role changes by an empty change.
        RouteId::ChangePerson => takes("{}", &[404]),
        RouteId::PutMember => takes(r#"{"role":"viewer"}"#, &[404]),
        RouteId::CreateSignInLink | RouteId::CreateJoinToken => answers(&[201]),
        RouteId::CreateProject => takes(r#"{"repository":"/nowhere"}"#, &[201]),
        // Without its Idempotency-Key the handler refuses it, and nothing is begun.
        RouteId::SubmitTask => takes(r#"{"prompt":"hello"}"#, &[400]),
        RouteId::SendPrompt => takes(r#"{"text":"hello"}"#, &[400]),
        RouteId::AnswerPermission => takes(r#"{"option":"allow"}"#, &[404]),
        RouteId::EditPrompt => takes(r#"{"text":"hello"}"#, &[404]),
        // Work is under way on the caller's node.
        RouteId::RemoveNode => Expectation {
            body: "",
            statuses: &[409],
            code: Some("node_busy"),
        },
        // The caller's node is none that answers questions.
        RouteId::NodeDiagnostics => answers(&[409]),
        // The caller owns the node and is a member of the project.
        RouteId::DrainNode | RouteId::UndrainNode | RouteId::ShareNode | RouteId::UnshareNode => {
            answers(&[200])
        }
        RouteId::Feed | RouteId::NodeLink | RouteId::LiveSocket => answers(NOT_A_SOCKET),
        RouteId::GetTask
        | RouteId::CancelTask
        | RouteId::CloseTask
        | RouteId::RetryTask
        | RouteId::TaskDiff
        | RouteId::TaskFiles
        | RouteId::TaskPorts
        | RouteId::TaskUsage
        | RouteId::GetComparison
        | RouteId::Choose
        | RouteId::GetSession
        | RouteId::ListMessages
        | RouteId::RemovePrompt
        | RouteId::RemoveMember
        | RouteId::RemovePerson
        | RouteId::RevokeInvite
        | RouteId::RemoveAgentLogin
        | RouteId::RemoveCredential
        | RouteId::RemoveProjectCredential
        | RouteId::RemovePlatformCredential
        | RouteId::RevokeApiToken
        | RouteId::EndAuthSession
        | RouteId::GetDevice
        | RouteId::CancelTurn
        | RouteId::RowBody
        | RouteId::GetBody => missing(),
        // Without limits, as before.
        RouteId::PutBudget | RouteId::PutProjectBudget => takes("{}", &[200]),
        RouteId::GetAllowance => missing(),
        RouteId::PutAllowance => takes("{}", &[404]),
        // There is no gateway whose log could be read.
        RouteId::Reconcile => answers(&[409]),
        RouteId::JoinNode => takes(r#"{"store_id":"","name":"n"}"#, &[400]),
        RouteId::NodeTokens | RouteId::NodeLogin => takes(r#"{"workspace":"not an id"}"#, &[400]),
        RouteId::PostMessages => takes(r#"{"rows":7}"#, &[400]),
        // The bytes do not have the hash that the path names.
        RouteId::PutBody | RouteId::PutAttachment => takes("bytes", &[400]),
        RouteId::ChatCompletions
        | RouteId::Responses
        | RouteId::Messages
        | RouteId::CountTokens => takes("[]", &[400]),
    }
}
