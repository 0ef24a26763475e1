//! Paths from the shared route table.

use crate::error::Failure;
use sam_domain::access::route::{Method, ROUTES, RouteId};

/// The method and path of `route` with `values` in its `{…}` segments.
pub(super) fn of(route: RouteId, values: &[&str]) -> Result<(Method, String), Failure> {
    let wrong = || Failure::unusable(format!("The route {route:?} is not called like this."));
    let found = ROUTES.iter().find(|r| r.id == route).ok_or_else(wrong)?;
    let mut values = values.iter();
    let mut path = String::new();
    for segment in found.path.split('/').skip(1) {
        path.push('/');
        if segment.starts_with('{') {
            let value = values.next().ok_or_else(wrong)?;
            path.extend(url::form_urlencoded::byte_serialize(value.as_bytes()));
        } else {
            path.push_str(segment);
        }
    }
    if values.next().is_some() {
        return Err(wrong());
    }
    Ok((found.method, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_filled_in_order_and_counted() {
        let (method, path) = of(RouteId::SendPrompt, &["prj_a", "ses_b"]).unwrap();
        assert_eq!(method, Method::Post);
        assert_eq!(path, "/api/projects/prj_a/sessions/ses_b/prompts");
        assert!(of(RouteId::SendPrompt, &["prj_a"]).is_err());
        assert!(of(RouteId::ListProjects, &["extra"]).is_err());
        let (_, path) = of(RouteId::GetTask, &["../x"]).unwrap();
        assert_eq!(path, "/api/tasks/..%2Fx");
    }

    /// The paths this program calls, as other programs know them.
    #[test]
    fn routes_have_the_paths_the_contract_names() {
        for (route, values, wanted) in [
            (RouteId::SetupStatus, vec![], "GET /api/setup/status"),
            (RouteId::SetupClaim, vec![], "POST /api/setup/claim"),
            (RouteId::LinkLogin, vec![], "POST /api/auth/link-login"),
            (RouteId::Me, vec![], "GET /api/auth/me"),
            (RouteId::Logout, vec![], "POST /api/auth/logout"),
            (
                RouteId::CreateSignInLink,
                vec![],
                "POST /api/auth/sign-in-links",
            ),
            (RouteId::ListProjects, vec![], "GET /api/projects"),
            (RouteId::CreateProject, vec![], "POST /api/projects"),
            (RouteId::GetProject, vec!["p"], "GET /api/projects/p"),
            (RouteId::SubmitTask, vec!["p"], "POST /api/projects/p/tasks"),
            (RouteId::ListTasks, vec!["p"], "GET /api/projects/p/tasks"),
            (RouteId::Feed, vec!["p"], "GET /api/projects/p/feed"),
            (RouteId::GetTask, vec!["t"], "GET /api/tasks/t"),
            (RouteId::CancelTask, vec!["t"], "POST /api/tasks/t/cancel"),
            (RouteId::CloseTask, vec!["t"], "POST /api/tasks/t/close"),
            (RouteId::RetryTask, vec!["t"], "POST /api/tasks/t/retry"),
            (RouteId::TaskDiff, vec!["t"], "GET /api/tasks/t/diff"),
            (RouteId::TaskUsage, vec!["t"], "GET /api/tasks/t/usage"),
            (RouteId::ListNodes, vec![], "GET /api/nodes"),
            (
                RouteId::CreateJoinToken,
                vec![],
                "POST /api/nodes/join-tokens",
            ),
        ] {
            let (method, path) = of(route, &values).unwrap();
            assert_eq!(format!("{} {path}", method.word()), wanted);
        }
    }
}
