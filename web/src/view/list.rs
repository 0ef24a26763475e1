//! The list: a project's conversations, grouped by who has the next word.

use crate::action::Action;
use crate::browser;
use crate::groups::{Group, group, matches, unknown_prompt};
use crate::live::Link;
use crate::route::Route;
use crate::state::{App, app};
use crate::text::words;
use crate::view::dynamic::{Show, on, part, value};
use crate::view::icon::{self, icon};
use crate::view::part::{Scripted, skeleton, state_chip};
use leptos::prelude::*;
use sam_domain::id::SessionId;
use sam_domain::task::{TaskState, TaskView};

/// The list pane.
#[component]
pub(crate) fn ListPane() -> impl IntoView {
    let app = app();
    let name = Memo::new(move |_| app.project().map(|project| project.name));
    let groups = Memo::new(move |_| grouped(app));
    let all = Memo::new(move |_| app.live.sessions.with(Vec::len));
    let shown =
        Memo::new(move |_| groups.with(|g| g.iter().map(|(_, ids)| ids.len()).sum::<usize>()));
    let new_path = move || {
        app.route
            .with(|route| route.project().cloned())
            .map(|project| Route::Compose(project).path())
    };
    view! {
        <section class="list-pane" aria-label="Conversations">
            <header class="list-head">
                <h1 tabindex="-1">{part(move || name.get().unwrap_or_else(|| "Project".to_owned()))}</h1>
                <Scripted />
                <a class="button primary new" href=new_path title="New task (c)">
                    {icon(icon::PLUS)}
                    "New task"
                </a>
            </header>
            <div class="filter">
                {icon(icon::tool(sam_domain::conversation::row::ToolKind::Search))}
                <input
                    id="filter"
                    type="search"
                    aria-label="Filter the conversations"
                    placeholder="Filter"
                    prop:value=value(move || app.filter.get())
                    on:input=on(move |event| app.filter.set(event_target_value(&event)))
                />
                <kbd aria-hidden="true">"/"</kbd>
            </div>
            <div class="entries">
                <Show
                    when=move || app.live.loaded.get()
                    fallback=move || {
                        app.live
                            .link
                            .with(|link| {
                                matches!(link, Link::Connecting | Link::Live)
                                    .then(|| skeleton(6))
                            })
                    }
                >
                    <Show when=move || all.get() == 0>
                        <p class="hint">
                            "No conversations yet. Describe a piece of work; it becomes the first."
                        </p>
                    </Show>
                    <Show when=move || { all.get() > 0 && shown.get() == 0 }>
                        <p class="hint">
                            "Nothing matches \u{201c}" {part(move || app.filter.get())} "\u{201d}."
                        </p>
                    </Show>
                    <For
                        each=move || groups.get()
                        key=|(group, _)| *group
                        children=move |(group, _)| {
                            view! { <GroupView group groups /> }
                        }
                    />
                </Show>
            </div>
        </section>
    }
}

type Groups = Vec<(Group, Vec<SessionId>)>;

fn grouped(app: App) -> Groups {
    let filter = app.filter.get();
    app.live.tasks.with(|tasks| {
        app.live.sessions.with(|sessions| {
            Group::ALL
                .iter()
                .filter_map(|wanted| {
                    let ids: Vec<_> = sessions
                        .iter()
                        .filter(|s| {
                            group(s, tasks.get(&s.task).map(|t| &**t)) == *wanted
                                && matches(&s.title, &filter)
                        })
                        .map(|s| s.id.clone())
                        .collect();
                    (!ids.is_empty()).then_some((*wanted, ids))
                })
                .collect()
        })
    })
}

#[component]
fn GroupView(group: Group, groups: Memo<Groups>) -> impl IntoView {
    let ids = Memo::new(move |_| {
        groups.with(|groups| {
            groups
                .iter()
                .find(|(g, _)| *g == group)
                .map(|(_, ids)| ids.clone())
                .unwrap_or_default()
        })
    });
    view! {
        <h2 class="group">
            {group.title()} " " <span class="muted">{part(move || ids.with(Vec::len))}</span>
        </h2>
        <ul>
            <For
                each=move || ids.get()
                key=Clone::clone
                children=move |id| view! { <Entry id /> }
            />
        </ul>
    }
}

#[component]
fn Entry(id: SessionId) -> impl IntoView {
    let app = app();
    let known = id.clone();
    let session = Memo::new(move |_| app.live.session(&known));
    let task = Memo::new(move |_| {
        let session = session.get()?;
        app.live
            .tasks
            .with(|tasks| tasks.get(&session.task).cloned())
    });
    let path = {
        let project = app.route.with_untracked(|route| route.project().cloned());
        project.map(|project| Route::Session(project, id.clone()).path())
    };
    let current = move || {
        app.route
            .with(|route| route.session() == Some(&id))
            .then_some("page")
    };
    let title = move || session.with(|s| s.as_ref().map(|s| s.title.clone()));
    view! {
        <li>
            <a class="entry" href=path aria-current=current>
                <span class="title">{title}</span>
                <span class="meta">
                    {part(move || {
                        let state = task.with(|t| t.as_ref().map_or(TaskState::Queued, |t| t.state));
                        let (word, shape) = words::task_state(state);
                        state_chip(word, shape)
                    })} <span class="aside">{part(move || facts(app, task.get().as_deref()))}</span>
                    {part(move || {
                        let chosen = session
                            .with(|s| s.as_ref().filter(|s| s.comparison.is_some()).map(|s| s.chosen))?;
                        let agent = task.with(|t| t.as_ref().map(|t| t.agent.clone()))?;
                        Some(if chosen { format!("{agent}, chosen") } else { agent })
                    })}
                    {part(move || {
                        session
                            .with(|s| s.as_ref().is_some_and(|s| unknown_prompt(s)))
                            .then(|| view! { <span class="warn">"outcome unknown"</span> })
                    })}
                </span>
            </a>
        </li>
    }
}

/// What the second line says beside the state.
fn facts(app: App, task: Option<&TaskView>) -> impl IntoView + use<> {
    let Some(task) = task else {
        return ().into_any();
    };
    let now = app.now.get();
    if task.machine_away_since.is_some() {
        return view! { <span class="warn">"machine away"</span> }.into_any();
    }
    if task.waits_until.is_some_and(|until| until > now) {
        return view! { <span class="warn">"waits for the model"</span> }.into_any();
    }
    if task.state == TaskState::AwaitingInput {
        return view! { <span>{words::ago(now.since(task.since))}</span> }.into_any();
    }
    if !task.state.is_terminal() {
        return view! { <span>{words::elapsed(now.since(task.created_at))}</span> }.into_any();
    }
    let changes = task
        .result
        .as_ref()
        .filter(|r| r.added + r.removed > 0)
        .map(|result| {
            view! {
                <span class="plus">{format!("+{}", result.added)}</span>
                " "
                <span class="minus">{format!("\u{2212}{}", result.removed)}</span>
            }
        });
    let at = task.since;
    view! {
        {changes}
        <time datetime=browser::iso(at) title=browser::exact(at)>
            {words::ago(now.since(at))}
        </time>
    }
    .into_any()
}

/// A link up to the list, seen where panes are stacked.
#[component]
pub(crate) fn BackLink() -> impl IntoView {
    let app = app();
    let path = move || app.route.with(|route| route.up().map(|up| up.path()));
    view! {
        <a class="back" href=path title="Back (Esc)">
            {icon(icon::BACK)}
            <span class="sr-only">{Action::Back.name()}</span>
        </a>
    }
}
