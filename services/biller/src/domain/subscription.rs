//! What binds a deployment to a plan: how it begins, how it moves to another version, when its next period begins.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use contracts::{
    Problem,
    biller::{
        Addon, Deployment, DeploymentState, PlanVersion, PlanVersionStatus, Subscription, SubscriptionAddon,
        SubscriptionStatus,
    },
    ids::{Code, SubscriptionId},
};

use super::{lifecycle, period::Month};

/// Add-ons of one subscription. All of them are in every event of the deployment, and a message is bounded.
pub const ADDONS_MAX: usize = 32;

/// What the catalog has of what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// The active version of the plan; `None`: there is no such plan, or nothing of it is on offer.
    pub version: Option<PlanVersion>,
    /// The add-ons that there are, in any order, each once.
    pub addons: Vec<Addon>,
}

/// What is to begin, and when.
#[derive(Debug, Clone, Copy)]
pub struct Beginning<'a> {
    /// The new subscription's id.
    pub id: SubscriptionId,
    /// The add-ons that were asked for, in this order; a code may stand more than once.
    pub addons: &'a [Code],
    /// Days of trial.
    pub trial_days: Option<u16>,
    /// The state the deployment is in, or will be.
    pub state: DeploymentState,
    /// The present.
    pub now: DateTime<Utc>,
}

/// A new subscription to the version on offer, with the add-ons as they are now.
pub fn begin(beginning: Beginning<'_>, offered: &Offered) -> Result<Subscription, Box<Problem>> {
    let Beginning { id, addons, trial_days, state, now } = beginning;
    let Some(version) = &offered.version else {
        return Err(Problem::unprocessable("/plan_code", "no plan with this code is on offer").into());
    };
    if addons.len() > ADDONS_MAX {
        return Err(Problem::unprocessable("/addons", format!("must be at most {ADDONS_MAX}")).into());
    }
    let attached = addons.iter().enumerate().map(|(index, code)| attach(index, code, version, offered, now));
    let attached = attached.collect::<Result<_, _>>()?;
    let month = Month::of(now.date_naive());
    Ok(Subscription {
        id,
        plan_code: version.plan_code.clone(),
        plan_version_id: version.id,
        plan_version: version.version,
        currency: version.currency,
        status: lifecycle::subscription_status(state),
        current_period_start: month.first(),
        current_period_end: month.end(),
        trial_ends_at: trial_days.map(|days| now + TimeDelta::days(days.into())),
        started_at: now,
        cancelled_at: None,
        addons: attached,
    })
}

/// The add-on that was asked for at a place, as it is now.
fn attach(
    index: usize,
    code: &Code,
    version: &PlanVersion,
    offered: &Offered,
    now: DateTime<Utc>,
) -> Result<SubscriptionAddon, Box<Problem>> {
    let field = format!("/addons/{index}");
    let Some(addon) = offered.addons.iter().find(|addon| addon.code == *code) else {
        return Err(Problem::unprocessable(field, "there is no add-on with this code").into());
    };
    if addon.currency != version.currency {
        let detail = format!("is sold in {}, and the plan in {}", addon.currency, version.currency);
        return Err(Problem::unprocessable(field, detail).into());
    }
    Ok(SubscriptionAddon {
        code: addon.code.clone(),
        name: addon.name.clone(),
        resource_kind: addon.resource_kind.clone(),
        qty: addon.qty,
        price_cents: addon.price_cents,
        attached_at: now,
    })
}

/// The subscription that lives.
pub fn live(deployment: &Deployment) -> Option<&Subscription> {
    deployment
        .subscription
        .as_ref()
        .filter(|subscription| subscription.status != SubscriptionStatus::Cancelled)
}

/// Decides whether a deployment can get a subscription.
pub fn check_can_begin(deployment: &Deployment) -> Result<(), Box<Problem>> {
    if !lifecycle::takes_subscription(deployment.state) {
        let detail = format!(
            "The deployment is {}. A subscription begins when a deployment runs, and not when it is over.",
            deployment.state,
        );
        return Err(Problem::new(422, "Unprocessable Content", detail).into());
    }
    if live(deployment).is_some() {
        let detail =
            "The deployment has a subscription. Migrate it to another version, or cancel the deployment.";
        return Err(Problem::conflict(detail).into());
    }
    Ok(())
}

/// The deployment with its subscription bound to another version. Add-ons stay as they were attached.
pub fn migrated(before: &Deployment, to: Option<&PlanVersion>) -> Result<Deployment, Box<Problem>> {
    let field = "/plan_version_id";
    let Some(to) = to else {
        return Err(Problem::unprocessable(field, "there is no such plan version").into());
    };
    if to.status == PlanVersionStatus::Draft {
        return Err(Problem::unprocessable(field, "is a draft: publish it first").into());
    }
    let mut after = before.clone();
    let Some(subscription) = after.subscription.as_mut().filter(|_| live(before).is_some()) else {
        return Err(Problem::conflict(
            "The deployment has no subscription that lives: subscribe it instead.",
        )
        .into());
    };
    if subscription.plan_version_id == to.id {
        return Err(Problem::conflict("The subscription is bound to this version already.").into());
    }
    if subscription.currency != to.currency {
        let detail = format!("is sold in {}, and the subscription in {}", to.currency, subscription.currency);
        return Err(Problem::unprocessable(field, detail).into());
    }
    subscription.plan_code = to.plan_code.clone();
    subscription.plan_version_id = to.id;
    subscription.plan_version = to.version;
    after.version += 1;
    Ok(after)
}

/// The deployment with its subscription in the month of `today`, if its period has passed and nobody keeps automatic
/// actions away. However many months were missed, this is one step.
pub fn period_begun(before: &Deployment, today: NaiveDate) -> Option<Deployment> {
    if before.billing_action_suspended || live(before)?.current_period_end > today {
        return None;
    }
    let mut after = before.clone();
    let subscription = after.subscription.as_mut()?;
    let month = Month::of(today);
    subscription.current_period_start = month.first();
    subscription.current_period_end = month.end();
    after.version += 1;
    Some(after)
}

#[cfg(test)]
pub(crate) mod tests {
    use contracts::{
        biller::LlmMode,
        ids::{DeploymentId, PlanVersionId},
    };
    use expect_test::expect;
    use money::{Cents, Currency};
    use uuid::Uuid;

    use super::*;

    /// A deployment at version 7 with a subscription of May 2026, and a trial until June 1st, noon, where it is one.
    pub(crate) fn deployment(state: DeploymentState) -> Deployment {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let status = lifecycle::subscription_status(state);
        Deployment {
            id: DeploymentId::from_uuid(Uuid::from_u128(1)),
            tenant_id: "acme".parse().unwrap(),
            slug: "shop".parse().unwrap(),
            display_name: "Shop".to_owned(),
            region: "syd1".to_owned(),
            state,
            llm_mode: LlmMode::Gateway,
            billing_action_suspended: false,
            template_code: None,
            template_version: None,
            subscription: Some(Subscription {
                id: SubscriptionId::from_uuid(Uuid::from_u128(2)),
                plan_code: "studio".parse().unwrap(),
                plan_version_id: PlanVersionId::from_uuid(Uuid::from_u128(3)),
                plan_version: 1,
                currency: Currency::AUD,
                status,
                current_period_start: "2026-05-01".parse().unwrap(),
                current_period_end: "2026-06-01".parse().unwrap(),
                trial_ends_at: (state == DeploymentState::Trial).then(|| at("2026-06-01T12:00:00Z")),
                started_at: at("2026-05-02T12:00:00Z"),
                cancelled_at: (status == SubscriptionStatus::Cancelled).then(|| at("2026-05-10T00:00:00Z")),
                addons: Vec::new(),
            }),
            created_at: at("2026-05-02T12:00:00Z"),
            version: 7,
        }
    }

    fn version(number: u128, status: PlanVersionStatus, currency: Currency) -> PlanVersion {
        let created_at = "2026-05-01T00:00:00Z".parse().unwrap();
        PlanVersion {
            id: PlanVersionId::from_uuid(Uuid::from_u128(number)),
            plan_code: "studio".parse().unwrap(),
            version: i32::try_from(number).unwrap(),
            status,
            base_price_cents: Cents::new(5_000),
            currency,
            items: Vec::new(),
            created_at,
            published_at: None,
            retired_at: None,
        }
    }

    fn addon(code: &str, currency: Currency) -> Addon {
        Addon {
            code: code.parse().unwrap(),
            name: code.to_uppercase(),
            resource_kind: "spaces_gb_month".parse().unwrap(),
            qty: 50.into(),
            price_cents: Cents::new(750),
            currency,
            created_at: "2026-05-01T00:00:00Z".parse().unwrap(),
        }
    }

    fn refusal<T: std::fmt::Debug>(result: Result<T, Box<Problem>>) -> String {
        let problem = result.unwrap_err();
        let field = problem.errors.first().map(|error| format!("{}: {}", error.field, error.detail));
        format!("{} {}", problem.status, field.or(problem.detail).unwrap())
    }

    #[test]
    fn a_subscription_begins_with_the_active_version_and_copies_of_its_addons() {
        let offered = Offered {
            version: Some(version(3, PlanVersionStatus::Active, Currency::AUD)),
            addons: vec![addon("a", Currency::AUD), addon("b", Currency::AUD), addon("dear", Currency::USD)],
        };
        let begin = |codes: &[&str], trial_days| {
            let addons: Vec<Code> = codes.iter().map(|code| code.parse().unwrap()).collect();
            let beginning = Beginning {
                id: SubscriptionId::from_uuid(Uuid::from_u128(9)),
                addons: &addons,
                trial_days,
                state: DeploymentState::Trial,
                now: "2026-12-20T10:00:00Z".parse().unwrap(),
            };
            begin(beginning, &offered)
        };
        let subscription = begin(&["b", "a", "b"], Some(14)).unwrap();
        let codes: Vec<&str> = subscription.addons.iter().map(|addon| addon.code.as_str()).collect();
        assert_eq!(codes, ["b", "a", "b"]);
        expect!["studio v3 AUD active, 2026-12-01 to 2027-01-01, trial until Some(2027-01-03T10:00:00Z)"]
            .assert_eq(&format!(
                "{} v{} {} {}, {} to {}, trial until {:?}",
                subscription.plan_code,
                subscription.plan_version,
                subscription.currency,
                subscription.status.as_str(),
                subscription.current_period_start,
                subscription.current_period_end,
                subscription.trial_ends_at,
            ));
        expect!["422 /addons/1: there is no add-on with this code"]
            .assert_eq(&refusal(begin(&["a", "none"], None)));
        expect!["422 /addons/0: is sold in USD, and the plan in AUD"]
            .assert_eq(&refusal(begin(&["dear"], None)));
        expect!["422 /addons: must be at most 32"].assert_eq(&refusal(begin(&["a"; 33], None)));
        assert_eq!(begin(&["a"; 32], None).unwrap().addons.len(), 32);
    }

    #[test]
    fn a_subscription_begins_where_none_lives_and_the_deployment_runs() {
        let mut shown = String::new();
        for state in DeploymentState::ALL {
            let with = deployment(state);
            let without = Deployment { subscription: None, ..with.clone() };
            let status =
                |deployment| check_can_begin(deployment).map_or_else(|problem| problem.status, |()| 200);
            shown.push_str(&format!("{state}: {}, subscribed before {}\n", status(&without), status(&with)));
        }
        expect![[r#"
            provisioning: 422, subscribed before 422
            trial: 200, subscribed before 409
            active: 200, subscribed before 409
            past_due: 200, subscribed before 409
            paused: 200, subscribed before 409
            suspended: 200, subscribed before 409
            cancelled: 422, subscribed before 422
            archived: 422, subscribed before 422
        "#]]
        .assert_eq(&shown);
    }

    #[test]
    fn a_subscription_moves_to_any_version_that_was_published_in_its_currency() {
        use PlanVersionStatus::{Active, Draft, Retired};
        let before = deployment(DeploymentState::Paused);
        for status in [Active, Retired] {
            let after = migrated(&before, Some(&version(4, status, Currency::AUD))).unwrap();
            let subscription = after.subscription.unwrap();
            assert_eq!((subscription.plan_version, after.version), (4, 8));
            assert_eq!(subscription.status, SubscriptionStatus::Paused);
        }
        let said = |to: Option<&PlanVersion>| refusal(migrated(&before, to));
        expect!["422 /plan_version_id: there is no such plan version"].assert_eq(&said(None));
        expect!["422 /plan_version_id: is a draft: publish it first"].assert_eq(&said(Some(&version(
            4,
            Draft,
            Currency::AUD,
        ))));
        expect!["422 /plan_version_id: is sold in USD, and the subscription in AUD"]
            .assert_eq(&said(Some(&version(4, Active, Currency::USD))));
        expect!["409 The subscription is bound to this version already."].assert_eq(&said(Some(&version(
            3,
            Retired,
            Currency::AUD,
        ))));
        let over = deployment(DeploymentState::Cancelled);
        expect!["409 The deployment has no subscription that lives: subscribe it instead."]
            .assert_eq(&refusal(migrated(&over, Some(&version(4, Active, Currency::AUD)))));
    }

    #[test]
    fn a_period_begins_when_the_one_before_has_passed() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let before = deployment(DeploymentState::Active);
        assert_eq!(period_begun(&before, day("2026-05-31")), None);
        for (today, start, end) in [
            ("2026-06-01", "2026-06-01", "2026-07-01"),
            ("2026-06-30", "2026-06-01", "2026-07-01"),
            // Missed while down.
            ("2027-02-14", "2027-02-01", "2027-03-01"),
        ] {
            let after = period_begun(&before, day(today)).unwrap();
            let subscription = after.subscription.unwrap();
            assert_eq!(
                (subscription.current_period_start, subscription.current_period_end, after.version),
                (day(start), day(end), 8),
                "{today}",
            );
        }
        let held = Deployment { billing_action_suspended: true, ..before };
        assert_eq!(period_begun(&held, day("2026-06-01")), None);
        assert_eq!(period_begun(&deployment(DeploymentState::Cancelled), day("2026-06-01")), None);
    }
}
