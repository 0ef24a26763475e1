//! Further people of a stack, who came in as people do: with an invite.

use sam_domain::access::wire::{CreatedInvite, MemberView, ProjectRole, SignedIn};
use sam_domain::id::{ProjectId, UserId};
use serde_json::{Value, json};

use crate::{Client, Reply, Result, Stack};

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub struct Person {
    /// Them, calling the API.
    pub client: Client,
    /// Their id.
    pub id: UserId,
    /// What they are called.
    pub name: String,
}

/// Makes an invite with fields of [`sam_domain::access::wire::CreateInvite`] and returns it with the
/// secret of its address.
///
/// # Errors
/// When it is refused.
pub async fn invite(admin: &Client, fields: &Value) -> Result<(CreatedInvite, String)> {
    let invite: CreatedInvite = admin.post("/api/people/invites", fields).await?.json()?;
    let secret = invite.url.split('#').nth(1).unwrap_or_default().to_owned();
    Ok((invite, secret))
}

/// Comes in with an invite's secret.
///
/// # Errors
/// When there is no answer.
pub async fn come(anyone: &Client, secret: &str, name: &str) -> Result<Reply> {
    let body = json!({"invite": secret, "name": name});
    anyone.post("/api/auth/invite-login", &body).await
}

impl Person {
    /// Somebody new, invited by the stack's admin.
    ///
    /// # Errors
    /// When a step is refused.
    pub async fn invited(stack: &Stack, name: &str) -> Result<Self> {
        let (_, secret) = invite(stack.admin()?, &json!({})).await?;
        let anyone = stack.anyone()?;
        let signed_in: SignedIn = come(&anyone, &secret, name).await?.json()?;
        Ok(Self {
            client: anyone.with_token(&signed_in.token),
            id: signed_in.user.id,
            name: signed_in.user.name,
        })
    }

    /// Makes them a member of a project, or changes their role there.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn becomes(
        &self,
        by: &Client,
        project: &ProjectId,
        role: ProjectRole,
    ) -> Result<MemberView> {
        let path = format!("/api/projects/{project}/members/{}", self.id);
        let request = by.request(reqwest::Method::PUT, &path);
        by.send(request.json(&json!({"role": role}))).await?.json()
    }
}
