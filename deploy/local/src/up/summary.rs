//! What came in, for the person at the terminal: the inventory by kind, and how to look further.

use crate::console::Console;
use crate::gateway::Gateway;
use crate::seed::{self, Seeded};
use crate::state::StateDir;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// An account that shows nothing by then is empty, or its provider does not answer.
const FIRST_WITHIN: Duration = Duration::from_secs(30);

/// The listings come in one after the other; when nothing more came for this long, they are all in.
const SETTLED_AFTER: Duration = Duration::from_millis(700);

/// Brings in what is sold, waits for the first inventory, and shows both.
pub async fn show(gateway: &Gateway, state: &StateDir, console: &Console) -> anyhow::Result<()> {
    let Seeded { plans, addons, added } = seed::catalog(gateway).await?;
    console.step("catalog", format!("{plans} plans and {addons} add-ons, {added} of them new"));
    let counts = first_inventory(gateway).await?;
    let total: u64 = counts.values().sum();
    if total == 0 {
        console.step(
            "inventory",
            "is empty so far: the account holds nothing, or the first sync is not through",
        );
    } else {
        console.step("inventory", format!("{total} resources"));
    }
    console.print("");
    for (kind, count) in &counts {
        console.print(&format!("  {count:>7}  {kind}"));
    }
    let url = &gateway.url;
    console.print(&format!(
        "\nArcadia Cloud is up: {url}\n\
         \n  source {env}\
         \n  curl -s -H \"Authorization: Bearer $OPERATOR_TOKEN\" '{url}/api/v1/inventory?limit=5'\n\
         \nor, as it is:\n\
         \n  curl -s -H 'Authorization: Bearer {token}' '{url}/api/v1/inventory?limit=5'\n",
        env = state.env_file().display(),
        token = gateway.operator_token,
    ));
    Ok(())
}

async fn first_inventory(gateway: &Gateway) -> anyhow::Result<BTreeMap<String, u64>> {
    let started = Instant::now();
    let mut last = BTreeMap::new();
    let mut changed = Instant::now();
    loop {
        let now = gateway.resources_by_kind().await?;
        if now != last {
            last = now;
            changed = Instant::now();
        }
        let settled = !last.is_empty() && changed.elapsed() > SETTLED_AFTER;
        if settled || started.elapsed() > FIRST_WITHIN {
            return Ok(last);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
