//! Free TCP ports on the loopback address.

pub mod owner;

use std::net::{Ipv4Addr, TcpListener};

/// Ports below the range from which Linux takes the local end of outgoing connections.
///
/// A server that is stopped and started on the same port must find it free again, and an outgoing connection of
/// anybody could have taken a port of the ephemeral range in between.
const RANGE: std::ops::Range<u16> = 15_000..32_000;

/// How many random ports are tried before the kernel is asked for any.
const TRIES: u32 = 200;

/// A port that nobody listens on at this moment.
pub fn free() -> std::io::Result<u16> {
    for _ in 0..TRIES {
        let port = rand::random_range(RANGE);
        if is_free(port) {
            return Ok(port);
        }
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// Whether a server could bind this port on the loopback address now.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// The preferred port if it is free, else any free one.
pub fn preferred_or_free(preferred: Option<u16>) -> std::io::Result<u16> {
    match preferred {
        Some(port) if is_free(port) => Ok(port),
        _ => free(),
    }
}
