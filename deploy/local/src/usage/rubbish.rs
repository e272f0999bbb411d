//! What a gateway must not send and might: each sort, and how to write one.

use chrono::TimeDelta;
use contracts::Message as _;
use contracts::llm_gateway::{UsageCorrected, UsageRecorded};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Plan;
use super::random::Random;
use super::request::{Request, text, time};

/// Why a message cannot be counted. All are set aside for an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rubbish {
    /// The body ends in the middle.
    NoJson,
    /// The body is no UTF-8.
    NoText,
    /// Several events in one body.
    Array,
    /// Something required is left out.
    MissingField,
    /// The charge is a JSON number.
    FloatForMoney,
    /// The charge is no decimal that can be kept exactly.
    BadDecimal,
    /// A number of tokens is none, or beyond all reason.
    BadTokens,
    /// The subject names another tenant than the body.
    OtherTenant,
    /// Nobody has such a deployment.
    UnknownDeployment,
    /// The deployment is another tenant's.
    ForeignDeployment,
    /// Not the currency of the deployment's plan. Without a plan, any currency is taken: then the totals are wrong.
    OtherCurrency,
    /// No currency that is taken.
    UnknownCurrency,
    /// It has not happened yet.
    Future,
    /// A correction of what was never recorded.
    UnknownRequest,
}

/// The body, the tenant that the subject names, and which event it is said to be.
pub(super) struct Written {
    pub subject: String,
    pub body: Vec<u8>,
}

const RUBBISH: u64 = 3;

impl Rubbish {
    /// Every sort.
    pub const ALL: [Self; 14] = [
        Self::NoJson,
        Self::NoText,
        Self::Array,
        Self::MissingField,
        Self::FloatForMoney,
        Self::BadDecimal,
        Self::BadTokens,
        Self::OtherTenant,
        Self::UnknownDeployment,
        Self::ForeignDeployment,
        Self::OtherCurrency,
        Self::UnknownCurrency,
        Self::Future,
        Self::UnknownRequest,
    ];

    /// Draws a sort that the plan's deployments allow.
    pub(super) fn draw(plan: &Plan, random: &mut Random) -> Self {
        let first = &plan.targets[0].tenant_id;
        let foreign = plan.targets.iter().any(|target| target.tenant_id != *first);
        match random.pick(&Self::ALL) {
            Self::ForeignDeployment if !foreign => Self::UnknownDeployment,
            sort => sort,
        }
    }

    /// Writes the piece of this number; no two are alike.
    pub(super) fn write(self, plan: &Plan, number: u64) -> Written {
        let mut random = Random::of(plan.seed, RUBBISH, number);
        let mut request = Request::of(plan, random.below(plan.count));
        request.id = format!("bad_{:x}_{number:012}", plan.seed);
        // Also what has no id is like no other.
        request.metadata = Some(format!(r#"{{"rubbish":"{:x}-{number}"}}"#, plan.seed));
        let tenant = request.target.tenant_id.as_str().to_owned();
        let mut fields = request.fields();
        let mut literal = UsageRecorded::SUBJECT;
        let mut subject_tenant = tenant.clone();
        match self {
            Self::NoJson | Self::NoText | Self::Array => {}
            Self::MissingField => {
                let required = [
                    "gateway_request_id",
                    "tenant_id",
                    "deployment_id",
                    "provider",
                    "model",
                    "prompt_tokens",
                    "completion_tokens",
                    "charge",
                    "currency",
                    "occurred_at",
                ];
                fields.remove(random.pick(&required));
            }
            Self::FloatForMoney => fields.set("charge", random.pick(&["0.125", "12", "1e-3"]).to_owned()),
            Self::BadDecimal => {
                let bad =
                    ["1e3", "-1", ".5", "1,50", "0.1234567890123", "", "+1", "1_000", "12345678901234567"];
                fields.set("charge", text(random.pick(&bad)));
            }
            Self::BadTokens => {
                let bad = ["-1", "1.5", "\"12\"", "null", "1000000000001"];
                fields.set("prompt_tokens", random.pick(&bad).to_owned());
            }
            Self::OtherTenant => subject_tenant = format!("{}x", &tenant[..tenant.len().min(60)]),
            Self::UnknownDeployment => {
                let nobodys = Uuid::from_u64_pair(random.next(), random.next());
                fields.set("deployment_id", text(&nobodys.to_string()));
            }
            Self::ForeignDeployment => {
                let foreign: Vec<_> =
                    plan.targets.iter().filter(|target| target.tenant_id.as_str() != tenant).collect();
                fields.set("deployment_id", text(&random.pick(&foreign).deployment_id.to_string()));
            }
            Self::OtherCurrency => {
                let own = request.target.currency.as_str();
                fields.set("currency", text(if own == "EUR" { "CHF" } else { "EUR" }));
            }
            Self::UnknownCurrency => {
                fields.set("currency", text(random.pick(&["XXX", "aud", "DOLLARS", ""])))
            }
            Self::Future => {
                let later = TimeDelta::days(3_650) + TimeDelta::milliseconds(number.cast_signed());
                fields.set("occurred_at", text(&time(plan.until + later)));
            }
            Self::UnknownRequest => {
                literal = UsageCorrected::SUBJECT;
                for name in ["provider", "model", "metadata"] {
                    fields.remove(name);
                }
                fields.set("correction_id", text(&format!("cor_bad_{:x}_{number:012}", plan.seed)));
                fields.set("reason", text("of what was never recorded"));
            }
        }
        let mut body = fields.write();
        match self {
            Self::NoJson => body.truncate(body.len() - 1 - usize::try_from(random.below(40)).unwrap_or(0)),
            Self::NoText => body.splice(body.len() - 2..body.len() - 2, [0xff]).for_each(drop),
            Self::Array => {
                body.insert(0, b'[');
                body.push(b']');
            }
            Self::MissingField
            | Self::FloatForMoney
            | Self::BadDecimal
            | Self::BadTokens
            | Self::OtherTenant
            | Self::UnknownDeployment
            | Self::ForeignDeployment
            | Self::OtherCurrency
            | Self::UnknownCurrency
            | Self::Future
            | Self::UnknownRequest => {}
        }
        Written { subject: format!("{literal}.{subject_tenant}"), body }
    }
}
