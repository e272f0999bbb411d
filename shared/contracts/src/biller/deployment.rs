//! Deployments, their lifecycle and their subscriptions.

use std::{fmt, str::FromStr};

use chrono::{DateTime, NaiveDate, Utc};
use money::{Cents, Currency, Quantity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Actor, Event, Job, Message, Scope, State, TenantId,
    ids::{BillingKind, Code, DeploymentId, PlanVersionId, Slug, SubscriptionId},
    outbox::Republished,
    paging::{Page, PageRequest},
};

/// Where a deployment stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentState {
    /// Its resources are being made.
    Provisioning,
    /// It runs, and its recurring price is not yet charged.
    Trial,
    /// It runs and is charged.
    Active,
    /// An invoice is overdue.
    PastDue,
    /// Its tenant has paused it.
    Paused,
    /// It was stopped for want of payment.
    Suspended,
    /// It is over.
    Cancelled,
    /// It is over and put away.
    Archived,
}

impl DeploymentState {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 8] = [
        Self::Provisioning,
        Self::Trial,
        Self::Active,
        Self::PastDue,
        Self::Paused,
        Self::Suspended,
        Self::Cancelled,
        Self::Archived,
    ];

    /// The state as it is written in the database, in messages and in URLs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Trial => "trial",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Paused => "paused",
            Self::Suspended => "suspended",
            Self::Cancelled => "cancelled",
            Self::Archived => "archived",
        }
    }
}

impl fmt::Display for DeploymentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no state of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of provisioning, trial, active, past_due, paused, suspended, cancelled, archived")]
pub struct InvalidDeploymentState;

impl FromStr for DeploymentState {
    type Err = InvalidDeploymentState;

    fn from_str(text: &str) -> Result<Self, InvalidDeploymentState> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(InvalidDeploymentState)
    }
}

/// How a deployment gets at language models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LlmMode {
    /// Not at all.
    Disabled,
    /// Through arcadia-llm-gateway, which meters and prices it.
    Gateway,
    /// With keys of the tenant's own; we neither see nor charge it.
    OwnKeys,
}

impl LlmMode {
    /// The mode as it is written in the database and in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Gateway => "gateway",
            Self::OwnKeys => "own_keys",
        }
    }
}

/// Where a subscription stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionStatus {
    /// It is charged for.
    Active,
    /// Its deployment is paused.
    Paused,
    /// It is over.
    Cancelled,
}

impl SubscriptionStatus {
    /// The status as it is written in the database and in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
        }
    }
}

/// An add-on as it was when it was attached: a later price in the catalog changes nobody's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubscriptionAddon {
    /// The add-on's code.
    pub code: Code,
    /// Its name then.
    pub name: String,
    /// The billing kind.
    pub resource_kind: BillingKind,
    /// Base units a month that it adds to the allowance.
    pub qty: Quantity,
    /// Price of a month.
    pub price_cents: Cents,
    /// When it was attached.
    pub attached_at: DateTime<Utc>,
}

/// What binds a deployment to a plan version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// The plan's code.
    pub plan_code: Code,
    /// The version it is bound to.
    pub plan_version_id: PlanVersionId,
    /// That version's number.
    pub plan_version: i32,
    /// The currency of its prices.
    pub currency: Currency,
    /// Where it stands.
    pub status: SubscriptionStatus,
    /// First day of the current period.
    pub current_period_start: NaiveDate,
    /// First day after the current period.
    pub current_period_end: NaiveDate,
    /// When the trial ends; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial_ends_at: Option<DateTime<Utc>>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it was cancelled; absent while it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_at: Option<DateTime<Utc>>,
    /// What was added to the plan.
    pub addons: Vec<SubscriptionAddon>,
}

/// A deployment, as events carry it. `version` grows by one with every event of the deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deployment {
    /// Its id, stable for ever.
    pub id: DeploymentId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Its name within the tenant.
    pub slug: Slug,
    /// Its name for people.
    pub display_name: String,
    /// Region slug of the provider.
    pub region: String,
    /// Where it stands.
    pub state: DeploymentState,
    /// How it gets at language models.
    pub llm_mode: LlmMode,
    /// Whether an operator keeps automatic billing actions away from it.
    pub billing_action_suspended: bool,
    /// The template it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_code: Option<Code>,
    /// That template's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_version: Option<i32>,
    /// The live subscription, or the last one; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<Subscription>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// Counts the deployment's events, from 1.
    pub version: i64,
}

/// One line of a deployment's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeploymentEvent {
    /// `created`, `transitioned`, `subscribed`, `period_begun`, `migrated` or `billing_action_changed`.
    pub event: String,
    /// The state before; absent for `created`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_state: Option<DeploymentState>,
    /// The state after.
    pub to_state: DeploymentState,
    /// The deployment's version after it.
    pub version: i64,
    /// Who did it: `sub` of a token, or the name of the job. Tenants see `operator` for whichever operator it was.
    pub actor: String,
    /// Why, in the actor's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    pub occurred_at: DateTime<Utc>,
}

/// A deployment and what happened to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeploymentDetail {
    /// The deployment, with its subscription.
    #[serde(flatten)]
    pub deployment: Deployment,
    /// Its last hundred events, newest first.
    pub events: Vec<DeploymentEvent>,
}

macro_rules! deployment_event {
    ($(#[$doc:meta])* $name:ident, $subject:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub struct $name {
            /// The deployment after the event.
            pub deployment: Deployment,
        }

        impl Message for $name {
            const SUBJECT: &'static str = $subject;
        }

        impl Event for $name {
            fn key(&self) -> Option<String> {
                Some(self.deployment.id.to_string())
            }

            fn tenant(&self) -> Option<&TenantId> {
                Some(&self.deployment.tenant_id)
            }
        }
    };
}

deployment_event!(
    /// A deployment was created.
    DeploymentCreated,
    "evt.biller.deployment.created.v1"
);
deployment_event!(
    /// A deployment went from one state to another.
    DeploymentTransitioned,
    "evt.biller.deployment.transitioned.v1"
);
deployment_event!(
    /// A deployment got a subscription, or its subscription a new period.
    DeploymentSubscribed,
    "evt.biller.deployment.subscribed.v1"
);
deployment_event!(
    /// A deployment's subscription was bound to another plan version.
    DeploymentMigrated,
    "evt.biller.deployment.migrated.v1"
);
deployment_event!(
    /// Anything else about a deployment changed, or its state is told again.
    DeploymentUpdated,
    "evt.biller.deployment.updated.v1"
);

/// The last event of a deployment, whichever it was; the body of every deployment event can be read as this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastDeployment {
    /// The deployment after its last event.
    pub deployment: Deployment,
}

impl Message for LastDeployment {
    const SUBJECT: &'static str = "state.biller.deployment.last.v1";
}

impl State for LastDeployment {}

/// Which deployments?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListDeployments {
    /// Whose.
    pub scope: Scope,
    /// In this state only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<DeploymentState>,
    /// Of this tenant only; within the scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<TenantId>,
    /// Which page, oldest first.
    pub page: PageRequest,
}

query!(ListDeployments => Page<Deployment>, "qry.biller.deployment.list.v1");

/// One deployment with its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetDeployment {
    /// Whose.
    pub scope: Scope,
    /// Which.
    pub id: DeploymentId,
}

query!(GetDeployment => DeploymentDetail, "qry.biller.deployment.get.v1");

/// Create a deployment, with a subscription if a plan is named: `trial` with a trial, else `active`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreateDeployment {
    /// Whose orders these are: a tenant's number of deployments is limited, and only operators grant trials.
    pub scope: Scope,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Its name within the tenant; taken once.
    pub slug: Slug,
    /// Its name for people.
    pub display_name: String,
    /// Region slug of the provider.
    pub region: String,
    /// How it gets at language models.
    pub llm_mode: LlmMode,
    /// The template it is made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_code: Option<Code>,
    /// That template's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_version: Option<i32>,
    /// The plan to subscribe to; required with add-ons or a trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_code: Option<Code>,
    /// Add-ons to attach; a code may stand more than once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addons: Vec<Code>,
    /// Days of trial from now, 1 to 365.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial_days: Option<u16>,
    /// Who says so.
    pub actor: Actor,
}

command!(CreateDeployment => Deployment, "cmd.biller.deployment.create.v1");

/// Take a deployment from one state to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TransitionDeployment {
    /// Whose orders these are: tenants pause, resume and cancel their own; the rest is operators'.
    pub scope: Scope,
    /// Which.
    pub id: DeploymentId,
    /// The state to go to.
    pub to: DeploymentState,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who says so.
    pub actor: Actor,
}

command!(TransitionDeployment => Deployment, "cmd.biller.deployment.transition.v1");

/// Subscribe a deployment that has no live subscription to the active version of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubscribeDeployment {
    /// Whose orders these are.
    pub scope: Scope,
    /// Which.
    pub id: DeploymentId,
    /// The plan.
    pub plan_code: Code,
    /// Add-ons to attach; a code may stand more than once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addons: Vec<Code>,
    /// Who says so.
    pub actor: Actor,
}

command!(SubscribeDeployment => Deployment, "cmd.biller.deployment.subscribe.v1");

/// Bind a deployment's live subscription to another version, of the same plan or another. Operators only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MigrateSubscription {
    /// Which deployment.
    pub id: DeploymentId,
    /// The version; active or retired, not a draft, in the same currency.
    pub plan_version_id: PlanVersionId,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who says so.
    pub actor: Actor,
}

command!(MigrateSubscription => Deployment, "cmd.biller.deployment.migrate.v1");

/// Keep automatic billing actions away from a deployment, or no longer. Operators only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetBillingActionSuspended {
    /// Which deployment.
    pub id: DeploymentId,
    /// Whether they are kept away.
    pub suspended: bool,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who says so.
    pub actor: Actor,
}

command!(SetBillingActionSuspended => Deployment, "cmd.biller.deployment.set-billing-action.v1");

/// Tell the present state of every deployment again: what fills a read model or a stream that the outbox no longer
/// reaches back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RepublishDeployments {
    /// Who says so.
    pub actor: Actor,
}

command!(RepublishDeployments => Republished, "cmd.biller.deployment.republish.v1");

/// End the trials whose time has come, and begin the periods that have begun.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdvanceSubscriptions {}

impl Message for AdvanceSubscriptions {
    const SUBJECT: &'static str = "job.biller.subscriptions.advance.v1";
}

impl Job for AdvanceSubscriptions {}
