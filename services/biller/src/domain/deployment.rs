//! What a deployment may be made of, and what can happen to it.

use contracts::{
    Problem, Scope,
    biller::{CreateDeployment, Deployment, DeploymentState},
};

use super::{catalog, lifecycle};

/// Longest region slug, in characters.
const REGION_CHARS_MAX: usize = 32;
/// Longest reason, in characters.
const REASON_CHARS_MAX: usize = 1_000;
/// Longest trial, in days.
const TRIAL_DAYS_MAX: u16 = 365;

/// What happened to a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// It was created.
    Created,
    /// It went from this state to another.
    Transitioned(DeploymentState),
    /// It got a subscription.
    Subscribed,
    /// Its subscription's next period began.
    PeriodBegun,
    /// Its subscription was bound to another version.
    Migrated,
    /// Automatic actions are kept away from it, or no longer.
    BillingActionChanged,
}

impl Happening {
    /// The name in a deployment's history.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Transitioned(_) => "transitioned",
            Self::Subscribed => "subscribed",
            Self::PeriodBegun => "period_begun",
            Self::Migrated => "migrated",
            Self::BillingActionChanged => "billing_action_changed",
        }
    }
}

/// A deployment after something happened to it; its version is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The deployment with its subscription.
    pub after: Deployment,
    /// What happened.
    pub happening: Happening,
}

/// Refuses a deployment that cannot be, whatever the catalog holds and whoever has how many.
pub fn check(command: &CreateDeployment) -> Result<(), Box<Problem>> {
    catalog::check_name("/display_name", &command.display_name).map_err(|problem| *problem)?;
    let in_region = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if !(1..=REGION_CHARS_MAX).contains(&command.region.len()) || !command.region.bytes().all(in_region) {
        let detail = format!("must be 1 to {REGION_CHARS_MAX} of a–z, 0–9 and -");
        return Err(Problem::unprocessable("/region", detail).into());
    }
    match (&command.template_code, command.template_version) {
        (None, Some(_)) => {
            return Err(Problem::unprocessable("/template_version", "needs a template_code").into());
        }
        (Some(_), Some(version)) if version < 1 => {
            return Err(Problem::unprocessable("/template_version", "must be 1 or more").into());
        }
        (None | Some(_), None) | (Some(_), Some(_)) => {}
    }
    if let Some(days) = command.trial_days {
        match command.scope {
            Scope::Tenant(_) => {
                return Err(Problem::unprocessable("/trial_days", "trials are granted by operators").into());
            }
            Scope::Operator if !(1..=TRIAL_DAYS_MAX).contains(&days) => {
                let detail = format!("must be 1 to {TRIAL_DAYS_MAX}");
                return Err(Problem::unprocessable("/trial_days", detail).into());
            }
            Scope::Operator => {}
        }
    }
    if command.plan_code.is_none() {
        if !command.addons.is_empty() {
            return Err(
                Problem::unprocessable("/addons", "need a plan_code: add-ons are added to a plan").into()
            );
        }
        if command.trial_days.is_some() {
            return Err(Problem::unprocessable("/trial_days", "need a plan_code: a trial is a plan's").into());
        }
    }
    Ok(())
}

/// Refuses a reason that cannot be kept or shown.
pub fn check_reason(reason: Option<&str>) -> Result<(), Box<Problem>> {
    let Some(reason) = reason else { return Ok(()) };
    // Somebody may well write several lines.
    let storable = |c: char| !c.is_control() || c == '\n';
    if (1..=REASON_CHARS_MAX).contains(&reason.chars().count()) && reason.chars().all(storable) {
        return Ok(());
    }
    let detail = format!("must be 1 to {REASON_CHARS_MAX} characters, without control characters");
    Err(Problem::unprocessable("/reason", detail).into())
}

/// Refuses one more deployment when a tenant has as many that are not over as it may.
pub fn check_number(living: i64, max: u32) -> Result<(), Box<Problem>> {
    if living < i64::from(max) {
        return Ok(());
    }
    let detail = format!(
        "The tenant has {living} deployments that are not over, and may create new ones up to {max}. \
         Cancel one, or ask an operator to create it."
    );
    Err(Problem::conflict(detail).into())
}

/// Decides whether the caller may ask for a transition of a deployment that it sees.
pub fn check_transition(
    scope: &Scope,
    from: DeploymentState,
    to: DeploymentState,
) -> Result<(), Box<Problem>> {
    if let Err(refused) = lifecycle::transition(from, to) {
        return Err(Problem::unprocessable("/to", refused.to_string()).into());
    }
    match scope {
        Scope::Tenant(_) if !lifecycle::is_tenants(from, to) => {
            let detail = format!(
                "Going from {from} to {to} is for operators. Tenants pause, resume and cancel their deployments."
            );
            Err(Problem::new(403, "Forbidden", detail).into())
        }
        Scope::Tenant(_) | Scope::Operator => Ok(()),
    }
}

/// The deployment with automatic actions kept away or not; `None` when it is so already.
pub fn with_billing_action_suspended(before: &Deployment, suspended: bool) -> Option<Deployment> {
    if before.billing_action_suspended == suspended {
        return None;
    }
    let mut after = before.clone();
    after.billing_action_suspended = suspended;
    after.version += 1;
    Some(after)
}

#[cfg(test)]
mod tests {
    use contracts::{Actor, biller::LlmMode};
    use expect_test::{Expect, expect};

    use super::*;

    fn check_created(edit: impl FnOnce(&mut CreateDeployment), outcome: Expect) {
        let mut command = CreateDeployment {
            scope: Scope::Operator,
            tenant_id: "acme".parse().unwrap(),
            slug: "shop".parse().unwrap(),
            display_name: "Shop".to_owned(),
            region: "syd1".to_owned(),
            llm_mode: LlmMode::Gateway,
            template_code: None,
            template_version: None,
            plan_code: Some("studio".parse().unwrap()),
            addons: Vec::new(),
            trial_days: None,
            actor: Actor { subject: "op-1".to_owned(), tenant_id: "platform-admin".parse().unwrap() },
        };
        edit(&mut command);
        outcome.assert_eq(&shown(check(&command)));
    }

    fn shown(checked: Result<(), Box<Problem>>) -> String {
        match checked {
            Ok(()) => "good".to_owned(),
            Err(problem) => {
                let field = problem.errors.first().map(|error| format!("{}: {}", error.field, error.detail));
                format!("{} {}", problem.status, field.or(problem.detail).unwrap_or_default())
            }
        }
    }

    #[test]
    fn what_a_deployment_is_made_of() {
        let code = |text: &str| Some(text.parse().unwrap());
        check_created(|_| {}, expect!["good"]);
        check_created(
            |c| c.display_name.clear(),
            expect![
                "422 /display_name: must be 1 to 255 characters, without control characters, and without spaces at its ends"
            ],
        );
        check_created(|c| c.display_name = "é".repeat(255), expect!["good"]);
        check_created(
            |c| c.display_name = "a\0b".to_owned(),
            expect![
                "422 /display_name: must be 1 to 255 characters, without control characters, and without spaces at its ends"
            ],
        );
        check_created(|c| c.region.clear(), expect!["422 /region: must be 1 to 32 of a–z, 0–9 and -"]);
        check_created(
            |c| c.region = "SYD1".to_owned(),
            expect!["422 /region: must be 1 to 32 of a–z, 0–9 and -"],
        );
        check_created(
            |c| c.region = "s".repeat(33),
            expect!["422 /region: must be 1 to 32 of a–z, 0–9 and -"],
        );
        check_created(
            |c| c.template_version = Some(1),
            expect!["422 /template_version: needs a template_code"],
        );
        check_created(
            |c| (c.template_code, c.template_version) = (code("app"), Some(0)),
            expect!["422 /template_version: must be 1 or more"],
        );
        check_created(|c| (c.template_code, c.template_version) = (code("app"), Some(1)), expect!["good"]);
        check_created(|c| c.template_code = code("app"), expect!["good"]);
        check_created(|c| c.trial_days = Some(365), expect!["good"]);
        check_created(|c| c.trial_days = Some(0), expect!["422 /trial_days: must be 1 to 365"]);
        check_created(|c| c.trial_days = Some(366), expect!["422 /trial_days: must be 1 to 365"]);
        check_created(
            |c| (c.scope, c.trial_days) = (Scope::Tenant("acme".parse().unwrap()), Some(14)),
            expect!["422 /trial_days: trials are granted by operators"],
        );
        check_created(
            |c| (c.plan_code, c.trial_days) = (None, Some(14)),
            expect!["422 /trial_days: need a plan_code: a trial is a plan's"],
        );
        check_created(
            |c| (c.plan_code, c.addons) = (None, vec!["storage_50gb".parse().unwrap()]),
            expect!["422 /addons: need a plan_code: add-ons are added to a plan"],
        );
        check_created(|c| c.plan_code = None, expect!["good"]);
    }

    #[test]
    fn a_reason_can_be_kept_and_shown() {
        for (reason, fits) in [
            (None, true),
            (Some("invoice 7 is overdue\nsince May".to_owned()), true),
            (Some("é".repeat(1_000)), true),
            (Some(String::new()), false),
            (Some("x".repeat(1_001)), false),
            (Some("a\0b".to_owned()), false),
            (Some("a\u{1b}[2Jb".to_owned()), false),
        ] {
            assert_eq!(check_reason(reason.as_deref()).is_ok(), fits, "{reason:?}");
        }
    }

    #[test]
    fn a_tenant_pauses_resumes_and_cancels() {
        use DeploymentState::{Active, Cancelled, PastDue, Paused, Suspended};
        let tenant = Scope::Tenant("acme".parse().unwrap());
        let said = |scope: &Scope, from, to| shown(check_transition(scope, from, to));
        for (from, to) in [(Active, Paused), (Paused, Active), (Suspended, Cancelled)] {
            assert_eq!(said(&tenant, from, to), "good");
        }
        expect!["403 Going from suspended to active is for operators. Tenants pause, resume and cancel their deployments."]
            .assert_eq(&said(&tenant, Suspended, Active));
        assert_eq!(said(&Scope::Operator, Suspended, Active), "good");
        expect![
            "422 /to: a deployment cannot go from cancelled to past_due: from cancelled it can go to archived"
        ]
        .assert_eq(&said(&tenant, Cancelled, PastDue));
    }

    #[test]
    fn a_tenant_has_so_many_deployments_and_no_more() {
        assert_eq!(shown(check_number(19, 20)), "good");
        expect!["409 The tenant has 20 deployments that are not over, and may create new ones up to 20. Cancel one, or ask an operator to create it."]
            .assert_eq(&shown(check_number(20, 20)));
    }
}
