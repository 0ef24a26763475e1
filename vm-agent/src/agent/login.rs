//! The login of an agent that works with its person's subscription.
//!
//! Its file lies in the workspace's private home, readable by its owner alone, for as long as the
//! agent runs. It holds an access token and nothing to get a further one with; a new one is fetched
//! before it ends. When there is none any more the agent cannot go on, and its session is told why.

use crate::api::{ApiFailure, WorkspaceApi};
use crate::clock;
use crate::hub::Failure;
use crate::layout::Layout;
use crate::secret::Secret;
use sam_domain::agents::{AGENTS, OwnLogin};
use sam_domain::login::wire::WorkspaceLogin;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The clock is looked at this often, because a machine that sleeps counts no time.
const LOOK: Duration = Duration::from_secs(30);

/// A login in use. Dropping it takes the file away.
#[derive(Debug)]
pub(super) struct Login {
    home: PathBuf,
    file: &'static str,
    /// The model its owner chose for the agent.
    pub(super) model: Option<String>,
    lost: mpsc::Receiver<Failure>,
    keeping: JoinHandle<()>,
}

impl Login {
    /// Fetches the agent's login and keeps it good; `None` when its owner pays another way.
    pub(super) async fn fetch(
        api: &WorkspaceApi,
        own: &OwnLogin,
        layout: &Layout,
    ) -> Result<Option<Self>, Failure> {
        let given = asked(api).await?;
        let (home, file) = (layout.home(), own.file);
        let again = Duration::from_millis(given.ask_again_in.0);
        let Some(text) = given.file else {
            return Ok(None);
        };
        write(&home, file, &Secret::new(text)).map_err(|error| not_written(&error))?;
        let (losing, lost) = mpsc::channel(1);
        let (api, kept) = (api.clone(), home.clone());
        let keeping = tokio::spawn(async move {
            let failure = keep(&api, (&kept, file), again).await;
            let _ = losing.send(failure).await;
        });
        Ok(Some(Self {
            home,
            file,
            model: given.model,
            lost,
            keeping,
        }))
    }

    /// Waits until the login is no good any more.
    pub(super) async fn lost(&mut self) -> Failure {
        match self.lost.recv().await {
            Some(failure) => failure,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        self.keeping.abort();
        remove(&self.home, self.file);
    }
}

/// Takes away the logins that a vm-agent left in a workspace when it was killed.
pub(crate) fn remove_left(layout: &Layout) {
    let logins = AGENTS.iter().filter_map(|agent| agent.own_login.as_ref());
    for own in logins {
        if layout.home().join(own.file).symlink_metadata().is_ok() {
            remove(&layout.home(), own.file);
        }
    }
}

fn remove(home: &Path, file: &str) {
    if let Ok(file) = place(home, file) {
        let _ = std::fs::remove_file(file);
    }
}

/// Asks until there is an answer.
async fn asked(api: &WorkspaceApi) -> Result<WorkspaceLogin, Failure> {
    api.until_answered("the agent's login", WorkspaceApi::login)
        .await
        .map_err(|failure| match failure {
            ApiFailure::Refused { code, message, .. } => Failure::new(&code, message),
            other => Failure::new("agent_failed_to_start", other.to_string()),
        })
}

/// Keeps the file good until it cannot be.
async fn keep(api: &WorkspaceApi, (home, file): (&Path, &str), first: Duration) -> Failure {
    let mut due = clock::since_boot() + first;
    loop {
        while let Some(left) = due
            .checked_sub(clock::since_boot())
            .filter(|it| !it.is_zero())
        {
            tokio::time::sleep(left.min(LOOK)).await;
        }
        let given = match asked(api).await {
            Ok(given) => given,
            Err(failure) => return failure,
        };
        due = clock::since_boot() + Duration::from_millis(given.ask_again_in.0);
        let Some(text) = given.file else {
            let message = "Your own login is not to be used for this agent any more.";
            return Failure::new("login_withdrawn", message);
        };
        if let Err(error) = write(home, file, &Secret::new(text)) {
            return not_written(&error);
        }
    }
}

fn not_written(error: &std::io::Error) -> Failure {
    Failure::new(
        "agent_failed_to_start",
        format!("The agent's login cannot be written: {error}"),
    )
}

/// Where a file lies below a home, with the folders on the way. What stands there in a folder's place
/// is taken away: an agent may have left a link that leads out of its home.
pub(super) fn place(home: &Path, file: &str) -> std::io::Result<PathBuf> {
    let mut folder = home.to_owned();
    let folders = Path::new(file).parent().into_iter().flat_map(Path::iter);
    for name in folders {
        folder.push(name);
        match folder.symlink_metadata() {
            Ok(found) if found.is_dir() => continue,
            Ok(_) => std::fs::remove_file(&folder)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
    }
    Ok(home.join(file))
}

/// Puts the file in place whole, so that the agent never reads half of one.
pub(super) fn write(home: &Path, file: &str, text: &Secret) -> std::io::Result<()> {
    let file = place(home, file)?;
    let draft = file.with_extension("draft");
    let _ = std::fs::remove_file(&draft);
    let mut options = std::fs::OpenOptions::new();
    let mut open = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    open.write_all(text.expose().as_bytes())?;
    drop(open);
    std::fs::rename(&draft, &file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam_domain::id::{Id as _, WorkspaceId};
    use sam_domain::time::Timestamp;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_login_lies_in_a_file_of_its_owners_alone() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(".codex/auth.json");
        for text in ["{\"first\":1}", "{}"] {
            write(home.path(), ".codex/auth.json", &Secret::new(text)).unwrap();
            assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&file), 0o600);
            assert_eq!(mode(file.parent().unwrap()), 0o700);
        }
        assert_eq!(
            std::fs::read_dir(file.parent().unwrap()).unwrap().count(),
            1
        );
    }

    #[test]
    fn nothing_is_written_or_removed_through_what_an_agent_left_in_its_home() {
        let (home, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let theirs = elsewhere.path().join("auth.json");
        std::fs::write(&theirs, "a person's").unwrap();
        let folder = home.path().join(".codex");
        let plant = || std::os::unix::fs::symlink(elsewhere.path(), &folder).unwrap();
        plant();
        write(home.path(), ".codex/auth.json", &Secret::new("ours")).unwrap();
        assert_eq!(
            std::fs::read_to_string(folder.join("auth.json")).unwrap(),
            "ours"
        );
        std::fs::remove_dir_all(&folder).unwrap();
        plant();
        remove(home.path(), ".codex/auth.json");
        assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "a person's");
    }

    #[test]
    fn a_login_that_a_killed_vm_agent_left_is_taken_away() {
        let state = tempfile::tempdir().unwrap();
        let layout = Layout::new(state.path(), &WorkspaceId::mint(Timestamp(1), 1));
        layout.make_afresh().unwrap();
        for own in AGENTS.iter().filter_map(|agent| agent.own_login.as_ref()) {
            write(&layout.home(), own.file, &Secret::new("{}")).unwrap();
            remove_left(&layout);
            assert!(!layout.home().join(own.file).exists(), "{}", own.file);
        }
    }
}
