//! The packet filters of all routers: wished for, and made by nft on a thread of its own, so that no takeover and no
//! release waits for another program but the one that needs it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::net::filter::{self, NftError};
use crate::net::filter_wishes::{Addresses, Wanted, Wishes};
use crate::net::ledger::Ledger;

/// What is there, what is wished for, and the thread. Known to be there is what nft has made in this life.
#[derive(Debug)]
pub(crate) struct Filters {
    scripts: Sender<String>,
    ended: Receiver<Result<(), NftError>>,
    there: BTreeMap<String, Addresses>,
    wishes: Wishes,
    under_way: Option<Run>,
    /// nft did not answer: it is left alone until then.
    rest: Option<Instant>,
    /// Why the last wish for a table failed.
    faults: BTreeMap<String, String>,
    /// An outcome may be another one than it was.
    news: bool,
}

/// What nft does now.
#[derive(Debug)]
struct Run {
    wishes: BTreeMap<String, Wanted>,
    /// If it has not ended by then, not even killing it has helped.
    limit: Instant,
    stuck: bool,
}

impl Filters {
    /// Starts the thread; `run` is what it does with a script.
    ///
    /// # Errors
    /// A thread is not to be had.
    pub(crate) fn start(run: impl Fn(&str) -> Result<(), NftError> + Send + 'static) -> io::Result<Self> {
        let (scripts, orders) = channel::<String>();
        let (told, ended) = channel();
        let thread = thread::Builder::new().name("nft".into()).stack_size(STACK);
        thread.spawn(move || orders.iter().all(|script| told.send(run(&script)).is_ok()))?;
        Ok(Self {
            scripts,
            ended,
            there: BTreeMap::new(),
            wishes: Wishes::default(),
            under_way: None,
            rest: None,
            faults: BTreeMap::new(),
            news: false,
        })
    }

    /// A table must be there before something else is done. `true`: it is; `false`: see `outcome`.
    ///
    /// # Errors
    /// nft does not answer these days.
    pub(crate) fn require(
        &mut self,
        table: &str,
        addresses: &Addresses,
        now: Instant,
    ) -> Result<bool, String> {
        self.wishes.remove(table);
        self.faults.remove(table);
        if self.is_there(table, addresses) {
            return Ok(true);
        }
        if let Some(refusal) = self.refusal(now) {
            return Err(refusal);
        }
        let wanted = Some(addresses.clone());
        if !self.comes(table, &wanted) {
            self.wishes.push_soon(table, wanted);
        }
        Ok(false)
    }

    /// What became of a table that was required; `None`: it is not known yet.
    pub(crate) fn outcome(
        &self,
        table: &str,
        addresses: &Addresses,
        now: Instant,
    ) -> Option<Result<(), String>> {
        if self.is_there(table, addresses) {
            return Some(Ok(()));
        }
        if let Some(error) = self.faults.get(table).cloned().or_else(|| self.refusal(now)) {
            return Some(Err(error));
        }
        let wish = self.wishes.get(table);
        let wanted = wish.or_else(|| self.under_way.as_ref()?.wishes.get(table));
        let comes = wanted.and_then(Option::as_ref) == Some(addresses);
        (!comes).then(|| Err("its packet filter is not wanted any more".into()))
    }

    /// A table is to be there, or made anew, when there is time.
    pub(crate) fn wish(&mut self, table: &str, addresses: Addresses) {
        self.want(table, Some(addresses));
    }

    /// A table is to go.
    pub(crate) fn remove(&mut self, table: &str, ledger: &Ledger) {
        self.news |= self.wishes.remove(table);
        if ledger.filters().contains(table) {
            self.want(table, None);
        }
    }

    /// No table but these is to be there.
    pub(crate) fn keep(&mut self, needed: &BTreeSet<String>, ledger: &Ledger) {
        self.wishes.keep(needed);
        self.news = true;
        for table in ledger.filters().difference(needed) {
            self.want(table, None);
        }
    }

    /// Takes note of what nft has done, and has it do the next thing. `true`: outcomes may be others than they were.
    pub(crate) fn poll(&mut self, ledger: &mut Ledger, now: Instant) -> bool {
        if let Ok(result) = self.ended.try_recv()
            && let Some(run) = self.under_way.take()
        {
            self.end(run, &result, ledger, now);
        }
        if let Some(run) = self.under_way.as_mut().filter(|run| run.limit <= now) {
            self.news |= !mem::replace(&mut run.stuck, true);
        }
        self.rest = self.rest.filter(|until| *until > now);
        if self.under_way.is_none() && self.rest.is_none() {
            self.begin(ledger, now);
        }
        mem::take(&mut self.news)
    }

    /// When to poll again; `None`: there is nothing to do.
    pub(crate) fn pause(&self, now: Instant) -> Option<Duration> {
        match (&self.under_way, self.rest) {
            (Some(run), _) if run.stuck => Some(PAUSE_OF_STUCK),
            (Some(_), _) => Some(PAUSE),
            (None, Some(until)) => Some(until.saturating_duration_since(now).max(PAUSE)),
            (None, None) => (!self.wishes.is_empty()).then_some(PAUSE),
        }
    }

    /// Waits until all is done, or nft does not answer. `false`: it does not.
    pub(crate) fn finish(&mut self, ledger: &mut Ledger) -> bool {
        loop {
            let now = Instant::now();
            self.poll(ledger, now);
            if self.under_way.is_none() && self.wishes.is_empty() {
                return true;
            }
            if self.refusal(now).is_some() {
                return false;
            }
            thread::sleep(PAUSE);
        }
    }

    fn is_there(&self, table: &str, addresses: &Addresses) -> bool {
        self.there.get(table) == Some(addresses)
    }

    /// Why nothing can be asked of nft now.
    fn refusal(&self, now: Instant) -> Option<String> {
        let resting = self.rest.is_some_and(|until| until > now);
        let stuck = self.under_way.as_ref().is_some_and(|run| run.stuck);
        (resting || stuck).then(|| "nft does not answer; it is tried again in some seconds".into())
    }

    /// The last wish for a table counts.
    fn want(&mut self, table: &str, wanted: Wanted) {
        if self.comes(table, &wanted) {
            self.wishes.remove(table);
        } else {
            self.wishes.push_later(table, wanted);
        }
    }

    /// Whether nft is about it.
    fn comes(&self, table: &str, wanted: &Wanted) -> bool {
        let under_way = self.under_way.as_ref().and_then(|run| run.wishes.get(table));
        under_way == Some(wanted)
    }

    fn begin(&mut self, ledger: &mut Ledger, now: Instant) {
        let wishes = self.wishes.pop();
        if wishes.is_empty() {
            return;
        }
        let mut script = String::new();
        for (table, wish) in &wishes {
            // Neither what was nor what will be: the run may be cut short.
            if self.there.get(table) != wish.as_ref() {
                self.there.remove(table);
            }
            match wish {
                Some(addresses) => {
                    ledger.add_filter(table);
                    script += &filter::ruleset(table, addresses);
                }
                None => script += &filter::removal(table),
            }
        }
        // The thread ends with us only.
        let _ = self.scripts.send(script);
        let limit = now + filter::PATIENCE + GRACE;
        self.under_way = Some(Run {
            wishes,
            limit,
            stuck: false,
        });
    }

    fn end(&mut self, run: Run, result: &Result<(), NftError>, ledger: &mut Ledger, now: Instant) {
        self.news = true;
        if let Err(error) = result {
            tracing::warn!(table = run.wishes.keys().next(), "{error}");
        }
        if matches!(result, Err(NftError::Hung)) {
            self.rest = Some(now + REST);
        }
        for (table, wish) in run.wishes {
            let newer = self.wishes.get(&table).is_some();
            match (result, wish) {
                (Ok(()), Some(addresses)) => {
                    self.faults.remove(&table);
                    self.there.insert(table, addresses);
                }
                (Ok(()), None) => ledger.forget_filter(&table),
                (Err(NftError::Hung), wish) if !newer => self.want(&table, wish),
                (Err(error), Some(_)) if !newer => {
                    self.faults.insert(table, error.to_string());
                }
                (Err(_), _) => {}
            }
        }
    }
}

const STACK: usize = 256 * 1024;
/// nft that did not answer in time will not do so in the next moment.
const REST: Duration = Duration::from_secs(10);
/// To kill it.
const GRACE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(2);
const PAUSE_OF_STUCK: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Filters over an nft that ends when and as it is told.
    struct Scene {
        filters: Filters,
        ledger: Ledger,
        scripts: Receiver<String>,
        end: Sender<Result<(), NftError>>,
        now: Instant,
    }

    impl Scene {
        fn new() -> Self {
            let (told, scripts) = channel();
            let (end, orders) = channel();
            let nft = move |script: &str| {
                told.send(script.to_owned()).unwrap();
                orders.recv().unwrap_or(Ok(()))
            };
            Self {
                filters: Filters::start(nft).unwrap(),
                // One that is kept nowhere.
                ledger: Ledger::open(Path::new("/nowhere")),
                scripts,
                end,
                now: Instant::now(),
            }
        }

        fn poll(&mut self) {
            self.filters.poll(&mut self.ledger, self.now);
        }

        /// What nft is doing, once it does.
        fn script(&mut self) -> String {
            self.poll();
            self.scripts.recv_timeout(Duration::from_secs(10)).unwrap()
        }

        fn end(&mut self, result: Result<(), NftError>) {
            self.end.send(result).unwrap();
            let limit = Instant::now() + Duration::from_secs(10);
            while !self.filters.poll(&mut self.ledger, self.now) {
                assert!(Instant::now() < limit, "it ended");
                thread::sleep(PAUSE);
            }
        }

        fn require(&mut self, table: &str) -> Result<bool, String> {
            self.filters.require(table, &addresses(), self.now)
        }

        fn outcome(&self, table: &str) -> Option<Result<(), String>> {
            self.filters.outcome(table, &addresses(), self.now)
        }
    }

    fn addresses() -> Addresses {
        vec![([192, 0, 2, 10].into(), "eth1".parse().unwrap())]
    }

    #[test]
    fn what_is_waited_for_comes_first_and_is_made_once() {
        let mut scene = Scene::new();
        for table in ["standfast-A", "standfast-B", "standfast-C"] {
            scene.filters.wish(table, addresses());
        }
        assert!(scene.script().contains("table inet standfast-A {"));
        assert_eq!(scene.require("standfast-C"), Ok(false));
        assert_eq!(scene.require("standfast-A"), Ok(false), "it is being made");
        assert_eq!(scene.outcome("standfast-A"), None);
        scene.end(Ok(()));
        assert_eq!(scene.outcome("standfast-A"), Some(Ok(())));
        assert!(scene.script().contains("table inet standfast-C {"));
        scene.end(Err(NftError::Refused("no".into())));
        assert_eq!(scene.outcome("standfast-C"), Some(Err("no".into())));
        assert!(scene.script().contains("table inet standfast-B {"));
        scene.end(Ok(()));
        assert_eq!(scene.filters.pause(scene.now), None, "nothing is left");
    }

    #[test]
    fn one_that_hangs_is_left_alone_for_a_while_and_then_asked_again() {
        let mut scene = Scene::new();
        assert_eq!(scene.require("standfast-A"), Ok(false));
        scene.script();
        assert_eq!(scene.require("standfast-B"), Ok(false));
        scene.end(Err(NftError::Hung));
        for table in ["standfast-A", "standfast-B"] {
            assert!(scene.outcome(table).unwrap().is_err(), "{table}");
            assert!(scene.require(table).is_err(), "{table}");
        }
        scene.filters.wish("standfast-C", addresses());
        scene.poll();
        assert!(scene.scripts.try_recv().is_err(), "it is left alone");
        assert!(!scene.filters.finish(&mut scene.ledger));
        scene.now += REST;
        assert!(scene.script().contains("table inet standfast-C {"));
        scene.end(Ok(()));
        assert_eq!(scene.require("standfast-A"), Ok(false));
    }

    #[test]
    fn one_that_cannot_even_be_killed_lets_nobody_wait() {
        let mut scene = Scene::new();
        assert_eq!(scene.require("standfast-A"), Ok(false));
        scene.script();
        scene.now += filter::PATIENCE + GRACE;
        assert!(scene.filters.poll(&mut scene.ledger, scene.now));
        assert!(scene.outcome("standfast-A").unwrap().is_err());
        assert!(scene.require("standfast-B").is_err());
        scene.end(Ok(()));
        assert_eq!(scene.require("standfast-A"), Ok(true));
    }

    #[test]
    fn tables_go_together_and_one_that_goes_is_not_there() {
        let mut scene = Scene::new();
        for table in ["standfast-A", "standfast-B"] {
            scene.filters.wish(table, addresses());
            scene.script();
            scene.end(Ok(()));
        }
        let needed = BTreeSet::new();
        scene.filters.keep(&needed, &scene.ledger);
        let script = scene.script();
        assert!(script.contains("delete table inet standfast-A") && script.contains("standfast-B"));
        assert_eq!(scene.require("standfast-A"), Ok(false));
        scene.end(Ok(()));
        assert!(scene.script().contains("table inet standfast-A {"));
        assert_eq!(scene.ledger.filters().len(), 1, "the other one is gone");
        // Wished away before it was begun: whoever waits for it is told.
        assert_eq!(scene.require("standfast-B"), Ok(false));
        scene.filters.remove("standfast-B", &scene.ledger);
        assert!(scene.outcome("standfast-B").unwrap().is_err());
    }
}
