//! `config`: the settings of this check or hook.

use serde_json::{Map, Value};

use crate::bindings::standfast::plugin::config::Host;
use crate::session::Session;

impl Host for Session {
    fn get(&mut self, key: String) -> Option<String> {
        self.scope.facts.settings.get(&key)?.first().cloned()
    }

    fn get_all(&mut self, key: String) -> Vec<String> {
        self.scope.facts.settings.get(&key).cloned().unwrap_or_default()
    }

    fn keys(&mut self) -> Vec<String> {
        self.scope.facts.settings.keys().cloned().collect()
    }

    fn get_json(&mut self) -> String {
        let pairs = self.scope.facts.settings.iter().map(|(key, values)| {
            let value = match values.as_slice() {
                [one] => Value::from(one.clone()),
                several => Value::from(several.to_vec()),
            };
            (key.clone(), value)
        });
        Value::Object(pairs.collect::<Map<_, _>>()).to_string()
    }
}
