//! Events: their versions, their order, and telling the whole state again.

use contracts::{
    ids::ResourceId,
    syncer::{SyncDroplets, SyncProjects},
};
use serde_json::json;
use uuid::Uuid;

use crate::lab::Lab;

#[tokio::test(flavor = "multi_thread")]
async fn versions_grow_by_one_and_go_out_in_order() {
    let lab = Lab::start(json!({ "projects": [{ "name": "p" }], "droplets": 20 })).await;
    for round in 0..4 {
        for id in lab.provider.state().await["droplets"].as_array().unwrap().iter().take(10) {
            lab.change("droplets", &id["id"].to_string(), json!({ "name": format!("round-{round}") })).await;
        }
        tokio::join!(lab.sync::<SyncDroplets>(), lab.sync::<SyncProjects>());
    }
    let rows = sqlx::query!(
        r#"select (convert_from(payload, 'UTF8')::jsonb #>> '{resource,id}') as "id!",
                  (convert_from(payload, 'UTF8')::jsonb #>> '{resource,version}')::bigint as "version!"
           from syncer.outbox where headers->>'ce-type' like 'evt.syncer.resource.%' order by id"#
    )
    .fetch_all(&mut lab.superuser().await)
    .await
    .unwrap();
    let mut last = std::collections::HashMap::<String, i64>::new();
    for row in rows {
        let before = last.insert(row.id.clone(), row.version).unwrap_or(0);
        assert_eq!(row.version, before + 1, "{}", row.id);
    }
    let stored = sqlx::query!("select id, version from syncer.cloud_resources")
        .fetch_all(&mut lab.superuser().await)
        .await
        .unwrap();
    assert_eq!(stored.len(), 20);
    for row in stored {
        assert_eq!(last[&row.id.to_string()], row.version);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_state_can_be_told_again_without_a_new_version() {
    let lab = Lab::start(json!({ "droplets": 7 })).await;
    lab.sync::<SyncDroplets>().await;
    lab.told().await;
    let (mut after, mut pages): (Option<ResourceId>, i32) = (None, 0);
    loop {
        let mut tx = lab.syncer.pool.begin().await.unwrap();
        let now = lab.syncer.clock.now();
        let next = syncer::store::resource::republish_state(&mut tx, after, 3, now).await.unwrap();
        tx.commit().await.unwrap();
        let Some(next) = next.last else { break };
        (after, pages) = (Some(next), pages + 1);
    }
    assert_eq!(pages, 3);
    let rows = sqlx::query!(
        r#"select (convert_from(payload, 'UTF8')::jsonb #>> '{resource,id}')::uuid as "id!",
                  (convert_from(payload, 'UTF8')::jsonb #>> '{resource,version}')::bigint as "version!"
           from syncer.outbox order by id"#
    )
    .fetch_all(&mut lab.superuser().await)
    .await
    .unwrap();
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    assert!(ids.is_sorted() && ids.len() == 7, "{ids:?}");
    assert!(rows.iter().all(|row| row.version == 1));
}
