//! `sam config …`: what is remembered, without its secrets.

use crate::args::config::{Config, Key};
use crate::config::{DEFAULT_PROFILE, parse_url};
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::output::style::Paint;
use crate::output::table::Cell;
use crate::output::text;
use crate::resolve;
use sam_domain::id::{Id, ProjectId};
use serde::Serialize;
use serde_json::json;

/// The word that takes a setting back.
const NONE: &str = "none";

pub(super) async fn run(context: &mut Context, command: Config) -> Result<Exit, Failure> {
    match command {
        Config::Get { key } => get(context, key),
        Config::Set { key, value } => set(context, key, &value).await,
        Config::List => list(context),
        Config::Path => path(context),
    }
}

/// What `config list` prints as JSON.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    file: Option<String>,
    profile: &'a str,
    url: String,
    url_from: &'static str,
    project: Option<&'a str>,
    /// Whether a token is there for that server; never the token.
    token: bool,
    profiles: Vec<&'a str>,
}

fn listed(context: &Context) -> Result<Listed<'_>, Failure> {
    let settings = &context.settings;
    let url = settings.url(None)?;
    Ok(Listed {
        file: settings.path().map(|path| path.display().to_string()),
        profile: settings.profile(),
        url_from: settings.url_source(),
        project: context
            .project
            .as_deref()
            .or_else(|| settings.project(&url).map(Id::as_str)),
        // One that belongs to another server is none.
        token: settings.token(&url).is_ok_and(|held| held.is_some()),
        url: url.into(),
        profiles: settings.profiles(),
    })
}

fn get(context: &Context, key: Key) -> Result<Exit, Failure> {
    let listed = listed(context)?;
    let value = match key {
        Key::Url => Some(listed.url.as_str()),
        Key::Project => listed.project,
        Key::Profile => Some(context.settings.usual_profile()),
    };
    let out = &context.out;
    if out.json {
        out.value(&json!({ "key": word(key), "value": value }))?;
    } else if let Some(value) = value {
        out.line(&text::clean_line(value))?;
    } else {
        out.hint("It is not set.");
    }
    Ok(Exit::Ok)
}

const fn word(key: Key) -> &'static str {
    match key {
        Key::Url => "url",
        Key::Project => "project",
        Key::Profile => "profile",
    }
}

async fn set(context: &mut Context, key: Key, value: &str) -> Result<Exit, Failure> {
    let taken_back = value == NONE;
    match key {
        Key::Url if taken_back => context.settings.forget_url()?,
        Key::Url => {
            let url = parse_url(value)?;
            if context.settings.set_url(&url)? {
                context
                    .out
                    .hint("The sign-in was to another server and is forgotten: sam auth login");
            }
        }
        Key::Project if taken_back => {
            let url = context.settings.url(None)?;
            context.settings.forget_project(&url)?;
        }
        Key::Project => {
            let url = context.settings.url(None)?;
            // A whole id needs no server to say whose it is.
            let id = match value.parse::<ProjectId>() {
                Ok(id) => id,
                Err(_) => {
                    let api = context.api()?;
                    resolve::project(context, &api, Some(value)).await?.id
                }
            };
            context.settings.use_project(&url, &id)?;
        }
        Key::Profile => {
            let name = if taken_back { DEFAULT_PROFILE } else { value };
            context.settings.set_usual_profile(name)?;
        }
    }
    if context.out.json {
        return get(context, key);
    }
    Ok(Exit::Ok)
}

fn list(context: &Context) -> Result<Exit, Failure> {
    let listed = listed(context)?;
    let out = &context.out;
    if out.json {
        out.value(&listed)?;
        return Ok(Exit::Ok);
    }
    let none = || "none".to_owned();
    let facts = [
        ("profile", listed.profile.to_owned()),
        ("url", format!("{} (from: {})", listed.url, listed.url_from)),
        (
            "project",
            listed.project.map_or_else(none, ToOwned::to_owned),
        ),
        (
            "token",
            if listed.token { "stored" } else { "none" }.to_owned(),
        ),
        ("file", listed.file.unwrap_or_else(none)),
    ];
    out.facts(&facts)?;
    if listed.profiles.len() > 1 {
        let usual = context.settings.usual_profile();
        let rows: Vec<Vec<Cell>> = listed
            .profiles
            .iter()
            .map(|name| {
                vec![
                    Cell::new(if *name == usual { "*" } else { "" }).paint(Paint::Ok),
                    Cell::new(name).whole(),
                ]
            })
            .collect();
        out.line("")?;
        out.table(&["", "PROFILE"], &rows)?;
    }
    Ok(Exit::Ok)
}

fn path(context: &Context) -> Result<Exit, Failure> {
    let path = context
        .settings
        .path()
        .map(|path| path.display().to_string());
    let out = &context.out;
    if out.json {
        out.value(&json!({ "path": path }))?;
        return Ok(Exit::Ok);
    }
    let path = path.ok_or_else(|| {
        Failure::usage(
            "There is no place for the configuration: neither XDG_CONFIG_HOME nor HOME is set.",
            "Set one of them, or use SAM_API_URL, SAM_API_TOKEN and SAM_PROJECT.",
        )
    })?;
    out.line(&text::clean_line(&path))?;
    Ok(Exit::Ok)
}
