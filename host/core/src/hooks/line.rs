//! What one hook has yet to be told of one subject: in order, one event at a time, bounded.

use std::collections::VecDeque;
use std::time::Duration;

use crate::config::notify::RETRY;
use crate::plugin::call::NotifyEvent;
use crate::time::Instant;

/// Events of one subject that may wait; when full the oldest goes, because the newest state is what matters.
const QUEUE_MAX: usize = 16;
/// No wait is longer.
const RETRY_MAX: Duration = Duration::from_secs(30);

/// One subject's queue. Never empty while the hook keeps it.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    queue: VecDeque<NotifyEvent>,
    /// The first event is being delivered; counts as failed at this instant.
    in_flight: Option<Instant>,
    attempts: u32,
    /// The worker died during an attempt that did not count for it.
    interrupted: bool,
    next: Option<Instant>,
    /// It lost an event to its bound, and has told nothing since.
    pub(super) overfull: bool,
}

/// An event that leaves the queue, and how often it was tried.
pub(super) type Done = (NotifyEvent, u32);

impl Line {
    /// Queues an event; returns the one that made room for it.
    pub(super) fn push(&mut self, event: NotifyEvent, now: Instant) -> Option<NotifyEvent> {
        let mut gone = None;
        if self.queue.len() >= QUEUE_MAX {
            gone = self.queue.remove(usize::from(self.in_flight.is_some()));
            if self.in_flight.is_none() {
                // Attempts were those of the event that went; the wait is the receiver's, who is not to be stormed.
                self.attempts = 0;
                self.interrupted = false;
            }
        }
        self.queue.push_back(event);
        if self.in_flight.is_none() {
            self.next.get_or_insert(now);
        }
        gone
    }

    /// What waits for another attempt waits no longer.
    pub(super) fn hurry(&mut self, now: Instant) {
        if self.in_flight.is_none() {
            self.next = Some(now);
        }
    }

    /// The event to deliver now; it has until `limit`.
    pub(super) fn begin(&mut self, limit: Instant) -> Option<NotifyEvent> {
        let event = self.queue.front()?.clone();
        self.next = None;
        self.attempts += 1;
        self.in_flight = Some(limit);
        Some(event)
    }

    /// Whether an event waits whose time has come.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.in_flight.is_none() && self.next.is_some_and(|at| at <= now)
    }

    /// Gives up the first event if it is that old and was tried, or if a newer one waits.
    pub(super) fn expire(&mut self, deadline: Duration, now: Instant) -> Option<Done> {
        let event = self.queue.front()?;
        let hopeless = self.attempts > 0 || self.queue.len() > 1;
        (hopeless && event.at + deadline <= now)
            .then(|| self.advance(now))
            .flatten()
    }

    /// The event in flight was delivered.
    pub(super) fn delivered(&mut self, now: Instant) -> Option<Done> {
        self.overfull = false;
        self.advance(now)
    }

    /// The event in flight was not delivered: it waits, or is given up after `retry` further attempts.
    pub(super) fn failed(&mut self, retry: u32, now: Instant) -> Option<Done> {
        if self.attempts > retry {
            return self.advance(now);
        }
        self.in_flight = None;
        let doublings = self.attempts.saturating_sub(1).min(10);
        self.next = Some(now + RETRY.saturating_mul(1 << doublings).min(RETRY_MAX));
        None
    }

    /// The worker died in the middle. That is not the event's fault, the first time.
    pub(super) fn interrupted(&mut self, retry: u32, now: Instant) -> Option<Done> {
        if std::mem::replace(&mut self.interrupted, true) {
            return self.failed(retry, now);
        }
        self.in_flight = None;
        self.attempts = self.attempts.saturating_sub(1);
        self.next = Some(now);
        None
    }

    /// When the event in flight counts as failed.
    pub(super) fn limit(&self) -> Option<Instant> {
        self.in_flight
    }

    /// When the first event is to be delivered.
    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Whether the event in flight is this one.
    pub(super) fn is_telling(&self, id: u64) -> bool {
        self.in_flight.is_some() && self.queue.front().is_some_and(|event| event.id == id)
    }

    /// Id of the first event.
    pub(super) fn first(&self) -> Option<u64> {
        self.queue.front().map(|event| event.id)
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    fn advance(&mut self, now: Instant) -> Option<Done> {
        let event = self.queue.pop_front();
        self.in_flight = None;
        self.interrupted = false;
        let attempts = std::mem::take(&mut self.attempts);
        self.next = (!self.queue.is_empty()).then_some(now);
        Some((event?, attempts))
    }
}
