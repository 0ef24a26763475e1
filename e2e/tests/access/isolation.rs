//! Every route and socket, every kind of caller, and ids of their own world, of another's, of both,
//! and of nothing: each is answered what `sam_domain::access::isolation` says, what is another's
//! reads like what does not exist, and no answer has a word of the other world in it.

use futures::StreamExt as _;
use futures::stream;
use sam_domain::access::expectation::expectation;
use sam_domain::access::isolation::{Caller, NOT_FOUND, Names, REFUSALS, Verdict, verdict};
use sam_domain::access::route::{Method, ROUTES, Route, RouteId};
use sam_e2e::{Client, Reply, Result, Stack, ensure};
use std::collections::BTreeMap;

use crate::world::{CANARY, Scene, call, is_socket, upgrading};

/// How many questions are asked at once.
const AT_ONCE: usize = 8;

/// One question.
#[derive(Clone)]
struct Question<'a> {
    route: &'static Route,
    caller: Caller,
    names: Names,
    client: &'a Client,
    path: String,
    /// Whether a WebSocket is asked for.
    upgrade: bool,
}

/// What ends the session that asks, or whom others are called by, is asked by those alone who are
/// refused.
const ENDS: [RouteId; 3] = [
    RouteId::Logout,
    RouteId::EndOtherAuthSessions,
    RouteId::RemovePerson,
];

/// What changes what others are answered: who is a member, and whether a token's task goes on.
const CHANGES: [RouteId; 3] = [RouteId::PutMember, RouteId::CancelTask, RouteId::CloseTask];

impl Question<'_> {
    async fn ask(&self) -> Result<Reply> {
        let mut client = self.client.clone();
        if self.names == Names::Mixed {
            // What the handler would otherwise ask for first.
            client = client.with_header("idempotency-key", "mixed");
        }
        if self.upgrade {
            client = upgrading(&client);
        }
        call(&client, self.route, &self.path).await
    }

    fn verdict(&self) -> Verdict {
        verdict(self.route, self.caller, self.names)
    }

    /// What is wrong with an answer.
    fn wrong(&self, reply: &Reply) -> Option<String> {
        let (status, code) = (reply.status, reply.code());
        let right = match self.verdict() {
            Verdict::Refused(expected, word) => (status, code.as_str()) == (expected, word),
            Verdict::Handled => self.is_handled(status, &code),
        };
        let told = !right || reply.text().contains(CANARY);
        told.then(|| {
            format!(
                "{:?} answers {:?} about {:?} ids with {status}: {}",
                self.route.id,
                self.caller,
                self.names,
                reply.text()
            )
        })
    }

    fn is_handled(&self, status: u16, code: &str) -> bool {
        let expected = expectation(self.route.id);
        let of_its_own = expected.statuses.contains(&status)
            && expected.code.is_none_or(|expected| expected == code);
        if self.upgrade {
            return status == 101;
        }
        // Whoever may read what is there finds it.
        let reads = self.names == Names::Own && self.route.method == Method::Get;
        let hidden = reads && code == "not_found" && !self.is_about_nothing();
        let refused = status == 401 || status >= 500 || REFUSALS.contains(&code);
        of_its_own || !(refused || hidden)
    }

    /// Whether even the owner's path names something that is not there: a body, or a key.
    fn is_about_nothing(&self) -> bool {
        self.path.contains(&"0".repeat(64)) || self.path.contains("BCDF-GHJK")
    }
}

/// Every question once, and those first that change nothing because they are refused.
fn questions(scene: &Scene) -> (Vec<Question<'_>>, Vec<Question<'_>>) {
    let (mut refused, mut handled) = (Vec::new(), Vec::new());
    for route in ROUTES {
        for (caller, client) in &scene.callers {
            let mut asked = Vec::new();
            for names in Names::ALL {
                let path = scene.path(route, names);
                // A path without ids is one question; one with a single id knows no mixture. Who is
                // refused whatever the path names is asked about what is there.
                let is_same = verdict(route, *caller, names) == verdict(route, *caller, Names::Own)
                    && names == Names::Unknown;
                if is_same || asked.contains(&path) {
                    continue;
                }
                asked.push(path.clone());
                for upgrade in [false, true] {
                    if upgrade && !is_socket(route.id) {
                        continue;
                    }
                    let question = Question {
                        route,
                        caller: *caller,
                        names,
                        client,
                        path: path.clone(),
                        upgrade,
                    };
                    match question.verdict() {
                        Verdict::Refused(..) => refused.push(question),
                        Verdict::Handled if ENDS.contains(&route.id) => {}
                        Verdict::Handled => handled.push(question),
                    }
                }
            }
        }
    }
    handled.sort_by_key(|question: &Question| CHANGES.contains(&question.route.id));
    (refused, handled)
}

#[tokio::test]
async fn everybody_is_answered_as_documented_about_their_own_and_others_things() -> Result {
    let stack = Stack::start().await?;
    let scene = Scene::meet(&stack).await?;
    let (refused, handled) = questions(&scene);
    ensure(refused.len() > 1000 && handled.len() > 500, || {
        format!("{} and {} questions", refused.len(), handled.len())
    })?;
    let mut wrong = Vec::new();
    // What is said of what is another's, and of what does not exist.
    let mut absences: BTreeMap<_, Vec<String>> = BTreeMap::new();
    let answers = stream::iter(&refused).map(|question| async move {
        let reply = question.ask().await;
        (question, reply)
    });
    let mut answers = answers.buffer_unordered(AT_ONCE);
    while let Some((question, reply)) = answers.next().await {
        let reply = reply?;
        wrong.extend(question.wrong(&reply));
        if question.verdict() == NOT_FOUND && question.names != Names::Mixed {
            let of = (
                question.route.path,
                question.route.method.word(),
                question.caller,
                question.upgrade,
            );
            absences.entry(of).or_default().push(without_id(&reply));
        }
    }
    drop(answers);
    for (of, mut told) in absences {
        told.dedup();
        if told.len() > 1 {
            wrong.push(format!(
                "{of:?} tells what is another's from nothing: {told:?}"
            ));
        }
    }
    for question in handled {
        let reply = question.ask().await?;
        wrong.extend(question.wrong(&reply));
    }
    ensure(wrong.is_empty(), || wrong.join("\n"))
}

/// An answer without what is different in every answer.
fn without_id(reply: &Reply) -> String {
    let text = reply.text();
    match text.split_once("\"request_id\":\"req_") {
        Some((before, after)) => {
            let rest = after.split_once('"').map_or("", |(_, rest)| rest);
            format!("{} {before}{rest}", reply.status)
        }
        None => format!("{} {text}", reply.status),
    }
}
