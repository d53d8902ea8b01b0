//! Text in columns, with colours only where asked for.

use std::fmt::Write;
use std::io::IsTerminal;

/// Whether to use colours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint(pub(super) bool);

/// What a colour says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Colour {
    Good,
    Quiet,
    Doubt,
    Bad,
}

/// One cell.
pub(super) struct Cell(pub(super) String, pub(super) Option<Colour>);

impl Cell {
    pub(super) fn plain(text: impl ToString) -> Self {
        Self(text.to_string(), None)
    }
}

/// Columns as wide as their widest cell; the last one is not padded.
pub(super) fn table(out: &mut String, head: &[&str], rows: Vec<Vec<Cell>>, paint: Paint) {
    if rows.is_empty() {
        return;
    }
    let width = |column: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.0.chars().count());
        cells
            .chain(head.get(column).map(|title| title.len()))
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<_> = (0..head.len()).map(width).collect();
    out.push('\n');
    let titles = head.iter().map(|title| Cell::plain(*title)).collect();
    for row in std::iter::once(titles).chain(rows) {
        let mut text = String::new();
        for (Cell(cell, colour), width) in row.into_iter().zip(&widths) {
            let padded = format!("{cell:<width$}");
            match colour {
                Some(colour) => text.push_str(&paint.word(&padded, colour)),
                None => text.push_str(&padded),
            }
            text.push_str("  ");
        }
        line(out, format_args!("{}", text.trim_end()));
    }
}

/// Adds a line.
pub(super) fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{text}");
}

impl Paint {
    /// Colours for a terminal, unless NO_COLOR is set.
    pub(super) fn of_stdout() -> Self {
        Self(std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none())
    }

    pub(super) fn word(self, text: &str, colour: Colour) -> String {
        if !self.0 {
            return text.to_owned();
        }
        let code = match colour {
            Colour::Good => 32,
            Colour::Quiet => 36,
            Colour::Doubt => 33,
            Colour::Bad => 31,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}
