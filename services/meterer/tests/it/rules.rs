//! The metering statement and the domain's rule are the same rule, on generated histories.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use contracts::{
    meterer::Granularity,
    syncer::{ResourceKind, ResourceState},
};
use meterer::domain::accrual::{self, State};
use money::Decimal;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde_json::Value;

use crate::lab::{Lab, date, deployment, handle, resource};

const DAYS: [&str; 4] = ["2028-02-29", "2026-02-28", "2026-04-15", "2026-05-31"];
const KINDS: [(ResourceKind, &str); 5] = [
    (ResourceKind::Droplet, "droplet_hours"),
    (ResourceKind::SpacesBucket, "spaces_gb_month"),
    (ResourceKind::Snapshot, "snapshot_gb_month"),
    (ResourceKind::DropletBackup, "droplet_backup_gb_month"),
    (ResourceKind::DnsZone, "dns_zones"),
];

type Told = (ResourceState, DateTime<Utc>);

/// States around a day, on its bounds and the hours' more often than chance would.
fn history(rng: &mut StdRng, number: u128, day: NaiveDate) -> Vec<Told> {
    let midnight = day.and_hms_opt(0, 0, 0).unwrap().and_utc();
    let (kind, _) = KINDS[rng.random_range(0..KINDS.len())].clone();
    let mut times: Vec<DateTime<Utc>> = (0..rng.random_range(1..=6))
        .map(|_| {
            let at = midnight + TimeDelta::minutes(30 * rng.random_range(-60..108));
            at - TimeDelta::microseconds(rng.random_range(0..=1))
        })
        .collect();
    times.sort();
    (1..)
        .zip(times)
        .map(|(version, at)| {
            let sizes = [None, Some("0"), Some("0.000001"), Some("17.25"), Some("999999999.999999")];
            let mut state = resource(number, kind.clone(), sizes[rng.random_range(0..sizes.len())]);
            state.version = version;
            state.status = ["active", "off"][rng.random_range(0..2)].to_owned();
            state.deployment_id =
                (rng.random_range(0..4) > 0).then(|| deployment(rng.random_range(900..903)));
            state.deleted_at = (rng.random_range(0..4) == 0).then_some(at);
            (state, at)
        })
        .collect()
}

/// What the domain says the histories come to: key → quantity, or unknown.
fn expected(
    histories: &[Vec<Told>],
    day: NaiveDate,
    granularity: Granularity,
) -> BTreeMap<(u128, String), Option<Decimal>> {
    let mut records = BTreeMap::new();
    for told in histories {
        let states: Vec<State> = told
            .iter()
            .map(|(state, at)| State {
                version: state.version,
                from_at: *at,
                deleted: state.deleted_at.is_some(),
            })
            .collect();
        for period in accrual::periods(day, granularity) {
            let Some(state) = accrual::in_force(&states, &period) else { continue };
            let (state, _) = told.iter().find(|(told, _)| told.version == state.version).unwrap();
            let Some(deployment) = state.deployment_id else { continue };
            let meter = accrual::meters()
                .into_iter()
                .find(|meter| meter.resource_kind == state.kind.as_str())
                .expect("a metered kind");
            let size = state.attrs.get("size_gigabytes").and_then(Value::as_str);
            let size = size.map(|size| size.parse().unwrap());
            let quantity = accrual::quantity(meter.measure, &state.status, size, &period);
            let key = format!("{} {} {}", deployment, meter.billing_kind, period.start);
            records.insert((state.id.as_uuid().as_u128(), key), quantity);
        }
    }
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn the_statement_and_the_domain_agree_on_any_history() {
    let lab = Lab::start("2028-03-02T00:00:00Z").await;
    for seed in 0..24 {
        let mut rng = StdRng::seed_from_u64(seed);
        let day = date(DAYS[rng.random_range(0..DAYS.len())]);
        let granularity = [Granularity::Daily, Granularity::Hourly][usize::try_from(seed % 2).unwrap()];
        let histories: Vec<Vec<Told>> = (1..=40).map(|number| history(&mut rng, number, day)).collect();

        // Rolled back at the end: every case starts from nothing.
        let mut tx = lab.meterer.pool.begin().await.unwrap();
        sqlx::query!(
            "update meterer.metering_config set granularity = $1, retention_days = 3650",
            granularity.as_str()
        )
        .execute(&mut *tx)
        .await
        .unwrap();
        let mut told: Vec<&Told> = histories.iter().flatten().collect();
        told.shuffle(&mut rng);
        for (state, at) in told {
            handle(&lab.meterer, &mut tx, state.clone(), &at.to_rfc3339()).await;
        }
        let now = "2028-03-02T00:00:00Z".parse().unwrap();
        let metered = meterer::store::metering::meter_day(&mut tx, day, now).await.unwrap();

        let rows = sqlx::query!(
            r#"select deployment_id, resource_id, billing_kind, period_start, qty from meterer.usage_records"#
        )
        .fetch_all(&mut *tx)
        .await
        .unwrap();
        let actual: BTreeMap<(u128, String), Decimal> = rows
            .into_iter()
            .map(|row| {
                let key = format!("{} {} {}", row.deployment_id, row.billing_kind, row.period_start);
                ((row.resource_id.as_u128(), key), row.qty)
            })
            .collect();
        let expected = expected(&histories, day, granularity);
        let known: BTreeMap<(u128, String), Decimal> =
            expected.iter().filter_map(|(key, qty)| Some((key.clone(), (*qty)?))).collect();
        let differ = |(key, qty): &(&(u128, String), &Decimal)| actual.get(*key) != Some(*qty);
        assert_eq!(known.iter().find(differ), None, "seed {seed}, {day}, {granularity}");
        assert_eq!(actual.len(), known.len(), "seed {seed}, {day}, {granularity}");
        assert!(!known.is_empty());

        let mut unknown: Vec<u128> =
            expected.iter().filter(|(_, qty)| qty.is_none()).map(|((resource, _), _)| *resource).collect();
        unknown.dedup();
        assert_eq!(metered.unmetered, unknown.len() as u64, "seed {seed}");
        assert_eq!(metered.records, known.len() as u64, "seed {seed}");
    }
}
