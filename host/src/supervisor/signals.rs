//! Signals to the processes of services: by ourselves, or by asking systemd for what they are for.

use std::rc::Rc;

use standfast_core::event::Event;
use standfast_core::ids::ServiceName;
use standfast_core::service::action::Signal;
use tokio::sync::Mutex;
use tokio::task::{spawn_blocking, spawn_local};

use super::Supervisor;
use crate::service::life::unit_of;
use crate::service::systemd_bus::Fault;
use crate::service::{by_systemd, error_log};

impl Supervisor {
    /// Signals a service's process. A process that is gone is fine: its end is on the way.
    pub(crate) fn signal(&self, service: &ServiceName, pid: u32, signal: Signal) {
        let mut lives = self.lives.borrow_mut();
        let Some(life) = lives.get_mut(&(service.clone(), pid)) else {
            return;
        };
        life.ending |= matches!(signal, Signal::Quit | Signal::Terminate | Signal::Kill);
        drop(lives);
        if signal == Signal::Reload {
            self.signal_reload(service.clone(), pid);
        } else {
            self.send((service.clone(), pid), signal);
        }
    }

    /// Once it is known where its error log ends: what comes after that is of the reload.
    fn signal_reload(&self, service: ServiceName, pid: u32) {
        let me = self.clone();
        spawn_local(async move {
            let key = (service, pid);
            let main = me.lives.borrow().get(&key).map(|life| life.main.pid);
            let Some(main) = main else {
                return;
            };
            let mark = spawn_blocking(move || error_log::mark(main))
                .await
                .unwrap_or_default();
            if let Some(life) = me.lives.borrow_mut().get_mut(&key) {
                life.mark = mark;
            }
            me.send(key, Signal::Reload);
        });
    }

    /// By ourselves, or by asking systemd. Of two that stand beside each other only the one is meant.
    fn send(&self, key: (ServiceName, u32), signal: Signal) {
        let lives = self.lives.borrow();
        let alone = lives.keys().filter(|(service, _)| *service == key.0).count() == 1;
        let unit = lives
            .get(&key)
            .and_then(|life| unit_of(&life.config))
            .filter(|_| alone && signal != Signal::KillStopped);
        let unit = unit.map(str::to_owned);
        drop(lives);
        let Some(unit) = unit else {
            return self.send_directly(&key, signal);
        };
        let me = self.clone();
        spawn_local(async move {
            let turn = me.turn(&key.0);
            let _turn = turn.lock().await;
            // What the unit has next is not what is meant.
            if !me.lives.borrow().contains_key(&key) {
                return;
            }
            match by_systemd::signal(&me.bus, &unit, signal).await {
                Ok(()) => {}
                Err(fault @ Fault::Silent(_)) => {
                    tracing::warn!(service = %key.0, ?signal, "{fault}; its process is signalled instead");
                    me.send_directly(&key, signal);
                }
                Err(fault @ Fault::Refused { .. }) if signal == Signal::Reload => {
                    let (service, result) = (key.0, Err(fault.to_string()));
                    me.tell(Event::ServiceReloaded { service, result });
                }
                Err(fault) => tracing::warn!(service = %key.0, ?signal, "{fault}"),
            }
        });
    }

    /// KILL to a control group of its own reaches whoever has left its process group, and what is forked meanwhile (N17).
    fn send_directly(&self, key: &(ServiceName, u32), signal: Signal) {
        let group = self.lives.borrow().get(key).and_then(|life| life.group.clone());
        let Some(group) = group.filter(|_| signal == Signal::Kill) else {
            return self.send_to_each(key, signal);
        };
        let (me, key) = (self.clone(), key.clone());
        spawn_local(async move {
            let _ = spawn_blocking(move || group.kill()).await;
            // Somebody may have moved it elsewhere, or the kernel may not know how.
            me.send_to_each(&key, signal);
        });
    }

    fn send_to_each(&self, key: &(ServiceName, u32), signal: Signal) {
        let sent = self.lives.borrow().get(key).map(|life| life.signal(signal));
        if let Some(Err(error)) = sent {
            tracing::warn!(service = %key.0, pid = key.1, ?signal, "signal failed: {error}");
        }
    }

    pub(super) fn turn(&self, service: &ServiceName) -> Rc<Mutex<()>> {
        self.turns
            .borrow_mut()
            .entry(service.clone())
            .or_default()
            .clone()
    }
}
