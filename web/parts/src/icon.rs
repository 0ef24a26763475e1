//! Shapes: states, tools and commands, drawn on a 16 × 16 grid in the text's colour.

use crate::words::Shape;
use leptos::prelude::*;
use sam_domain::conversation::row::ToolKind;

/// A drawing without words; what it means is written beside it.
pub fn icon(paths: &'static str) -> impl IntoView {
    view! { <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" inner_html=paths></svg> }
}

/// A state's shape.
pub const fn shape(shape: Shape) -> &'static str {
    match shape {
        Shape::Waiting => r#"<circle cx="8" cy="8" r="5.5" stroke-dasharray="2.2 2.1"/>"#,
        Shape::Working => {
            r#"<circle cx="8" cy="8" r="5.5" opacity=".35"/><path d="M8 2.5A5.5 5.5 0 0 1 13.5 8" class="turns"/>"#
        }
        Shape::Asking => r#"<path d="M8 1.8 14.2 8 8 14.2 1.8 8Z" class="fill"/>"#,
        Shape::Done => r#"<circle cx="8" cy="8" r="5.5"/><path d="m5.4 8.2 1.8 1.8 3.5-3.8"/>"#,
        Shape::Failed => {
            r#"<rect x="2.5" y="2.5" width="11" height="11" rx="2.5"/><path d="m5.8 5.8 4.4 4.4m0-4.4-4.4 4.4"/>"#
        }
        Shape::Stopped => r#"<circle cx="8" cy="8" r="5.5"/><path d="m4.2 11.8 7.6-7.6"/>"#,
    }
}

/// A tool's kind.
pub const fn tool(kind: ToolKind) -> &'static str {
    match kind {
        ToolKind::Read => {
            r#"<path d="M4 1.8h5.2L12.5 5v9.2H4Z"/><path d="M9 2v3.2h3.3M6 8.2h4.5M6 10.9h4.5"/>"#
        }
        ToolKind::Edit => {
            r#"<path d="m3 13 .7-3L11 2.7 13.3 5 6 12.3Z"/><path d="m9.3 4.4 2.3 2.3"/>"#
        }
        ToolKind::Delete => {
            r#"<path d="M2.8 4.3h10.4M6 4.3V2.5h4v1.8M4.2 4.3l.6 9.2h6.4l.6-9.2"/>"#
        }
        ToolKind::Move => r#"<path d="M2 8h11M9.5 4.5 13 8l-3.5 3.5"/>"#,
        ToolKind::Search => r#"<circle cx="7" cy="7" r="4.3"/><path d="m10.2 10.2 3.6 3.6"/>"#,
        ToolKind::Execute => {
            r#"<rect x="1.8" y="2.8" width="12.4" height="10.4" rx="2"/><path d="m4.5 6 2.2 2-2.2 2M8.2 10.2h3"/>"#
        }
        ToolKind::Think => THOUGHT,
        ToolKind::Fetch => {
            r#"<circle cx="8" cy="8" r="6"/><path d="M2 8h12M8 2c4.2 4 4.2 8 0 12-4.2-4-4.2-8 0-12Z"/>"#
        }
        ToolKind::Other => {
            r#"<path d="M9.8 2.3a3.6 3.6 0 0 0-3.9 4.9l-4 4 2.9 2.9 4-4a3.6 3.6 0 0 0 4.9-3.9l-2.2 2.2-2-.5-.5-2Z"/>"#
        }
    }
}

/// Reasoning.
pub const THOUGHT: &str =
    r#"<path d="M5.6 10.8A4.4 4.4 0 1 1 10.4 10.8v1.4H5.6Z"/><path d="M6.2 14.2h3.6"/>"#;
/// Several files.
pub const FILES: &str = r#"<path d="M5.5 1.8h4.2l3 3v6.9H5.5Z"/><path d="M3 4.5v9.7h7.2"/>"#;
/// A fold; turned when open.
pub const CHEVRON: &str = r#"<path d="m6 3.8 4.4 4.2L6 12.2"/>"#;
/// One level up.
pub const BACK: &str = r#"<path d="M10 3.5 5.5 8l4.5 4.5"/>"#;
/// Projects.
pub const PROJECTS: &str = r#"<path d="M1.8 4V12.8h12.4V4.8H8.2L6.6 3H1.8Z"/>"#;
/// Conversations.
pub const TALK: &str =
    r#"<path d="M2 2.8h12v8.4H7.5L4.4 13.8v-2.6H2Z"/><path d="M5 5.8h6M5 8.2h4"/>"#;
/// Machines.
pub const NODES: &str = r#"<rect x="2" y="2.5" width="12" height="4.6" rx="1.2"/><rect x="2" y="8.9" width="12" height="4.6" rx="1.2"/><path d="M4.6 4.8h.01M4.6 11.2h.01"/>"#;
/// Settings.
pub const SETTINGS: &str = r#"<path d="M2.5 4.5h11M2.5 8h11M2.5 11.5h11"/><circle cx="5.5" cy="4.5" r="1.5" class="fill"/><circle cx="10.5" cy="8" r="1.5" class="fill"/><circle cx="6.5" cy="11.5" r="1.5" class="fill"/>"#;
/// Dark and light.
pub const THEME: &str =
    r#"<circle cx="8" cy="8" r="5.7"/><path d="M8 2.3a5.7 5.7 0 0 1 0 11.4Z" class="fill"/>"#;
/// Questions.
pub const HELP: &str = r#"<circle cx="8" cy="8" r="6"/><path d="M6.2 6.3a1.9 1.9 0 1 1 2.6 1.8c-.6.2-.8.6-.8 1.2M8 11.6h.01"/>"#;
/// Leaving.
pub const LEAVE: &str = r#"<path d="M6.2 2.5H2.8v11h3.4M6.5 8h7M10.8 5.2 13.6 8l-2.8 2.8"/>"#;
/// A new thing.
pub const PLUS: &str = r#"<path d="M8 3v10M3 8h10"/>"#;
/// Sending.
pub const SEND: &str = r#"<path d="M8 13V3.2M3.9 7.3 8 3.2l4.1 4.1"/>"#;
/// Down to the newest.
pub const DOWN: &str = r#"<path d="M8 3v9.8M3.9 8.7 8 12.8l4.1-4.1"/>"#;
/// Something that matters.
pub const WARNING: &str = r#"<path d="M8 2 14.6 13.5H1.4Z"/><path d="M8 6.3v3.4M8 11.6h.01"/>"#;
/// For the record.
pub const INFO: &str = r#"<circle cx="8" cy="8" r="6"/><path d="M8 7.4v3.8M8 4.9h.01"/>"#;
/// A branch.
pub const BRANCH: &str = r#"<circle cx="4.5" cy="3.8" r="1.8"/><circle cx="4.5" cy="12.2" r="1.8"/><circle cx="11.5" cy="5.8" r="1.8"/><path d="M4.5 5.6v4.8M11.5 7.6c0 2.4-4 2-6.4 3.2"/>"#;
/// The product's mark: one thing handed to another.
pub const MARK: &str = r#"<path d="M11.8 4.2C11 2.9 9.6 2.2 8 2.2c-2.3 0-4 1.2-4 3 0 4 8.2 1.8 8.2 5.8 0 1.8-1.8 2.9-4.2 2.9-1.8 0-3.4-.8-4.2-2.3"/>"#;
