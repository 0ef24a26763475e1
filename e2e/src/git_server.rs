//! A git server over HTTP: `git http-backend` behind a few lines, as hosts run it. A test may hold
//! one of git's services, so that a clone or a push stands still while something else happens.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{Result, failure, within};

const BODY_LIMIT: usize = 64 * 1024 * 1024;

/// A service of git's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// What a clone asks for.
    UploadPack,
    /// What a push asks for.
    ReceivePack,
}

impl Service {
    const fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }
}

struct Shared {
    root: PathBuf,
    /// The service whose requests wait.
    held: watch::Sender<Option<Service>>,
    /// How many requests wait.
    waiting: watch::Sender<usize>,
    /// Every request that came, method and path with its query.
    seen: Mutex<Vec<String>>,
}

/// A running server. Dropping it stops it.
pub struct GitServer {
    address: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl GitServer {
    /// Serves the repositories of a folder, for reading and for writing.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start(root: &Path) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            held: watch::Sender::new(None),
            waiting: watch::Sender::new(0),
            seen: Mutex::new(Vec::new()),
        });
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            // It fails only with its socket; then the test that needs it says what is missing.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            address,
            shared,
            task,
        })
    }

    /// The URL of a repository of the folder; below `private/` nobody is let in.
    #[must_use]
    pub fn url(&self, repository: &str) -> String {
        format!("http://{}/{repository}", self.address)
    }

    /// Holds the requests of a service until [`GitServer::release`]: those that carry the objects,
    /// after both ends have agreed which.
    pub fn hold(&self, service: Service) {
        self.shared.held.send_replace(Some(service));
    }

    /// Lets everything go on.
    pub fn release(&self) {
        self.shared.held.send_replace(None);
    }

    /// Waits until a request is held.
    ///
    /// # Errors
    /// When none comes within the time.
    pub async fn until_held(&self, deadline: Duration) -> Result {
        let mut waiting = self.shared.waiting.subscribe();
        within("a request of git's is held", deadline, async {
            waiting.wait_for(|waiting| *waiting > 0).await.map(|_| ())
        })
        .await?
        .map_err(|_| failure("the git server is gone"))
    }

    /// How many requests are held now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        *self.shared.waiting.borrow()
    }

    /// Every request that came, method and path with its query.
    #[must_use]
    pub fn seen(&self) -> Vec<String> {
        self.shared
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Counts a request while it waits; one whose client leaves counts no more.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn begin(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let asked = format!("{} {}", request.method(), request.uri());
    shared
        .seen
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(asked.clone());
    let held = |service: &Option<Service>| {
        service.is_some_and(|service| asked.starts_with("POST ") && asked.ends_with(service.name()))
    };
    if request.uri().path().starts_with("/private/") {
        let challenge = [("www-authenticate", "Basic realm=\"private\"")];
        return (StatusCode::UNAUTHORIZED, challenge).into_response();
    }
    if held(&shared.held.borrow()) {
        let _waiting = Waiting::begin(&shared.waiting);
        // The sender lives as long as this request's state.
        let _ = shared
            .held
            .subscribe()
            .wait_for(|service| !held(service))
            .await;
    }
    match backend(&shared.root, request).await {
        Ok(response) => response,
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// One request by CGI.
async fn backend(root: &Path, request: Request) -> Result<Response> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_LIMIT).await?;
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        // Whoever is named may push.
        .env("REMOTE_USER", "test")
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", header(&parts.headers, "content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env(
            "HTTP_CONTENT_ENCODING",
            header(&parts.headers, "content-encoding"),
        )
        .env("GIT_PROTOCOL", header(&parts.headers, "git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // It need not read everything it is sent.
        let _ = stdin.write_all(&body).await;
    }
    let output = child.wait_with_output().await?.stdout;
    let end = output
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .ok_or_else(|| failure("git http-backend answered without a header"))?;
    let (head, body) = output.split_at(end + 4);
    let mut response = Response::new(Body::from(body.to_vec()));
    for line in String::from_utf8_lossy(head).lines() {
        let Some((name, value)) = line.split_once(": ") else {
            continue;
        };
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().unwrap_or_default();
            *response.status_mut() = code.parse()?;
        } else {
            response.headers_mut().append(
                HeaderName::from_bytes(name.as_bytes())?,
                HeaderValue::from_str(value)?,
            );
        }
    }
    Ok(response)
}
