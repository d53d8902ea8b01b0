//! `context`: facts about this call.

use std::time::Instant;

use standfast_core::ids::VrrpState;
use standfast_core::plugin::call::Status;

use crate::bindings::standfast::plugin::context::Host;
use crate::bindings::standfast::plugin::types;
use crate::session::Session;

impl Host for Session {
    fn name(&mut self) -> String {
        self.scope.facts.name.clone()
    }

    fn run_number(&mut self) -> u64 {
        self.scope.facts.number
    }

    fn remaining_ms(&mut self) -> u32 {
        let left = self.scope.deadline.saturating_duration_since(Instant::now());
        u32::try_from(left.as_millis()).unwrap_or(u32::MAX)
    }

    fn previous(&mut self) -> Option<types::Status> {
        self.scope.facts.previous.map(Into::into)
    }

    fn instance_state(&mut self, instance: String) -> Option<types::VrrpState> {
        let mut routers = self.scope.facts.routers.iter();
        routers
            .find(|(name, _)| name.as_str() == instance)
            .map(|(_, state)| (*state).into())
    }
}

impl From<Status> for types::Status {
    fn from(status: Status) -> Self {
        match status {
            Status::Pass => Self::Pass,
            Status::Warn => Self::Warn,
            Status::Fail => Self::Fail,
        }
    }
}

impl From<types::Status> for Status {
    fn from(status: types::Status) -> Self {
        match status {
            types::Status::Pass => Self::Pass,
            types::Status::Warn => Self::Warn,
            types::Status::Fail => Self::Fail,
        }
    }
}

impl From<VrrpState> for types::VrrpState {
    fn from(state: VrrpState) -> Self {
        match state {
            VrrpState::Init => Self::Init,
            VrrpState::Backup => Self::Backup,
            VrrpState::Master => Self::Master,
            VrrpState::Fault => Self::Fault,
            VrrpState::Stopped => Self::Stopped,
        }
    }
}
