//! Sums by deployment, day, provider, model and currency, of one batch.

use std::{collections::BTreeMap, collections::btree_map, ops::AddAssign};

use chrono::NaiveDate;
use contracts::{TenantId, ids::DeploymentId};
use money::Currency;

use super::{Amount, Delta, Recorded};

/// What a sum is of. Ordered, so that whoever changes several sums takes them in one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key<'a> {
    /// Whose deployment.
    pub deployment_id: DeploymentId,
    /// The day, in UTC.
    pub day: NaiveDate,
    /// Who ran the model.
    pub provider: &'a str,
    /// The model.
    pub model: &'a str,
    /// The currency of the charges.
    pub currency: Currency,
}

/// By how much a sum changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum<'a> {
    /// The deployment's tenant.
    pub tenant_id: &'a TenantId,
    /// Requests and tokens.
    pub requests: i64,
    /// Tokens read, cached ones not counted.
    pub prompt: i64,
    /// Tokens written.
    pub completion: i64,
    /// Tokens read from a cache.
    pub cached: i64,
    /// Charges.
    pub charge: Amount,
}

/// By how much each sum changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rollup<'a>(BTreeMap<Key<'a>, Sum<'a>>);

impl<'a> Rollup<'a> {
    /// Counts a request.
    pub fn count(&mut self, event: &'a Recorded) {
        let delta = Delta {
            requests: 1,
            prompt: event.tokens.prompt,
            completion: event.tokens.completion,
            cached: event.tokens.cached,
            charge: event.charge.into(),
        };
        self.change(event, delta);
    }

    /// Changes what a request came to.
    pub fn change(&mut self, event: &'a Recorded, delta: Delta) {
        let key = Key {
            deployment_id: event.deployment_id,
            day: event.day(),
            provider: &event.provider,
            model: &event.model,
            currency: event.currency,
        };
        let none = Sum {
            tenant_id: &event.tenant_id,
            requests: 0,
            prompt: 0,
            completion: 0,
            cached: 0,
            charge: Amount::ZERO,
        };
        *self.0.entry(key).or_insert(none) += delta;
    }

    /// How many sums change.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl AddAssign<Delta> for Sum<'_> {
    fn add_assign(&mut self, delta: Delta) {
        self.requests += delta.requests;
        self.prompt += delta.prompt;
        self.completion += delta.completion;
        self.cached += delta.cached;
        self.charge += delta.charge;
    }
}

/// In the order of the keys.
impl<'r, 'a> IntoIterator for &'r Rollup<'a> {
    type Item = (&'r Key<'a>, &'r Sum<'a>);
    type IntoIter = btree_map::Iter<'r, Key<'a>, Sum<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
