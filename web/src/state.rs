//! What every view shares: who is signed in, where one is, what is followed.

use crate::api::{self, Trouble};
use crate::browser;
use crate::live::Live;
use crate::nav;
use crate::route::Route;
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::access::route::Method;
use sam_domain::access::wire::{
    ClaimSetup, InviteLogin, LinkLogin, ProjectList, ProjectView, Role, SetupStatus, SignedIn,
    UserView,
};
use sam_domain::catalogue::Catalog;
use sam_domain::id::{ProjectId, TaskId};
use sam_domain::task::TaskView;
use sam_domain::time::Timestamp;
use sam_web_parts::page::Page;
use sam_web_parts::surroundings::Surroundings;
use std::sync::Arc;

pub(crate) use sam_web_parts::loaded::Loaded;

/// Remembered while a session cookie is thought to exist, so that a visitor
/// without one is not greeted by a refused request.
const SIGNED_IN: &str = "sam.signed-in";
const THEME: &str = "sam.theme";

/// Who looks at the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Not known yet.
    Unknown,
    /// Nobody answered when asked.
    Unreachable,
    /// Nobody.
    Nobody,
    /// A person.
    Person(UserView),
}

/// A dialog that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dialog {
    /// The keys.
    Help,
    /// Every action by name.
    Palette,
    /// Whether to cancel a task.
    Cancel(TaskId),
}

/// The colours chosen by the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    /// As the system has it.
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

/// Shared by every view; cheap to copy.
#[derive(Clone, Copy)]
pub(crate) struct App {
    /// Where one is.
    pub(crate) route: RwSignal<Route>,
    /// Who looks.
    pub(crate) who: RwSignal<Who>,
    /// What the installation says of itself.
    pub(crate) status: RwSignal<Option<SetupStatus>>,
    /// The person's projects.
    pub(crate) projects: RwSignal<Loaded<Vec<ProjectView>>>,
    /// Agents and models.
    pub(crate) catalog: RwSignal<Option<Catalog>>,
    /// The followed project.
    pub(crate) live: Live,
    /// The open dialog.
    pub(crate) dialog: RwSignal<Option<Dialog>>,
    /// The moment, moved every second while the page is seen.
    pub(crate) now: RwSignal<Timestamp>,
    /// What a screen reader is told.
    pub(crate) said: RwSignal<String>,
    /// What failed in answer to a person's action.
    pub(crate) trouble: RwSignal<Option<Trouble>>,
    /// The colours.
    pub(crate) theme: RwSignal<Theme>,
    /// What the list is narrowed to.
    pub(crate) filter: RwSignal<String>,
    /// Whether nobody is signed in any more though nobody signed out here.
    pub(crate) ended: RwSignal<bool>,
    /// Whether the heading of what is still fetched gets the focus.
    pub(crate) heading_due: RwSignal<bool>,
}

impl App {
    /// The state at the start.
    pub(crate) fn new(route: Route, around: Surroundings) -> Self {
        let theme = match browser::recall(THEME).as_deref() {
            Some("light") => Theme::Light,
            Some("dark") => Theme::Dark,
            _ => Theme::System,
        };
        Self {
            route: RwSignal::new(route),
            who: RwSignal::new(Who::Unknown),
            status: RwSignal::new(None),
            projects: RwSignal::new(Loaded::Loading),
            catalog: RwSignal::new(None),
            live: Live::new(),
            dialog: RwSignal::new(None),
            now: around.now,
            said: around.said,
            trouble: around.trouble,
            theme: RwSignal::new(theme),
            filter: RwSignal::new(String::new()),
            ended: RwSignal::new(false),
            heading_due: RwSignal::new(false),
        }
    }

    /// What was written in a place and not sent.
    pub(crate) fn draft(self, place: &str) -> String {
        browser::kept(place)
    }

    /// Keeps what is written in a place until it is sent, over a reload as well.
    pub(crate) fn keep_draft(self, place: &str, text: &str) {
        browser::keep(place, text);
    }

    /// Whether a person is signed in, tracked.
    pub(crate) fn signed_in(self) -> bool {
        self.who.with(|who| matches!(who, Who::Person(_)))
    }

    /// Whether an administrator of the installation is signed in, tracked.
    pub(crate) fn is_admin(self) -> bool {
        self.who
            .with(|who| matches!(who, Who::Person(user) if user.role == Role::Admin))
    }

    /// Whether one can sign in with GitHub, tracked.
    pub(crate) fn has_github(self) -> bool {
        self.status
            .with(|status| status.as_ref().is_some_and(|s| s.github))
    }

    /// Whether answers come from the scripted stand-in, tracked.
    pub(crate) fn scripted(self) -> bool {
        self.status
            .with(|status| status.as_ref().is_some_and(|s| s.model.scripted))
    }

    /// The open project, tracked.
    pub(crate) fn project(self) -> Option<ProjectView> {
        let id = self.route.with(|route| route.project().cloned())?;
        self.projects.with(|projects| match projects {
            Loaded::Here(projects) => projects.iter().find(|p| p.id == id).cloned(),
            Loaded::Loading | Loaded::Failed(_) => None,
        })
    }

    /// The newest task of the open conversation, tracked.
    pub(crate) fn task(self) -> Option<Arc<TaskView>> {
        let id = self.route.with(|route| route.session().cloned())?;
        let session = self.live.session(&id)?;
        self.live
            .tasks
            .with(|tasks| tasks.get(&session.task).cloned())
    }

    /// Asks who looks and what the installation is.
    pub(crate) fn ask(self) {
        if nav::take_signed_in() {
            browser::remember(SIGNED_IN, Some("1"));
        }
        spawn_local(async move {
            self.who.set(Who::Unknown);
            match api::get::<SetupStatus>("/api/setup/status").await {
                Ok(status) => self.status.set(Some(status)),
                Err(_) => {
                    self.who.set(Who::Unreachable);
                    return;
                }
            }
            if browser::recall(SIGNED_IN).is_none() {
                self.who.set(Who::Nobody);
                return;
            }
            match api::get::<UserView>("/api/auth/me").await {
                Ok(user) => self.enter(user),
                Err(Trouble::Unreachable) => self.who.set(Who::Unreachable),
                Err(refused) => {
                    self.ended.set(refused.status() == 401);
                    self.forget_person();
                }
            }
        });
    }

    /// Redeems a sign-in link.
    pub(crate) async fn redeem(self, link: String) -> Result<(), Trouble> {
        let answer: SignedIn = api::post("/api/auth/link-login", &LinkLogin { link }).await?;
        self.welcome(answer);
        Ok(())
    }

    /// Comes in with an invite.
    pub(crate) async fn come(self, invite: InviteLogin) -> Result<(), Trouble> {
        let answer: SignedIn = api::post("/api/auth/invite-login", &invite).await?;
        self.welcome(answer);
        Ok(())
    }

    /// Claims the installation.
    pub(crate) async fn claim(self, claim: ClaimSetup) -> Result<(), Trouble> {
        let answer: SignedIn = api::post("/api/setup/claim", &claim).await?;
        self.status.update(|status| {
            if let Some(status) = status {
                status.claimed = true;
            }
        });
        nav::go_instead(self, Route::Administration(Page::Setup));
        self.welcome(answer);
        Ok(())
    }

    fn welcome(self, answer: SignedIn) {
        // The cookie carries the token; this page does not keep it.
        browser::remember(SIGNED_IN, Some("1"));
        self.enter(answer.user);
    }

    fn enter(self, user: UserView) {
        self.live.signed_out.set(false);
        self.ended.set(false);
        self.who.set(Who::Person(user));
        self.read_projects();
        spawn_local(async move {
            if let Ok(catalog) = api::get::<Catalog>("/api/catalog").await {
                self.catalog.set(Some(catalog));
            }
        });
    }

    /// Reads the person's projects.
    pub(crate) fn read_projects(self) {
        spawn_local(async move {
            let answer = api::get::<ProjectList>("/api/projects").await;
            self.projects.set(match answer {
                Ok(list) => Loaded::Here(list.projects),
                Err(trouble) => Loaded::Failed(trouble),
            });
        });
    }

    /// Ends the session.
    pub(crate) fn sign_out(self) {
        spawn_local(async move {
            match api::act(Method::Post, "/api/auth/logout").await {
                Ok(()) => {
                    browser::forget_kept();
                    self.forget_person();
                }
                Err(trouble) => self.failed(trouble),
            }
        });
    }

    /// The session is over without having been ended here: it expired, or was ended elsewhere.
    /// Who is not in has none.
    pub(crate) fn session_ended(self) {
        if matches!(self.who.get_untracked(), Who::Person(_)) {
            self.ended.set(true);
            self.forget_person();
        }
    }

    /// Nobody is signed in any more.
    pub(crate) fn forget_person(self) {
        browser::remember(SIGNED_IN, None);
        self.projects.set(Loaded::Loading);
        self.who.set(Who::Nobody);
    }

    /// Acts on the control plane, and says so where it is refused.
    pub(crate) fn act(self, method: Method, path: String) {
        spawn_local(async move {
            self.trouble.set(None);
            if let Err(trouble) = api::act(method, &path).await {
                self.failed(trouble);
            }
        });
    }

    /// Shows why an action failed.
    pub(crate) fn failed(self, trouble: Trouble) {
        if trouble.status() != 401 {
            self.trouble.set(Some(trouble));
        }
    }

    /// Cancels a task.
    pub(crate) fn cancel(self, task: &TaskId) {
        self.act(Method::Post, format!("/api/tasks/{task}/cancel"));
    }

    /// Stops the agent's current turn.
    pub(crate) fn stop_turn(self) {
        let place = self.route.with_untracked(|route| match route {
            Route::Session(project, session) => Some((project.clone(), session.clone())),
            _ => None,
        });
        if let Some((project, session)) = place {
            self.act(
                Method::Post,
                format!("/api/projects/{project}/sessions/{session}/cancel"),
            );
        }
    }

    /// Finishes a task that awaits input: commit and push.
    pub(crate) fn finish(self, task: &TaskId) {
        self.act(Method::Post, format!("/api/tasks/{task}/close"));
    }

    /// Changes the colours and remembers it.
    pub(crate) fn choose_theme(self, theme: Theme) {
        self.theme.set(theme);
        let word = match theme {
            Theme::System => None,
            Theme::Light => Some("light"),
            Theme::Dark => Some("dark"),
        };
        browser::remember(THEME, word);
        if let Some(root) = document().document_element() {
            let _ = match word {
                Some(word) => root.set_attribute("data-theme", word),
                None => root.remove_attribute("data-theme"),
            };
        }
    }

    /// The next theme of the switch: away from what is seen now.
    pub(crate) fn switch_theme(self) {
        let dark = match self.theme.get_untracked() {
            Theme::Dark => true,
            Theme::Light => false,
            Theme::System => window()
                .match_media("(prefers-color-scheme: dark)")
                .ok()
                .flatten()
                .is_some_and(|query| query.matches()),
        };
        self.choose_theme(if dark { Theme::Light } else { Theme::Dark });
    }

    /// The project one is in, or the only one there is.
    pub(crate) fn some_project(self) -> Option<ProjectId> {
        let here = self.route.with_untracked(|route| route.project().cloned());
        here.or_else(|| {
            self.projects.with_untracked(|projects| match projects {
                Loaded::Here(projects) => projects.first().map(|p| p.id.clone()),
                Loaded::Loading | Loaded::Failed(_) => None,
            })
        })
    }
}

/// The shared state.
pub(crate) fn app() -> App {
    expect_context::<App>()
}
