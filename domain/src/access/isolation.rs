//! What every route answers every kind of caller about what is theirs and what is not, as data.
//!
//! Model: somebody has a project with a conversation in it, a machine, tokens and sessions; people
//! of every role work in that project, machines act for it, and somebody else has a world of the
//! same shape. [`verdict`] says, from the route table and the few deviations that stand here, what
//! each of them is answered when a path names the one world, the other, a mixture of both, or
//! nothing at all. The access test asks every question and compares.
//!
//! Invariant: what is another's and what does not exist are the same verdict.

use super::principal::PrincipalKind;
use super::route::{Route, RouteId};
use super::tokens::{Scope, Scopes};
use super::wire::ProjectRole;

/// A kind of caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caller {
    /// Nobody in particular.
    Anonymous,
    /// A person of the installation who is a member of no project here.
    Stranger,
    /// A member of the project with this role. The owner owns the machine, too.
    Member(ProjectRole),
    /// Who runs the installation, and is a member of no project here.
    Admin,
    /// A member of the project who was suspended.
    Suspended,
    /// An API token of the owner's with this one scope.
    Token(Scope),
    /// A session of the owner's that the device flow opened, with the scope `write`.
    Device,
    /// A machine about to join as the owner's.
    JoinToken,
    /// The owner's machine.
    NodeToken,
    /// The owner's machine, for the workspace of the task.
    WorkspaceToken,
    /// The same for model calls.
    ModelToken,
}

/// What the ids in a path name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Names {
    /// The owner's world.
    Own,
    /// The first id is of the owner's world, the rest are of the other.
    Mixed,
    /// The other's world.
    Foreign,
    /// Nothing.
    Unknown,
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The handler decides: no refusal that concerns who asks.
    Handled,
    /// This status with this code.
    Refused(u16, &'static str),
}

/// It does not exist, as far as the caller can tell.
pub const NOT_FOUND: Verdict = Verdict::Refused(404, "not_found");
const UNAUTHENTICATED: Verdict = Verdict::Refused(401, "unauthenticated");
const WRONG_PRINCIPAL: Verdict = Verdict::Refused(403, "wrong_principal");
const SUSPENDED: Verdict = Verdict::Refused(403, "account_suspended");
const SCOPE_TOO_NARROW: Verdict = Verdict::Refused(403, "scope_too_narrow");
const ADMIN_ONLY: Verdict = Verdict::Refused(403, "admin_only");
const ROLE_TOO_LOW: Verdict = Verdict::Refused(403, "role_too_low");

/// The codes with which a caller is refused for who they are; no handler says one of them to who
/// may ask.
pub const REFUSALS: [&str; 8] = [
    "unauthenticated",
    "invalid_token",
    "wrong_principal",
    "account_suspended",
    "scope_too_narrow",
    "admin_only",
    "role_too_low",
    "cross_site",
];

impl Names {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Own, Self::Mixed, Self::Foreign, Self::Unknown];
}

impl Caller {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Anonymous,
        Self::Stranger,
        Self::Member(ProjectRole::Viewer),
        Self::Member(ProjectRole::Contributor),
        Self::Member(ProjectRole::Maintainer),
        Self::Member(ProjectRole::Owner),
        Self::Admin,
        Self::Suspended,
        Self::Token(Scope::Read),
        Self::Token(Scope::Write),
        Self::Token(Scope::Admin),
        Self::Token(Scope::NodeJoin),
        Self::Device,
        Self::JoinToken,
        Self::NodeToken,
        Self::WorkspaceToken,
        Self::ModelToken,
    ];

    /// What their credential makes of them.
    #[must_use]
    pub const fn kind(self) -> PrincipalKind {
        match self {
            Self::Anonymous => PrincipalKind::Public,
            Self::Admin => PrincipalKind::Admin,
            Self::JoinToken => PrincipalKind::JoinToken,
            Self::NodeToken => PrincipalKind::NodeToken,
            Self::WorkspaceToken => PrincipalKind::WorkspaceToken,
            Self::ModelToken => PrincipalKind::ModelToken,
            Self::Stranger | Self::Member(_) | Self::Suspended | Self::Token(_) | Self::Device => {
                PrincipalKind::User
            }
        }
    }

    /// What their credential is narrowed to.
    #[must_use]
    pub fn scopes(self) -> Option<Scopes> {
        let scope = match self {
            Self::Token(scope) => scope,
            Self::Device => Scope::Write,
            _ => return None,
        };
        Some(Scopes::from_iter([scope]))
    }

    /// Their role in the owner's project.
    const fn role(self) -> Option<ProjectRole> {
        match self {
            Self::Member(role) => Some(role),
            Self::Token(_) | Self::Device => Some(ProjectRole::Owner),
            _ => None,
        }
    }

    /// Whether it is the owner, with whichever credential.
    fn is_owner(self) -> bool {
        self.role() == Some(ProjectRole::Owner)
    }
}

/// What a caller is answered.
#[must_use]
pub fn verdict(route: &Route, caller: Caller, names: Names) -> Verdict {
    let begins_own = matches!(names, Names::Own | Names::Mixed);
    match route.principal {
        PrincipalKind::Public => Verdict::Handled,
        _ if caller == Caller::Anonymous => UNAUTHENTICATED,
        PrincipalKind::User | PrincipalKind::Admin => person(route, caller, names),
        wanted if caller.kind() != wanted => WRONG_PRINCIPAL,
        // A machine's token is good for the one machine or workspace that the path begins with.
        PrincipalKind::NodeToken | PrincipalKind::WorkspaceToken if !begins_own => NOT_FOUND,
        _ => Verdict::Handled,
    }
}

fn person(route: &Route, caller: Caller, names: Names) -> Verdict {
    if !matches!(caller.kind(), PrincipalKind::User | PrincipalKind::Admin) {
        return WRONG_PRINCIPAL;
    }
    if caller == Caller::Suspended {
        return SUSPENDED;
    }
    if !route.reach.is_met_by(caller.scopes().as_ref()) {
        return SCOPE_TOO_NARROW;
    }
    if route.principal == PrincipalKind::Admin {
        return match caller {
            Caller::Admin => Verdict::Handled,
            _ => ADMIN_ONLY,
        };
    }
    match route.role {
        Some(least) => member(route, caller, names, least),
        None => owner(route, caller, names),
    }
}

/// What lies in a project is its members'.
fn member(route: &Route, caller: Caller, names: Names, least: ProjectRole) -> Verdict {
    let first = match names {
        // The first id is the task's, and the only one.
        Names::Mixed if route.path.starts_with("/api/tasks/") => Names::Own,
        names => names,
    };
    let role = caller.role();
    let Some(role) = role.filter(|_| matches!(first, Names::Own | Names::Mixed)) else {
        return NOT_FOUND;
    };
    if role < least {
        return ROLE_TOO_LOW;
    }
    let beneath = ["{session}", "{prompt}"];
    if names == Names::Mixed && beneath.iter().any(|name| route.path.contains(name)) {
        return NOT_FOUND;
    }
    match route.id {
        // Anybody may leave; to send away another takes more.
        RouteId::RemoveMember if names == Names::Own && role < ProjectRole::Maintainer => {
            ROLE_TOO_LOW
        }
        _ => Verdict::Handled,
    }
}

/// What is one person's own is nobody else's.
fn owner(route: &Route, caller: Caller, names: Names) -> Verdict {
    let is_theirs = match route.id {
        RouteId::GetNode
        | RouteId::RemoveNode
        | RouteId::NodeDiagnostics
        | RouteId::DrainNode
        | RouteId::UndrainNode
        | RouteId::RevokeApiToken
        | RouteId::EndAuthSession => {
            matches!(names, Names::Own | Names::Mixed)
        }
        // Their machine, and a project that they are a member of.
        RouteId::ShareNode | RouteId::UnshareNode => names == Names::Own,
        // No path of theirs names anybody's: agents, providers, and codes that are nobody's yet.
        _ => return Verdict::Handled,
    };
    if is_theirs && caller.is_owner() {
        Verdict::Handled
    } else {
        NOT_FOUND
    }
}

#[cfg(test)]
mod tests {
    use super::super::route::ROUTES;
    use super::*;

    #[test]
    fn what_is_anothers_is_what_does_not_exist() {
        for route in ROUTES {
            for caller in Caller::ALL {
                assert_eq!(
                    verdict(route, caller, Names::Foreign),
                    verdict(route, caller, Names::Unknown),
                    "{:?} {caller:?}",
                    route.id
                );
            }
        }
    }

    /// A path that begins to name somebody's thing has to be thought about here.
    #[test]
    fn every_id_in_a_path_is_accounted_for() {
        // Names of the catalogue, codes that are nobody's yet, and what admins alone may name.
        let of_nobody = ["{agent}", "{provider}", "{user_code}"];
        for route in ROUTES {
            let first = route.path.split('/').find(|part| part.starts_with('{'));
            let Some(first) = first else { continue };
            let callers = [Caller::Stranger, Caller::NodeToken, Caller::WorkspaceToken];
            let hidden = callers
                .iter()
                .any(|caller| verdict(route, *caller, Names::Foreign) == NOT_FOUND);
            let admins = route.principal == PrincipalKind::Admin;
            assert!(
                hidden || admins || of_nobody.contains(&first),
                "{}",
                route.path
            );
        }
    }
}
