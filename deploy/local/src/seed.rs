//! What is sold at the start: `deploy/local/catalog.json`, brought into the catalog through the API. What is already
//! there is left as it is, so that seeding again changes nothing and a seeding that broke off is finished.

use crate::gateway::Gateway;
use crate::sources;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[derive(Deserialize)]
struct Catalog {
    plans: Vec<Plan>,
    addons: Vec<Named>,
    prices: Vec<Price>,
}

#[derive(Deserialize)]
struct Plan {
    code: String,
    name: String,
    #[serde(flatten)]
    version: Value,
}

#[derive(Serialize, Deserialize)]
struct Named {
    code: String,
    #[serde(flatten)]
    rest: Value,
}

#[derive(Serialize, Deserialize)]
struct Price {
    resource_kind: String,
    currency: String,
    effective_from: String,
    #[serde(flatten)]
    rest: Value,
}

#[derive(Deserialize)]
struct KnownPlan {
    code: String,
    active_version: Option<Value>,
}

#[derive(Deserialize)]
struct PlanDetail {
    versions: Vec<Version>,
}

#[derive(Deserialize)]
struct Version {
    id: String,
    status: String,
}

/// What the catalog holds afterwards.
#[derive(Debug, Clone, Copy)]
pub struct Seeded {
    /// Plans of the file.
    pub plans: usize,
    /// Add-ons of the file.
    pub addons: usize,
    /// How many things were missing.
    pub added: usize,
}

/// Adds what is missing.
pub async fn catalog(gateway: &Gateway) -> anyhow::Result<Seeded> {
    let file = sources::repo_root().join("deploy/local/catalog.json");
    let text = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
    let catalog: Catalog = serde_json::from_str(&text).with_context(|| format!("read {}", file.display()))?;
    let mut seeded = Seeded { plans: catalog.plans.len(), addons: catalog.addons.len(), added: 0 };

    let known: Vec<KnownPlan> = gateway.all("/api/v1/catalog/plans", &[]).await?;
    for plan in catalog.plans {
        let there = known.iter().find(|known| known.code == plan.code);
        if there.is_some_and(|known| known.active_version.is_some()) {
            continue;
        }
        if there.is_none() {
            let body = json!({ "code": plan.code, "name": plan.name });
            gateway.post_json::<Value>("/api/v1/catalog/plans", &body).await?;
        }
        publish(gateway, &plan).await?;
        seeded.added += 1;
    }

    let known: Vec<Named> = gateway.all("/api/v1/catalog/addons", &[]).await?;
    let known: BTreeSet<String> = known.into_iter().map(|addon| addon.code).collect();
    for addon in catalog.addons.into_iter().filter(|addon| !known.contains(&addon.code)) {
        gateway.post_json::<Value>("/api/v1/catalog/addons", &addon).await?;
        seeded.added += 1;
    }

    let known: Vec<Price> = gateway.all("/api/v1/catalog/prices", &[]).await?;
    for price in catalog.prices {
        let same = |known: &Price| {
            (&known.resource_kind, &known.currency, &known.effective_from)
                == (&price.resource_kind, &price.currency, &price.effective_from)
        };
        if !known.iter().any(same) {
            gateway.post_json::<Value>("/api/v1/catalog/prices", &price).await?;
            seeded.added += 1;
        }
    }
    Ok(seeded)
}

async fn publish(gateway: &Gateway, plan: &Plan) -> anyhow::Result<()> {
    let path = format!("/api/v1/catalog/plans/{}", plan.code);
    let detail: PlanDetail = gateway.get(&path, &[]).await?;
    let draft = match detail.versions.into_iter().find(|version| version.status == "draft") {
        Some(draft) => draft,
        None => gateway.post_json(&format!("{path}/versions"), &plan.version).await?,
    };
    gateway.post::<Value>(&format!("/api/v1/catalog/versions/{}/publish", draft.id)).await?;
    Ok(())
}
