//! What published traffic must come to, in arithmetic of the generator's own: integers of the finest unit of a charge.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use contracts::TenantId;
use contracts::ids::DeploymentId;
use money::{Charge, Currency};
use serde::{Deserialize, Serialize};

use super::request::{Figures, Request, decimal};
use super::{Rubbish, Sort};

/// What all messages so far come to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Messages of all sorts.
    pub messages: u64,
    /// Requests that were recorded; voided ones too.
    pub accepted: u64,
    /// Of those, how many came late.
    pub reordered: u64,
    /// What came again with the same content. A publisher that sends again what was not acknowledged adds to it.
    pub duplicates: u64,
    /// What came again with another content; each unlike all others.
    pub conflicts: u64,
    /// Corrections that count.
    pub corrections: u64,
    /// Voids that count.
    pub voids: u64,
    /// What must be set aside, by sort; each unlike all others.
    pub parked: BTreeMap<Rubbish, u64>,
    /// Usage that counts, by deployment, day, model and currency. Where all requests are voided there is no row.
    pub rows: Vec<Row>,
}

/// Usage of one deployment, day, model and currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The deployment.
    pub deployment_id: DeploymentId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The day of the requests, in UTC.
    pub day: NaiveDate,
    /// Who ran the model.
    pub provider: String,
    /// The model.
    pub model: String,
    /// The currency of the charge.
    pub currency: Currency,
    /// Requests that are not voided.
    pub requests: u64,
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
    /// Tokens from a cache.
    pub cached_tokens: u64,
    /// The exact sum of the charges.
    pub charge: Charge,
}

impl Totals {
    /// How many messages must be set aside.
    pub fn parked_total(&self) -> u64 {
        self.parked.values().sum()
    }

    /// The exact sum of the charges, by currency.
    pub fn charges(&self) -> BTreeMap<Currency, Charge> {
        let mut sums = BTreeMap::<Currency, Charge>::new();
        for row in &self.rows {
            let sum = sums.entry(row.currency).or_default();
            *sum = Charge::new(sum.get() + row.charge.get()).expect("a sum of charges is not negative");
        }
        sums
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    deployment_id: DeploymentId,
    day: NaiveDate,
    provider: &'static str,
    model: &'static str,
    currency: Currency,
    tenant_id: TenantId,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    requests: u64,
    prompt: u64,
    completion: u64,
    cached: u64,
    charge: u128,
}

/// Counts as the traffic is made.
#[derive(Debug, Clone, Default)]
pub(super) struct Counter {
    counts: Totals,
    sums: BTreeMap<Key, Sum>,
}

impl Counter {
    pub(super) fn count(&mut self, sort: Sort) {
        let counts = &mut self.counts;
        counts.messages += 1;
        match sort {
            Sort::Request => counts.accepted += 1,
            Sort::Duplicate => counts.duplicates += 1,
            Sort::Conflict => counts.conflicts += 1,
            Sort::Correction => counts.corrections += 1,
            Sort::Void => counts.voids += 1,
            Sort::Rubbish(rubbish) => *counts.parked.entry(rubbish).or_default() += 1,
        }
    }

    pub(super) fn count_reordered(&mut self) {
        self.counts.reordered += 1;
    }

    pub(super) fn add(&mut self, request: &Request, figures: Figures) {
        let sum = self.sums.entry(key(request)).or_default();
        sum.requests += 1;
        sum.prompt += figures.prompt;
        sum.completion += figures.completion;
        sum.cached += figures.cached;
        sum.charge += figures.charge;
    }

    /// Takes back what was added.
    pub(super) fn take_back(&mut self, request: &Request, figures: Figures) {
        let sum = self.sums.get_mut(&key(request)).expect("what is taken back was added");
        sum.requests -= 1;
        sum.prompt -= figures.prompt;
        sum.completion -= figures.completion;
        sum.cached -= figures.cached;
        sum.charge -= figures.charge;
    }

    pub(super) fn totals(&self) -> Totals {
        let counting = self.sums.iter().filter(|(_, sum)| sum.requests > 0);
        let rows = counting.map(|(key, sum)| Row {
            deployment_id: key.deployment_id,
            tenant_id: key.tenant_id.clone(),
            day: key.day,
            provider: key.provider.to_owned(),
            model: key.model.to_owned(),
            currency: key.currency,
            requests: sum.requests,
            prompt_tokens: sum.prompt,
            completion_tokens: sum.completion,
            cached_tokens: sum.cached,
            charge: decimal(sum.charge).parse().expect("a sum of charges is a charge"),
        });
        Totals { rows: rows.collect(), ..self.counts.clone() }
    }
}

fn key(request: &Request) -> Key {
    Key {
        deployment_id: request.target.deployment_id,
        day: request.occurred_at.date_naive(),
        provider: request.provider,
        model: request.model,
        currency: request.target.currency,
        tenant_id: request.target.tenant_id.clone(),
    }
}
