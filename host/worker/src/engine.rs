//! The wasmtime engine: one set of tunables for worker and compile helper, and the ticker behind deadlines.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use standfast_core::config::instance::WARM_MAX;
use standfast_core::config::worker::EngineKind;
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Config, Engine, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::bindings::Everything;
use crate::grants::MEMORY_MAX;
use crate::host::lookup;
use crate::session::Session;

/// Calls that can run at the same time, and instances that checks keep; every one has a slot of the pool.
const SLOTS: u32 = 64 + WARM_MAX as u32;
/// Core instances of one component: a Python one has 14.
const INSTANCES: u32 = 24;
/// Memories and tables of one component: JavaScript has two of each, Python two tables.
const MEMORIES: u32 = 2;
const TABLES: u32 = 4;
/// The interpreter's code, for this machine's byte order.
const PULLEY: &str = if cfg!(target_endian = "little") {
    "pulley64"
} else {
    "pulley64be"
};
/// How often a spinning plugin is interrupted.
const TICK: Duration = Duration::from_millis(1);

/// What every call needs: engine, imports, ticker.
pub(crate) struct Machine {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<Session>,
    /// Whether instances have a place of their own from the start.
    pub(crate) pooled: bool,
    ticker: Arc<Ticker>,
}

impl Machine {
    /// Reserves the pool, or goes on without it where address space is limited.
    pub(crate) fn new(kind: EngineKind) -> Result<Self, String> {
        let failed = |error: wasmtime::Error| format!("cannot set up wasmtime: {error:#}");
        let (engine, pooled) = match pooled(kind).and_then(|config| Engine::new(&config)) {
            Ok(engine) => (engine, true),
            Err(error) => {
                eprintln!("standfast-worker: no instance pool, calls will be slower: {error}");
                (compiler(kind).map_err(failed)?, false)
            }
        };
        let linker = link(&engine).map_err(|error| format!("cannot link the plugin interface: {error:#}"))?;
        let ticker =
            Ticker::start(engine.weak()).map_err(|error| format!("cannot start a thread: {error}"))?;
        Ok(Self {
            engine,
            linker,
            pooled,
            ticker,
        })
    }

    /// Keeps the epoch moving until dropped.
    pub(crate) fn tick(&self) -> Ticking {
        self.ticker.change(|users| users + 1);
        Ticking(Arc::clone(&self.ticker))
    }
}

/// An engine that compiles for the worker's: same tunables, so the compatibility hash is the same, but no pool.
pub(crate) fn compiler(kind: EngineKind) -> wasmtime::Result<Engine> {
    Engine::new(&tunables(kind)?)
}

fn tunables(kind: EngineKind) -> wasmtime::Result<Config> {
    let mut config = Config::new();
    match kind {
        EngineKind::Native => {}
        EngineKind::Pulley => {
            config.target(PULLEY)?;
        }
    }
    config
        .epoch_interruption(true)
        .concurrency_support(false)
        .wasm_memory64(false)
        .max_wasm_stack(512 << 10)
        .memory_reservation(MEMORY_MAX as u64)
        .memory_reservation_for_growth(0)
        .memory_guard_size(32 << 20)
        .generate_address_map(false);
    Ok(config)
}

fn pooled(kind: EngineKind) -> wasmtime::Result<Config> {
    let mut pool = PoolingAllocationConfig::new();
    // What each component may have at most is there for each call: none takes from another.
    pool.total_component_instances(SLOTS)
        .total_memories(SLOTS * MEMORIES)
        .max_memories_per_component(MEMORIES)
        .total_stacks(SLOTS)
        .total_tables(SLOTS * TABLES)
        .max_tables_per_component(TABLES)
        .total_core_instances(SLOTS * INSTANCES)
        .max_core_instances_per_component(INSTANCES)
        .table_elements(100_000)
        .max_memory_size(MEMORY_MAX)
        .linear_memory_keep_resident(64 << 10)
        .table_keep_resident(16 << 10);
    let mut config = tunables(kind)?;
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Ok(config)
}

/// Offers everything to everyone: what is granted is decided at the call.
fn link(engine: &Engine) -> wasmtime::Result<Linker<Session>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    Everything::add_to_linker::<_, HasSelf<_>>(&mut linker, |session| session)?;
    lookup::shadow(&mut linker)?;
    Ok(linker)
}

/// Moves the engine's epoch each millisecond while a call is in flight, and sleeps otherwise.
struct Ticker {
    users: Mutex<usize>,
    wake: Condvar,
}

impl Ticker {
    fn start(engine: EngineWeak) -> std::io::Result<Arc<Self>> {
        let ticker = Arc::new(Self {
            users: Mutex::new(0),
            wake: Condvar::new(),
        });
        let own = Arc::clone(&ticker);
        thread::Builder::new().name("ticker".into()).spawn(move || {
            while let Some(engine) = engine.upgrade() {
                own.until_used();
                engine.increment_epoch();
                thread::sleep(TICK);
            }
        })?;
        Ok(ticker)
    }

    fn until_used(&self) {
        let users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.wake.wait_while(users, |users| *users == 0));
    }

    fn change(&self, step: impl FnOnce(usize) -> usize) {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = *users == 0;
        *users = step(*users);
        if idle && *users > 0 {
            self.wake.notify_one();
        }
    }
}

/// A call in flight.
pub(crate) struct Ticking(Arc<Ticker>);

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.change(|users| users.saturating_sub(1));
    }
}
