//! Looks at services: one at a time for each process, because one that hangs keeps a thread, and there are only so many.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use standfast_core::config::service::ServiceConfig;
use standfast_core::event::Event;
use standfast_core::ids::ServiceName;
use standfast_core::service::look::Look;
use tokio::task::spawn_local;

use super::Supervisor;
use crate::service::looking::{self, Subject};
use crate::service::obtain::number;
use crate::service::proc_table::Stat;

/// A look under way, of which it takes itself off at its end.
struct UnderWay {
    all: Rc<RefCell<BTreeSet<(ServiceName, u32)>>>,
    of: (ServiceName, u32),
}

/// What is looked at.
enum At {
    Main(Box<Subject>),
    Orphans(Vec<Stat>),
}

impl Supervisor {
    /// Looks at a service's process, or at what serves without one. Answers with `ServiceSeen`, unless it has ended, or
    /// an earlier look has not come back: that is no good sign, and whoever asks counts it.
    pub(crate) fn look(&self, config: ServiceConfig, pid: u32, probe: bool) {
        let service = config.name.clone();
        let Some(at) = self.subject(&service, pid) else {
            return;
        };
        let Some(under_way) = self.begin_look(&service, pid) else {
            tracing::debug!(%service, "the last look at it has not come back");
            return;
        };
        let me = self.clone();
        spawn_local(async move {
            let look = me.see(&config, at, pid, probe).await;
            drop(under_way);
            if let Some(look) = look {
                me.tell(Event::ServiceSeen { service, pid, look });
            }
        });
    }

    fn subject(&self, service: &ServiceName, pid: u32) -> Option<At> {
        let lives = self.lives.borrow();
        let life = lives.get(&(service.clone(), pid)).map(|life| Subject {
            config: life.config.clone(),
            main: life.main,
            mark: life.mark.clone(),
        });
        let orphans = || {
            let known = self.known.borrow();
            let orphans = &known.get(service)?.orphans;
            let meant = orphans.iter().any(|orphan| number(orphan.pid) == pid);
            meant.then(|| At::Orphans(orphans.clone()))
        };
        life.map(|life| At::Main(Box::new(life))).or_else(orphans)
    }

    async fn see(&self, config: &ServiceConfig, at: At, pid: u32, probe: bool) -> Option<Look> {
        match at {
            At::Main(subject) => {
                let look = looking::look(&subject, probe).await?;
                for worker in &look.workers {
                    self.watch_worker(&config.name, pid, worker.pid);
                }
                Some(look)
            }
            At::Orphans(orphans) => looking::look_at_orphans(config, orphans, probe).await,
        }
    }

    /// `None`: one is under way.
    fn begin_look(&self, service: &ServiceName, pid: u32) -> Option<UnderWay> {
        // One that hangs at a process that cannot end must not keep its successor from being looked at.
        let of = (service.clone(), pid);
        let new = self.looked_at.borrow_mut().insert(of.clone());
        new.then(|| UnderWay {
            all: self.looked_at.clone(),
            of,
        })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.all.borrow_mut().remove(&self.of);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use standfast_core::config::file::Config;
    use standfast_core::service::action::Signal;
    use tokio::sync::mpsc;
    use tokio::task::LocalSet;
    use tokio::time::timeout;

    use super::*;
    use crate::service::systemd_bus::Bus;

    /// Answers the first request, and none after that.
    fn falls_silent() -> (String, Arc<AtomicU32>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let connections = Arc::new(AtomicU32::new(0));
        let count = connections.clone();
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for mut connection in listener.incoming().flatten() {
                if count.fetch_add(1, Ordering::Relaxed) == 0 {
                    let _ = connection.read(&mut [0; 512]);
                    let _ = connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
                }
                kept.push(connection);
            }
        });
        (at, connections)
    }

    #[test]
    fn one_that_does_not_come_back_is_the_only_one() {
        let (at, connections) = falls_silent();
        let service = format!(
            "service \"web\" {{ kind \"process\"; command \"/bin/sleep\" \"6471\"; probe \"http://{at}/\" timeout=\"300ms\" }}"
        );
        let router = "vrrp \"V\" { interface \"lo\"; virtual-router-id 1; virtual-address \"192.0.2.1/24\" }";
        let config = Config::parse("test", &format!("node \"a\"\n{router}\n{service}\n"));
        let config = config.map_err(|errors| errors.lines().collect::<Vec<_>>());
        let config = config.unwrap().services.pop_first().unwrap().1;
        let (sender, mut events) = mpsc::channel(64);
        let supervisor = Supervisor::new(sender, Bus::at("unix:path=/no/such/bus".into()), None);
        let scene = async {
            supervisor.start(config.clone(), None);
            let pid = loop {
                if let Some(Event::ServiceReady { pid, .. }) = events.recv().await {
                    break pid;
                }
            };
            for round in 0..2 {
                (0..20).for_each(|_| supervisor.look(config.clone(), pid, true));
                let event = events.recv().await;
                assert!(matches!(event, Some(Event::ServiceSeen { .. })), "{event:?}");
                let more = timeout(Duration::from_millis(600), events.recv()).await;
                assert!(more.is_err(), "a second look beside it: {more:?}");
                assert_eq!(connections.load(Ordering::Relaxed), 2 + round);
            }
            supervisor.signal(&config.name, pid, Signal::Kill);
            let event = events.recv().await;
            assert!(matches!(event, Some(Event::ServiceExited { .. })), "{event:?}");
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        LocalSet::new().block_on(&runtime.unwrap(), scene);
    }
}
