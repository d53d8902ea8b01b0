//! Frames: a little-endian `u32` length and that many bytes of postcard, as `standfast_core::plugin::channel` says.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use standfast_core::plugin::channel::FRAME_MAX;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Why the channel ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChannelError {
    /// Longer than anyone has a reason to send.
    #[error("a frame of {0} bytes came, {FRAME_MAX} is the limit")]
    Oversized(usize),
    /// Not what this version speaks.
    #[error("a frame cannot be read: {0}")]
    Garbled(#[from] postcard::Error),
    /// The socket failed.
    #[error("the channel failed: {0}")]
    Io(#[from] io::Error),
}

/// Next message; `None` when the other side has closed between two frames.
pub(crate) async fn read<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
) -> Result<Option<T>, ChannelError> {
    let mut length = [0; 4];
    if from.read(&mut length[..1]).await? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut length[1..]).await?;
    let length = u32::from_le_bytes(length) as usize;
    if length > FRAME_MAX {
        return Err(ChannelError::Oversized(length));
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).await?;
    Ok(Some(postcard::from_bytes(&body)?))
}

/// Sends one message with one write. One that is too long is left out: whoever waits for it runs into a deadline, and
/// all others go on.
pub(crate) async fn write<T: Serialize>(
    to: &mut (impl AsyncWrite + Unpin),
    message: &T,
) -> Result<(), ChannelError> {
    let mut frame = postcard::to_extend(message, vec![0; 4])?;
    let length = frame.len() - 4;
    if length > FRAME_MAX {
        eprintln!(
            "standfast-worker: a message of {length} bytes is not sent, {FRAME_MAX} is the limit of a frame"
        );
        return Ok(());
    }
    let prefix = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    frame[..4].copy_from_slice(&prefix);
    Ok(to.write_all(&frame).await?)
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn a_message_that_is_too_long_is_left_out() {
        let runtime = Builder::new_current_thread().build().unwrap();
        let mut sent = Vec::new();
        let mut told = |text: String| runtime.block_on(write(&mut sent, &text)).unwrap();
        told("x".repeat(FRAME_MAX));
        told("short".into());
        let next: Option<String> = runtime.block_on(read(&mut sent.as_slice())).unwrap();
        assert_eq!(next.as_deref(), Some("short"));
    }
}
