//! Every call of the host, noted for a plugin's author: the generated bindings and WASI tell it to `tracing`, which
//! asks for it only in a worker that was started with `--trace`. Such a worker runs one call at a time.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use standfast_core::plugin::call::{HostCall, Trace};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::text;

/// Calls that are kept: with the cut below they fit into one frame of the channel.
const CALLS_MAX: usize = 1000;
/// Longest arguments, longest result.
const SHOWN_MAX: usize = 300;
/// Name of the span that the bindings open around a call of the host.
const SPAN: &str = "wit-bindgen import";
/// Target of what this program itself tells.
const OWN: &str = "standfast::trace";

/// What has been noted of the call under way.
#[derive(Clone)]
pub(crate) struct Tracer(Arc<Mutex<Notes>>);

struct Notes {
    calls: Vec<HostCall>,
    left_out: u64,
    /// A call of the host under way.
    open: Option<(HostCall, Instant)>,
    cpu: Duration,
}

/// Tells, if anybody listens, that a call of the host was denied, and which line would allow it.
pub(crate) fn denied(grant: impl FnOnce() -> String) {
    tracing::trace!(target: "standfast::trace", grant = grant(), "denied");
}

impl Tracer {
    /// From now on all is noted.
    pub(crate) fn start() -> Result<Self, String> {
        let tracer = Self(Arc::new(Mutex::new(Notes::new())));
        tracing::subscriber::set_global_default(tracer.clone()).map_err(|error| error.to_string())?;
        Ok(tracer)
    }

    /// A call begins.
    pub(crate) fn begin(&self) {
        *self.notes() = Notes::new();
    }

    /// It has ended.
    pub(crate) fn take(&self, memory: usize) -> Trace {
        let mut notes = self.notes();
        notes.close(None);
        Trace {
            calls: std::mem::take(&mut notes.calls),
            left_out: std::mem::take(&mut notes.left_out),
            memory: memory as u64,
            cpu: cpu().saturating_sub(notes.cpu),
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    fn new() -> Self {
        Self {
            calls: Vec::new(),
            left_out: 0,
            open: None,
            cpu: cpu(),
        }
    }

    fn close(&mut self, result: Option<String>) {
        let Some((mut call, begun)) = self.open.take() else {
            return;
        };
        call.took = begun.elapsed();
        call.result = result;
        if self.calls.len() < CALLS_MAX {
            self.calls.push(call);
        } else {
            self.left_out += 1;
        }
    }
}

impl Subscriber for Tracer {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        let bindings =
            target.starts_with("standfast_worker::bindings") || target.starts_with("wasmtime_wasi");
        target == OWN || bindings && (metadata.name() == SPAN || metadata.is_event())
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields::default();
        span.record(&mut fields);
        let wasi = span.metadata().target().starts_with("wasmtime_wasi");
        let mut notes = self.notes();
        notes.close(None);
        let call = HostCall {
            function: format!(
                "{}{}.{}",
                if wasi { "wasi:" } else { "" },
                fields.module,
                fields.function
            ),
            arguments: String::new(),
            result: None,
            took: Duration::ZERO,
            denied: None,
        };
        notes.open = Some((call, Instant::now()));
        Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut notes = self.notes();
        match (fields.message.as_str(), &mut notes.open) {
            ("call", Some((call, begun))) => {
                call.arguments = shown(&fields.values);
                *begun = Instant::now();
            }
            ("denied", Some((call, _))) => call.denied = fields.grant,
            ("return", Some(_)) => {
                let result = fields.result.filter(|result| result != "()");
                notes.close(result.map(|result| shown(&result)));
            }
            (_, _) => {}
        }
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Fields of a span or event of the bindings.
#[derive(Default)]
struct Fields {
    message: String,
    module: String,
    function: String,
    grant: Option<String>,
    result: Option<String>,
    values: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let value = format!("{value:?}");
        match field.name() {
            "message" => self.message = value,
            "result" => self.result = Some(value),
            name => {
                let comma = if self.values.is_empty() { "" } else { ", " };
                // Writing to a string cannot fail.
                let _ = write!(self.values, "{comma}{name}: {value}");
            }
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "module" => self.module = value.to_owned(),
            "function" => self.function = value.to_owned(),
            "grant" => self.grant = Some(value.to_owned()),
            _ => self.record_debug(field, &value),
        }
    }
}

/// Lists of bytes as text, cut.
fn shown(debug: &str) -> String {
    let mut out = String::new();
    let mut rest = debug;
    while let Some((before, (list, after))) = rest
        .split_once('[')
        .and_then(|(before, list)| Some((before, list.split_once(']')?)))
    {
        out.push_str(before);
        let bytes: Option<Vec<u8>> = list.split(", ").map(|number| number.parse().ok()).collect();
        match bytes {
            Some(bytes) => out.push_str(&format!("{:?}", String::from_utf8_lossy(&bytes))),
            None => out.push_str(&format!("[{list}]")),
        }
        rest = after;
    }
    out.push_str(rest);
    let mut line = text::line(&out);
    if line.len() > SHOWN_MAX {
        line.truncate(line.floor_char_boundary(SHOWN_MAX));
        line.push('…');
    }
    line
}

/// CPU time of this process so far; by the clock, for the cage lets no other question through.
fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_text_and_long_values_are_cut() {
        assert_eq!(
            shown("Ok([80, 79, 78, 71, 13, 10]), x: [\"a\", 1]"),
            "Ok(\"PONG\\r\\n\"), x: [\"a\", 1]"
        );
        assert_eq!(shown("attrs: []"), "attrs: []");
        assert_eq!(shown("a ["), "a [");
        assert_eq!(shown(&"ü".repeat(400)).chars().count(), SHOWN_MAX / 2 + 1);
    }
}
