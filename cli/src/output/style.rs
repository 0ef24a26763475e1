//! Colour, where it is wanted. Meaning never rests on colour alone.

/// What a piece of text is, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    /// Done, added.
    Ok,
    /// Worth a look.
    Warn,
    /// Failed, removed.
    Danger,
    /// Places and names.
    Info,
    /// Beside the point.
    Muted,
    /// Headings.
    Strong,
}

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    colour: bool,
}

impl Style {
    /// With or without colour.
    pub(crate) const fn new(colour: bool) -> Self {
        Self { colour }
    }

    /// `text` in the colour of `paint`. Only the terminal's own sixteen colours
    /// and weights are used, so that its theme decides how they look.
    pub(crate) fn paint(self, paint: Paint, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        let code = match paint {
            Paint::Ok => "32",
            Paint::Warn => "33",
            Paint::Danger => "31",
            Paint::Info => "36",
            Paint::Muted => "2",
            Paint::Strong => "1",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// A unified diff, line by line.
    pub(crate) fn diff_line(self, line: &str) -> String {
        let paint = if line.starts_with("+++") || line.starts_with("---") {
            Paint::Strong
        } else if line.starts_with("@@") {
            Paint::Info
        } else if line.starts_with('+') {
            Paint::Ok
        } else if line.starts_with('-') {
            Paint::Danger
        } else if line.starts_with("diff ") || line.starts_with("index ") {
            Paint::Muted
        } else {
            return line.to_owned();
        };
        self.paint(paint, line)
    }
}
