//! Two runs of one script made comparable: ids by the order in which they appear, no times, nothing
//! that only numbers versions.

use std::collections::BTreeMap;

use serde_json::Value;

/// Kinds of ids, by their prefix.
const PREFIXES: [&str; 11] = [
    "prj_", "ses_", "row_", "tsk_", "wsp_", "nod_", "acp_", "usr_", "cmd_", "prm_", "req_",
];
/// Fields that hold a moment.
const MOMENTS: [&str; 9] = [
    "at",
    "since",
    "created_at",
    "updated_at",
    "started_at",
    "ended_at",
    "stopped_at",
    "last_seen",
    "deadline",
];
/// Fields that only say which version something is, or which connection or secret it had.
const VERSIONS: [&str; 8] = [
    "seq",
    "rev",
    "epoch",
    "connection",
    "token_hmac",
    "store_id",
    "inbox",
    "newest",
];

/// The ids that appeared so far.
#[derive(Debug, Default)]
pub struct Names(BTreeMap<String, String>);

impl Names {
    /// A value with its ids named by their order and without what differs from run to run.
    #[must_use]
    pub fn of(&mut self, value: &Value) -> Value {
        match value {
            // By name: how a map orders its fields is a matter of the build.
            Value::Object(fields) => fields
                .iter()
                .filter(|(name, _)| !VERSIONS.contains(&name.as_str()))
                .collect::<BTreeMap<_, _>>()
                .into_iter()
                .map(|(name, value)| {
                    let value = if MOMENTS.contains(&name.as_str()) && !value.is_null() {
                        Value::from("a moment")
                    } else {
                        self.of(value)
                    };
                    (self.name(name), value)
                })
                .collect(),
            Value::Array(items) => items.iter().map(|item| self.of(item)).collect(),
            Value::String(text) => Value::from(self.name(text)),
            other => other.clone(),
        }
    }

    fn name(&mut self, text: &str) -> String {
        if let Some(branch) = text.strip_prefix("sam/") {
            // A branch ends with a part of its conversation's id.
            let slug = branch.rsplit_once('-').map_or(branch, |(slug, _)| slug);
            return format!("sam/{slug}");
        }
        let Some(prefix) = PREFIXES
            .iter()
            .find(|prefix| text.starts_with(*prefix) && text.len() == prefix.len() + 26)
        else {
            return text.to_owned();
        };
        let number = self.0.keys().filter(|id| id.starts_with(prefix)).count() + 1;
        self.0
            .entry(text.to_owned())
            .or_insert_with(|| format!("{prefix}{number}"))
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn two_runs_of_one_script_read_the_same() {
        let run = |salt: &str| {
            let (first, second) = (
                format!("tsk_01jd8x00000000000000000{salt}"),
                format!("tsk_01jd8x00000000000000001{salt}"),
            );
            json!({
                "task": first, "others": [second, first], "since": salt, "rev": salt,
                "branch": format!("sam/fix-it-{salt}"), "state": "completed",
            })
        };
        let mut names = Names::default();
        let one = names.of(&run("aaa"));
        assert_eq!(one, Names::default().of(&run("bbb")));
        assert_eq!(one["others"], json!(["tsk_1", "tsk_2"]));
        assert_eq!(one["task"], "tsk_2");
        assert_eq!(one["branch"], "sam/fix-it");
        assert_ne!(one, Names::default().of(&json!({"task": "x"})));
    }
}
