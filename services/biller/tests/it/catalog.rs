//! What is sold: made by operators, seen by everyone.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use contracts::{
    Scope, Service,
    biller::{
        CreateAddon, CreatePlan, CreatePlanVersion, GetPlan, ListAddons, ListPlans, ListResourcePrices,
        PlanItem, PlanVersion, PlanVersionStatus, ResourcePrice, SetResourcePrice, Unit,
    },
    ids::PlanVersionId,
    paging::PageRequest,
};
use expect_test::expect;
use messaging::IdempotencyKey;
use money::{Cents, Currency, Quantity};
use uuid::Uuid;

use crate::shop::{Shop, addon, code, item, operator, studio_items, tenant, version};

fn get(scope: Scope) -> GetPlan {
    GetPlan { scope, code: code("studio") }
}

fn list(scope: Scope) -> ListPlans {
    ListPlans { scope, page: PageRequest::default() }
}

fn price(cents: i64, from: &str) -> SetResourcePrice {
    let price = ResourcePrice {
        resource_kind: "floating_ips".parse().unwrap(),
        unit: Unit::Each,
        unit_price_cents: Cents::new(cents),
        currency: Currency::AUD,
        effective_from: from.parse().unwrap(),
    };
    SetResourcePrice { price, actor: operator() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_keeps_its_currency() {
    let shop = Shop::start().await;
    shop.plan("studio", "Studio").await;
    let first = shop.draft("studio", 5_000, studio_items()).await;
    shop.publish(first.id).await.unwrap();
    let other = CreatePlanVersion { currency: Currency::USD, ..version("studio", 5_000, studio_items()) };
    let other = shop.command(&other).await.unwrap();
    let refused = shop.publish(other.id).await.unwrap_err();
    assert!(refused.starts_with("409") && refused.contains("USD"), "{refused}");
    let offered = shop.query(&list(tenant())).await.unwrap().items;
    assert_eq!(offered[0].active_version.as_ref().map(|version| version.id), Some(first.id));
}

fn statuses(versions: &[PlanVersion]) -> String {
    let shown = versions.iter().map(|version| format!("{} {}", version.version, version.status.as_str()));
    shown.collect::<Vec<_>>().join(", ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_drafted_published_and_replaced() {
    let shop = Shop::start().await;
    shop.plan("studio", "Studio").await;
    let draft = shop.draft("studio", 5_000, studio_items()).await;
    assert_eq!((draft.version, draft.status), (1, PlanVersionStatus::Draft));
    assert!(draft.items.is_sorted_by_key(|item| item.resource_kind.clone()));
    // What is not published is not on offer, and operators' business.
    let offered = shop.query(&list(tenant())).await.unwrap().items;
    assert_eq!(offered[0].active_version, None);
    assert_eq!(statuses(&shop.query(&get(tenant())).await.unwrap().versions), "");
    assert_eq!(statuses(&shop.query(&get(Scope::Operator)).await.unwrap().versions), "1 draft");

    let first = shop.publish(draft.id).await.unwrap();
    assert!(first.published_at.is_some());
    let untouched = PlanVersion { status: draft.status, published_at: None, ..first.clone() };
    assert_eq!(untouched, draft, "publishing changes where it stands and nothing else");

    let dearer = shop.draft("studio", 6_000, studio_items()).await;
    shop.publish(dearer.id).await.unwrap();
    shop.draft("studio", 7_000, Vec::new()).await;
    let operators = shop.query(&get(Scope::Operator)).await.unwrap();
    assert_eq!(statuses(&operators.versions), "3 draft, 2 active, 1 retired");
    let tenants = shop.query(&get(tenant())).await.unwrap();
    assert_eq!(statuses(&tenants.versions), "2 active, 1 retired");
    assert_eq!(tenants.versions[1].retired_at, tenants.versions[0].published_at);
    assert_eq!(tenants.versions[1].items, draft.items);
    let offered = shop.query(&list(tenant())).await.unwrap().items;
    assert_eq!(offered[0].active_version.as_ref(), Some(&tenants.versions[0]));

    let mut told = sqlx::query_scalar!(r#"select subject from biller.outbox order by id"#)
        .fetch_all(&mut shop.world.superuser(Service::Biller).await)
        .await
        .unwrap();
    told.dedup();
    expect![[r#"
        evt.biller.plan.created.v1
        evt.biller.plan-version.created.v1
        evt.biller.plan-version.published.v1
        evt.biller.plan-version.created.v1
        evt.biller.plan-version.published.v1
        evt.biller.plan-version.created.v1"#]]
    .assert_eq(&told.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_publications_never_show_two_versions_on_offer_or_none() {
    let shop = Arc::new(Shop::start().await);
    shop.studio().await;
    let done = Arc::new(AtomicBool::new(false));
    let reads = Arc::new(AtomicUsize::new(0));
    let readers: Vec<_> = (0..8)
        .map(|reader| {
            let (shop, done, reads) = (Arc::clone(&shop), Arc::clone(&done), Arc::clone(&reads));
            tokio::spawn(async move {
                let mut newest = 0;
                while !done.load(Ordering::Relaxed) {
                    let scope = if reader % 2 == 0 { Scope::Operator } else { tenant() };
                    let active = if reader < 4 {
                        let plans = shop.query(&list(scope)).await.unwrap().items;
                        plans[0].active_version.clone().expect("one is on offer")
                    } else {
                        let mut versions = shop.query(&get(scope)).await.unwrap().versions;
                        versions.retain(|version| version.status == PlanVersionStatus::Active);
                        assert_eq!(versions.len(), 1, "{}", statuses(&versions));
                        versions.remove(0)
                    };
                    assert_eq!(active.items.len(), studio_items().len());
                    assert!(active.version >= newest, "{} after {newest}", active.version);
                    newest = active.version;
                    reads.fetch_add(1, Ordering::Relaxed);
                }
                newest
            })
        })
        .collect();
    for price in 0..50 {
        let draft = shop.draft("studio", 5_001 + price, studio_items()).await;
        shop.publish(draft.id).await.unwrap();
    }
    // Each reader goes on until it has had the chance to see the last one.
    let seen = reads.load(Ordering::Relaxed);
    while reads.load(Ordering::Relaxed) < seen + 16 {
        tokio::task::yield_now().await;
    }
    done.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    assert!(seen > 100, "only {seen} reads met the publications");
    let versions = shop.query(&get(Scope::Operator)).await.unwrap().versions;
    assert_eq!(statuses(&versions[..2]), "51 active, 50 retired");
}

#[tokio::test(flavor = "multi_thread")]
async fn drafts_at_once_get_a_number_each_and_a_draft_is_published_once() {
    let shop = Arc::new(Shop::start().await);
    shop.plan("studio", "Studio").await;
    let drafting = (0..16).map(|price| {
        let shop = Arc::clone(&shop);
        tokio::spawn(async move { shop.draft("studio", price, studio_items()).await })
    });
    let mut drafts = Vec::new();
    for drafted in drafting.collect::<Vec<_>>() {
        drafts.push(drafted.await.unwrap());
    }
    let numbers: BTreeSet<i32> = drafts.iter().map(|draft| draft.version).collect();
    assert_eq!(numbers, (1..=16).collect());

    // Everyone publishes the same draft, and every other draft too.
    let publishing = (0..32).map(|turn| {
        let (shop, id) = (Arc::clone(&shop), drafts[if turn % 2 == 0 { 0 } else { turn / 2 }].id);
        tokio::spawn(async move { (id, shop.publish(id).await) })
    });
    let mut published = Vec::new();
    for attempt in publishing.collect::<Vec<_>>() {
        let (id, outcome) = attempt.await.unwrap();
        match outcome {
            Ok(version) => published.push(version.id),
            Err(refused) => {
                assert_eq!(id, drafts[0].id, "{refused}");
                assert!(refused.starts_with("409 Version "), "{refused}");
            }
        }
    }
    let once: BTreeSet<PlanVersionId> = published.iter().copied().collect();
    assert_eq!((published.len(), once.len()), (16, 16));
    let versions = shop.query(&get(Scope::Operator)).await.unwrap().versions;
    let active = versions.iter().filter(|version| version.status == PlanVersionStatus::Active);
    assert_eq!((versions.len(), active.count()), (16, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_again_makes_nothing_new_also_after_a_restart() {
    let mut shop = Shop::start().await;
    let key = IdempotencyKey::random();
    let plan = CreatePlan { code: code("studio"), name: "Studio".to_owned(), actor: operator() };
    let made = shop.gateway.command(&plan, &key).await.unwrap();
    let draft_key = IdempotencyKey::random();
    let draft = shop.gateway.command(&version("studio", 5_000, studio_items()), &draft_key).await.unwrap();
    assert!(!made.replayed && !draft.replayed);

    shop.restart().await;
    let again = shop.gateway.command(&plan, &key).await.unwrap();
    assert_eq!((again.body, again.replayed), (made.body, true));
    let drafted = shop.gateway.command(&version("studio", 5_000, studio_items()), &draft_key).await.unwrap();
    assert_eq!((drafted.body, drafted.replayed), (draft.body, true));
    assert_eq!(statuses(&shop.query(&get(Scope::Operator)).await.unwrap().versions), "1 draft");
    // With a key of its own it is another order, and the code is taken.
    assert_eq!(shop.command(&plan).await.unwrap_err(), "409 There is a plan studio already.");
}

#[tokio::test(flavor = "multi_thread")]
async fn addons_and_unit_prices_are_set_once_and_paged_in_order() {
    let shop = Shop::start().await;
    for name in ["storage_b", "storage_c", "storage_a"] {
        shop.command(&addon(name, Currency::AUD)).await.unwrap();
    }
    let taken = shop.command(&addon("storage_a", Currency::USD)).await;
    assert_eq!(taken.unwrap_err(), "409 There is an add-on storage_a already.");
    for (cents, from) in [(500, "2026-05-20"), (400, "2026-01-01"), (600, "2099-12-31")] {
        shop.command(&price(cents, from)).await.unwrap();
    }
    assert_eq!(
        shop.command(&price(501, "2026-05-20")).await.unwrap_err(),
        "409 floating_ips has a price in AUD from 2026-05-20 already, and a price that was set does not change. \
         Set one from a later day."
    );

    let (mut codes, mut days, mut cursor) = (Vec::new(), Vec::new(), None);
    loop {
        let page = PageRequest { limit: 2, cursor };
        let answer = shop.query(&ListAddons { scope: tenant(), page }).await.unwrap();
        codes.extend(answer.items.into_iter().map(|addon| addon.code.to_string()));
        cursor = answer.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(codes, ["storage_a", "storage_b", "storage_c"]);
    loop {
        let page = PageRequest { limit: 1, cursor };
        let answer = shop.query(&ListResourcePrices { scope: tenant(), page }).await.unwrap();
        days.extend(answer.items.into_iter().map(|price| price.effective_from.to_string()));
        cursor = answer.next_cursor;
        if cursor.is_none() {
            break;
        }
        // A cursor of one listing is none of another.
        let page = PageRequest { limit: 1, cursor: cursor.clone() };
        let elsewhere = shop.query(&ListPlans { scope: tenant(), page }).await;
        assert_eq!(elsewhere.unwrap_err(), "422 cursor: not a cursor of this listing and its filters");
    }
    assert_eq!(days, ["2026-01-01", "2026-05-20", "2099-12-31"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_with_many_versions_shows_the_newest_and_the_one_on_offer() {
    let shop = Shop::start().await;
    let active = shop.studio().await;
    let most = || Some(serde_json::from_str("\"999999999999999.999999999999\"").unwrap());
    let largest = (0..32).map(|kind| PlanItem {
        included_qty: most().unwrap(),
        hard_cap_qty: most(),
        ..item(&format!("{:k<38}{kind:02}", ""), 0, Unit::ZoneMonth, 100_000_000_000)
    });
    let full: Vec<PlanItem> = largest.collect();
    for _ in 0..99 {
        shop.draft("studio", 1, full.clone()).await;
    }
    let versions = async || shop.query(&get(Scope::Operator)).await.unwrap();
    let all = versions().await;
    assert_eq!((all.versions.len(), all.older_left_out), (100, false));
    for _ in 0..5 {
        shop.draft("studio", 1, full.clone()).await;
    }
    let newest = versions().await;
    assert_eq!((newest.versions.len(), newest.older_left_out), (101, true));
    assert_eq!((newest.versions[0].version, newest.versions[99].version), (105, 6));
    assert_eq!(newest.versions[100], active);
    assert_eq!(shop.query(&list(tenant())).await.unwrap().items[0].active_version, Some(active));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_with_the_field_named() {
    let shop = Shop::start().await;
    shop.plan("studio", "Studio").await;
    let plan = |name: &str| CreatePlan { code: code("other"), name: name.to_owned(), actor: operator() };
    let fine = |json: &str| serde_json::from_str::<Quantity>(json).unwrap();
    let capped = PlanItem { hard_cap_qty: Some(Quantity::from(99)), ..item("a", 100, Unit::Hour, 1) };
    let finer = PlanItem { included_qty: fine("\"0.0000000000001\""), ..item("a", 1, Unit::Hour, 1) };
    let refused = [
        shop.command(&plan("Stu\0dio")).await.unwrap_err(),
        shop.command(&plan(&"x".repeat(256))).await.unwrap_err(),
        shop.command(&version("studio", -1, Vec::new())).await.unwrap_err(),
        shop.command(&version("studio", 100_000_000_001, Vec::new())).await.unwrap_err(),
        shop.command(&version("studio", 1, vec![item("a", 1, Unit::Hour, 1), item("a", 2, Unit::Hour, 1)]))
            .await
            .unwrap_err(),
        shop.command(&version("studio", 1, vec![item("a", 1, Unit::Hour, -1)])).await.unwrap_err(),
        shop.command(&version("studio", 1, vec![capped])).await.unwrap_err(),
        shop.command(&version("studio", 1, vec![finer])).await.unwrap_err(),
        shop.command(&version("nothing", 1, Vec::new())).await.unwrap_err(),
        shop.publish(PlanVersionId::from_uuid(Uuid::from_u128(7))).await.unwrap_err(),
        shop.command(&CreateAddon { qty: Quantity::ZERO, ..addon("a", Currency::AUD) }).await.unwrap_err(),
        shop.command(&CreateAddon { price_cents: Cents::new(-1), ..addon("a", Currency::AUD) })
            .await
            .unwrap_err(),
        shop.command(&CreateAddon { name: String::new(), ..addon("a", Currency::AUD) }).await.unwrap_err(),
        shop.command(&price(-1, "2026-01-01")).await.unwrap_err(),
        shop.command(&price(1, "1999-12-31")).await.unwrap_err(),
        shop.command(&price(1, "+262142-12-31")).await.unwrap_err(),
        shop.query(&GetPlan { scope: tenant(), code: code("nothing") }).await.unwrap_err(),
        shop.query(&ListPlans { scope: tenant(), page: PageRequest { limit: 0, cursor: None } })
            .await
            .unwrap_err(),
    ];
    expect![[r#"
        422 /name: must be 1 to 255 characters, without control characters, and without spaces at its ends
        422 /name: must be 1 to 255 characters, without control characters, and without spaces at its ends
        422 /base_price_cents: must be 0 to 100000000000 cents
        422 /base_price_cents: must be 0 to 100000000000 cents
        422 /items/1/resource_kind: a has an item already: /items/0
        422 /items/0/overage_price_cents: must be 0 to 100000000000 cents
        422 /items/0/hard_cap_qty: must not be below included_qty
        422 /items/0/included_qty: must have at most 12 digits behind the point
        404 There is nothing here that you can see. Check the path and the id.
        404 There is nothing here that you can see. Check the path and the id.
        422 /qty: must be more than 0
        422 /price_cents: must be 0 to 100000000000 cents
        422 /name: must be 1 to 255 characters, without control characters, and without spaces at its ends
        422 /unit_price_cents: must be 0 to 100000000000 cents
        422 /effective_from: must be a day from 2000 to 2099
        422 /effective_from: must be a day from 2000 to 2099
        404 There is nothing here that you can see. Check the path and the id.
        422 limit: must be 1 to 200"#]]
    .assert_eq(&refused.join("\n"));
    // The bounds themselves are good.
    let most = PlanItem {
        included_qty: fine("\"999999999999999\""),
        hard_cap_qty: Some(fine("\"999999999999999.999999999999\"")),
        ..item("a", 0, Unit::MillionTokens, 100_000_000_000)
    };
    let bounds =
        CreatePlanVersion { items: vec![most.clone()], ..version("studio", 100_000_000_000, Vec::new()) };
    assert_eq!(shop.command(&bounds).await.unwrap().items, [most]);
    shop.command(&plan(&"ä".repeat(255))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_itself_keeps_what_was_offered() {
    let shop = Shop::start().await;
    let studio = shop.studio().await;
    let draft = shop.draft("studio", 6_000, Vec::new()).await;
    let pool = shop.world.pool(Service::Biller).await;
    let denied = |result: Result<sqlx::postgres::PgQueryResult, sqlx::Error>| result.unwrap_err().to_string();

    let item = sqlx::query!("update biller.plan_items set overage_price_cents = 9").execute(&pool).await;
    let price = sqlx::query!("update biller.plan_versions set base_price_cents = 9").execute(&pool).await;
    let version = sqlx::query!("delete from biller.plan_versions").execute(&pool).await;
    for result in [item, price, version] {
        let error = denied(result);
        assert!(error.contains("permission denied"), "{error}");
    }
    let more = sqlx::query!(
        "insert into biller.plan_items
           (plan_version_id, resource_kind, included_qty, overage_unit, overage_price_cents)
         values ($1, 'more', 0, 'each', 1)",
        studio.id.as_uuid(),
    );
    let error = denied(more.execute(&pool).await);
    assert!(error.contains("gets no more items"), "{error}");
    let second = sqlx::query!(
        "update biller.plan_versions set status = 'active', published_at = now() where id = $1",
        draft.id.as_uuid(),
    );
    let error = denied(second.execute(&pool).await);
    assert!(error.contains("plan_versions_active"), "{error}");
}
