//! Standard output, whose reader may leave (`| head`): that ends a program quietly.

use std::io::{ErrorKind, Write};

use crate::status_code::{Code, Failure};

/// Writes one line.
pub(super) fn say(line: &str) -> Result<(), Failure> {
    write(&format!("{line}\n"))
}

/// Writes text as it is.
pub(super) fn write(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| {
            if error.kind() == ErrorKind::BrokenPipe {
                // Nothing to tell, and nobody to tell it to.
                return Failure::new(Code::Ok, "");
            }
            Failure::new(Code::Runtime, format!("standard output: {error}"))
        })
}
