//! The catalogue without its recipes: what the control plane has of it, because recipes are the
//! larger part and only machines follow them.

use super::{AGENTS, Agent, PermissionMode};
use crate::login::LoginKind;

/// An agent as the control plane knows it.
#[derive(Clone, Copy, Debug)]
pub struct Listed {
    /// Its id, e.g. `sam-harness`.
    pub id: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// The version that the catalogue stands for.
    pub version: Option<&'static str>,
    /// The day of the conformance run that it passed, if any.
    pub verified_on: Option<&'static str>,
    /// The word of the model API it speaks.
    pub dialect: &'static str,
    modes: [Option<PermissionMode>; PermissionMode::ALL.len()],
    /// The form of its login file, where it works with a subscription login of its person's.
    pub own_login: Option<LoginKind>,
    /// What it cannot do here, or SAM not for it; empty for nothing.
    pub limits: &'static str,
}

impl Listed {
    /// The permission modes it has.
    pub fn permission_modes(&self) -> impl Iterator<Item = PermissionMode> {
        self.modes.into_iter().flatten()
    }
}

/// Every agent, made when this is compiled: what it leaves out is in no program that reads it alone.
pub static LISTED: [Listed; AGENTS.len()] = {
    let mut all = [Listed::of(&Agent::BASE); AGENTS.len()];
    let (mut agents, mut places) = (AGENTS, all.as_mut_slice());
    while let ([agent, others @ ..], [place, further @ ..]) = (agents, places) {
        *place = Listed::of(agent);
        (agents, places) = (others, further);
    }
    all
};

impl Listed {
    const fn of(agent: &Agent) -> Self {
        let mut modes = [None; PermissionMode::ALL.len()];
        let (mut has, mut places) = (agent.modes, modes.as_mut_slice());
        while let ([(mode, _), others @ ..], [place, further @ ..]) = (has, places) {
            *place = Some(*mode);
            (has, places) = (others, further);
        }
        Self {
            id: agent.id,
            name: agent.name,
            version: agent.version(),
            verified_on: match agent.verified {
                Some(verified) => Some(verified.on),
                None => None,
            },
            dialect: agent.dialect.word(),
            modes,
            own_login: match agent.own_login {
                Some(own) => Some(own.kind),
                None => None,
            },
            limits: agent.limits,
        }
    }
}

/// The agent with this id.
#[must_use]
pub fn listed(id: &str) -> Option<&'static Listed> {
    LISTED.iter().find(|agent| agent.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_is_the_catalogue() {
        assert_eq!(LISTED.len(), AGENTS.len());
        for (listed, agent) in LISTED.iter().zip(AGENTS) {
            assert_eq!(
                (listed.id, listed.name, listed.version, listed.limits),
                (agent.id, agent.name, agent.version(), agent.limits)
            );
            let modes: Vec<_> = agent.modes.iter().map(|(mode, _)| *mode).collect();
            assert_eq!(listed.permission_modes().collect::<Vec<_>>(), modes);
            assert_eq!(listed.own_login, agent.own_login.map(|own| own.kind));
            assert_eq!(listed.dialect, agent.dialect.word());
            assert_eq!(listed.verified_on, agent.verified.map(|it| it.on));
        }
    }
}
