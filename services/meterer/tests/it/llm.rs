//! An LLM gateway whose messages the test writes by hand.

use std::collections::BTreeMap;

use contracts::{
    Message, Scope,
    biller::{Deployment, DeploymentState, LastDeployment, LlmMode, Subscription, SubscriptionStatus},
    ids::{PlanVersionId, SubscriptionId},
    llm_gateway::{PRODUCER, SEQUENCE, UsageCorrected, UsageRecorded, UsageVoided},
    meterer::{ListUsageConflicts, ReleaseUsage, UsageConflict},
    paging::PageRequest,
    parked::ParkedStatus,
    streams::{self, Stream},
};
use messaging::{
    Follow, Handle, Intended, Outcome, Perform, Received, follow,
    parked::{self, Parking},
};
use meterer::Meterer;
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::lab::{Lab, OWNER, deployment};

/// When the tests of usage happen.
pub const NOW: &str = "2026-11-24T12:00:00Z";

/// A request of the tenant acme's deployment 900.
pub fn event(id: &str) -> Value {
    json!({
        "gateway_request_id": id,
        "tenant_id": "acme",
        "deployment_id": deployment(900),
        "provider": "openai",
        "model": "gpt-5",
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "charge": "0.10",
        "currency": "AUD",
        "occurred_at": "2026-11-24T11:00:00Z",
    })
}

/// With other values.
pub fn with(mut body: Value, fields: &[(&str, Value)]) -> Value {
    for (name, value) in fields {
        body[name] = value.clone();
    }
    body
}

/// The request `id` came to something else.
pub fn correction(correction: &str, id: &str, minute: u32, tokens: u64, charge: &str) -> Value {
    json!({
        "correction_id": correction,
        "gateway_request_id": id,
        "tenant_id": "acme",
        "deployment_id": deployment(900),
        "prompt_tokens": tokens,
        "completion_tokens": 0,
        "charge": charge,
        "currency": "AUD",
        "reason": "priced by the wrong list",
        "occurred_at": format!("2026-11-24T11:{minute:02}:00Z"),
    })
}

/// The request `id` does not count.
pub fn void(correction: &str, id: &str, minute: u32) -> Value {
    json!({
        "correction_id": correction,
        "gateway_request_id": id,
        "tenant_id": "acme",
        "deployment_id": deployment(900),
        "reason": "made by a test",
        "occurred_at": format!("2026-11-24T11:{minute:02}:00Z"),
    })
}

/// The subject of a body: by what it says, of its tenant.
pub fn subject(body: &Value) -> String {
    let literal = match (body.get("correction_id"), body.get("charge")) {
        (None, _) => UsageRecorded::SUBJECT,
        (Some(_), Some(_)) => UsageCorrected::SUBJECT,
        (Some(_), None) => UsageVoided::SUBJECT,
    };
    format!("{literal}.{}", body["tenant_id"].as_str().unwrap_or("acme"))
}

/// A message as the loop has it.
pub fn message(body: &Value) -> Received {
    bytes(&subject(body), body.to_string().into_bytes())
}

pub fn bytes(subject: &str, body: Vec<u8>) -> Received {
    let body = body.into();
    Received {
        key: follow::key(subject, &body),
        subject: subject.to_owned(),
        headers: BTreeMap::new(),
        body,
        deliveries: 1,
        consumer: streams::follower_name(OWNER, Stream::Usage),
    }
}

/// With a producer's name and number.
pub fn numbered(mut message: Received, producer: &str, number: u64) -> Received {
    message.headers.insert(PRODUCER.to_owned(), producer.to_owned());
    message.headers.insert(SEQUENCE.to_owned(), number.to_string());
    message
}

/// What became of a message, in a word, or why it was set aside.
pub fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done => "done".to_owned(),
        Outcome::Park(reason) => reason.clone(),
        Outcome::Await { reason, thing } => format!("{reason} (waits for {thing})"),
        Outcome::RetryAfter(_) => panic!("a follower never asks for a message again"),
    }
}

/// Takes messages as the loop does, in a transaction that the caller ends.
pub async fn take_in(meterer: &Meterer, tx: &mut PgConnection, messages: &[Received]) -> Vec<String> {
    let batch = meterer.read(messages);
    let outcomes = meterer.take(tx, batch).await.unwrap();
    assert_eq!(outcomes.len(), messages.len());
    let aside: Vec<Parking<'_>> = messages
        .iter()
        .zip(&outcomes)
        .filter_map(|(received, outcome)| match outcome {
            Outcome::Done | Outcome::RetryAfter(_) => None,
            Outcome::Park(reason) => Some(Parking { received, reason, waits_for: None }),
            Outcome::Await { reason, thing } => Some(Parking { received, reason, waits_for: Some(thing) }),
        })
        .collect();
    parked::park_all(tx, OWNER, &aside, meterer.clock.now()).await.unwrap();
    outcomes.iter().map(word).collect()
}

/// A deployment, as biller tells of it.
pub fn last_deployment(number: u128, tenant: &str, currency: Option<&str>, version: i64) -> LastDeployment {
    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    let day = |text: &str| text.parse().unwrap();
    let subscription = currency.map(|currency| Subscription {
        id: SubscriptionId::from_uuid(Uuid::from_u128(1)),
        plan_code: "studio".parse().unwrap(),
        plan_version_id: PlanVersionId::from_uuid(Uuid::from_u128(1)),
        plan_version: 1,
        currency: currency.parse().unwrap(),
        status: SubscriptionStatus::Active,
        current_period_start: day("2026-11-01"),
        current_period_end: day("2026-12-01"),
        trial_ends_at: None,
        started_at: at,
        cancelled_at: None,
        addons: Vec::new(),
    });
    LastDeployment {
        deployment: Deployment {
            id: deployment(number),
            tenant_id: tenant.parse().unwrap(),
            slug: format!("app-{number}").parse().unwrap(),
            display_name: "App".to_owned(),
            region: "syd1".to_owned(),
            state: DeploymentState::Active,
            llm_mode: LlmMode::Gateway,
            billing_action_suspended: false,
            template_code: None,
            template_version: None,
            subscription,
            created_at: at,
            version,
        },
    }
}

/// Hands a deployment to a meterer's handler.
pub async fn know_in(meterer: &Meterer, tx: &mut PgConnection, told: LastDeployment) {
    let received = crate::lab::received(LastDeployment::SUBJECT, "");
    assert_eq!(meterer.handle(tx, told, &received).await.unwrap(), Outcome::Done);
}

impl Lab {
    /// A meterer that knows acme's deployments 900 and 901 and globex's 910, all in AUD.
    pub async fn with_deployments() -> Self {
        let lab = Self::start(NOW).await;
        for (number, tenant) in [(900, "acme"), (901, "acme"), (910, "globex")] {
            lab.know(last_deployment(number, tenant, Some("AUD"), 1)).await;
        }
        lab
    }

    /// Biller tells of a deployment, and what waited for it is counted.
    pub async fn know(&self, told: LastDeployment) {
        self.hear(told).await;
        while self.release().await > 0 {}
    }

    /// Biller tells of a deployment.
    pub async fn hear(&self, told: LastDeployment) {
        let mut tx = self.meterer.pool.begin().await.unwrap();
        know_in(&self.meterer, &mut tx, told).await;
        tx.commit().await.unwrap();
    }

    /// Does the jobs that are in the outbox, each once; returns how many.
    pub async fn release(&self) -> usize {
        let jobs = self.announced(ReleaseUsage::SUBJECT).await;
        for job in &jobs {
            let job: ReleaseUsage = serde_json::from_str(job).unwrap();
            assert_eq!(self.release_usage(&job).await, Outcome::Done);
        }
        jobs.len()
    }

    /// Does a job as the loop does.
    pub async fn release_usage(&self, job: &ReleaseUsage) -> Outcome {
        let mut tx = self.meterer.pool.begin().await.unwrap();
        let received = crate::lab::received(ReleaseUsage::SUBJECT, "");
        let Intended::Settled(outcome) = self.meterer.intend(&mut tx, job, &received).await.unwrap() else {
            panic!("nothing is called")
        };
        if outcome == Outcome::Done {
            tx.commit().await.unwrap();
        }
        outcome
    }

    /// Takes messages as one batch, and says what became of each.
    pub async fn take(&self, messages: &[Received]) -> Vec<String> {
        let mut tx = self.meterer.pool.begin().await.unwrap();
        let words = take_in(&self.meterer, &mut tx, messages).await;
        tx.commit().await.unwrap();
        words
    }

    /// The same from bodies.
    pub async fn take_all(&self, bodies: &[Value]) -> Vec<String> {
        self.take(&bodies.iter().map(message).collect::<Vec<_>>()).await
    }

    /// The sums by day, a line each; checked against the events and what corrections changed.
    pub async fn daily(&self) -> String {
        assert_eq!(self.unequal_sums().await, 0, "the sums are not those over events and corrections");
        let rows = sqlx::query!(
            r#"select deployment_id, day::text as "day!", provider, model, currency, tenant_id, requests, prompt_tokens,
                      completion_tokens, cached_tokens, trim_scale(charge)::text as "charge!"
               from meterer.llm_usage_daily order by 1, 2, 3, 4, 5"#
        )
        .fetch_all(&mut self.world.superuser(OWNER).await)
        .await
        .unwrap();
        rows.into_iter()
            .map(|row| {
                format!(
                    "{} {} {} {}/{} {}: {} requests {}/{}/{} {}\n",
                    row.tenant_id,
                    row.deployment_id.as_u128(),
                    row.day,
                    row.provider,
                    row.model,
                    row.currency,
                    row.requests,
                    row.prompt_tokens,
                    row.completion_tokens,
                    row.cached_tokens,
                    row.charge,
                )
            })
            .collect()
    }

    /// How many sums differ from those over the events and what corrections changed.
    pub async fn unequal_sums(&self) -> i64 {
        unequal_sums(&mut self.world.superuser(OWNER).await).await
    }

    /// What is set aside in a state, oldest first.
    pub async fn aside(&self, status: ParkedStatus) -> Vec<(String, String)> {
        let rows = sqlx::query!(
            r#"select convert_from(payload, 'UTF8') as "body!", reason from meterer.parked where status = $1 order by id"#,
            status.as_str(),
        )
        .fetch_all(&mut self.world.superuser(OWNER).await)
        .await
        .unwrap();
        rows.into_iter().map(|row| (row.body, row.reason)).collect()
    }

    /// The conflicts that somebody sees, newest first.
    pub async fn conflicts(&self, scope: Scope) -> Vec<UsageConflict> {
        let query = ListUsageConflicts { scope, deployment_id: None, page: PageRequest::default() };
        self.answer(query).await.unwrap().items
    }
}

/// Sums that are not those over the events and what corrections changed.
pub async fn unequal_sums(superuser: &mut PgConnection) -> i64 {
    sqlx::query_scalar!(
        r#"with counted as (
             select deployment_id, (occurred_at at time zone 'UTC')::date as day, provider, model, currency,
                    1 as requests, prompt_tokens, completion_tokens, cached_tokens, charge
             from meterer.llm_usage_events
             union all
             select deployment_id, day, provider, model, currency, requests_delta, prompt_tokens_delta,
                    completion_tokens_delta, cached_tokens_delta, charge_delta
             from meterer.llm_usage_corrections
           ), summed as (
             select deployment_id, day, provider, model, currency, sum(requests) as requests, sum(prompt_tokens) as prompt,
                    sum(completion_tokens) as completion, sum(cached_tokens) as cached, sum(charge) as charge
             from counted group by 1, 2, 3, 4, 5
           )
           select count(*) as "count!"
           from summed full join meterer.llm_usage_daily daily using (deployment_id, day, provider, model, currency)
           where (summed.requests, summed.prompt, summed.completion, summed.cached, summed.charge)
                 is distinct from (daily.requests, daily.prompt_tokens, daily.completion_tokens, daily.cached_tokens,
                                   daily.charge)"#
    )
    .fetch_one(superuser)
    .await
    .unwrap()
}
