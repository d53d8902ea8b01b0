//! From text to KDL nodes: every syntax fault at its place, in the words of this project.

use kdl::{KdlDiagnostic, KdlNode};

use crate::config::error::Faults;
use crate::config::split::split;
use crate::config::words::short;

/// The top-level nodes, each with the offset its spans count from; `None` after a fault.
pub(crate) fn nodes(text: &str, faults: &Faults) -> Option<Vec<(usize, KdlNode)>> {
    let mut nodes = Vec::new();
    let pieces = split(text, faults);
    for (base, piece) in pieces {
        match KdlNode::parse(piece) {
            Ok(node) => nodes.push((base, node)),
            Err(error) => {
                // The braces are known to match here: that one is missing is only the echo of another fault.
                let echo = |diagnostic: &&KdlDiagnostic| diagnostic.label.as_deref() == Some("not closed");
                let (echoes, real): (Vec<_>, Vec<_>) = error.diagnostics.iter().partition(echo);
                for diagnostic in if real.is_empty() { &echoes } else { &real } {
                    report(diagnostic, base, piece, faults);
                }
                if error.diagnostics.is_empty() {
                    faults.add((base, 1).into(), "this is not KDL 2", HELP);
                }
            }
        }
    }
    faults.is_empty().then_some(nodes)
}

fn report(diagnostic: &KdlDiagnostic, base: usize, piece: &str, faults: &Faults) {
    let start = piece.floor_char_boundary(diagnostic.span.offset());
    // Spans may take in the space before a token.
    let start = start + (piece[start..].len() - piece[start..].trim_start().len());
    let token = piece[start..]
        .split([' ', '\t', '\r', '\n', ';', '{', '}', '"', '='])
        .next()
        .unwrap_or_default();
    let span = (base + start, token.len().max(1)).into();
    match mend(token) {
        Some((message, help)) => faults.add(span, message, help),
        None => {
            let message = diagnostic
                .message
                .as_deref()
                .unwrap_or("This does not belong here");
            faults.add(span, lower(message), diagnostic.help.as_deref().unwrap_or(HELP));
        }
    }
}

/// The slips that people make.
fn mend(token: &str) -> Option<(String, String)> {
    let shown = short(token);
    if matches!(token, "true" | "false" | "null") {
        return Some((format!("`{shown}` has no #"), format!("write #{shown}")));
    }
    let number = token.starts_with(|c: char| c.is_ascii_digit());
    let path =
        token.starts_with('/') && token.len() > 1 && !token.starts_with("/-") && !token.starts_with("/*");
    if number && token.ends_with(|c: char| c.is_ascii_alphabetic()) || path {
        return Some(("this needs quotes".into(), format!("write \"{shown}\"")));
    }
    if number && token.contains(['.', ':', '/']) {
        return Some(("this needs quotes".into(), format!("write \"{shown}\"")));
    }
    None
}

/// As messages begin here.
fn lower(message: &str) -> String {
    let mut chars = message.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

const HELP: &str = "a line is `word value value name=value`; texts with other signs than letters stand in quotes (https://kdl.dev)";
