//! What happened to a resource, and what differs between two states of it.

use std::collections::BTreeSet;

use contracts::syncer::{FieldChange, ResourceState};
use serde_json::Value;

/// One event of a resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The resource after it.
    pub state: ResourceState,
    /// What it was.
    pub happening: Happening,
}

/// What can happen to a resource.
#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    /// A sync met it for the first time.
    Discovered,
    /// The provider's state of it changed.
    Updated(Vec<FieldChange>),
    /// It was marked deleted and was seen again.
    Restored(Vec<FieldChange>),
    /// It was absent for too long.
    Deleted,
    /// Its project, tenant, deployment or purpose changed.
    Tagged(Vec<FieldChange>),
}

impl Happening {
    /// The event's name in the resource's history.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Discovered => "discovered",
            Self::Updated(_) => "updated",
            Self::Restored(_) => "restored",
            Self::Deleted => "deleted",
            Self::Tagged(_) => "tagged",
        }
    }

    /// What changed, as far as it is worth saying.
    pub fn changes(&self) -> &[FieldChange] {
        match self {
            Self::Updated(changes) | Self::Restored(changes) | Self::Tagged(changes) => changes,
            Self::Discovered | Self::Deleted => &[],
        }
    }
}

/// The fields in which two states differ.
///
/// Where the tenant changes, the former tenant, project and deployment are not told: the new tenant reads this.
pub fn differences(before: &ResourceState, after: &ResourceState) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    let mut note = |field: &str, from: Option<Value>, to: Option<Value>| {
        if from != to {
            changes.push(FieldChange { field: field.to_owned(), from, to });
        }
    };
    let text = |value: &str| Some(Value::from(value));
    note("name", text(&before.name), text(&after.name));
    note("status", text(&before.status), text(&after.status));
    note("region", before.region.clone().map(Value::from), after.region.clone().map(Value::from));
    let names: BTreeSet<&String> = before.attrs.keys().chain(after.attrs.keys()).collect();
    for name in names {
        if before.attrs.get(name) != after.attrs.get(name) {
            let (from, to) = (before.attrs.get(name), after.attrs.get(name));
            note(&format!("attrs.{name}"), from.cloned(), to.cloned());
        }
    }
    let project = |state: &ResourceState| state.cloud_project_id.map(|id| Value::from(id.to_string()));
    let tenant = |state: &ResourceState| state.tenant_id.as_ref().map(|id| Value::from(id.as_str()));
    let deployment = |state: &ResourceState| state.deployment_id.map(|id| Value::from(id.to_string()));
    let same_tenant = before.tenant_id == after.tenant_id;
    for (field, from, to) in [
        ("cloud_project_id", project(before), project(after)),
        ("tenant_id", tenant(before), tenant(after)),
        ("deployment_id", deployment(before), deployment(after)),
    ] {
        if from != to {
            changes.push(FieldChange { field: field.to_owned(), from: from.filter(|_| same_tenant), to });
        }
    }
    changes
}

#[cfg(test)]
pub(crate) mod tests {
    use chrono::DateTime;
    use contracts::{ids::ResourceId, syncer::ResourceKind};
    use expect_test::{Expect, expect};
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    /// A living droplet.
    pub(crate) fn state() -> ResourceState {
        ResourceState {
            id: ResourceId::from_uuid(Uuid::from_u128(1)),
            provider: "digitalocean".to_owned(),
            kind: ResourceKind::Droplet,
            provider_id: "1".to_owned(),
            name: "web-1".to_owned(),
            status: "active".to_owned(),
            region: Some("syd1".to_owned()),
            attrs: [("size_slug".to_owned(), json!("s-1vcpu-1gb"))].into_iter().collect(),
            cloud_project_id: None,
            tenant_id: None,
            deployment_id: None,
            first_seen_at: DateTime::UNIX_EPOCH,
            deleted_at: None,
            version: 1,
        }
    }

    /// One change a line.
    pub(crate) fn render(changes: &[FieldChange]) -> String {
        let lines = changes.iter().map(|change| {
            let side = |value: &Option<Value>| value.as_ref().map_or("·".to_owned(), Value::to_string);
            format!("{}: {} → {}", change.field, side(&change.from), side(&change.to))
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn check(edit: impl FnOnce(&mut ResourceState, &mut ResourceState), outcome: Expect) {
        let (mut before, mut after) = (state(), state());
        edit(&mut before, &mut after);
        outcome.assert_eq(&render(&differences(&before, &after)));
    }

    #[test]
    fn only_what_differs_is_told() {
        check(|_, after| after.version = 2, expect![""]);
        check(|_, after| after.status = "off".to_owned(), expect![[r#"status: "active" → "off""#]]);
        check(|_, after| after.region = None, expect![[r#"region: "syd1" → ·"#]]);
        check(
            |_, after| {
                after.attrs.insert("size_slug".to_owned(), json!("s-2vcpu-2gb"));
                after.attrs.insert("tags".to_owned(), json!(["a"]));
            },
            expect![[r#"
                attrs.size_slug: "s-1vcpu-1gb" → "s-2vcpu-2gb"
                attrs.tags: · → ["a"]"#]],
        );
    }

    #[test]
    fn a_former_tenant_is_not_named() {
        check(
            |before, after| {
                before.tenant_id = Some("acme".parse().unwrap());
                before.cloud_project_id = Some("00000000-0000-0000-0000-00000000000a".parse().unwrap());
                after.tenant_id = Some("globex".parse().unwrap());
                after.cloud_project_id = Some("00000000-0000-0000-0000-00000000000b".parse().unwrap());
            },
            expect![[r#"
                cloud_project_id: · → "00000000-0000-0000-0000-00000000000b"
                tenant_id: · → "globex""#]],
        );
        check(
            |before, after| {
                before.cloud_project_id = Some("00000000-0000-0000-0000-00000000000a".parse().unwrap());
                after.cloud_project_id = None;
            },
            expect![[r#"cloud_project_id: "00000000-0000-0000-0000-00000000000a" → ·"#]],
        );
    }
}
