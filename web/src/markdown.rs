//! The Markdown parser and the colours of code, a module of its own that is
//! fetched when the first message or diff is shown: its tables would double the
//! wait of everyone else.
//!
//! Until it is here, and wherever it cannot be fetched, what is shown is the
//! text it is.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// What the start script defines: fetches the module.
    #[wasm_bindgen(js_name = samMarkdown, catch)]
    async fn fetch_module() -> Result<JsValue, JsValue>;

    /// What the module exports.
    type Exports;
    /// Markdown to HTML, block by block.
    #[wasm_bindgen(method, catch)]
    fn blocks(this: &Exports, source: &str) -> Result<Vec<String>, JsValue>;
    /// Code to HTML, line by line.
    #[wasm_bindgen(method, catch)]
    fn code(this: &Exports, lines: Vec<String>) -> Result<Vec<String>, JsValue>;
}

/// Where the module is.
enum Module {
    Absent,
    Coming,
    Here(Exports),
}

/// The parser, shared by everything that shows text.
#[derive(Clone, Copy)]
pub(crate) struct Markdown(RwSignal<Module, LocalStorage>);

/// Makes the parser known to every view below.
pub(crate) fn provide() {
    provide_context(Markdown(RwSignal::new_local(Module::Absent)));
}

/// The parser; the first call fetches it.
pub(crate) fn markdown() -> Markdown {
    let markdown = expect_context::<Markdown>();
    markdown.fetch();
    markdown
}

impl Markdown {
    fn fetch(self) {
        if !self
            .0
            .with_untracked(|module| matches!(module, Module::Absent))
        {
            return;
        }
        self.0.update_untracked(|module| *module = Module::Coming);
        spawn_local(async move {
            // After a failure the next message that is opened tries again.
            let module = match fetch_module().await {
                Ok(module) => Module::Here(module.unchecked_into()),
                Err(_) => Module::Absent,
            };
            self.0.set(module);
        });
    }

    /// The top-level blocks of a text as HTML; drawn again once the module is here.
    pub(crate) fn blocks(self, source: &str) -> Vec<String> {
        self.ask(|module| module.blocks(source))
            .unwrap_or_else(|| vec![format!("<p class=\"plain\">{}</p>", escaped(source))])
    }

    /// Lines of code as HTML, coloured once the module is here.
    pub(crate) fn code(self, lines: &[String]) -> Vec<String> {
        self.ask(|module| module.code(lines.to_vec()))
            .unwrap_or_else(|| lines.iter().map(|line| escaped(line)).collect())
    }

    fn ask(
        self,
        call: impl FnOnce(&Exports) -> Result<Vec<String>, JsValue>,
    ) -> Option<Vec<String>> {
        self.0.with(|module| match module {
            Module::Here(module) => call(module).ok(),
            Module::Absent | Module::Coming => None,
        })
    }
}

/// Text for the content of an element.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
