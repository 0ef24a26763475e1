//! Two worlds of the same shape that share nothing, and every kind of caller of the first.

use std::collections::BTreeMap;

use reqwest::Method;
use sam_domain::access::expectation::expectation;
use sam_domain::access::isolation::{Caller, Names};
use sam_domain::access::route::{self, Route, RouteId};
use sam_domain::access::tokens::{AuthSessionList, CreatedApiToken, Scope};
use sam_domain::access::wire::{JoinToken, ProjectRole, ProjectView, SignInLink, SignedIn};
use sam_domain::conversation::wire::Submitted;
use sam_domain::device::wire::{AccessToken, DeviceCodes, GRANT_TYPE};
use sam_domain::id::ProjectId;
use sam_e2e::node::ScriptedNode;
use sam_e2e::people::invite;
use sam_e2e::stack::MODEL_KEY;
use sam_e2e::{Client, Person, Reply, Result, Stack, failure};
use serde_json::json;

/// What stands in everything that only the other world's people may ever read.
pub(crate) const CANARY: &str = "canary-of-the-other-world";

/// The ids that a path can name, by the name of their place.
pub(crate) type Ids = BTreeMap<&'static str, String>;

/// Somebody with a project, a conversation in it and a machine.
pub(crate) struct World {
    pub(crate) person: Person,
    pub(crate) ids: Ids,
    pub(crate) project: ProjectId,
    pub(crate) node: ScriptedNode,
    pub(crate) workspace_token: String,
    pub(crate) model_token: String,
}

impl World {
    pub(crate) async fn make(stack: &Stack, name: &str, words: &str) -> Result<Self> {
        let person = Person::invited(stack, name).await?;
        let owner = &person.client;
        let mut node = ScriptedNode::join_as(owner, words, 4).await?;
        let fields = json!({"repository": format!("/{words}"), "name": words});
        let project: ProjectView = owner.post("/api/projects", &fields).await?.json()?;
        let tasks = format!("/api/projects/{}/tasks", project.id);
        let task = json!({"prompt": words});
        let begun: Submitted = owner.intend(&tasks, "world", &task).await?.json()?;
        let prompt = node.play_to_prompt().await?;
        let tokens = node.tokens(&prompt.workspace).await?;
        // Somebody who is in the project and asks nothing.
        let member = Person::invited(stack, &format!("{name}'s member")).await?;
        member
            .becomes(owner, &project.id, ProjectRole::Viewer)
            .await?;
        let (invite, _) = invite(stack.admin()?, &json!({})).await?;
        let token = make_token(owner, Scope::Read).await?;
        let elsewhere = sign_in_again(stack, owner).await?;
        let sessions: AuthSessionList = elsewhere.get("/api/auth/sessions").await?.json()?;
        let current = sessions.sessions.into_iter().find(|one| one.current);
        let handle = current.ok_or_else(|| failure("no session is the current one"))?;
        let ids = BTreeMap::from([
            ("project", project.id.to_string()),
            ("node", node.node.to_string()),
            ("workspace", prompt.workspace.to_string()),
            ("task", begun.task.to_string()),
            ("session", begun.session.to_string()),
            ("prompt", begun.prompt.to_string()),
            ("user", member.id.to_string()),
            ("holder", member.id.to_string()),
            ("invite", invite.id.to_string()),
            ("token", token.view.id.to_string()),
            ("handle", handle.handle),
        ]);
        Ok(Self {
            ids,
            project: project.id,
            node,
            workspace_token: tokens.workspace_token,
            model_token: tokens.model_token,
            person,
        })
    }
}

/// Ids of the right form that were never given to anything.
pub(crate) fn unknown() -> Ids {
    BTreeMap::from([
        ("project", "prj_01jd8x00000000000000000000"),
        ("task", "tsk_01jd8x00000000000000000000"),
        ("session", "ses_01jd8x00000000000000000000"),
        ("prompt", "prm_01jd8x00000000000000000000"),
        ("node", "nod_01jd8x00000000000000000000"),
        ("workspace", "wsp_01jd8x00000000000000000000"),
        ("user", "usr_01jd8x00000000000000000000"),
        ("holder", "usr_01jd8x00000000000000000000"),
        ("invite", "inv_01jd8x00000000000000000000"),
        ("token", "tok_01jd8x00000000000000000000"),
        ("user_code", "BCDF-GHJK"),
    ])
    .into_iter()
    .map(|(name, id)| (name, id.to_owned()))
    .collect()
}

async fn make_token(owner: &Client, scope: Scope) -> Result<CreatedApiToken> {
    let fields = json!({"name": scope.word(), "scopes": [scope]});
    owner.post("/api/auth/tokens", &fields).await?.json()
}

async fn sign_in_again(stack: &Stack, owner: &Client) -> Result<Client> {
    let link: SignInLink = owner
        .post("/api/auth/sign-in-links", &json!({}))
        .await?
        .json()?;
    let secret = link.url.split('#').nth(1).unwrap_or_default();
    let anyone = stack.anyone()?;
    let login = json!({"link": secret});
    let opened: SignedIn = anyone.post("/api/auth/link-login", &login).await?.json()?;
    Ok(anyone.with_token(&opened.token))
}

/// A session that the device flow opened.
async fn device(anyone: &Client, owner: &Client) -> Result<Client> {
    let ask = json!({"client_id": "program", "scope": Scope::Write.word()});
    let codes: DeviceCodes = anyone.post("/api/auth/device/code", &ask).await?.json()?;
    let approve = json!({"user_code": codes.user_code});
    let reply = owner.post("/api/auth/device/approve", &approve).await?;
    if reply.status != 200 {
        return Err(failure(reply.text()));
    }
    let poll = json!({
        "grant_type": GRANT_TYPE, "device_code": codes.device_code, "client_id": "program",
    });
    let token: AccessToken = anyone.post("/api/auth/device/token", &poll).await?.json()?;
    Ok(anyone.with_token(&token.access_token))
}

/// Both worlds, and the callers.
pub(crate) struct Scene {
    pub(crate) callers: Vec<(Caller, Client)>,
    pub(crate) own: World,
    pub(crate) foreign: World,
    /// What nobody may read who did not bring it: keys of the installation, and what was given out.
    pub(crate) secrets: Vec<String>,
    unknown: Ids,
}

impl Scene {
    pub(crate) async fn meet(stack: &Stack) -> Result<Self> {
        let own = World::make(stack, "Olga", "own").await?;
        let foreign = World::make(stack, "Fern", CANARY).await?;
        let anyone = stack.anyone()?;
        let owner = own.person.client.clone();
        let mut callers = Vec::new();
        let mut secrets = of_the_installation(stack).await?;
        secrets.extend([
            foreign.workspace_token.clone(),
            foreign.model_token.clone(),
            own.workspace_token.clone(),
            own.model_token.clone(),
        ]);
        for (at, caller) in Caller::ALL.into_iter().enumerate() {
            let client = match caller {
                Caller::Anonymous => anyone.clone(),
                Caller::Stranger => Person::invited(stack, "Stranger").await?.client,
                Caller::Member(ProjectRole::Owner) => owner.clone(),
                Caller::Member(role) => member(stack, &own, role).await?.client,
                Caller::Admin => stack.admin()?.clone(),
                Caller::Suspended => suspended(stack, &own).await?,
                Caller::Token(scope) => {
                    let made = make_token(&owner, scope).await?;
                    secrets.push(made.token.clone());
                    anyone.with_token(&made.token)
                }
                Caller::Device => device(&anyone, &owner).await?,
                Caller::JoinToken => {
                    let path = "/api/nodes/join-tokens";
                    let join: JoinToken = owner.post(path, &json!({})).await?.json()?;
                    secrets.push(join.token.clone());
                    anyone.with_token(&join.token)
                }
                Caller::NodeToken => own.node.client().clone(),
                Caller::WorkspaceToken => anyone.with_token(&own.workspace_token),
                Caller::ModelToken => anyone.with_token(&own.model_token),
            };
            // Tries are counted by address: nobody's use up another's.
            let address = format!("192.0.2.{}", at + 1);
            callers.push((caller, client.with_header("cf-connecting-ip", &address)));
        }
        Ok(Self {
            callers,
            own,
            foreign,
            secrets,
            unknown: unknown(),
        })
    }

    /// The caller of this kind.
    pub(crate) fn caller(&self, wanted: Caller) -> Result<&Client> {
        let mut callers = self.callers.iter();
        callers
            .find(|(caller, _)| *caller == wanted)
            .map(|(_, client)| client)
            .ok_or_else(|| failure(format!("there is no {wanted:?}")))
    }

    /// The route's path with ids of these worlds.
    pub(crate) fn path(&self, route: &Route, names: Names) -> String {
        let mut first = true;
        self.path_with(route, |name| {
            let ids = match names {
                Names::Own => &self.own.ids,
                Names::Mixed if first => &self.own.ids,
                Names::Mixed | Names::Foreign => &self.foreign.ids,
                Names::Unknown => &self.unknown,
            };
            first = false;
            ids.get(name).cloned()
        })
    }

    /// The route's path with one's own ids, but for one that is `value`.
    pub(crate) fn path_but(&self, route: &Route, name: &str, value: &str) -> String {
        self.path_with(route, |part| match part == name {
            true => Some(value.to_owned()),
            false => self.own.ids.get(part).cloned(),
        })
    }

    /// The route's path with these ids, and ids of nothing for the rest.
    pub(crate) fn path_with(
        &self,
        route: &Route,
        mut id: impl FnMut(&str) -> Option<String>,
    ) -> String {
        let segments: Vec<String> = route
            .path
            .split('/')
            .map(|part| {
                let Some(name) = part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) else {
                    return part.to_owned();
                };
                id(name)
                    .or_else(|| self.unknown.get(name).cloned())
                    .unwrap_or_else(|| "0".repeat(64))
            })
            .collect();
        segments.join("/")
    }
}

/// What the server was started with, and what an administrator stored.
async fn of_the_installation(stack: &Stack) -> Result<Vec<String>> {
    let files = stack.state_directory();
    let started: serde_json::Value =
        serde_json::from_slice(&std::fs::read(files.join("secrets.json"))?)?;
    let claim = std::fs::read_to_string(files.join("claim-token"))?;
    let mut secrets = vec![MODEL_KEY.to_owned(), claim.trim().to_owned()];
    let values = started.as_object().into_iter().flat_map(|all| all.values());
    secrets.extend(values.filter_map(|one| one.as_str().map(str::to_owned)));
    let stored = "stored-secret-canary";
    let admin = stack.admin()?;
    let request = admin.request(Method::PUT, "/api/setup/config");
    let settings = json!({"settings": {"SAM_GITHUB_CLIENT_SECRET": stored}});
    let reply = admin.send(request.json(&settings)).await?;
    if reply.status != 200 {
        return Err(failure(reply.text()));
    }
    secrets.push(stored.to_owned());
    Ok(secrets)
}

async fn member(stack: &Stack, world: &World, role: ProjectRole) -> Result<Person> {
    let person = Person::invited(stack, &format!("{role:?}")).await?;
    person
        .becomes(&world.person.client, &world.project, role)
        .await?;
    Ok(person)
}

async fn suspended(stack: &Stack, world: &World) -> Result<Client> {
    let person = member(stack, world, ProjectRole::Contributor).await?;
    let admin = stack.admin()?;
    let request = admin.request(Method::PATCH, &format!("/api/people/{}", person.id));
    let reply = admin
        .send(request.json(&json!({"suspended": true})))
        .await?;
    if reply.status != 200 {
        return Err(failure(reply.text()));
    }
    Ok(person.client)
}

/// Whether a route is a WebSocket.
pub(crate) const fn is_socket(id: RouteId) -> bool {
    matches!(id, RouteId::Feed | RouteId::NodeLink | RouteId::LiveSocket)
}

/// Calls a route as its expectation says.
pub(crate) async fn call(client: &Client, route: &Route, path: &str) -> Result<Reply> {
    let method = match route.method {
        route::Method::Get => Method::GET,
        route::Method::Post => Method::POST,
        route::Method::Put => Method::PUT,
        route::Method::Patch => Method::PATCH,
        route::Method::Delete => Method::DELETE,
    };
    let mut request = client.request(method, path);
    let body = expectation(route.id).body;
    if !body.is_empty() {
        request = request.body(body);
    }
    client.send(request).await
}

/// The same client, about to ask for a WebSocket.
pub(crate) fn upgrading(client: &Client) -> Client {
    client
        .with_header("connection", "upgrade")
        .with_header("upgrade", "websocket")
        .with_header("sec-websocket-version", "13")
        .with_header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==")
}
