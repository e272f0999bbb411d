//! What meterer decides: pure, without clock, database or messages.

pub mod accrual;
pub mod calendar;
pub mod gigabytes;
pub mod llm_usage;
pub mod producers;
pub mod retention;
