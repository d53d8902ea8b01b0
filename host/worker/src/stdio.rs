//! Standard output and error of a plugin, as log lines: every language's natural log.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use standfast_core::plugin::channel::LogLevel;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::subject::Subject;
use crate::text::LINE_MAX;

/// Most bytes of one write.
const WRITE_MAX: usize = 4096;

/// Both streams of one call.
#[derive(Clone)]
pub(crate) struct Output(Arc<Mutex<Lines>>);

struct Lines {
    subject: Arc<Subject>,
    per_second: u32,
    begun: Vec<u8>,
    last: String,
}

impl Output {
    /// Lines of this subject, at most `per_second`.
    pub(crate) fn new(subject: Arc<Subject>, per_second: u32) -> Self {
        let lines = Lines {
            subject,
            per_second,
            begun: Vec::new(),
            last: String::new(),
        };
        Self(Arc::new(Mutex::new(lines)))
    }

    /// Sends a line that has no end yet, and gives the last one that was not empty.
    pub(crate) fn finish(&self) -> String {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.end();
        lines.last.clone()
    }

    /// Another call begins: what this one said are not its last words.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last.clear();
    }

    fn take(&self, bytes: &[u8]) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for byte in bytes {
            if *byte == b'\n' {
                lines.end();
            } else if lines.begun.len() < LINE_MAX {
                lines.begun.push(*byte);
            }
        }
    }
}

impl Lines {
    fn end(&mut self) {
        let line = String::from_utf8_lossy(&self.begun).trim().to_owned();
        self.begun.clear();
        if !line.is_empty() {
            self.subject.log(self.per_second, LogLevel::Info, &line);
            // Rust's last line after a panic is advice, not a reason.
            if !line.starts_with("note: ") {
                self.last = line;
            }
        }
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_MAX)
    }
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
