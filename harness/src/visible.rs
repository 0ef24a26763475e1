//! What has been shown of a reply that may have to be asked for again.
//!
//! When a reply is cut off and its repetition begins with the same words, only
//! what is new is shown. When it begins otherwise, it is shown whole as
//! another message, because what a host has shown cannot be taken back.

/// One kind of text (answer or reasoning) of one reply.
#[derive(Debug)]
pub(crate) struct Visible {
    base: String,
    version: u32,
    shown: String,
    /// How many bytes of `shown` the current attempt has repeated.
    matched: usize,
    withdrawn: Option<String>,
}

impl Visible {
    /// Nothing shown yet of the message with this id.
    pub(crate) fn new(message: String) -> Self {
        Self {
            base: message,
            version: 1,
            shown: String::new(),
            matched: 0,
            withdrawn: None,
        }
    }

    /// What was shown under the id before, when the last piece began another
    /// message.
    pub(crate) fn take_withdrawn(&mut self) -> Option<String> {
        self.withdrawn.take()
    }

    /// The id under which the text is shown.
    pub(crate) fn message(&self) -> String {
        match self.version {
            1 => self.base.clone(),
            version => format!("{}.{version}", self.base),
        }
    }

    /// The text shown under that id.
    pub(crate) fn text(&self) -> &str {
        &self.shown
    }

    /// The reply is asked for again.
    pub(crate) fn restart(&mut self) {
        self.matched = 0;
    }

    /// Takes the next piece of the current attempt and returns what to show.
    pub(crate) fn piece(&mut self, text: &str) -> Option<String> {
        let repeated = self.shown.get(self.matched..).unwrap_or_default();
        if !text.is_empty() && repeated.starts_with(text) {
            self.matched += text.len();
            return None;
        }
        if let Some(new) = text.strip_prefix(repeated) {
            let new = new.to_owned();
            self.shown.push_str(&new);
            self.matched = self.shown.len();
            return Some(new).filter(|new| !new.is_empty());
        }
        self.withdrawn = Some(self.shown.clone());
        self.shown.truncate(self.matched);
        self.shown.push_str(text);
        self.matched = self.shown.len();
        self.version += 1;
        Some(self.shown.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(attempts: &[&[&str]], expected: &[(&str, &str)]) {
        let mut visible = Visible::new("m".to_owned());
        let mut got = Vec::new();
        for attempt in attempts {
            visible.restart();
            for piece in *attempt {
                got.extend(visible.piece(piece).map(|text| (visible.message(), text)));
            }
        }
        let got: Vec<_> = got.iter().map(|(m, t)| (m.as_str(), t.as_str())).collect();
        assert_eq!(got, expected, "{attempts:?}");
    }

    #[test]
    fn a_repetition_shows_only_what_is_new() {
        check(&[&["He", "llo"]], &[("m", "He"), ("m", "llo")]);
        check(
            &[&["He", "llo"], &["Hel", "lo w", "orld"]],
            &[("m", "He"), ("m", "llo"), ("m", " w"), ("m", "orld")],
        );
        check(&[&["Hel"], &["H"], &["Help"]], &[("m", "Hel"), ("m", "p")]);
    }

    #[test]
    fn another_beginning_is_another_message() {
        check(
            &[&["Hello"], &["He", "y", "!"], &["Hey", "!?"]],
            &[("m", "Hello"), ("m.2", "Hey"), ("m.2", "!"), ("m.2", "?")],
        );
    }
}
