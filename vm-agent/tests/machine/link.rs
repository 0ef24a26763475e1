//! The connection to the control plane: lost, refused, renewed.

use crate::bench::{Machine, expect};
use crate::common::{number_in, wait_until};
use crate::plane::Plane;
use sam_domain::conversation::row::RowBody;
use sam_domain::link::frame::StopReason;
use serde_json::json;

#[test]
fn an_unreachable_control_plane_loses_and_doubles_nothing() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    let (gates, never): (Vec<_>, _) = (
        (0..3)
            .map(|n| machine.file(&format!("gate{n}")))
            .collect::<Vec<_>>(),
        machine.file("reached"),
    );
    let prompt = plane.prompt(
        &workspace,
        &agent,
        &[
            json!({"say": "before"}),
            json!({"run": ["a", "1"]}),
            json!({"await": gates[0]}),
            json!({"say": "while it is away"}),
            json!({"run": ["b", "2"]}),
            json!({"pid": never}),
            json!({"model": "held"}),
            json!({"run": ["c", "3"]}),
        ],
    );
    wait_until("the first rows", || plane.see().order.len() >= 2);
    plane.set_down(true);
    std::fs::write(&gates[0], "").expect("open");
    number_in(&never);
    let rows = plane.see().order.len();
    assert_eq!(rows, 2, "nothing arrives while it is away");
    plane.set_down(false);
    assert_eq!(plane.finished(&prompt), StopReason::EndTurn);
    let held = format!("[model 200 OK: echo of held for {workspace}]");
    assert_eq!(
        plane.shown(&workspace),
        expect(&[
            ("text", "before"),
            ("tool", "Completed 1"),
            ("text", "while it is away"),
            ("tool", "Completed 2"),
            ("text", &held),
            ("tool", "Completed 3"),
            ("usage", ""),
        ])
    );
    assert!(plane.see().hellos >= 2);
    plane.assert_no_violations();
}

#[test]
fn tokens_that_are_no_longer_good_are_replaced() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    for n in 0..3 {
        plane.expire_tokens();
        let script = [
            json!({"run": [format!("t{n}"), "x".repeat(40_000)]}),
            json!({"model": "y"}),
        ];
        let prompt = plane.prompt(&workspace, &agent, &script);
        assert_eq!(plane.finished(&prompt), StopReason::EndTurn);
    }
    let inner = plane.see();
    assert_eq!(inner.model_calls.len(), 3);
    let tools: Vec<_> = inner
        .rows
        .values()
        .filter_map(|held| match &held.row.body {
            RowBody::Tool(tool) => tool.output_ref.clone(),
            _ => None,
        })
        .collect();
    assert_eq!(tools.len(), 3);
    for named in tools {
        let body = inner
            .bodies
            .get(&(workspace.clone(), named.sha256))
            .expect("delivered before");
        assert_eq!(body.len() as u64, named.bytes);
    }
    drop(inner);
    plane.assert_no_violations();
}

#[test]
fn a_watcher_sees_growing_text_and_ends_with_the_stored_row() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    let script = [json!({"stream": ["wörd ", 600]})];
    let prompt = plane.prompt(&workspace, &agent, &script);
    assert_eq!(plane.finished(&prompt), StopReason::EndTurn);
    assert_eq!(plane.shown(&workspace)[0].1, "wörd ".repeat(600));
    let inner = plane.see();
    let numbers = &inner.numbers[&workspace];
    assert!(numbers.len() <= 4, "few writes: {numbers:?}");
    assert!(
        inner.deltas.len() >= 5,
        "many deltas: {}",
        inner.deltas.len()
    );
    // Each delta goes on where the one before it ended.
    let mut held = inner.deltas[0].1.at;
    for (_, delta) in &inner.deltas {
        assert_eq!((delta.at, delta.rev), (held, 1));
        held += delta.append.len() as u64;
    }
}

#[test]
fn a_machine_that_may_not_join_or_is_there_already_says_so() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    let refused = machine
        .command(&plane)
        .env("SAM_JOIN_TOKEN", "sam_join_wrong-token-here")
        .output();
    let refused = refused.expect("ends");
    assert_eq!(refused.status.code(), Some(3));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains("join token") && !said.contains("wrong-token-here"),
        "{said}"
    );
    let untold = machine
        .command(&plane)
        .env_remove("SAM_JOIN_TOKEN")
        .output()
        .expect("ends");
    assert_eq!(untold.status.code(), Some(2));
    machine.start(&plane);
    let second = machine.command(&plane).output().expect("ends");
    assert_eq!(second.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another vm-agent"));
    // A token that is taken away ends it with a reason.
    plane.see().node_token = "sam_nod_another-token-altogether".to_owned();
    machine.kill();
    let revoked = machine
        .command(&plane)
        .env_remove("SAM_JOIN_TOKEN")
        .output()
        .expect("ends");
    assert_eq!(revoked.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&revoked.stderr).contains("no longer accepted"));
}

#[test]
fn a_refused_row_is_dropped_and_the_conversation_says_so() {
    let plane = Plane::start();
    let mut machine = Machine::new();
    machine.start(&plane);
    let (workspace, agent) = machine.ready(&plane);
    plane.see().refuse_row = Some("poison".to_owned());
    plane.see().refuse_batch = Some("plague".to_owned());
    let script = [
        json!({"run": ["a", "first"]}),
        json!({"run": ["b", "poison"]}),
        json!({"run": ["c", "plague"]}),
        json!({"run": ["d", "last"]}),
    ];
    let prompt = plane.prompt(&workspace, &agent, &script);
    assert_eq!(plane.finished(&prompt), StopReason::EndTurn);
    let told = |shown: &[(String, String)]| {
        let notices = shown.iter().filter(|(_, text)| text == "row_refused");
        notices.count()
    };
    wait_until("both are told", || told(&plane.shown(&workspace)) == 2);
    let shown = plane.shown(&workspace);
    let said: Vec<_> = shown.iter().map(|(_, text)| text.as_str()).collect();
    assert!(
        said.contains(&"Completed first") && said.contains(&"Completed last"),
        "{said:?}"
    );
    assert!(
        !said
            .iter()
            .any(|text| text.contains("poison") || text.contains("plague"))
    );
    plane.assert_no_violations();
}
