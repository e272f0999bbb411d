//! What meterer decides: pure, without clock, database or messages.

pub mod gigabytes;
