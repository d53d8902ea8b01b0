//! Takes a configuration over: what is unchanged is not touched, what is gone leaves properly.

use std::collections::BTreeSet;

use crate::command::Command;
use crate::config::file::Config;
use crate::config::notify::NotifyConfig;
use crate::config::router::RouterConfig;
use crate::engine::Engine;
use crate::engine::router::Router;
use crate::health::check::Check;
use crate::hooks::Hook;
use crate::ids::{NotifyName, RouterName};
use crate::plugin::call::User;
use crate::service::machine::Machine as Service;
use crate::time::Instant;

impl Engine {
    /// Makes `new` the running configuration.
    pub(super) fn adopt(&mut self, new: Config, now: Instant) {
        let old = std::mem::replace(&mut self.config, new.clone());
        if old == new {
            return;
        }
        self.adopt_services(&old, &new, now);
        self.adopt_checks(&new, now);
        self.adopt_routers(&new, now);
        self.adopt_groups(now);
        self.adopt_group_states();
        let learners = self.adopt_hooks(&new);
        self.replay(&old, &learners, now);
        self.usage.keep(|user| match user {
            User::Check(name) => Some(new.checks.get(name)?.grants.metrics),
            User::Notify(name) => Some(new.notifies.get(name)?.grants.metrics),
        });
        let plugins = new.plugins();
        self.catalog.keep(|plugin| plugins.contains(plugin));
        for plugin in plugins {
            self.catalog.add(plugin.clone());
            self.release_checks(&plugin, now);
        }
    }

    /// Returns those who are to learn how things are: new ones, and those that listen to others or tell others now.
    fn adopt_hooks(&mut self, new: &Config) -> BTreeSet<NotifyName> {
        self.hooks.retain(|name, _| new.notifies.contains_key(name));
        let mut learners = BTreeSet::new();
        for (name, config) in &new.notifies {
            let telling = |config: &NotifyConfig| {
                (
                    config.topics.clone(),
                    config.plugin.clone(),
                    config.settings.clone(),
                    // What was denied until now may have been the very thing.
                    config.grants.clone(),
                )
            };
            match self.hooks.get_mut(name) {
                Some(hook) => {
                    if telling(hook.config()) != telling(config) {
                        learners.insert(name.clone());
                    }
                    hook.reconfigure(config.clone());
                }
                None => {
                    self.hooks.insert(name.clone(), Hook::new(config.clone()));
                    learners.insert(name.clone());
                }
            }
        }
        learners
    }

    fn adopt_services(&mut self, old: &Config, new: &Config, now: Instant) {
        let gone: Vec<_> = self
            .services
            .keys()
            .filter(|name| !new.services.contains_key(*name))
            .cloned()
            .collect();
        for name in &gone {
            // It leaves the table once it has ended (`forget_stopped`).
            self.with_service(name, now, |machine, out| {
                machine.stop("no longer in the configuration", now, out);
            });
        }
        for (name, config) in &new.services {
            let known = self.services.contains_key(name);
            if known && !old.services.contains_key(name) {
                self.with_service(name, now, |machine, out| {
                    machine.resume(config.clone(), now, out);
                });
            } else if known {
                self.with_service(name, now, |machine, _| {
                    if machine.config() != config {
                        machine.reconfigure(config.clone(), now);
                    }
                });
            } else {
                let seed = self.chance.number();
                let machine = Service::new(config.clone(), seed, now);
                self.services.insert(name.clone(), machine);
            }
        }
        self.forget_stopped();
    }

    /// Services that have ended and are in no configuration any more.
    pub(super) fn forget_stopped(&mut self) {
        let config = &self.config;
        self.services
            .retain(|name, machine| config.services.contains_key(name) || !machine.is_stopped());
    }

    fn adopt_checks(&mut self, new: &Config, now: Instant) {
        self.checks.retain(|name, _| new.checks.contains_key(name));
        for (name, config) in &new.checks {
            let seed = self.chance.number();
            match self.checks.get_mut(name) {
                Some(check) if check.config().plugin != config.plugin => {
                    *check = Check::new(config.clone(), seed, now);
                }
                Some(check) if check.config() != config => check.reconfigure(config.clone(), now),
                Some(_) => {}
                None => {
                    self.checks
                        .insert(name.clone(), Check::new(config.clone(), seed, now));
                }
            }
        }
    }

    fn adopt_routers(&mut self, new: &Config, now: Instant) {
        let identity_kept = |router: &Router| {
            new.routers.get(&router.config.name).is_some_and(|config| {
                config.interface == router.config.interface
                    && config.vrid == router.config.vrid
                    && config.version == router.config.version
                    && config.family == router.config.family
                    && config.virtual_mac == router.config.virtual_mac
            })
        };
        let gone: Vec<RouterName> = self
            .routers
            .values()
            .filter(|router| !identity_kept(router))
            .map(|router| router.config.name.clone())
            .collect();
        for name in gone {
            self.with_router(&name, now, |router, deeds| {
                router.stop("its configuration changed", now, deeds);
                // Nobody hears its successor any more.
                router.let_go(now, deeds);
                router.end_draining(deeds);
            });
            if let Some(router) = self.routers.remove(&name) {
                self.leavers.insert(name.clone(), router);
            }
            self.due.set(&name, None);
            self.starting.remove(&name);
        }
        let begun = self.commands.len();
        for (name, config) in &new.routers {
            if self.routers.contains_key(name) {
                self.with_router(name, now, |router, deeds| {
                    if router.config != *config {
                        router.reconfigure(config.clone(), now, deeds);
                    }
                });
            } else {
                let mut router = Router::new(config.clone(), now);
                if let Some(earlier) = self.leavers.remove(name) {
                    router.inherit(&earlier);
                }
                self.routers.insert(name.clone(), router);
                self.with_router(name, now, |router, deeds| router.begin(now, deeds));
                self.tell_owned(name, now);
                if !config.startup_delay.is_zero() {
                    self.starting.insert(name.clone(), now + config.startup_delay);
                }
            }
        }
        // What moves from one router to another must not be taken off after it was put on.
        let changes = self.commands.split_off(begun.min(self.commands.len()));
        let (first, then): (Vec<_>, Vec<_>) = changes
            .into_iter()
            .partition(|command| matches!(command, Command::RemoveAddresses { .. }));
        self.commands.extend(first.into_iter().chain(then));
        self.forget_leavers();
        let identity = |config: &RouterConfig| (config.interface.clone(), config.family, config.vrid);
        let routers = new.routers.values();
        self.identities = routers
            .clone()
            .map(|config| (identity(config), config.name.clone()))
            .collect();
        self.virtual_addresses = routers
            .flat_map(RouterConfig::held)
            .map(|held| (held.dev.clone(), held.address))
            .collect();
    }

    /// Routers that are in no configuration any more and have let go.
    pub(super) fn forget_leavers(&mut self) {
        self.leavers.retain(|_, router| !router.has_let_go());
    }
}
