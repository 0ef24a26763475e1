//! `sam-sims`: stand-ins as programs.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use sam_sims::gateway::{self, Exam, Fault, Options};
use sam_sims::{github, logins};
use tokio::net::TcpListener;

/// Stand-ins that speak real protocols over real sockets, for tests and for a demo without keys.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// An OpenAI-compatible model gateway on 127.0.0.1 that serves the model `scripted`.
    ///
    /// The first line on stdout is `{"listening":"http://127.0.0.1:PORT"}`; the base URL for clients is that and `/v1`.
    Gateway {
        /// Port; 0 takes a free one.
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// File to write the port to, once it listens.
        #[arg(long)]
        port_file: Option<PathBuf>,
        /// Key that requests must carry as `Authorization: Bearer` or `cf-aig-authorization: Bearer`.
        #[arg(long, env = "SAM_SIMS_KEY", hide_env_values = true)]
        key: Option<String>,
        /// Key that providers behind the gateway take in place of unified billing.
        #[arg(long, env = "SAM_SIMS_PROVIDER_KEY", hide_env_values = true)]
        provider_key: Option<String>,
        /// Milliseconds between two chunks of a stream.
        #[arg(long, default_value_t = 15)]
        chunk_delay_ms: u64,
        /// End when stdin closes, so that the gateway does not outlive the program that started it.
        #[arg(long)]
        end_with_stdin: bool,
        /// Faults that wait from the start, as a JSON list in the form of `POST /control/fault`.
        #[arg(long, value_parser = parse_faults)]
        faults: Option<FaultList>,
        /// The tasks of an evaluation: the model is then also served as `solver/scripted`, `idle/scripted` and `clumsy/scripted`, which take part in it.
        #[arg(long, value_name = "DIR")]
        suite: Option<PathBuf>,
    },
    /// GitHub's sign-in on 127.0.0.1, with one OAuth app and one person who says yes at once.
    ///
    /// The first line on stdout is `{"listening":"http://127.0.0.1:PORT"}`.
    Github {
        /// Port; 0 takes a free one.
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// The app's id.
        #[arg(long)]
        client_id: String,
        /// The app's secret.
        #[arg(long, env = "SAM_SIMS_GITHUB_SECRET", hide_env_values = true)]
        client_secret: String,
    },
    /// The token endpoints of Codex's and Claude Code's subscriptions on 127.0.0.1.
    ///
    /// The first line on stdout is `{"listening":"http://127.0.0.1:PORT"}`.
    Logins {
        /// Port; 0 takes a free one.
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
}

type FaultList = std::sync::Arc<Vec<Fault>>;

fn parse_faults(text: &str) -> Result<FaultList, serde_json::Error> {
    serde_json::from_str::<Vec<Fault>>(text).map(std::sync::Arc::new)
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(problem) => return failed(&problem),
    };
    let ran = match cli.command {
        Command::Gateway {
            port,
            port_file,
            key,
            provider_key,
            chunk_delay_ms,
            end_with_stdin,
            faults,
            suite,
        } => {
            let exam = match suite.as_deref().map(Exam::read).transpose() {
                Ok(exam) => exam.unwrap_or_default(),
                Err(problem) => return failed(&problem),
            };
            let options = Options {
                exam,
                key,
                provider_key,
                chunk_delay: Duration::from_millis(chunk_delay_ms),
                faults: faults.map(|faults| faults.to_vec()).unwrap_or_default(),
            };
            runtime.block_on(run_gateway(port, port_file, end_with_stdin, options))
        }
        Command::Github {
            port,
            client_id,
            client_secret,
        } => {
            let options = github::Options {
                client_id,
                client_secret,
            };
            runtime.block_on(run_stand_in(port, |listener| {
                github::serve(listener, options)
            }))
        }
        Command::Logins { port } => runtime.block_on(run_stand_in(port, logins::serve)),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => failed(&problem),
    }
}

async fn run_gateway(
    port: u16,
    port_file: Option<PathBuf>,
    end_with_stdin: bool,
    options: Options,
) -> std::io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    if let Some(file) = port_file {
        // Renamed into place, so that a reader never sees half a number.
        let draft = file.with_extension("draft");
        std::fs::write(&draft, address.port().to_string())?;
        std::fs::rename(&draft, &file)?;
    }
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{{\"listening\":\"http://{address}\"}}")?;
    stdout.flush()?;
    tokio::select! {
        served = gateway::serve(listener, options) => served,
        stopped = tokio::signal::ctrl_c() => stopped,
        () = stdin_closed(), if end_with_stdin => Ok(()),
    }
}

async fn run_stand_in<S: Future<Output = std::io::Result<()>>>(
    port: u16,
    serve: impl FnOnce(TcpListener) -> S,
) -> std::io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{{\"listening\":\"http://{address}\"}}")?;
    stdout.flush()?;
    tokio::select! {
        served = serve(listener) => served,
        stopped = tokio::signal::ctrl_c() => stopped,
    }
}

/// Waits until the other end of stdin is gone. A thread of its own, because such a read cannot be given up.
async fn stdin_closed() {
    let (closed, wait) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = closed.send(());
    });
    let _ = wait.await;
}

fn failed(problem: &std::io::Error) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "sam-sims: {problem}");
    ExitCode::FAILURE
}
