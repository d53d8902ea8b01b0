//! What hooks are told: the changes of every subject, how things are for those who are new, and what became of it.

use std::collections::BTreeSet;

use crate::config::file::Config;
use crate::config::group::GroupConfig;
use crate::config::topic::{State, Subject};
use crate::engine::Engine;
use crate::hooks::Hook;
use crate::ids::{GroupName, NotifyName, VrrpState};
use crate::plugin::call::NotifyEvent;
use crate::time::Instant;

/// A change, or how things are.
#[derive(Clone, Debug)]
pub(super) struct News {
    pub(super) subject: Subject,
    pub(super) from: State,
    pub(super) to: State,
    /// Of a router or group.
    pub(super) priority: u8,
    pub(super) cause: String,
}

impl News {
    /// Of something without a priority.
    pub(super) fn of(subject: Subject, from: State, to: State, cause: impl Into<String>) -> Self {
        Self {
            subject,
            from,
            to,
            priority: 0,
            cause: cause.into(),
        }
    }

    /// Whether it is the end of something that ends with the daemon, and at once.
    fn is_end(&self) -> bool {
        self.subject.ends_with_daemon() && (self.to == State::STOP || self.to == State::STOPPED)
    }
}

impl Engine {
    /// Tells the hooks that something changed.
    pub(super) fn tell(&mut self, news: &News, now: Instant) {
        let event = self.event(news, None, now);
        // Those who were told before it happened know, unless they had to be told something else since.
        let known = self.leaving.is_some() && news.is_end();
        let wants = |hook: &&mut Hook| hook.wants(&news.subject, news.to);
        for hook in self.hooks.values_mut().filter(wants) {
            if !(known && hook.knows_end(&news.subject)) {
                hook.push(event.clone(), now);
            }
        }
    }

    /// Tells of the daemon itself.
    pub(super) fn tell_daemon(&mut self, to: State, cause: &str, now: Instant) {
        let from = if to == State::START {
            State::STOP
        } else {
            State::START
        };
        self.tell(&News::of(Subject::Daemon, from, to, cause), now);
    }

    /// Tells of groups whose members have moved.
    pub(super) fn tell_groups(&mut self, now: Instant) {
        for (name, cause) in std::mem::take(&mut self.moved_groups) {
            let Some((state, priority)) = self.group_state(&name) else {
                continue;
            };
            let known = self.group_states.insert(name.clone(), state);
            if let Some(was) = known.filter(|was| *was != state) {
                let (from, to) = (State::router(was), State::router(state));
                let news = News::of(Subject::Group(name), from, to, cause);
                self.tell(&News { priority, ..news }, now);
            }
        }
    }

    /// After a reload: groups may be new, and may be in another state because they have other members.
    pub(super) fn adopt_group_states(&mut self) {
        let names: Vec<_> = self.config.groups.keys().cloned().collect();
        self.group_states
            .retain(|name, _| self.config.groups.contains_key(name));
        for name in names {
            if self.group_states.contains_key(&name) {
                let cause = "its configuration changed".to_owned();
                self.moved_groups.insert(name, cause);
            } else if let Some((state, _)) = self.group_state(&name) {
                self.group_states.insert(name, state);
            }
        }
    }

    /// Tells how things are: to `learners` of all that they listen to, to the others of what was not in `old`.
    pub(super) fn replay(&mut self, old: &Config, learners: &BTreeSet<NotifyName>, now: Instant) {
        for news in self.states() {
            let is_new = !is_in(old, &news.subject);
            let learners: Vec<_> = self
                .hooks
                .iter()
                .filter(|(name, hook)| {
                    (is_new || learners.contains(*name)) && hook.wants(&news.subject, news.to)
                })
                .map(|(name, _)| name.clone())
                .collect();
            if learners.is_empty() {
                continue;
            }
            let event = self.event(&news, Some(("replay", "true")), now);
            for name in learners {
                if let Some(hook) = self.hooks.get_mut(&name) {
                    hook.push(event.clone(), now);
                }
            }
        }
    }

    /// Tells those who are to know of the stop before it happens. Returns whether there are any.
    pub(super) fn tell_of_stop(&mut self, now: Instant) -> bool {
        let mut ends: Vec<_> = self
            .states()
            .into_iter()
            .filter(|news| news.subject.ends_with_daemon())
            .filter(|news| news.from != State::STOPPED)
            .map(|news| News {
                to: State::STOPPED,
                ..news
            })
            .collect();
        ends.push(News::of(Subject::Daemon, State::START, State::STOP, ""));
        let mut any = false;
        for news in ends {
            let news = News {
                cause: "standfast is about to be stopped".to_owned(),
                ..news
            };
            let event = self.event(&news, Some(("phase", "before")), now);
            let concerned =
                |hook: &&mut Hook| hook.hears_of_stop_before() && hook.wants(&news.subject, news.to);
            for hook in self.hooks.values_mut().filter(concerned) {
                hook.push_end(event.clone(), now);
                any = true;
            }
        }
        self.hurry_hooks(now);
        any
    }

    /// Has everything that waits told now.
    pub(super) fn hurry_hooks(&mut self, now: Instant) {
        for hook in self.hooks.values_mut() {
            hook.hurry(now);
        }
    }

    /// Writes down what became of events.
    pub(super) fn record_deliveries(&mut self, now: Instant) {
        let mut outcomes = Vec::new();
        for (name, hook) in &mut self.hooks {
            let ended = hook.take_outcomes().into_iter();
            outcomes.extend(ended.map(|outcome| (name.clone(), outcome)));
        }
        for (name, outcome) in outcomes {
            self.record("notify", name.as_str(), outcome.message, outcome.warning, now);
        }
    }

    /// Writes down what the end leaves untold.
    pub(super) fn record_untold(&mut self, now: Instant) {
        let hooks = self.hooks.values().map(Hook::status);
        for hook in hooks.filter(|hook| hook.queued > 0).collect::<Vec<_>>() {
            let message = format!("standfast ends, events not told: {}", hook.queued);
            self.record("notify", &hook.name, message, true, now);
        }
    }

    fn event(&mut self, news: &News, mark: Option<(&str, &str)>, now: Instant) -> NotifyEvent {
        self.event_id += 1;
        let attr = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let mut attrs = vec![
            attr("node", self.config.node.as_str()),
            attr("cause", &news.cause),
            attr("from", news.from.word),
            attr("to", news.to.word),
        ];
        attrs.extend(mark.map(|(key, value)| attr(key, value)));
        NotifyEvent {
            id: self.event_id,
            subject: news.subject.clone(),
            was: news.from.like,
            now: news.to.like,
            priority: news.priority,
            at: now,
            at_ms: 0,
            attrs,
        }
    }

    /// How everything is; the daemon apart, which is always there.
    fn states(&self) -> Vec<News> {
        let still = |subject, state: State, cause: &str| News::of(subject, state, state, cause);
        let routers = self.routers.iter().map(|(name, router)| News {
            priority: router.machine.priority().get(),
            ..still(
                Subject::Router(name.clone()),
                State::router(router.machine.state()),
                router.machine.cause(),
            )
        });
        let groups = self.config.groups.keys().filter_map(|name| {
            let (state, priority) = self.group_state(name)?;
            let subject = Subject::Group(name.clone());
            Some(News {
                priority,
                ..still(subject, State::router(state), "its members are so")
            })
        });
        let checks = self.checks.iter().map(|(name, check)| {
            let subject = Subject::Check(name.clone());
            still(subject, State::check(check.good()), &check.message())
        });
        let services = self.services.iter().map(|(name, service)| {
            let subject = Subject::Service(name.clone());
            still(subject, service.told(), service.cause())
        });
        routers.chain(groups).chain(checks).chain(services).collect()
    }

    /// The best state of its members, and their highest priority: with `fault "any"` they are alike, with `all` the group
    /// holds addresses while one of them does, and is in fault when all are.
    fn group_state(&self, name: &GroupName) -> Option<(VrrpState, u8)> {
        let group: &GroupConfig = self.config.groups.get(name)?;
        let machines = || {
            let members = group.members.iter().filter_map(|name| self.routers.get(name));
            members.map(|router| &router.machine)
        };
        let best = |state: &VrrpState| match state {
            VrrpState::Master => 0,
            VrrpState::Backup => 1,
            VrrpState::Init => 2,
            VrrpState::Fault => 3,
            VrrpState::Stopped => 4,
        };
        let state = machines().map(|machine| machine.state()).min_by_key(best)?;
        let priority = machines().map(|machine| machine.priority().get()).max()?;
        Some((state, priority))
    }
}

fn is_in(config: &Config, subject: &Subject) -> bool {
    match subject {
        Subject::Router(name) => config.routers.contains_key(name),
        Subject::Group(name) => config.groups.contains_key(name),
        Subject::Check(name) => config.checks.contains_key(name),
        Subject::Service(name) => config.services.contains_key(name),
        Subject::Daemon => true,
    }
}
