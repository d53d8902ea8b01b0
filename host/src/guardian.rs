//! The guardian: `standfast run` itself. It starts the brain, starts it again when it was killed or is stuck, so that
//! it carries on before anybody has missed it, and says goodbye for it when that is of no use.
//!
//! One thread, no memory that grows, no foreign byte: all that it reads are signals, and what the brain says. It must
//! stay one thread: the brain dies with the thread that has started it.

mod brain;
mod farewell;
mod to_systemd;

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::ExitCode;
use std::thread::sleep;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use standfast_core::guarding::bond::{Birth, Death, ToGuardian};
use standfast_core::guarding::{End, Guard, Next, TICK};

use crate::alarm::now;
use crate::guardian::brain::Brain;
use crate::guardian::farewell::Farewell;
use crate::guardian::to_systemd::ToSystemd;
use crate::status_code::Code;
use crate::{log, realtime};

/// Those that the brain listens to are passed on. The others would end us, and nobody listens to them.
const PASSED_ON: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];
const IGNORED: [Signal; 2] = [Signal::SIGUSR1, Signal::SIGUSR2];
/// Ticks between two words to systemd's watchdog: a brain that we bear is alive, and one that we do not bear is killed.
const TICKS_PER_PING: u32 = 5;
/// Messages read before anything else is looked at.
const MESSAGES_PER_TURN: usize = 1024;

struct Guardian<'a> {
    runtime_dir: &'a Path,
    /// The file that is executed.
    program: File,
    guard: Guard,
    farewell: Farewell,
    to_systemd: Option<ToSystemd>,
    /// How the last life ended.
    death: Option<Death>,
    /// Asked for before the brain had an ear for it.
    held: Option<Signal>,
    ticks: u32,
}

/// Runs until the brain ends as it should, or cannot be kept alive; with the code that it ended with.
pub(crate) fn run(runtime_dir: &Path) -> ExitCode {
    let failed = |error: io::Error| {
        eprintln!("standfast: {error}; standfast needs /proc");
        ExitCode::from(Code::Environment)
    };
    let program = match File::open("/proc/self/exe") {
        Ok(program) => program,
        Err(error) => return failed(error),
    };
    let guardian = Guardian {
        runtime_dir,
        program,
        guard: Guard::default(),
        farewell: Farewell::default(),
        to_systemd: ToSystemd::find(),
        death: None,
        held: None,
        ticks: 0,
    };
    match guardian.run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => failed(error),
    }
}

impl Guardian<'_> {
    fn run(mut self) -> io::Result<u8> {
        let heard: SigSet = PASSED_ON.into_iter().chain(IGNORED).collect();
        heard.thread_block()?;
        let signals = SignalFd::with_flags(&heard, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let mut brain = self.start();
        // All else has time while the brain begins.
        log::start_here();
        realtime::watch_over();
        let ticker = ticker()?;
        loop {
            let Some(alive) = &brain else {
                match self.on_end(End::Killed(0)) {
                    Some(code) => return Ok(code),
                    None => brain = self.start(),
                }
                continue;
            };
            let ready = |fd| PollFd::new(fd, PollFlags::POLLIN);
            let mut waited = [
                ready(signals.as_fd()),
                ready(ticker.as_fd()),
                ready(alive.ended()),
                ready(alive.speaks()),
            ];
            match poll(&mut waited, PollTimeout::NONE) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            let ticked = waited.get(1).and_then(PollFd::any).unwrap_or(false);
            // First what the brain has said, however late we look at it.
            self.listen(alive);
            while let Ok(Some(signal)) = signals.read_signal() {
                self.on_signal(i32::try_from(signal.ssi_signo).unwrap_or_default(), alive);
            }
            if ticked {
                // However many have passed, it was one look.
                let _ = ticker.wait();
                self.on_tick(alive);
            }
            if let Some(end) = alive.collect() {
                self.listen(alive);
                if let Some(code) = self.on_end(end) {
                    return Ok(code);
                }
                brain = self.start();
            }
        }
    }

    fn start(&mut self) -> Option<Brain> {
        let birth = Birth {
            guardian: std::process::id(),
            restarts: self.guard.restarts(),
            death: self.death.clone(),
        };
        self.guard.on_start();
        match Brain::start(&self.program, &birth) {
            Ok(brain) => Some(brain),
            Err(error) => {
                tracing::error!("the brain cannot be started: {error}");
                None
            }
        }
    }

    fn listen(&mut self, brain: &Brain) {
        for _ in 0..MESSAGES_PER_TURN {
            match brain.hear() {
                None => return,
                Some(ToGuardian::Beat) => {
                    let held = self.guard.on_beat().then(|| self.held.take()).flatten();
                    if let Some(signal) = held {
                        brain.signal(signal);
                    }
                }
                Some(ToGuardian::Ending) => self.guard.on_ending(),
                Some(ToGuardian::Patience(ticks)) => self.guard.on_patience(ticks),
                Some(ToGuardian::Systemd(text)) => {
                    if let Some(systemd) = &mut self.to_systemd {
                        systemd.pass(text);
                    }
                }
                Some(other) => self.farewell.learn(other),
            }
        }
    }

    fn on_signal(&mut self, number: i32, brain: &Brain) {
        let Ok(signal) = Signal::try_from(number) else {
            return;
        };
        if !PASSED_ON.contains(&signal) {
            return;
        }
        let stop = signal != Signal::SIGHUP;
        if stop {
            self.guard.on_stop();
        }
        if self.guard.may_hear(stop) {
            brain.signal(signal);
        } else if stop || self.held.is_none() {
            self.held = Some(signal);
        }
    }

    fn on_tick(&mut self, brain: &Brain) {
        if let Some(systemd) = &mut self.to_systemd {
            systemd.flush();
        }
        self.ticks = self.ticks.wrapping_add(1);
        if self.guard.on_tick() {
            brain.signal(Signal::SIGKILL);
        } else if let Some(systemd) = &mut self.to_systemd
            && self.ticks.is_multiple_of(TICKS_PER_PING)
        {
            systemd.pass("WATCHDOG=1".to_owned());
        }
    }

    /// A life has ended. `Some`: so does ours, with this code.
    fn on_end(&mut self, end: End) -> Option<u8> {
        let at = now();
        let how = self.guard.describe(end);
        let code = match self.guard.on_end(end, at) {
            Next::Start { after } => {
                tracing::warn!("the brain was {how}; it is started again");
                self.death = Some(Death { how, at });
                sleep(after);
                return None;
            }
            Next::Leave(Some(code)) => {
                if !self.farewell.is_empty() {
                    self.farewell.say(self.runtime_dir);
                }
                code
            }
            Next::Leave(None) => {
                tracing::error!("the brain was {how}; given up");
                self.farewell.say(self.runtime_dir);
                Code::Runtime as u8
            }
        };
        Some(code)
    }
}

/// Rings each tick, by a clock that stands still while the machine sleeps.
fn ticker() -> io::Result<TimerFd> {
    let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
    let every = Expiration::Interval(TimeSpec::from(TICK));
    timer.set(every, TimerSetTimeFlags::empty())?;
    Ok(timer)
}
