//! Room for actions: how many run at a time, how many wait, and what is left to hooks.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Actions that run at the same time.
pub(crate) const MOST: usize = 8;
/// Those of checks among them: slow ones must not keep a hook from moving an address.
pub(crate) const MOST_OF_CHECKS: usize = 6;
/// Actions that wait or run, each on a thread.
pub(crate) const PLACES: usize = 64;

/// Room for what runs.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    pub(crate) places: Arc<Semaphore>,
    all: Arc<Semaphore>,
    of_checks: Arc<Semaphore>,
}

/// Given back when it is dropped.
pub(crate) type Slot = (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>);

impl Slots {
    pub(crate) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(PLACES)),
            all: Arc::new(Semaphore::new(MOST)),
            of_checks: Arc::new(Semaphore::new(MOST_OF_CHECKS)),
        }
    }

    /// Waits for one. A check that waits takes none of those that are left to hooks.
    pub(crate) async fn take(&self, of_check: bool) -> Option<Slot> {
        let of_checks = match of_check {
            true => Some(Arc::clone(&self.of_checks).acquire_owned().await.ok()?),
            false => None,
        };
        let slot = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some((slot, of_checks))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::runtime::Builder;
    use tokio::time::timeout;

    use super::*;

    #[test]
    fn checks_leave_slots_to_hooks() {
        let slots = Slots::new();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let take = async |of_check| {
                timeout(Duration::from_millis(50), slots.take(of_check))
                    .await
                    .ok()
                    .flatten()
            };
            let mut held = Vec::new();
            for _ in 0..MOST_OF_CHECKS {
                held.push(take(true).await.unwrap());
            }
            assert!(take(true).await.is_none());
            for _ in MOST_OF_CHECKS..MOST {
                held.push(take(false).await.unwrap());
            }
            assert!(take(false).await.is_none());
            drop(held);
            assert!(take(true).await.is_some());
        });
    }
}
