//! What the hands may see when they look at a service.

use std::time::Duration;

use standfast_core::plugin::call::{CheckOutcome, Status};
use standfast_core::service::look::{Life, Look, Worker};

use super::config::ms;
use super::hands::{Says, error, verdict};

/// What a look finds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seen {
    Fine,
    NewWorkers,
    NoWorkers,
    NoAnswer,
    MainStopped,
    WorkersStopped,
    /// One of the two, so that the other one answers.
    WorkerStopped,
    Grave,
}

/// A look at an nginx with these workers, which answers.
pub(crate) fn look(workers: &[u32]) -> Look {
    let worker = |pid: &u32| Worker {
        pid: *pid,
        life: Life::Runs,
        leaving: false,
    };
    Look {
        master: Life::Runs,
        workers: workers.iter().map(worker).collect(),
        answer: Some(Ok("400 in 1 ms".into())),
        evidence: vec!["the last line of its error log".into()],
        grave: None,
    }
}

pub(crate) fn sight(seen: Seen) -> Look {
    let fine = look(&[501, 502]);
    match seen {
        Seen::Fine => fine,
        Seen::NewWorkers => look(&[601, 602]),
        Seen::NoWorkers => look(&[]),
        Seen::NoAnswer => Look {
            answer: Some(Err("connected, no answer within 1 s".into())),
            ..fine
        },
        Seen::MainStopped => Look {
            master: Life::Stopped,
            ..fine
        },
        Seen::WorkersStopped => {
            let mut stopped = fine;
            for worker in &mut stopped.workers {
                worker.life = Life::Stopped;
            }
            stopped.answer = Some(Err("connected, no answer within 1 s".into()));
            stopped
        }
        Seen::WorkerStopped => {
            let mut stopped = fine;
            for worker in stopped.workers.iter_mut().take(1) {
                worker.life = Life::Stopped;
            }
            stopped
        }
        Seen::Grave => Look {
            grave: Some("[emerg] unknown directive".into()),
            ..fine
        },
    }
}

/// What a scripted check answers, and when.
pub(super) fn outcome(says: Says) -> Option<(Duration, CheckOutcome)> {
    match says {
        Says::Pass => Some((ms(2), verdict(Status::Pass))),
        Says::Warn => Some((ms(2), verdict(Status::Warn))),
        Says::Fail => Some((ms(2), verdict(Status::Fail))),
        Says::Error(class) => Some((ms(2), Err(error(class)))),
        Says::Hangs => None,
        Says::Exactly(outcome) => Some((ms(2), outcome)),
        Says::PassesAfter(millis) => Some((ms(millis), verdict(Status::Pass))),
    }
}
