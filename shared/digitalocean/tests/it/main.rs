//! The client against a scripted peer: hostile, slow, broken and rate-limiting answers, and what becomes of
//! them. The peer is a real socket, so that what is tested is what goes over the wire.

mod billing;
mod listings;
mod outages;
mod peer;
mod rate;
mod secrets;
mod writes;
