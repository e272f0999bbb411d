//! Requests to models: each counts once, for ever.

use std::time::Duration;

use contracts::{
    Message, Scope,
    ids::DeploymentId,
    meterer::{
        ApplyRetention, GetUsage, ListDeploymentUsage, ListUsageConflicts, ListUsageProducers, LlmUsage,
        RecordUsage, ReleaseUsage, UsageConflict, UsageConflicted,
    },
    paging::PageRequest,
    parked::ParkedStatus,
};
use expect_test::expect;
use messaging::{Follow, Outcome, Position, ScopedTx};
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

use crate::{
    lab::{Lab, OWNER, date, deployment, operator},
    llm::{self, correction, event, last_deployment, message, numbered, take_in, void, with},
};

fn tenant(name: &str) -> Scope {
    Scope::Tenant(name.parse().unwrap())
}

fn rejected(conflict: &UsageConflict) -> Value {
    serde_json::from_str(conflict.rejected.get()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_counts_once_within_a_batch_and_over_batches() {
    let lab = Lab::with_deployments().await;
    let same = with(event("a"), &[("charge", json!("0.1"))]);
    let other = with(event("a"), &[("charge", json!("0.11"))]);
    assert_eq!(lab.take_all(&[event("a"), same.clone(), other.clone(), event("b")]).await, ["done"; 4]);
    let once = "acme 900 2026-11-24 openai/gpt-5 AUD: 2 requests 200/40/0 0.2\n";
    assert_eq!(lab.daily().await, once);
    assert_eq!(lab.take_all(&[other, same, event("b"), event("a")]).await, ["done"; 4]);
    assert_eq!(lab.daily().await, once);

    let conflicts = lab.conflicts(Scope::Operator).await;
    assert_eq!(conflicts.len(), 1, "the same conflict is one, however often it comes");
    assert_eq!(conflicts[0].fields, ["charge"]);
    assert_eq!(conflicts[0].event, "recorded");
    assert_eq!(rejected(&conflicts[0])["charge"], "0.11");
    assert_eq!(lab.announced(UsageConflicted::SUBJECT).await.len(), 1);
    assert_eq!(lab.aside(ParkedStatus::Parked).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_says_what_differs_and_is_kept_from_those_it_is_not_of() {
    let lab = Lab::with_deployments().await;
    lab.take_all(&[event("a"), event("b"), event("c")]).await;
    let everything = json!({
        "gateway_request_id": "a", "tenant_id": "globex", "deployment_id": deployment(910), "provider": "anthropic",
        "model": "claude", "prompt_tokens": 1, "completion_tokens": 2, "cached_tokens": 3, "charge": "0.2",
        "currency": "AUD", "occurred_at": "2026-11-24T11:00:01Z", "metadata": { "user": "u" },
    });
    let elsewhere = with(event("b"), &[("deployment_id", json!(deployment(901)))]);
    let dearer = with(event("c"), &[("charge", json!("9"))]);
    assert_eq!(lab.take_all(&[everything.clone(), elsewhere, dearer]).await, ["done"; 3]);
    let shown: String = lab
        .conflicts(Scope::Operator)
        .await
        .into_iter()
        .map(|conflict| {
            let whose = conflict.tenant_id.map_or("-".to_owned(), |tenant| tenant.to_string());
            let which =
                conflict.deployment_id.map_or("-".to_owned(), |id| id.as_uuid().as_u128().to_string());
            format!("{} of {whose} {which}: {}\n", conflict.gateway_request_id, conflict.fields.join(" "))
        })
        .collect();
    expect![[r#"
        c of acme 900: charge
        b of acme -: deployment_id
        a of - -: tenant_id deployment_id provider model prompt_tokens completion_tokens cached_tokens charge occurred_at metadata
    "#]]
    .assert_eq(&shown);
    assert_eq!(rejected(&lab.conflicts(Scope::Operator).await[2]), everything);

    let ids = async |scope| -> Vec<String> {
        let conflicts = lab.conflicts(scope).await;
        conflicts.into_iter().map(|conflict| conflict.gateway_request_id.to_string()).collect()
    };
    assert_eq!(ids(tenant("acme")).await, ["c", "b"]);
    assert_eq!(ids(tenant("globex")).await, [""; 0]);
    // Their tenant stands in the event, and not where the two tenants disagree.
    let told = lab.announced(UsageConflicted::SUBJECT).await;
    assert_eq!(told.iter().filter(|body| body.contains("\"tenant_id\":\"acme\"")).count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_itself_keeps_tenants_apart() {
    let lab = Lab::with_deployments().await;
    let others =
        with(event("b"), &[("tenant_id", json!("globex")), ("deployment_id", json!(deployment(910)))]);
    let dearer = |body: &Value| with(body.clone(), &[("charge", json!("9"))]);
    lab.take_all(&[event("a"), others.clone(), dearer(&event("a")), dearer(&others), void("v", "a", 5)])
        .await;
    let mut tx = ScopedTx::begin(&lab.meterer.pool, OWNER, &tenant("globex")).await.unwrap();
    let counts = sqlx::query!(
        r#"select (select count(*) from meterer.llm_usage_events) as "events!",
                  (select count(*) from meterer.llm_usage_daily) as "sums!",
                  (select count(*) from meterer.llm_usage_conflicts) as "conflicts!",
                  (select count(*) from meterer.llm_usage_corrections) as "corrections!",
                  (select count(*) from meterer.known_deployment) as "deployments!""#
    )
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    let counts = [counts.events, counts.sums, counts.conflicts, counts.corrections, counts.deployments];
    assert_eq!(counts, [1, 1, 1, 0, 1]);
    let ids =
        sqlx::query_scalar!("select gateway_request_id from meterer.llm_usage_ids").fetch_all(&mut *tx).await;
    assert!(ids.unwrap_err().to_string().contains("permission denied"));

    // What was said is never changed, even by the service itself.
    for statement in [
        "update meterer.llm_usage_events set charge = 0",
        "update meterer.llm_usage_ids set entry = 0",
        "delete from meterer.llm_usage_ids",
        "update meterer.llm_usage_corrections set charge = 0",
        "delete from meterer.llm_usage_corrections",
        "update meterer.llm_usage_conflicts set fields = '{}'",
    ] {
        let mut connection = lab.meterer.pool.acquire().await.unwrap();
        let refused = sqlx::raw_sql(statement).execute(&mut *connection).await.unwrap_err();
        assert!(refused.to_string().contains("permission denied"), "{statement}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_counted_is_set_aside_with_the_reason_and_its_neighbours_count() {
    let lab = Lab::with_deployments().await;
    lab.know(last_deployment(902, "acme", None, 1)).await;
    let usd = |number| [("currency", json!("USD")), ("deployment_id", json!(deployment(number)))];
    let messages = [
        message(&event("a")),
        llm::bytes("evt.llm-gateway.usage.recorded.v1.acme", b"{\"gateway".to_vec()),
        llm::bytes("evt.llm-gateway.usage.recorded.v1.acme", vec![0xff, 0xfe]),
        llm::bytes("evt.llm-gateway.usage.recorded.v1.globex", event("b").to_string().into_bytes()),
        message(&with(event("c"), &[("charge", json!(0.1))])),
        message(&with(event("d"), &[("model", json!("\u{0}"))])),
        message(&with(event("e"), &[("tenant_id", json!("globex"))])),
        message(&with(event("f"), &usd(900))),
        message(&with(event("g"), &usd(902))),
        message(&with(event("h"), &[("deployment_id", json!(deployment(999)))])),
        message(&event("z")),
    ];
    let words = lab.take(&messages).await.join("\n");
    expect![[r#"
        done
        it is not JSON: EOF while parsing a string at line 1 column 9
        the body is no UTF-8
        the tenant in the subject is not the one in the body
        /charge must be money as a decimal string such as "0.0125"; a JSON number has been a float
        /model must be 1 to 128 characters, without control characters
        the deployment is another tenant's
        the deployment's plan is in AUD, the charge in USD
        done
        the deployment 00000000-0000-0000-0000-0000000003e7 is not known (waits for deployment/00000000-0000-0000-0000-0000000003e7)
        done"#]]
    .assert_eq(&words);
    expect![[r#"
        acme 900 2026-11-24 openai/gpt-5 AUD: 2 requests 200/40/0 0.2
        acme 902 2026-11-24 openai/gpt-5 USD: 1 requests 100/20/0 0.1
    "#]]
    .assert_eq(&lab.daily().await);
    let count =
        sqlx::query_scalar!(r#"select count(*) as "count!" from meterer.parked where status = 'parked'"#)
            .fetch_one(&mut lab.world.superuser(OWNER).await)
            .await
            .unwrap();
    assert_eq!(count, 8);
    // Nothing that was set aside has taken an id.
    assert_eq!(lab.take_all(&[event("b"), event("c"), event("f")]).await, ["done"; 3]);
    assert_eq!(lab.conflicts(Scope::Operator).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_of_an_unknown_deployment_counts_when_the_deployment_comes() {
    let lab = Lab::start(llm::NOW).await;
    let in_usd = with(event("b"), &[("currency", json!("USD"))]);
    let strangers = with(event("c"), &[("tenant_id", json!("globex"))]);
    let events = [event("a"), in_usd, strangers, event("d")];
    for word in lab.take_all(&events).await {
        assert!(word.contains("waits for"), "{word}");
    }
    // The same again, and something else under an id that waits.
    lab.take_all(&[event("a"), with(event("d"), &[("prompt_tokens", json!(7))])]).await;
    assert_eq!(lab.aside(ParkedStatus::Parked).await.len(), 5);
    assert_eq!(lab.daily().await, "");

    lab.know(last_deployment(900, "acme", Some("AUD"), 3)).await;
    assert_eq!(lab.daily().await, "acme 900 2026-11-24 openai/gpt-5 AUD: 2 requests 200/40/0 0.2\n");
    let reasons: Vec<String> =
        lab.aside(ParkedStatus::Parked).await.into_iter().map(|(_, reason)| reason).collect();
    assert_eq!(
        reasons,
        ["the deployment's plan is in AUD, the charge in USD", "the deployment is another tenant's"]
    );
    assert_eq!(lab.aside(ParkedStatus::Replayed).await.len(), 3);
    let conflicts = lab.conflicts(Scope::Operator).await;
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].fields, ["prompt_tokens"]);

    // Late news is no news.
    lab.know(last_deployment(900, "acme", Some("USD"), 2)).await;
    let words = lab.take_all(&[with(event("e"), &[("currency", json!("USD"))])]).await;
    assert_eq!(words, ["the deployment's plan is in AUD, the charge in USD"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_later_of_a_request_that_waits_waits_with_it() {
    let lab = Lab::start(llm::NOW).await;
    lab.take_all(&[event("a"), event("b"), event("c")]).await;
    let later = [
        correction("k-1", "a", 20, 7, "0.5"),
        correction("k-1", "a", 20, 8, "0.5"),
        void("k-2", "b", 20),
        correction("k-3", "never-came", 20, 7, "0.5"),
    ];
    for word in lab.take_all(&later).await {
        assert!(word.contains("waits for"), "{word}");
    }
    lab.know(last_deployment(900, "acme", Some("AUD"), 1)).await;
    assert_eq!(lab.daily().await, "acme 900 2026-11-24 openai/gpt-5 AUD: 2 requests 107/20/0 0.6\n");
    let reasons: Vec<String> =
        lab.aside(ParkedStatus::Parked).await.into_iter().map(|(_, reason)| reason).collect();
    assert_eq!(reasons, ["the request never-came is not recorded"]);
    assert_eq!(lab.conflicts(Scope::Operator).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_comes_just_now_finds_what_is_being_set_aside() {
    let lab = Lab::start(llm::NOW).await;
    let mut taking = lab.meterer.pool.begin().await.unwrap();
    take_in(&lab.meterer, &mut taking, &[message(&event("a"))]).await;

    let know = lab.know(last_deployment(900, "acme", Some("AUD"), 1));
    tokio::pin!(know);
    let early = tokio::time::timeout(Duration::from_millis(300), &mut know).await;
    assert!(early.is_err(), "it did not wait for what is being taken");
    taking.commit().await.unwrap();
    know.await;
    assert_eq!(lab.daily().await, "acme 900 2026-11-24 openai/gpt-5 AUD: 1 requests 100/20/0 0.1\n");
    assert_eq!(lab.aside(ParkedStatus::Parked).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_batch_may_wait_and_is_counted_a_part_at_a_time() {
    let lab = Lab::start(llm::NOW).await;
    for chunk in 0..3 {
        let events: Vec<Value> = (0..900).map(|number| event(&format!("{chunk}-{number:04}"))).collect();
        lab.take_all(&events).await;
    }
    lab.hear(last_deployment(900, "acme", None, 1)).await;
    assert_eq!(lab.daily().await, "", "who hears of a deployment does not count all that waits");
    for (run, counted) in [1000, 2000, 2700].into_iter().enumerate() {
        assert_eq!(lab.release().await, 1, "run {run}");
        assert_eq!(lab.aside(ParkedStatus::Replayed).await.len(), counted);
    }
    assert_eq!(lab.release().await, 0);
    assert_eq!(lab.daily().await, "acme 900 2026-11-24 openai/gpt-5 AUD: 2700 requests 270000/54000/0 270\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_that_waits_is_taken_after_all_requests_that_wait() {
    let lab = Lab::start(llm::NOW).await;
    // Before its request, which is in the second part.
    lab.take_all(&[correction("k", "z", 20, 7, "0.5")]).await;
    for chunk in 0..2 {
        let events: Vec<Value> = (0..800).map(|number| event(&format!("{chunk}-{number:04}"))).collect();
        lab.take_all(&events).await;
    }
    lab.take_all(&[event("z")]).await;
    lab.know(last_deployment(900, "acme", Some("AUD"), 1)).await;
    assert_eq!(
        lab.daily().await,
        "acme 900 2026-11-24 openai/gpt-5 AUD: 1601 requests 160007/32000/0 160.5\n"
    );
    assert_eq!(lab.aside(ParkedStatus::Parked).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_usage_still_waits_queues_behind_it() {
    let lab = Lab::start(llm::NOW).await;
    let events: Vec<Value> = (0..1000).map(|number| event(&format!("{number:04}"))).collect();
    lab.take_all(&events).await;
    lab.take_all(&[event("late"), correction("k-1", "late", 20, 7, "0.5")]).await;
    lab.hear(last_deployment(900, "acme", Some("AUD"), 1)).await;

    // The first of an id counts, also when the second finds the deployment known.
    let dearer = with(event("late"), &[("charge", json!("9"))]);
    let newcomers = [dearer.clone(), correction("k-2", "late", 30, 8, "0.6"), event("new")];
    assert_eq!(lab.release().await, 1);
    for word in lab.take_all(&newcomers).await {
        assert!(word.contains("is being counted first (waits for"), "{word}");
    }
    let other = correction("k-1", "late", 20, 9, "9");
    assert_eq!(lab.release().await, 1);
    // Every request is counted, and corrections still wait: for them, not for requests.
    let words = lab.take_all(&[event("newer"), other]).await;
    assert_eq!(words[0], "done");
    assert!(words[1].contains("corrections that waited"), "{}", words[1]);
    assert_eq!((lab.release().await, lab.release().await), (1, 0));

    let sums = "acme 900 2026-11-24 openai/gpt-5 AUD: 1003 requests 100208/20040/0 100.8\n";
    assert_eq!(lab.daily().await, sums);
    assert_eq!(lab.aside(ParkedStatus::Parked).await, []);
    let conflicts = lab.conflicts(Scope::Operator).await;
    let shown: Vec<(&str, Value)> =
        conflicts.iter().map(|c| (c.gateway_request_id.as_str(), rejected(c)["charge"].clone())).collect();
    assert_eq!(shown, [("k-1", json!("9")), ("late", json!("9"))]);
    assert_eq!(lab.take_all(&[event("newest"), correction("k-3", "new", 30, 8, "0.6")]).await, ["done"; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_settles_just_now_is_waited_for() {
    let lab = Lab::start(llm::NOW).await;
    lab.take_all(&[event("a")]).await;
    lab.hear(last_deployment(900, "acme", Some("AUD"), 1)).await;
    let job = ReleaseUsage { deployment_id: deployment(900) };
    let mut operator = lab.meterer.pool.begin().await.unwrap();
    sqlx::query!("select id from meterer.parked for update").fetch_one(&mut *operator).await.unwrap();
    assert!(matches!(lab.release_usage(&job).await, Outcome::RetryAfter(_)));
    operator.rollback().await.unwrap();
    assert_eq!(lab.release_usage(&job).await, Outcome::Done);
    assert_eq!(lab.daily().await, "acme 900 2026-11-24 openai/gpt-5 AUD: 1 requests 100/20/0 0.1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn corrections_and_voids_change_the_sums_and_keep_the_history() {
    let lab = Lab::with_deployments().await;
    let yesterday = with(event("a"), &[("occurred_at", json!("2026-11-23T23:59:59.999999Z"))]);
    lab.take_all(&[yesterday, event("b")]).await;
    let sums =
        async || lab.daily().await.lines().map(|line| line[20..].to_owned()).collect::<Vec<_>>().join("; ");
    assert_eq!(
        sums().await,
        "openai/gpt-5 AUD: 1 requests 100/20/0 0.1; openai/gpt-5 AUD: 1 requests 100/20/0 0.1"
    );

    // To the day, the model and the currency of the request, whenever it was decided.
    let first = correction("c-1", "a", 10, 50, "0.05");
    assert_eq!(lab.take_all(&[first.clone(), first.clone()]).await, ["done"; 2]);
    assert!(sums().await.starts_with("openai/gpt-5 AUD: 1 requests 50/0/0 0.05; "));
    // The last decision counts, whichever comes first, within a batch and over batches.
    let (late, later) = (correction("c-3", "a", 30, 7, "0.07"), void("v-1", "a", 40));
    lab.take_all(&[later.clone(), late.clone(), void("v-2", "b", 1)]).await;
    lab.take_all(&[correction("c-2", "a", 20, 9, "9")]).await;
    assert_eq!(sums().await, "openai/gpt-5 AUD: 0 requests 0/0/0 0; openai/gpt-5 AUD: 0 requests 0/0/0 0");
    // A void of what is void changes nothing; what is told after it counts again.
    lab.take_all(&[void("v-3", "a", 50), correction("c-4", "a", 51, 3, "0.000000000003")]).await;
    assert!(sums().await.starts_with("openai/gpt-5 AUD: 1 requests 3/0/0 0.000000000003; "));

    let history = sqlx::query!(
        r#"select correction_id, kind, requests_delta, prompt_tokens_delta, trim_scale(charge_delta)::text as "charge!",
                  reason
           from meterer.llm_usage_corrections order by place"#
    )
    .fetch_all(&mut lab.world.superuser(OWNER).await)
    .await
    .unwrap();
    let history: String = history
        .into_iter()
        .map(|row| {
            format!(
                "{} {} {:+} {:+} {} ({})\n",
                row.correction_id,
                row.kind,
                row.requests_delta,
                row.prompt_tokens_delta,
                row.charge,
                row.reason
            )
        })
        .collect();
    expect![[r#"
        c-1 corrected +0 -50 -0.05 (priced by the wrong list)
        v-1 voided -1 -50 -0.05 (made by a test)
        c-3 corrected +0 +0 0 (priced by the wrong list)
        v-2 voided -1 -100 -0.1 (made by a test)
        c-2 corrected +0 +0 0 (priced by the wrong list)
        v-3 voided +0 +0 0 (made by a test)
        c-4 corrected +1 +3 0.000000000003 (priced by the wrong list)
    "#]]
    .assert_eq(&history);
    // The event itself says what it said.
    let charges = sqlx::query_scalar!(r#"select charge::text as "charge!" from meterer.llm_usage_events"#)
        .fetch_all(&mut lab.world.superuser(OWNER).await)
        .await
        .unwrap();
    assert_eq!(charges, ["0.1", "0.1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_is_of_a_request_as_it_is_recorded() {
    let lab = Lab::with_deployments().await;
    let right = correction("c-1", "a", 10, 50, "0.05");
    // Before its request there is nothing to correct; in one batch the order does not matter.
    assert_eq!(lab.take_all(std::slice::from_ref(&right)).await, ["the request a is not recorded"]);
    assert_eq!(lab.take_all(&[correction("c-0", "a", 5, 60, "0.06"), event("a")]).await, ["done"; 2]);
    let words = lab
        .take_all(&[
            with(right.clone(), &[("tenant_id", json!("globex"))]),
            with(right.clone(), &[("deployment_id", json!(deployment(901)))]),
            with(right.clone(), &[("currency", json!("USD"))]),
            with(right.clone(), &[("reason", json!(""))]),
            with(right.clone(), &[("charge", json!(1))]),
            right.clone(),
        ])
        .await;
    expect![[r#"
        the request is recorded for another tenant
        the request is recorded for another deployment
        the request is recorded in another currency
        /reason must be 1 to 500 characters, without control characters
        /charge must be money as a decimal string such as "0.0125"; a JSON number has been a float
        done"#]]
    .assert_eq(&words.join("\n"));

    // An id is one correction's or one void's, for ever.
    let other = with(right.clone(), &[("charge", json!("0.06")), ("reason", json!("another"))]);
    assert_eq!(lab.take_all(&[other.clone(), void("c-1", "a", 11), other, right]).await, ["done"; 4]);
    let conflicts = lab.conflicts(tenant("acme")).await;
    let shown: Vec<String> = conflicts
        .iter()
        .map(|c| format!("{} {}: {}", c.event, c.gateway_request_id, c.fields.join(" ")))
        .collect();
    assert_eq!(
        shown,
        ["voided c-1: prompt_tokens charge currency reason occurred_at", "corrected c-1: charge reason"]
    );
    assert_eq!(lab.daily().await, "acme 900 2026-11-24 openai/gpt-5 AUD: 1 requests 50/0/0 0.05\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_known_when_its_event_is_long_gone() {
    let lab = Lab::with_deployments().await;
    lab.take(&[numbered(message(&event("a")), "gw-1", 1)]).await;
    let sums = lab.daily().await;
    lab.set_clock("2028-11-24T12:00:00Z");
    lab.run::<ApplyRetention>().await;
    let left = sqlx::query!(
        r#"select (select count(*) from meterer.llm_usage_events) as "events!",
                  (select count(*) from meterer.usage_producers) as "producers!""#
    )
    .fetch_one(&mut lab.world.superuser(OWNER).await)
    .await
    .unwrap();
    assert_eq!((left.events, left.producers), (0, 0));

    let dearer = with(event("a"), &[("charge", json!("9"))]);
    let words = lab.take_all(&[event("a"), dearer, correction("c", "a", 1, 1, "1")]).await;
    assert_eq!(words, ["done", "done", "the request a is older than its retention"]);
    let conflicts = lab.conflicts(Scope::Operator).await;
    assert_eq!(conflicts.len(), 1);
    assert!(conflicts[0].fields.is_empty() && conflicts[0].tenant_id.is_none());
    let row = sqlx::query!(r#"select charge::text as "charge!", requests from meterer.llm_usage_daily"#)
        .fetch_one(&mut lab.world.superuser(OWNER).await)
        .await
        .unwrap();
    assert!(sums.ends_with(&format!("{} requests 100/20/0 {}\n", row.requests, row.charge)), "{sums}");
}

#[tokio::test(flavor = "multi_thread")]
async fn gaps_in_a_producers_numbers_are_seen_and_closed() {
    let lab = Lab::with_deployments().await;
    let sent = |producer: &str, numbers: &[u64]| -> Vec<_> {
        numbers.iter().map(|n| numbered(message(&event(&format!("{producer}-{n}"))), producer, *n)).collect()
    };
    let producers = async || {
        let query = ListUsageProducers { scope: Scope::Operator, page: PageRequest::default() };
        let items = lab.answer(query).await.unwrap().items;
        items
            .into_iter()
            .map(|p| format!("{} to {}, {} missing {:?}", p.producer, p.highest, p.missing, p.gaps))
            .collect::<Vec<_>>()
            .join("; ")
    };
    lab.take(&sent("gw-1", &[1, 2, 3])).await;
    assert_eq!(producers().await, "gw-1 to 3, 0 missing []");
    // Reordered, with a gap, and another producer beside it that has not begun at 1.
    let mut both = sent("gw-1", &[6, 5, 9]);
    both.extend(sent("gw-2", &[3]));
    lab.take(&both).await;
    assert_eq!(producers().await, "gw-1 to 9, 3 missing [(4, 4), (7, 8)]; gw-2 to 3, 2 missing [(1, 2)]");
    // Sent again, with their numbers.
    lab.take(&sent("gw-1", &[2, 8, 4])).await;
    lab.take(&sent("gw-1", &[7, 7])).await;
    assert_eq!(producers().await, "gw-1 to 9, 0 missing []; gw-2 to 3, 2 missing [(1, 2)]");

    // What cannot be read is nothing to set a message aside for.
    let mut odd = message(&event("odd"));
    odd.headers.insert("Arcadia-Producer".to_owned(), "gw 1".to_owned());
    odd.headers.insert("Arcadia-Producer-Sequence".to_owned(), "x".to_owned());
    assert_eq!(lab.take(&[odd]).await, ["done"]);

    // One that counts by twos does not grow without end.
    let twos: Vec<_> =
        (1..=9).map(|batch| (1..=1000).map(|n| (batch * 1000 + n) * 2).collect::<Vec<u64>>()).collect();
    for numbers in twos {
        let messages: Vec<_> = numbers.iter().map(|n| numbered(message(&event("odd")), "twos", *n)).collect();
        lab.take(&messages).await;
    }
    let query = ListUsageProducers { scope: Scope::Operator, page: PageRequest { limit: 1, cursor: None } };
    let first = lab.answer(query.clone()).await.unwrap();
    assert_eq!(first.items[0].producer, "gw-1");
    let rest = ListUsageProducers { page: PageRequest { limit: 50, cursor: first.next_cursor }, ..query };
    let rest = lab.answer(rest).await.unwrap().items;
    let twos = &rest[1];
    assert!(twos.missing >= 10_000 && twos.missing < twos.highest, "{twos:?}");
    assert!(twos.gaps.len() <= 20);

    let nosy = ListUsageProducers { scope: tenant("acme"), page: PageRequest::default() };
    assert_eq!(lab.answer(nosy).await.unwrap_err(), "404");
}

async fn record(lab: &Lab, events: &[Value]) -> Result<String, String> {
    let events = events.iter().map(|event| to_raw_value(event).unwrap()).collect();
    let answer = lab.execute(RecordUsage { events, actor: operator() }).await?;
    Ok(answer
        .results
        .into_iter()
        .map(|result| {
            let id = result.gateway_request_id.map_or("-".to_owned(), |id| id.to_string());
            let fields: Vec<String> =
                result.errors.into_iter().map(|error| format!("{} {}", error.field, error.detail)).collect();
            let detail = result.detail.unwrap_or_default();
            format!("{id} {:?} {detail} {}\n", result.outcome, fields.join("; "))
        })
        .collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn by_http_each_event_has_its_outcome() {
    let lab = Lab::with_deployments().await;
    lab.take_all(&[event("from-the-stream")]).await;
    let told = record(
        &lab,
        &[
            event("a"),
            event("from-the-stream"),
            with(event("a"), &[("charge", json!("0.10000"))]),
            with(event("a"), &[("charge", json!("1"))]),
            json!({ "gateway_request_id": "b", "charge": 0.1, "Model": "x" }),
            json!([1]),
            with(event("c"), &[("deployment_id", json!(deployment(999)))]),
            with(event("d"), &[("tenant_id", json!("globex"))]),
            with(event("e"), &[("occurred_at", json!("2026-11-24T12:06:00Z"))]),
            event("f"),
        ],
    )
    .await
    .unwrap();
    expect![[r#"
        a Accepted  
        from-the-stream Duplicate It was recorded before and counts once. 
        a Duplicate It was recorded before and counts once. 
        a Conflict Its id was recorded before, with other content. It does not count. 
        b Invalid It cannot be read. Mend it and send it again. /Model is no field of an event; /tenant_id is required; /deployment_id is required; /provider is required; /model is required; /prompt_tokens is required; /completion_tokens is required; /charge must be money as a decimal string such as "0.0125"; a JSON number has been a float; /currency is required; /occurred_at is required
        - Invalid It cannot be read. Mend it and send it again.  it is no JSON object
        c Parked the deployment 00000000-0000-0000-0000-0000000003e7 is not known 
        d Parked the deployment is another tenant's 
        e Invalid It cannot be read. Mend it and send it again. /occurred_at must not be more than 5 minutes ahead
        f Accepted  
    "#]].assert_eq(&told);
    assert_eq!(lab.daily().await, "acme 900 2026-11-24 openai/gpt-5 AUD: 3 requests 300/60/0 0.3\n");
    assert_eq!(lab.conflicts(Scope::Operator).await.len(), 1);
    let aside = lab.aside(ParkedStatus::Parked).await;
    assert_eq!(aside.len(), 2);

    // What waits is taken up like what came by the stream, and is the same message.
    lab.take_all(&[with(event("c"), &[("deployment_id", json!(deployment(999)))])]).await;
    assert_eq!(lab.aside(ParkedStatus::Parked).await.len(), 2);
    lab.know(last_deployment(999, "acme", Some("AUD"), 1)).await;
    assert_eq!(lab.aside(ParkedStatus::Replayed).await.len(), 1);
    assert!(lab.daily().await.contains("acme 999 2026-11-24 openai/gpt-5 AUD: 1 requests"));

    assert_eq!(record(&lab, &[]).await, Err("422 /events".to_owned()));
    let many: Vec<Value> = (0..1001).map(|number| event(&format!("many-{number}"))).collect();
    assert_eq!(record(&lab, &many).await, Err("422 /events".to_owned()));
    assert!(record(&lab, &many[..1000]).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_events_by_both_ways_at_once_count_once() {
    let lab = Lab::with_deployments().await;
    for round in 0..10 {
        let events: Vec<Value> = (0..200).map(|number| event(&format!("{round}-{number}"))).collect();
        let reversed: Vec<Value> = events.iter().rev().cloned().collect();
        let (words, told) = tokio::join!(lab.take_all(&events), record(&lab, &reversed));
        assert_eq!(words, vec!["done"; 200]);
        let told = told.unwrap();
        assert_eq!(
            told.lines().filter(|line| line.contains("Accepted") || line.contains("Duplicate")).count(),
            200
        );
    }
    assert_eq!(lab.daily().await, "acme 900 2026-11-24 openai/gpt-5 AUD: 2000 requests 200000/40000/0 200\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_keep_the_same_conflicts_in_any_order_do_not_stand_in_each_others_way() {
    let lab = Lab::with_deployments().await;
    let dearer = |id: &str| message(&with(event(id), &[("charge", json!("9"))]));
    lab.take_all(&[event("a"), event("m"), event("z")]).await;
    // Both have begun and wait for a third when they meet.
    let mut third = lab.meterer.pool.begin().await.unwrap();
    take_in(&lab.meterer, &mut third, &[dearer("m")]).await;
    let meeting = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        third.rollback().await.unwrap();
    };
    let one = [dearer("a"), dearer("m"), dearer("z")];
    let other = [dearer("z"), dearer("m"), dearer("a")];
    let (words, others, ()) = tokio::join!(lab.take(&one), lab.take(&other), meeting);
    assert_eq!((words, others), (vec!["done".to_owned(); 3], vec!["done".to_owned(); 3]));
    assert_eq!(lab.announced(UsageConflicted::SUBJECT).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_about_a_thousand_bad_events_fits() {
    let lab = Lab::with_deployments().await;
    let bad = |name: &str, names: usize| -> Box<RawValue> {
        let mut body = json!({ "gateway_request_id": "\"".repeat(128) });
        for number in 0..names {
            body[format!("{number}{name}")] = json!(0);
        }
        to_raw_value(&body).unwrap()
    };
    let record = async |events| lab.execute(RecordUsage { events, actor: operator() }).await.unwrap();
    for (name, names) in [("", 20), ("/", 12), ("\u{10ffff}".repeat(64).as_str(), 2)] {
        let events = vec![bad(name, names); 1000];
        let answer = record(events).await;
        let size = serde_json::to_vec(&answer).unwrap().len();
        assert!(size <= 950_000, "{size} bytes");
        assert!(answer.results.iter().all(|result| !result.errors.is_empty()));
    }
    assert_eq!(record(vec![bad("", 20)]).await.results[0].errors.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_large_conflicts_fits_and_goes_on() {
    let lab = Lab::with_deployments().await;
    let wide = |number: usize, charge: &str| {
        let text = |count| json!("\u{1f600}".repeat(count));
        with(
            event(&format!("{number:03}")),
            &[
                ("provider", text(64)),
                ("model", text(128)),
                ("charge", json!(charge)),
                ("metadata", json!({ "x": "\"".repeat(2_000) })),
            ],
        )
    };
    for charge in ["1", "2"] {
        lab.take_all(&(0..250).map(|number| wide(number, charge)).collect::<Vec<_>>()).await;
    }
    let (mut cursor, mut sizes, mut ids) = (None, Vec::new(), Vec::new());
    loop {
        let page = PageRequest { limit: 200, cursor };
        let query = ListUsageConflicts { scope: Scope::Operator, deployment_id: None, page };
        let page = lab.answer(query).await.unwrap();
        assert!(serde_json::to_vec(&page).unwrap().len() < 1_000_000);
        sizes.push(page.items.len());
        ids.extend(page.items.into_iter().map(|conflict| conflict.gateway_request_id.to_string()));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert!(sizes[0] < 200, "{sizes:?}");
    ids.sort();
    assert_eq!(ids, (0..250).map(|number| format!("{number:03}")).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_of_a_conflict_keeps_every_digit() {
    let lab = Lab::with_deployments().await;
    let digits = r#"{"big":123456789012345678901234567890,"small":0.1000000000000000055511151231257827}"#;
    let body = with(event("a"), &[("metadata", json!("<here>"))]).to_string();
    let body = body.replace("\"<here>\"", digits).into_bytes();
    lab.take_all(&[event("a")]).await;
    lab.take(&[llm::bytes("evt.llm-gateway.usage.recorded.v1.acme", body)]).await;
    let shown = &lab.conflicts(Scope::Operator).await[0];
    assert!(shown.rejected.get().contains(digits), "{}", shown.rejected);
    assert!(lab.announced(UsageConflicted::SUBJECT).await[0].contains(digits));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_models_those_with_the_largest_charges_are_shown() {
    let lab = Lab::with_deployments().await;
    let events: Vec<Value> = (0..250)
        .map(|number| {
            let charge = if number % 5 == 0 { "0.1".to_owned() } else { format!("1{number:03}") };
            with(
                event(&format!("{number}")),
                &[("model", json!(format!("m-{number:03}"))), ("charge", json!(charge))],
            )
        })
        .collect();
    lab.take_all(&events).await;
    let report = lab.usage("2026-11-01", "2026-12-01").await;
    assert_eq!((report.llm_by_model.len(), report.models_left_out), (200, 50));
    assert_eq!(report.llm_total[0].requests, 250);
    let models: Vec<String> =
        report.llm_by_model.into_iter().map(|usage| usage.model.unwrap_or_default()).collect();
    let largest: Vec<String> =
        (0..250).filter(|number| number % 5 != 0).map(|number| format!("m-{number:03}")).collect();
    assert_eq!(models, largest);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_followers_one_moves_the_position() {
    let lab = Lab::with_deployments().await;
    let created: chrono::DateTime<chrono::Utc> = "2026-11-01T00:00:00.123456Z".parse().unwrap();
    let at = |sequence| Position { stream_created_at: created, sequence };
    let moves = async |from, to| {
        let mut tx = lab.meterer.pool.begin().await.unwrap();
        let moved = lab.meterer.advance(&mut tx, from, to).await.unwrap();
        tx.commit().await.unwrap();
        moved
    };
    let mut connection = lab.meterer.pool.acquire().await.unwrap();
    assert_eq!(lab.meterer.position(&mut connection).await.unwrap(), None);
    assert!(moves(None, at(10)).await);
    assert!(!moves(None, at(10)).await, "somebody else was first");
    assert!(moves(Some(at(10)), at(20)).await);
    assert!(!moves(Some(at(10)), at(20)).await, "somebody else has moved on");
    // The stream was made again: the position is another, although it is smaller.
    let anew = Position { stream_created_at: "2026-11-02T00:00:00Z".parse().unwrap(), sequence: 3 };
    assert!(moves(Some(at(20)), anew).await);
    assert!(!moves(Some(at(20)), at(30)).await);
    assert_eq!(lab.meterer.position(&mut connection).await.unwrap(), Some(anew));

    // Two that take the same batch at once: the second finds the position moved, and its events taken.
    let (mut one, mut two) =
        (lab.meterer.pool.begin().await.unwrap(), lab.meterer.pool.begin().await.unwrap());
    let batch = [message(&event("a")), message(&event("b"))];
    take_in(&lab.meterer, &mut one, &batch).await;
    let overtaken = async {
        take_in(&lab.meterer, &mut two, &batch).await;
        let moved =
            lab.meterer.advance(&mut two, Some(anew), Position { sequence: 5, ..anew }).await.unwrap();
        two.rollback().await.unwrap();
        moved
    };
    let first = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(lab.meterer.advance(&mut one, Some(anew), Position { sequence: 5, ..anew }).await.unwrap());
        one.commit().await.unwrap();
    };
    let (moved, ()) = tokio::join!(overtaken, first);
    assert!(!moved);
    assert_eq!(lab.daily().await, "acme 900 2026-11-24 openai/gpt-5 AUD: 2 requests 200/40/0 0.2\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_told_by_kind_by_model_and_by_day() {
    let lab = Lab::with_deployments().await;
    lab.know(last_deployment(902, "acme", Some("USD"), 1)).await;
    let on = |id: &str, day: &str, model: &str, number: u128, currency: &str| {
        with(
            event(id),
            &[
                ("occurred_at", json!(format!("2026-11-{day}T10:00:00Z"))),
                ("model", json!(model)),
                ("deployment_id", json!(deployment(number))),
                ("currency", json!(currency)),
                ("cached_tokens", json!(5)),
            ],
        )
    };
    let theirs =
        with(on("x", "20", "gpt-5", 910, "AUD"), &[("tenant_id", json!("globex")), ("charge", json!("7"))]);
    let events = [
        on("a", "20", "gpt-5", 900, "AUD"),
        on("b", "21", "gpt-5", 900, "AUD"),
        on("c", "21", "mini", 901, "AUD"),
        on("d", "21", "mini", 902, "USD"),
        on("e", "22", "mini", 900, "AUD"),
        theirs,
        void("v", "e", 30),
    ];
    assert_eq!(lab.take_all(&events).await, ["done"; 7]);
    let line = |usage: &LlmUsage| {
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        let day = usage.day.map(|day| day.to_string()).unwrap_or_default();
        let (provider, model) = (text(&usage.provider), text(&usage.model));
        let tokens = format!("{}/{}/{}", usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens);
        format!(
            "{day}{provider} {model} {} {} requests {tokens} {}\n",
            usage.currency, usage.requests, usage.charge
        )
    };
    let lines = |usages: &[LlmUsage]| usages.iter().map(line).collect::<String>();

    let report = lab.usage("2026-11-01", "2026-12-01").await;
    assert_eq!(lab.sums("2026-11-01", "2026-12-01").await, "llm_tokens 600");
    let whole = format!(
        "{}--\n{}--\n{}",
        lines(&report.llm_total),
        lines(&report.llm_by_model),
        lines(&report.llm_by_day)
    );
    expect![[r#"
          AUD 4 requests 400/80/20 7.3
          USD 1 requests 100/20/5 0.1
        --
        openai gpt-5 AUD 3 requests 300/60/15 7.2
        openai mini AUD 1 requests 100/20/5 0.1
        openai mini USD 1 requests 100/20/5 0.1
        --
        2026-11-20  AUD 2 requests 200/40/10 7.1
        2026-11-21  AUD 2 requests 200/40/10 0.2
        2026-11-21  USD 1 requests 100/20/5 0.1
    "#]]
    .assert_eq(&whole);
    // The last day does not count.
    assert_eq!(
        lines(&lab.usage("2026-11-20", "2026-11-21").await.llm_total),
        "  AUD 2 requests 200/40/10 7.1\n"
    );

    let asked = async |scope, deployment_id: Option<DeploymentId>| {
        let (from, to) = (date("2026-11-01"), date("2026-12-01"));
        let query = GetUsage { scope, deployment_id, tenant_id: None, from, to };
        lines(&lab.answer(query).await.unwrap().llm_total)
    };
    assert_eq!(asked(tenant("globex"), None).await, "  AUD 1 requests 100/20/5 7\n");
    assert_eq!(asked(tenant("globex"), Some(deployment(900))).await, "");
    assert_eq!(asked(Scope::Operator, Some(deployment(902))).await, "  USD 1 requests 100/20/5 0.1\n");

    let (from, to) = (date("2026-11-01"), date("2026-12-01"));
    let mut cursor = None;
    let mut listed = String::new();
    loop {
        let page = PageRequest { limit: 1, cursor };
        let query = ListDeploymentUsage { scope: Scope::Operator, from, to, page };
        let page = lab.answer(query).await.unwrap();
        for item in page.items {
            let number = item.deployment_id.as_uuid().as_u128();
            listed.push_str(&format!("{} {number}: {}", item.tenant_id, lines(&item.llm)));
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    expect![[r#"
        acme 900:   AUD 2 requests 200/40/10 0.2
        acme 901:   AUD 1 requests 100/20/5 0.1
        acme 902:   USD 1 requests 100/20/5 0.1
        globex 910:   AUD 1 requests 100/20/5 7
    "#]]
    .assert_eq(&listed);
}
