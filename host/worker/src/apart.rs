//! Threads of one check or hook with folders: what hangs there hangs alone.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// Those that may hang in the file system.
const BLOCKING_MAX: usize = 4;

/// A runtime of its own, for wasmtime-wasi gives no bound to threads that hang in the file system.
pub(crate) struct Apart(Option<Runtime>);

impl Apart {
    /// None are made before there is work.
    pub(crate) fn new() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(BLOCKING_MAX)
            .thread_name("folders")
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Where to run such a call.
    pub(crate) fn handle(&self) -> Option<&Handle> {
        self.0.as_ref().map(Runtime::handle)
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // Whoever drops it must not wait for threads that hang.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
