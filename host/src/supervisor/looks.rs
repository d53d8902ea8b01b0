//! Looks at services: one at a time for each, because one that hangs keeps a thread, and there are only so many.

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
    all: Rc<RefCell<BTreeSet<ServiceName>>>,
    service: ServiceName,
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
        let Some(under_way) = self.begin_look(&service) else {
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
    fn begin_look(&self, service: &ServiceName) -> Option<UnderWay> {
        let new = self.looked_at.borrow_mut().insert(service.clone());
        new.then(|| UnderWay {
            all: self.looked_at.clone(),
            service: service.clone(),
        })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.all.borrow_mut().remove(&self.service);
    }
}
