//! `meterer.llm_usage_daily`: LLM usage summed by deployment, day, provider, model and currency.

use std::cmp::Reverse;

use chrono::NaiveDate;
use contracts::{
    TenantId,
    ids::DeploymentId,
    meterer::{KindUsage, LlmUsage},
};
use money::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, usage_records::Span};
use crate::domain::llm_usage::{LLM_TOKENS, Rollup};

/// Changes sums, in the order of their keys.
pub async fn change(tx: &mut PgConnection, rollup: &Rollup<'_>) -> Result<(), sqlx::Error> {
    if rollup.is_empty() {
        return Ok(());
    }
    let count = rollup.len();
    let (mut deployments, mut days) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let (mut providers, mut models) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let (mut currencies, mut tenants) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let (mut requests, mut prompt) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let (mut completion, mut cached) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let mut charges = Vec::with_capacity(count);
    for (key, sum) in rollup {
        deployments.push(key.deployment_id.as_uuid());
        days.push(key.day);
        providers.push(key.provider);
        models.push(key.model);
        currencies.push(key.currency.as_str());
        tenants.push(sum.tenant_id.as_str());
        requests.push(sum.requests);
        prompt.push(sum.prompt);
        completion.push(sum.completion);
        cached.push(sum.cached);
        // Sums may have more digits than the decimal type of Rust.
        charges.push(sum.charge.to_string());
    }
    sqlx::query!(
        "insert into meterer.llm_usage_daily as known
           (deployment_id, day, provider, model, currency, tenant_id, requests, prompt_tokens, completion_tokens,
            cached_tokens, charge)
         select deployment_id, day, provider, model, currency, tenant_id, requests, prompt_tokens, completion_tokens,
                cached_tokens, charge::numeric
         from unnest($1::uuid[], $2::date[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
                     $9::bigint[], $10::bigint[], $11::text[])
              as given (deployment_id, day, provider, model, currency, tenant_id, requests, prompt_tokens,
                        completion_tokens, cached_tokens, charge)
         on conflict (deployment_id, day, provider, model, currency) do update set
           requests = known.requests + excluded.requests,
           prompt_tokens = known.prompt_tokens + excluded.prompt_tokens,
           completion_tokens = known.completion_tokens + excluded.completion_tokens,
           cached_tokens = known.cached_tokens + excluded.cached_tokens,
           charge = known.charge + excluded.charge",
        &deployments,
        &days,
        &providers as &[&str],
        &models as &[&str],
        &currencies as &[&str],
        &tenants as &[&str],
        &requests,
        &prompt,
        &completion,
        &cached,
        &charges,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// The same usage, summed three ways.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Over all days and models, by currency.
    pub total: Vec<LlmUsage>,
    /// By provider, model and currency, over all days.
    pub by_model: Vec<LlmUsage>,
    /// By day and currency, over all models.
    pub by_day: Vec<LlmUsage>,
}

impl Report {
    /// Keeps the `max` models with the largest charges, in their order; returns how many it left out.
    pub fn keep_models(&mut self, max: usize) -> usize {
        let left_out = self.by_model.len().saturating_sub(max);
        if left_out > 0 {
            self.by_model.sort_by_key(|usage| Reverse(usage.charge));
            self.by_model.truncate(max);
            let name = |usage: &LlmUsage| (usage.provider.clone(), usage.model.clone(), usage.currency);
            self.by_model.sort_by_cached_key(name);
        }
        left_out
    }

    /// The billing kind `llm_tokens`: all tokens that were read but not from a cache, and all that were written.
    /// `None` without any.
    pub fn tokens(&self) -> Option<KindUsage> {
        let tokens = |usage: &LlmUsage| usage.prompt_tokens.saturating_add(usage.completion_tokens);
        let tokens = self.total.iter().map(tokens).fold(0, u64::saturating_add);
        let billing_kind = LLM_TOKENS.parse().ok()?;
        (tokens > 0).then(|| KindUsage { billing_kind, qty: tokens.into() })
    }
}

struct Row {
    deployment_id: Option<Uuid>,
    day: Option<NaiveDate>,
    provider: Option<String>,
    model: Option<String>,
    currency: String,
    requests: i64,
    prompt_tokens: i64,
    completion_tokens: i64,
    cached_tokens: i64,
    charge: String,
}

impl TryFrom<Row> for LlmUsage {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let count = |value: i64| u64::try_from(value).map_err(|_| StoreError::Corrupt("llm_usage_daily"));
        let charge =
            Decimal::from_str_exact(&row.charge).ok().ok_or(StoreError::Corrupt("a sum of charges"))?;
        Ok(Self {
            day: row.day,
            provider: row.provider,
            model: row.model,
            currency: super::currency(&row.currency)?,
            requests: count(row.requests)?,
            prompt_tokens: count(row.prompt_tokens)?,
            completion_tokens: count(row.completion_tokens)?,
            cached_tokens: count(row.cached_tokens)?,
            charge: super::charge(charge)?,
        })
    }
}

/// Usage of a time, summed in one pass. What was voided altogether is left out. A statement for each way to ask, as each
/// has an index of its own.
pub async fn report(tx: &mut PgConnection, span: &Span<'_>) -> Result<Report, StoreError> {
    let rows = match (span.deployment_id, span.tenant_id) {
        (Some(deployment), tenant) => {
            sqlx::query_as!(
                Row,
                r#"select null::uuid as deployment_id, day as "day?", provider as "provider?", model as "model?",
                          currency as "currency!", sum(requests)::bigint as "requests!",
                          sum(prompt_tokens)::bigint as "prompt_tokens!",
                          sum(completion_tokens)::bigint as "completion_tokens!",
                          sum(cached_tokens)::bigint as "cached_tokens!", sum(charge)::text as "charge!"
                   from meterer.llm_usage_daily
                   where deployment_id = $3 and ($4::text is null or tenant_id = $4) and day >= $1 and day < $2
                   group by grouping sets ((currency), (provider, model, currency), (day, currency))
                   having sum(requests) > 0
                   order by day, provider, model, currency"#,
                span.from,
                span.to,
                deployment.as_uuid(),
                tenant.map(TenantId::as_str),
            )
            .fetch_all(tx)
            .await?
        }
        (None, Some(tenant)) => {
            sqlx::query_as!(
                Row,
                r#"select null::uuid as deployment_id, day as "day?", provider as "provider?", model as "model?",
                          currency as "currency!", sum(requests)::bigint as "requests!",
                          sum(prompt_tokens)::bigint as "prompt_tokens!",
                          sum(completion_tokens)::bigint as "completion_tokens!",
                          sum(cached_tokens)::bigint as "cached_tokens!", sum(charge)::text as "charge!"
                   from meterer.llm_usage_daily
                   where tenant_id = $3 and day >= $1 and day < $2
                   group by grouping sets ((currency), (provider, model, currency), (day, currency))
                   having sum(requests) > 0
                   order by day, provider, model, currency"#,
                span.from,
                span.to,
                tenant.as_str(),
            )
            .fetch_all(tx)
            .await?
        }
        (None, None) => {
            sqlx::query_as!(
                Row,
                r#"select null::uuid as deployment_id, day as "day?", provider as "provider?", model as "model?",
                          currency as "currency!", sum(requests)::bigint as "requests!",
                          sum(prompt_tokens)::bigint as "prompt_tokens!",
                          sum(completion_tokens)::bigint as "completion_tokens!",
                          sum(cached_tokens)::bigint as "cached_tokens!", sum(charge)::text as "charge!"
                   from meterer.llm_usage_daily
                   where day >= $1 and day < $2
                   group by grouping sets ((currency), (provider, model, currency), (day, currency))
                   having sum(requests) > 0
                   order by day, provider, model, currency"#,
                span.from,
                span.to,
            )
            .fetch_all(tx)
            .await?
        }
    };
    let mut report = Report::default();
    for row in rows {
        let usage = LlmUsage::try_from(row)?;
        match (&usage.model, &usage.day) {
            (Some(_), _) => report.by_model.push(usage),
            (None, Some(_)) => report.by_day.push(usage),
            (None, None) => report.total.push(usage),
        }
    }
    Ok(report)
}

/// The first deployments after `after` with any LLM usage in a time, and whose they are.
pub async fn deployments(
    tx: &mut PgConnection,
    span: &Span<'_>,
    after: Option<DeploymentId>,
    limit: i64,
) -> Result<Vec<(DeploymentId, TenantId)>, StoreError> {
    let rows = sqlx::query!(
        r#"select deployment_id, min(tenant_id) as "tenant_id!" from meterer.llm_usage_daily
           where ($1::uuid is null or deployment_id > $1) and ($2::text is null or tenant_id = $2)
             and day >= $3 and day < $4
           group by deployment_id having sum(requests) > 0
           order by deployment_id limit $5"#,
        after.map(DeploymentId::as_uuid),
        span.tenant_id.map(TenantId::as_str),
        span.from,
        span.to,
        limit,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| Ok((DeploymentId::from_uuid(row.deployment_id), super::tenant(row.tenant_id)?)))
        .collect()
}

/// Usage of each of these deployments in a time, over all days and models, by currency; ordered by deployment.
pub async fn by_deployment(
    tx: &mut PgConnection,
    from: NaiveDate,
    to: NaiveDate,
    deployments: &[DeploymentId],
) -> Result<Vec<(DeploymentId, LlmUsage)>, StoreError> {
    let ids: Vec<Uuid> = deployments.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"select deployment_id as "deployment_id?", null::date as day, null::text as provider, null::text as model,
                  currency as "currency!", sum(requests)::bigint as "requests!",
                  sum(prompt_tokens)::bigint as "prompt_tokens!", sum(completion_tokens)::bigint as "completion_tokens!",
                  sum(cached_tokens)::bigint as "cached_tokens!", sum(charge)::text as "charge!"
           from meterer.llm_usage_daily
           where deployment_id = any($1) and day >= $2 and day < $3
           group by deployment_id, currency
           having sum(requests) > 0
           order by deployment_id, currency"#,
        &ids,
        from,
        to,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let id = DeploymentId::from_uuid(row.deployment_id.unwrap_or_default());
            Ok((id, LlmUsage::try_from(row)?))
        })
        .collect()
}
