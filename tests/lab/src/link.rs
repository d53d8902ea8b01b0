//! The world's end of a node's order line: orders go out, answers come back by number, from any thread.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::enter::SELF;
use crate::error::{Doing, Error, Result};
use crate::order::{Act, Answer, Fruit, Order};

type Slots = Arc<Mutex<HashMap<u64, SyncSender<Answer>>>>;

/// How long a node may take for what needs no waiting.
const PROMPT: Duration = Duration::from_secs(10);

/// The line to one node's first process.
#[derive(Debug)]
pub(crate) struct Link {
    name: String,
    /// The process whose network namespace is the node's, seen from the world.
    pub pid: u32,
    orders: Mutex<Option<ChildStdin>>,
    outer: Mutex<Child>,
    slots: Slots,
    next: AtomicU64,
}

impl Link {
    /// Starts a node and waits until its first process answers.
    pub(crate) fn start(name: &str, dir: &Path) -> Result<Self> {
        let mut outer = Command::new(SELF)
            .args(["__node", name])
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .doing(|| format!("cannot start node {name}"))?;
        let orders = outer.stdin.take();
        let answers = outer.stdout.take().doing(|| "no answers".to_owned())?;
        let (greeting, greeted) = sync_channel(1);
        let slots = Slots::default();
        slots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(0, greeting);
        let theirs = Arc::clone(&slots);
        std::thread::spawn(move || listen(BufReader::new(answers), &theirs));
        let link = Self {
            name: name.to_owned(),
            pid: outer.id(),
            orders: Mutex::new(orders),
            outer: Mutex::new(outer),
            slots,
            next: AtomicU64::new(1),
        };
        link.receive(&greeted, PROMPT)?;
        Ok(link)
    }

    /// Gives an order that is done at once.
    pub(crate) fn order(&self, act: Act) -> Result<Fruit> {
        self.order_within(act, Duration::ZERO)
    }

    /// Gives an order that may take `extra` longer.
    pub(crate) fn order_within(&self, act: Act, extra: Duration) -> Result<Fruit> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (slot, answer) = sync_channel(1);
        self.slots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, slot);
        let mut line = serde_json::to_string(&Order { id, act })?;
        line.push('\n');
        let sent = match self
            .orders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
        {
            Some(orders) => orders.write_all(line.as_bytes()).and_then(|()| orders.flush()),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        };
        sent.doing(|| format!("node {} takes no orders", self.name))?;
        self.receive(&answer, PROMPT + extra)
    }

    fn receive(&self, answer: &Receiver<Answer>, limit: Duration) -> Result<Fruit> {
        match answer.recv_timeout(limit) {
            Ok(answer) => answer
                .result
                .map_err(|text| Error::new(format!("node {}: {text}", self.name))),
            Err(_) => Err(Error::new(format!(
                "node {} gave no answer within {limit:?}",
                self.name
            ))),
        }
    }

    /// Ends the node and all that runs in it.
    pub(crate) fn end(&self) {
        drop(self.orders.lock().unwrap_or_else(PoisonError::into_inner).take());
        let mut outer = self.outer.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = crate::wait::wait_until("the end of a node", PROMPT, || Ok(outer.try_wait()?.is_some()));
        if ended.is_err() {
            // Its first process dies with it, and the namespace with that.
            let _ = outer.kill();
            let _ = outer.wait();
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.end();
    }
}

/// Hands each answer to the one who waits for it; ends with the node.
fn listen(answers: impl BufRead, slots: &Slots) {
    for line in answers.lines() {
        let Ok(line) = line else { break };
        let Ok(answer) = serde_json::from_str::<Answer>(&line) else {
            continue;
        };
        let slot = slots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&answer.id);
        if let Some(slot) = slot {
            // Whoever gave up waiting is gone: the answer is of no use then.
            let _ = slot.try_send(answer);
        }
    }
    slots.lock().unwrap_or_else(PoisonError::into_inner).clear();
}
