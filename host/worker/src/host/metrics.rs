//! `metrics`: numbers for the operator, so many series as are granted.

use standfast_core::plugin::call::Value;

use crate::bindings::standfast::plugin::metrics::Host;
use crate::grants::Want;
use crate::session::Session;

impl Host for Session {
    fn gauge(&mut self, name: String, value: f64, labels: Vec<(String, String)>) {
        self.measure(name, labels, Value::Gauge(value));
    }

    fn count(&mut self, name: String, by: u64, labels: Vec<(String, String)>) {
        self.measure(name, labels, Value::Count(by));
    }
}

impl Session {
    fn measure(&self, name: String, labels: Vec<(String, String)>, value: Value) {
        let most = self.scope.facts.grants.metrics;
        let subject = &self.scope.subject;
        let noted = subject.tally().note(name, labels, value, most);
        if !noted {
            subject.deny(Want::Metrics(most));
        }
    }
}
