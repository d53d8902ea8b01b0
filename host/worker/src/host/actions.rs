//! `actions`: the daemon runs them, this program may not.

use standfast_core::ids::ActionName;
use standfast_core::plugin::call::ActionError;

use crate::bindings::standfast::plugin::actions::{Error, Host, Outcome};
use crate::grants::Want;
use crate::session::Session;

/// Actions that one call may ask for: each is a process of the daemon's.
const ASKS_MAX: u32 = 16;
/// Most arguments that any `action` block can allow.
const ARGS_MAX: usize = 16;
/// Longest of them, bytes; the daemon allows no longer one either.
const ARG_MAX: usize = 256;

impl Host for Session {
    async fn run(&mut self, action: String, args: Vec<String>) -> Result<Outcome, Error> {
        let scope = &mut self.scope;
        if !scope.allows(Want::Action(&action)) {
            return Err(Error::Denied);
        }
        if args.len() > ARGS_MAX || args.iter().any(|arg| arg.len() > ARG_MAX) {
            scope.subject.tally().deny();
            return Err(Error::Denied);
        }
        let (Some(user), Ok(action)) = (scope.subject.user().cloned(), action.parse::<ActionName>()) else {
            return Err(Error::Denied);
        };
        if scope.asked >= ASKS_MAX {
            return Err(Error::Spawn(format!("a call may ask for {ASKS_MAX} actions")));
        }
        scope.asked += 1;
        let outcome = scope.shared.desk.ask(user, action, args, scope.reach).await;
        if matches!(outcome, Err(ActionError::Denied)) {
            scope.subject.tally().deny();
        }
        let outcome = outcome?;
        Ok(Outcome {
            exit_code: outcome.code,
            signal: outcome.signal,
            stdout: outcome.stdout,
            stderr: outcome.stderr,
        })
    }
}

impl From<ActionError> for Error {
    fn from(error: ActionError) -> Self {
        match error {
            ActionError::Denied => Self::Denied,
            ActionError::Unknown => Self::UnknownAction,
            ActionError::Timeout => Self::Timeout,
            ActionError::Spawn(why) => Self::Spawn(why),
        }
    }
}
