//! Machines: which there are, how they are, and how one joins.

use crate::api::{self, Trouble};
use crate::browser;
use crate::state::app;
use crate::text::words;
use crate::view::dynamic::{Views, on, part, value};
use crate::view::icon::{self, icon};
use crate::view::part::{Copyable, command, skeleton, state_chip, trouble_note};
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::access::wire::JoinToken;
use sam_domain::id::Id;
use sam_domain::node::wire::{NodeList, NodeView};
use sam_domain::time::Timestamp;

/// The page at `/nodes`.
#[component]
pub(crate) fn Nodes() -> impl IntoView {
    let nodes = RwSignal::new(None::<Vec<NodeView>>);
    let read_at = RwSignal::new(None::<Timestamp>);
    let trouble = RwSignal::new(None::<Trouble>);
    let read = move || {
        spawn_local(async move {
            match api::get::<NodeList>("/api/nodes").await {
                Ok(list) => {
                    nodes.set(Some(list.nodes));
                    read_at.set(Some(browser::now()));
                    trouble.set(None);
                }
                // What is known stays; the failure is said beside it.
                Err(refused) => trouble.set(Some(refused)),
            }
        });
    };
    read();
    // Whoever comes back from the machine they joined sees it.
    let seen = window_event_listener(leptos::ev::focus, move |_| read());
    on_cleanup(move || seen.remove());
    view! {
        <div class="page">
            <header class="page-head">
                <h1 tabindex="-1">"Nodes"</h1>
                <span class="muted small">
                    {part(move || read_at.get().map(|at| format!("as of {}", browser::clock_seconds(at))))}
                </span>
                <button type="button" on:click=on(move |_| read())>
                    "Refresh"
                </button>
            </header>
            {part(move || trouble.get().map(|t| trouble_note(&t)))}
            {part(move || {
                nodes
                    .with(|nodes| match nodes {
                        None if trouble.with(Option::is_some) => ().into_any(),
                        None => skeleton(4).into_any(),
                        Some(nodes) if nodes.is_empty() => {
                            view! {
                                <p class="lead">
                                    "No machine has joined yet. Work needs one: it clones the repository, runs the agent and pushes the branch. Your own laptop will do; it dials out, so nothing has to be opened."
                                </p>
                            }
                                .into_any()
                        }
                        Some(nodes) => {
                            let cards = nodes.iter().map(card).views();
                            view! { <ul class="cards">{cards}</ul> }.into_any()
                        }
                    })
            })}
            <Join />
        </div>
    }
}

fn card(node: &NodeView) -> impl IntoView + use<> {
    let (word, shape) = words::node_state(node.state);
    let facts = &node.facts;
    let room = if facts.disk_full {
        "disk full".to_owned()
    } else {
        format!("{} free", words::bytes(facts.disk_free_bytes))
    };
    let machine = format!(
        "{} {} \u{b7} {} \u{b7} {} memory \u{b7} {room}",
        facts.os,
        facts.arch,
        words::count(u64::from(facts.cpus), "processor", "processors"),
        words::bytes(facts.memory_bytes),
    );
    let agents = if facts.agents.is_empty() {
        "none found".to_owned()
    } else {
        facts.agents.join(", ")
    };
    let known = !facts.os.is_empty();
    let id = node.id.clone();
    view! {
        <li class="node">
            <header>
                <h2>{node.name.clone()}</h2>
                {state_chip(word, shape)}
                <span class="muted small" title=browser::exact(node.since)>
                    "since "
                    {browser::clock(node.since)}
                </span>
            </header>
            {known
                .then(|| {
                    view! {
                        <p>{machine}</p>
                        <dl class="facts">
                            <div>
                                <dt>"Agents"</dt>
                                <dd>{agents}</dd>
                            </div>
                            <div>
                                <dt>"Workspaces"</dt>
                                <dd>
                                    {format!("{} of {}", node.workspaces, node.facts.max_workspaces)}
                                </dd>
                            </div>
                            <div>
                                <dt>"vm-agent"</dt>
                                <dd>{node.facts.version.clone()}</dd>
                            </div>
                            <div>
                                <dt>"Id"</dt>
                                <dd>
                                    <Copyable
                                        shown=format!("\u{2026}{}", id.short())
                                        text=id.to_string()
                                        what="node id"
                                    />
                                </dd>
                            </div>
                        </dl>
                    }
                })}
        </li>
    }
}

/// How a machine joins: one line to run there.
#[component]
fn Join() -> impl IntoView {
    let app = app();
    let token = RwSignal::new(None::<Result<JoinToken, Trouble>>);
    let busy = RwSignal::new(false);
    let mint = move |_| {
        busy.set(true);
        spawn_local(async move {
            let answer =
                api::submit::<_, JoinToken>("/api/nodes/join-tokens", &serde_json::json!({})).await;
            busy.set(false);
            if answer.is_ok() {
                app.said.set("The command is ready".to_owned());
            }
            token.set(Some(answer));
        });
    };
    view! {
        <section class="panel" aria-labelledby="join">
            <h2 id="join">"Join a machine"</h2>
            <p>
                "Run one line on the machine that should do the work. The token in it joins one machine and works for an hour."
            </p>
            {part(move || match token.get() {
                Some(Ok(token)) => {
                    let until = browser::clock(token.expires_at);
                    let beside = view! {
                        <span class="muted small">"Shown once. Works until " {until} "."</span>
                    };
                    command(join_line(&token.token), beside).into_any()
                }
                other => {
                    view! {
                        {other.and_then(Result::err).map(|trouble| trouble_note(&trouble))}
                        <button
                            type="button"
                            class="primary"
                            disabled=value(move || busy.get())
                            on:click=mint
                        >
                            {icon(icon::PLUS)}
                            "Show the command"
                        </button>
                    }
                        .into_any()
                }
            })}
        </section>
    }
}

/// The line that joins a machine. The token travels in the environment, where
/// the list of processes does not show it.
fn join_line(token: &str) -> String {
    format!(
        "SAM_JOIN_TOKEN={token} sam-vm-agent run --url {} --state-dir \"$HOME/.sam/agent\"",
        browser::origin()
    )
}
