//! What every command needs: settings, the server, the way to print.

use crate::api::Api;
use crate::args::Args;
use crate::config::{Settings, TokenSource};
use crate::error::Failure;
use crate::output::Output;
use url::Url;

/// What every command needs.
#[derive(Debug)]
pub(crate) struct Context {
    /// The settings.
    pub(crate) settings: Settings,
    /// How to print.
    pub(crate) out: Output,
    /// The project, where the command itself names none.
    pub(crate) project: Option<String>,
}

impl Context {
    /// Reads the settings and looks at the terminal.
    pub(crate) fn new(args: &Args) -> Result<Self, Failure> {
        Ok(Self {
            settings: Settings::load(args.profile.as_deref())?,
            out: Output::detect(args.json, !args.no_pager),
            project: args.project.clone(),
        })
    }

    /// The server, with our token.
    pub(crate) fn signed_in(&self) -> Result<(Api, Url, TokenSource), Failure> {
        let url = self.settings.url(None)?;
        match self.settings.token(&url)? {
            Some((token, source)) => Ok((Api::new(url.clone(), Some(token))?, url, source)),
            None => Err(Failure::NotSignedIn {
                message: "You are not signed in.".to_owned(),
                hint: "Run `sam auth login`, or `sam auth login --claim <token>` on a new \
                       installation."
                    .to_owned(),
            }),
        }
    }

    /// The server, with our token; for commands that need nothing else.
    pub(crate) fn api(&self) -> Result<Api, Failure> {
        self.signed_in().map(|(api, ..)| api)
    }
}
