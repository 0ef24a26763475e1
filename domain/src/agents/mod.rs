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
//! address without a path, `$SECRET` its secret, `$MODEL` the model's id. In a
//! template that begins with `{` they are put in as parts of JSON strings.
//!
//! Invariant: no template that ends on a command line names `$SECRET`.
//!
//! It knows nothing of processes, files or the protocol.

mod known;
mod login;
mod mode;
pub mod watchdog;
mod wire;

pub use known::AGENTS;
pub use login::OwnLogin;
pub use mode::{Mode, PermissionMode};
pub use wire::AgentView;

/// The agent used when nobody chose one.
pub const DEFAULT_AGENT: &str = "sam-harness";

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
}

impl Dialect {
    /// Its word on the wire and in the docs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat_completions",
            Self::Responses => "responses",
            Self::Messages => "messages",
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
    /// Where it is installed from; none when it comes with SAM.
    pub package: Option<Package>,
    /// Its arguments: the ACP server.
    pub arguments: &'static [&'static str],
    /// The model API it speaks.
    pub dialect: Dialect,
    /// Its variables, as templates.
    pub env: &'static [(&'static str, &'static str)],
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
    /// The conformance run that it passed, if any.
    pub verified: Option<Verified>,
}

impl Agent {
    /// What it does in a permission mode; none when it does not have it.
    #[must_use]
    pub fn mode(&self, wanted: PermissionMode) -> Option<&'static Mode> {
        self.modes
            .iter()
            .find(|(mode, _)| *mode == wanted)
            .map(|(_, mode)| mode)
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
}

impl Values<'_> {
    /// The template with its placeholders filled in.
    #[must_use]
    pub fn fill(&self, template: &str) -> String {
        let json = template.starts_with('{');
        let part = |value: &str| {
            if json {
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
            let env = agent.env.iter().map(|(_, value)| *value);
            assert!(env.clone().any(|value| value == "$SECRET"), "{}", agent.id);
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
            for template in templates.filter(|template| template.starts_with('{')) {
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
        assert_eq!(
            VALUES.fill("{\"m\":\"$MODEL\"}"),
            "{\"m\":\"a\\\"b$SECRET\"}"
        );
    }
}
