//! Which states a deployment may go to, who may ask for it, and what becomes of its subscription on the way.

use chrono::{DateTime, Utc};
use contracts::biller::{Deployment, DeploymentState, SubscriptionStatus};

use DeploymentState::{Active, Archived, Cancelled, PastDue, Paused, Provisioning, Suspended, Trial};

/// From each state, where a deployment may go. Whatever does not stand here is refused.
const TABLE: [(DeploymentState, &[DeploymentState]); 8] = [
    (Provisioning, &[Active, Cancelled]),
    (Trial, &[Active, Cancelled]),
    (Active, &[PastDue, Paused, Suspended, Cancelled]),
    (PastDue, &[Active, Suspended, Cancelled]),
    (Paused, &[Active, Cancelled]),
    (Suspended, &[Active, Cancelled]),
    (Cancelled, &[Archived]),
    (Archived, &[]),
];

/// What of the table tenants may ask for, beside cancelling: they pause and resume. What billing does to a
/// deployment, ending a trial and putting away are operators' and the system's.
const TENANTS: [(DeploymentState, DeploymentState); 2] = [(Active, Paused), (Paused, Active)];

/// The table does not allow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a deployment cannot go from {from} to {to}: {}", choices(*from))]
pub struct NotAllowed {
    /// Where the deployment stands.
    pub from: DeploymentState,
    /// Where it was to go.
    pub to: DeploymentState,
}

fn choices(from: DeploymentState) -> String {
    let names: Vec<&str> = targets(from).iter().map(|to| to.as_str()).collect();
    match names.as_slice() {
        [] => format!("{from} is the end"),
        names => format!("from {from} it can go to {}", names.join(" or ")),
    }
}

fn targets(from: DeploymentState) -> &'static [DeploymentState] {
    TABLE.iter().find(|(state, _)| *state == from).map_or(&[], |(_, targets)| targets)
}

/// Whether the table allows to go from one state to another. To where it is already, nothing goes.
pub fn transition(from: DeploymentState, to: DeploymentState) -> Result<(), NotAllowed> {
    if targets(from).contains(&to) { Ok(()) } else { Err(NotAllowed { from, to }) }
}

/// Whether a tenant may ask for an allowed transition of its own deployment.
pub fn is_tenants(from: DeploymentState, to: DeploymentState) -> bool {
    to == Cancelled || TENANTS.contains(&(from, to))
}

/// Whether a deployment is over.
fn is_over(state: DeploymentState) -> bool {
    matches!(state, Cancelled | Archived)
}

/// Whether a subscription can begin while the deployment is in a state: not before it runs, as activation is what
/// begins its charges, and not when it is over.
pub fn takes_subscription(state: DeploymentState) -> bool {
    state != Provisioning && !is_over(state)
}

/// What a live subscription is while its deployment is in a state. What billing does to a deployment does not touch
/// the subscription: it is charged all the same.
pub fn subscription_status(state: DeploymentState) -> SubscriptionStatus {
    match state {
        Provisioning | Trial | Active | PastDue | Suspended => SubscriptionStatus::Active,
        Paused => SubscriptionStatus::Paused,
        Cancelled | Archived => SubscriptionStatus::Cancelled,
    }
}

/// The deployment after a transition, with its subscription.
pub fn transitioned(
    before: &Deployment,
    to: DeploymentState,
    now: DateTime<Utc>,
) -> Result<Deployment, NotAllowed> {
    transition(before.state, to)?;
    let mut after = before.clone();
    after.state = to;
    after.version += 1;
    if let Some(subscription) = &mut after.subscription
        && subscription.status != SubscriptionStatus::Cancelled
    {
        subscription.status = subscription_status(to);
        if subscription.status == SubscriptionStatus::Cancelled {
            subscription.cancelled_at = Some(now);
        }
        // An operator may end a trial before its time; what comes after is charged.
        if before.state == Trial {
            subscription.trial_ends_at = subscription.trial_ends_at.map(|end| end.min(now));
        }
    }
    Ok(after)
}

/// The deployment after its trial, if it has one that is over and nobody keeps automatic actions away from it.
pub fn trial_ended(before: &Deployment, now: DateTime<Utc>) -> Option<Deployment> {
    let end = before.subscription.as_ref().and_then(|subscription| subscription.trial_ends_at)?;
    if before.billing_action_suspended || before.state != Trial || end > now {
        return None;
    }
    transitioned(before, Active, now).ok()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::domain::subscription::tests::deployment;

    #[test]
    fn the_table() {
        let mut table = format!("{:<13}", "from \\ to");
        for to in DeploymentState::ALL {
            table.push_str(&format!("{:<13}", to.as_str()));
        }
        for from in DeploymentState::ALL {
            table = format!("{}\n{:<13}", table.trim_end(), from.as_str());
            for to in DeploymentState::ALL {
                let cell = match (transition(from, to), is_tenants(from, to)) {
                    (Err(NotAllowed { .. }), _) => "-",
                    (Ok(()), true) => "tenant",
                    (Ok(()), false) => "operator",
                };
                table.push_str(&format!("{cell:<13}"));
            }
        }
        expect![[r#"
            from \ to    provisioning trial        active       past_due     paused       suspended    cancelled    archived
            provisioning -            -            operator     -            -            -            tenant       -
            trial        -            -            operator     -            -            -            tenant       -
            active       -            -            -            operator     tenant       operator     tenant       -
            past_due     -            -            operator     -            -            operator     tenant       -
            paused       -            -            tenant       -            -            -            tenant       -
            suspended    -            -            operator     -            -            -            tenant       -
            cancelled    -            -            -            -            -            -            -            operator
            archived     -            -            -            -            -            -            -            -
        "#]]
        .assert_eq(&format!("{}\n", table.trim_end()));
    }

    #[test]
    fn a_refusal_names_both_states_and_the_way_out() {
        let said = |from, to| transition(from, to).unwrap_err().to_string();
        expect!["a deployment cannot go from trial to paused: from trial it can go to active or cancelled"]
            .assert_eq(&said(Trial, Paused));
        expect!["a deployment cannot go from archived to active: archived is the end"]
            .assert_eq(&said(Archived, Active));
    }

    #[test]
    fn every_state_has_one_line_of_the_table_and_no_way_to_itself() {
        for state in DeploymentState::ALL {
            assert_eq!(TABLE.iter().filter(|(from, _)| *from == state).count(), 1, "{state}");
            assert_eq!(transition(state, state), Err(NotAllowed { from: state, to: state }));
        }
    }

    #[test]
    fn a_subscription_follows_its_deployment() {
        let now = "2026-05-20T10:00:00Z".parse().unwrap();
        let mut shown = String::new();
        for (from, targets) in TABLE {
            for to in targets {
                let after = transitioned(&deployment(from), *to, now).unwrap();
                let subscription = after.subscription.unwrap();
                let cancelled = subscription.cancelled_at.map_or("-".to_owned(), |at| at.to_rfc3339());
                let trial = subscription.trial_ends_at.map_or("-".to_owned(), |at| at.to_rfc3339());
                shown.push_str(&format!(
                    "{from} → {to}: v{} {}, cancelled {cancelled}, trial until {trial}\n",
                    after.version,
                    subscription.status.as_str(),
                ));
            }
        }
        expect![[r#"
            provisioning → active: v8 active, cancelled -, trial until -
            provisioning → cancelled: v8 cancelled, cancelled 2026-05-20T10:00:00+00:00, trial until -
            trial → active: v8 active, cancelled -, trial until 2026-05-20T10:00:00+00:00
            trial → cancelled: v8 cancelled, cancelled 2026-05-20T10:00:00+00:00, trial until 2026-05-20T10:00:00+00:00
            active → past_due: v8 active, cancelled -, trial until -
            active → paused: v8 paused, cancelled -, trial until -
            active → suspended: v8 active, cancelled -, trial until -
            active → cancelled: v8 cancelled, cancelled 2026-05-20T10:00:00+00:00, trial until -
            past_due → active: v8 active, cancelled -, trial until -
            past_due → suspended: v8 active, cancelled -, trial until -
            past_due → cancelled: v8 cancelled, cancelled 2026-05-20T10:00:00+00:00, trial until -
            paused → active: v8 active, cancelled -, trial until -
            paused → cancelled: v8 cancelled, cancelled 2026-05-20T10:00:00+00:00, trial until -
            suspended → active: v8 active, cancelled -, trial until -
            suspended → cancelled: v8 cancelled, cancelled 2026-05-20T10:00:00+00:00, trial until -
            cancelled → archived: v8 cancelled, cancelled 2026-05-10T00:00:00+00:00, trial until -
        "#]]
        .assert_eq(&shown);
    }

    #[test]
    fn a_trial_ends_when_its_time_has_come_unless_an_operator_holds_it() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let trial = deployment(Trial);
        assert_eq!(trial_ended(&trial, at("2026-06-01T11:59:59Z")), None);
        let ended = trial_ended(&trial, at("2026-06-01T12:00:00Z")).unwrap();
        assert_eq!((ended.state, ended.version), (Active, 8));
        // Late or not, the trial was as long as it was granted.
        let late = trial_ended(&trial, at("2027-01-01T00:00:00Z")).unwrap();
        assert_eq!(late.subscription.unwrap().trial_ends_at, Some(at("2026-06-01T12:00:00Z")));

        let held = Deployment { billing_action_suspended: true, ..trial };
        assert_eq!(trial_ended(&held, at("2027-01-01T00:00:00Z")), None);
        assert_eq!(trial_ended(&deployment(Active), at("2027-01-01T00:00:00Z")), None);
    }
}
