//! Blanks secrets in a configuration text before it is shown; it must work on text that does not parse.

/// The text with every value of a secret word (`auth pass=…`, `password …`, `key …`) replaced by stars, byte for byte, so
/// that spans still fit. What stands in the block of such a word is secret too, but for `key` at the beginning of a line.
pub(crate) fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut secret = false;
    let mut assigned = false;
    // Braces that are open since a secret word, and whether a line has just begun.
    let (mut depth, mut begun) = (0_usize, false);
    while let Some(first) = rest.chars().next() {
        let token = token(rest);
        let (this, next) = rest.split_at(token);
        let is_key = || next.trim_start_matches([' ', '\t']).starts_with('=');
        match first {
            '\n' | ';' | '{' | '}' => {
                let opens = first == '{' && (secret || depth > 0);
                depth = depth.saturating_sub(usize::from(first == '}')) + usize::from(opens);
                secret = depth > 0;
                begun = true;
            }
            _ if secret && (this == "hmac" || begun && this == "key") => begun = false,
            _ if secret && is_value(first) && (assigned || !is_key()) => {
                (assigned, begun) = (false, false);
                out.extend(this.bytes().map(|byte| if byte == b'\n' { '\n' } else { '*' }));
                rest = next;
                continue;
            }
            _ if is_word(first) && names_secret(this) => secret = true,
            _ => {}
        }
        assigned = first == '=' || assigned && first.is_whitespace();
        out.push_str(this);
        rest = next;
    }
    out
}

/// Length in bytes of the first string, word or single character; never 0 for a text that is not empty.
fn token(text: &str) -> usize {
    let first = text.chars().next().map_or(1, char::len_utf8);
    if let Some(lines) = text.strip_prefix("\"\"\"") {
        return lines.find("\"\"\"").map_or(text.len(), |end| end + 6);
    }
    if text.starts_with('"') {
        return quoted(text);
    }
    if text.starts_with('#') || text.chars().next().is_some_and(is_word) {
        // A raw string counts as a word up to the end of its line: too much blanked is better than too little.
        let raw = text.starts_with("#\"") || text.starts_with("##");
        let end = |c: char| c == '\n' || (!raw && !is_word(c));
        return text[first..]
            .find(end)
            .map_or(text.len(), |length| first + length);
    }
    first
}

/// Length of a string in quotes; one that is not closed ends with its line.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\n' => return at,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn is_word(c: char) -> bool {
    !c.is_whitespace() && !"\"#=;{}()/\\".contains(c)
}

fn is_value(c: char) -> bool {
    c == '"' || c == '#' || is_word(c)
}

fn names_secret(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    ["auth", "pass", "secret", "token", "key"]
        .iter()
        .any(|part| word.contains(part))
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn secrets_are_blanked_and_spans_still_fit() {
        for (text, shown) in [
            (
                r#"auth pass="123456"; version 2"#,
                r#"auth pass=********; version 2"#,
            ),
            ("auth pass = geheim\nx 1", "auth pass = ******\nx 1"),
            ("auth_pass 123456\n", "auth_pass ******\n"),
            (
                "auth hmac mode=enforce {\n  key 1 file=\"/k\"; key 2\n  \"k\" key\n}\nversion 3",
                "auth hmac mode=******* {\n  key * file=****; key *\n  *** ***\n}\nversion 3",
            ),
            (r#"auth "a\"b" "c"#, r#"auth ****** **"#),
            ("auth pass=#\"a;b\"#\nx", "auth pass=*******\nx"),
            (
                r#"config { url "u"; api-key "k" }"#,
                r#"config { url "u"; api-key *** }"#,
            ),
            (
                "password \"\"\"\n  a\n  \"\"\"\nb c",
                "password ***\n***\n*****\nb c",
            ),
        ] {
            assert_eq!(redact(text), shown);
            assert_eq!(redact(text).len(), text.len());
        }
    }
}
