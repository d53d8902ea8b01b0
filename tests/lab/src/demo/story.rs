//! One scene: a cast, a fault, what must come of it, and what did.

use std::time::{Duration, Instant};

use super::cast::Stage;
use super::live::Live;
use crate::error::{Error, Result};
use crate::pair::Seen;
use crate::probe::record::Report;
use crate::say;

/// One line of the story.
pub(super) struct Scene {
    /// The fault.
    pub(super) title: &'static str,
    /// What we do, said before it is done.
    pub(super) action: &'static str,
    /// What must come of it.
    pub(super) expected: &'static str,
    /// Sets the stage: `lb01` is master.
    pub(super) cast: fn() -> Result<Stage>,
    /// Strikes, waits for what must come, and says what else was seen.
    pub(super) act: fn(&mut Stage) -> Result<Vec<String>>,
    /// The longest silence (ICMP, HTTP) that is as expected.
    pub(super) bounds: (Duration, Duration),
}

/// What came of a scene.
#[derive(Default)]
pub(super) struct Verdict {
    pub(super) good: bool,
    pub(super) fault: Option<Error>,
    /// Who had the VIP, in order: `lb01 → lb02`.
    pub(super) path: String,
    pub(super) seen: Seen,
    pub(super) notes: Vec<String>,
}

impl Scene {
    /// Plays it in a world of its own.
    pub(super) fn play(&self) -> Verdict {
        let mut verdict = Verdict::default();
        if let Err(error) = self.try_play(&mut verdict) {
            verdict.fault = Some(error);
        }
        verdict.good = verdict.fault.is_none();
        verdict
    }

    fn try_play(&self, verdict: &mut Verdict) -> Result<()> {
        if say::lively() {
            say::part("  both nodes start …\r");
        }
        let mut stage = (self.cast)()?;
        let before = stage.owner();
        verdict.path.clone_from(&before);
        let client = stage.client()?;
        say::line(&format!("  VIP at {before}; {}", self.action));
        let live = Live::start(&stage, &client);
        let start = Instant::now();
        let outcome = (self.act)(&mut stage).and_then(|notes| {
            client.wait_answers(Duration::from_secs(10))?;
            Ok(notes)
        });
        drop(live);
        verdict.path = path(before, &stage, start);
        verdict.seen = client.since(start)?;
        verdict.notes = outcome?;
        within("ICMP", &verdict.seen.icmp, self.bounds.0)?;
        within("HTTP", &verdict.seen.http, self.bounds.1)
    }
}

impl Verdict {
    /// `ICMP 12 (longest silence 13 ms), HTTP 14 (15 ms)`.
    pub(super) fn missed(&self) -> String {
        let Seen { icmp, http } = &self.seen;
        format!(
            "ICMP {} of {} (longest silence {:.0} ms), HTTP {} of {} ({:.0} ms)",
            icmp.missed,
            icmp.sent,
            icmp.silence_ms(),
            http.missed,
            http.sent,
            http.silence_ms()
        )
    }
}

/// Every node that got the VIP since `start`, after the one that had it.
fn path(before: String, stage: &Stage, start: Instant) -> String {
    let came = stage
        .world()
        .owners
        .since(start)
        .into_iter()
        .filter(|change| change.came);
    let mut names = vec![before];
    names.extend(came.map(|change| change.node));
    names.join(" → ")
}

/// A cell of the summary.
pub(super) fn cost(report: &Report) -> String {
    format!("{} ({:.0} ms)", report.missed, report.silence_ms())
}

fn within(what: &str, report: &Report, bound: Duration) -> Result<()> {
    if report.silence <= bound {
        Ok(())
    } else {
        Err(Error::new(format!(
            "{what} was silent for {:.0} ms, at most {} ms expected",
            report.silence_ms(),
            bound.as_millis()
        )))
    }
}
