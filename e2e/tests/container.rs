//! The harness in an empty container: its image, and work in a repository through the Worker's model
//! proxy. `scripts/experiments/harness-container` starts a daemon for it where there is none.
//! `scripts/test` skips its step where no daemon answers.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Instant;

use axum::Json;
use axum::response::IntoResponse;
use axum::routing::post;
use sam_e2e::conversation::PATIENCE;
use sam_e2e::node::ScriptedNode;
use sam_e2e::{Result, Stack, StackOptions, ensure, failure, programs, repository, wait_until};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const IMAGE: &str = "sam-harness-test";
/// What the image may have beside the program: the authorities' certificates.
const BESIDE: u64 = 600 * 1024;
const PROMPT: &str = "Read greeting.txt, write its words in capitals to loud.txt, and count them.";

/// What is called at each step, and with what.
fn steps() -> Vec<(&'static str, Value)> {
    vec![
        ("read_file", json!({"path": "greeting.txt"})),
        (
            "write_file",
            json!({"path": "loud.txt", "content": "GOOD MORNING, WORLD\n"}),
        ),
        ("bash", json!({"command": "cat loud.txt | wc -w"})),
    ]
}

/// A model that takes the steps, one for each result it was given, and then repeats the last result.
async fn model(Json(request): Json<Value>) -> impl IntoResponse {
    let messages = request.get("messages").and_then(Value::as_array);
    let is_result = |message: &&Value| message.get("role").is_some_and(|role| role == "tool");
    let results: Vec<&Value> = messages.into_iter().flatten().filter(is_result).collect();
    let delta = match steps().get(results.len()) {
        Some((name, arguments)) => json!({"role": "assistant", "tool_calls": [{"index": 0,
            "id": format!("call_{}", results.len()), "type": "function",
            "function": {"name": name, "arguments": arguments.to_string()}}]}),
        None => {
            let counted = results
                .last()
                .and_then(|result| result.get("content")?.as_str());
            let counted = counted.unwrap_or_default().trim();
            json!({"role": "assistant", "content": format!("It has {counted} words.")})
        }
    };
    let reason = if delta.get("tool_calls").is_some() {
        "tool_calls"
    } else {
        "stop"
    };
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12});
    let chunk = |delta: Value, reason: Value| json!({"id": "c", "object": "chat.completion.chunk", "model": "scripted", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
    let events = [
        chunk(delta, Value::Null),
        chunk(json!({}), json!(reason)),
        json!({"id": "c", "object": "chat.completion.chunk", "model": "scripted", "choices": [], "usage": usage}),
    ];
    let text: String = events.iter().map(|e| format!("data: {e}\n\n")).collect();
    (
        [("content-type", "text/event-stream")],
        format!("{text}data: [DONE]\n\n"),
    )
}

fn docker(arguments: &[&str]) -> std::io::Result<Output> {
    Command::new("docker").args(arguments).output()
}

fn done(arguments: &[&str]) -> Result<String> {
    let output = docker(arguments)?;
    ensure(output.status.success(), || {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("docker {}: {errors}", arguments.join(" "))
    })?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Builds the image from a folder with the program and the certificates.
fn image(folder: &Path) -> Result {
    std::fs::create_dir_all(folder)?;
    std::fs::copy(programs::native("sam-harness")?, folder.join("sam-harness"))?;
    let certificates = "/etc/ssl/certs/ca-certificates.crt";
    let text = std::fs::read(certificates).unwrap_or_default();
    std::fs::write(folder.join("ca-certificates.crt"), text)?;
    let file = programs::root().join("harness/Dockerfile");
    let (file, folder) = (file.to_string_lossy(), folder.to_string_lossy());
    done(&["build", "--quiet", "--tag", IMAGE, "--file", &file, &folder])?;
    let size: u64 = done(&["image", "inspect", "--format", "{{.Size}}", IMAGE])?.parse()?;
    let program = programs::native("sam-harness")?.metadata()?.len();
    println!("image {size} bytes, program {program} bytes");
    ensure((program..program + BESIDE).contains(&size), || {
        format!("the image has {size} bytes, the program {program}")
    })
}

/// A folder with a static shell and the programs that go with it, for an image that has none.
fn shell(folder: &Path) -> Result {
    std::fs::create_dir_all(folder)?;
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].map(Path::new);
    let busybox = busybox.iter().find(|path| path.is_file());
    let busybox = busybox.ok_or_else(|| failure("busybox is missing (Debian: busybox-static)"))?;
    std::fs::copy(busybox, folder.join("busybox"))?;
    for name in ["sh", "cat", "wc", "env"] {
        std::os::unix::fs::symlink("busybox", folder.join(name))?;
    }
    Ok(())
}

// The model answers while a thread waits for Docker.
#[tokio::test(flavor = "multi_thread")]
async fn the_harness_works_in_an_empty_container_through_the_proxy() -> Result {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let upstream = format!("http://{}/v1", listener.local_addr()?);
    let router = axum::Router::new().route("/v1/chat/completions", post(model));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let stack = Stack::start_with(StackOptions {
        settings: vec![("SAM_MODEL_URL".to_owned(), upstream)],
        ..StackOptions::default()
    })
    .await?;
    let mut node = ScriptedNode::join(&stack, "container").await?;
    let project = stack.create_project("/nowhere").await?;
    let task = json!({"prompt": PROMPT});
    let submitted = stack.submit(&project.id, "container", &task).await?;
    let prompt = node.play_to_prompt().await?;
    let token = node.tokens(&prompt.workspace).await?.model_token;

    let folder = stack.scratch_directory("container");
    let begun = Instant::now();
    image(&folder.join("image"))?;
    println!("image built in {:.2} s", begun.elapsed().as_secs_f64());
    shell(&folder.join("bin"))?;
    let files = [("greeting.txt", "Good morning, world\n")];
    let origin = repository::create(&folder, "repository", &files)?;
    let work = folder.join("work");
    let (from, to) = (origin.to_string_lossy(), work.to_string_lossy());
    repository::git(&folder, &["clone", "--quiet", &from, &to])?;
    let records = folder.join("records");
    std::fs::create_dir(&records)?;
    let mount = |from: &Path, to: &str| format!("{}:{to}", from.display());
    let environment = [
        format!("SAM_MODEL_URL={}/ai/v1", stack.url()),
        format!("SAM_MODEL_KEY={token}"),
        "SAM_MODEL=sam".to_owned(),
        "SAM_TRANSCRIPT_DIR=/records".to_owned(),
    ];
    let volumes = [
        mount(&folder.join("bin"), "/bin:ro"),
        mount(&work, "/work"),
        mount(&records, "/records"),
    ];
    let mut arguments = vec!["run", "--rm", "--network", "host"];
    for volume in &volumes {
        arguments.extend(["--volume", volume]);
    }
    for variable in &environment {
        arguments.extend(["--env", variable]);
    }
    let container = arguments.clone();
    arguments.extend([IMAGE, "run", "--output", "json", "-p", PROMPT]);
    let begun = Instant::now();
    let said = done(&arguments)?;
    println!("run in {:.2} s: {said}", begun.elapsed().as_secs_f64());
    let result: Value = serde_json::from_str(&said)?;
    ensure(
        result["text"] == "It has 3 words." && result["stop_reason"] == "end_turn",
        || said.clone(),
    )?;
    let written = std::fs::read_to_string(work.join("loud.txt"))?;
    ensure(written == "GOOD MORNING, WORLD\n", || written.clone())?;

    // The transcript lies outside, and tells all of it; the token is not in it.
    let show = [&container[..], &[IMAGE, "show", "--json"]].concat();
    let told = done(&show)?;
    for words in ["read_file", "Good morning, world", "loud.txt", "isolation"] {
        ensure(told.contains(words), || format!("no {words} in:\n{told}"))?;
    }
    ensure(!told.contains(&token), || {
        "the token is recorded".to_owned()
    })?;
    let level = told.lines().find(|line| line.contains("isolation"));
    println!("{}", level.unwrap_or_default());
    // What it used is written down where it belongs.
    let usage = format!("/api/tasks/{}/usage", submitted.task);
    wait_until("four calls are counted", PATIENCE, || async {
        let usage: Value = stack.admin()?.get(&usage).await?.json()?;
        Ok((usage["calls"] == 4).then_some(()))
    })
    .await?;
    let removed = done(&["image", "rm", "--force", IMAGE]);
    serving.abort();
    removed.map(drop)
}
