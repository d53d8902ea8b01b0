//! An event as a mail. Pure.

use std::time::{Duration, UNIX_EPOCH};

use crate::exports::standfast::plugin::notify::{Event, Subject};
use crate::standfast::plugin::types::VrrpState;

/// The subject unless written.
pub(crate) const SUBJECT: &str = "[{node}] {name}: {from} to {to}";

/// The template with each `{word}` replaced; the error says which words are known.
pub(crate) fn subject(template: &str, event: &Event) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        let odd = || format!("`subject` {template:?}: known are {{{}}}", WORDS.join("}, {"));
        let (word, after) = behind.split_once('}').ok_or_else(odd)?;
        filled.push_str(before);
        filled.push_str(&meaning(word, event).ok_or_else(odd)?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// One fact a line, all that the event has.
pub(crate) fn body(event: &Event) -> String {
    let at = UNIX_EPOCH + Duration::from_millis(event.at_ms);
    let time = humantime::format_rfc3339_millis(at).to_string();
    let known = WORDS
        .iter()
        .filter_map(|word| Some((*word, meaning(word, event)?)));
    let known = known.filter(|(_, value)| !value.is_empty());
    let facts = [
        ("time".to_owned(), time),
        ("event".to_owned(), event.id.to_string()),
    ];
    let known = known.map(|(word, value)| (word.to_owned(), value));
    let others = event
        .attrs
        .iter()
        .filter(|(key, _)| !WORDS.contains(&key.as_str()));
    let lines = known.chain(facts).chain(others.cloned());
    lines.map(|(key, value)| format!("{key}: {value}\n")).collect()
}

fn meaning(word: &str, event: &Event) -> Option<String> {
    let (kind, name) = match &event.subject {
        Subject::Instance(name) => ("vrrp", name.as_str()),
        Subject::Group(name) => ("group", name.as_str()),
        Subject::Check(name) => ("check", name.as_str()),
        Subject::Service(name) => ("service", name.as_str()),
        Subject::Daemon => ("daemon", "standfast"),
    };
    let attr = || {
        event
            .attrs
            .iter()
            .find(|(key, _)| key == word)
            .map(|(_, value)| value.clone())
    };
    match word {
        "node" | "cause" => Some(attr().unwrap_or_default()),
        "kind" => Some(kind.to_owned()),
        "name" => Some(name.to_owned()),
        "from" => Some(attr().unwrap_or_else(|| state(event.was).to_owned())),
        "to" => Some(attr().unwrap_or_else(|| state(event.now).to_owned())),
        "priority" => Some(event.priority.to_string()),
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

const WORDS: &[&str] = &["node", "kind", "name", "from", "to", "priority", "cause"];

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event {
            id: 7,
            subject: Subject::Instance("VI_1".into()),
            was: VrrpState::Backup,
            now: VrrpState::Master,
            priority: 150,
            at_ms: 1_000_000_000_123,
            attrs: vec![
                ("node".into(), "lb01".into()),
                ("cause".into(), "peer is silent".into()),
                ("replay".into(), "true".into()),
            ],
        }
    }

    #[test]
    fn a_subject_says_who_and_what() {
        assert_eq!(
            subject(SUBJECT, &event()).unwrap(),
            "[lb01] VI_1: BACKUP to MASTER"
        );
        let short = "{kind} {cause} {priority}";
        assert_eq!(subject(short, &event()).unwrap(), "vrrp peer is silent 150");
        assert!(subject("{state}", &event()).unwrap_err().contains("{name}"));
        assert!(subject("{name", &event()).is_err());
    }

    #[test]
    fn a_text_has_every_fact_once() {
        let text = "node: lb01\nkind: vrrp\nname: VI_1\nfrom: BACKUP\nto: MASTER\npriority: 150\n\
                    cause: peer is silent\ntime: 2001-09-09T01:46:40.123Z\nevent: 7\nreplay: true\n";
        assert_eq!(body(&event()), text);
    }
}
