//! The listening socket: bound by us, or handed over so that a successor can share it.

use std::{io, net::SocketAddr, os::fd::AsFd};

use tokio::net::TcpListener;

/// Whose the socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Bound by this process: nobody serves its queue after us.
    Bound,
    /// Handed over on standard input: others serve it beside and after us.
    Shared,
}

/// A socket that listens.
#[derive(Debug)]
pub struct Listening {
    /// The socket.
    pub listener: TcpListener,
    /// Whose it is.
    pub source: Source,
}

impl Listening {
    /// Binds an address.
    pub async fn bind(addr: SocketAddr) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(addr).await?, source: Source::Bound })
    }

    /// Takes the socket that is standard input.
    pub fn from_stdin() -> io::Result<Self> {
        // A copy of the descriptor: standard input itself stays as it was.
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        let listener = std::net::TcpListener::from(socket);
        // Fails here rather than at the first connection when standard input is something else.
        listener.local_addr()?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener: TcpListener::from_std(listener)?, source: Source::Shared })
    }

    /// Where it listens.
    pub fn addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
