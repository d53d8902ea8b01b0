//! `actions`: the daemon runs them, this program may not.

use standfast_core::ids::ActionName;
use standfast_core::plugin::call::ActionError;

use crate::bindings::standfast::plugin::actions::{Error, Host, Outcome};
use crate::grants::Want;
use crate::session::Session;

/// Most arguments that any `action` block can allow.
const ARGS_MAX: usize = 16;
/// Longest of them, bytes; the daemon allows no longer one either.
const ARG_MAX: usize = 256;

impl Host for Session {
    async fn run(&mut self, action: String, args: Vec<String>) -> Result<Outcome, Error> {
        let scope = &self.scope;
        if !scope.allows(Want::Action(&action)) {
            return Err(Error::Denied);
        }
        if args.len() > ARGS_MAX || args.iter().any(|arg| arg.len() > ARG_MAX) {
            return Err(Error::Denied);
        }
        let (Some(user), Ok(action)) = (scope.subject.user().cloned(), action.parse::<ActionName>()) else {
            return Err(Error::Denied);
        };
        let outcome = scope.shared.desk.ask(user, action, args, scope.reach).await?;
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
