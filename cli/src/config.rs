//! Where the server is, who we are there and which project is current.
//!
//! What is stored belongs to a profile. The environment wins over a profile,
//! and one named on the command line over the environment. A stored token
//! belongs to the server it was given by and is sent nowhere else: naming
//! another server without naming its token is refused.
//!
//! A file of the time before profiles is the profile `default`, which therefore
//! lies at the file's top.
//!
//! The file is `$XDG_CONFIG_HOME/sam/config.json` (else `~/.config/sam/…`),
//! readable by its owner alone, replaced as a whole. A change is made to what
//! the file holds at that moment, while nobody else changes it: what several
//! programs change at once all counts.

use crate::error::Failure;
use crate::secret::Secret;
use sam_domain::id::ProjectId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use url::Url;

/// The server when nobody named one: the local product's usual address.
pub(crate) const DEFAULT_URL: &str = "http://127.0.0.1:8787";

/// The profile that is there when nobody chose one.
pub(crate) const DEFAULT_PROFILE: &str = "default";
/// Longest name of a profile, in bytes.
const PROFILE_LIMIT: usize = 40;

/// What the file holds.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    /// The profile [`DEFAULT_PROFILE`].
    #[serde(flatten)]
    default: Profile,
    /// The profile that is used where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    profile: Option<String>,
    /// The other profiles.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    profiles: BTreeMap<String, Profile>,
}

/// One server and what is remembered of it.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Profile {
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
    /// The profile in use.
    profile: String,
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
    /// Reads the environment and, where there is one, the file. A profile that is
    /// named on the command line is meant as a whole: what the environment says
    /// of server and token does not count then.
    pub(crate) fn load(named: Option<&str>) -> Result<Self, Failure> {
        let path = path_from_env();
        let stored = path
            .as_deref()
            .map_or_else(|| Ok(Stored::default()), read)?;
        let profile = named
            .map(str::to_owned)
            .or_else(|| env("SAM_PROFILE"))
            .or_else(|| stored.profile.clone())
            .unwrap_or_else(|| DEFAULT_PROFILE.to_owned());
        check_profile(&profile)?;
        let of_environment = |name| env(name).filter(|_| named.is_none());
        Ok(Self {
            path,
            stored,
            profile,
            env_url: of_environment("SAM_API_URL"),
            env_token: of_environment("SAM_API_TOKEN").map(|token| Secret::new(&token)),
        })
    }

    /// The profile in use.
    pub(crate) fn profile(&self) -> &str {
        &self.profile
    }

    /// The profiles that hold something, and the one in use, by name.
    pub(crate) fn profiles(&self) -> Vec<&str> {
        let mut names = vec![DEFAULT_PROFILE, &self.profile];
        names.extend(self.stored.profiles.keys().map(String::as_str));
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The profile that is used where none is named.
    pub(crate) fn usual_profile(&self) -> &str {
        self.stored.profile.as_deref().unwrap_or(DEFAULT_PROFILE)
    }

    /// Chooses the profile that is used where none is named.
    pub(crate) fn set_usual_profile(&mut self, name: &str) -> Result<(), Failure> {
        check_profile(name)?;
        self.change_file(|stored| {
            stored.profile = (name != DEFAULT_PROFILE).then(|| name.to_owned());
        })
    }

    /// What is stored in the profile in use; nothing in one that was never written.
    fn held(&self) -> Option<&Profile> {
        if self.profile == DEFAULT_PROFILE {
            return Some(&self.stored.default);
        }
        self.stored.profiles.get(&self.profile)
    }

    /// The stored address, as it was given.
    fn stored_url(&self) -> Option<&str> {
        self.held()?.url.as_deref()
    }

    /// Where the address comes from, for people.
    pub(crate) fn url_source(&self) -> &'static str {
        if self.env_url.is_some() {
            "SAM_API_URL"
        } else if self.stored_url().is_some() {
            "file"
        } else {
            "default"
        }
    }

    /// Stores another address. The token that is stored belongs to the former
    /// one and is forgotten; returns whether there was one.
    pub(crate) fn set_url(&mut self, url: &Url) -> Result<bool, Failure> {
        self.change(|held| {
            let same = held.url.as_deref() == Some(url.as_str());
            let forgotten = !same && held.token.take().is_some();
            held.url = Some(url.as_str().to_owned());
            forgotten
        })
    }

    /// Forgets the current project on `url`.
    pub(crate) fn forget_project(&mut self, url: &Url) -> Result<(), Failure> {
        self.change(|held| {
            held.projects.remove(url.as_str());
        })
    }

    /// Forgets the address, and the token that belongs to it.
    pub(crate) fn forget_url(&mut self) -> Result<(), Failure> {
        self.change(|held| {
            held.url = None;
            held.token = None;
        })
    }

    /// The server's address: `explicit`, else the environment's, the file's, the default.
    pub(crate) fn url(&self, explicit: Option<&str>) -> Result<Url, Failure> {
        let text = explicit
            .or(self.env_url.as_deref())
            .or(self.stored_url())
            .unwrap_or(DEFAULT_URL);
        parse_url(text)
    }

    /// The token for `url` and where it comes from; none when not signed in.
    pub(crate) fn token(&self, url: &Url) -> Result<Option<(Secret, TokenSource)>, Failure> {
        if let Some(token) = &self.env_token {
            return Ok(Some((token.clone(), TokenSource::Environment)));
        }
        let held = self.held().map(|held| (&held.url, &held.token));
        let Some((Some(stored_url), Some(token))) = held else {
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
        self.held()?.projects.get(url.as_str())
    }

    /// The file's path, for people.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Remembers a sign-in.
    pub(crate) fn sign_in(&mut self, url: &Url, token: Secret) -> Result<(), Failure> {
        self.change(|held| {
            held.url = Some(url.as_str().to_owned());
            held.token = Some(token);
        })
    }

    /// Forgets the stored token.
    pub(crate) fn sign_out(&mut self) -> Result<(), Failure> {
        self.change(|held| held.token = None)
    }

    /// Remembers the current project on `url`.
    pub(crate) fn use_project(&mut self, url: &Url, project: &ProjectId) -> Result<(), Failure> {
        self.change(|held| {
            held.projects
                .insert(url.as_str().to_owned(), project.clone());
        })
    }

    /// Changes the profile in use.
    fn change<T>(&mut self, change: impl FnOnce(&mut Profile) -> T) -> Result<T, Failure> {
        let name = self.profile.clone();
        self.change_file(|stored| match name.as_str() {
            DEFAULT_PROFILE => change(&mut stored.default),
            _ => change(stored.profiles.entry(name).or_default()),
        })
    }

    /// Changes what the file holds now, which another program may have changed since it was read.
    fn change_file<T>(&mut self, change: impl FnOnce(&mut Stored) -> T) -> Result<T, Failure> {
        let Some(path) = &self.path else {
            return Err(Failure::usage(
                "There is no place for the configuration: neither XDG_CONFIG_HOME nor HOME is set.",
                "Set one of them, or use SAM_API_URL, SAM_API_TOKEN and SAM_PROJECT.",
            ));
        };
        let failed = |error| Failure::local(&format!("Could not write {}", path.display()), &error);
        let _alone = alone_with(path).map_err(failed)?;
        let mut stored = read(path)?;
        let outcome = change(&mut stored);
        write_private(path, &stored).map_err(failed)?;
        self.stored = stored;
        Ok(outcome)
    }
}

/// A profile's name also names files and services, so it is made of few characters.
fn check_profile(name: &str) -> Result<(), Failure> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > PROFILE_LIMIT || !name.chars().all(plain) {
        return Err(Failure::usage(
            format!("`{name}` cannot be a profile's name."),
            format!("It has at most {PROFILE_LIMIT} small letters, digits and hyphens."),
        ));
    }
    Ok(())
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
    let stored = read_json(path, "Remove the file and sign in again.")?;
    Ok(stored.unwrap_or_default())
}

/// Reads a file of ours; none when it is not there. `hint` says what to do with
/// one that cannot be read.
pub(crate) fn read_json<T: DeserializeOwned>(
    path: &Path,
    hint: &str,
) -> Result<Option<T>, Failure> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Failure::local(
                &format!("Could not read {}", path.display()),
                &error,
            ));
        }
    };
    // The parser's message could quote the file; its place is enough.
    serde_json::from_str(&text).map(Some).map_err(|error| {
        Failure::usage(
            format!(
                "{} is not a file of `sam`'s (line {}).",
                path.display(),
                error.line()
            ),
            hint,
        )
    })
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new("."))
}

/// Waits until no other program changes a file of ours. Until what is returned is dropped, none does.
fn alone_with(path: &Path) -> io::Result<fs::File> {
    let directory = folder_of(path);
    make_private_directory(directory)?;
    // The folder itself: the file is replaced, and a file beside it would be left behind.
    let held = fs::File::open(directory)?;
    held.lock()?;
    Ok(held)
}

/// Writes a file that its owner alone may read, as a whole, into a folder of the same kind.
pub(crate) fn write_private<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let directory = folder_of(path);
    make_private_directory(directory)?;
    let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = directory.join(format!(".{name}.{}", std::process::id()));
    // A leftover of a crash would keep its own mode; the file must be new.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written =
        write_new(&temporary, &format!("{text}\n")).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // It may hold a token, and nobody would look for it there.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Writes a file that is not there yet and that its owner alone may read.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
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

    fn settings(text: &str, profile: &str) -> Settings {
        Settings {
            path: None,
            stored: serde_json::from_str(text).unwrap(),
            profile: profile.to_owned(),
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
        let text = r#"{"url":"http://127.0.0.1:8787/","token":"t"}"#;
        let settings = settings(text, DEFAULT_PROFILE);
        let own = parse_url("http://127.0.0.1:8787").unwrap();
        assert!(settings.token(&own).unwrap().is_some());
        let other = parse_url("http://127.0.0.1:9999").unwrap();
        assert!(matches!(
            settings.token(&other),
            Err(Failure::NotSignedIn { .. })
        ));
    }

    #[test]
    fn a_profile_knows_nothing_of_the_others() {
        let text = r#"{"url":"http://a/","token":"a","profile":"work",
            "profiles":{"work":{"url":"http://b/","token":"b"}}}"#;
        for (profile, url, token) in [
            (DEFAULT_PROFILE, "http://a/", Some("a")),
            ("work", "http://b/", Some("b")),
            ("new", "http://127.0.0.1:8787/", None),
        ] {
            let settings = settings(text, profile);
            let at = settings.url(None).unwrap();
            assert_eq!(at.as_str(), url);
            let held = settings.token(&at).unwrap();
            assert_eq!(
                held.as_ref().map(|(token, _)| token.expose()),
                token,
                "{profile}"
            );
        }
        let listed = settings(text, "new");
        assert_eq!(listed.profiles(), ["default", "new", "work"]);
        assert_eq!(listed.usual_profile(), "work");
    }

    #[test]
    fn a_profiles_name_is_plain() {
        for (name, fits) in [
            ("work", true),
            ("team-2", true),
            ("", false),
            ("Work", false),
            ("../x", false),
            ("a b", false),
            (&"x".repeat(41), false),
        ] {
            assert_eq!(check_profile(name).is_ok(), fits, "{name}");
        }
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
