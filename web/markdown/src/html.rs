//! Markdown from an agent, as HTML that can do nothing.
//!
//! Model: the parser's events are written out by [`Writer`], which knows a
//! fixed list of elements and escapes everything else. No byte of the source
//! reaches the page unescaped, so nothing has to be filtered afterwards.
//!
//! Invariants:
//! - raw HTML is shown as the text it is and never becomes an element;
//! - a link is `http`, `https` or `mailto`, opens apart and tells the other
//!   side nothing; any other target is shown as plain text;
//! - an image becomes a link, so that reading fetches nothing;
//! - equal text gives equal HTML, block by block, so text that grows at its end
//!   changes only its last block.

use crate::syntax;
use pulldown_cmark::{Alignment, CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// The top-level blocks of `source`, each as HTML.
#[must_use]
pub fn blocks(source: &str) -> Vec<String> {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut writer = Writer::default();
    let mut depth = 0_usize;
    let mut blocks = Vec::new();
    for event in Parser::new_ext(source, options) {
        match &event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
        writer.event(event);
        if depth == 0 {
            blocks.push(std::mem::take(&mut writer.html));
        }
    }
    blocks
}

/// Escapes text for an element's content or a double-quoted attribute.
pub fn escape(text: &str, into: &mut String) {
    for character in text.chars() {
        match character {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            '\'' => into.push_str("&#39;"),
            other => into.push(other),
        }
    }
}

/// The target as it may stand in `href`; `None` when it is not a kind we open.
fn safe_target(target: &str) -> Option<&str> {
    let target = target.trim();
    if target.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return None;
    }
    let (scheme, rest) = target.split_once(':')?;
    let known = ["http", "https"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known));
    let opens = (known && rest.starts_with("//") && rest.len() > 2)
        || (scheme.eq_ignore_ascii_case("mailto") && rest.contains('@'));
    opens.then_some(target)
}

#[derive(Default)]
struct Writer {
    html: String,
    /// For each open link or image, whether an `<a>` was opened for it.
    links: Vec<bool>,
    /// Columns of the open table.
    columns: Vec<Alignment>,
    column: usize,
    in_head: bool,
    /// What the open code block is coloured as.
    code: Option<Code>,
}

/// How a code block is coloured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Code {
    /// Not at all.
    Plain,
    /// Added and removed lines.
    Diff,
    /// As a programming language.
    Language,
}

impl Code {
    fn of(language: &str) -> Self {
        match language {
            "" | "text" | "txt" | "plain" | "console" | "md" | "markdown" => Self::Plain,
            "diff" | "patch" => Self::Diff,
            _ => Self::Language,
        }
    }
}

impl Writer {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.code.is_some() => self.code_text(&text),
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => {
                escape(&text, &mut self.html);
            }
            Event::Code(code) => {
                self.html.push_str("<code>");
                escape(&code, &mut self.html);
                self.html.push_str("</code>");
            }
            Event::InlineMath(text) | Event::DisplayMath(text) | Event::FootnoteReference(text) => {
                escape(&text, &mut self.html);
            }
            Event::SoftBreak => self.html.push('\n'),
            Event::HardBreak => self.html.push_str("<br>"),
            Event::Rule => self.html.push_str("<hr>"),
            Event::TaskListMarker(done) => self.html.push_str(if done {
                "<span class=\"mark\">\u{2611}\u{a0}</span>"
            } else {
                "<span class=\"mark\">\u{2610}\u{a0}</span>"
            }),
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph => self.html.push_str("<p>"),
            Tag::Heading { level, .. } => {
                // The page has its own headings; those of a message lie below them.
                let level = (level as usize + 2).min(6);
                self.html.push_str(&format!("<h{level}>"));
            }
            Tag::BlockQuote(_) => self.html.push_str("<blockquote>"),
            Tag::CodeBlock(kind) => {
                self.html.push_str("<pre tabindex=\"0\"");
                self.code = Some(Code::Plain);
                if let CodeBlockKind::Fenced(info) = kind {
                    let language = info.split([' ', ',']).next().unwrap_or_default();
                    self.code = Some(Code::of(language));
                    if !language.is_empty() {
                        self.html.push_str(" data-language=\"");
                        escape(language, &mut self.html);
                        self.html.push('"');
                    }
                }
                self.html.push_str("><code>");
            }
            Tag::HtmlBlock => self.html.push_str("<p class=\"raw\">"),
            Tag::List(None) => self.html.push_str("<ul>"),
            Tag::List(Some(1)) => self.html.push_str("<ol>"),
            Tag::List(Some(first)) => self.html.push_str(&format!("<ol start=\"{first}\">")),
            Tag::Item => self.html.push_str("<li>"),
            Tag::Table(columns) => {
                self.columns = columns;
                self.html
                    .push_str("<div class=\"table\" tabindex=\"0\"><table>");
            }
            Tag::TableHead => {
                self.in_head = true;
                self.column = 0;
                self.html.push_str("<thead><tr>");
            }
            Tag::TableRow => {
                self.column = 0;
                self.html.push_str("<tr>");
            }
            Tag::TableCell => {
                let element = if self.in_head { "th" } else { "td" };
                let class = match self.columns.get(self.column) {
                    Some(Alignment::Right) => " class=\"right\"",
                    Some(Alignment::Center) => " class=\"center\"",
                    _ => "",
                };
                self.column += 1;
                self.html.push_str(&format!("<{element}{class}>"));
            }
            Tag::Emphasis => self.html.push_str("<em>"),
            Tag::Strong => self.html.push_str("<strong>"),
            Tag::Strikethrough => self.html.push_str("<del>"),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => self.link(&dest_url),
            Tag::FootnoteDefinition(_)
            | Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition
            | Tag::Superscript
            | Tag::Subscript
            | Tag::MetadataBlock(_) => {}
        }
    }

    fn link(&mut self, target: &str) {
        // An image inside a link is already part of that link.
        let inside = self.links.contains(&true);
        let target = safe_target(target).filter(|_| !inside);
        if let Some(target) = target {
            self.html.push_str("<a href=\"");
            escape(target, &mut self.html);
            self.html
                .push_str("\" rel=\"noopener noreferrer nofollow\" target=\"_blank\">");
        }
        self.links.push(target.is_some());
    }

    /// Text of a code block; the parser may hand it over in pieces that end in
    /// the middle of a line, which then is coloured piece by piece.
    fn code_text(&mut self, text: &str) {
        for line in text.split_inclusive('\n') {
            let (line, end) = match line.strip_suffix('\n') {
                Some(line) => (line, "\n"),
                None => (line, ""),
            };
            match self.code {
                Some(Code::Language) => syntax::html(line, &mut self.html),
                Some(Code::Diff) if line.starts_with(['+', '-']) => {
                    let class = if line.starts_with('+') {
                        "plus"
                    } else {
                        "minus"
                    };
                    self.html.push_str(&format!("<span class=\"{class}\">"));
                    escape(line, &mut self.html);
                    self.html.push_str("</span>");
                }
                _ => escape(line, &mut self.html),
            }
            self.html.push_str(end);
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock => self.html.push_str("</p>"),
            TagEnd::Heading(level) => {
                let level = (level as usize + 2).min(6);
                self.html.push_str(&format!("</h{level}>"));
            }
            TagEnd::BlockQuote(_) => self.html.push_str("</blockquote>"),
            TagEnd::CodeBlock => {
                self.code = None;
                self.html.push_str("</code></pre>");
            }
            TagEnd::List(true) => self.html.push_str("</ol>"),
            TagEnd::List(false) => self.html.push_str("</ul>"),
            TagEnd::Item => self.html.push_str("</li>"),
            TagEnd::Table => self.html.push_str("</tbody></table></div>"),
            TagEnd::TableHead => {
                self.in_head = false;
                self.html.push_str("</tr></thead><tbody>");
            }
            TagEnd::TableRow => self.html.push_str("</tr>"),
            TagEnd::TableCell => self
                .html
                .push_str(if self.in_head { "</th>" } else { "</td>" }),
            TagEnd::Emphasis => self.html.push_str("</em>"),
            TagEnd::Strong => self.html.push_str("</strong>"),
            TagEnd::Strikethrough => self.html.push_str("</del>"),
            TagEnd::Link | TagEnd::Image => {
                if self.links.pop() == Some(true) {
                    self.html.push_str("</a>");
                }
            }
            TagEnd::FootnoteDefinition
            | TagEnd::DefinitionList
            | TagEnd::DefinitionListTitle
            | TagEnd::DefinitionListDefinition
            | TagEnd::Superscript
            | TagEnd::Subscript
            | TagEnd::MetadataBlock(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(source: &str) -> String {
        blocks(source).concat()
    }

    #[test]
    fn the_usual_elements_are_written() {
        let cases = [
            ("plain & <b>", "<p>plain &amp; &lt;b&gt;</p>"),
            ("# One", "<h3>One</h3>"),
            ("###### Six", "<h6>Six</h6>"),
            (
                "*a* **b** ~~c~~ `d<`",
                "<p><em>a</em> <strong>b</strong> <del>c</del> <code>d&lt;</code></p>",
            ),
            ("3. x\n4. y", "<ol start=\"3\"><li>x</li><li>y</li></ol>"),
            (
                "- [x] done",
                "<ul><li><span class=\"mark\">\u{2611}\u{a0}</span>done</li></ul>",
            ),
            (
                "```js x\na < b\n```",
                "<pre tabindex=\"0\" data-language=\"js\"><code>a &lt; b\n</code></pre>",
            ),
            (
                "```diff\n-a\n+b\n c\n```",
                "<pre tabindex=\"0\" data-language=\"diff\"><code><span class=\"minus\">-a</span>\n\
                 <span class=\"plus\">+b</span>\n c\n</code></pre>",
            ),
            (
                "    <b>",
                "<pre tabindex=\"0\"><code>&lt;b&gt;</code></pre>",
            ),
            (
                "|a|b|\n|-|-:|\n|1|2|",
                "<div class=\"table\" tabindex=\"0\"><table><thead><tr><th>a</th><th class=\"right\">b</th></tr></thead>\
                 <tbody><tr><td>1</td><td class=\"right\">2</td></tr></tbody></table></div>",
            ),
            (
                "[x](https://example.com/?a=1&b=\"2\")",
                "<p><a href=\"https://example.com/?a=1&amp;b=&quot;2&quot;\" rel=\"noopener noreferrer nofollow\" \
                 target=\"_blank\">x</a></p>",
            ),
            ("[x](src/main.rs)", "<p>x</p>"),
            (
                "![alt](https://example.com/i.png)",
                "<p><a href=\"https://example.com/i.png\" rel=\"noopener noreferrer nofollow\" target=\"_blank\">alt</a></p>",
            ),
        ];
        for (source, expected) in cases {
            assert_eq!(html(source), expected, "{source}");
        }
    }

    #[test]
    fn hostile_text_becomes_no_element_attribute_or_target() {
        let corpus = [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "a <svg/onload=alert(1)> b",
            "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt:alert(1))",
            "[x](java\tscript:alert(1))",
            "[x](&#106;avascript:alert(1))",
            "[x](data:text/html,<script>alert(1)</script>)",
            "[x](vbscript:msgbox(1))",
            "[x](//evil.example/x)",
            "[x](file:///etc/passwd)",
            "![x](javascript:alert(1))",
            "[![x](javascript:alert(1))](javascript:alert(1))",
            "<javascript:alert(1)>",
            "[x](https://e.example/\"onmouseover=\"alert(1))",
            "```\"><img src=x onerror=alert(1)>\ny\n```",
            "[x]: javascript:alert(1)\n\n[x]",
            "<a href=\"javascript:alert(1)\">x</a>",
            "<!-- <script>alert(1)</script> -->",
            "<![CDATA[<script>alert(1)</script>]]>",
            "|<script>|\n|-|\n|<img src=x onerror=alert(1)>|",
            "# <style>*{display:none}</style>",
            "<form action=https://e.example><input name=x></form>",
            "\u{202e}<script>",
        ];
        let allowed = [
            "p",
            "h3",
            "h4",
            "h5",
            "h6",
            "em",
            "strong",
            "del",
            "code",
            "pre",
            "ul",
            "ol",
            "li",
            "blockquote",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
            "div",
            "a",
            "span",
            "br",
            "hr",
        ];
        for source in corpus {
            let html = html(source);
            for tag in html.split('<').skip(1) {
                let inside = tag.split('>').next().unwrap();
                let name = inside
                    .trim_start_matches('/')
                    .split([' ', '/'])
                    .next()
                    .unwrap();
                assert!(allowed.contains(&name), "{source} gave {html}");
                // Attribute names are those outside quotes.
                let names: String = inside.split('"').step_by(2).collect();
                assert!(!names.contains(" on"), "{source} gave {html}");
            }
            for target in html.split("href=\"").skip(1) {
                assert!(target.starts_with("http"), "{source} gave {html}");
            }
        }
    }

    #[test]
    fn text_that_grows_changes_only_its_last_block() {
        let whole = "# A\n\nfirst *one*\n\n- x\n- y\n\n```rust\nlet a = 1;\n```\n\nlast words here";
        let mut held: Vec<String> = Vec::new();
        for (end, _) in whole.char_indices() {
            let now = blocks(&whole[..end]);
            // A list or paragraph may still merge with what follows, so all but
            // the last two must stay.
            let settled = held.len().saturating_sub(2);
            assert_eq!(held[..settled], now[..settled.min(now.len())], "at {end}");
            held = now;
        }
    }

    #[test]
    fn only_known_schemes_open() {
        for good in [
            "https://a.example",
            "HTTP://a.example/x",
            "mailto:a@b.example",
        ] {
            assert_eq!(safe_target(good), Some(good));
        }
        for bad in [
            "",
            "x",
            "/x",
            "#x",
            "javascript:1",
            "http:x",
            "https://",
            "https://a b",
            "mailto:x",
            "blob:https://x",
        ] {
            assert_eq!(safe_target(bad), None, "{bad}");
        }
    }
}
