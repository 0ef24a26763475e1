//! The catalogue says of an agent what its last conformance run came to, and nothing better.

use sam_domain::agents::AGENTS;
use serde_json::Value;

#[test]
fn an_agent_is_verified_by_a_run_with_its_version_alone() {
    let results: Value =
        serde_json::from_str(include_str!("../../docs/conformance.json")).expect("results");
    for agent in AGENTS {
        let report = &results[agent.id];
        let passed = report["steps"].as_object().is_some_and(|steps| {
            // One that calls its maker itself is not driven further than its first words.
            steps.get("tool loop").is_some_and(|came| came == "passed")
                && steps.values().all(|came| {
                    came == "passed" || came == "not offered" || came == "held back unasked"
                })
        });
        let pinned = agent.version();
        let run = passed && report["version"].as_str() == pinned;
        let run = run.then(|| report["on"].as_str());
        let told = agent.verified.map(|verified| {
            assert_eq!(Some(verified.version), pinned, "{}", agent.id);
            Some(verified.on)
        });
        assert_eq!(told, run, "{}: {report}", agent.id);
    }
}
