//! The agents that can be chosen, each with the recipe that was seen to work.

use super::{Agent, Dialect, Mode, OwnLogin, Package, PermissionMode, Verified, further};
use crate::login::LoginKind;
use PermissionMode::{AcceptEdits, Ask, Full, Plan};

/// Codex's settings. They are handed to every session as overrides: Codex trusts
/// the folder it is started in, and would take a repository's `.codex/config.toml`
/// over its own file in HOME.
macro_rules! codex_config {
    ($sandbox:literal, $approval:literal) => {
        concat!(
            r#"{"model":"$MODEL","model_reasoning_effort":"medium","model_provider":"sam","sandbox_mode":""#,
            $sandbox,
            r#"","approval_policy":""#,
            $approval,
            r#"","model_providers":{"sam":{"name":"SAM","base_url":"$ORIGIN/v1","wire_api":"responses","env_key":"SAM_MODEL_KEY"}}}"#
        )
    };
}

/// OpenCode's settings. What comes in this variable wins over its files, a
/// repository's `opencode.json` among them.
macro_rules! opencode_config {
    ($edit:literal, $run:literal) => {
        concat!(
            r#"{"model":"sam/$MODEL","small_model":"sam/$MODEL","autoupdate":false,"share":"disabled","provider":{"sam":{"npm":"@ai-sdk/openai-compatible","name":"SAM","options":{"baseURL":"$ORIGIN/v1","apiKey":"{env:SAM_MODEL_KEY}"},"models":{"$MODEL":{"name":"$MODEL"}}}},"permission":{"edit":""#,
            $edit,
            r#"","bash":""#,
            $run,
            r#"","webfetch":""#,
            $run,
            r#""}}"#
        )
    };
}

/// Claude Code's settings for one session: the layer of its command line, above
/// a repository's `.claude/settings.json`. Rules that ask win over rules that
/// allow, whatever file these are in.
macro_rules! claude_meta {
    ($mode:literal, $asks:literal) => {
        concat!(
            r#"{"claudeCode":{"options":{"settings":{"model":"$MODEL","effortLevel":"medium","env":{"ANTHROPIC_BASE_URL":"$ORIGIN/anthropic","ANTHROPIC_MODEL":"$MODEL","CLAUDE_CODE_EFFORT_LEVEL":"medium"},"permissions":{"defaultMode":""#,
            $mode,
            r#"","ask":["#,
            $asks,
            r#"]}}}}}"#
        )
    };
}

/// A mode of our own harness, which has a variable and a session mode of the same name.
const fn harness(mode: &'static str, env: &'static [(&'static str, &'static str)]) -> Mode {
    Mode {
        session_mode: Some(mode),
        env,
        ..Mode::PLAIN
    }
}

/// Every agent that can be chosen.
pub const AGENTS: &[Agent] = &[
    Agent {
        id: "sam-harness",
        name: "SAM harness",
        executable: "sam-harness",
        release: Some(env!("CARGO_PKG_VERSION")),
        // Nobody sits beside it, and what it builds needs the network; the rest of the machine stays
        // closed to its commands.
        arguments: &["acp", "--network", "--allow-write", "~"],
        dialect: Dialect::ChatCompletions,
        env: &[
            ("SAM_MODEL_URL", "$ORIGIN/v1"),
            ("SAM_MODEL_KEY", "$SECRET"),
            ("SAM_MODEL", "$MODEL"),
        ],
        modes: &[
            (Ask, harness("ask", &[("SAM_PERMISSION_MODE", "ask")])),
            (
                AcceptEdits,
                harness("accept-edits", &[("SAM_PERMISSION_MODE", "accept-edits")]),
            ),
            (
                Plan,
                harness("read-only", &[("SAM_PERMISSION_MODE", "read-only")]),
            ),
            (Full, harness("full", &[("SAM_PERMISSION_MODE", "full")])),
        ],
        login: "none: it knows the relay alone",
        non_interactive: "`sam-harness run -p TEXT`",
        policy: "it has no settings but its variables; the session's mode through `session/set_mode`",
        verified: Some(Verified {
            version: env!("CARGO_PKG_VERSION"),
            on: "2026-11-20",
        }),
        ..Agent::BASE
    },
    Agent {
        id: "claude-code",
        name: "Claude Code",
        executable: "claude-agent-acp",
        package: Some(Package {
            name: "@agentclientprotocol/claude-agent-acp",
            version: "0.100.0",
            integrity: "sha512-X+f2M5RiehzSzWRJjDSf0Sbzoc8JK66l85YnYW5TAdHJX53CLQV00v2M72bfCKJ4IZ11qt+WQ/Yg9NVKcuDAhQ==",
            executable: ".bin/claude-agent-acp",
            node: Some(22),
            platform: None,
        }),
        arguments: &[],
        dialect: Dialect::Messages,
        env: &[
            ("ANTHROPIC_BASE_URL", "$ORIGIN/anthropic"),
            ("ANTHROPIC_API_KEY", "$SECRET"),
            ("ANTHROPIC_MODEL", "$MODEL"),
            ("ANTHROPIC_SMALL_FAST_MODEL", "$MODEL"),
            ("ANTHROPIC_DEFAULT_OPUS_MODEL", "$MODEL"),
            ("ANTHROPIC_DEFAULT_SONNET_MODEL", "$MODEL"),
            ("ANTHROPIC_DEFAULT_HAIKU_MODEL", "$MODEL"),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
            ("DISABLE_AUTOUPDATER", "1"),
            // It refuses to run unasked as root anywhere else.
            ("IS_SANDBOX", "1"),
        ],
        modes: &[
            (
                Ask,
                Mode {
                    session_mode: Some("default"),
                    meta: Some(claude_meta!(
                        "default",
                        r#""Bash","Edit","Write","NotebookEdit","WebFetch""#
                    )),
                    ..Mode::PLAIN
                },
            ),
            (
                AcceptEdits,
                Mode {
                    session_mode: Some("acceptEdits"),
                    meta: Some(claude_meta!("acceptEdits", r#""Bash","WebFetch""#)),
                    ..Mode::PLAIN
                },
            ),
            (
                Plan,
                Mode {
                    session_mode: Some("plan"),
                    meta: Some(claude_meta!("plan", "")),
                    ..Mode::PLAIN
                },
            ),
            (
                Full,
                Mode {
                    session_mode: Some("bypassPermissions"),
                    meta: Some(claude_meta!("bypassPermissions", "")),
                    ..Mode::PLAIN
                },
            ),
        ],
        login: "the relay's secret as an API key; with `own-login`, `~/.claude/.credentials.json` of a `claude /login`",
        own_login: Some(OwnLogin {
            kind: LoginKind::Claude,
            file: ".claude/.credentials.json",
            without: &[],
        }),
        non_interactive: "`claude -p TEXT --dangerously-skip-permissions`",
        policy: "settings of the command line, through `_meta.claudeCode.options.settings`; the session's mode through `session/set_mode`",
        verified: Some(Verified {
            version: "0.100.0",
            on: "2026-11-20",
        }),
        ..Agent::BASE
    },
    Agent {
        id: "codex",
        name: "Codex",
        executable: "codex-acp",
        package: Some(Package {
            name: "@agentclientprotocol/codex-acp",
            version: "2.6.0",
            integrity: "sha512-/PBsd0H6URy4bhXhAeXqwb7RqctbXfNceRihAh6nDmn5HJ873uzoHvHxF45YmeWfgOKKRrNRLZjYsket2a7EsQ==",
            executable: ".bin/codex-acp",
            node: Some(22),
            platform: None,
        }),
        arguments: &[],
        dialect: Dialect::Responses,
        env: &[("SAM_MODEL_KEY", "$SECRET"), ("NO_BROWSER", "1")],
        modes: &[
            (
                Ask,
                Mode {
                    session_mode: Some("read-only"),
                    env: &[
                        ("INITIAL_AGENT_MODE", "read-only"),
                        ("CODEX_CONFIG", codex_config!("read-only", "on-request")),
                    ],
                    ..Mode::PLAIN
                },
            ),
            (
                AcceptEdits,
                Mode {
                    session_mode: Some("workspace-write"),
                    env: &[
                        ("INITIAL_AGENT_MODE", "workspace-write"),
                        (
                            "CODEX_CONFIG",
                            codex_config!("workspace-write", "on-request"),
                        ),
                    ],
                    ..Mode::PLAIN
                },
            ),
            (
                Plan,
                Mode {
                    session_mode: Some("read-only"),
                    options: &[("collaboration_mode", "plan")],
                    env: &[
                        ("INITIAL_AGENT_MODE", "read-only"),
                        ("CODEX_CONFIG", codex_config!("read-only", "on-request")),
                    ],
                    ..Mode::PLAIN
                },
            ),
            (
                Full,
                Mode {
                    session_mode: Some("agent-full-access"),
                    env: &[
                        ("INITIAL_AGENT_MODE", "agent-full-access"),
                        ("CODEX_CONFIG", codex_config!("danger-full-access", "never")),
                    ],
                    ..Mode::PLAIN
                },
            ),
        ],
        login: "the relay's secret as the key of a provider of its own; with `own-login`, `~/.codex/auth.json` of a `codex login`",
        own_login: Some(OwnLogin {
            kind: LoginKind::Codex,
            file: ".codex/auth.json",
            without: &["model_provider", "model_providers"],
        }),
        non_interactive: "`codex exec --dangerously-bypass-approvals-and-sandbox TEXT`",
        policy: "overrides of the session (`CODEX_CONFIG`), above every `config.toml`, a repository's among them; the mode (`INITIAL_AGENT_MODE`, `session/set_mode`) decides sandbox and approval",
        limits: "Its bridge asks for a title of each new conversation from `gpt-5.6-luna`, whatever model was chosen.",
        verified: Some(Verified {
            version: "2.6.0",
            on: "2026-11-20",
        }),
        ..Agent::BASE
    },
    Agent {
        id: "opencode",
        name: "OpenCode",
        executable: "opencode",
        package: Some(Package {
            name: "opencode-linux-x64",
            version: "1.18.33",
            integrity: "sha512-q/t/3p2CTxOT9y2kvjesb/LZab2+1eqlhhWA02Be6mjTtmYtNBcBsrI5yDo4Fw7ZSPBW2oyMIGMNRqiKQjiAWw==",
            executable: "opencode-linux-x64/bin/opencode",
            node: None,
            platform: Some("linux-x86_64"),
        }),
        arguments: &["acp"],
        dialect: Dialect::ChatCompletions,
        env: &[
            ("SAM_MODEL_KEY", "$SECRET"),
            ("OPENCODE_DISABLE_AUTOUPDATE", "1"),
            ("OPENCODE_DISABLE_MODELS_FETCH", "1"),
            ("OPENCODE_DISABLE_LSP_DOWNLOAD", "1"),
            ("OPENCODE_DISABLE_DEFAULT_PLUGINS", "1"),
        ],
        modes: &[
            (
                Ask,
                Mode {
                    env: &[("OPENCODE_CONFIG_CONTENT", opencode_config!("ask", "ask"))],
                    ..Mode::PLAIN
                },
            ),
            (
                AcceptEdits,
                Mode {
                    env: &[("OPENCODE_CONFIG_CONTENT", opencode_config!("allow", "ask"))],
                    ..Mode::PLAIN
                },
            ),
            (
                Plan,
                Mode {
                    options: &[("mode", "plan")],
                    env: &[("OPENCODE_CONFIG_CONTENT", opencode_config!("deny", "ask"))],
                    ..Mode::PLAIN
                },
            ),
            (
                Full,
                Mode {
                    env: &[(
                        "OPENCODE_CONFIG_CONTENT",
                        opencode_config!("allow", "allow"),
                    )],
                    ..Mode::PLAIN
                },
            ),
        ],
        login: "the relay's secret as the key of a provider of its own; `opencode auth login` is not used",
        non_interactive: "`opencode run TEXT`",
        policy: "`OPENCODE_CONFIG_CONTENT`, above its files, a repository's `opencode.json` among them",
        verified: Some(Verified {
            version: "1.18.33",
            on: "2026-11-20",
        }),
        ..Agent::BASE
    },
    // The host wants no /v1, and the mode comes from the environment, not from
    // its configuration file.
    Agent {
        id: "goose",
        name: "goose",
        executable: "goose",
        package: Some(Package {
            name: "@aaif/goose-binary-linux-x64",
            version: "1.52.0",
            integrity: "sha512-2aPCG0HuLUI1cafcez1s1nLlTsNMx7AHWnmAOS/6S9xqmcvY+oXsQA5SUHin1Sf5uphK6pcOCLmgygJ6YQIDaQ==",
            executable: "@aaif/goose-binary-linux-x64/bin/goose",
            node: None,
            platform: Some("linux-x86_64"),
        }),
        arguments: &["acp", "--with-builtin", "developer"],
        dialect: Dialect::ChatCompletions,
        env: &[
            ("GOOSE_PROVIDER", "openai"),
            ("GOOSE_MODEL", "$MODEL"),
            ("GOOSE_DISABLE_KEYRING", "1"),
            ("OPENAI_HOST", "$ORIGIN"),
            ("OPENAI_API_KEY", "$SECRET"),
        ],
        modes: &[
            (
                Ask,
                Mode {
                    session_mode: Some("approve"),
                    env: &[("GOOSE_MODE", "approve")],
                    ..Mode::PLAIN
                },
            ),
            (
                Full,
                Mode {
                    session_mode: Some("auto"),
                    env: &[("GOOSE_MODE", "auto")],
                    ..Mode::PLAIN
                },
            ),
        ],
        login: "the relay's secret as an API key; `goose configure` is not used",
        non_interactive: "`goose run --no-session --with-builtin developer -t TEXT`",
        policy: "variables, above its configuration file; the session's mode through `session/set_mode`",
        verified: Some(Verified {
            version: "1.52.0",
            on: "2026-11-20",
        }),
        ..Agent::BASE
    },
    further::GEMINI,
    further::QWEN,
    further::COPILOT,
    further::PI,
    further::KIMI,
    further::MISTRAL_VIBE,
    further::AMP,
    further::CUSTOM,
];
