//! Tool cards: one line each, opened to what was asked, changed and answered.

use crate::state::app;
use crate::text::words::{self, Shape};
use crate::text::{arguments, diff, honest, terminal};
use crate::view::conversation::Opened;
use crate::view::diff::{DiffLines, SHORT_DIFF};
use crate::view::dynamic::{Show, Views, on, part, value};
use crate::view::icon::{self, icon};
use crate::view::row::{RowView, WholeBody, row_time};
use leptos::prelude::*;
use sam_domain::conversation::reducer::tool_word;
use sam_domain::conversation::row::{Row, RowBody, ToolBody, ToolKind, ToolStatus};
use sam_domain::id::RowId;
use std::sync::Arc;

/// Lines of output seen while a tool runs.
const LIVE_LINES: usize = 6;

fn tool_of(row: &Row) -> Option<&ToolBody> {
    match &row.body {
        RowBody::Tool(tool) => Some(tool),
        _ => None,
    }
}

const fn shape(status: ToolStatus) -> Shape {
    match status {
        ToolStatus::Pending => Shape::Waiting,
        ToolStatus::InProgress => Shape::Working,
        ToolStatus::Completed => Shape::Done,
        ToolStatus::Failed => Shape::Failed,
        ToolStatus::Interrupted => Shape::Stopped,
    }
}

/// The kind, unless the title begins with it.
fn kind_word(kind: ToolKind, title: &str) -> impl IntoView + use<> {
    let word = words::tool_kind(kind);
    let said = title
        .get(..word.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(word));
    (!said).then(|| view! { <span class="kind">{word}</span> })
}

/// Whether a card is open before anyone touched it: small changes are what one
/// came to see, and a failure explains itself.
fn open_at_first(tool: &ToolBody) -> bool {
    let lines: usize = tool.diffs.iter().map(|d| d.unified.lines().count()).sum();
    (lines > 0 && lines <= SHORT_DIFF) || tool.status == ToolStatus::Failed
}

/// One tool call.
#[component]
pub(crate) fn ToolCard(id: RowId, row: RwSignal<Arc<Row>>) -> impl IntoView {
    let app = app();
    let Opened(opened) = expect_context();
    let card = id.clone();
    let chosen = Memo::new(move |_| opened.with(|opened| opened.get(&card).copied()));
    let card = id.clone();
    let default = Memo::new(move |_| row.with(|row| tool_of(row).is_some_and(open_at_first)));
    let open = Memo::new(move |_| chosen.get().unwrap_or_else(|| default.get()));
    let head = Memo::new(move |_| {
        row.with(|row| {
            tool_of(row).map(|tool| {
                let added: u32 = tool.diffs.iter().map(|d| d.added).sum();
                let removed: u32 = tool.diffs.iter().map(|d| d.removed).sum();
                (tool.kind, tool.title.clone(), tool.status, added, removed)
            })
        })
    });
    let time = Memo::new(move |_| row.with(|row| row_time(app, row)));
    let live = Memo::new(move |_| {
        row.with(|row| {
            tool_of(row)
                .filter(|tool| tool.status == ToolStatus::InProgress && !tool.output.is_empty())
                .map(|tool| terminal::tail(&terminal::plain(&tool.output), LIVE_LINES))
        })
    });
    let body = format!("{id}-body");
    let controls = body.clone();
    view! {
        <section class="row tool" id=id.to_string()>
            <button
                type="button"
                class="fold"
                aria-expanded=value(move || open.get().to_string())
                aria-controls=controls
                on:click=on(move |_| {
                    let now = !open.get_untracked();
                    opened.update(|opened| {
                        opened.insert(card.clone(), now);
                    });
                })
            >
                {part(move || {
                    head.get()
                        .map(|(kind, title, status, added, removed)| {
                            let shape = shape(status);
                            view! {
                                {icon(icon::tool(kind))}
                                {kind_word(kind, &title)}
                                <span class="label">{honest::visible(&title)}</span>
                                {(added + removed > 0)
                                    .then(|| {
                                        view! {
                                            <span class="counts">
                                                <span class="plus">{format!("+{added}")}</span>
                                                " "
                                                <span class="minus">{format!("\u{2212}{removed}")}</span>
                                            </span>
                                        }
                                    })}
                                <span class="time">{part(move || time.get())}</span>
                                <span class=shape.class() title=tool_word(status)>
                                    {icon(icon::shape(shape))}
                                    <span class=if status == ToolStatus::Completed {
                                        "word sr-only"
                                    } else {
                                        "word"
                                    }>{tool_word(status)}</span>
                                </span>
                            }
                        })
                })} <span class="chevron">{icon(icon::CHEVRON)}</span>
            </button>
            {part(move || {
                live.get()
                    .filter(|_| !open.get())
                    .map(|tail| view! { <pre class="live">{tail}</pre> })
            })}
            <div class="folded" id=body hidden=value(move || !open.get())>
                <Show when=move || open.get()>
                    <ToolDetails row />
                </Show>
            </div>
        </section>
    }
}

#[component]
fn ToolDetails(row: RwSignal<Arc<Row>>) -> impl IntoView {
    let arguments =
        Memo::new(move |_| row.with(|row| tool_of(row).map(|t| (t.kind, t.arguments.clone()))));
    let diffs = Memo::new(move |_| {
        row.with(|row| tool_of(row).map(|t| t.diffs.clone()).unwrap_or_default())
    });
    let output = Memo::new(move |_| {
        row.with(|row| {
            tool_of(row)
                .map(|t| terminal::plain(&t.output))
                .unwrap_or_default()
        })
    });
    let rest = Memo::new(move |_| {
        row.with(|row| tool_of(row).map(|t| (t.output_ref.clone(), t.truncated_bytes)))
    });
    let places = Memo::new(move |_| {
        row.with(|row| {
            tool_of(row)
                .map(|tool| {
                    tool.locations
                        .iter()
                        .map(|place| match place.line {
                            Some(line) => format!("{}:{line}", place.path),
                            None => place.path.clone(),
                        })
                        .collect::<Vec<_>>()
                })
                .unwrap_or_default()
        })
    });
    view! {
        {part(move || {
            diffs
                .get()
                .into_iter()
                .map(|file| {
                    view! {
                        <div class="file">
                            <p class="path">{honest::visible(&file.path)}</p>
                            <DiffLines lines=diff::hunks(&file.unified) />
                        </div>
                    }
                })
                .views()
        })}
        {part(move || {
            arguments
                .get()
                .and_then(|(kind, json)| asked(kind, &json, diffs.with(Vec::is_empty)))
        })}
        {part(move || {
            places
                .with(|places| {
                    (!places.is_empty() && diffs.with(Vec::is_empty))
                        .then(|| view! { <p class="places">{honest::visible(&places.join("  "))}</p> })
                })
        })}
        {part(move || {
            output
                .with(|text| !text.is_empty())
                .then(|| {
                    view! {
                        <pre class="output end" tabindex="0">
                            {part(move || output.get())}
                        </pre>
                    }
                })
        })}
        {part(move || {
            rest.get()
                .map(|(body, lost)| {
                    view! {
                        {(lost > 0)
                            .then(|| {
                                view! {
                                    <p class="muted small">
                                        {format!("{} of output were left out.", words::bytes(lost))}
                                    </p>
                                }
                            })}
                        {body.map(|body| view! { <WholeBody row body /> })}
                    }
                })
        })}
    }
}

/// What the tool was asked to do: a command as one types it, else the
/// arguments; folded where the change itself is shown.
fn asked(kind: ToolKind, json: &str, in_sight: bool) -> Option<AnyView> {
    let entries = arguments::entries(json);
    if entries.is_empty() {
        return None;
    }
    if kind == ToolKind::Execute
        && let Some(command) = arguments::command(&entries)
    {
        return Some(
            view! {
                <pre class="command" tabindex="0">
                    <span class="prompt-sign" aria-hidden="true">
                        "$ "
                    </span>
                    {honest::visible(command)}
                </pre>
            }
            .into_any(),
        );
    }
    let list = entries
        .into_iter()
        .map(|(name, value)| {
            view! {
                <div>
                    <dt>{name}</dt>
                    <dd>
                        <pre tabindex="0">{honest::visible(&value)}</pre>
                    </dd>
                </div>
            }
        })
        .views();
    let list = view! { <dl class="arguments">{list}</dl> };
    Some(if in_sight {
        list.into_any()
    } else {
        view! {
            <details>
                <summary>"Arguments"</summary>
                {list}
            </details>
        }
        .into_any()
    })
}

/// A run of small reads, folded into one line.
#[component]
pub(crate) fn Reads(rows: Memo<Vec<RowId>>) -> impl IntoView {
    let app = app();
    // A card that is being read stays in sight when its run is folded.
    let Opened(opened) = expect_context();
    let reading = opened.with_untracked(|opened| {
        rows.with_untracked(|rows| rows.iter().any(|id| opened.get(id) == Some(&true)))
    });
    let open = RwSignal::new(reading);
    let id = rows.with_untracked(|rows| rows.first().map(ToString::to_string).unwrap_or_default());
    let body = format!("reads-{id}-body");
    let controls = body.clone();
    let count = move || words::count(rows.with(Vec::len) as u64, "read", "reads");
    let names = move || {
        rows.with(|rows| {
            rows.iter()
                .filter_map(|id| app.live.row(id))
                .filter_map(|row| row.with(|row| tool_of(row).map(short_name)))
                .collect::<Vec<_>>()
                .join(", ")
        })
    };
    view! {
        <section class="row tool reads" id=format!("reads-{id}")>
            <button
                type="button"
                class="fold"
                aria-expanded=value(move || open.get().to_string())
                aria-controls=controls
                on:click=on(move |_| open.update(|open| *open = !*open))
            >
                {icon(icon::FILES)}
                <span class="kind">{count}</span>
                <span class="label">{names}</span>
                <span class="chevron">{icon(icon::CHEVRON)}</span>
            </button>
            <div class="folded" id=body hidden=value(move || !open.get())>
                <Show when=move || open.get()>
                    <For
                        each=move || rows.get()
                        key=Clone::clone
                        children=move |id| view! { <RowView id /> }
                    />
                </Show>
            </div>
        </section>
    }
}

/// What a read looked at, in a word or two.
fn short_name(tool: &ToolBody) -> String {
    let name = tool
        .locations
        .first()
        .map_or(&tool.title, |place| &place.path);
    honest::visible(name)
}
