//! What an operator asks of a service: refused with the next step, or done.

use crate::command::Command;
use crate::control::ServiceAction;
use crate::engine::Engine;
use crate::ids::ServiceName;
use crate::time::Instant;

impl Engine {
    pub(super) fn on_operate(
        &mut self,
        service: &ServiceName,
        action: ServiceAction,
        ticket: u64,
        now: Instant,
    ) {
        let refusal = if !self.services.contains_key(service) {
            Some(format!(
                "no service is called {service}; `standfast status` lists them"
            ))
        } else if self.is_leaving() && action != ServiceAction::Stop {
            Some("standfast is being stopped".to_owned())
        } else {
            None
        };
        match refusal {
            Some(why) => self.commands.push_back(Command::Answer {
                ticket,
                result: Err(why),
            }),
            None => self.with_service(service, now, |machine, out| {
                machine.operate(action, ticket, now, out);
            }),
        }
    }
}
