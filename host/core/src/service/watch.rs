//! What the looks at a service that is up come to: fine, stopped, hung, without workers, losing its workers (N6-N8, N15).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::config::service::{ServiceConfig, ServiceKind};
use crate::service::look::{Life, Look};
use crate::service::machine::listed;
use crate::time::Instant;

/// Between two looks while something is in doubt.
const DOUBT: Duration = Duration::from_millis(250);
/// Between two looks when there is no probe.
const CENSUS: Duration = Duration::from_secs(2);
/// Between two looks when nginx has no worker: it makes one in milliseconds, or never.
const EMPTY: Duration = Duration::from_millis(100);
/// After a worker has died.
const NUDGED: Duration = Duration::from_millis(50);
/// A look that has not come back so long after its probe's time is asked for again.
const LOST: Duration = Duration::from_secs(5);
/// A process that is stopped for so long is not waited for any more (N6).
const STOPPED: Duration = Duration::from_secs(5);
/// Failures in a row where there is no probe to say how many.
const FALL: u32 = 3;
/// More deaths than this within `CHURN.1` are told of.
const CHURN: (usize, Duration) = (5, Duration::from_secs(10));
/// More deaths than this within `WEAK.1`, and another node should serve.
const WEAK: (usize, Duration) = (20, Duration::from_secs(60));
/// More generations of old workers than this are told of.
const GENERATIONS: usize = 3;

/// What a look comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Nothing to be done.
    Fine,
    /// Something of it is stopped: tell it to go on.
    Stopped(String),
    /// It does not serve: end it and start it again.
    Hung(String),
    /// Some of its workers stay stopped though told to go on: end those alone.
    Deaf(String),
    /// Its workers serve, its main process is lost: end that one alone.
    Headless(String),
}

/// The looks at one life of a service.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    /// When to look next, or when the look under way is given up.
    next: Option<Instant>,
    /// A look is under way.
    looking: bool,
    /// Probes that failed in a row.
    fails: u32,
    /// It had no worker at the last look.
    empty: bool,
    /// Since when its main process is stopped.
    stopped: Option<Instant>,
    /// Since when which worker is stopped.
    still: BTreeMap<u32, Instant>,
    /// It was told to go on, and nothing was well since.
    continued: bool,
    /// Workers that take connections.
    workers: BTreeSet<u32>,
    /// Old workers by the reload that replaced them.
    old: Vec<BTreeSet<u32>>,
    deaths: VecDeque<Instant>,
    /// An operator was told that workers die.
    told_of_churn: bool,
    /// An operator was told that old workers stay.
    told_of_old: bool,
    answer: Option<Result<String, String>>,
}

impl Watch {
    /// It has just become ready.
    pub(super) fn begin(now: Instant) -> Self {
        Self {
            next: Some(now),
            ..Self::default()
        }
    }

    /// When `due` may be true.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// Whether it is time to look; if so, a look is under way from now on.
    pub(super) fn due(&mut self, config: &ServiceConfig, now: Instant) -> bool {
        if self.next.is_none_or(|at| at > now) {
            return false;
        }
        let patience = config
            .probe
            .as_ref()
            .map_or(Duration::ZERO, |probe| probe.timeout);
        // One that has not come back is no good sign: /proc of a process that waits for the kernel blocks, too (N22).
        self.fails += u32::from(self.looking);
        self.looking = true;
        self.next = Some(now + patience + LOST);
        true
    }

    /// So many looks in a row have not come back.
    pub(super) fn is_blind(&self, config: &ServiceConfig) -> bool {
        self.looking && self.fails >= fall(config)
    }

    /// Something may have happened: looks soon.
    pub(super) fn nudge(&mut self, now: Instant) {
        if !self.looking {
            self.next = self.next.map(|at| at.min(now + NUDGED));
        }
    }

    /// Workers that take connections, as seen last.
    pub(super) fn workers(&self) -> &BTreeSet<u32> {
        &self.workers
    }

    /// Old workers that still end their connections.
    pub(super) fn old_workers(&self) -> usize {
        self.old.iter().map(BTreeSet::len).sum()
    }

    /// Something failed at the last look.
    pub(super) fn is_failing(&self) -> bool {
        self.fails > 0
    }

    /// What the last probe came to.
    pub(super) fn answer(&self) -> Option<&Result<String, String>> {
        self.answer.as_ref()
    }

    /// Takes a look at one that is not ready yet.
    pub(super) fn note(&mut self, look: &Look) {
        self.answer.clone_from(&look.answer);
    }

    /// Why another node should serve, if it should (N8).
    pub(super) fn weak(&self, now: Instant) -> Option<String> {
        let (most, within) = WEAK;
        let dead = self.dead_within(within, now);
        (dead > most).then(|| format!("{dead} workers died within {} s", within.as_secs()))
    }

    /// When `weak` changes by time alone.
    pub(super) fn recovers_at(&self, now: Instant) -> Option<Instant> {
        self.weak(now)?;
        let last = self.deaths.len().checked_sub(WEAK.0 + 1)?;
        self.deaths.get(last).map(|at| *at + WEAK.1)
    }

    /// Takes a look; `replaced`: its workers are being replaced by a reload of ours. Lines for the record go to `say`.
    pub(super) fn on_look(
        &mut self,
        look: &Look,
        config: &ServiceConfig,
        replaced: bool,
        now: Instant,
        say: &mut Vec<(String, bool)>,
    ) -> Finding {
        self.looking = false;
        if config.kind == ServiceKind::Nginx {
            self.count(look, replaced, now, say);
        }
        let finding = self.judge(look, config, now);
        let doubt = finding != Finding::Fine || self.fails > 0 || self.stopped.is_some() || self.continued;
        let usual = config.probe.as_ref().map_or(CENSUS, |probe| probe.interval);
        let wait = match (self.empty, doubt || replaced) {
            (true, _) => EMPTY,
            (false, true) => DOUBT.min(usual),
            (false, false) => usual,
        };
        self.next = Some(now + if replaced { NUDGED } else { wait });
        finding
    }

    fn judge(&mut self, look: &Look, config: &ServiceConfig, now: Instant) -> Finding {
        let stopped: Vec<_> = look
            .workers
            .iter()
            .filter(|worker| worker.life == Life::Stopped && !worker.leaving)
            .map(|worker| worker.pid)
            .collect();
        self.still.retain(|pid, _| stopped.contains(pid));
        for pid in &stopped {
            self.still.entry(*pid).or_insert(now);
        }
        let all_stopped = !stopped.is_empty() && stopped.len() == self.workers.len();
        self.answer.clone_from(&look.answer);
        let failure = match &look.answer {
            Some(Err(why)) => Some(why.clone()),
            Some(Ok(_)) => None,
            None if all_stopped => Some("all its workers are stopped".to_owned()),
            None => None,
        };
        self.fails = if failure.is_some() {
            self.fails.saturating_add(1)
        } else {
            0
        };
        let none = config.kind == ServiceKind::Nginx && self.workers.is_empty();
        let still_none = std::mem::replace(&mut self.empty, none);
        if none && still_none {
            return Finding::Hung("it has no worker".into());
        }
        if look.master == Life::Stopped {
            let since = *self.stopped.get_or_insert(now);
            if now.since(since) >= STOPPED {
                return Finding::Headless("its main process is stopped, and does not go on when told".into());
            }
        } else {
            self.stopped = None;
        }
        if let Some(why) = failure
            && self.fails >= fall(config)
        {
            return Finding::Hung(format!("it does not answer: {why}"));
        }
        let deaf = self
            .still
            .iter()
            .filter(|(_, since)| now.since(**since) >= STOPPED);
        let deaf: Vec<_> = deaf.map(|(pid, _)| *pid).collect();
        if !deaf.is_empty() {
            self.still.clear();
            let line = format!(
                "worker {} is stopped, and does not go on when told: it is ended",
                listed(&deaf)
            );
            return Finding::Deaf(line);
        }
        let what = match (look.master, stopped.as_slice()) {
            (Life::Stopped, _) => "its main process".to_owned(),
            (_, []) => {
                self.continued &= self.fails > 0;
                return Finding::Fine;
            }
            (_, workers) => format!("worker {}", listed(workers)),
        };
        if std::mem::replace(&mut self.continued, true) {
            return Finding::Fine;
        }
        Finding::Stopped(format!("{what} was stopped (SIGSTOP), and is told to go on"))
    }

    /// Counts workers that died, and reloads whose old workers stay.
    fn count(&mut self, look: &Look, replaced: bool, now: Instant, say: &mut Vec<(String, bool)>) {
        let of = |leaving: bool| -> BTreeSet<u32> {
            let alive = look.workers.iter().filter(|worker| worker.life != Life::Dead);
            alive
                .filter(|worker| worker.leaving == leaving)
                .map(|worker| worker.pid)
                .collect()
        };
        let (leaving, serving) = (of(true), of(false));
        let gone: BTreeSet<_> = self.workers.difference(&serving).copied().collect();
        let left: BTreeSet<_> = gone.intersection(&leaving).copied().collect();
        // All of them gone at once is a reload by somebody else, whose old workers may have ended already.
        let reload =
            replaced || !left.is_empty() || gone.len() > 1 && gone == self.workers && !serving.is_empty();
        if !reload {
            self.deaths.extend(gone.iter().map(|_| now));
            while self.deaths.len() > 2 * WEAK.0 {
                self.deaths.pop_front();
            }
        }
        for generation in &mut self.old {
            generation.retain(|pid| leaving.contains(pid));
        }
        if !left.is_empty() {
            self.old.push(left);
        }
        self.old.retain(|generation| !generation.is_empty());
        self.workers = serving;
        let many = self.old.len() > GENERATIONS;
        if many && !self.told_of_old {
            let (old, generations) = (self.old_workers(), self.old.len());
            let line = format!(
                "{old} old workers of {generations} reloads still serve their connections; `worker_shutdown_timeout` in nginx.conf bounds that"
            );
            say.push((line, true));
        }
        self.told_of_old = many;
        let (most, within) = CHURN;
        let dead = self.dead_within(within, now);
        if dead > most && !self.told_of_churn {
            let line = format!(
                "degraded: {dead} workers died within {} s; see its error log",
                within.as_secs()
            );
            say.push((line, true));
            self.told_of_churn = true;
        }
        self.told_of_churn &= self.dead_within(WEAK.1, now) > 0;
    }

    fn dead_within(&self, within: Duration, now: Instant) -> usize {
        self.deaths.iter().filter(|at| **at + within > now).count()
    }
}

/// So many failures in a row, and it hangs.
fn fall(config: &ServiceConfig) -> u32 {
    config.probe.as_ref().map_or(FALL, |probe| probe.fall)
}
