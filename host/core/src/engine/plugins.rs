//! Everything that plugins do: the worker comes and goes, files are loaded, checks run, hooks are told.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::command::Command;
use crate::config::grant::Grants;
use crate::engine::Engine;
use crate::engine::fitness::effect_of;
use crate::engine::router::Router;
use crate::health::check::Check;
use crate::ids::{PluginName, RouterName, VrrpState};
use crate::plugin::call::{ActionCall, ActionError, CheckCall, NotifyCall, Usage, User};
use crate::plugin::catalog::Load;
use crate::plugin::channel::{LoadPlugin, LoadedPlugin};
use crate::time::Instant;

/// A trial call takes no longer, whatever the check's own timeout: the load has a limit, too.
const TRIAL_LIMIT: Duration = Duration::from_secs(10);

impl Engine {
    pub(super) fn on_worker_up(&mut self, engine: String, now: Instant) {
        self.worker.up = true;
        self.worker.engine = Some(engine);
        self.catalog.worker_up(now);
        // Those without a file have nothing to wait for.
        for plugin in self.config.plugins() {
            self.release_checks(&plugin, now);
        }
    }

    pub(super) fn on_worker_down(&mut self, why: String, now: Instant) {
        if self.worker.up {
            self.worker.restarts += 1;
        }
        self.worker.up = false;
        let message = format!("ended: {why}; it is started again");
        self.worker.error = Some(why);
        self.catalog.worker_down();
        self.record("worker", "worker", message, true, now);
        let mut flipped = Vec::new();
        for (name, check) in &mut self.checks {
            flipped.extend(check.worker_died(now).map(|flip| (name.clone(), flip)));
        }
        for (name, flip) in flipped {
            self.record_flip(&name, Some(flip), now);
        }
        for hook in self.hooks.values_mut() {
            hook.worker_died(now);
        }
    }

    pub(super) fn on_plugin_loaded(
        &mut self,
        plugin: &PluginName,
        generation: u64,
        result: Result<LoadedPlugin, String>,
        now: Instant,
    ) {
        let line = self.catalog.on_loaded(plugin, generation, result, now);
        if let Some((message, warning)) = line {
            self.record("plugin", plugin.as_str(), message, warning, now);
        }
        self.release_checks(plugin, now);
    }

    /// An operator wants the version before. What became of it is told as any load is.
    pub(super) fn on_roll_back(&mut self, plugin: &PluginName, ticket: u64, now: Instant) {
        let result = self.catalog.roll_back(plugin, now);
        if let Ok(line) = &result {
            self.record("plugin", plugin.as_str(), line.clone(), false, now);
        }
        self.commands.push_back(Command::Answer { ticket, result });
    }

    /// A check may begin once a load of its plugin was answered, well or badly.
    pub(super) fn release_checks(&mut self, plugin: &PluginName, now: Instant) {
        if !self.catalog.answered(plugin) {
            return;
        }
        for check in self
            .checks
            .values_mut()
            .filter(|check| check.config().plugin == *plugin)
        {
            check.plugin_ready(now);
            check.worker_returned();
        }
    }

    pub(super) fn tick_catalog(&mut self, now: Instant) {
        if let Some((plugin, generation)) = self.catalog.overdue(now) {
            let late = Err("the worker did not answer in time".into());
            self.on_plugin_loaded(&plugin, generation, late, now);
        }
        if let Some(load) = self.catalog.poll(now) {
            let load = self.load(load);
            self.commands.push_back(Command::Load(load));
        }
    }

    /// Returns whether a check is not as it was.
    pub(super) fn tick_checks(&mut self, now: Instant) -> bool {
        let mut flipped = Vec::new();
        let mut turned = false;
        let due = |check: &&mut Check| check.deadline().is_some_and(|at| at <= now);
        for (name, check) in self.checks.iter_mut().filter(|(_, check)| due(check)) {
            let before = effect_of(check);
            let mut flips = Vec::new();
            if let Some(run) = check.poll(now, &mut flips) {
                let call = check_call(check, run, &self.routers);
                self.commands.push_back(Command::Check(call));
            }
            turned |= effect_of(check) != before;
            flipped.extend(flips.into_iter().map(|flip| (name.clone(), flip)));
        }
        for (name, flip) in flipped {
            self.record_flip(&name, Some(flip), now);
        }
        turned
    }

    /// Hooks wait for the worker: a delivery to nobody would only use up attempts.
    pub(super) fn tick_hooks(&mut self, now: Instant) {
        let catalog = &self.catalog;
        let routers = &self.routers;
        for hook in self
            .hooks
            .values_mut()
            .filter(|hook| catalog.answered(&hook.config().plugin))
        {
            while let Some(event) = hook.poll(now) {
                let config = hook.config();
                self.commands.push_back(Command::Notify(NotifyCall {
                    notify: config.name.clone(),
                    plugin: config.plugin.clone(),
                    timeout: config.timeout,
                    event,
                    routers: states(routers),
                    settings: config.settings.clone(),
                    grants: config.grants.clone(),
                }));
            }
        }
    }

    /// When `tick_hooks` has something to do.
    pub(super) fn hooks_deadline(&self) -> Option<Instant> {
        let can_be_told = |plugin| self.catalog.answered(plugin);
        self.hooks
            .values()
            .filter(|hook| can_be_told(&hook.config().plugin))
            .filter_map(|hook| hook.deadline())
            .min()
    }

    /// A plugin asks for an action: what its block and its grant allow is decided here, not in the worker.
    pub(super) fn on_act(&mut self, call: ActionCall) {
        let ActionCall {
            id,
            user,
            action,
            args,
            within,
        } = call;
        let granted = self
            .grants(&user)
            .is_some_and(|grants| grants.actions.contains(&action));
        let action = match self.config.actions.get(&action) {
            _ if !granted => Err(ActionError::Denied),
            None => Err(ActionError::Unknown),
            Some(config) => config.with(args, within).ok_or(ActionError::Denied),
        };
        self.commands.push_back(Command::Act { id, user, action });
    }

    pub(super) fn on_used(&mut self, usage: Usage) {
        if let Some(most) = self.grants(&usage.user).map(|grants| grants.metrics) {
            self.usage.add(usage, most);
        }
    }

    fn grants(&self, user: &User) -> Option<&Grants> {
        match user {
            User::Check(name) => Some(&self.checks.get(name)?.config().grants),
            User::Notify(name) => Some(&self.hooks.get(name)?.config().grants),
        }
    }

    fn load(&self, load: Load) -> LoadPlugin {
        let Load {
            plugin,
            generation,
            path,
            fallback,
            set_aside,
            replaces,
        } = load;
        let user = self
            .checks
            .values()
            .find(|check| replaces && check.config().plugin == plugin);
        let trial = user.map(|check| CheckCall {
            timeout: check.config().timeout.min(TRIAL_LIMIT),
            ..check_call(check, 0, &self.routers)
        });
        let pin = self.config.pins.get(&plugin).cloned();
        LoadPlugin {
            plugin,
            generation,
            path,
            trial,
            pin,
            fallback,
            set_aside,
        }
    }
}

fn check_call(check: &Check, run: u64, routers: &BTreeMap<RouterName, Router>) -> CheckCall {
    let config = check.config();
    CheckCall {
        check: config.name.clone(),
        run,
        plugin: config.plugin.clone(),
        // The worker answers a little before the scheduler's own deadline, so that its reason is heard.
        timeout: config.timeout - config.timeout / 20,
        previous: check.previous(),
        instance: config.instance,
        settings: config.settings.clone(),
        grants: config.grants.clone(),
        routers: states(routers),
    }
}

fn states(routers: &BTreeMap<RouterName, Router>) -> Vec<(RouterName, VrrpState)> {
    let state = |(name, router): (&RouterName, &Router)| (name.clone(), router.machine.state());
    routers.iter().map(state).collect()
}
