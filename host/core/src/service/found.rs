//! What follows from a look at a service that is up: go on, end it, take over from its workers (N6, N7).

use crate::service::action::{Action, Signal};
use crate::service::failure::Class;
use crate::service::look::Look;
use crate::service::machine::{Machine, Then};
use crate::service::watch::Finding;
use crate::time::Instant;

impl Machine {
    pub(super) fn on_finding(
        &mut self,
        pid: u32,
        finding: Finding,
        look: &Look,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let (why, signal) = match finding {
            Finding::Fine => return,
            Finding::Stopped(line) => {
                out.push(Action::Say(line, true));
                out.push(Action::Signal(pid, Signal::Continue));
                return;
            }
            Finding::Hung(why) => (why, Signal::Terminate),
            Finding::Headless(why) => (why, Signal::KillMain),
        };
        self.abandon_errand(&why, out);
        self.evidence.clone_from(&look.evidence);
        self.class = Some(Class::Transient);
        self.down_since.get_or_insert(now);
        out.push(Action::Say(format!("{why}; it is ended and started again"), true));
        self.cause = why;
        self.stop_process(pid, signal, Then::Fail, now, out);
    }
}
