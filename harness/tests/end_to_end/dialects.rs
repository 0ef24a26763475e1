//! What servers do otherwise than they should, in each dialect, against the
//! whole program: how often the one command takes effect, and how it ends.
//!
//! Every quirk or fault has a cell for each dialect; the match has no default.
//! `dialects/tests` has the same table for the parsers alone.

use crate::run::{Harness, check_code, err, out};
use crate::server::{Reply, Server, Step};
use crate::wire::{BashCall, Said, Wire};

/// Leaves a trace for each time that it runs.
const COMMAND: &str = "echo x >> effects; cat effects";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quirk {
    NullContent,
    ExplicitToolChoice,
    CallInText,
    ArgumentsInPieces,
    MissingIds,
    MissingUsage,
    ParallelCalls,
    Reasoning,
    OutOfOutput,
    Unknown,
    RateLimited,
    ServerError,
    Overloaded,
    OverloadedInStream,
    CutInArguments,
    CutBeforeTheEnd,
    Hung,
}

const QUIRKS: [Quirk; 17] = [
    Quirk::NullContent,
    Quirk::ExplicitToolChoice,
    Quirk::CallInText,
    Quirk::ArgumentsInPieces,
    Quirk::MissingIds,
    Quirk::MissingUsage,
    Quirk::ParallelCalls,
    Quirk::Reasoning,
    Quirk::OutOfOutput,
    Quirk::Unknown,
    Quirk::RateLimited,
    Quirk::ServerError,
    Quirk::Overloaded,
    Quirk::OverloadedInStream,
    Quirk::CutInArguments,
    Quirk::CutBeforeTheEnd,
    Quirk::Hung,
];

/// What a cell has to come to.
struct Expected {
    effects: usize,
    requests: usize,
    code: i32,
    /// In the steps.
    told: &'static str,
}

/// Done once, without a word.
const ONCE: Expected = Expected {
    effects: 1,
    requests: 2,
    code: 0,
    told: "",
};

fn calling() -> Said {
    Said {
        calls: vec![BashCall::new("a", COMMAND)],
        ..Said::default()
    }
}

/// The call without the end of its arguments.
fn begun(wire: Wire) -> Vec<Step> {
    let mut said = calling();
    let piece = said.calls[0].pieces[0].clone();
    let (first, rest) = piece.split_at(piece.len() - 9);
    said.calls[0].pieces = vec![first.to_owned(), rest.to_owned()];
    let mut steps = wire.body(&said);
    // The last piece, and what follows it.
    let rest = serde_json::to_string(rest).unwrap();
    let inner = &rest[1..rest.len() - 1];
    let last = steps.iter().position(|step| match step {
        Step::Event(event) => {
            let text = event.to_string();
            text.contains(inner) && text.contains("delta") && !text.contains("added")
        }
        _ => false,
    });
    steps.truncate(last.expect("the last piece"));
    steps
}

/// What the server does before it answers as it should.
fn script(quirk: Quirk, wire: Wire) -> (Vec<Reply>, Expected) {
    let whole = || wire.reply(&calling());
    let done = || wire.answer("Done.");
    let once = || vec![whole(), done()];
    let saying = |change: &dyn Fn(&mut Said)| {
        let mut said = calling();
        change(&mut said);
        wire.reply(&said)
    };
    let then = |fault: Reply, told: &'static str| {
        let expected = Expected {
            requests: 3,
            told,
            ..ONCE
        };
        (vec![fault, whole(), done()], expected)
    };
    let with_last = |mut steps: Vec<Step>, last: Step| {
        steps.push(last);
        Reply::Stream(steps)
    };
    let refused = |status| Reply::Answer(status, "", wire.refused("no"));
    match quirk {
        Quirk::NullContent => (vec![saying(&|said| said.null = true), done()], ONCE),
        Quirk::ExplicitToolChoice => (once(), ONCE),
        Quirk::CallInText => {
            let text = "<tool_call>{\"name\":\"bash\",\"arguments\":{\"command\":\"echo x >> effects\"}}</tool_call>";
            let expected = Expected {
                effects: 0,
                requests: 1,
                told: "it was not run",
                ..ONCE
            };
            (vec![wire.answer(text)], expected)
        }
        Quirk::ArgumentsInPieces => {
            let in_pieces = |said: &mut Said| {
                let whole = said.calls[0].pieces.concat();
                said.calls[0].pieces = whole.chars().map(String::from).collect();
            };
            (vec![saying(&in_pieces), done()], ONCE)
        }
        Quirk::MissingIds => {
            let two = |said: &mut Said| {
                said.calls.push(BashCall::new("b", COMMAND));
                said.calls.iter_mut().for_each(|call| call.id = None);
            };
            let expected = Expected {
                effects: 4,
                requests: 3,
                ..ONCE
            };
            (vec![saying(&two), saying(&two), done()], expected)
        }
        Quirk::MissingUsage => (vec![saying(&|said| said.uncounted = true), done()], ONCE),
        Quirk::ParallelCalls => {
            let two = |said: &mut Said| said.calls.push(BashCall::new("b", COMMAND));
            let expected = Expected { effects: 2, ..ONCE };
            (vec![saying(&two), done()], expected)
        }
        Quirk::Reasoning => (vec![saying(&|said| said.thought = true), done()], ONCE),
        Quirk::OutOfOutput => {
            let expected = Expected { effects: 0, ..ONCE };
            (
                vec![saying(&|said| said.cut_short = true), done()],
                expected,
            )
        }
        Quirk::Unknown => {
            let mut steps = vec![wire.unheard_of()];
            if let Reply::Stream(whole) = whole() {
                for step in whole {
                    steps.push(step);
                    if !matches!(steps.last(), Some(Step::Done)) {
                        steps.push(wire.unheard_of());
                    }
                }
            }
            (vec![Reply::Stream(steps), done()], ONCE)
        }
        Quirk::RateLimited => then(refused(429), "Model rate limited"),
        Quirk::ServerError => then(refused(500), "Model API failed"),
        Quirk::Overloaded => then(refused(529), "Model overloaded"),
        Quirk::OverloadedInStream => then(
            with_last(begun(wire), wire.overloaded()),
            "Model overloaded",
        ),
        Quirk::CutInArguments => then(with_last(begun(wire), Step::Cut), "Reply broke off"),
        Quirk::CutBeforeTheEnd => then(Reply::Stream(wire.body(&calling())), "Reply broke off"),
        Quirk::Hung => then(with_last(begun(wire), Step::Hold), "Model silent"),
    }
}

fn check(quirk: Quirk, wire: Wire) {
    let cell = format!("{quirk:?} in {wire:?}");
    let (script, expected) = script(quirk, wire);
    let server = Server::start(script);
    let mut harness = Harness::new(&server).with(&["--provider", wire.name()]);
    if quirk == Quirk::Hung {
        harness = harness.with(&["--idle-timeout", "2"]);
    }
    let output = harness.run();
    println!("{cell}: {}", err(&output));
    check_code(&output, expected.code);
    let requests = server.requests();
    let effects = harness.read("effects").lines().count();
    assert_eq!(
        (effects, requests.len()),
        (expected.effects, expected.requests),
        "{cell}"
    );
    assert!(
        err(&output).contains(expected.told),
        "{cell}: {}",
        err(&output)
    );
    for request in &requests {
        let head = request["_head"].as_str().unwrap();
        assert!(
            head.starts_with(&format!("POST {} ", wire.path())),
            "{cell}: {head}"
        );
        assert_eq!(request["tool_choice"], wire.free_choice(), "{cell}");
        // Markers for caches, where the dialect has them.
        let marked = request["_body"].as_str().unwrap().contains("cache_control");
        assert_eq!(marked, wire == Wire::Messages, "{cell}");
    }
    let last = requests.last().unwrap();
    // One result for each call, each what was seen then.
    let seen: Vec<String> = (1..=expected.effects)
        .map(|times| "x\n".repeat(times))
        .collect();
    match quirk {
        Quirk::CallInText => assert!(out(&output).contains("<tool_call>"), "{cell}"),
        Quirk::OutOfOutput => {
            assert!(wire.results(last)[0].contains("output limit"), "{cell}");
        }
        _ => assert_eq!(wire.results(last), seen, "{cell}"),
    }
    match quirk {
        Quirk::Reasoning => assert_eq!(wire.reasoning(last), wire.sent_reasoning(), "{cell}"),
        Quirk::CallInText => {}
        _ => assert_eq!(out(&output), "Done.\n", "{cell}"),
    }
}

fn check_all(wire: Wire) {
    for quirk in QUIRKS {
        check(quirk, wire);
    }
}

#[test]
fn every_quirk_of_chat_completions_takes_effect_once() {
    check_all(Wire::Chat);
}

#[test]
fn every_quirk_of_responses_takes_effect_once() {
    check_all(Wire::Responses);
}

#[test]
fn every_quirk_of_messages_takes_effect_once() {
    check_all(Wire::Messages);
}

#[test]
fn the_key_goes_where_it_is_wanted() {
    for wire in Wire::ALL {
        for (header, expected) in [
            ("authorization", "authorization: bearer k-123"),
            ("x-api-key", "x-api-key: k-123"),
            ("cf-aig-authorization", "cf-aig-authorization: bearer k-123"),
        ] {
            let server = Server::start(vec![wire.answer("Done.")]);
            let arguments = [
                "--provider",
                wire.name(),
                "--auth-header",
                header,
                "--header",
                "x-more: 1",
            ];
            check_code(&Harness::new(&server).with(&arguments).run(), 0);
            let head = server.requests()[0]["_head"]
                .as_str()
                .unwrap()
                .to_ascii_lowercase();
            assert!(
                head.contains(expected) && head.contains("x-more: 1"),
                "{wire:?}: {head}"
            );
            assert_eq!(head.matches("k-123").count(), 1, "{head}");
        }
    }
}

#[test]
fn every_setting_of_the_model_has_a_variable_and_the_old_name_still_holds() {
    let server = Server::start(vec![
        Wire::Messages.answer("One."),
        Wire::Chat.answer("Two."),
    ]);
    let harness = Harness::new(&server);
    let run = |provider: &str| {
        let mut command = harness.command(&["run", "-p", "do it", "--dir", "w"]);
        command
            .env("SAM_MODEL_PROVIDER", provider)
            .env("SAM_MODEL_AUTH_HEADER", "cf-aig-authorization")
            .env("SAM_MODEL_HEADERS", "x-one: 1\nx-two: 2");
        let output = command.output().unwrap();
        check_code(&output, 0);
        out(&output)
    };
    assert_eq!(run("messages"), "One.\n");
    assert_eq!(run("openai-proxy"), "Two.\n");
    let paths = [Wire::Messages.path(), Wire::Chat.path()];
    for (request, path) in server.requests().iter().zip(paths) {
        let head = request["_head"].as_str().unwrap().to_ascii_lowercase();
        for part in [
            path,
            "cf-aig-authorization: bearer k-123",
            "x-one: 1",
            "x-two: 2",
        ] {
            assert!(head.contains(part), "{head}");
        }
        assert_eq!(request["model"], "m");
    }
}
