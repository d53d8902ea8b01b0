//! What a call carries through wasmtime, and its limits. Dropped when the call ends, unless its check keeps it warm.

use std::sync::Arc;
use std::time::{Duration, Instant};

use standfast_core::plugin::call::CallError;
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, ResourceLimiter, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::grants::MEMORY_MAX;
use crate::scope::{Facts, Scope};
use crate::stdio::Output;
use crate::wasi;

/// Bytes that one call of the host may take from a plugin.
const HOSTCALL_BYTES: usize = 1 << 20;
/// Handles that a plugin may hold at a time.
const HANDLES_MAX: usize = 1000;
/// Resources of the host behind them: sockets, streams, folders.
const RESOURCES_MAX: usize = 256;
/// Core instances, memories and tables of one component.
const PARTS_MAX: usize = 200;
/// Elements of one table.
const TABLE_MAX: usize = 100_000;

/// One call, as wasmtime sees it.
pub(crate) struct Session {
    pub(crate) scope: Scope,
    pub(crate) limits: Limits,
    pub(crate) output: Output,
    wasi: WasiCtx,
    table: ResourceTable,
}

/// A spinning plugin has reached its deadline.
#[derive(Debug, thiserror::Error)]
#[error("deadline reached while computing")]
pub(crate) struct Overdue;

impl Session {
    /// A store for one call, with every limit set.
    pub(crate) async fn store(engine: &Engine, scope: Scope) -> Result<Store<Self>, CallError> {
        let output = Output::new(Arc::clone(&scope.subject), scope.facts.grants.log_per_second);
        let wasi = wasi::context(&scope, &output).await?;
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES_MAX);
        let limits = Limits::new(scope.facts.grants.memory);
        let mut store = Store::new(
            engine,
            Self {
                scope,
                limits,
                output,
                wasi,
                table,
            },
        );
        store.limiter(|session| &mut session.limits);
        store.set_hostcall_fuel(HOSTCALL_BYTES);
        store.set_max_component_handles(HANDLES_MAX);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|context| {
            if Instant::now() >= context.data().scope.deadline {
                return Err(Overdue.into());
            }
            // Not `Yield`: that one wakes into tokio's LIFO slot and starves every other call.
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        });
        Ok(store)
    }

    /// Makes the store of a call that has ended well ready for the next one of the same check.
    pub(crate) fn begin_again(store: &mut Store<Self>, facts: Facts, received: Instant, timeout: Duration) {
        let session = store.data_mut();
        session.scope.begin_again(facts, received, timeout);
        session.output.forget();
        store.set_epoch_deadline(1);
    }
}

impl WasiView for Session {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// Memory and tables of one call, all instances together.
pub(crate) struct Limits {
    /// Most bytes of linear memory.
    pub(crate) memory: usize,
    /// Whether more was asked for: a plugin out of memory traps like any other.
    pub(crate) refused: bool,
    /// Bytes of linear memory so far: it never shrinks.
    pub(crate) used: usize,
}

impl Limits {
    fn new(granted: u64) -> Self {
        let memory = usize::try_from(granted).unwrap_or(MEMORY_MAX).min(MEMORY_MAX);
        Self {
            memory,
            refused: false,
            used: 0,
        }
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.memory {
            self.refused = true;
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_MAX)
    }

    fn instances(&self) -> usize {
        PARTS_MAX
    }

    fn tables(&self) -> usize {
        PARTS_MAX
    }

    fn memories(&self) -> usize {
        PARTS_MAX
    }
}
