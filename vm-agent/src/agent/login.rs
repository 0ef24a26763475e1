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
use sam_domain::agents::OwnLogin;
use sam_domain::login::wire::WorkspaceLogin;
use std::io::Write as _;
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
    file: PathBuf,
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
        let file = layout.home().join(own.file);
        let again = Duration::from_millis(given.ask_again_in.0);
        let Some(text) = given.file else {
            return Ok(None);
        };
        write(&file, &Secret::new(text)).map_err(|error| not_written(&error))?;
        let (losing, lost) = mpsc::channel(1);
        let (api, kept) = (api.clone(), file.clone());
        let keeping = tokio::spawn(async move {
            let failure = keep(&api, &kept, again).await;
            let _ = losing.send(failure).await;
        });
        Ok(Some(Self {
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
        let _ = std::fs::remove_file(&self.file);
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
async fn keep(api: &WorkspaceApi, file: &Path, first: Duration) -> Failure {
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
        if let Err(error) = write(file, &Secret::new(text)) {
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

/// Puts the file in place whole, so that the agent never reads half of one.
pub(super) fn write(file: &Path, text: &Secret) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(file);
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
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
    std::fs::rename(&draft, file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_login_lies_in_a_file_of_its_owners_alone() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(".codex/auth.json");
        for text in ["{\"first\":1}", "{}"] {
            write(&file, &Secret::new(text)).unwrap();
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
}
