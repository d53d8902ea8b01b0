//! Routes and rules that somebody else took away: put back.

use crate::engine::Engine;
use crate::engine::router::Router;
use crate::event::Robbed;
use crate::time::Instant;

impl Engine {
    /// Somebody else took a route or rule with our mark away.
    pub(super) fn on_robbed(&mut self, robbed: Robbed, now: Instant) {
        let concerned = self.routers.values().filter(|router| router.misses(robbed));
        let names: Vec<_> = concerned.map(|router| router.config.name.clone()).collect();
        for name in names {
            let mut begins = false;
            self.with_router(&name, now, |router, _| begins = router.addresses.robbed(now));
            if let Some(what) = told(robbed).filter(|_| begins) {
                let message = format!("{what} was removed by someone else; it is put back");
                self.record("vrrp", name.as_str(), message, true, now);
            }
        }
    }
}

impl Router {
    /// Whether it is to hold that.
    fn misses(&self, robbed: Robbed) -> bool {
        let config = &self.config;
        self.addresses.wanted()
            && match robbed {
                Robbed::Route {
                    family,
                    destination,
                    table,
                    metric,
                } => config.routes.iter().any(|route| {
                    (
                        route.family,
                        route.destination,
                        route.table,
                        route.metric_in_kernel(),
                    ) == (family, destination, table, metric)
                }),
                Robbed::Rule { family, priority } => config
                    .rules
                    .iter()
                    .any(|rule| (rule.family, rule.priority) == (family, priority)),
                Robbed::Unknown => !config.routes.is_empty() || !config.rules.is_empty(),
            }
    }
}

fn told(robbed: Robbed) -> Option<String> {
    match robbed {
        Robbed::Route { destination, .. } => {
            Some(format!("the route to {}/{}", destination.0, destination.1))
        }
        Robbed::Rule { priority, .. } => Some(format!("the rule of priority {priority}")),
        Robbed::Unknown => None,
    }
}
