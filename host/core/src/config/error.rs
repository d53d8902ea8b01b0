//! All faults of one configuration: what is wrong, where, and how to mend it.

use std::cell::RefCell;
use std::fmt;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode, SourceSpan};

use crate::config::redact::redact;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: String,
    labels: Vec<LabeledSpan>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl Diagnostic for Fault {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.help))
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

/// Why a text is not a configuration: every fault of it, in the order of the text. Secrets are blanked in the source it shows.
#[derive(Debug)]
pub struct ConfigErrors {
    source: NamedSource<String>,
    faults: Vec<Fault>,
    left_out: usize,
}

impl ConfigErrors {
    /// The faults, sorted by position; never empty.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// One line per fault, `file:line:column: message (help)`, for a log.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        let name = self.source.name();
        self.faults.iter().map(move |fault| {
            let Fault {
                line,
                column,
                message,
                help,
                ..
            } = fault;
            format!("{name}:{line}:{column}: {message} ({help})")
        })
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.source.name();
        match (self.faults.len(), self.left_out) {
            (1, 0) => write!(f, "{name} has one fault"),
            (shown, 0) => write!(f, "{name} has {shown} faults"),
            (shown, more) => write!(
                f,
                "{name} has {} faults, the first {shown} are shown",
                shown + more
            ),
        }
    }
}

impl std::error::Error for ConfigErrors {}

impl Diagnostic for ConfigErrors {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.faults.iter().map(|fault| fault as &dyn Diagnostic)))
    }
}

/// Where readers put what they find wrong. Shared, so that a reader can go on reading beside it.
#[derive(Default)]
pub(crate) struct Faults(RefCell<Vec<Found>>);

struct Found {
    span: SourceSpan,
    first: Option<SourceSpan>,
    message: String,
    help: String,
}

impl Faults {
    /// One fault.
    pub(crate) fn add(&self, span: SourceSpan, message: impl Into<String>, help: impl Into<String>) {
        self.push(span, None, message.into(), help.into());
    }

    /// A fault of the second of two places; both are shown.
    pub(crate) fn add_second(
        &self,
        span: SourceSpan,
        first: SourceSpan,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(span, Some(first), message.into(), help.into());
    }

    fn push(&self, span: SourceSpan, first: Option<SourceSpan>, message: String, help: String) {
        self.0.borrow_mut().push(Found {
            span,
            first,
            message,
            help,
        });
    }

    /// Whether nothing was wrong so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// All of them, with lines and columns.
    pub(crate) fn finish(self, name: &str, text: &str) -> ConfigErrors {
        let mut found = self.0.into_inner();
        found.sort_by_key(|fault| fault.span.offset());
        let left_out = found.len().saturating_sub(MAX_FAULTS);
        found.truncate(MAX_FAULTS);
        let lines = Lines::of(text);
        let faults = found
            .into_iter()
            .map(|fault| fault.placed(text, &lines))
            .collect();
        ConfigErrors {
            source: NamedSource::new(name, redact(text)),
            faults,
            left_out,
        }
    }
}

impl Found {
    fn placed(self, text: &str, lines: &Lines) -> Fault {
        let here = within(self.span, text);
        let (line, column) = lines.position(text, here.offset());
        let mut labels = vec![LabeledSpan::new_primary_with_span(Some("here".into()), here)];
        if let Some(first) = self.first {
            labels.push(LabeledSpan::new_with_span(
                Some("first here".into()),
                within(first, text),
            ));
        }
        Fault {
            line,
            column,
            message: self.message,
            help: self.help,
            labels,
        }
    }
}

/// The span cut down to what the text has, on character boundaries.
fn within(span: SourceSpan, text: &str) -> SourceSpan {
    let start = text.floor_char_boundary(span.offset());
    let end = text.floor_char_boundary(span.offset().saturating_add(span.len()));
    (start, end.saturating_sub(start)).into()
}

/// Offsets at which lines begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(
            std::iter::once(0)
                .chain(text.match_indices('\n').map(|(at, _)| at + 1))
                .collect(),
        )
    }

    fn position(&self, text: &str, offset: usize) -> (usize, usize) {
        let line = self.0.partition_point(|start| *start <= offset);
        let start = self.0.get(line.saturating_sub(1)).copied().unwrap_or(0);
        (line, text[start..offset].chars().count() + 1)
    }
}

/// Nobody reads more in one go.
const MAX_FAULTS: usize = 200;
