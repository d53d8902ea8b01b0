//! What hooks can be told of: subjects, the words for their states, and which of them a hook listens to.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{CheckName, GroupName, RouterName, ServiceName, VrrpState};

/// Who changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Subject {
    /// A virtual router.
    Router(RouterName),
    /// A sync group.
    Group(GroupName),
    /// A check.
    Check(CheckName),
    /// A service.
    Service(ServiceName),
    /// The daemon itself.
    Daemon,
}

impl Subject {
    /// Whether it ends with the daemon, and at once.
    pub(crate) const fn ends_with_daemon(&self) -> bool {
        matches!(self, Self::Router(_) | Self::Group(_) | Self::Daemon)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Router(name) => write!(f, "vrrp {name}"),
            Self::Group(name) => write!(f, "sync-group {name}"),
            Self::Check(name) => write!(f, "check {name}"),
            Self::Service(name) => write!(f, "service {name}"),
            Self::Daemon => f.write_str("daemon"),
        }
    }
}

/// A state of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Its word, in configurations and in what hooks are told.
    pub word: &'static str,
    /// The VRRP state that stands for it. Master only where addresses are held: a hook that moves a cloud address must
    /// not do so because a check came up.
    pub like: VrrpState,
}

impl State {
    /// A check passes, a service does its work.
    pub const UP: Self = state("up", VrrpState::Backup);
    /// A check fails.
    pub const DOWN: Self = state("down", VrrpState::Fault);
    /// A check without a verdict so far.
    pub const UNKNOWN: Self = state("init", VrrpState::Init);
    /// A service that is not ready yet.
    pub const STARTING: Self = state("starting", VrrpState::Init);
    /// A service that ended, or could not be started, and will be started again.
    pub const FAILED: Self = state("failed", VrrpState::Fault);
    /// A service that cannot be started: its configuration is refused, or its program is missing.
    pub const BROKEN: Self = state("broken", VrrpState::Fault);
    /// A service whose restarts are used up.
    pub const GAVE_UP: Self = state("gave-up", VrrpState::Fault);
    /// A service that is asked to end.
    pub const STOPPING: Self = state("stopping", VrrpState::Stopped);
    /// A router or service that is stopped.
    pub const STOPPED: Self = state("stopped", VrrpState::Stopped);
    /// The daemon begins.
    pub const START: Self = state("start", VrrpState::Backup);
    /// It took a new configuration.
    pub const RELOAD: Self = state("reload", VrrpState::Backup);
    /// It refused one.
    pub const REFUSED: Self = state("refused", VrrpState::Backup);
    /// It ends.
    pub const STOP: Self = state("stop", VrrpState::Stopped);

    /// Of a router or a group.
    pub const fn router(now: VrrpState) -> Self {
        let word = match now {
            VrrpState::Init => "init",
            VrrpState::Backup => "backup",
            VrrpState::Master => "master",
            VrrpState::Fault => "fault",
            VrrpState::Stopped => "stopped",
        };
        state(word, now)
    }

    /// Of a check that is good, bad, or not known.
    pub const fn check(good: Option<bool>) -> Self {
        match good {
            Some(true) => Self::UP,
            Some(false) => Self::DOWN,
            None => Self::UNKNOWN,
        }
    }
}

const fn state(word: &'static str, like: VrrpState) -> State {
    State { word, like }
}

/// Whom an `on` line is about; `None`: all of the kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// Virtual routers.
    Router(Option<RouterName>),
    /// Sync groups.
    Group(Option<GroupName>),
    /// Checks.
    Check(Option<CheckName>),
    /// Services.
    Service(Option<ServiceName>),
    /// The daemon.
    Daemon,
}

/// One `on` line: whom it is about, and the states whose entry is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Whom it is about.
    pub about: About,
    /// The states.
    pub states: Vec<State>,
}

impl Topic {
    /// Whether it is about this subject.
    pub fn covers(&self, subject: &Subject) -> bool {
        match (&self.about, subject) {
            (About::Router(only), Subject::Router(name)) => is_it(only.as_ref(), name),
            (About::Group(only), Subject::Group(name)) => is_it(only.as_ref(), name),
            (About::Check(only), Subject::Check(name)) => is_it(only.as_ref(), name),
            (About::Service(only), Subject::Service(name)) => is_it(only.as_ref(), name),
            (About::Daemon, Subject::Daemon) => true,
            (_, _) => false,
        }
    }

    /// Whether it wants to know that this subject entered this state.
    pub fn wants(&self, subject: &Subject, state: State) -> bool {
        self.states.contains(&state) && self.covers(subject)
    }
}

fn is_it<N: PartialEq>(only: Option<&N>, name: &N) -> bool {
    only.is_none_or(|only| only == name)
}

/// Words of routers and groups.
pub(crate) const ROUTER: &[(&str, State)] = &[
    ("master", State::router(VrrpState::Master)),
    ("backup", State::router(VrrpState::Backup)),
    ("fault", State::router(VrrpState::Fault)),
    ("init", State::router(VrrpState::Init)),
    ("stopped", State::STOPPED),
];
/// Words of checks.
pub(crate) const CHECK: &[(&str, State)] = &[("up", State::UP), ("down", State::DOWN)];
/// Words of services.
pub(crate) const SERVICE: &[(&str, State)] = &[
    ("starting", State::STARTING),
    ("up", State::UP),
    ("failed", State::FAILED),
    ("broken", State::BROKEN),
    ("gave-up", State::GAVE_UP),
    ("stopping", State::STOPPING),
    ("stopped", State::STOPPED),
];
/// Words of the daemon.
pub(crate) const DAEMON: &[(&str, State)] = &[
    ("start", State::START),
    ("reload", State::RELOAD),
    ("refused", State::REFUSED),
    ("stop", State::STOP),
];
