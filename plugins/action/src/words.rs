//! Words of an event, put into the words of a command. Pure.

use crate::exports::standfast::plugin::notify::{Event, Subject};
use crate::standfast::plugin::types::VrrpState;

/// The text with each `{word}` replaced; the error says which word is unknown.
pub(crate) fn fill(text: &str, event: &Event) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        let unclosed = || format!("`args` {text:?} has a {{ that is not closed");
        let (word, after) = behind.split_once('}').ok_or_else(unclosed)?;
        let unknown = || {
            format!(
                "`args` {text:?} has an unknown word; known are {{{}}}",
                WORDS.join("}, {")
            )
        };
        filled.push_str(before);
        filled.push_str(&meaning(word, event).ok_or_else(unknown)?);
        rest = after;
    }
    filled.push_str(rest);
    filled.truncate(filled.floor_char_boundary(WORD_MAX));
    Ok(filled)
}

/// The daemon takes no longer word; a cause may be.
const WORD_MAX: usize = 256;

fn meaning(word: &str, event: &Event) -> Option<String> {
    let (kind, name) = match &event.subject {
        Subject::Instance(name) => ("INSTANCE", name.as_str()),
        Subject::Group(name) => ("GROUP", name.as_str()),
        Subject::Check(name) => ("CHECK", name.as_str()),
        Subject::Service(name) => ("SERVICE", name.as_str()),
        Subject::Daemon => ("DAEMON", "daemon"),
    };
    let attr = || event.attrs.iter().find(|(key, _)| key == word);
    match word {
        "type" => Some(kind.to_owned()),
        "name" => Some(name.to_owned()),
        "was" => Some(state(event.was).to_owned()),
        "now" => Some(state(event.now).to_owned()),
        "priority" => Some(event.priority.to_string()),
        "id" => Some(event.id.to_string()),
        "from" | "to" | "node" | "cause" => Some(attr().map_or_else(String::new, |(_, value)| value.clone())),
        _ => None,
    }
}

fn state(state: VrrpState) -> &'static str {
    match state {
        VrrpState::Init => "INIT",
        VrrpState::Backup => "BACKUP",
        VrrpState::Master => "MASTER",
        VrrpState::Fault => "FAULT",
        VrrpState::Stopped => "STOPPED",
    }
}

const WORDS: &[&str] = &[
    "type", "name", "was", "now", "from", "to", "priority", "id", "node", "cause",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event {
            id: 7,
            subject: Subject::Service("nginx".into()),
            was: VrrpState::Backup,
            now: VrrpState::Fault,
            priority: 0,
            at_ms: 0,
            attrs: vec![
                ("to".into(), "gave-up".into()),
                ("cause".into(), "{name} {".into()),
            ],
        }
    }

    #[test]
    fn every_known_word_has_a_meaning() {
        for word in WORDS {
            assert!(meaning(word, &event()).is_some(), "{word}");
        }
        let filled = fill("{type}:{name} {was}>{now} {to} {priority} #{id}", &event());
        assert_eq!(filled.unwrap(), "SERVICE:nginx BACKUP>FAULT gave-up 0 #7");
        assert_eq!(fill("plain }", &event()).unwrap(), "plain }");
    }

    #[test]
    fn what_the_event_says_is_not_read_again() {
        assert_eq!(fill("{cause}{node}", &event()).unwrap(), "{name} {");
    }

    #[test]
    fn a_long_word_is_cut() {
        let long = Event {
            attrs: vec![("cause".into(), "ü".repeat(400))],
            ..event()
        };
        assert_eq!(fill("x{cause}", &long).unwrap().len(), 255);
    }

    #[test]
    fn unknown_words_are_told_with_those_that_are_known() {
        let why = fill("{state}", &event()).unwrap_err();
        assert!(why.contains("{now}"), "{why}");
        assert!(fill("{name", &event()).unwrap_err().contains("not closed"));
    }
}
