//! Benchmarks that print a figure, its floor of the same run and their ratio.
//!
//! `cargo bench -p arcadia-tests` runs all of them, with names only those:
//! `cargo bench -p arcadia-tests -- outbox sync inventory usage quote metering`. The programs must be built:
//! `cargo build --release --bins`.

mod floor;
mod inventory;
mod load;
mod machine;
mod metering;
mod outbox;
mod quote;
mod sync;
mod usage;

#[tokio::main]
async fn main() {
    let chosen: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name: &str| chosen.is_empty() || chosen.iter().any(|choice| choice == name);
    machine::print();
    if wanted("outbox") {
        outbox::run().await;
    }
    if wanted("sync") {
        sync::run().await;
    }
    if wanted("inventory") {
        inventory::run().await;
    }
    if wanted("usage") {
        usage::run().await;
    }
    if wanted("quote") {
        quote::run().await;
    }
    if wanted("metering") {
        metering::run().await;
    }
}
