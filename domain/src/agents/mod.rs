//! Coding agents: what each is, where it comes from, how it is started, and how
//! far it is to be trusted with what.
//!
//! Model: an agent is data. The vm-agent installs and starts it from this
//! record, the Worker lists it, `docs/agents.md` is written from it. What an
//! agent reads is set here in the layer that wins for the pinned version, so
//! that neither a person's own configuration nor a repository's can change
//! where its model calls go or what it may do unasked.
//!
//! Texts that are handed to an agent are templates: `$ORIGIN` is the relay's
//! address without a path, `$SECRET` its secret, `$MODEL` the model's id, `$HOME`
//! its private home, `$BIN` the folder of its program. In a file, and in a template
//! that begins as JSON does, they are put in as parts of quoted strings.
//!
//! Invariant: no template that ends on a command line names `$SECRET`.
//!
//! It knows nothing of processes, files or the protocol.

mod further;
mod known;
mod listed;
mod login;
mod mode;
pub mod watchdog;
mod wire;

pub use known::AGENTS;
pub use listed::{LISTED, Listed, listed};
pub use login::OwnLogin;
pub use mode::{Mode, PermissionMode};
pub use wire::AgentView;

/// The agent used when nobody chose one.
pub const DEFAULT_AGENT: &str = "sam-harness";

/// The agent that a machine's owner names by a command line.
pub const CUSTOM_AGENT: &str = "custom";

/// What an agent's environment has of its host's; everything else is cleared or set anew.
pub const PASSED_ON: [&str; 12] = [
    "PATH",
    "LANG",
    "LC_ALL",
    "TERM",
    "TZ",
    "USER",
    "LOGNAME",
    "SHELL",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "JAVA_HOME",
    "GOROOT",
];

/// Toolchains that are found through HOME unless a variable says where they are: the variable, and
/// the folder below HOME. They hold programs, no credentials.
pub const TOOLCHAINS: [(&str, &str); 3] = [
    ("RUSTUP_HOME", ".rustup"),
    ("PYENV_ROOT", ".pyenv"),
    ("NVM_DIR", ".nvm"),
];

/// The model API an agent speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `POST /v1/chat/completions`.
    ChatCompletions,
    /// `POST /v1/responses`.
    Responses,
    /// `POST /anthropic/v1/messages`.
    Messages,
    /// Its maker's own, which the proxy does not speak: it calls its maker itself.
    Own,
}

impl Dialect {
    /// Its word on the wire and in the docs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat_completions",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::Own => "own",
        }
    }
}

/// Where an agent comes from that is installed when it is first needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name on npm.
    pub name: &'static str,
    /// The one version that is installed.
    pub version: &'static str,
    /// Subresource integrity of that version; those of what it depends on are in its lock file.
    pub integrity: &'static str,
    /// What is run, below `node_modules`.
    pub executable: &'static str,
    /// The least major version of Node it runs on; none where it brings its own runtime.
    pub node: Option<u32>,
    /// The platform it is pinned for, as `os-arch`; none for all.
    pub platform: Option<&'static str>,
}

/// By which run an agent was seen to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The version that was driven.
    pub version: &'static str,
    /// The day, as `YYYY-MM-DD`.
    pub on: &'static str,
}

/// A coding agent that speaks ACP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its id, e.g. `sam-harness`.
    pub id: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// The executable's name, looked for in `--agent-path`.
    pub executable: &'static str,
    /// Where it is installed from; none when SAM does not install it.
    pub package: Option<Package>,
    /// Where it comes from when SAM does not install it.
    pub source: &'static str,
    /// The version that is meant when SAM does not install it; none for whatever is there.
    pub release: Option<&'static str>,
    /// Its arguments: the ACP server.
    pub arguments: &'static [&'static str],
    /// The model API it speaks.
    pub dialect: Dialect,
    /// Its variables, as templates.
    pub env: &'static [(&'static str, &'static str)],
    /// Its files below HOME, as templates; they are written anew at each start.
    pub files: &'static [(&'static str, &'static str)],
    /// Variables of the vm-agent's own environment that it is handed, and cannot work without: its
    /// login with its maker.
    pub from_machine: &'static [&'static str],
    /// Its permission modes; the one it is started in comes from the task.
    pub modes: &'static [(PermissionMode, Mode)],
    /// How its model is paid, and how else one could sign in to it.
    pub login: &'static str,
    /// How it works with a subscription login of its person's, if it can.
    pub own_login: Option<OwnLogin>,
    /// How it is run without a person, outside SAM.
    pub non_interactive: &'static str,
    /// Which layer of its configuration wins, and is used.
    pub policy: &'static str,
    /// What it cannot do here, or SAM not for it; empty for nothing.
    pub limits: &'static str,
    /// The conformance run that it passed, if any.
    pub verified: Option<Verified>,
}

impl Agent {
    /// An agent of which nothing is known.
    const BASE: Self = Self {
        id: "",
        name: "",
        executable: "",
        package: None,
        source: "SAM itself",
        release: None,
        arguments: &[],
        dialect: Dialect::ChatCompletions,
        env: &[],
        files: &[],
        from_machine: &[],
        modes: &[],
        login: "",
        own_login: None,
        non_interactive: "",
        policy: "",
        limits: "",
        verified: None,
    };

    /// What it does in a permission mode; none when it does not have it.
    #[must_use]
    pub fn mode(&self, wanted: PermissionMode) -> Option<&'static Mode> {
        self.modes
            .iter()
            .find(|(mode, _)| *mode == wanted)
            .map(|(_, mode)| mode)
    }

    /// The version that the catalogue stands for.
    #[must_use]
    pub const fn version(&self) -> Option<&'static str> {
        match self.package {
            Some(package) => Some(package.version),
            None => self.release,
        }
    }

    /// Whether it can be installed on this platform.
    #[must_use]
    pub fn package_for(&self, os: &str, arch: &str) -> Option<&Package> {
        self.package.as_ref().filter(|package| {
            package
                .platform
                .is_none_or(|platform| platform.split_once('-') == Some((os, arch)))
        })
    }
}

/// The agent with this id.
#[must_use]
pub fn agent(id: &str) -> Option<&'static Agent> {
    AGENTS.iter().find(|agent| agent.id == id)
}

/// What a template's placeholders stand for.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// The relay's address, without a path.
    pub origin: &'a str,
    /// The relay's secret.
    pub secret: &'a str,
    /// The model's id.
    pub model: &'a str,
    /// The agent's home.
    pub home: &'a str,
    /// The folder of its program.
    pub bin: &'a str,
}

impl Values<'_> {
    /// The template with its placeholders filled in.
    #[must_use]
    pub fn fill(&self, template: &str) -> String {
        self.fill_in(template, template.starts_with(['{', '[']))
    }

    /// A file's template with its placeholders filled in as parts of quoted strings, which JSON and
    /// TOML write alike.
    #[must_use]
    pub fn fill_file(&self, template: &str) -> String {
        self.fill_in(template, true)
    }

    fn fill_in(&self, template: &str, quoted: bool) -> String {
        let part = |value: &str| {
            if quoted {
                let quoted = serde_json::Value::from(value).to_string();
                let inner = quoted
                    .strip_prefix('"')
                    .and_then(|rest| rest.strip_suffix('"'));
                inner.unwrap_or_default().to_owned()
            } else {
                value.to_owned()
            }
        };
        // One pass, so that what is put in is never read as a placeholder.
        let mut out = String::with_capacity(template.len());
        let mut rest = template;
        while let Some(at) = rest.find('$') {
            let (before, from) = rest.split_at(at);
            out.push_str(before);
            let known = [
                ("$ORIGIN", self.origin),
                ("$SECRET", self.secret),
                ("$MODEL", self.model),
                ("$HOME", self.home),
                ("$BIN", self.bin),
            ];
            match known.iter().find(|(name, _)| from.starts_with(name)) {
                Some((name, value)) => {
                    out.push_str(&part(value));
                    rest = from.split_at(name.len()).1;
                }
                None => {
                    out.push('$');
                    rest = from.split_at(1).1;
                }
            }
        }
        out.push_str(rest);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: Values<'_> = Values {
        origin: "http://127.0.0.1:9",
        secret: "s3cret",
        model: "a\"b$SECRET",
        home: "/home",
        bin: "/bin",
    };

    #[test]
    fn ids_are_unique_and_the_default_is_known() {
        let mut ids: Vec<_> = AGENTS.iter().map(|agent| agent.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), AGENTS.len());
        assert!(agent(DEFAULT_AGENT).is_some());
    }

    #[test]
    fn every_agent_runs_without_a_person_and_gets_the_relays_secret() {
        for agent in AGENTS {
            assert!(agent.mode(PermissionMode::Full).is_some(), "{}", agent.id);
            let gets = agent.env.iter().any(|(_, value)| *value == "$SECRET");
            let own = agent.dialect == Dialect::Own;
            assert_eq!(gets, !own, "{}", agent.id);
            assert_eq!(!agent.from_machine.is_empty(), own, "{}", agent.id);
            assert!(!own || !agent.limits.is_empty(), "{}", agent.id);
        }
    }

    #[test]
    fn no_secret_is_on_a_command_line_and_every_json_template_is_json() {
        for agent in AGENTS {
            assert!(agent.arguments.iter().all(|text| !text.contains('$')));
            let modes = agent.modes.iter().map(|(_, mode)| mode);
            for mode in modes.clone() {
                // Session settings may become arguments of what the agent starts.
                assert!(mode.meta.is_none_or(|meta| !meta.contains("$SECRET")));
            }
            let templates =
                agent
                    .env
                    .iter()
                    .map(|(_, value)| *value)
                    .chain(modes.flat_map(|mode| {
                        mode.env.iter().map(|(_, value)| *value).chain(mode.meta)
                    }));
            let files = agent.files.iter().map(|(_, text)| *text);
            let json = templates
                .chain(files)
                .filter(|text| text.starts_with(['{', '[']));
            for template in json {
                let filled = VALUES.fill(template);
                assert!(
                    serde_json::from_str::<serde_json::Value>(&filled).is_ok(),
                    "{}: {filled}",
                    agent.id
                );
            }
        }
    }

    #[test]
    fn placeholders_are_filled_in_once() {
        assert_eq!(VALUES.fill("$ORIGIN/v1 $5"), "http://127.0.0.1:9/v1 $5");
        assert_eq!(VALUES.fill("$MODEL"), "a\"b$SECRET");
        assert_eq!(VALUES.fill("$HOME/x:$BIN/y"), "/home/x:/bin/y");
        assert_eq!(VALUES.fill_file("m = \"$MODEL\""), "m = \"a\\\"b$SECRET\"");
        assert_eq!(
            VALUES.fill("{\"m\":\"$MODEL\"}"),
            "{\"m\":\"a\\\"b$SECRET\"}"
        );
    }
}
