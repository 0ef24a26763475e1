//! Long texts that stay in the runtime.
//!
//! A page of rows is put together by SQLite and goes on to a client as it is. Taking it into the
//! instance and out again would convert and copy it twice; as a [`Text`] it is passed on unread.

use js_sys::JsString;

/// A text of the runtime's, or one made here.
#[derive(Debug, Clone)]
pub struct Text(Kept);

#[derive(Debug, Clone)]
enum Kept {
    Runtime(JsString),
    Here(String),
}

impl Text {
    /// This text with others around it.
    #[must_use]
    pub fn between(self, before: &str, after: &str) -> Self {
        Self(match self.0 {
            Kept::Runtime(text) => {
                let text = JsString::from(before).concat(&text);
                Kept::Runtime(text.concat(&JsString::from(after)))
            }
            Kept::Here(text) => Kept::Here([before, &text, after].concat()),
        })
    }

    /// The same text, handed to the runtime if it is not there yet: for one that goes to many.
    #[must_use]
    pub fn handed_over(self) -> Self {
        Self(Kept::Runtime(self.in_runtime()))
    }

    pub(crate) fn in_runtime(&self) -> JsString {
        match &self.0 {
            Kept::Runtime(text) => text.clone(),
            Kept::Here(text) => text.as_str().into(),
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        String::new().into()
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Kept::Here(text))
    }
}

impl From<JsString> for Text {
    fn from(text: JsString) -> Self {
        Self(Kept::Runtime(text))
    }
}

impl std::fmt::Display for Text {
    /// Takes the text into the instance.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Kept::Runtime(text) => out.write_str(&String::from(text)),
            Kept::Here(text) => out.write_str(text),
        }
    }
}
