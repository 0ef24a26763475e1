//! An agent that is signed in by its person's own login: it calls its provider itself.

use super::Agent;
use crate::login::LoginKind;
use serde_json::Value;

/// How an agent works with a subscription login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnLogin {
    /// The form of its login file.
    pub kind: LoginKind,
    /// Where it reads the file, below its HOME.
    pub file: &'static str,
    /// Members of its settings that only lead to the relay.
    pub without: &'static [&'static str],
}

impl Agent {
    /// One of its templates for an agent with a login of its own: without what names the relay or its
    /// secret, and without the model when nobody chose one. `None` when nothing of it is left.
    #[must_use]
    pub fn without_relay(&self, template: &str, model: Option<&str>) -> Option<String> {
        let names_relay = |text: &str| {
            text.contains("$ORIGIN")
                || text.contains("$SECRET")
                || (model.is_none() && text.contains("$MODEL"))
        };
        if !template.starts_with('{') {
            return Some(template.to_owned()).filter(|text| !names_relay(text));
        }
        let mut settings: Value = serde_json::from_str(template).ok()?;
        let without = self.own_login.map_or(&[][..], |login| login.without);
        prune(&mut settings, without, &names_relay);
        Some(settings.to_string())
    }
}

fn prune(value: &mut Value, without: &[&str], is_out: &impl Fn(&str) -> bool) {
    match value {
        Value::Object(members) => {
            members.retain(|name, value| {
                !without.contains(&name.as_str()) && !value.as_str().is_some_and(is_out)
            });
            for value in members.values_mut() {
                prune(value, without, is_out);
            }
        }
        Value::Array(items) => {
            for item in items {
                prune(item, without, is_out);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::agents::{AGENTS, agent};
    use serde_json::{Value, json};

    #[test]
    fn an_agent_with_its_own_login_is_told_of_no_relay() {
        for agent in AGENTS.iter().filter(|agent| agent.own_login.is_some()) {
            for (_, mode) in agent.modes {
                let env = agent.env.iter().chain(mode.env).map(|(_, text)| *text);
                for template in env.chain(mode.meta) {
                    for model in [None, Some("m")] {
                        let left = agent.without_relay(template, model).unwrap_or_default();
                        assert!(
                            !left.contains("$ORIGIN") && !left.contains("$SECRET"),
                            "{left}"
                        );
                        assert!(
                            model.is_some() || !left.contains("$MODEL"),
                            "{} {left}",
                            agent.id
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn what_it_may_do_stays_as_it_was() {
        let (_, mode) = agent("codex").expect("codex").modes[0];
        let (_, config) = mode
            .env
            .iter()
            .find(|(name, _)| *name == "CODEX_CONFIG")
            .unwrap();
        let left = agent("codex").unwrap().without_relay(config, Some("m"));
        let left: Value = serde_json::from_str(&left.unwrap()).unwrap();
        let expected = json!({
            "model": "$MODEL", "model_reasoning_effort": "medium", "sandbox_mode": "read-only",
            "approval_policy": "on-request",
        });
        assert_eq!(left, expected);
        let (_, mode) = agent("claude-code").unwrap().modes[0];
        let left = agent("claude-code")
            .unwrap()
            .without_relay(mode.meta.unwrap(), None);
        let left: Value = serde_json::from_str(&left.unwrap()).unwrap();
        let settings = &left["claudeCode"]["options"]["settings"];
        assert_eq!(settings["permissions"]["defaultMode"], "default");
        assert_eq!(
            settings["env"],
            json!({"CLAUDE_CODE_EFFORT_LEVEL": "medium"})
        );
    }
}
