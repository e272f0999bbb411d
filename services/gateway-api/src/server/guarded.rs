//! A connection's bytes, guarded: a reader that takes nothing is cut off, a refusal that the HTTP library writes
//! by itself gets the body that every refusal has, and a connection is closed so that its last answer arrives.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::StatusCode;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use crate::edge;

/// How long a write may wait for the other side to take anything.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to read on after the last answer. Closing a socket with bytes unread discards what was sent.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// The stream with its guards.
pub(super) struct Guarded {
    stream: TcpStream,
    /// Runs while a write waits.
    stall: Option<Pin<Box<Sleep>>>,
    /// Runs after our side was closed.
    linger: Option<Pin<Box<Sleep>>>,
    /// What is still to be written in place of something the library wrote.
    replacement: Vec<u8>,
}

impl Guarded {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, stall: None, linger: None, replacement: Vec::new() }
    }

    /// Passes a write's outcome on, or the end of patience.
    fn watch<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stall = None;
            return outcome;
        }
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(STALL_TIMEOUT)));
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_replacement(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.replacement.is_empty() {
            let outcome = Pin::new(&mut self.stream).poll_write(cx, &self.replacement);
            let written = ready!(self.watch(cx, outcome))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.replacement.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    /// Takes a bare refusal in place of writing it, if that is what this is.
    fn replaces(&mut self, bytes: &[u8]) -> bool {
        let Some(status) = bare_refusal(bytes) else { return false };
        self.replacement = edge::bare_refusal(status);
        true
    }
}

/// The status of a refusal that the library wrote by itself: a head of 4xx without our request id, which all of
/// our own answers carry. No body of ours begins like a head.
fn bare_refusal(bytes: &[u8]) -> Option<StatusCode> {
    let status = bytes.strip_prefix(b"HTTP/1.1 ").or_else(|| bytes.strip_prefix(b"HTTP/1.0 "))?.get(..3)?;
    if status[0] != b'4' {
        return None;
    }
    let marker = edge::REQUEST_ID.as_str().as_bytes();
    if bytes.windows(marker.len()).any(|window| window.eq_ignore_ascii_case(marker)) {
        return None;
    }
    StatusCode::from_bytes(status).ok()
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_replacement(cx))?;
        if self.replaces(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_replacement(cx))?;
        if slices.first().is_some_and(|first| self.replaces(first)) {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watch(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_replacement(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_replacement(cx))?;
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.linger = Some(Box::pin(sleep(LINGER_TIMEOUT)));
        }
        let this = &mut *self;
        let mut discarded = [0_u8; 4096];
        loop {
            if let Some(linger) = &mut this.linger
                && linger.as_mut().poll(cx).is_ready()
            {
                return Poll::Ready(Ok(()));
            }
            let mut buf = ReadBuf::new(&mut discarded);
            match ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buf)) {
                Ok(()) if buf.filled().is_empty() => return Poll::Ready(Ok(())),
                Ok(()) => {}
                // The other side is gone, which is as good as closed.
                Err(_) => return Poll::Ready(Ok(())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_library_wrote_by_itself_is_replaced() {
        let bare =
            b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(bare_refusal(bare), Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
        for ours in [
            &b"HTTP/1.1 404 Not Found\r\nx-request-id: abc\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"{\"detail\":\"HTTP/1.1 400\"}",
            b"",
        ] {
            assert_eq!(bare_refusal(ours), None);
        }
    }
}
