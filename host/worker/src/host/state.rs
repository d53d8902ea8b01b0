//! `state`: bytes that outlive the call, within the granted quota.

use crate::bindings::standfast::plugin::state::{Error, Host};
use crate::grants::Want;
use crate::memory::Full;
use crate::session::Session;

impl Host for Session {
    fn get(&mut self, key: String) -> Option<Vec<u8>> {
        self.scope.subject.memory().get(&key)
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> Result<(), Error> {
        let quota = self.quota()?;
        let kept = self.scope.subject.memory().set(key, value, quota);
        self.told(kept)
    }

    fn delete(&mut self, key: String) {
        self.scope.subject.memory().delete(&key);
    }

    fn add(&mut self, key: String, delta: i64) -> Result<i64, Error> {
        let quota = self.quota()?;
        let sum = self.scope.subject.memory().add(key, delta, quota);
        self.told(sum)
    }
}

impl Session {
    /// What is granted, if anything is.
    fn quota(&self) -> Result<usize, Error> {
        let granted = self.scope.facts.grants.state;
        if granted == 0 {
            self.scope.subject.deny(Want::State(granted));
            return Err(Error::Quota);
        }
        Ok(usize::try_from(granted).unwrap_or(usize::MAX))
    }

    fn told<T>(&self, kept: Result<T, Full>) -> Result<T, Error> {
        kept.map_err(|why| {
            self.scope
                .subject
                .deny(Want::State(self.scope.facts.grants.state));
            match why {
                Full::Quota => Error::Quota,
                Full::TooLarge => Error::TooLarge,
            }
        })
    }
}
