//! Projects, and adding one.

use crate::api::{self, Trouble};
use crate::nav;
use crate::route::Route;
use crate::state::{App, Loaded, app};
use crate::view::dynamic::{Show, Views, on, part, value};
use crate::view::icon::{self, icon};
use crate::view::part::{Scripted, skeleton, trouble_note};
use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::access::wire::{CreateProject, ProjectView};

/// The page at `/`.
#[component]
pub(crate) fn Home() -> impl IntoView {
    let app = app();
    view! {
        <div class="page">
            <header class="page-head">
                <h1 tabindex="-1">"Projects"</h1>
                <Scripted />
            </header>
            {part(move || {
                app.projects
                    .with(|projects| match projects {
                        Loaded::Loading => skeleton(4).into_any(),
                        Loaded::Failed(trouble) => {
                            view! {
                                {trouble_note(trouble)}
                                <button type="button" on:click=on(move |_| app.read_projects())>
                                    "Try again"
                                </button>
                            }
                                .into_any()
                        }
                        Loaded::Here(projects) if projects.is_empty() => {
                            view! {
                                <p class="lead">
                                    "A project is one repository and the conversations about it. Add the first one: describe work in it, and an agent does it on your machine, on a branch of its own."
                                </p>
                            }
                                .into_any()
                        }
                        Loaded::Here(projects) => {
                            let cards = projects.iter().map(card).views();
                            view! { <ul class="cards">{cards}</ul> }.into_any()
                        }
                    })
            })}
            <Show when=move || app.projects.with(|p| matches!(p, Loaded::Here(_)))>
                <AddProject />
            </Show>
        </div>
    }
}

fn card(project: &ProjectView) -> impl IntoView + use<> {
    let path = Route::Project(project.id.clone()).path();
    view! {
        <li>
            <a class="project" href=path>
                {icon(icon::PROJECTS)}
                <span class="name">{project.name.clone()}</span>
                <span class="muted repository" title=project.repository.clone()>
                    {project.repository.clone()}
                </span>
            </a>
        </li>
    }
}

#[component]
fn AddProject() -> impl IntoView {
    let app = app();
    let repository = RwSignal::new(String::new());
    let name = RwSignal::new(String::new());
    let busy = RwSignal::new(false);
    let trouble = RwSignal::new(None::<Trouble>);
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let typed = name.get_untracked().trim().to_owned();
        let request = CreateProject {
            repository: repository.get_untracked().trim().to_owned(),
            name: (!typed.is_empty()).then_some(typed),
            default_agent: None,
        };
        busy.set(true);
        trouble.set(None);
        spawn_local(async move {
            let answer = api::submit::<_, ProjectView>("/api/projects", &request).await;
            busy.set(false);
            match answer {
                Ok(project) => added(app, project),
                Err(refused) => trouble.set(Some(refused)),
            }
        });
    };
    view! {
        <section class="panel" aria-labelledby="add-project">
            <h2 id="add-project">"Add a project"</h2>
            <form class="stack" on:submit=submit>
                <label for="repository">"Repository"</label>
                <input
                    id="repository"
                    type="text"
                    required
                    spellcheck="false"
                    autocomplete="off"
                    placeholder="https://example.com/team/repository.git or /home/me/repository"
                    aria-describedby="repository-help"
                    prop:value=value(move || repository.get())
                    on:input=on(move |event| repository.set(event_target_value(&event)))
                />
                <p id="repository-help" class="muted small">
                    "An http(s) URL, or a path on the machine that will do the work."
                </p>
                <label for="project-name">"Name " <span class="muted">"(optional)"</span></label>
                <input
                    id="project-name"
                    type="text"
                    autocomplete="off"
                    prop:value=value(move || name.get())
                    on:input=on(move |event| name.set(event_target_value(&event)))
                />
                <div>
                    <button type="submit" class="primary" disabled=value(move || busy.get())>
                        {part(move || if busy.get() { "Adding\u{2026}" } else { "Add project" })}
                    </button>
                </div>
            </form>
            {part(move || trouble.get().map(|t| trouble_note(&t)))}
        </section>
    }
}

fn added(app: App, project: ProjectView) {
    let route = Route::Project(project.id.clone());
    app.projects.update(|projects| {
        if let Loaded::Here(projects) = projects {
            projects.insert(0, project);
        }
    });
    nav::go(app, route);
}
