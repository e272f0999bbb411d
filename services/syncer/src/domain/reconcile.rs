//! What a page of a listing means for the inventory: which resources are new, which changed, which are back.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use contracts::{
    ids::ResourceId,
    syncer::{ResourceKind, ResourceState},
};

use super::{
    change::{Change, Happening, differences},
    observation::{Observed, PROVIDER, STATUS_UNKNOWN},
};

/// Attributes that an operator sets; what the provider shows never replaces them.
const OPERATOR_ATTRS: [&str; 1] = [ATTR_PURPOSE];
/// What a zone outside every project is for, in an operator's words.
pub const ATTR_PURPOSE: &str = "purpose";

/// As much of a row as it takes to see whether it changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Our id.
    pub id: ResourceId,
    /// The provider's id.
    pub provider_id: String,
    /// The stored fingerprint; empty for what the provider has not described yet.
    pub content_hash: Vec<u8>,
    /// Whether it is marked deleted.
    pub deleted: bool,
}

/// The rows of a page that need more than a bump.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Differing {
    /// Not in the inventory.
    pub unknown: Vec<Observed>,
    /// In the inventory with another content, or marked deleted.
    pub changed: Vec<(ResourceId, Observed)>,
}

/// Sorts a page by comparing fingerprints. A row that came twice counts once.
pub fn compare(page: Vec<Observed>, known: &[Known]) -> Differing {
    let known: HashMap<&str, &Known> = known.iter().map(|row| (row.provider_id.as_str(), row)).collect();
    let mut taken = HashSet::with_capacity(page.len());
    let mut differing = Differing::default();
    for observed in page {
        if !taken.insert(observed.provider_id.clone()) {
            continue;
        }
        match known.get(observed.provider_id.as_str()) {
            None => differing.unknown.push(observed),
            Some(row) if row.deleted || row.content_hash != observed.fingerprint.as_bytes() => {
                differing.changed.push((row.id, observed));
            }
            Some(_) => {}
        }
    }
    differing
}

/// A resource that a sync meets for the first time.
pub fn discover(id: ResourceId, observed: &Observed, now: DateTime<Utc>) -> Change {
    let state = ResourceState {
        id,
        provider: PROVIDER.to_owned(),
        kind: observed.kind.clone(),
        provider_id: observed.provider_id.clone(),
        name: observed.name.clone(),
        status: observed.status.clone(),
        region: observed.region.clone(),
        attrs: observed.attrs_map(),
        cloud_project_id: None,
        tenant_id: None,
        deployment_id: None,
        first_seen_at: now,
        deleted_at: None,
        version: 1,
    };
    Change { state, happening: Happening::Discovered }
}

/// A resource that only a project's URN tells of: all there is, is its name.
pub fn discover_member(
    id: ResourceId,
    kind: ResourceKind,
    provider_id: String,
    now: DateTime<Utc>,
) -> ResourceState {
    ResourceState {
        id,
        provider: PROVIDER.to_owned(),
        kind,
        name: provider_id.clone(),
        provider_id,
        status: STATUS_UNKNOWN.to_owned(),
        region: None,
        attrs: serde_json::Map::new(),
        cloud_project_id: None,
        tenant_id: None,
        deployment_id: None,
        first_seen_at: now,
        deleted_at: None,
        version: 1,
    }
}

/// What the provider's present word makes of a row whose fingerprint differs. `None`: nothing that is kept
/// differs (the fingerprint was made by an older version of ours), so only the fingerprint is stored.
pub fn reconcile(before: &ResourceState, observed: &Observed) -> Option<Change> {
    let mut attrs = observed.attrs_map();
    for name in OPERATOR_ATTRS {
        if let Some(value) = before.attrs.get(name) {
            attrs.insert(name.to_owned(), value.clone());
        }
    }
    let after = ResourceState {
        name: observed.name.clone(),
        status: observed.status.clone(),
        region: observed.region.clone(),
        attrs,
        deleted_at: None,
        ..before.clone()
    };
    settle(before, after)
}

/// A resource that was marked deleted and that a project's URN tells of again.
pub fn restore_member(before: &ResourceState) -> Option<Change> {
    settle(before, ResourceState { status: STATUS_UNKNOWN.to_owned(), deleted_at: None, ..before.clone() })
}

fn settle(before: &ResourceState, after: ResourceState) -> Option<Change> {
    let changes = differences(before, &after);
    let happening = match before.deleted_at {
        Some(_) => Happening::Restored(changes),
        None if changes.is_empty() => return None,
        None => Happening::Updated(changes),
    };
    Some(Change { state: ResourceState { version: before.version + 1, ..after }, happening })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use digitalocean::rows::Domain;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::domain::{change::tests::render, observation};

    fn zone(name: &str, ttl: Option<i64>) -> Observed {
        let row: Domain = serde_json::from_value(json!({ "name": name, "ttl": ttl })).unwrap();
        observation::dns_zone(&row).unwrap()
    }

    /// The inventory as the store keeps it, in memory.
    #[derive(Default, Clone)]
    struct Inventory {
        rows: BTreeMap<String, (ResourceState, Vec<u8>)>,
        log: Vec<String>,
    }

    impl Inventory {
        fn take(&mut self, page: Vec<Observed>) {
            let known: Vec<Known> = self
                .rows
                .values()
                .map(|(state, hash)| Known {
                    id: state.id,
                    provider_id: state.provider_id.clone(),
                    content_hash: hash.clone(),
                    deleted: state.deleted_at.is_some(),
                })
                .collect();
            let Differing { unknown, changed } = compare(page, &known);
            for observed in unknown {
                let id = ResourceId::from_uuid(Uuid::from_u128(self.rows.len() as u128 + 1));
                let change = discover(id, &observed, DateTime::UNIX_EPOCH);
                self.keep(change, &observed);
            }
            for (_, observed) in changed {
                let before = self.rows[&observed.provider_id].0.clone();
                if let Some(change) = reconcile(&before, &observed) {
                    self.keep(change, &observed);
                }
            }
        }

        fn keep(&mut self, change: Change, observed: &Observed) {
            let Change { state, happening } = change;
            self.log.push(format!("{} {} v{}", happening.name(), state.provider_id, state.version));
            self.log.extend(render(happening.changes()).lines().map(|line| format!("  {line}")));
            self.rows.insert(state.provider_id.clone(), (state, observed.fingerprint.as_bytes().to_vec()));
        }

        fn shown(&self) -> Vec<String> {
            let rows = self.rows.values();
            rows.map(|(state, _)| format!("{} {:?} {}", state.provider_id, state.attrs, state.status))
                .collect()
        }
    }

    fn check(edit: impl FnOnce(&mut ResourceState), page: Vec<Observed>, outcome: Expect) {
        let mut inventory = Inventory::default();
        inventory.take(vec![zone("example.com", Some(1800))]);
        let (state, _) = inventory.rows.get_mut("example.com").unwrap();
        edit(state);
        inventory.log.clear();
        inventory.take(page);
        outcome.assert_eq(&inventory.log.join("\n"));
    }

    #[test]
    fn a_page_tells_what_is_new_changed_and_back() {
        let deleted = |state: &mut ResourceState| {
            state.deleted_at = Some(DateTime::UNIX_EPOCH);
            state.status = "deleted".to_owned();
        };
        check(|_| {}, vec![zone("example.com", Some(1800))], expect![""]);
        check(|_| {}, vec![zone("EXAMPLE.com.", Some(1800))], expect![""]);
        check(|_| {}, vec![zone("b.example", None)], expect!["discovered b.example v1"]);
        check(
            |_| {},
            vec![zone("b.example", None), zone("B.example", None)],
            expect!["discovered b.example v1"],
        );
        check(
            |_| {},
            vec![zone("example.com", Some(60))],
            expect![[r#"
            updated example.com v2
              attrs.ttl: 1800 → 60"#]],
        );
        check(
            deleted,
            vec![zone("example.com", Some(1800))],
            expect![[r#"
            restored example.com v2
              status: "deleted" → "active""#]],
        );
        check(
            |state| {
                state.attrs.insert(ATTR_PURPOSE.to_owned(), json!("parking"));
            },
            vec![zone("example.com", Some(60))],
            expect![[r#"
                updated example.com v2
                  attrs.ttl: 1800 → 60"#]],
        );
    }

    #[test]
    fn a_placeholder_is_completed_by_its_own_listing() {
        let observed = zone("example.com", Some(1800));
        let id = ResourceId::from_uuid(Uuid::from_u128(1));
        let state =
            discover_member(id, ResourceKind::DnsZone, "example.com".to_owned(), DateTime::UNIX_EPOCH);
        let change = reconcile(&state, &observed).unwrap();
        expect![[r#"
            status: "unknown" → "active"
            attrs.ttl: · → 1800"#]]
        .assert_eq(&render(change.happening.changes()));
    }

    #[test]
    fn an_older_fingerprint_alone_is_no_event() {
        let mut inventory = Inventory::default();
        inventory.take(vec![zone("example.com", None)]);
        inventory.rows.get_mut("example.com").unwrap().1 = vec![0; 16];
        inventory.log.clear();
        inventory.take(vec![zone("example.com", None)]);
        assert_eq!(inventory.log, Vec::<String>::new());
    }

    proptest! {
        /// However the provider cuts and repeats its pages, the inventory ends up the same.
        #[test]
        fn pages_may_come_in_any_order_and_twice(
            zones in prop::collection::btree_map("[a-c]{1,2}", prop::option::of(0_i64..3), 0..12),
            before in prop::collection::btree_map("[a-c]{1,2}", prop::option::of(0_i64..3), 0..12),
            order: u64,
            size in 1_usize..5,
        ) {
            let mut start = Inventory::default();
            start.take(before.iter().map(|(name, ttl)| zone(name, *ttl)).collect());

            let rows: Vec<Observed> = zones.iter().map(|(name, ttl)| zone(name, *ttl)).collect();
            let mut straight = start.clone();
            straight.take(rows.clone());

            let mut shuffled: Vec<Observed> = rows.iter().chain(&rows).cloned().collect();
            let mut state = order;
            for i in (1..shuffled.len()).rev() {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                shuffled.swap(i, (state >> 33) as usize % (i + 1));
            }
            let mut paged = start;
            for page in shuffled.chunks(size) {
                paged.take(page.to_vec());
            }
            prop_assert_eq!(straight.shown(), paged.shown());
            let versions = |inventory: &Inventory| -> Vec<i64> {
                inventory.rows.values().map(|(state, _)| state.version).collect()
            };
            prop_assert_eq!(versions(&straight), versions(&paged));
        }
    }
}
