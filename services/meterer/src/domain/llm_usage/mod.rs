//! What the LLM gateway says: read from bytes, or the reason why it cannot be.
//!
//! The same checks hold for what comes by NATS and by HTTP; only fields that nobody knows are taken from the one, as a
//! newer gateway may send them, and refused from the other.

mod amount;
mod correction;
mod fields;
mod fingerprint;
mod metadata;
mod rollup;
#[cfg(test)]
mod tests;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    Message, TenantId,
    ids::{DeploymentId, RequestId},
    llm_gateway::{UsageCorrected, UsageRecorded, UsageVoided},
    problem::FieldProblem,
};
use money::{Charge, Currency};
use serde::Serialize;
use serde_json::{
    Map,
    value::{RawValue, to_raw_value},
};

use fields::{Form, Refused, Unknown};

pub use amount::Amount;
pub use correction::{Decided, Delta, Effective};
pub use fingerprint::Fingerprint;
pub use rollup::{Key, Rollup, Sum};

/// The billing kind under which tokens are counted.
pub const LLM_TOKENS: &str = "llm_tokens";
/// Longest provider, model and reason, in characters.
const PROVIDER_MAX: usize = 64;
const MODEL_MAX: usize = 128;
const REASON_MAX: usize = 500;

/// What one message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Usage {
    /// A request was made.
    Recorded(Recorded),
    /// A recorded request had other figures, or none.
    Corrected(Correction),
}

/// How much was used; [`Tokens::default`] is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tokens {
    /// Read, cached ones not counted.
    pub prompt: i64,
    /// Written.
    pub completion: i64,
    /// Read from a cache.
    pub cached: i64,
}

/// A priced request, checked. Times are as precise as Postgres keeps them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The request's id, for ever.
    pub id: RequestId,
    /// Whose.
    pub tenant_id: TenantId,
    /// The deployment that made it.
    pub deployment_id: DeploymentId,
    /// Who ran the model.
    pub provider: String,
    /// The model.
    pub model: String,
    /// How much was used.
    pub tokens: Tokens,
    /// What it costs, exactly.
    pub charge: Charge,
    /// In which currency.
    pub currency: Currency,
    /// When.
    pub occurred_at: DateTime<Utc>,
    /// JSON of one spelling: sorted keys, no spaces.
    pub metadata: String,
    /// Of all of it.
    pub fingerprint: Fingerprint,
}

/// A correction or a void, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// Its id, for ever.
    pub id: RequestId,
    /// Which request.
    pub request: RequestId,
    /// Whose, as recorded.
    pub tenant_id: TenantId,
    /// The deployment, as recorded.
    pub deployment_id: DeploymentId,
    /// What counts instead; `None` voids the request.
    pub told: Option<Told>,
    /// Why.
    pub reason: String,
    /// When it was decided.
    pub occurred_at: DateTime<Utc>,
    /// Of all of it.
    pub fingerprint: Fingerprint,
}

/// The figures of a correction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// How much was used.
    pub tokens: Tokens,
    /// What it costs, exactly.
    pub charge: Charge,
    /// In which currency; as recorded.
    pub currency: Currency,
}

/// Why an event cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Its id, where that much can be read.
    pub id: Option<RequestId>,
    /// What is wrong with which field; an empty field is the whole.
    pub problems: Vec<FieldProblem>,
}

impl Unreadable {
    /// With the first problems only that fit into so many bytes of JSON; at least one.
    #[must_use]
    pub fn within(mut self, bytes: usize) -> Self {
        let mut used = 0_usize;
        let fitting = self.problems.iter().position(|problem| {
            let json = serde_json::to_string(problem).map_or(usize::MAX, |json| json.len());
            used = used.saturating_add(json).saturating_add(1);
            used > bytes
        });
        self.problems.truncate(fitting.unwrap_or(self.problems.len()).max(1));
        self
    }

    /// On one line, as the reason for setting the message aside.
    pub fn reason(&self) -> String {
        let problem = |problem: &FieldProblem| match problem.field.as_str() {
            "" => problem.detail.clone(),
            field => format!("{field} {}", problem.detail),
        };
        self.problems.iter().map(problem).collect::<Vec<_>>().join("; ")
    }
}

/// Reads what came on a subject of the usage stream, or says why not. Fields that nobody knows are left out.
pub fn read(subject: &str, body: &[u8], now: DateTime<Utc>) -> Result<Usage, String> {
    let (literal, tenant) = subject.rsplit_once('.').unwrap_or((subject, ""));
    let Ok(tenant) = tenant.parse::<TenantId>() else {
        return Err("the subject does not end in a tenant".to_owned());
    };
    // A library that is not told so takes bytes that are no text inside of strings it leaves out.
    let text = std::str::from_utf8(body).map_err(|_| "the body is no UTF-8".to_owned())?;
    let usage = match literal {
        UsageRecorded::SUBJECT => recorded(text, Unknown::LeftOut, now).map(Usage::Recorded),
        UsageCorrected::SUBJECT => corrected(text, now).map(Usage::Corrected),
        UsageVoided::SUBJECT => voided(text, now).map(Usage::Corrected),
        _ => return Err("nobody knows what is said on this subject".to_owned()),
    }
    .map_err(|unreadable| unreadable.reason())?;
    let of = match &usage {
        Usage::Recorded(recorded) => &recorded.tenant_id,
        Usage::Corrected(correction) => &correction.tenant_id,
    };
    if *of != tenant {
        return Err("the tenant in the subject is not the one in the body".to_owned());
    }
    Ok(usage)
}

/// Reads one event of a request by HTTP; says of every field what is wrong with it. Fields that nobody knows are wrong.
pub fn read_strictly(text: &str, now: DateTime<Utc>) -> Result<Recorded, Unreadable> {
    recorded(text, Unknown::Refused, now)
}

fn recorded(text: &str, unknown: Unknown, now: DateTime<Utc>) -> Result<Recorded, Unreadable> {
    const NAMES: [&str; 12] = [
        "gateway_request_id",
        "tenant_id",
        "deployment_id",
        "provider",
        "model",
        "prompt_tokens",
        "completion_tokens",
        "cached_tokens",
        "charge",
        "currency",
        "occurred_at",
        "metadata",
    ];
    let mut form = Form::open(text, NAMES, unknown);
    // Every field is looked at, so that every problem is told.
    let id = form.parsed("gateway_request_id");
    let tenant_id = form.parsed("tenant_id");
    let deployment_id = form.parsed("deployment_id");
    let provider = form.text("provider", PROVIDER_MAX);
    let model = form.text("model", MODEL_MAX);
    let tokens = tokens(&mut form);
    let charge = form.charge("charge");
    let currency = form.parsed("currency");
    let occurred_at = form.time("occurred_at", now);
    let metadata = form.optional("metadata", metadata::canonical, || "{}".to_owned());
    let known = id.clone().ok();
    let built = || {
        Ok(Recorded {
            id: id?,
            tenant_id: tenant_id?,
            deployment_id: deployment_id?,
            provider: provider?,
            model: model?,
            tokens: tokens?,
            charge: charge?,
            currency: currency?,
            occurred_at: occurred_at?,
            metadata: metadata?,
            fingerprint: Fingerprint::default(),
        })
    };
    let mut recorded: Recorded = form.close(known, built())?;
    recorded.fingerprint = Fingerprint::of_recorded(&recorded);
    Ok(recorded)
}

fn corrected(text: &str, now: DateTime<Utc>) -> Result<Correction, Unreadable> {
    const NAMES: [&str; 11] = [
        "correction_id",
        "gateway_request_id",
        "tenant_id",
        "deployment_id",
        "prompt_tokens",
        "completion_tokens",
        "cached_tokens",
        "charge",
        "currency",
        "reason",
        "occurred_at",
    ];
    let mut form = Form::open(text, NAMES, Unknown::LeftOut);
    let tokens = tokens(&mut form);
    let charge = form.charge("charge");
    let currency = form.parsed("currency");
    let told = || Ok(Told { tokens: tokens?, charge: charge?, currency: currency? });
    correction(form, told().map(Some), now)
}

fn voided(text: &str, now: DateTime<Utc>) -> Result<Correction, Unreadable> {
    const NAMES: [&str; 6] =
        ["correction_id", "gateway_request_id", "tenant_id", "deployment_id", "reason", "occurred_at"];
    correction(Form::open(text, NAMES, Unknown::LeftOut), Ok(None), now)
}

fn correction<const N: usize>(
    mut form: Form<'_, N>,
    told: Result<Option<Told>, Refused>,
    now: DateTime<Utc>,
) -> Result<Correction, Unreadable> {
    let id = form.parsed("correction_id");
    let request = form.parsed("gateway_request_id");
    let tenant_id = form.parsed("tenant_id");
    let deployment_id = form.parsed("deployment_id");
    let reason = form.text("reason", REASON_MAX);
    let occurred_at = form.time("occurred_at", now);
    let known = id.clone().ok();
    let built = || {
        Ok(Correction {
            id: id?,
            request: request?,
            tenant_id: tenant_id?,
            deployment_id: deployment_id?,
            told: told?,
            reason: reason?,
            occurred_at: occurred_at?,
            fingerprint: Fingerprint::default(),
        })
    };
    let mut correction: Correction = form.close(known, built())?;
    correction.fingerprint = Fingerprint::of_correction(&correction);
    Ok(correction)
}

fn tokens<const N: usize>(form: &mut Form<'_, N>) -> Result<Tokens, Refused> {
    let prompt = form.count("prompt_tokens");
    let completion = form.count("completion_tokens");
    let cached = form.optional("cached_tokens", fields::count, || 0);
    Ok(Tokens { prompt: prompt?, completion: completion?, cached: cached? })
}

#[derive(Serialize)]
struct WithMetadata<'a> {
    #[serde(flatten)]
    event: UsageRecorded,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a RawValue>,
}

impl Recorded {
    /// The day it counts for: that of UTC.
    pub fn day(&self) -> NaiveDate {
        self.occurred_at.date_naive()
    }

    /// The names of the fields in which another event of the same id differs.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let differs = [
            ("tenant_id", self.tenant_id != other.tenant_id),
            ("deployment_id", self.deployment_id != other.deployment_id),
            ("provider", self.provider != other.provider),
            ("model", self.model != other.model),
            ("prompt_tokens", self.tokens.prompt != other.tokens.prompt),
            ("completion_tokens", self.tokens.completion != other.tokens.completion),
            ("cached_tokens", self.tokens.cached != other.tokens.cached),
            ("charge", self.charge != other.charge),
            ("currency", self.currency != other.currency),
            ("occurred_at", self.occurred_at != other.occurred_at),
            ("metadata", self.metadata != other.metadata),
        ];
        differs.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
    }

    /// As it would be published, without what nobody knows. Metadata is put in as text: its numbers may have more digits
    /// than a float keeps.
    pub fn as_event(&self) -> Result<Box<RawValue>, serde_json::Error> {
        let event = UsageRecorded {
            gateway_request_id: self.id.clone(),
            tenant_id: self.tenant_id.clone(),
            deployment_id: self.deployment_id,
            provider: self.provider.clone(),
            model: self.model.clone(),
            prompt_tokens: self.tokens.prompt.unsigned_abs(),
            completion_tokens: self.tokens.completion.unsigned_abs(),
            cached_tokens: self.tokens.cached.unsigned_abs(),
            charge: self.charge,
            currency: self.currency,
            occurred_at: self.occurred_at,
            metadata: Map::new(),
        };
        let metadata: &RawValue = serde_json::from_str(&self.metadata)?;
        let metadata = Some(metadata).filter(|metadata| metadata.get() != "{}");
        to_raw_value(&WithMetadata { event, metadata })
    }
}

impl Correction {
    /// `corrected` or `voided`.
    pub const fn kind(&self) -> &'static str {
        if self.told.is_some() { "corrected" } else { "voided" }
    }

    /// The names of the fields in which another event of the same id differs.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let tokens = |correction: &Self| correction.told.map(|told| told.tokens).unwrap_or_default();
        let (own, others) = (tokens(self), tokens(other));
        let charge = |correction: &Self| correction.told.map(|told| told.charge).unwrap_or_default();
        let currency = |correction: &Self| correction.told.map(|told| told.currency);
        let differs = [
            ("gateway_request_id", self.request != other.request),
            ("tenant_id", self.tenant_id != other.tenant_id),
            ("deployment_id", self.deployment_id != other.deployment_id),
            ("prompt_tokens", own.prompt != others.prompt),
            ("completion_tokens", own.completion != others.completion),
            ("cached_tokens", own.cached != others.cached),
            ("charge", charge(self) != charge(other)),
            ("currency", currency(self) != currency(other)),
            ("reason", self.reason != other.reason),
            ("occurred_at", self.occurred_at != other.occurred_at),
        ];
        differs.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
    }

    /// As it would be published, without what nobody knows.
    pub fn as_event(&self) -> Result<Box<RawValue>, serde_json::Error> {
        let (correction_id, gateway_request_id) = (self.id.clone(), self.request.clone());
        let (tenant_id, deployment_id) = (self.tenant_id.clone(), self.deployment_id);
        let (reason, occurred_at) = (self.reason.clone(), self.occurred_at);
        match self.told {
            Some(Told { tokens, charge, currency }) => to_raw_value(&UsageCorrected {
                correction_id,
                gateway_request_id,
                tenant_id,
                deployment_id,
                prompt_tokens: tokens.prompt.unsigned_abs(),
                completion_tokens: tokens.completion.unsigned_abs(),
                cached_tokens: tokens.cached.unsigned_abs(),
                charge,
                currency,
                reason,
                occurred_at,
            }),
            None => to_raw_value(&UsageVoided {
                correction_id,
                gateway_request_id,
                tenant_id,
                deployment_id,
                reason,
                occurred_at,
            }),
        }
    }
}
