//! Where the server is, who we are there and which project is current.
//!
//! The environment wins over the file. A stored token belongs to the server it
//! was given by and is sent nowhere else: naming another server without naming
//! its token is refused.
//!
//! The file is `$XDG_CONFIG_HOME/sam/config.json` (else `~/.config/sam/…`),
//! readable by its owner alone, replaced as a whole.

use crate::error::Failure;
use crate::secret::Secret;
use sam_domain::id::ProjectId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use url::Url;

/// The server when nobody named one: the local product's usual address.
pub(crate) const DEFAULT_URL: &str = "http://127.0.0.1:8787";

/// What the file holds.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stored {
    /// The server signed in to last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// Its token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<Secret>,
    /// The current project on each server.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) projects: BTreeMap<String, ProjectId>,
}

/// Where the token comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenSource {
    /// `SAM_API_TOKEN`.
    Environment,
    /// The file.
    File,
}

/// The settings a command works with.
#[derive(Debug)]
pub(crate) struct Settings {
    path: Option<PathBuf>,
    stored: Stored,
    env_url: Option<String>,
    env_token: Option<Secret>,
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn path_from_env() -> Option<PathBuf> {
    let base = env("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| env("HOME").map(|home| PathBuf::from(home).join(".config")))?;
    Some(base.join("sam").join("config.json"))
}

impl Settings {
    /// Reads the environment and, where there is one, the file.
    pub(crate) fn load() -> Result<Self, Failure> {
        let path = path_from_env();
        let stored = path
            .as_deref()
            .map_or_else(|| Ok(Stored::default()), read)?;
        Ok(Self {
            path,
            stored,
            env_url: env("SAM_API_URL"),
            env_token: env("SAM_API_TOKEN").map(|token| Secret::new(&token)),
        })
    }

    /// The server's address: `explicit`, else the environment's, the file's, the default.
    pub(crate) fn url(&self, explicit: Option<&str>) -> Result<Url, Failure> {
        let text = explicit
            .or(self.env_url.as_deref())
            .or(self.stored.url.as_deref())
            .unwrap_or(DEFAULT_URL);
        parse_url(text)
    }

    /// The token for `url` and where it comes from; none when not signed in.
    pub(crate) fn token(&self, url: &Url) -> Result<Option<(Secret, TokenSource)>, Failure> {
        if let Some(token) = &self.env_token {
            return Ok(Some((token.clone(), TokenSource::Environment)));
        }
        let (Some(stored_url), Some(token)) = (&self.stored.url, &self.stored.token) else {
            return Ok(None);
        };
        if parse_url(stored_url)? == *url {
            return Ok(Some((token.clone(), TokenSource::File)));
        }
        Err(Failure::NotSignedIn {
            message: format!("You are signed in to {stored_url}, not to {url}."),
            hint: "Set SAM_API_TOKEN beside SAM_API_URL, or run `sam auth login --url …`."
                .to_owned(),
        })
    }

    /// Whether `SAM_API_TOKEN` is set.
    pub(crate) const fn has_env_token(&self) -> bool {
        self.env_token.is_some()
    }

    /// The current project on `url`.
    pub(crate) fn project(&self, url: &Url) -> Option<&ProjectId> {
        self.stored.projects.get(url.as_str())
    }

    /// The file's path, for people.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Remembers a sign-in.
    pub(crate) fn sign_in(&mut self, url: &Url, token: Secret) -> Result<(), Failure> {
        self.stored.url = Some(url.as_str().to_owned());
        self.stored.token = Some(token);
        self.save()
    }

    /// Forgets the stored token.
    pub(crate) fn sign_out(&mut self) -> Result<(), Failure> {
        self.stored.token = None;
        self.save()
    }

    /// Remembers the current project on `url`.
    pub(crate) fn use_project(&mut self, url: &Url, project: &ProjectId) -> Result<(), Failure> {
        self.stored
            .projects
            .insert(url.as_str().to_owned(), project.clone());
        self.save()
    }

    fn save(&self) -> Result<(), Failure> {
        let Some(path) = &self.path else {
            return Err(Failure::usage(
                "There is no place for the configuration: neither XDG_CONFIG_HOME nor HOME is set.",
                "Set one of them, or use SAM_API_URL, SAM_API_TOKEN and SAM_PROJECT.",
            ));
        };
        write(path, &self.stored)
            .map_err(|error| Failure::local(&format!("Could not write {}", path.display()), &error))
    }
}

/// Parses a server's address: http or https, nothing but scheme, host, port and path.
pub(crate) fn parse_url(text: &str) -> Result<Url, Failure> {
    let wrong = |why: &str| {
        Failure::usage(
            format!("This is not a server's address: {why}."),
            "Give it like http://127.0.0.1:8787 or https://sam.example.com.",
        )
    };
    let mut url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("it must begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it must not carry a user or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it must not carry a query or fragment"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// Whether talking to `url` stays on this machine or is encrypted.
pub(crate) fn is_private(url: &Url) -> bool {
    url.scheme() == "https"
        || match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        }
}

fn read(path: &Path) -> Result<Stored, Failure> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Stored::default()),
        Err(error) => {
            return Err(Failure::local(
                &format!("Could not read {}", path.display()),
                &error,
            ));
        }
    };
    // The parser's message could quote the file; its place is enough.
    serde_json::from_str(&text).map_err(|error| {
        Failure::usage(
            format!(
                "{} is not a configuration of `sam` (line {}).",
                path.display(),
                error.line()
            ),
            "Remove the file and sign in again.",
        )
    })
}

fn write(path: &Path, stored: &Stored) -> io::Result<()> {
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    make_private_directory(directory)?;
    let text = serde_json::to_string_pretty(stored).map_err(io::Error::other)?;
    let temporary = directory.join(format!(".config.json.{}", std::process::id()));
    // A leftover of a crash would keep its own mode; the file must be new.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

#[cfg(unix)]
fn make_private_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn make_private_directory(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(stored: Stored) -> Settings {
        Settings {
            path: None,
            stored,
            env_url: None,
            env_token: None,
        }
    }

    #[test]
    fn addresses_are_normalised_or_refused() {
        for (given, wanted) in [
            ("http://127.0.0.1:8787/", Some("http://127.0.0.1:8787/")),
            ("https://sam.example.com", Some("https://sam.example.com/")),
            ("https://example.com/sam/", Some("https://example.com/sam")),
            ("ftp://example.com", None),
            ("https://me:secret@example.com", None),
            ("https://example.com/?a=1", None),
            ("https://example.com/#x", None),
            ("example.com", None),
        ] {
            let got = parse_url(given).ok();
            assert_eq!(got.as_ref().map(Url::as_str), wanted, "{given}");
        }
    }

    #[test]
    fn a_stored_token_goes_only_to_its_server() {
        let settings = settings(Stored {
            url: Some("http://127.0.0.1:8787/".to_owned()),
            token: Some(Secret::new("t")),
            ..Stored::default()
        });
        let own = parse_url("http://127.0.0.1:8787").unwrap();
        assert!(settings.token(&own).unwrap().is_some());
        let other = parse_url("http://127.0.0.1:9999").unwrap();
        assert!(matches!(
            settings.token(&other),
            Err(Failure::NotSignedIn { .. })
        ));
    }

    #[test]
    fn only_loopback_may_go_unencrypted() {
        for (url, private) in [
            ("http://127.0.0.1:1", true),
            ("http://localhost:1", true),
            ("http://[::1]:1", true),
            ("https://sam.example.com", true),
            ("http://sam.example.com", false),
            ("http://192.168.1.4", false),
        ] {
            assert_eq!(is_private(&parse_url(url).unwrap()), private, "{url}");
        }
    }
}
