//! Who a request comes from, as types.
//!
//! Each type can be made only here, by checking a credential. A handler that takes one as an
//! argument therefore cannot run without it.
//!
//! Tokens say by their prefix what they are for. One of another kind is refused as such (403); a
//! missing, unknown or expired one asks to authenticate (401). A token that is good, but for
//! another node or workspace than the path names, reads as if that did not exist (404).

use sam_domain::access::claims::{Claims, Purpose};
use sam_domain::access::principal::PrincipalKind;
use sam_domain::access::route::Route;
use sam_domain::access::tokens::{Reach, Scopes};
use sam_domain::access::wire::Role;
use sam_domain::error::ApiError;
use sam_domain::id::{NodeId, UserId, WorkspaceId};
use sam_domain::node::call::NodeCall;
use sam_domain::node::wire::NodeView;
use sam_platform::bindings;
use sam_platform::crypto::{ClaimsError, Secret, TokenHash};
use sam_platform::d1::api_tokens::ApiTokens;
use sam_platform::d1::auth_sessions::AuthSessions;
use sam_platform::d1::users;
use sam_platform::http;
use url::Url;

use crate::call::Call;
use crate::errors::{Failed, log};
use crate::limits;
use crate::objects;
use crate::origin::{self, Provenance};

/// Prefix of session tokens.
pub(crate) const SESSION: &str = "sam_ses_";
/// Prefix of API tokens.
pub(crate) const API_TOKEN: &str = "sam_pat_";
/// Prefix of join tokens.
pub(crate) const JOIN: &str = "sam_join_";
/// Prefix of node tokens; the node's id and a dot follow.
pub(crate) const NODE: &str = "sam_nod_";
/// The browser's cookie; its value is a session token.
pub(crate) const COOKIE: &str = "sam_session";

/// Something a request can be authenticated as.
pub(crate) trait Principal: Sized {
    /// The kind in the route table.
    const KIND: PrincipalKind;

    /// Whether its routes lead into a project and name the least role there.
    const IN_PROJECT: bool = false;

    /// Checks the request's credential, and what the route asks of whoever presents it.
    async fn authenticate(call: &Call, route: &Route) -> Result<Self, Failed>;
}

/// Anyone, as often as the route's limit says.
#[derive(Debug)]
pub(crate) struct Public(());

impl Principal for Public {
    const KIND: PrincipalKind = PrincipalKind::Public;

    async fn authenticate(call: &Call, route: &Route) -> Result<Self, Failed> {
        if let Some(limit) = route.limit {
            limits::by_address(call, limit).await?;
        }
        Ok(Self(()))
    }
}

/// A signed-in person.
#[derive(Debug)]
pub(crate) struct User {
    /// The person.
    pub(crate) person: users::User,
    /// The hash of the session's or API token; its handle names the session.
    pub(crate) session: TokenHash,
    /// Whether that is a session, which can be ended, and not an API token itself.
    pub(crate) is_session: bool,
    /// Whether the person's role has changed since the session was opened.
    pub(crate) is_outdated: bool,
}

impl User {
    /// Their id.
    pub(crate) fn id(&self) -> &UserId {
        &self.person.id
    }
}

impl Principal for User {
    const KIND: PrincipalKind = PrincipalKind::User;

    async fn authenticate(call: &Call, route: &Route) -> Result<Self, Failed> {
        let token = match call.bearer() {
            Some(token) if token.expose().starts_with(API_TOKEN) => {
                return by_api_token(call, route, &token).await;
            }
            Some(token) => token,
            None => {
                let token = http::cookie(&call.request, COOKIE)
                    .map(Secret::new)
                    .ok_or_else(|| missing(Self::KIND))?;
                check_origin(call)?;
                token
            }
        };
        of_kind(&token, SESSION, Self::KIND)?;
        let session = call.key()?.hash_token(SESSION, token.expose());
        let signed_in = AuthSessions(&call.access_database()?)
            .user(&session, call.now)
            .await?
            .ok_or_else(|| invalid(Self::KIND))?;
        active(&signed_in.user)?;
        reach(route, signed_in.scopes.as_ref())?;
        Ok(Self {
            person: signed_in.user,
            session,
            is_session: true,
            is_outdated: signed_in.is_outdated,
        })
    }
}

async fn by_api_token(call: &Call, route: &Route, token: &Secret) -> Result<User, Failed> {
    let hash = call.key()?.hash_token(API_TOKEN, token.expose());
    let presented = ApiTokens(&call.access_database()?)
        .present(&hash, call.now)
        .await?
        .ok_or_else(|| invalid(PrincipalKind::User))?;
    active(&presented.user)?;
    reach(route, Some(&presented.scopes))?;
    if presented.is_use_due {
        let (database, now) = (call.database()?, call.now);
        call.background.run(async move {
            if let Err(error) = ApiTokens(&database).used(&presented.id, now).await {
                log(&error.to_string());
            }
        });
    }
    Ok(User {
        person: presented.user,
        session: hash,
        is_session: false,
        is_outdated: false,
    })
}

/// The person whose session this browser's cookie is, if it is one of theirs that is not narrowed.
pub(crate) async fn whose_browser(call: &Call) -> Result<Option<users::User>, Failed> {
    let Some(token) = http::cookie(&call.request, COOKIE) else {
        return Ok(None);
    };
    let session = call.key()?.hash_token(SESSION, &token);
    let signed_in = AuthSessions(&call.database()?)
        .user(&session, call.now)
        .await?;
    Ok(signed_in
        .filter(|one| one.scopes.is_none() && active(&one.user).is_ok())
        .map(|one| one.user))
}

/// Refuses a credential whose scopes do not reach to the route; without scopes it reaches everywhere.
fn reach(route: &Route, scopes: Option<&Scopes>) -> Result<(), ApiError> {
    if route.reach.is_met_by(scopes) {
        return Ok(());
    }
    let held = scopes.map(ToString::to_string).unwrap_or_default();
    let refused = |message: String| ApiError::new(403, "scope_too_narrow", message);
    Err(match route.reach {
        Reach::Scope(wanted) => refused(format!(
            "This needs a token with the scope `{}`; yours has `{held}`.",
            wanted.word()
        ))
        .hint("Make a token with that scope: in Settings, or with `sam token create`."),
        Reach::Person | Reach::Any => refused("This cannot be done with a token.".to_owned())
            .hint("Sign in as yourself: in the browser, or with `sam auth login`."),
    })
}

/// Refuses a person who was suspended.
pub(crate) fn active(person: &users::User) -> Result<(), ApiError> {
    if person.suspended_at.is_none() {
        return Ok(());
    }
    Err(
        ApiError::new(403, "account_suspended", "Your account is suspended.")
            .hint("Ask an administrator of this installation."),
    )
}

/// A signed-in person who runs the installation.
#[derive(Debug)]
pub(crate) struct Admin {
    /// The person.
    pub(crate) user: User,
}

impl Admin {
    /// Their id.
    pub(crate) fn id(&self) -> &UserId {
        self.user.id()
    }
}

impl Principal for Admin {
    const KIND: PrincipalKind = PrincipalKind::Admin;

    async fn authenticate(call: &Call, route: &Route) -> Result<Self, Failed> {
        let user = User::authenticate(call, route).await?;
        match user.person.role {
            Role::Admin if user.is_outdated => Err(ApiError::new(
                403,
                "session_outdated",
                "Your role has changed since this session was opened.",
            )
            .hint("Reload the page; in a terminal, sign in again with `sam auth login`.")
            .into()),
            Role::Admin => Ok(Self { user }),
            Role::Member => Err(ApiError::new(
                403,
                "admin_only",
                "This is for administrators of the installation.",
            )
            .into()),
        }
    }
}

/// A machine about to join. The token is spent by the handler, in one statement.
#[derive(Debug)]
pub(crate) struct JoinToken {
    /// The hash of the presented token.
    pub(crate) hash: TokenHash,
}

impl Principal for JoinToken {
    const KIND: PrincipalKind = PrincipalKind::JoinToken;

    async fn authenticate(call: &Call, _: &Route) -> Result<Self, Failed> {
        let token = call.bearer().ok_or_else(|| missing(Self::KIND))?;
        of_kind(&token, JOIN, Self::KIND)?;
        Ok(Self {
            hash: call.key()?.hash_token(JOIN, token.expose()),
        })
    }
}

impl JoinToken {
    /// The refusal of a token that cannot be redeemed.
    pub(crate) fn refused() -> ApiError {
        invalid(PrincipalKind::JoinToken)
    }
}

/// A joined machine, acting on the node that the path names.
#[derive(Debug)]
pub(crate) struct NodeToken {
    /// The node.
    pub(crate) node: NodeId,
    /// The hash of the presented token.
    pub(crate) hash: TokenHash,
}

impl Principal for NodeToken {
    const KIND: PrincipalKind = PrincipalKind::NodeToken;

    async fn authenticate(call: &Call, _: &Route) -> Result<Self, Failed> {
        let token = call.bearer().ok_or_else(|| missing(Self::KIND))?;
        of_kind(&token, NODE, Self::KIND)?;
        let node = node_of(token.expose()).ok_or_else(|| invalid(Self::KIND))?;
        if call.id::<NodeId>(0, "node")? != node {
            return Err(ApiError::not_found("node").into());
        }
        let hash = call.key()?.hash_token(NODE, token.expose());
        let ask = NodeCall::Authenticate {
            token_hmac: hash.as_str().to_owned(),
        };
        match objects::node::<NodeView>(call, &node, &ask).await {
            Ok(_) => Ok(Self { node, hash }),
            Err(error) if matches!(error.0.status, 401 | 404) => Err(invalid(Self::KIND).into()),
            Err(error) => Err(error),
        }
    }
}

/// The node that a node token names.
fn node_of(token: &str) -> Option<NodeId> {
    let (node, secret) = token.strip_prefix(NODE)?.split_once('.')?;
    (!secret.is_empty()).then(|| node.parse().ok())?
}

/// A node on behalf of the workspace that the path names.
#[derive(Debug)]
pub(crate) struct WorkspaceToken {
    /// The verified scope.
    pub(crate) claims: Claims,
}

impl Principal for WorkspaceToken {
    const KIND: PrincipalKind = PrincipalKind::WorkspaceToken;

    async fn authenticate(call: &Call, _: &Route) -> Result<Self, Failed> {
        let claims = claims_of(call, call.bearer(), Purpose::Workspace, Self::KIND)?;
        if call.id::<WorkspaceId>(0, "workspace")? != claims.wsp {
            return Err(ApiError::not_found("workspace").into());
        }
        Ok(Self { claims })
    }
}

/// A node on behalf of one workspace's model calls.
#[derive(Debug)]
pub(crate) struct ModelToken {
    /// The verified scope.
    pub(crate) claims: Claims,
}

impl Principal for ModelToken {
    const KIND: PrincipalKind = PrincipalKind::ModelToken;

    async fn authenticate(call: &Call, _: &Route) -> Result<Self, Failed> {
        Ok(Self {
            claims: claims_of(call, model_key(call), Purpose::Model, Self::KIND)?,
        })
    }
}

/// The key of a model API, which some of its clients send bare.
fn model_key(call: &Call) -> Option<Secret> {
    let bare = || call.header("x-api-key").map(Secret::new);
    call.bearer().or_else(bare)
}

fn claims_of(
    call: &Call,
    token: Option<Secret>,
    purpose: Purpose,
    kind: PrincipalKind,
) -> Result<Claims, Failed> {
    let token = token.ok_or_else(|| missing(kind))?;
    of_kind(&token, purpose.prefix(), kind)?;
    let claims: Claims = call
        .key()?
        .verify(purpose.prefix(), token.expose(), call.now)
        .map_err(|error| match error {
            ClaimsError::Expired => expired(kind),
            ClaimsError::Invalid | ClaimsError::Unwritable => invalid(kind),
        })?;
    if claims.purpose != purpose {
        return Err(invalid(kind).into());
    }
    Ok(claims)
}

/// Refuses a token that by its prefix is for something else.
fn of_kind(token: &Secret, prefix: &str, kind: PrincipalKind) -> Result<(), ApiError> {
    if token.expose().starts_with(prefix) {
        Ok(())
    } else if token.expose().starts_with("sam_") {
        Err(ApiError::new(
            403,
            "wrong_principal",
            format!(
                "This route is for {}; the token is for something else.",
                named(kind)
            ),
        ))
    } else {
        Err(invalid(kind))
    }
}

fn check_origin(call: &Call) -> Result<(), ApiError> {
    let mut own = vec![call.url.origin().ascii_serialization()];
    let configured = bindings::url_setting(&call.env, bindings::SAM_PUBLIC_URL);
    if let Some(url) = configured.and_then(|text| Url::parse(&text).ok()) {
        own.push(url.origin().ascii_serialization());
    }
    let (csrf, origin) = (call.header(origin::CSRF_HEADER), call.header("origin"));
    origin::check(
        Provenance {
            unsafe_method: !matches!(call.request.method(), worker::Method::Get),
            upgrade: call.is_upgrade(),
            csrf: csrf.as_deref(),
            origin: origin.as_deref(),
        },
        &own,
    )
}

fn named(kind: PrincipalKind) -> &'static str {
    match kind {
        PrincipalKind::Public => "everyone",
        PrincipalKind::User => "a signed-in person",
        PrincipalKind::Admin => "an administrator",
        PrincipalKind::JoinToken => "a join token",
        PrincipalKind::NodeToken => "a node token",
        PrincipalKind::WorkspaceToken => "a workspace token",
        PrincipalKind::ModelToken => "a model token",
    }
}

fn hint(kind: PrincipalKind) -> &'static str {
    match kind {
        PrincipalKind::Public => "Nothing is needed.",
        PrincipalKind::User | PrincipalKind::Admin => {
            "Sign in: with `sam auth login`, or in the browser with a sign-in link."
        }
        PrincipalKind::JoinToken => "Mint a join token with POST /api/nodes/join-tokens.",
        PrincipalKind::NodeToken => "Join again with a new join token.",
        PrincipalKind::WorkspaceToken | PrincipalKind::ModelToken => {
            "Fetch a new token with POST /api/nodes/{node}/tokens."
        }
    }
}

fn missing(kind: PrincipalKind) -> ApiError {
    ApiError::new(
        401,
        "unauthenticated",
        format!("This route is for {}.", named(kind)),
    )
    .hint(hint(kind))
}

fn invalid(kind: PrincipalKind) -> ApiError {
    ApiError::new(401, "invalid_token", "The token is unknown or was revoked.").hint(hint(kind))
}

fn expired(kind: PrincipalKind) -> ApiError {
    ApiError::new(401, "token_expired", "The token has expired.").hint(hint(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_token_names_its_node() {
        let node = "nod_01jd8x00000000000000000000";
        let of = |text: &str| node_of(text).map(|node| node.to_string());
        assert_eq!(of(&format!("sam_nod_{node}.secret")), Some(node.to_owned()));
        for bad in [
            String::new(),
            format!("sam_nod_{node}"),
            format!("sam_nod_{node}."),
            "sam_nod_x.secret".to_owned(),
            format!("sam_ses_{node}.secret"),
        ] {
            assert_eq!(of(&bad), None, "{bad}");
        }
    }

    #[test]
    fn a_token_of_another_kind_is_refused_as_such() {
        let status = |token: &str| {
            of_kind(&Secret::new(token), SESSION, PrincipalKind::User)
                .err()
                .map(|error| error.status)
        };
        assert_eq!(status("sam_ses_x"), None);
        assert_eq!(status("sam_mdl_x"), Some(403));
        assert_eq!(status("something"), Some(401));
    }
}
