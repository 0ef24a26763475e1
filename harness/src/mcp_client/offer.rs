//! A server's tools as a model is offered them.

use std::collections::HashSet;
use std::sync::Arc;

use sam_dialects::conversation::Tool;
use sam_domain::tool_profile::ToolProfile;
use serde_json::Value;

/// Tools of one server.
const MOST_TOOLS: usize = 128;
/// A tool's description and schema together.
const MAX_DEFINITION: usize = 32 * 1024;
/// What the dialects allow a name to be.
const MAX_NAME: usize = 64;

/// A tool as it is offered.
#[derive(Debug, Clone)]
pub struct Offered {
    /// Its name for the model.
    pub full: String,
    /// Its name at the server.
    pub name: String,
    /// As the model is told of it.
    pub definition: Tool,
}

/// What of a server's tools is offered, by name, and what had to be left out.
#[must_use]
pub fn offered(
    server: &str,
    profile: Option<ToolProfile>,
    mut tools: Vec<rmcp::model::Tool>,
) -> (Vec<Offered>, Option<String>) {
    tools.retain(|tool| profile.is_none_or(|profile| profile.offers(&tool.name)));
    tools.sort_by(|a, b| a.name.cmp(&b.name));
    tools.dedup_by(|a, b| a.name == b.name);
    let all = tools.len();
    let mut names = HashSet::new();
    let offered: Vec<Offered> = tools
        .into_iter()
        .filter_map(|tool| definition(server, tool))
        .filter(|tool| names.insert(tool.full.clone()))
        .take(MOST_TOOLS)
        .collect();
    let left_out = all - offered.len();
    let trouble = (left_out > 0).then(|| {
        format!("{left_out} of its {all} tools are not offered: too many, too long, or of one name")
    });
    (offered, trouble)
}

fn definition(server: &str, tool: rmcp::model::Tool) -> Option<Offered> {
    let full = format!("{}__{}", plain(server), plain(&tool.name));
    let schema = Value::Object(Arc::unwrap_or_clone(tool.input_schema));
    let description = tool.description.unwrap_or_default().into_owned();
    let size = description.len() + schema.to_string().len();
    (full.len() <= MAX_NAME && size <= MAX_DEFINITION).then(|| Offered {
        definition: Tool::function(&full, &description, schema),
        full,
        name: tool.name.into_owned(),
    })
}

/// A name of the letters that every dialect takes.
fn plain(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    name.chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(profile: Option<ToolProfile>, names: &[&str], expected: &[&str], left_out: bool) {
        let tools = names.iter().map(|name| {
            let tool = json!({"name": name, "inputSchema": {"type": "object"}});
            serde_json::from_value(tool).unwrap()
        });
        let (offered, trouble) = offered("my server", profile, tools.collect());
        let got: Vec<&str> = offered.iter().map(|tool| tool.full.as_str()).collect();
        assert_eq!((got.as_slice(), trouble.is_some()), (expected, left_out));
    }

    #[test]
    fn tools_are_offered_by_name_as_far_as_the_profile_goes() {
        check(
            None,
            &["b", "a.x"],
            &["my_server__a_x", "my_server__b"],
            false,
        );
        let platform = ["dispatch_task", "get_task", "secret_tool"];
        check(
            Some(ToolProfile::Workspace),
            &platform,
            &["my_server__get_task"],
            false,
        );
        let both = ["my_server__dispatch_task", "my_server__get_task"];
        check(Some(ToolProfile::Orchestrate), &platform, &both, false);
        check(Some(ToolProfile::Full), &["x"], &["my_server__x"], false);
    }

    #[test]
    fn what_no_model_could_call_is_left_out_and_said() {
        let long = "n".repeat(60);
        check(None, &["a.b", "a_b", &long], &["my_server__a_b"], true);
        let many: Vec<String> = (0..200).map(|n| format!("t{n:03}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let tools = many
            .iter()
            .map(|name| serde_json::from_value(json!({"name": name, "inputSchema": {}})).unwrap());
        let (offered, trouble) = offered("my server", None, tools.collect());
        assert_eq!(offered.len(), MOST_TOOLS);
        assert!(trouble.unwrap().starts_with("72 of its 200 tools"));
    }
}
