//! Replies of Responses, written.

use serde_json::{Value, json};

use super::output::{self, Envelope};
use crate::Dialect;
use crate::conversation::{Reply, ReplyEvent, StopReason, Thinking, ToolCall};
use crate::dialect::WriterOptions;
use crate::error::ApiError;
use crate::json::set;
use crate::sse::SseEvent;
use crate::usage::Usage;

#[derive(Debug)]
enum Open {
    Said { text: String, refusal: bool },
    Thinking(Thinking),
    Call(ToolCall),
}

/// Writes the events of one reply. The last event repeats the whole reply, so
/// it is kept until then.
#[derive(Debug)]
pub(crate) struct Emitter {
    options: WriterOptions,
    begun: bool,
    sequence: u64,
    open: Option<Open>,
    output: Vec<Value>,
    usage: Option<Usage>,
    stop: Option<StopReason>,
}

impl Emitter {
    pub(crate) fn new(options: WriterOptions) -> Self {
        Self {
            options,
            begun: false,
            sequence: 0,
            open: None,
            output: Vec::new(),
            usage: None,
            stop: None,
        }
    }

    pub(crate) fn push(&mut self, event: &ReplyEvent, out: &mut String) {
        match event {
            ReplyEvent::Begin { id, .. } => {
                if let Some(id) = id {
                    self.options.id.clone_from(id);
                }
                self.begin(out);
            }
            ReplyEvent::Text(text) => self.say(text, false, out),
            ReplyEvent::Refusal(text) => self.say(text, true, out),
            ReplyEvent::Thinking(text) => self.think(text, out),
            ReplyEvent::ThinkingEnd { raw } => {
                if !matches!(self.open, Some(Open::Thinking(_))) {
                    self.open(Open::Thinking(Thinking::default()), out);
                }
                if let Some(Open::Thinking(thinking)) = &mut self.open {
                    thinking.raw.clone_from(raw);
                }
                self.close(out);
            }
            ReplyEvent::Call {
                id, name, custom, ..
            } => {
                let call = ToolCall {
                    id: id.clone(),
                    name: name.clone(),
                    arguments: String::new(),
                    custom: *custom,
                };
                self.open(Open::Call(call), out);
            }
            ReplyEvent::Arguments { piece, .. } => self.arguments(piece, out),
            ReplyEvent::TextEnd | ReplyEvent::CallEnd { .. } => self.close(out),
            ReplyEvent::Usage(usage) => self.usage = Some(*usage),
            ReplyEvent::Stop(stop) => self.stop = Some(stop.clone()),
            ReplyEvent::End => self.end(None, out),
            ReplyEvent::Foreign { .. } => {}
        }
    }

    pub(crate) fn fail(&mut self, error: &ApiError, out: &mut String) {
        let code = error.code_in(Dialect::Responses);
        let data = json!({ "code": code, "message": error.message, "param": null });
        self.write("error", data, out);
        self.end(Some(error), out);
    }

    fn end(&mut self, failed: Option<&ApiError>, out: &mut String) {
        self.begin(out);
        self.close(out);
        let envelope = self.envelope(failed, true);
        let event = match envelope.status() {
            "failed" => "response.failed",
            "incomplete" => "response.incomplete",
            _ => "response.completed",
        };
        let response = envelope.write();
        self.write(event, json!({ "response": response }), out);
    }

    fn envelope<'a>(&'a self, failed: Option<&'a ApiError>, ended: bool) -> Envelope<'a> {
        Envelope {
            options: &self.options,
            output: &self.output,
            usage: self.usage,
            stop: self.stop.as_ref(),
            failed,
            ended,
        }
    }

    fn begin(&mut self, out: &mut String) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let response = self.envelope(None, false).write();
        self.write("response.created", json!({ "response": response }), out);
        self.write("response.in_progress", json!({ "response": response }), out);
    }

    fn say(&mut self, piece: &str, refusal: bool, out: &mut String) {
        let fits = matches!(&self.open, Some(Open::Said { refusal: open, .. }) if *open == refusal);
        if !fits {
            let text = String::new();
            self.open(Open::Said { text, refusal }, out);
        }
        if let Some(Open::Said { text, .. }) = &mut self.open {
            text.push_str(piece);
        }
        let event = if refusal {
            "response.refusal.delta"
        } else {
            "response.output_text.delta"
        };
        let data = json!({ "item_id": self.item_id(), "output_index": self.output.len(),
            "content_index": 0, "delta": piece });
        self.write(event, data, out);
    }

    fn think(&mut self, piece: &str, out: &mut String) {
        let began = match &self.open {
            Some(Open::Thinking(thinking)) => thinking.text.is_empty(),
            _ => {
                self.open(Open::Thinking(Thinking::default()), out);
                true
            }
        };
        let place = json!({ "item_id": self.item_id(), "output_index": self.output.len(),
            "summary_index": 0 });
        if began {
            let mut data = place.clone();
            set(
                &mut data,
                "part",
                json!({ "type": "summary_text", "text": "" }),
            );
            self.write("response.reasoning_summary_part.added", data, out);
        }
        if let Some(Open::Thinking(thinking)) = &mut self.open {
            thinking.text.push_str(piece);
        }
        let mut data = place;
        set(&mut data, "delta", piece);
        self.write("response.reasoning_summary_text.delta", data, out);
    }

    fn arguments(&mut self, piece: &str, out: &mut String) {
        let Some(Open::Call(call)) = &mut self.open else {
            return;
        };
        call.arguments.push_str(piece);
        let event = if call.custom {
            "response.custom_tool_call_input.delta"
        } else {
            "response.function_call_arguments.delta"
        };
        let data = json!({ "item_id": self.item_id(), "output_index": self.output.len(),
            "delta": piece });
        self.write(event, data, out);
    }

    fn item_id(&self) -> Value {
        let item = self
            .open
            .as_ref()
            .map(|open| self.item(open, "in_progress"));
        item.and_then(|item| item.get("id").cloned())
            .unwrap_or_default()
    }

    fn item(&self, open: &Open, status: &str) -> Value {
        let number = self.output.len();
        match open {
            Open::Said { text, refusal } => {
                output::message(number, vec![output::said(text, *refusal)], status)
            }
            Open::Thinking(thinking) => output::reasoning(number, thinking),
            Open::Call(call) => output::call(number, call, &self.options.namespaces, status),
        }
    }

    fn open(&mut self, open: Open, out: &mut String) {
        self.close(out);
        self.begin(out);
        let mut item = self.item(&open, "in_progress");
        let refusal = match &open {
            Open::Said { refusal, .. } => {
                set(&mut item, "content", json!([]));
                Some(*refusal)
            }
            Open::Thinking(_) | Open::Call(_) => None,
        };
        self.open = Some(open);
        let index = self.output.len();
        let data = json!({ "output_index": index, "item": item });
        self.write("response.output_item.added", data, out);
        if let Some(refusal) = refusal {
            let data = json!({ "item_id": self.item_id(), "output_index": index,
                "content_index": 0, "part": output::said("", refusal) });
            self.write("response.content_part.added", data, out);
        }
    }

    fn close(&mut self, out: &mut String) {
        let id = self.item_id();
        let Some(open) = self.open.take() else { return };
        let index = self.output.len();
        let at = |more: Value| {
            let mut data = json!({ "item_id": id, "output_index": index });
            for (key, value) in more.as_object().into_iter().flatten() {
                set(&mut data, key, value.clone());
            }
            data
        };
        match &open {
            Open::Said { text, refusal } => {
                let (event, key) = if *refusal {
                    ("response.refusal.done", "refusal")
                } else {
                    ("response.output_text.done", "text")
                };
                self.write(event, at(json!({ "content_index": 0, key: text })), out);
                let part = output::said(text, *refusal);
                let data = at(json!({ "content_index": 0, "part": part }));
                self.write("response.content_part.done", data, out);
            }
            Open::Thinking(Thinking { text, .. }) if !text.is_empty() => {
                let data = at(json!({ "summary_index": 0, "text": text }));
                self.write("response.reasoning_summary_text.done", data, out);
                let part = json!({ "type": "summary_text", "text": text });
                let data = at(json!({ "summary_index": 0, "part": part }));
                self.write("response.reasoning_summary_part.done", data, out);
            }
            Open::Thinking(_) => {}
            Open::Call(ToolCall {
                name,
                arguments,
                custom,
                ..
            }) => {
                if *custom {
                    let data = at(json!({ "input": arguments }));
                    self.write("response.custom_tool_call_input.done", data, out);
                } else {
                    let data = at(json!({ "name": name, "arguments": arguments }));
                    self.write("response.function_call_arguments.done", data, out);
                }
            }
        }
        let item = self.item(&open, "completed");
        let data = json!({ "output_index": index, "item": item });
        self.write("response.output_item.done", data, out);
        self.output.push(item);
    }

    fn write(&mut self, event: &'static str, mut data: Value, out: &mut String) {
        set(&mut data, "type", event);
        set(&mut data, "sequence_number", self.sequence);
        self.sequence += 1;
        SseEvent::write(Some(event), &data, out);
    }
}

/// A whole reply.
pub(crate) fn document(reply: &Reply, options: &WriterOptions) -> Value {
    let mut options = options.clone();
    if let Some(id) = &reply.id {
        options.id.clone_from(id);
    }
    let output = output::of(reply, &options);
    let text = reply.text();
    let envelope = Envelope {
        options: &options,
        output: &output,
        usage: reply.usage,
        stop: reply.stop.as_ref(),
        failed: None,
        ended: true,
    };
    let mut body = envelope.write();
    set(&mut body, "output_text", text);
    body
}
