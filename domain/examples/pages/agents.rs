//! `docs/agents.md`: the catalogue, and what the conformance runs came to.

use sam_domain::agents::{AGENTS, Agent, Dialect};
use serde_json::Value;
use std::path::Path;

const HEAD: &str = "\
# Coding agents

An agent is a program that speaks the [Agent Client Protocol](https://agentclientprotocol.com) over stdin and stdout. SAM
starts it on the machine, in a clone of the repository, and turns what it says into the conversation. This page is
generated (`cargo xtask generate`).

Choose one with `sam task submit … --agent codex`, or for all of a project's tasks with `sam project create … --agent codex`.
`sam agent list` names them; `sam node list` shows which of them each machine has or can install. A task waits for a machine
that can run its agent.

";

const INSTALLATION: &str = "
## How an agent gets onto a machine

An agent with a package is installed with npm when a task first needs it, into `--agents-dir` and nowhere else: exactly the
version above, from a lock file that carries a checksum for every package in it, without running their scripts. What is
installed is used again without a network. npm and Node have to be on the vm-agent's `PATH`; where they are not, the machine
does not offer these agents. A person's own installation is used only where `--agent-path` names its folder. An agent that
calls its maker itself is offered only where the vm-agent's own environment holds the maker's key.

Every agent runs under a supervisor that ends all it started, with an environment made for it, a HOME of its own, and a
model address on loopback whose key is worthless elsewhere. Its model calls go through SAM's proxy in the dialect it speaks,
with a token that can do nothing else. What it needs in files is written into that HOME anew at each start.

Where the community's bridge of an agent is pinned (`acp-amp` for Amp) and its maker changes what it bridges, the way on is a
fork: put the fork's `acp-amp` into a folder, name that folder with `--agent-path`, and run the conformance steps with it
before tasks do.

## What an agent may do

`sam task submit … --permission-mode` says how much an agent may do before somebody is asked:

| mode | meaning |
|---|---|
| `ask` | it asks before it changes or runs anything |
| `accept-edits` | it edits files unasked, and asks before it runs anything |
| `plan` | it makes a plan and changes nothing |
| `full` | it asks nothing: the workspace is its sandbox; this is the default |

What it asks is a card in the conversation, answered in the web app or with `sam task answer`. The first answer counts. What
nobody answers within `--permission-wait` is refused. A question that offers no plain yes is shown in every mode, `full`
included, and is never answered by SAM.

";

const CREDENTIALS: &str = "
Which credential proves what to whom:

| credential | who holds it | proves | to whom |
|---|---|---|---|
| relay secret | the agent, in its environment or in files of its private HOME | that a call comes from this agent's session | the vm-agent's relay, on loopback |
| model token | the vm-agent, in memory, for an hour at most | for which task and for whom a model is called; nothing else | SAM's proxy |
| provider's key | the control plane, sealed | who pays | the model's provider |
| own login (`own-login`) | the agent, as one file with an access token and no refresh token | whose subscription it is | the agent's maker |
| maker's key of a machine | the vm-agent's environment, and the one agent it is for | who owns the machine's account | the agent's maker |

";

const ODDITIES: &str = "
What a host has to bear, seen with the versions above:

- Claude Code's adapter ends by force: it does not end when its stdin does.
- Codex asks nothing in mode `ask` while its own sandbox can refuse instead.
- Qwen Code refuses file paths that are not whole ones, sends requests of its own (`craft/drainMidTurnQueue`) and goes on
  when they are refused, and offers three kinds of “always” beside a plain yes.
- Copilot names its modes by URLs, and what it may do unasked is a session option of its own (`allow_all`).
- pi shows how hard it thinks as its session mode, and has no permissions.
- Kimi streams the arguments of a tool call as its content before it has a title, and wants ripgrep for its own search.
- Mistral Vibe answers tool calls with JSON objects, and asks with a tool call that has an id and nothing else: the
  question's words are those of the call it announced before.
- Amp's bridge 0.1.3 says that it is 0.1.0.
- Gemini CLI reads whole paths alone, and cannot create files through a host's file system: SAM offers it none.
";

const TAIL: &str = "
## The harness by itself

`sam-harness` also works without SAM, with any OpenAI-compatible model:

    SAM_MODEL_URL=https://api.example.com/v1 SAM_MODEL_KEY=… SAM_MODEL=some-model \\
      sam-harness run -p \"Fix the failing test.\" --dir .

Steps go to stderr, the answer to stdout. It exits with 0 when complete, 1 on an error, 2 on a mistake in the command, 3 at
a limit, 130 when interrupted. `--add-dir` opens further directories to it, by the rules of the workspace.

On Linux it is one static file of 7 MB. `harness/Dockerfile` puts it into an empty image; a shell and a project's own tools
come from a base image (`--build-arg BASE=…`) or a mounted folder. [What came of it in a
container](experiments/harness-proxy.md), through the model proxy.
";

/// The steps of a conformance run, in the order in which they are driven.
const STEPS: [&str; 7] = [
    "initialize",
    "new session",
    "tool loop",
    "permission",
    "cancel",
    "crash and restart",
    "load",
];

/// The page, from the catalogue and the stored results.
pub(super) fn page(results: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let results: Value = serde_json::from_str(&std::fs::read_to_string(results)?)?;
    let mut page = HEAD.to_owned();
    page.push_str("| agent | id | comes from | model API | status |\n|---|---|---|---|---|\n");
    for agent in AGENTS {
        page.push_str(&format!(
            "| {} | `{}` | {} | {} | {} |\n",
            agent.name,
            agent.id,
            origin(agent),
            dialect(agent),
            status(agent)
        ));
    }
    page.push_str(INSTALLATION);
    page.push_str("| agent | modes | the layer that wins, and is used |\n|---|---|---|\n");
    for agent in AGENTS {
        let modes: Vec<_> = agent
            .modes
            .iter()
            .map(|(mode, _)| format!("`{}`", mode.word().replace('_', "-")))
            .collect();
        let (name, modes, policy) = (agent.name, modes.join(", "), agent.policy);
        page.push_str(&format!("| {name} | {modes} | {policy} |\n"));
    }
    page.push_str(
        "\n## Who they say they are\n\n| agent | login | by itself, without a person |\n|---|---|---|\n",
    );
    for agent in AGENTS {
        let (name, login, alone) = (agent.name, agent.login, agent.non_interactive);
        page.push_str(&format!("| {name} | {login} | {alone} |\n"));
    }
    page.push_str(CREDENTIALS);
    page.push_str("| agent | what it cannot do here, or SAM not for it |\n|---|---|\n");
    for agent in AGENTS.iter().filter(|agent| !agent.limits.is_empty()) {
        page.push_str(&format!("| {} | {} |\n", agent.name, agent.limits));
    }
    page.push_str(
        "\n## Conformance\n\n`sam-vm-agent conformance` drives each agent through what SAM needs of it, against the scripted gateway, and keeps the\n\
        results in `docs/conformance.json`. `verified` above means that no step\n\
        failed with the pinned version. Where an agent is *held back unasked*, its own sandbox refuses in mode `ask` what it may not\n\
        do, and it asks only when the model asks for more.\n\n",
    );
    page.push_str(&format!(
        "| agent | {} | version, day |\n",
        STEPS.join(" | ")
    ));
    page.push_str(&format!("|---|{}---|\n", "---|".repeat(STEPS.len())));
    for agent in AGENTS {
        let told = |of: &str| {
            let report = results.get(agent.id)?;
            report.pointer(of)?.as_str()
        };
        let came: Vec<&str> = STEPS
            .iter()
            .map(|step| told(&format!("/steps/{step}")).unwrap_or("not driven"))
            .collect();
        page.push_str(&format!(
            "| {} | {} | {}, {} |\n",
            agent.name,
            came.join(" | "),
            told("/version").unwrap_or("–"),
            told("/on").unwrap_or("–")
        ));
    }
    page.push_str(ODDITIES);
    page.push_str(TAIL);
    Ok(page)
}

fn origin(agent: &Agent) -> String {
    match agent.package {
        Some(package) => {
            let only = package
                .platform
                .map_or_else(String::new, |platform| format!(" ({platform} alone)"));
            format!("npm: `{}` {}{only}", package.name, package.version)
        }
        None => agent.source.to_owned(),
    }
}

fn dialect(agent: &Agent) -> String {
    match agent.dialect {
        Dialect::Own => "its maker's own, past SAM's proxy".to_owned(),
        known => known.word().replace('_', " "),
    }
}

fn status(agent: &Agent) -> String {
    match agent.verified {
        Some(verified) => format!("verified {}", verified.on),
        None => "untested".to_owned(),
    }
}
