//! Commands that are not about projects.

use contracts::syncer::{Listing, RequestSync};

use crate::lab::{Lab, operator};

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_can_be_asked_for_besides_its_schedule() {
    let lab = Lab::start(serde_json::json!({})).await;
    for listing in Listing::ALL {
        let status = lab.execute(RequestSync { listing, actor: operator() }).await.unwrap();
        assert_eq!((status.listing, status.completed_at), (listing, None));
    }
    let mut subjects = sqlx::query_scalar!("select subject from syncer.outbox")
        .fetch_all(&mut lab.superuser().await)
        .await
        .unwrap();
    subjects.sort();
    subjects.dedup();
    assert_eq!(subjects.len(), 9, "{subjects:?}");
    assert!(subjects.iter().all(|subject| subject.starts_with("job.syncer.")), "{subjects:?}");
}
