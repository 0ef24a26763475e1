//! Tools to work with beside this page: what is released, for which system, and how one begins.

use crate::api::{self, Trouble};
use crate::browser;
use crate::state::Loaded;
use crate::view::dynamic::{Views, part};
use crate::view::icon::{self, icon};
use crate::view::part::{Copyable, command, skeleton, trouble_note};
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::conversation::row::ToolKind;
use sam_domain::release::{Arch, Download, Os, QUICK_START, Release};

/// The page at `/tools`.
#[component]
pub(crate) fn Tools() -> impl IntoView {
    view! {
        <div class="page">
            <header class="page-head">
                <h1 tabindex="-1">"Tools"</h1>
            </header>
            <ul class="cards">
                {entry("/tools/cli", icon::tool(ToolKind::Execute), "Command line", "Submit work and watch it from a terminal or a script")}
                {entry("/nodes", icon::NODES, "Node agent", "Make a machine of yours do the work")}
            </ul>
        </div>
    }
}

fn entry(
    path: &'static str,
    shape: &'static str,
    name: &'static str,
    what: &'static str,
) -> impl IntoView {
    view! {
        <li>
            <a class="project" href=path>
                {icon(shape)}
                <span class="name">{name}</span>
                <span class="muted about">{what}</span>
            </a>
        </li>
    }
}

/// The page at `/tools/cli`.
#[component]
pub(crate) fn CommandLine() -> impl IntoView {
    let release = RwSignal::new(Loaded::<Release>::Loading);
    spawn_local(async move {
        release.set(match api::get("/api/cli/version").await {
            Ok(found) => Loaded::Here(found),
            Err(trouble) => Loaded::Failed(trouble),
        });
    });
    let steps = QUICK_START
        .iter()
        .map(|(what, line)| {
            view! {
                <p class="muted">{*what}</p>
                {command(line.replace("URL", &browser::origin()), ())}
            }
        })
        .views();
    view! {
        <div class="page">
            <header class="page-head">
                <h1 tabindex="-1">"Command line"</h1>
            </header>
            <p class="lead">
                <code>"sam"</code>
                " does from a terminal, or in a script, what this app does: submit work, watch it, answer questions, look at the diff."
            </p>
            <section class="panel" aria-labelledby="install">
                <h2 id="install">"Install"</h2>
                {part(move || {
                    release
                        .with(|release| match release {
                            Loaded::Loading => skeleton(3).into_any(),
                            Loaded::Failed(trouble) => unreleased(trouble).into_any(),
                            Loaded::Here(release) => downloads(release).into_any(),
                        })
                })}
            </section>
            <section class="panel" aria-labelledby="quick-start">
                <h2 id="quick-start">"Quick start"</h2>
                {steps}
            </section>
        </div>
    }
}

fn unreleased(trouble: &Trouble) -> AnyView {
    match trouble {
        Trouble::Refused(error) if error.code == "nothing_released" => view! {
            <p>{error.message.clone()}</p>
            <p class="muted">{error.hint.clone()}</p>
        }
        .into_any(),
        _ => trouble_note(trouble).into_any(),
    }
}

/// The way for who looks at the page, and all the others.
fn downloads(release: &Release) -> impl IntoView + use<> {
    let (system, arch) = detected(&browser::user_agent());
    let own = system.and_then(|os| release.for_platform(os, arch));
    let own = match (own, system) {
        (Some(download), _) => view! {
            <p class="buttons">
                <a class="button primary" href=address(download) download=FILE>
                    {format!("Download sam {} for {}", release.version, title(download))}
                </a>
            </p>
        }
        .into_any(),
        (None, system) => {
            let system = system.map_or("this system", Os::title);
            view! { <p>{format!("There is no download for {system}.")}</p> }.into_any()
        }
    };
    let all = release.downloads.iter().map(row).views();
    view! {
        <p class="muted">"In a terminal; it compares the checksum before it installs anything:"</p>
        {command(format!("curl -fsSL {}/api/cli/install | sh", browser::origin()), ())}
        {own}
        <ul class="cards">{all}</ul>
    }
}

const FILE: &str = "sam";

fn row(download: &Download) -> impl IntoView + use<> {
    let sum = download.sha256.clone();
    let start = sum.chars().take(12).collect::<String>();
    view! {
        <li class="setting">
            <div>
                <p class="name">
                    <a href=address(download) download=FILE>{title(download)}</a>
                </p>
                <p class="muted small">
                    {format!("{} KB \u{b7} SHA-256 ", download.bytes / 1024)}
                    <Copyable text=sum shown=format!("{start}\u{2026}") what="checksum" />
                </p>
            </div>
        </li>
    }
}

fn title(download: &Download) -> String {
    format!("{} ({})", download.os.title(), download.arch.word())
}

fn address(download: &Download) -> String {
    let (os, arch) = (download.os.word(), download.arch.word());
    format!("/api/cli/download?os={os}&arch={arch}")
}

/// What a browser says that it runs on. A Mac's does not say its processor: those sold since 2020 have
/// ARM.
fn detected(agent: &str) -> (Option<Os>, Arch) {
    let has = |word: &str| agent.contains(word);
    let os = match () {
        () if has("Android") || has("iPhone") || has("iPad") => None,
        () if has("Mac OS") => Some(Os::Darwin),
        () if has("Linux") => Some(Os::Linux),
        () => None,
    };
    let arm = os == Some(Os::Darwin) || has("aarch64") || has("arm64");
    (os, if arm { Arch::Arm64 } else { Arch::Amd64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_told_by_what_browsers_say() {
        for (agent, expected) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0",
                (Some(Os::Linux), Arch::Amd64),
            ),
            (
                "Mozilla/5.0 (X11; Linux aarch64) Firefox/140.0",
                (Some(Os::Linux), Arch::Arm64),
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)",
                (Some(Os::Darwin), Arch::Arm64),
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64)",
                (None, Arch::Amd64),
            ),
            ("Mozilla/5.0 (Linux; Android 15)", (None, Arch::Amd64)),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18 like Mac OS X)",
                (None, Arch::Amd64),
            ),
        ] {
            assert_eq!(detected(agent), expected, "{agent}");
        }
    }
}
