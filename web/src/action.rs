//! Every action a person can take from anywhere, by name: what the palette
//! lists, what the keys do and what the help shows.

use crate::route::Route;
use crate::state::{App, Dialog, Who};
use crate::text::words;
use crate::{browser, nav};
use leptos::prelude::*;
use sam_domain::conversation::wire::PromptState;
use sam_domain::task::TaskState;
use sam_web_parts::page::Page;

/// Something a person can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// Write a new task, or a follow-up in the open conversation.
    Compose,
    /// Write a new task.
    NewTask,
    /// Narrow the list.
    Filter,
    /// Cancel the open task.
    Cancel,
    /// Stop the agent's turn.
    StopTurn,
    /// Finish a task that awaits input.
    Finish,
    /// Copy the branch's name.
    CopyBranch,
    /// Go to projects.
    Projects,
    /// Go to machines.
    Nodes,
    /// Go to the tools.
    Tools,
    /// Go to settings.
    Settings,
    /// Go to what was used.
    Usage,
    /// Go to the models.
    Models,
    /// Go to everybody of the installation.
    People,
    /// Go to setting the installation up.
    Setup,
    /// One level up.
    Back,
    /// Dark or light.
    SwitchTheme,
    /// Colours as the system has them.
    SystemTheme,
    /// The keys.
    Help,
    /// This list.
    Palette,
    /// End the session.
    SignOut,
}

impl Action {
    /// All actions in the order the palette lists them.
    pub(crate) const ALL: [Self; 21] = [
        Self::Compose,
        Self::NewTask,
        Self::Cancel,
        Self::StopTurn,
        Self::Finish,
        Self::CopyBranch,
        Self::Filter,
        Self::Projects,
        Self::Nodes,
        Self::Tools,
        Self::Settings,
        Self::Usage,
        Self::Models,
        Self::People,
        Self::Setup,
        Self::Back,
        Self::SwitchTheme,
        Self::SystemTheme,
        Self::Help,
        Self::Palette,
        Self::SignOut,
    ];

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Compose => "Compose: write to the agent",
            Self::NewTask => "New task",
            Self::Filter => "Filter the conversations",
            Self::Cancel => "Cancel task",
            Self::StopTurn => "Stop turn",
            Self::Finish => "Finish: commit and push",
            Self::CopyBranch => "Copy branch name",
            Self::Projects => "Go to projects",
            Self::Nodes => "Go to nodes",
            Self::Tools => "Go to tools: the command line",
            Self::Settings => "Go to settings: API tokens and sessions",
            Self::Usage => "Go to usage and budget",
            Self::Models => "Go to models, keys and who pays",
            Self::People => "Go to people and invites",
            Self::Setup => "Go to setup of this installation",
            Self::Back => "Go back",
            Self::SwitchTheme => "Switch between dark and light",
            Self::SystemTheme => "Use the system's colours",
            Self::Help => "Show the keys",
            Self::Palette => "Open the palette",
            Self::SignOut => "Sign out",
        }
    }

    /// Its key, where it has one.
    pub(crate) const fn key(self) -> Option<&'static str> {
        match self {
            Self::Compose => Some("c"),
            Self::Filter => Some("/"),
            Self::Cancel => Some("x"),
            Self::Back => Some("Esc"),
            Self::Help => Some("?"),
            Self::Palette => Some("\u{2318}K"),
            Self::NewTask
            | Self::StopTurn
            | Self::Finish
            | Self::CopyBranch
            | Self::Projects
            | Self::Nodes
            | Self::Tools
            | Self::Settings
            | Self::Usage
            | Self::Models
            | Self::People
            | Self::Setup
            | Self::SwitchTheme
            | Self::SystemTheme
            | Self::SignOut => None,
        }
    }

    /// Whether it means something now.
    pub(crate) fn available(self, app: App) -> bool {
        let signed_in = matches!(app.who.get_untracked(), Who::Person(_));
        match self {
            Self::Compose | Self::NewTask => signed_in && app.some_project().is_some(),
            Self::Filter => app.route.with_untracked(|route| route.project().is_some()),
            Self::Cancel => can_cancel(app),
            Self::StopTurn => can_stop(app),
            Self::Finish => can_finish(app),
            Self::CopyBranch => untrack(|| app.task()).is_some_and(|task| task.branch.is_some()),
            Self::Projects
            | Self::Nodes
            | Self::Tools
            | Self::Settings
            | Self::Usage
            | Self::Models
            | Self::SignOut => signed_in,
            Self::People | Self::Setup => untrack(|| app.is_admin()),
            Self::Back => app.route.with_untracked(|route| route.up().is_some()),
            Self::SwitchTheme | Self::SystemTheme | Self::Help | Self::Palette => true,
        }
    }

    /// Does it.
    pub(crate) fn run(self, app: App) {
        if !self.available(app) {
            return;
        }
        match self {
            Self::Compose => {
                if !browser::focus(".composer textarea") {
                    Self::NewTask.run(app);
                }
            }
            Self::NewTask => {
                if let Some(project) = app.some_project() {
                    nav::go(app, Route::Compose(project));
                    // The form is drawn after this turn.
                    request_animation_frame(|| {
                        browser::focus(".composer textarea");
                    });
                }
            }
            Self::Filter => {
                browser::focus("#filter");
            }
            Self::Cancel => {
                if let Some(task) = untrack(|| app.task()) {
                    app.dialog.set(Some(Dialog::Cancel(task.id.clone())));
                }
            }
            Self::StopTurn => app.stop_turn(),
            Self::Finish => {
                if let Some(task) = untrack(|| app.task()) {
                    app.finish(&task.id);
                }
            }
            Self::CopyBranch => {
                if let Some(branch) = untrack(|| app.task()).and_then(|task| task.branch.clone()) {
                    browser::copy(&branch);
                    app.said.set(format!("Copied {branch}"));
                }
            }
            Self::Projects => nav::go(app, Route::Home),
            Self::Nodes => nav::go(app, Route::Nodes),
            Self::Tools => nav::go(app, Route::Tools),
            Self::Settings => nav::go(app, Route::Administration(Page::Settings)),
            Self::Usage => nav::go(app, Route::Administration(Page::Usage)),
            Self::Models => nav::go(app, Route::Administration(Page::Models)),
            Self::People => nav::go(app, Route::Administration(Page::People)),
            Self::Setup => nav::go(app, Route::Administration(Page::Setup)),
            Self::Back => {
                if let Some(up) = app.route.with_untracked(Route::up) {
                    nav::go(app, up);
                }
            }
            Self::SwitchTheme => app.switch_theme(),
            Self::SystemTheme => app.choose_theme(crate::state::Theme::System),
            Self::Help => app.dialog.set(Some(Dialog::Help)),
            Self::Palette => app.dialog.set(Some(Dialog::Palette)),
            Self::SignOut => app.sign_out(),
        }
    }
}

/// Whether the open task can be cancelled.
pub(crate) fn can_cancel(app: App) -> bool {
    app.task().is_some_and(|task| !task.state.is_terminal())
}

/// Whether the open task awaits input, so that it can be finished.
pub(crate) fn can_finish(app: App) -> bool {
    app.task()
        .is_some_and(|task| task.state == TaskState::AwaitingInput)
}

/// Whether a prompt is under way, so that its turn can be stopped.
pub(crate) fn can_stop(app: App) -> bool {
    let Some(task) = app.task() else { return false };
    task.state == TaskState::Running
        && app.live.session(&task.session).is_some_and(|session| {
            session
                .prompts
                .iter()
                .any(|prompt| matches!(prompt.state, PromptState::Sent | PromptState::Running))
        })
}

/// What a screen reader is told when a task's state changes.
pub(crate) fn state_sentence(state: TaskState) -> String {
    format!("Task {}", words::task_state(state).0)
}
