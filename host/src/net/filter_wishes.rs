//! Packet filter tables that are to be other than they are, in the order in which nft is asked for them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use standfast_core::ids::IfName;

/// What a table drops.
pub(crate) type Addresses = Vec<(IpAddr, IfName)>;

/// How a table is to be; `None`: it is to go.
pub(super) type Wanted = Option<Addresses>;

/// One wish for each table: the last one counts.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    tables: BTreeMap<String, (Turn, Wanted)>,
    count: u64,
}

/// What somebody waits for comes first, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Soon(u64),
    Later(u64),
}

impl Wishes {
    /// Somebody waits for this.
    pub(super) fn push_soon(&mut self, table: &str, wanted: Wanted) {
        self.count += 1;
        self.push(table, Turn::Soon(self.count), wanted);
    }

    /// Nobody waits for this.
    pub(super) fn push_later(&mut self, table: &str, wanted: Wanted) {
        self.count += 1;
        self.push(table, Turn::Later(self.count), wanted);
    }

    /// How a table is to be.
    pub(super) fn get(&self, table: &str) -> Option<&Wanted> {
        self.tables.get(table).map(|(_, wanted)| wanted)
    }

    /// It may stay as it is. `true`: it was to be another.
    pub(super) fn remove(&mut self, table: &str) -> bool {
        self.tables.remove(table).is_some()
    }

    /// All but these may stay as they are.
    pub(super) fn keep(&mut self, tables: &BTreeSet<String>) {
        self.tables.retain(|table, _| tables.contains(table));
    }

    /// Nothing is wished for.
    pub(super) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Takes the next ones. One table is made at a time, because nft does all or nothing; those that are to go, go
    /// together.
    pub(super) fn pop(&mut self) -> BTreeMap<String, Wanted> {
        let first = self.tables.values().min_by_key(|(turn, _)| *turn);
        let Some((first, goes)) = first.map(|(turn, wanted)| (*turn, wanted.is_none())) else {
            return BTreeMap::new();
        };
        let of_run =
            |_: &String, (turn, wanted): &mut (Turn, Wanted)| *turn == first || goes && wanted.is_none();
        let run = self.tables.extract_if(.., of_run);
        run.map(|(table, (_, wanted))| (table, wanted)).collect()
    }

    fn push(&mut self, table: &str, turn: Turn, wanted: Wanted) {
        self.tables.insert(table.to_owned(), (turn, wanted));
    }
}
