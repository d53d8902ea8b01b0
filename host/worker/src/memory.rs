//! What a check or hook keeps between its calls, within a quota. Pure.

use std::collections::BTreeMap;

/// Longest key, bytes.
const KEY_MAX: usize = 128;
/// What an entry costs beside its key and value, so that a crowd of empty ones is not free.
const ENTRY: usize = 32;

/// Why nothing was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// Over the quota with all that is kept.
    Quota,
    /// Over the quota alone, or a key that is too long.
    TooLarge,
}

/// Keys and values.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    values: BTreeMap<String, Vec<u8>>,
    used: usize,
}

impl Memory {
    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.values.get(key).cloned()
    }

    /// Keeps a value if it fits; a quota that has shrunk takes nothing away.
    pub(crate) fn set(&mut self, key: String, value: Vec<u8>, quota: usize) -> Result<(), Full> {
        let cost = cost(&key, &value);
        if key.len() > KEY_MAX || cost > quota {
            return Err(Full::TooLarge);
        }
        let freed = self.values.get(&key).map_or(0, |old| self::cost(&key, old));
        let used = self.used - freed + cost;
        if used > quota && used > self.used {
            return Err(Full::Quota);
        }
        self.used = used;
        self.values.insert(key, value);
        Ok(())
    }

    /// Forgets a key.
    pub(crate) fn delete(&mut self, key: &str) {
        if let Some(old) = self.values.remove(key) {
            self.used -= cost(key, &old);
        }
    }

    /// Adds to a number; what is none counts as 0.
    pub(crate) fn add(&mut self, key: String, delta: i64, quota: usize) -> Result<i64, Full> {
        let bytes = self
            .values
            .get(&key)
            .and_then(|value| value.as_slice().try_into().ok());
        let sum = bytes.map_or(0, i64::from_le_bytes).saturating_add(delta);
        self.set(key, sum.to_le_bytes().to_vec(), quota)?;
        Ok(sum)
    }
}

fn cost(key: &str, value: &[u8]) -> usize {
    key.len() + value.len() + ENTRY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let mut memory = Memory::default();
        let quota = 1024;
        assert_eq!(memory.set("a".into(), vec![1; 500], quota), Ok(()));
        assert_eq!(memory.set("b".into(), vec![2; 500], quota), Err(Full::Quota));
        assert_eq!(memory.set("b".into(), vec![2; 992], quota), Err(Full::TooLarge));
        assert_eq!(
            memory.set("b".repeat(129), Vec::new(), quota),
            Err(Full::TooLarge)
        );
        assert_eq!((memory.get("a"), memory.get("b")), (Some(vec![1; 500]), None));
        assert_eq!(memory.set("a".into(), vec![3; 900], quota), Ok(()));
        memory.delete("a");
        assert_eq!((memory.used, memory.get("a")), (0, None));
        let empty = (0..1000).filter(|n| memory.set(n.to_string(), Vec::new(), quota).is_ok());
        assert!(empty.count() < 32);
        assert_eq!(memory.set("x".into(), Vec::new(), 0), Err(Full::TooLarge));
    }

    #[test]
    fn numbers_add_up_and_stop_at_the_ends() {
        let mut memory = Memory::default();
        assert_eq!(memory.add("n".into(), 3, 100), Ok(3));
        assert_eq!(memory.add("n".into(), -5, 100), Ok(-2));
        assert_eq!(memory.add("n".into(), i64::MIN, 100), Ok(i64::MIN));
        memory.set("n".into(), b"text".to_vec(), 100).unwrap();
        assert_eq!(memory.add("n".into(), 1, 100), Ok(1));
    }
}
