//! The Markdown parser, a module of its own that is fetched when the first
//! message is shown: its tables would double the wait of everyone else.
//!
//! Until it is here, and wherever it cannot be fetched, a message is shown as
//! the text it is.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// What the start script defines: fetches the module and answers its `blocks`.
    #[wasm_bindgen(js_name = samMarkdown, catch)]
    async fn fetch_module() -> Result<JsValue, JsValue>;

    /// The module's function: Markdown to HTML, block by block.
    type Blocks;
    #[wasm_bindgen(method, js_name = call, catch)]
    fn call(this: &Blocks, receiver: &JsValue, source: &str) -> Result<Vec<String>, JsValue>;
}

/// Where the module is.
enum Module {
    Absent,
    Coming,
    Here(Blocks),
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
                Ok(blocks) => Module::Here(blocks.unchecked_into()),
                Err(_) => Module::Absent,
            };
            self.0.set(module);
        });
    }

    /// The top-level blocks of a text as HTML; drawn again once the module is here.
    pub(crate) fn blocks(self, source: &str) -> Vec<String> {
        self.0
            .with(|module| match module {
                Module::Here(blocks) => blocks.call(&JsValue::NULL, source).ok(),
                Module::Absent | Module::Coming => None,
            })
            .unwrap_or_else(|| vec![plain(source)])
    }
}

fn plain(source: &str) -> String {
    let mut html = String::from("<p class=\"plain\">");
    sam_web_markdown::escape(source, &mut html);
    html.push_str("</p>");
    html
}
