//! The gateway from outside.

mod configuration;
mod connections;
mod documents;
mod live;
mod refusals;
mod restarts;
mod rotation;
mod support;
mod tokens;
