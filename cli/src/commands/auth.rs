//! `sam auth …`

use super::{auth_sessions, device, stdin};
use crate::api::{Api, Call};
use crate::args::{Auth, Login};
use crate::config::{TokenSource, is_private};
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::output::style::Paint;
use crate::output::{note, time};
use crate::secret::Secret;
use sam_domain::access::route::RouteId;
use sam_domain::access::tokens::{Scopes, TokenLogin};
use sam_domain::access::wire::{
    ClaimSetup, InviteLogin, LinkLogin, Role, SetupStatus, SignInLink, SignedIn, UserView,
};
use serde::Serialize;
use url::Url;

pub(super) async fn run(context: &mut Context, command: Auth) -> Result<Exit, Failure> {
    match command {
        Auth::Login(login) => sign_in(context, login).await,
        Auth::Status => status(context).await,
        Auth::Logout => sign_out(context).await,
        Auth::Link => link(context).await,
        Auth::Token => token(context),
        Auth::Sessions => auth_sessions::list(context).await,
        Auth::End { session, .. } => auth_sessions::end(context, session.as_deref()).await,
    }
}

/// A secret from its argument, or from stdin where that is `-`.
fn given(secret: Secret, what: &str) -> Result<Secret, Failure> {
    let secret = if secret.expose() == "-" {
        Secret::new(&stdin()?)
    } else {
        secret
    };
    if secret.is_empty() {
        return Err(Failure::usage(
            format!("There is no {what} on stdin."),
            "Pipe it in, or paste it and end with Ctrl-D.",
        ));
    }
    Ok(secret)
}

/// What `auth login` prints as JSON.
#[derive(Debug, Serialize)]
struct LoggedIn<'a> {
    url: &'a str,
    user: &'a UserView,
}

async fn sign_in(context: &mut Context, login: Login) -> Result<Exit, Failure> {
    let Login {
        claim,
        token,
        link,
        invite,
        url,
        name,
        scope,
        no_browser,
    } = login;
    let (url, token, user) = if let Some(claim) = claim {
        let claim = given(claim, "claim token")?;
        let url = address(context, url.as_deref())?;
        let api = Api::new(url.clone(), None)?;
        let body = ClaimSetup {
            claim_token: claim.expose().to_owned(),
            name,
        };
        let signed_in: SignedIn = api
            .json(Call::new(RouteId::SetupClaim, &[]).body(&body)?)
            .await?;
        (url, Secret::new(&signed_in.token), signed_in.user)
    } else if let Some(token) = token {
        let token = given(token, "token")?;
        let url = address(context, url.as_deref())?;
        let (token, user) = with_token(&url, token).await?;
        (url, token, user)
    } else if let Some(link) = link {
        let link = given(link, "link")?;
        let (origin, secret) = split_link(&link, "/sign-in", "sign-in link")?;
        let url = address(context, url.as_deref().or(origin.as_deref()))?;
        let api = Api::new(url.clone(), None)?;
        let body = LinkLogin {
            link: secret.expose().to_owned(),
        };
        let signed_in: SignedIn = api
            .json(Call::new(RouteId::LinkLogin, &[]).body(&body)?)
            .await?;
        (url, Secret::new(&signed_in.token), signed_in.user)
    } else if let (Some(invite), Some(name)) = (invite, name) {
        let invite = given(invite, "invite")?;
        let (origin, secret) = split_link(&invite, "/invite", "invite")?;
        let url = address(context, url.as_deref().or(origin.as_deref()))?;
        let api = Api::new(url.clone(), None)?;
        let body = InviteLogin {
            invite: secret.expose().to_owned(),
            name,
        };
        let signed_in: SignedIn = api
            .json(Call::new(RouteId::InviteLogin, &[]).body(&body)?)
            .await?;
        (url, Secret::new(&signed_in.token), signed_in.user)
    } else {
        let url = address(context, url.as_deref())?;
        let wanted = device::Wanted {
            scope: scope.into_iter().collect::<Scopes>().to_string(),
            open: !no_browser,
        };
        let (token, user) = through_browser(&url, &wanted).await?;
        (url, token, user)
    };
    context.settings.sign_in(&url, token)?;
    if context.settings.has_env_token() {
        note("SAM_API_TOKEN is set and will be used instead of this sign-in.");
    }
    let out = &context.out;
    if out.json {
        out.value(&LoggedIn {
            url: url.as_str(),
            user: &user,
        })?;
    } else {
        out.line(&format!(
            "Signed in to {url} as {} ({}).",
            crate::output::text::clean_line(&user.name),
            role(user.role)
        ))?;
        out.hint("Next: sam project create --repo <url|path>");
    }
    Ok(Exit::Ok)
}

/// Exchanges an API token for a session; a session's own token is kept as it is.
async fn with_token(url: &Url, token: Secret) -> Result<(Secret, UserView), Failure> {
    if token.expose().starts_with("sam_ses_") {
        let user = who(url, &token).await?;
        return Ok((token, user));
    }
    let body = TokenLogin {
        token: token.expose().to_owned(),
    };
    let signed_in: SignedIn = Api::new(url.clone(), None)?
        .json(Call::new(RouteId::TokenLogin, &[]).body(&body)?)
        .await?;
    Ok((Secret::new(&signed_in.token), signed_in.user))
}

async fn through_browser(
    url: &Url,
    wanted: &device::Wanted,
) -> Result<(Secret, UserView), Failure> {
    let api = Api::new(url.clone(), None)?;
    let server: SetupStatus = api.json(Call::new(RouteId::SetupStatus, &[])).await?;
    if !server.claimed {
        return Err(Failure::usage(
            "Nobody has claimed this installation, so nobody can approve.",
            "Claim it: sam auth login --claim <token>",
        ));
    }
    let token = device::sign_in(&api, wanted).await?;
    let user = who(url, &token).await?;
    Ok((token, user))
}

async fn who(url: &Url, token: &Secret) -> Result<UserView, Failure> {
    let api = Api::new(url.clone(), Some(token.clone()))?;
    api.json(Call::new(RouteId::Me, &[])).await
}

fn address(context: &Context, explicit: Option<&str>) -> Result<Url, Failure> {
    let url = context.settings.url(explicit)?;
    if !is_private(&url) {
        note(&format!(
            "warning: {url} is not encrypted; whoever is on the way can read your token."
        ));
    }
    Ok(url)
}

/// Splits `http://host/page#secret` into its server and secret; a bare secret
/// has no server.
fn split_link(link: &Secret, page: &str, what: &str) -> Result<(Option<String>, Secret), Failure> {
    let Some((address, secret)) = link.expose().split_once('#') else {
        return Ok((None, link.clone()));
    };
    let server = address.strip_suffix(page).ok_or_else(|| {
        Failure::usage(
            format!("This is not a {what}."),
            format!("It looks like http://host{page}#sam_…, with the secret after the `#`."),
        )
    })?;
    Ok((Some(server.to_owned()), Secret::new(secret)))
}

pub(super) const fn role(role: Role) -> &'static str {
    match role {
        Role::Admin => "admin",
        Role::Member => "member",
    }
}

/// What `auth status` prints as JSON.
#[derive(Debug, Serialize)]
struct Status<'a> {
    url: &'a str,
    signed_in: bool,
    token_from: Option<&'static str>,
    user: Option<&'a UserView>,
    project: Option<&'a sam_domain::id::ProjectId>,
    server: &'a SetupStatus,
}

async fn status(context: &Context) -> Result<Exit, Failure> {
    let url = context.settings.url(None)?;
    let token = context.settings.token(&url)?;
    let source = token.as_ref().map(|(_, source)| *source);
    let api = Api::new(url.clone(), token.map(|(token, _)| token))?;
    let server: SetupStatus = api.json(Call::new(RouteId::SetupStatus, &[])).await?;
    let user = match source {
        None => None,
        Some(_) => match api.json::<UserView>(Call::new(RouteId::Me, &[])).await {
            Ok(user) => Some(user),
            Err(failure) if failure.exit() == Exit::NotSignedIn => None,
            Err(failure) => return Err(failure),
        },
    };
    let out = &context.out;
    if out.json {
        out.value(&Status {
            url: url.as_str(),
            signed_in: user.is_some(),
            token_from: source.map(source_word),
            user: user.as_ref(),
            project: context.settings.project(&url),
            server: &server,
        })?;
    } else {
        let who = match (&user, source) {
            (Some(user), _) => format!("{} ({})", user.name, role(user.role)),
            (None, None) => "nobody".to_owned(),
            (None, Some(_)) => "nobody: the token is no longer accepted".to_owned(),
        };
        let mut facts = vec![("server", url.to_string()), ("signed in", who)];
        if let Some(user) = &user {
            // What others need to add one to their projects.
            facts.push(("your id", user.id.to_string()));
        }
        if let Some(source) = source {
            let place = match (source, context.settings.path()) {
                (TokenSource::File, Some(path)) => path.display().to_string(),
                _ => source_word(source).to_owned(),
            };
            facts.push(("token from", place));
        }
        facts.push(("model", model_line(&server)));
        out.facts(&facts)?;
        if !server.claimed {
            out.hint("Nobody has claimed this installation: sam auth login --claim <token>");
        }
    }
    Ok(if user.is_some() {
        Exit::Ok
    } else {
        Exit::NotSignedIn
    })
}

const fn source_word(source: TokenSource) -> &'static str {
    match source {
        TokenSource::Environment => "SAM_API_TOKEN",
        TokenSource::File => "file",
    }
}

/// Which model answers, and whether it is one.
pub(crate) fn model_line(server: &SetupStatus) -> String {
    match (&server.model.model, server.model.scripted) {
        (Some(model), true) if model != "scripted" => {
            format!("{model}: a scripted stand-in, not a real model")
        }
        (_, true) => "a scripted stand-in, not a real model".to_owned(),
        (Some(model), false) => model.clone(),
        (None, false) => "none configured".to_owned(),
    }
}

/// Prints the token itself: for programs that call the API by themselves.
fn token(context: &Context) -> Result<Exit, Failure> {
    let url = context.settings.url(None)?;
    let Some((token, source)) = context.settings.token(&url)? else {
        return Err(Failure::NotSignedIn {
            message: "You are not signed in.".to_owned(),
            hint: "Run `sam auth login`.".to_owned(),
        });
    };
    let out = &context.out;
    if out.json {
        out.value(&serde_json::json!({
            "url": url.as_str(),
            "token": token.expose(),
            "token_from": source_word(source),
        }))?;
    } else {
        out.line(token.expose())?;
    }
    Ok(Exit::Ok)
}

async fn sign_out(context: &mut Context) -> Result<Exit, Failure> {
    if context.settings.has_env_token() {
        return Err(Failure::usage(
            "SAM_API_TOKEN is set; a token from the environment is not ours to end.",
            "Unset SAM_API_TOKEN first.",
        ));
    }
    let (api, url, _) = context.signed_in()?;
    let ended = api.text(Call::new(RouteId::Logout, &[])).await;
    context.settings.sign_out()?;
    match ended {
        Ok(_) => {}
        Err(failure) if failure.exit() == Exit::NotSignedIn => {}
        Err(failure) => note(&format!(
            "The token is forgotten here, but the server could not be told: {failure}"
        )),
    }
    if context.out.json {
        context
            .out
            .value(&serde_json::json!({ "url": url.as_str(), "signed_in": false }))?;
    } else {
        context.out.line(&format!("Signed out of {url}."))?;
    }
    Ok(Exit::Ok)
}

async fn link(context: &Context) -> Result<Exit, Failure> {
    let api = context.api()?;
    let link: SignInLink = api.json(Call::new(RouteId::CreateSignInLink, &[])).await?;
    let out = &context.out;
    if out.json {
        out.value(&link)?;
    } else {
        out.line(
            &out.style
                .paint(Paint::Strong, &crate::output::text::clean_line(&link.url)),
        )?;
        out.hint(&format!(
            "It signs one browser in, once; it ends {}.",
            time::until(link.expires_at, time::now())
        ));
    }
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_split_at_their_fragment() {
        let split = |link| split_link(&Secret::new(link), "/sign-in", "sign-in link");
        let (server, secret) = split("http://127.0.0.1:8787/sign-in#sam_lnk_abc").unwrap();
        assert_eq!(server.as_deref(), Some("http://127.0.0.1:8787"));
        assert_eq!(secret.expose(), "sam_lnk_abc");
        let (server, secret) = split("sam_lnk_abc").unwrap();
        assert_eq!((server, secret.expose()), (None, "sam_lnk_abc"));
        assert!(split("http://host/other#x").is_err());
    }
}
