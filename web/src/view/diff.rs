//! Diffs: numbered lines with their signs.

use crate::markdown::markdown;
use crate::text::diff::{DiffFile, DiffLine, LineKind};
use crate::text::{honest, words};
use crate::view::dynamic::{Show, Views, on, part, value};
use crate::view::icon::{self, icon};
use leptos::prelude::*;

/// A diff of at most this many lines is shown without asking.
pub(crate) const SHORT_DIFF: usize = 60;
/// A diff longer than this is drawn only in part, until asked for.
const DRAWN: usize = 1_000;

/// The lines of one file's diff.
#[component]
pub(crate) fn DiffLines(lines: Vec<DiffLine>) -> impl IntoView {
    let count = lines.len();
    let whole = RwSignal::new(false);
    let lines = StoredValue::new(lines);
    let markdown = markdown();
    view! {
        <div class="diff" tabindex="0" role="group" aria-label="Changed lines">
            <div class="lines">
                {part(move || {
                    let shown = if whole.get() { count } else { DRAWN };
                    lines
                        .with_value(|lines| {
                            let texts: Vec<String> = lines
                                .iter()
                                .take(shown)
                                .map(|line| honest::visible(&line.text))
                                .collect();
                            let code = markdown.code(&texts);
                            lines.iter().zip(texts).zip(code).map(line).views()
                        })
                })}
            </div>
        </div>
        <Show when=move || { count > DRAWN && !whole.get() }>
            <button type="button" class="quiet" on:click=on(move |_| whole.set(true))>
                {format!("Show all {} lines", words::number(count as u64))}
            </button>
        </Show>
    }
}

/// A line, its text, and the same as HTML.
fn line(((line, text), html): ((&DiffLine, String), String)) -> impl IntoView + use<> {
    let number = |n: Option<u32>| n.map(|n| n.to_string());
    let code = if line.kind == LineKind::Hunk {
        view! { <code>{text}</code> }.into_any()
    } else {
        view! { <code inner_html=html></code> }.into_any()
    };
    view! {
        <div class=line.kind.class()>
            <span class="number">{number(line.old)}</span>
            <span class="number">{number(line.new)}</span>
            <span class="sign">{line.kind.sign()}</span>
            {code}
        </div>
    }
}

/// Several files, each with a fold of its own.
#[component]
pub(crate) fn DiffFiles(
    /// The files.
    files: Vec<DiffFile>,
    /// Under what their ids stand, which is there once.
    under: String,
) -> impl IntoView {
    files
        .into_iter()
        .enumerate()
        .map(move |(index, file)| {
            let open = RwSignal::new(file.lines.len() <= SHORT_DIFF * 5);
            let body = format!("{under}-file-{index}");
            let controls = body.clone();
            let lines = StoredValue::new(file.lines);
            view! {
                <section class="file">
                    <button
                        type="button"
                        class="fold"
                        aria-expanded=value(move || open.get().to_string())
                        aria-controls=controls
                        on:click=on(move |_| open.update(|open| *open = !*open))
                    >
                        <span class="label path">{honest::visible(&file.path)}</span>
                        {(!file.note.is_empty()).then(|| view! { <span class="kind">{file.note}</span> })}
                        <span class="counts">
                            <span class="plus">{format!("+{}", file.added)}</span>
                            " "
                            <span class="minus">{format!("\u{2212}{}", file.removed)}</span>
                        </span>
                        <span class="chevron">{icon(icon::CHEVRON)}</span>
                    </button>
                    <div id=body hidden=value(move || !open.get())>
                        <Show when=move || open.get()>
                            <DiffLines lines=lines.get_value() />
                        </Show>
                    </div>
                </section>
            }
        })
        .views()
}
