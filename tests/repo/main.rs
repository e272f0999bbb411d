//! Rules of the repository, checked without servers: arrows that never exist, names that fit, documents that
//! are current.

mod arrows;
mod catalogue;
mod generated;
mod sources;
mod tidy;
mod usage;
