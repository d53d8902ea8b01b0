//! `standfast plugin run`: one call without a daemon, and all that it did.

use std::time::Duration;

use serde::Serialize;
use standfast_core::plugin::call::{CallError, HostCall, Measurement, Status, Value, Verdict};
use standfast_core::plugin::channel::{LoadedPlugin, LogLevel};

use crate::cli::columns::{Cell, Colour, Paint, line, table};
use crate::cli::plugin::scratch::Scratch;
use crate::cli::plugin::subject::Call;
use crate::cli::plugin::workshop::{self, Called, Workshop};
use crate::cli::plugin::{RunPluginArgs, bytes, servable, span};
use crate::cli::print::{say, write};
use crate::start::find_worker;
use crate::status_code::{Code, Failure};

pub(super) fn run(args: &RunPluginArgs) -> Result<Code, Failure> {
    let program = find_worker(args.worker.clone())?;
    let found = servable(workshop::inspect(&program, &args.file)?)?;
    let call = args.block.call(&found)?;
    let scratch = Scratch::new(&args.file)?;
    let mut workshop = Workshop::open(&program, &scratch, &call, true)?;
    let loaded = workshop.load(&args.block.plugin(&args.file)?, scratch.plugin())?;
    let report = match call {
        Call::Check(call) => {
            let limit = call.timeout;
            let called = workshop.check(call)?;
            let (verdict, class, message) = match &called.outcome {
                Ok(verdict) => (word(verdict.status), None, verdict.message.clone()),
                Err(error) => failed(error),
            };
            let asked = called.outcome.as_ref().ok().map(asks);
            Report::new(verdict, class, message, limit, called, &loaded).asking(asked)
        }
        Call::Notify(call) => {
            let limit = call.timeout;
            let called = workshop.notify(call)?;
            let (verdict, class, message) = match &called.outcome {
                Ok(()) => ("delivered", None, String::new()),
                Err(error) => failed(error),
            };
            Report::new(verdict, class, message, limit, called, &loaded)
        }
    };
    if args.json {
        let json = serde_json::to_string(&report);
        say(&json.map_err(|error| Failure::new(Code::Runtime, error.to_string()))?)?;
    } else {
        write(&report.render(args.block.memory()?, Paint::of_stdout()))?;
    }
    Ok(match report.verdict {
        "pass" | "warn" | "delivered" => Code::Ok,
        "fail" => Code::Fail,
        _ => Code::Runtime,
    })
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Report {
    /// `pass`, `warn`, `fail`; `delivered` of a hook; `error`: none of them.
    verdict: &'static str,
    /// Class of the error: `timeout`, `trap`, `denied`, …
    error: Option<&'static str>,
    message: String,
    weight: Option<i16>,
    next_ms: Option<u64>,
    took_us: u64,
    cpu_us: u64,
    timeout_ms: u64,
    memory: u64,
    sha256: String,
    size: u64,
    load_ms: u64,
    calls: Vec<HostCallLine>,
    calls_left_out: u64,
    log: Vec<LogLine>,
    metrics: Vec<MetricLine>,
    /// Lines that would allow what was denied.
    missing_grants: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct HostCallLine {
    function: String,
    arguments: String,
    result: Option<String>,
    took_us: u64,
    denied: Option<String>,
}

#[derive(Debug, Serialize)]
struct LogLine {
    level: &'static str,
    message: String,
}

#[derive(Debug, Serialize)]
struct MetricLine {
    name: String,
    value: f64,
}

impl Report {
    fn new<T>(
        verdict: &'static str,
        error: Option<&'static str>,
        message: String,
        timeout: Duration,
        called: Called<T>,
        loaded: &LoadedPlugin,
    ) -> Self {
        let mut missing_grants: Vec<String> = Vec::new();
        for denied in called.trace.calls.iter().filter_map(|call| call.denied.clone()) {
            if !missing_grants.contains(&denied) {
                missing_grants.push(denied);
            }
        }
        // A denial is told with its call.
        let told = |message: &str| message.contains(" denied; to allow it: ");
        Self {
            verdict,
            error,
            message,
            weight: None,
            next_ms: None,
            took_us: micros(called.took),
            cpu_us: micros(called.trace.cpu),
            timeout_ms: micros(timeout) / 1000,
            memory: called.trace.memory,
            sha256: loaded.digest.clone(),
            size: loaded.size,
            load_ms: micros(loaded.took) / 1000,
            calls: called.trace.calls.into_iter().map(host_call).collect(),
            calls_left_out: called.trace.left_out,
            log: called
                .lines
                .into_iter()
                .filter(|(_, message)| !told(message))
                .map(|(level, message)| LogLine {
                    level: level_word(level),
                    message,
                })
                .collect(),
            metrics: called.metrics.into_iter().map(metric).collect(),
            missing_grants,
        }
    }

    fn asking(mut self, asked: Option<(Option<i16>, Option<u64>)>) -> Self {
        (self.weight, self.next_ms) = asked.unwrap_or_default();
        self
    }

    fn render(&self, memory: u64, paint: Paint) -> String {
        let mut out = String::new();
        let colour = match self.verdict {
            "pass" | "delivered" => Colour::Good,
            "warn" => Colour::Doubt,
            _ => Colour::Bad,
        };
        let class = self.error.map(|class| format!(" ({class})")).unwrap_or_default();
        let word = paint.word(&format!("{}{class}", self.verdict), colour);
        let said = if self.message.is_empty() { "" } else { ": " };
        line(&mut out, format_args!("{word}{said}{}", self.message));
        if let Some(weight) = self.weight {
            line(&mut out, format_args!("asks    weight {weight:+}"));
        }
        if let Some(next) = self.next_ms {
            line(&mut out, format_args!("asks    to be called again in {next} ms"));
        }
        line(
            &mut out,
            format_args!(
                "took    {} of {}, {} of CPU",
                span(self.took_us),
                span(self.timeout_ms * 1000),
                span(self.cpu_us)
            ),
        );
        line(
            &mut out,
            format_args!("memory  {} at most, of {}", bytes(self.memory), bytes(memory)),
        );
        line(
            &mut out,
            format_args!(
                "loaded  in {} ms, {}, sha256 {}",
                self.load_ms,
                bytes(self.size),
                self.sha256
            ),
        );
        self.render_calls(&mut out, paint);
        let rows = self
            .log
            .iter()
            .map(|line| vec![Cell::plain(line.level), Cell::plain(&line.message)]);
        table(&mut out, &["LOG", "LINE"], rows.collect(), paint);
        let rows = self
            .metrics
            .iter()
            .map(|one| vec![Cell::plain(&one.name), Cell::plain(one.value)]);
        table(&mut out, &["METRIC", "VALUE"], rows.collect(), paint);
        if !self.missing_grants.is_empty() {
            line(
                &mut out,
                format_args!("\nDenied. To allow it, add to the block of the check or hook:"),
            );
            for grant in &self.missing_grants {
                let inside = grant.trim_start_matches("grant { ").trim_end_matches(" }");
                line(&mut out, format_args!("  {grant}      here: --grant '{inside}'"));
            }
        }
        out
    }

    fn render_calls(&self, out: &mut String, paint: Paint) {
        let rows = self.calls.iter().map(|call| {
            let result = match (&call.denied, &call.result) {
                (Some(_), _) => Cell("denied".into(), Some(Colour::Bad)),
                (None, result) => Cell::plain(result.as_deref().unwrap_or("-")),
            };
            vec![
                Cell::plain(&call.function),
                Cell::plain(span(call.took_us)),
                Cell::plain(if call.arguments.is_empty() {
                    "-"
                } else {
                    &call.arguments
                }),
                result,
            ]
        });
        table(
            out,
            &["HOST CALL", "TOOK", "ARGUMENTS", "RESULT"],
            rows.collect(),
            paint,
        );
        if self.calls_left_out > 0 {
            line(out, format_args!("and {} further calls", self.calls_left_out));
        }
    }
}

fn host_call(call: HostCall) -> HostCallLine {
    HostCallLine {
        function: call.function,
        arguments: call.arguments,
        result: call.result,
        took_us: micros(call.took),
        denied: call.denied,
    }
}

fn metric(one: Measurement) -> MetricLine {
    let (name, labels) = one.series;
    let labels: Vec<_> = labels
        .iter()
        .map(|(key, value)| format!("{key}=\"{value}\""))
        .collect();
    MetricLine {
        name: match labels.as_slice() {
            [] => name,
            labels => format!("{name}{{{}}}", labels.join(",")),
        },
        value: match one.value {
            Value::Gauge(value) => value,
            Value::Count(count) => count as f64,
        },
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Pass => "pass",
        Status::Warn => "warn",
        Status::Fail => "fail",
    }
}

fn asks(verdict: &Verdict) -> (Option<i16>, Option<u64>) {
    (verdict.weight, verdict.next.map(|next| micros(next) / 1000))
}

fn failed(error: &CallError) -> (&'static str, Option<&'static str>, String) {
    ("error", Some(error.class.word()), error.message.clone())
}

fn level_word(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
