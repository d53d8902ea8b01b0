//! What the laboratory says: lines on standard output, complaints on standard error, colours on a terminal only.

use std::io::{IsTerminal, Write};

/// One line on standard output. A closed pipe is no reason to die in the middle of a world.
pub fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

/// Text without the end of a line.
pub fn part(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = write!(out, "{text}");
    let _ = out.flush();
}

/// One line on standard error.
pub fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "lab: {text}");
}

/// A heading.
pub fn heading(text: &str) {
    line(&format!("\n{}", paint("1", &format!("== {text}"))));
}

/// Whether standard output is a terminal that may be coloured and redrawn.
pub fn lively() -> bool {
    std::io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none()
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// `text` in a colour, by its SGR number.
pub fn paint(colour: &str, text: &str) -> String {
    if lively() {
        format!("\u{1b}[{colour}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

/// Green when good, red when bad.
pub fn verdict(good: bool, text: &str) -> String {
    paint(if good { "32" } else { "31" }, text)
}
