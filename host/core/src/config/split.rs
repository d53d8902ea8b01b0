//! Cuts a configuration text into its top-level nodes, so that each is parsed by itself: a fault in one does not hide
//! those of the others, and no text can make the KDL parser recurse without end.

use miette::SourceSpan;

use crate::config::error::Faults;

/// The top-level nodes with the offset where each begins; what cannot be cut is a fault.
pub(crate) fn split<'a>(text: &'a str, faults: &Faults) -> Vec<(usize, &'a str)> {
    let mut cutter = Cutter {
        text,
        at: 0,
        start: 0,
        open: Vec::new(),
        dashes: 0,
        blank: true,
        bad: false,
        nodes: Vec::new(),
    };
    while cutter.at < text.len() {
        if let Err((span, message, help)) = cutter.step() {
            faults.add(span, message, help);
            if cutter.at >= text.len() || help == TOO_DEEP {
                return cutter.nodes;
            }
        }
    }
    match cutter.open.first() {
        Some(open) => faults.add(
            (*open, 1).into(),
            "this `{` is never closed",
            "add the missing `}`",
        ),
        None => cutter.cut(text.len()),
    }
    cutter.nodes
}

type Cut = Result<(), (SourceSpan, &'static str, &'static str)>;

struct Cutter<'a> {
    text: &'a str,
    at: usize,
    start: usize,
    /// Offsets of the braces that are open.
    open: Vec<usize>,
    /// `/-` in a row.
    dashes: usize,
    /// Nothing but space, comments and `/-` since `start`.
    blank: bool,
    /// A fault was found since `start`.
    bad: bool,
    nodes: Vec<(usize, &'a str)>,
}

impl<'a> Cutter<'a> {
    fn step(&mut self) -> Cut {
        let rest = &self.text[self.at..];
        let Some(first) = rest.chars().next() else {
            return Ok(());
        };
        match first {
            '/' if rest.starts_with("//") => self.at += rest.find(NEWLINES).unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => return self.comment(),
            '/' if rest.starts_with("/-") => return self.dash(),
            '\\' => self.at += continuation(rest),
            '"' => return self.string(rest, 0),
            '#' => {
                let hashes = rest.len() - rest.trim_start_matches('#').len();
                if rest[hashes..].starts_with('"') {
                    return self.string(rest, hashes);
                }
                self.solid(hashes);
            }
            '{' => return self.brace(),
            '}' => return self.unbrace(),
            _ if self.ends_node(first) => {
                self.cut(self.at);
                self.at += first.len_utf8();
                self.start = self.at;
            }
            _ if first.is_whitespace() || first == '\u{feff}' => self.at += first.len_utf8(),
            _ => self.solid(first.len_utf8()),
        }
        Ok(())
    }

    /// A line's end does not part `/-` from what it takes out.
    fn ends_node(&self, c: char) -> bool {
        self.open.is_empty() && (c == ';' || NEWLINES.contains(&c)) && !(self.dashes > 0 && self.blank)
    }

    /// Ends a node before `end`; one that `/-` takes out is left out.
    fn cut(&mut self, end: usize) {
        let node = &self.text[self.start..end];
        let dashed = node
            .trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
            .starts_with("/-");
        if !self.blank && !dashed && !self.bad {
            self.nodes.push((self.start, node));
        }
        self.blank = true;
        self.bad = false;
        self.dashes = 0;
    }

    fn solid(&mut self, length: usize) {
        self.at += length;
        self.blank = false;
        self.dashes = 0;
    }

    fn brace(&mut self) -> Cut {
        if self.open.len() >= MAX_DEPTH {
            return Err((
                (self.at, 1).into(),
                "braces within braces, too deep to read",
                TOO_DEEP,
            ));
        }
        self.open.push(self.at);
        self.solid(1);
        Ok(())
    }

    fn unbrace(&mut self) -> Cut {
        let span = (self.at, 1).into();
        let opened = self.open.pop().is_some();
        if opened {
            self.solid(1);
            return Ok(());
        }
        // What stands before it is a node of its own.
        self.cut(self.at);
        self.at += 1;
        self.start = self.at;
        Err((
            span,
            "this `}` closes nothing",
            "take it out, or add the missing `{`",
        ))
    }

    fn dash(&mut self) -> Cut {
        self.dashes += 1;
        self.at += 2;
        if self.dashes > MAX_DEPTH {
            return Err(((self.at - 2, 2).into(), "too many `/-` in a row", TOO_DEEP));
        }
        Ok(())
    }

    fn comment(&mut self) -> Cut {
        let start = self.at;
        let mut depth = 0;
        loop {
            let rest = &self.text[self.at..];
            if rest.starts_with("/*") {
                depth += 1;
                self.at += 2;
            } else if rest.starts_with("*/") {
                depth -= 1;
                self.at += 2;
            } else if let Some(c) = rest.chars().next() {
                self.at += c.len_utf8();
            } else {
                self.bad = true;
                return Err((
                    (start, 2).into(),
                    "this comment is never closed",
                    "add the missing `*/`",
                ));
            }
            if depth == 0 {
                return Ok(());
            }
            if depth > MAX_DEPTH {
                self.bad = true;
                return Err((
                    (start, 2).into(),
                    "comments within comments, too deep to read",
                    TOO_DEEP,
                ));
            }
        }
    }

    /// A string: quotes, or three of them over several lines; with hashes it is raw and knows no escapes.
    fn string(&mut self, rest: &'a str, hashes: usize) -> Cut {
        let start = self.at;
        let body = &rest[hashes..];
        let quotes = if body.starts_with("\"\"\"") { 3 } else { 1 };
        let close = format!("{}{}", "\"".repeat(quotes), "#".repeat(hashes));
        let mut escape = Escape::No;
        for (at, c) in body.char_indices().skip(quotes) {
            escape = match escape {
                Escape::Begun | Escape::Blank if c.is_whitespace() => Escape::Blank,
                Escape::Begun => Escape::Done,
                _ if c == '\\' && hashes == 0 => Escape::Begun,
                Escape::No | Escape::Done | Escape::Blank => Escape::No,
            };
            if !matches!(escape, Escape::No) {
                continue;
            }
            if NEWLINES.contains(&c) && quotes == 1 {
                self.solid(hashes + at);
                self.bad = true;
                return Err((
                    (start, hashes + at).into(),
                    "this text has no closing quote",
                    "add the missing `\"` in the same line",
                ));
            }
            if body[at..].starts_with(&close) {
                self.solid(hashes + at + close.len());
                return Ok(());
            }
        }
        self.solid(rest.len());
        self.bad = true;
        Err((
            (start, hashes + quotes).into(),
            "this text has no closing quote",
            "add the missing quote",
        ))
    }
}

/// Where a string stands behind a `\`; one before space swallows all of it, lines' ends too.
enum Escape {
    No,
    Begun,
    Done,
    Blank,
}

/// Length of a `\` that joins two lines, together with the line's end.
fn continuation(rest: &str) -> usize {
    let tail = rest[1..].trim_start_matches(|c: char| c.is_whitespace() && !NEWLINES.contains(&c));
    let blank = rest.len() - tail.len();
    let line = if tail.starts_with("//") {
        tail.find(NEWLINES)
    } else {
        Some(0)
    };
    let Some(line) = line else {
        return rest.len();
    };
    let end = &tail[line..];
    match end.chars().next() {
        _ if end.starts_with("\r\n") => blank + line + 2,
        Some(c) if NEWLINES.contains(&c) => blank + line + c.len_utf8(),
        _ => 1,
    }
}

/// What ends a line in KDL.
const NEWLINES: [char; 7] = ['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'];
/// Our grammar needs three.
const MAX_DEPTH: usize = 16;
const TOO_DEEP: &str = "a configuration needs no more than three; the rest of the file was not read";
