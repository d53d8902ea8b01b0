//! Text from plugins and files, made fit for one log line.

/// Longest line that leaves the worker, bytes.
pub(crate) const LINE_MAX: usize = 512;

/// One line: control characters replaced, cut at [`LINE_MAX`] bytes on a character's border.
pub(crate) fn line(text: &str) -> String {
    let text = text.trim_end();
    let mut line = String::with_capacity(text.len().min(LINE_MAX));
    for character in text.chars() {
        let character = if character.is_control() { ' ' } else { character };
        if line.len() + character.len_utf8() > LINE_MAX {
            break;
        }
        line.push(character);
    }
    line
}

/// A KDL string in quotes.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Bytes as an operator would write them in a `grant` block.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    UNITS
        .iter()
        .find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit))
        .map_or_else(
            || format!("{bytes} B"),
            |(unit, name)| format!("{} {name}", bytes / unit),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_on_a_character_border_and_has_no_control_characters() {
        let long = line(&"ü".repeat(400));
        assert_eq!(long.len(), 512);
        assert_eq!(line("a\u{1b}[2J\tb\n"), "a [2J b");
    }

    #[test]
    fn sizes_are_written_as_in_a_grant() {
        assert_eq!(size(64 << 20), "64 MiB");
        assert_eq!(size(1000), "1000 B");
    }
}
