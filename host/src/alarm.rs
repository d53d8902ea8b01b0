//! The daemon's one alarm clock: a timer on CLOCK_BOOTTIME, which goes on while the machine sleeps.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use standfast_core::time::Instant;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::readable::readable;

/// What the clock says now; the only place that asks.
pub(crate) fn now() -> Instant {
    // A kernel without this clock has no timer on it either: `Alarm::new` says so.
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).map_or_else(
        |_| Instant::default(),
        |time| Instant::default() + Duration::from(time),
    )
}

/// Rings once at the time it is set to.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: AsyncFd<Timer>,
    armed: Option<Instant>,
}

impl Alarm {
    /// A clock that is not set.
    ///
    /// # Errors
    /// The kernel gave no timer, or the runtime has no reactor.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer = Timer(TimerFd::new(ClockId::CLOCK_BOOTTIME, flags)?);
        Ok(Self {
            timer: readable(timer)?,
            armed: None,
        })
    }

    /// Rings at `deadline` instead of whenever it was set to before; `None`: not at all.
    ///
    /// A deadline in the past rings at once. Setting what is set already costs nothing.
    ///
    /// # Errors
    /// The kernel refused the time.
    pub(crate) fn set(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        if deadline == self.armed {
            return Ok(());
        }
        let timer = &self.timer.get_ref().0;
        match deadline {
            // Zero would switch the timer off.
            Some(at) => timer.set(
                Expiration::OneShot(TimeSpec::from(Duration::from_nanos(at.as_nanos().max(1)))),
                TimerSetTimeFlags::TFD_TIMER_ABSTIME,
            )?,
            None => timer.unset()?,
        }
        self.armed = deadline;
        Ok(())
    }

    /// Waits until it rings; for ever, if it is not set. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The timer cannot be read, which a timer always can.
    pub(crate) async fn ring(&mut self) -> io::Result<()> {
        self.timer
            .async_io(Interest::READABLE, |timer| Ok(timer.0.wait()?))
            .await?;
        self.armed = None;
        Ok(())
    }
}

/// `TimerFd` lends its descriptor only by `AsFd`.
#[derive(Debug)]
struct Timer(TimerFd);

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl From<Timer> for OwnedFd {
    fn from(timer: Timer) -> Self {
        timer.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn rings_within(alarm: &mut Alarm, limit: Duration) -> bool {
        tokio::time::timeout(limit, alarm.ring()).await.is_ok()
    }

    #[tokio::test(flavor = "current_thread")]
    async fn it_rings_once_and_not_before_its_time() {
        let mut alarm = Alarm::new().unwrap();
        let deadline = now() + Duration::from_millis(20);
        alarm.set(Some(deadline)).unwrap();
        alarm.ring().await.unwrap();
        assert!(now() >= deadline);
        assert!(!rings_within(&mut alarm, Duration::from_millis(20)).await);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_past_rings_at_once_even_the_first_instant() {
        let mut alarm = Alarm::new().unwrap();
        for past in [Instant::default(), now()] {
            alarm.set(Some(past)).unwrap();
            assert!(rings_within(&mut alarm, Duration::from_millis(200)).await);
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn setting_it_again_forgets_a_ring_that_nobody_heard() {
        let mut alarm = Alarm::new().unwrap();
        alarm.set(Some(now())).unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        alarm.set(Some(now() + Duration::from_secs(3600))).unwrap();
        assert!(!rings_within(&mut alarm, Duration::from_millis(20)).await);
        alarm.set(Some(Instant::from_nanos(u64::MAX))).unwrap();
        assert!(!rings_within(&mut alarm, Duration::from_millis(20)).await);
        alarm.set(None).unwrap();
        assert!(!rings_within(&mut alarm, Duration::from_millis(20)).await);
    }
}
