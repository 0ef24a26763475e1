//! Who comes in, what they may do, and what closes when they may no more.

use std::time::Duration;

use futures::future::join_all;
use reqwest::Method;
use sam_domain::access::wire::{
    AuditList, InviteList, MemberList, PersonList, PersonView, ProjectList, ProjectRole,
    SignInLink, UserView,
};
use sam_domain::conversation::wire::Submitted;
use sam_domain::feed::{ClientFrame, Scope, ServerFrame};
use sam_domain::id::{ProjectId, UserId};
use sam_domain::link::frame::Action;
use sam_domain::node::wire::{NodeState, NodeView};
use sam_domain::provider::wire::Rotated;
use sam_domain::task::{TaskState, TaskView};
use sam_e2e::node::ScriptedNode;
use sam_e2e::people::{come, invite};
use sam_e2e::{Client, Person, Reply, Result, Socket, Stack, ensure, failure, wait_until};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

async fn put(client: &Client, path: &str, body: &Value) -> Result<Reply> {
    client
        .send(client.request(Method::PUT, path).json(body))
        .await
}

async fn patch(client: &Client, path: &str, body: &Value) -> Result<Reply> {
    client
        .send(client.request(Method::PATCH, path).json(body))
        .await
}

async fn delete(client: &Client, path: &str) -> Result<Reply> {
    client.send(client.request(Method::DELETE, path)).await
}

fn refused(reply: &Reply, status: u16, code: &str) -> Result {
    ensure(
        (reply.status, reply.code().as_str()) == (status, code),
        || format!("{}: {} instead of {code}", reply.status, reply.text()),
    )
}

fn done(reply: &Reply) -> Result {
    ensure((200..300).contains(&reply.status), || {
        format!("{}: {}", reply.status, reply.text())
    })
}

/// A feed of the project that is up to date.
async fn follow(client: &Client, project: &ProjectId) -> Result<Socket> {
    let mut socket = client
        .socket(&format!("/api/projects/{project}/feed"))
        .await?;
    let scope = Scope::Project(project.clone());
    socket
        .send(&ClientFrame::Follow {
            scope,
            after: 0,
            epoch: None,
        })
        .await?;
    socket
        .until("the present", PATIENCE, |frame| match frame {
            ServerFrame::Changes { more: false, .. } => Some(()),
            _ => None,
        })
        .await?;
    Ok(socket)
}

/// Waits until the other side has closed the socket, whatever it still says.
async fn until_closed(socket: &mut Socket) -> Result {
    while socket.next_text(PATIENCE).await?.is_some() {}
    Ok(())
}

#[tokio::test]
async fn an_invite_lets_one_person_in_once() -> Result {
    let mut stack = Stack::start().await?;
    let admin = stack.admin()?.clone();
    let anyone = stack.anyone()?;
    let (made, secret) = invite(&admin, &json!({"note": "for Ben"})).await?;
    ensure(
        made.url
            .starts_with(&format!("{}/invite#sam_inv_", stack.url())),
        || made.url.clone(),
    )?;
    let listed: InviteList = admin.get("/api/people/invites").await?.json()?;
    ensure(
        listed.invites.len() == 1
            && listed
                .invites
                .iter()
                .all(|open| open.id == made.id && open.note.as_deref() == Some("for Ben")),
        || format!("{listed:?}"),
    )?;

    let comers = (0..50).map(|n| {
        let (anyone, secret) = (&anyone, &secret);
        async move { come(anyone, secret, &format!("Ben {n}")).await }
    });
    let mut came = 0;
    for reply in join_all(comers).await {
        let reply = reply?;
        match reply.status {
            200 => came += 1,
            _ => refused(&reply, 410, "invite_spent")?,
        }
    }
    let people: PersonList = admin.get("/api/people").await?.json()?;
    ensure(came == 1 && people.people.len() == 2, || {
        format!("{came} came: {people:?}")
    })?;

    // One that was taken back, and one that was too old, let nobody in.
    let (revoked, revoked_secret) = invite(&admin, &json!({})).await?;
    let path = format!("/api/people/invites/{}", revoked.id);
    done(&delete(&admin, &path).await?)?;
    refused(&delete(&admin, &path).await?, 404, "not_found")?;
    refused(
        &come(&anyone, &revoked_secret, "Eve").await?,
        410,
        "invite_spent",
    )?;
    let (_, old_secret) = invite(&admin, &json!({"role": "admin"})).await?;
    stack.stop_server()?;
    let aged = stack.in_database("UPDATE invites SET expires_at = 1 WHERE redeemed_at IS NULL")?;
    ensure(aged == 2, || format!("{aged} invites are older now"))?;
    stack.start_server().await?;
    refused(
        &come(&stack.anyone()?, &old_secret, "Eve").await?,
        410,
        "invite_spent",
    )?;
    let listed: InviteList = admin.get("/api/people/invites").await?.json()?;
    ensure(listed.invites.is_empty(), || format!("{listed:?}"))
}

#[tokio::test]
async fn suspension_closes_everything_at_once_and_can_be_lifted() -> Result {
    let stack = Stack::start().await?;
    let admin = stack.admin()?.clone();
    let ben = Person::invited(&stack, "Ben").await?;
    let project = stack.create_project("/nowhere").await?.id;
    ben.becomes(&admin, &project, ProjectRole::Contributor)
        .await?;
    let mut node = ScriptedNode::join_as(&ben.client, "bens", 2).await?;
    let path = format!("/api/projects/{project}/tasks");
    let submitted: Submitted = ben
        .client
        .intend(&path, "bens", &json!({"prompt": "go on"}))
        .await?
        .json()?;
    let prompt = node.play_to_prompt().await?;
    let tokens = node.tokens(&prompt.workspace).await?;
    let machine = stack.anyone()?.with_token(&tokens.workspace_token);
    let live_path = format!("/api/workspaces/{}/live", prompt.workspace);
    let mut live = machine.socket(&live_path).await?;
    let model = stack.anyone()?.with_token(&tokens.model_token);
    let question = json!({"messages": [{"role": "user", "content": "hello"}]});
    let chat = "/ai/v1/chat/completions";
    ensure(model.post(chat, &question).await?.status == 200, || {
        "the model is not to be had".to_owned()
    })?;
    let mut feeds = Vec::new();
    for _ in 0..3 {
        feeds.push(follow(&ben.client, &project).await?);
    }
    let mut annas = follow(&admin, &project).await?;
    let link: SignInLink = ben
        .client
        .post("/api/auth/sign-in-links", &json!({}))
        .await?
        .json()?;

    let person = format!("/api/people/{}", ben.id);
    let view: PersonView = patch(&admin, &person, &json!({"suspended": true}))
        .await?
        .json()?;
    ensure(view.suspended_at.is_some(), || format!("{view:?}"))?;
    for feed in &mut feeds {
        until_closed(feed).await?;
    }
    until_closed(&mut live).await?;
    let said = node.until_turned_away().await?;
    ensure(said == "suspended", || said.clone())?;
    refused(
        &model.post(chat, &question).await?,
        403,
        "account_suspended",
    )?;
    refused(
        &ben.client.get("/api/auth/me").await?,
        403,
        "account_suspended",
    )?;
    let feed = format!("/api/projects/{project}/feed");
    ensure(ben.client.socket(&feed).await.is_err(), || {
        "a new feed was opened".to_owned()
    })?;
    let secret = link.url.split('#').nth(1).unwrap_or_default();
    let login = json!({"link": secret});
    refused(
        &stack.anyone()?.post("/api/auth/link-login", &login).await?,
        403,
        "account_suspended",
    )?;
    let link = format!("/api/nodes/{}/link", node.node);
    ensure(node.client().socket(&link).await.is_err(), || {
        "a suspended person's machine is linked".to_owned()
    })?;
    let view = stack
        .until_task("it is cancelled", &submitted.task, PATIENCE, |view| {
            view.state.is_terminal()
        })
        .await?;
    ensure(view.state == TaskState::Cancelled, || format!("{view:?}"))?;
    // Whoever else was there noticed the cancelled task and nothing else.
    annas
        .until("the cancelled task", PATIENCE, |frame| match frame {
            ServerFrame::Changes { entities, .. } => {
                let text = serde_json::to_string(&entities).unwrap_or_default();
                text.contains("cancelled").then_some(())
            }
            _ => None,
        })
        .await?;

    done(&patch(&admin, &person, &json!({"suspended": false})).await?)?;
    // The task of that token stays over.
    wait_until("the token is over with its task", PATIENCE, || async {
        let reply = model.post(chat, &question).await?;
        refused(&reply, 403, "task_ended").map(Some)
    })
    .await?;
    let me: UserView = ben.client.get("/api/auth/me").await?.json()?;
    ensure(me.id == ben.id, || format!("{me:?}"))?;
    follow(&ben.client, &project).await?;
    node.relink().await?;
    let path = format!("/api/nodes/{}", node.node);
    wait_until("the machine is ready", PATIENCE, || async {
        let view: NodeView = ben.client.get(&path).await?.json()?;
        Ok((view.state == NodeState::Ready).then_some(()))
    })
    .await
}

#[tokio::test]
async fn who_is_removed_is_gone_and_what_they_made_stays() -> Result {
    let stack = Stack::start().await?;
    let admin = stack.admin()?.clone();
    let me: UserView = admin.get("/api/auth/me").await?.json()?;
    let ben = Person::invited(&stack, "Ben").await?;
    let created = ben
        .client
        .post("/api/projects", &json!({"repository": "/bens"}))
        .await?;
    let project: sam_domain::access::wire::ProjectView = created.json()?;
    let mut node = ScriptedNode::join_as(&ben.client, "bens", 2).await?;
    let mut feed = follow(&ben.client, &project.id).await?;

    // Somebody always runs the installation.
    let own = format!("/api/people/{}", me.id);
    for reply in [
        patch(&admin, &own, &json!({"role": "member"})).await?,
        patch(&admin, &own, &json!({"suspended": true})).await?,
        delete(&admin, &own).await?,
    ] {
        refused(&reply, 409, "last_admin")?;
    }

    // What is sealed is theirs, and goes with them.
    let sealed = || async {
        let reply = admin.post("/api/admin/rotate-key", &json!({})).await?;
        Ok::<_, sam_e2e::Failure>(reply.json::<Rotated>()?.already)
    };
    let login = json!({"tokens": {"access_token": "a", "refresh_token": "r"}}).to_string();
    for (path, held) in [
        (
            "/api/credentials/custom",
            json!({"key": "k", "endpoint": {"url": "https://nowhere.invalid/v1"}}),
        ),
        ("/api/agents/codex/login", json!({"login": login})),
    ] {
        let stored = put(&ben.client, path, &held).await?;
        ensure(stored.status == 200, || stored.text())?;
    }
    ensure(sealed().await? == 2, || "both are held".to_owned())?;

    let person = format!("/api/people/{}", ben.id);
    done(&delete(&admin, &person).await?)?;
    ensure(sealed().await? == 0, || "something is left".to_owned())?;
    until_closed(&mut feed).await?;
    let said = node.until_turned_away().await?;
    ensure(said == "revoked", || said.clone())?;
    refused(&ben.client.get("/api/auth/me").await?, 401, "invalid_token")?;
    let path = format!("/api/nodes/{}/link", node.node);
    let refusal = node.client().socket(&path).await.map(|_| ());
    ensure(
        refusal.is_err_and(|error| error.to_string().contains("401")),
        || "a removed person's machine is linked".to_owned(),
    )?;
    refused(&patch(&admin, &person, &json!({})).await?, 404, "not_found")?;
    // Nobody else owned the project: it passes to whoever removed its owner.
    let projects: ProjectList = admin.get("/api/projects").await?.json()?;
    ensure(
        projects
            .projects
            .iter()
            .any(|held| held.id == project.id && held.role == ProjectRole::Owner),
        || format!("{projects:?}"),
    )?;

    let log: AuditList = admin.get("/api/audit").await?.json()?;
    let actions: Vec<(&str, &UserId)> = log
        .entries
        .iter()
        .rev()
        .map(|entry| (entry.action.as_str(), &entry.actor))
        .collect();
    let expected = [
        ("invite_made", &me.id),
        ("person_came", &ben.id),
        ("credential_stored", &ben.id),
        ("login_stored", &ben.id),
        ("key_rotated", &me.id),
        ("person_removed", &me.id),
        ("key_rotated", &me.id),
    ];
    ensure(actions == expected, || format!("{actions:?}"))
}

#[tokio::test]
async fn members_come_and_go_and_somebody_always_owns_the_project() -> Result {
    let stack = Stack::start().await?;
    let admin = stack.admin()?.clone();
    let me: UserView = admin.get("/api/auth/me").await?.json()?;
    let project = stack.create_project("/nowhere").await?.id;
    let ben = Person::invited(&stack, "Ben").await?;
    let carla = Person::invited(&stack, "Carla").await?;
    let path_of = |user: &UserId| format!("/api/projects/{project}/members/{user}");
    let members = format!("/api/projects/{project}/members");

    ben.becomes(&admin, &project, ProjectRole::Maintainer)
        .await?;
    // A maintainer goes as far as their own role.
    carla
        .becomes(&ben.client, &project, ProjectRole::Viewer)
        .await?;
    for (user, role) in [(&carla.id, "owner"), (&ben.id, "owner"), (&me.id, "viewer")] {
        let reply = put(&ben.client, &path_of(user), &json!({"role": role})).await?;
        refused(&reply, 403, "role_too_low")?;
    }
    refused(
        &delete(&ben.client, &path_of(&me.id)).await?,
        403,
        "role_too_low",
    )?;
    refused(
        &delete(&carla.client, &path_of(&ben.id)).await?,
        403,
        "role_too_low",
    )?;
    let last = put(&admin, &path_of(&me.id), &json!({"role": "viewer"})).await?;
    refused(&last, 409, "last_owner")?;
    refused(&delete(&admin, &path_of(&me.id)).await?, 409, "last_owner")?;

    let listed: MemberList = carla.client.get(&members).await?.json()?;
    let listed: Vec<(&str, ProjectRole)> = listed
        .members
        .iter()
        .map(|member| (member.name.as_str(), member.role))
        .collect();
    let expected = [
        ("admin", ProjectRole::Owner),
        ("Ben", ProjectRole::Maintainer),
        ("Carla", ProjectRole::Viewer),
    ];
    ensure(listed == expected, || format!("{listed:?}"))?;

    // Who is taken out sees nothing from that moment on; who leaves needs nobody's leave.
    let mut feed = follow(&carla.client, &project).await?;
    done(&delete(&ben.client, &path_of(&carla.id)).await?)?;
    until_closed(&mut feed).await?;
    refused(&carla.client.get(&members).await?, 404, "not_found")?;
    done(&delete(&ben.client, &path_of(&ben.id)).await?)?;
    let projects: ProjectList = ben.client.get("/api/projects").await?.json()?;
    ensure(projects.projects.is_empty(), || format!("{projects:?}"))
}

#[tokio::test]
async fn a_machine_works_for_others_only_where_it_is_shared() -> Result {
    let stack = Stack::start().await?;
    let admin = stack.admin()?.clone();
    let mut node = ScriptedNode::join(&stack, "annas").await?;
    let shared = stack.create_project("/nowhere").await?.id;
    let other = stack.create_project("/elsewhere").await?.id;
    let ben = Person::invited(&stack, "Ben").await?;
    for project in [&shared, &other] {
        ben.becomes(&admin, project, ProjectRole::Contributor)
            .await?;
    }
    let submit = |project: &ProjectId, key: &'static str| {
        let path = format!("/api/projects/{project}/tasks");
        let client = ben.client.clone();
        async move {
            let reply = client.intend(&path, key, &json!({"prompt": key})).await?;
            reply.json::<Submitted>()
        }
    };
    let waits = |view: &TaskView| {
        let detail = view.steps.last().and_then(|step| step.detail.as_deref());
        view.state == TaskState::Placing && detail.is_some_and(|why| why.contains("machine"))
    };

    // Without a machine of his own, and none shared, his task waits and says so.
    let first = submit(&shared, "first").await?;
    stack
        .until_task("it says what it waits for", &first.task, PATIENCE, waits)
        .await?;
    let share = format!("/api/nodes/{}/shares/{shared}", node.node);
    refused(
        &put(&ben.client, &share, &json!({})).await?,
        404,
        "not_found",
    )?;
    let view: NodeView = put(&admin, &share, &json!({})).await?.json()?;
    ensure(view.shared_with == [shared.clone()], || format!("{view:?}"))?;

    let second = submit(&shared, "second").await?;
    let prompt = node.play_to_prompt().await?;
    let Action::Prompt { text, .. } = &prompt.action else {
        return Err(failure("no prompt"));
    };
    ensure(text == "second", || format!("{text} is at work"))?;
    let view = stack.task(&second.task).await?;
    ensure(
        view.created_by == ben.id && view.node.as_ref() == Some(&node.node),
        || format!("{view:?}"),
    )?;
    // In another project of the same people it does not work for him.
    let third = submit(&other, "third").await?;
    stack
        .until_task("it says what it waits for", &third.task, PATIENCE, waits)
        .await?;

    done(&delete(&admin, &share).await?)?;
    let fourth = submit(&shared, "fourth").await?;
    stack
        .until_task("it says what it waits for", &fourth.task, PATIENCE, waits)
        .await?;
    let still = stack.task(&second.task).await?;
    ensure(still.state == TaskState::Running, || {
        format!("what was at work was disturbed: {still:?}")
    })
}
