//! Telling one hook: in order, one at a time, again after a failure, never more than a bounded queue.

use std::collections::VecDeque;
use std::time::Duration;

use crate::config::notify::NotifyConfig;
use crate::ids::{RouterName, VrrpState};
use crate::plugin::call::{CallError, NotifyEvent};
use crate::status::NotifyStatus;
use crate::time::Instant;

/// Events that may wait; when full the oldest goes, because the newest state is what matters.
const QUEUE_MAX: usize = 64;
/// First wait before a retry; doubled each time.
const RETRY: Duration = Duration::from_secs(1);
/// No wait is longer.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// The worker has this long beyond the timeout to answer.
const ANSWER_SLACK: Duration = Duration::from_secs(1);

/// One hook and the events it has yet to be told.
#[derive(Clone, Debug)]
pub struct Hook {
    config: NotifyConfig,
    queue: VecDeque<NotifyEvent>,
    /// The first event of the queue is being delivered; counts as failed at this instant.
    in_flight: Option<Instant>,
    attempts: u32,
    next: Option<Instant>,
    delivered: u64,
    lost: u64,
    error: Option<String>,
}

impl Hook {
    /// A hook with nothing to tell.
    pub fn new(config: NotifyConfig) -> Self {
        Self {
            config,
            queue: VecDeque::new(),
            in_flight: None,
            attempts: 0,
            next: None,
            delivered: 0,
            lost: 0,
            error: None,
        }
    }

    /// The configuration it runs by.
    pub fn config(&self) -> &NotifyConfig {
        &self.config
    }

    /// Takes a new configuration; waiting events stay.
    pub fn reconfigure(&mut self, config: NotifyConfig) {
        self.config = config;
    }

    /// Whether it wants to know that this router entered this state.
    pub fn wants(&self, router: &RouterName, state: VrrpState) -> bool {
        let any = self.config.routers.is_empty();
        (any || self.config.routers.contains(router)) && self.config.states.contains(&state)
    }

    /// Queues an event.
    pub fn push(&mut self, event: NotifyEvent, now: Instant) {
        if self.queue.len() >= QUEUE_MAX {
            let oldest_waiting = usize::from(self.in_flight.is_some());
            self.queue.remove(oldest_waiting);
            self.lost += 1;
            if self.in_flight.is_none() {
                // Waiting and attempts were those of the event that went.
                self.attempts = 0;
                self.next = Some(now);
            }
        }
        self.queue.push_back(event);
        if self.in_flight.is_none() {
            self.next.get_or_insert(now);
        }
    }

    /// The event to deliver now.
    pub fn poll(&mut self, now: Instant) -> Option<NotifyEvent> {
        if self.in_flight.is_some_and(|limit| limit <= now) {
            self.failed("no answer in time".into(), now);
        }
        if self.in_flight.is_some() || self.next.is_none_or(|at| at > now) {
            return None;
        }
        let event = self.queue.front()?.clone();
        self.next = None;
        self.attempts += 1;
        self.in_flight = Some(now + self.config.timeout + ANSWER_SLACK);
        Some(event)
    }

    /// A delivery was answered. Another id is stale.
    pub fn on_notified(&mut self, id: u64, result: Result<(), CallError>, now: Instant) {
        if self.in_flight.is_none() || self.queue.front().is_none_or(|event| event.id != id) {
            return;
        }
        match result {
            Ok(()) => {
                self.delivered += 1;
                self.error = None;
                self.advance(now);
            }
            Err(error) => self.failed(format!("{}: {}", error.class.word(), error.message), now),
        }
    }

    /// The worker died: what it was delivering is delivered again.
    pub fn worker_died(&mut self, now: Instant) {
        if self.in_flight.is_some() {
            self.failed("the plugin worker ended".into(), now);
        }
    }

    /// When to ask again.
    pub fn deadline(&self) -> Option<Instant> {
        self.in_flight.or(self.next)
    }

    /// Whether everything was told or given up.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// What `status` shows.
    pub fn status(&self) -> NotifyStatus {
        NotifyStatus {
            name: self.config.name.to_string(),
            plugin: self.config.plugin.to_string(),
            delivered: self.delivered,
            lost: self.lost,
            queued: u64::try_from(self.queue.len()).unwrap_or(u64::MAX),
            error: self.error.clone(),
        }
    }

    fn failed(&mut self, why: String, now: Instant) {
        self.error = Some(why);
        if self.attempts > self.config.retry {
            self.lost += 1;
            self.advance(now);
            return;
        }
        self.in_flight = None;
        let doublings = self.attempts.saturating_sub(1).min(10);
        self.next = Some(now + RETRY.saturating_mul(1 << doublings).min(RETRY_MAX));
    }

    fn advance(&mut self, now: Instant) {
        self.queue.pop_front();
        self.in_flight = None;
        self.attempts = 0;
        self.next = (!self.queue.is_empty()).then_some(now);
    }
}
