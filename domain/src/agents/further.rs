//! Further agents of the catalogue: those that need a file of settings, those
//! that call their maker themselves, and the one that a machine's owner names.

use super::{Agent, CUSTOM_AGENT, Dialect, Mode, Package, PermissionMode, Verified};
use PermissionMode::{AcceptEdits, Ask, Full, Plan};

/// A permission mode that is a session mode of the agent's own.
const fn session(mode: &'static str) -> Mode {
    Mode {
        session_mode: Some(mode),
        ..Mode::PLAIN
    }
}

/// A conformance run in which no step failed.
const fn seen(version: &'static str) -> Option<Verified> {
    Some(Verified {
        version,
        on: "2026-11-20",
    })
}

/// The machine's owner's own login is all these agents know.
const OWN_CALLS: &str = "calls go to its maker and not through SAM's proxy: SAM counts no tokens, prices nothing and stops no spending";

/// Qwen Code. Its system settings win over those of a person and of a repository.
pub(super) const QWEN: Agent = Agent {
    id: "qwen",
    name: "Qwen Code",
    executable: "qwen",
    package: Some(Package {
        name: "@qwen-code/qwen-code",
        version: "0.24.4",
        integrity: "sha512-pmexy/Nj+BKd3Un1ogqGQE8V4GJn5B6N9PQOrU1GH+lMR29kn6Bgf6YdbZa8hNIoTmAKT1LTPK+P8TibZRPPVg==",
        executable: ".bin/qwen",
        node: Some(22),
        platform: None,
    }),
    arguments: &["--acp", "--auth-type", "openai"],
    dialect: Dialect::ChatCompletions,
    env: &[
        ("OPENAI_BASE_URL", "$ORIGIN/v1"),
        ("OPENAI_API_KEY", "$SECRET"),
        ("OPENAI_MODEL", "$MODEL"),
        ("QWEN_CODE_SYSTEM_SETTINGS_PATH", "$HOME/.qwen/managed.json"),
    ],
    files: &[(
        ".qwen/managed.json",
        r#"{"model":{"name":"$MODEL"},"security":{"auth":{"selectedType":"openai","enforcedType":"openai"},"folderTrust":{"enabled":false}},"general":{"enableAutoUpdate":false,"disableAutoUpdate":true},"privacy":{"usageStatisticsEnabled":false},"telemetry":{"enabled":false},"mcpServers":{}}"#,
    )],
    modes: &[
        (Ask, session("default")),
        (AcceptEdits, session("auto-edit")),
        (Plan, session("plan")),
        (Full, session("yolo")),
    ],
    login: "the relay's secret as an API key; `qwen auth` is not used",
    non_interactive: "`qwen -p TEXT --approval-mode yolo`",
    policy: "system settings (`QWEN_CODE_SYSTEM_SETTINGS_PATH`), above its files, a repository's `.qwen/settings.json` among them; the session's mode through `session/set_mode`",
    limits: "a repository's `.qwen/settings.json` can take tools away (`tools.exclude`) and add none; it is rewritten when it has an older form",
    verified: seen("0.24.4"),
    ..Agent::BASE
};

/// GitHub Copilot CLI with a provider of our own.
pub(super) const COPILOT: Agent = Agent {
    id: "copilot",
    name: "GitHub Copilot CLI",
    executable: "copilot",
    package: Some(Package {
        name: "@github/copilot",
        version: "1.0.102",
        integrity: "sha512-mv6cTWMhMILxg5ZDgqJ6UsnpPuySCPWOPbZVaO8lL0dpmjY3VD9ZhJr6DFcG7fhUXZv6OmvLdcRCa5MJ6hBI+Q==",
        executable: ".bin/copilot",
        node: Some(22),
        platform: None,
    }),
    arguments: &["--acp", "--no-auto-update"],
    dialect: Dialect::ChatCompletions,
    env: &[
        ("COPILOT_OFFLINE", "true"),
        ("COPILOT_PROVIDER_TYPE", "openai"),
        ("COPILOT_PROVIDER_WIRE_API", "completions"),
        ("COPILOT_PROVIDER_BASE_URL", "$ORIGIN/v1"),
        ("COPILOT_PROVIDER_API_KEY", "$SECRET"),
        ("COPILOT_MODEL", "$MODEL"),
    ],
    modes: &[
        (
            Ask,
            Mode {
                session_mode: Some("https://agentclientprotocol.com/protocol/session-modes#agent"),
                options: &[("allow_all", "off")],
                ..Mode::PLAIN
            },
        ),
        (
            Plan,
            Mode {
                session_mode: Some("https://agentclientprotocol.com/protocol/session-modes#plan"),
                options: &[("allow_all", "off")],
                ..Mode::PLAIN
            },
        ),
        (
            Full,
            Mode {
                session_mode: Some("https://agentclientprotocol.com/protocol/session-modes#agent"),
                options: &[("allow_all", "on")],
                ..Mode::PLAIN
            },
        ),
    ],
    login: "the relay's secret as the key of a provider of its own, in its offline mode; `copilot login` is not used",
    non_interactive: "`copilot -p TEXT --allow-all-tools`",
    policy: "variables; the session's mode and its option `allow_all`",
    limits: "what needs GitHub's servers (delegation, code search, its own models) is closed",
    verified: seen("1.0.102"),
    ..Agent::BASE
};

/// pi, through its ACP adapter.
pub(super) const PI: Agent = Agent {
    id: "pi",
    name: "pi",
    executable: "pi-acp",
    package: Some(Package {
        name: "pi-acp",
        version: "0.0.34",
        integrity: "sha512-MrCp37UbpUzkTkzTIMJQf1RYrT+kr4fgGDGFoLmBN26UupuCZp0XxVIY+7XYsMo3yDnzDeZUJ0jPyM3Si6Bkkg==",
        executable: ".bin/pi-acp",
        node: Some(22),
        platform: None,
    }),
    dialect: Dialect::ChatCompletions,
    env: &[
        ("PI_CODING_AGENT_DIR", "$HOME/.pi/agent"),
        ("PI_ACP_PI_COMMAND", "$BIN/pi"),
        ("PI_OFFLINE", "1"),
        ("SAM_MODEL_KEY", "$SECRET"),
    ],
    files: &[
        (
            ".pi/agent/models.json",
            r#"{"providers":{"sam":{"baseUrl":"$ORIGIN/v1","api":"openai-completions","apiKey":"$SAM_MODEL_KEY","models":[{"id":"$MODEL","name":"$MODEL","reasoning":false,"input":["text"],"contextWindow":128000,"maxTokens":16384,"cost":{"input":0,"output":0,"cacheRead":0,"cacheWrite":0}}]}}}"#,
        ),
        (
            ".pi/agent/settings.json",
            r#"{"defaultProvider":"sam","defaultModel":"$MODEL"}"#,
        ),
    ],
    modes: &[(
        Full,
        Mode {
            options: &[("model", "sam/$MODEL")],
            ..Mode::PLAIN
        },
    )],
    login: "the relay's secret as the key of a provider of its own; `pi` is not signed in anywhere",
    non_interactive: "`pi -p TEXT`",
    policy: "its files in HOME; the model through the session's option `model`, above a repository's `.pi/settings.json`",
    limits: "it asks nothing, so `full` is all it has; pi itself is 0.87.1, the newest whose packages are all on npm",
    verified: seen("0.0.34"),
    ..Agent::BASE
};

/// Kimi Code.
pub(super) const KIMI: Agent = Agent {
    id: "kimi",
    name: "Kimi Code",
    executable: "kimi",
    package: Some(Package {
        name: "@moonshot-ai/kimi-code",
        version: "2.1.0",
        integrity: "sha512-c9rY0DS0xNOraEgUFJ5Cexz6+S3R+PczIwCVCI4eP93xv1xpIbyFLe6wyQl29VR9UMafmfQG6+dIyJcCLEAoBQ==",
        executable: ".bin/kimi",
        node: Some(22),
        platform: None,
    }),
    arguments: &["acp"],
    dialect: Dialect::ChatCompletions,
    env: &[
        ("KIMI_CODE_HOME", "$HOME/.kimi-code"),
        ("SAM_MODEL_KEY", "$SECRET"),
    ],
    files: &[(
        ".kimi-code/config.toml",
        r#"default_model = "sam"
telemetry = false
[providers.sam]
type = "openai"
base_url = "$ORIGIN/v1"
api_key_env = "SAM_MODEL_KEY"
[models.sam]
provider = "sam"
model = "$MODEL"
max_context_size = 128000
capabilities = ["tool_use"]
"#,
    )],
    modes: &[
        (Ask, session("default")),
        (Plan, session("plan")),
        (Full, session("yolo")),
    ],
    login: "the relay's secret as the key of a provider of its own; `kimi login` is not used",
    non_interactive: "`kimi -p TEXT`",
    policy: "its file in HOME; the session's mode through `session/set_mode`",
    limits: "its own mode `auto` decides by itself what is safe, and is not offered as `accept-edits`; without ripgrep on the machine it searches through the shell",
    verified: seen("2.1.0"),
    ..Agent::BASE
};

/// Mistral Vibe, from a folder that the machine's owner names.
pub(super) const MISTRAL_VIBE: Agent = Agent {
    id: "mistral-vibe",
    name: "Mistral Vibe",
    executable: "vibe-acp",
    release: Some("3.0.2"),
    source: "a folder with `vibe-acp` that `--agent-path` names: `uv tool install mistral-vibe==3.0.2` (Python 3.12)",
    dialect: Dialect::ChatCompletions,
    env: &[
        ("VIBE_HOME", "$HOME/.vibe"),
        ("VIBE_ACTIVE_MODEL", "sam"),
        (
            "VIBE_PROVIDERS",
            r#"[{"name":"sam","api_base":"$ORIGIN/v1","api_key_env_var":"SAM_MODEL_KEY"}]"#,
        ),
        (
            "VIBE_MODELS",
            r#"[{"name":"$MODEL","provider":"sam","alias":"sam"}]"#,
        ),
        ("VIBE_ENABLE_TELEMETRY", "false"),
        ("VIBE_ENABLE_UPDATE_CHECKS", "false"),
        ("SAM_MODEL_KEY", "$SECRET"),
    ],
    modes: &[
        (Ask, session("ask")),
        (AcceptEdits, session("accept-edits")),
        (Full, session("auto-approve")),
    ],
    login: "the relay's secret as the key of a provider of its own; `vibe --setup` is not used",
    non_interactive: "`vibe -p TEXT`",
    policy: "variables (`VIBE_…`), above its files; the session's mode through `session/set_mode`",
    limits: "SAM does not install it: it is a Python package, and SAM installs from npm alone",
    verified: seen("3.0.2"),
    ..Agent::BASE
};

/// Gemini CLI, which speaks its maker's protocol alone.
pub(super) const GEMINI: Agent = Agent {
    id: "gemini",
    name: "Gemini CLI",
    executable: "gemini",
    package: Some(Package {
        name: "@google/gemini-cli",
        version: "0.61.0",
        integrity: "sha512-dbQ9A0qBtFJNi6XBkHvfZ6Azpn6PNgH/P8h2MZ67RLlX8hSAVjup39CRWqdRxZv7YXIuhrFaytr8y0jKnkoxnQ==",
        executable: ".bin/gemini",
        node: Some(20),
        platform: None,
    }),
    arguments: &["--acp"],
    dialect: Dialect::Own,
    env: &[(
        "GEMINI_CLI_SYSTEM_SETTINGS_PATH",
        "$HOME/.gemini/managed.json",
    )],
    files: &[(
        ".gemini/managed.json",
        r#"{"security":{"auth":{"selectedType":"gemini-api-key","enforcedType":"gemini-api-key"},"folderTrust":{"enabled":false}},"general":{"enableAutoUpdate":false,"disableAutoUpdate":true},"privacy":{"usageStatisticsEnabled":false},"telemetry":{"enabled":false}}"#,
    )],
    from_machine: &["GEMINI_API_KEY"],
    modes: &[
        (Ask, session("default")),
        (AcceptEdits, session("autoEdit")),
        (Full, session("yolo")),
    ],
    login: "the machine's owner's `GEMINI_API_KEY`, from the vm-agent's own environment, handed to this agent alone; it proves that owner to Google",
    non_interactive: "`gemini -p TEXT --approval-mode yolo`",
    policy: "system settings (`GEMINI_CLI_SYSTEM_SETTINGS_PATH`), above its files, a repository's `.gemini/settings.json` among them; the session's mode through `session/set_mode`",
    limits: OWN_CALLS,
    ..Agent::BASE
};

/// Amp, through a bridge of its community.
pub(super) const AMP: Agent = Agent {
    id: "amp",
    name: "Amp",
    executable: "acp-amp",
    release: Some("0.1.3"),
    source: "a folder with `acp-amp` that `--agent-path` names: the community's bridge, `uv tool install acp-amp==0.1.3`, and Amp's own program on `PATH`",
    arguments: &["run"],
    dialect: Dialect::Own,
    from_machine: &["AMP_API_KEY"],
    modes: &[(Ask, session("default")), (Full, session("bypass"))],
    login: "the machine's owner's `AMP_API_KEY`, from the vm-agent's own environment, handed to this agent alone; it proves that owner to Amp",
    non_interactive: "`amp -x TEXT --dangerously-allow-all`",
    policy: "the session's mode through `session/set_mode`",
    limits: OWN_CALLS,
    ..Agent::BASE
};

/// Whatever command line the machine's owner gives.
pub(super) const CUSTOM: Agent = Agent {
    id: CUSTOM_AGENT,
    name: "Custom agent",
    executable: "",
    source: "the command line that the machine's owner gives: `sam-vm-agent run --custom-agent 'my-agent acp'`",
    dialect: Dialect::ChatCompletions,
    env: &[
        ("SAM_MODEL_URL", "$ORIGIN/v1"),
        ("SAM_MODEL_KEY", "$SECRET"),
        ("SAM_MODEL", "$MODEL"),
        ("OPENAI_BASE_URL", "$ORIGIN/v1"),
        ("OPENAI_API_KEY", "$SECRET"),
        ("OPENAI_MODEL", "$MODEL"),
        ("ANTHROPIC_BASE_URL", "$ORIGIN/anthropic"),
        ("ANTHROPIC_API_KEY", "$SECRET"),
        ("ANTHROPIC_MODEL", "$MODEL"),
    ],
    modes: &[(Full, Mode::PLAIN)],
    login: "the relay's secret as an API key, in the variables that most agents read",
    non_interactive: "its own",
    policy: "none: SAM does not know its settings, and a repository's may win",
    limits: "SAM cannot say whether it asks before it acts, so `full` is all it has; it is on the machine already, and is neither pinned nor checked",
    ..Agent::BASE
};
