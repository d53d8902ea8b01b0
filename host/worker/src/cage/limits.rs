//! The numbers behind the limits of this process and of a compiler.

use std::thread;

/// CPU seconds a compiler may take, all its threads together.
pub(crate) const COMPILE_SECONDS: u64 = 60;
/// Address space a compiler may take, and for each of its threads what is set aside rather than used.
pub(crate) const COMPILE_SPACE: u64 = 2 << 30;
const THREAD_SPACE: u64 = 72 << 20;
/// Address space the worker may take beyond its pool.
pub(crate) const SPACE: u64 = 4 << 30;
/// Largest file that is written: a cache entry.
pub(crate) const FILE_MAX: u64 = 1 << 30;
/// Open files: calls, their sockets, the cache.
pub(crate) const FILES: u64 = 4096;
/// Threads of an account of its own: lanes, and what may hang in the kernel.
pub(crate) const THREADS: u64 = 1024;

/// Address space of a compiler with so many threads.
pub(crate) fn compile_space(threads: u64) -> u64 {
    COMPILE_SPACE + threads * THREAD_SPACE
}

/// Threads that a compiler uses.
pub(crate) fn threads() -> u64 {
    thread::available_parallelism().map_or(1, |count| count.get() as u64)
}
