//! Reading the configuration again: on another thread, all or nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;

use standfast_core::config::error::ConfigErrors;
use standfast_core::config::file::Config;
use standfast_core::control::Answer;
use standfast_core::event::Event;
use tokio::sync::oneshot;

use crate::alarm::now;
use crate::control::server::Told;
use crate::daemon::Daemon;
use crate::daemon::network::{needed, virtual_macs};
use crate::daemon::requests::answer;
use crate::masters::Masters;
use crate::net::jobs::Job;
use crate::watch::Watch;
use crate::{keys, start};

/// What reading the file again gave.
pub(super) struct Reread {
    /// Which reading it was.
    number: u64,
    result: Result<Config, String>,
}

impl Daemon {
    /// Reads and parses on another thread; the result comes back through `reloads`.
    pub(super) fn begin_reload(&mut self, asker: Option<oneshot::Sender<Told>>) {
        self.systemd.reloading();
        self.reads.0 += 1;
        let number = self.reads.0;
        self.reload_askers.extend(asker.map(|asker| (number, asker)));
        let path = self.options.config.clone();
        let done = self.reload_done.clone();
        // Not of the runtime's pool, which panics when there is no thread to be had.
        let reader = thread::Builder::new().name("reload".into()).spawn(move || {
            let result = read(&path);
            let _ = result.as_ref().map(start::tell_hindrances);
            let _ = done.blocking_send(Reread { number, result });
        });
        if let Err(error) = reader {
            let result = Err(format!("no thread to read the configuration with: {error}"));
            self.on_reload(Reread { number, result });
        }
    }

    /// All or nothing: sockets for new interfaces are opened before anything is touched.
    pub(super) fn on_reload(&mut self, reread: Reread) {
        let Reread { number, result } = reread;
        let outcome = if number > self.reads.1 {
            self.reads.1 = number;
            result.and_then(|config| self.take_over(config))
        } else {
            // Readers may overtake each other; what was read first must not undo what was read last.
            Ok("a later reload has overtaken this one".into())
        };
        self.systemd.ready();
        if let Err(why) = &outcome {
            self.engine.handle(Event::ReloadRefused(why.clone()), now());
        }
        if let Some(reply) = self.reload_askers.remove(&number) {
            answer(reply, outcome.map(|message| Answer::Done { message }));
        }
    }

    fn take_over(&mut self, config: Config) -> Result<String, String> {
        if self.leaving {
            return Err("the daemon is stopping".into());
        }
        if config == self.config {
            self.engine.handle(Event::Reload(Box::new(config)), now());
            self.look_at_plugins(None);
            return Ok("configuration unchanged".into());
        }
        let watch = Watch::new(config.plugin_dirs.iter().map(PathBuf::as_path));
        let watch = watch.map_err(|error| format!("plugin folders: {error}"))?;
        // Old interfaces stay watched until what is on them was released.
        let mut interfaces = config.interfaces();
        interfaces.extend(self.config.interfaces());
        self.hands.links.watch(interfaces);
        if let Err(failure) = self.hands.sockets.want(&config, &self.hands.links) {
            self.hands.links.watch(self.config.interfaces());
            return Err(failure.message);
        }
        self.watch = watch;
        self.await_missing_folders();
        self.hands.virtual_macs.extend(virtual_macs(&config));
        start::tell_warnings(&config);
        self.config = config.clone();
        self.engine.handle(Event::Reload(Box::new(config)), now());
        // Goodbyes of routers that are gone leave before their sockets close.
        self.act();
        self.hands.sockets.settle(&self.config);
        self.hands.virtual_macs = virtual_macs(&self.config);
        self.hands.masters = Masters::begin(&self.options.runtime_dir, &self.config, &BTreeMap::new());
        self.tell_patience();
        self.hands.prepare_forwarding(&self.config);
        self.hands.queue(Job::Keep(needed(&self.config)));
        self.hands.links.watch(self.config.interfaces());
        self.tell_links();
        self.hands.worker.reconfigure(self.config.worker_needs());
        self.look_at_plugins(None);
        Ok("configuration reloaded".into())
    }
}

fn read(path: &Path) -> Result<Config, String> {
    let mut config = start::read_config(path).map_err(|report| report_lines(&report))?;
    keys::require(&mut config)
        .and_then(|()| start::check_plugins(&config))
        .and_then(|()| start::check_filter(&config))
        .map_err(|failure| failure.message)?;
    Ok(config)
}

/// The faults of a refused configuration on one line.
fn report_lines(report: &miette::Report) -> String {
    match report.downcast_ref::<ConfigErrors>() {
        Some(errors) => errors.lines().collect::<Vec<_>>().join("; "),
        None => report.to_string(),
    }
}
