//! Tests of a service's configuration: before a reload, and now and then while it is hopeless.

use crate::service::machine::{Action, Machine, Signal, State, broken};
use crate::time::Instant;

impl Machine {
    /// The configuration test has ended.
    pub fn on_tested(&mut self, result: Result<(), String>, now: Instant, out: &mut Vec<Action>) {
        let reloading = self.reloading.take().is_some();
        match (&self.state, result) {
            (State::Up { pid }, Ok(())) if reloading => {
                out.push(Action::Signal(*pid, Signal::Reload));
                let done = "configuration tested, reload signalled".to_owned();
                out.push(Action::Say(done.clone(), false));
                self.answer(Ok(done), out);
            }
            (State::Up { .. }, Err(why)) if reloading => {
                let refused = format!("reload refused, the old configuration serves on: {why}");
                out.push(Action::Say(refused.clone(), true));
                self.answer(Err(refused), out);
            }
            (State::Broken { testing: true, .. }, Ok(())) => {
                out.push(Action::Say("configuration test passes again".into(), false));
                self.restarts.forget();
                self.wait(now, "configuration test passes again", now);
            }
            (State::Broken { testing: true, .. }, Err(why)) => {
                self.cause = why;
                self.state = broken(now);
            }
            // Nobody waits for it any more.
            (_, Ok(()) | Err(_)) => {}
        }
    }
}
