//! Meterer as it is deployed: a process of its own, from its start to the last event.

use std::time::{Duration, Instant};

use contracts::Service;
use test_support::{within, world::terminate};

use super::{Producer, Progress, Run, lab::Lab};
use crate::machine;

/// How often the position is looked at: what it costs Postgres is ours.
const LOOK: Duration = Duration::from_millis(10);

pub async fn take(lab: &mut Lab, events: u64, producer: Producer) -> Run {
    let plan = lab.plan(events);
    let before = lab.empty_stream().await;
    if producer == Producer::Before {
        lab.publish(&plan).await;
    }
    lab.settle().await;
    let cpu = lab.cpu(0);
    let meterer = lab.world.run(Service::Meterer, Vec::new());
    let pid = meterer.process.pid();
    let mut beside = None;
    if producer == Producer::Beside {
        within(Duration::from_secs(30), "meterer follows the stream", async || {
            let printed = meterer.printed();
            if printed.contains("following") { Ok(()) } else { Err(printed) }
        })
        .await;
        beside = Some((lab.start_producer(plan.clone()), Instant::now()));
    }
    let (mut progress, mut published) = (Progress::default(), None);
    while progress.committed() < events {
        tokio::time::sleep(LOOK).await;
        let position: Option<i64> = sqlx::query_scalar("select sequence from usage_position")
            .fetch_optional(&mut lab.superuser)
            .await
            .expect("the position can be read");
        let committed = position.map_or(0, i64::unsigned_abs).saturating_sub(before);
        progress.note(Instant::now(), committed);
        if let Some((program, begun)) = &beside
            && published.is_none()
            && program.process.status().is_some()
        {
            published = Some(begun.elapsed());
        }
    }
    let after = lab.cpu(pid);
    let resident = machine::resident_kib(pid).1;
    terminate(&meterer).await;
    let commits = lab.check(&plan).await;
    let (events, elapsed) = progress.between();
    let cpu = std::array::from_fn(|part| after[part].saturating_sub(cpu[part]));
    Run {
        events,
        elapsed,
        commits,
        cpu,
        producer: published.or(beside.map(|(_, begun)| begun.elapsed())),
        resident,
    }
}
