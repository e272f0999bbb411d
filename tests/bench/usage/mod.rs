//! Lines 9 and 10: LLM usage from `USAGE` into the sums, with ten million requests stored before: catching up, with the
//! producer beside it, and how soon it is visible; against a bare loop of the same statements. Memory, and the speed on
//! empty tables.
//!
//! `BENCH_STORED`, `BENCH_EVENTS` and `BENCH_RATE` make it smaller, to try it out; `BENCH_ROUNDS` makes it longer.

mod floor;
mod lab;
mod latency;
mod ours;

use std::time::{Duration, Instant};

use lab::{Lab, MODELS, SINCE_DAYS, TARGETS};

/// When events are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Producer {
    /// All of them, before anybody reads.
    Before,
    /// As they are read, as fast as they are acknowledged.
    Beside,
}

/// What came of one run.
pub struct Run {
    /// Events after the first committed batch.
    pub events: u64,
    /// From the first committed batch to the last.
    pub elapsed: Duration,
    /// Transactions.
    pub commits: u64,
    /// CPU of whoever took the events, of Postgres, of nats-server, over the whole run.
    pub cpu: [Duration; 3],
    /// How long the producer beside it took.
    pub producer: Option<Duration>,
    /// Highest resident memory of meterer, in KiB.
    pub resident: u64,
}

impl Run {
    fn per_second(&self) -> f64 {
        self.events as f64 / self.elapsed.as_secs_f64()
    }
}

/// The first and the last commit of a run.
#[derive(Debug, Default)]
pub struct Progress {
    first: Option<(Instant, u64)>,
    last: Option<(Instant, u64)>,
}

impl Progress {
    /// So many events are committed by now.
    pub fn note(&mut self, at: Instant, committed: u64) {
        if committed > self.last.map_or(0, |(_, before)| before) {
            self.first.get_or_insert((at, committed));
            self.last = Some((at, committed));
        }
    }

    /// So many are committed.
    pub fn committed(&self) -> u64 {
        self.last.map_or(0, |(_, committed)| committed)
    }

    /// Events and time between the first commit and the last.
    pub fn between(&self) -> (u64, Duration) {
        let (first, last) = (self.first.expect("something came"), self.last.expect("something came"));
        (last.1 - first.1, last.0 - first.0)
    }
}

pub async fn run() {
    let stored = setting("BENCH_STORED", 10_000_000);
    let events = setting("BENCH_EVENTS", 300_000);
    let rounds = setting("BENCH_ROUNDS", 3);
    println!("\n# usage: {events} events a run, {stored} requests stored before, middle of {rounds} runs");
    let mut lab = Lab::start(stored).await;
    println!(
        "setting: {TARGETS} deployments × {MODELS} models = {} sums a day; stored: {SINCE_DAYS} days",
        TARGETS * MODELS
    );
    println!(
        "floor: fetch 1 000 ahead, bare serde, meterer's own statements in one transaction, ack; one worker: AckPolicy::All, \
         last acked twice; two workers: each message acked; the faster counts"
    );

    let mut resident = 0;
    let mut empty = Vec::new();
    for _ in 0..rounds {
        lab.clear().await;
        empty.push(ours::take(&mut lab, events, Producer::Before).await);
    }
    let empty = middle("ours, empty tables", empty, &mut resident);

    lab.clear().await;
    let begun = Instant::now();
    lab.fill().await;
    println!("stored {stored} requests in {:.0} s; {}", begun.elapsed().as_secs_f64(), lab.size().await);

    let mut full = None;
    for (producer, what) in [
        (Producer::Before, "catching up"),
        (Producer::Beside, "with the producer (atomic batches of 500) beside it"),
    ] {
        println!("-- {what}");
        let (mut ones, mut twos, mut own) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            ones.push(floor::take(&mut lab, events, producer, 1).await);
            own.push(ours::take(&mut lab, events, producer).await);
            twos.push(floor::take(&mut lab, events, producer, 2).await);
        }
        let one = middle("floor, one worker", ones, &mut 0);
        let two = middle("floor, two workers", twos, &mut 0);
        let own = middle("ours", own, &mut resident);
        println!("ratio to the faster floor: {:.2} (wanted: at least 0.60)", own / one.max(two));
        full.get_or_insert(own);
    }
    println!("-- empty tables against {stored} requests stored");
    let full = full.expect("it was measured");
    let differs = (empty - full).abs() / empty.max(full) * 100.0;
    println!("empty {empty:.0}/s, full {full:.0}/s: differ by {differs:.0} % (wanted: at most 25 %)");
    println!("meterer resident: at most {:.1} MiB (wanted: at most 96)", resident as f64 / 1024.0);

    latency::run(&mut lab, setting("BENCH_RATE", 2_000)).await;
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Prints all runs and returns the middle rate.
fn middle(what: &str, mut runs: Vec<Run>, resident: &mut u64) -> f64 {
    runs.sort_by(|one, other| one.per_second().total_cmp(&other.per_second()));
    let all: Vec<String> = runs.iter().map(|run| format!("{:.0}", run.per_second())).collect();
    *resident = runs.iter().map(|run| run.resident).fold(*resident, u64::max);
    let run = &runs[runs.len() / 2];
    let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / run.events as f64;
    let [taker, postgres, nats] = run.cpu.map(each);
    let producer = run.producer.map_or(String::new(), |elapsed| {
        format!(
            "; all was published after {:.1} s of {:.1}",
            elapsed.as_secs_f64(),
            run.elapsed.as_secs_f64()
        )
    });
    println!(
        "{what}: {:.0}/s ({}); {} events a commit; µs of CPU an event: loop {taker:.1}, Postgres {postgres:.1}, nats-server {nats:.1}{producer}",
        run.per_second(),
        all.join(", "),
        run.events / run.commits,
    );
    run.per_second()
}
