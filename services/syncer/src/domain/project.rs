//! What the provider's word about a project means for its mirror.

use chrono::{DateTime, Utc};
use contracts::{ids::ProjectId, syncer::Project};
use digitalocean::rows;

use super::observation::PROVIDER;

/// A project as the provider shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedProject {
    /// The provider's id.
    pub provider_id: String,
    /// The name at the provider.
    pub name: String,
    /// `Development`, `Staging`, `Production`, or nothing.
    pub environment: Option<String>,
    /// The provider's word for what it is for.
    pub purpose: Option<String>,
}

impl From<&rows::Project> for ObservedProject {
    fn from(row: &rows::Project) -> Self {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Self {
            provider_id: row.id.to_string(),
            name: row.name.to_string(),
            environment: some(&row.environment),
            purpose: some(&row.purpose),
        }
    }
}

/// A mirrored project, and whether its purpose is an operator's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirrored {
    /// The project.
    pub project: Project,
    /// Then the provider's word is not taken over.
    pub purpose_from_operator: bool,
}

/// What happened to a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProjectHappening {
    /// A sync met it for the first time.
    Discovered,
    /// Its name, environment or purpose changed at the provider.
    Updated,
    /// It was absent for too long.
    Deleted,
    /// It was marked deleted and was seen again.
    Restored,
    /// An operator classified it.
    Tagged,
}

/// A project that a sync meets for the first time.
pub fn discover(id: ProjectId, observed: &ObservedProject, now: DateTime<Utc>) -> Mirrored {
    let project = Project {
        id,
        provider: PROVIDER.to_owned(),
        provider_id: observed.provider_id.clone(),
        name: observed.name.clone(),
        environment: observed.environment.clone(),
        tenant_id: None,
        purpose: observed.purpose.clone(),
        first_seen_at: now,
        last_seen_at: now,
        deleted_at: None,
    };
    Mirrored { project, purpose_from_operator: false }
}

/// What the provider's present word makes of a known project; `None`: nothing changed.
pub fn reconcile(
    before: &Mirrored,
    observed: &ObservedProject,
    now: DateTime<Utc>,
) -> Option<(Mirrored, ProjectHappening)> {
    let purpose = if before.purpose_from_operator { &before.project.purpose } else { &observed.purpose };
    let project = Project {
        name: observed.name.clone(),
        environment: observed.environment.clone(),
        purpose: purpose.clone(),
        last_seen_at: now,
        deleted_at: None,
        ..before.project.clone()
    };
    let told = |project: &Project| Project { last_seen_at: DateTime::UNIX_EPOCH, ..project.clone() };
    let happening = match before.project.deleted_at {
        Some(_) => ProjectHappening::Restored,
        None if told(&before.project) == told(&project) => return None,
        None => ProjectHappening::Updated,
    };
    Some((Mirrored { project, ..before.clone() }, happening))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use uuid::Uuid;

    use super::*;

    fn observed() -> ObservedProject {
        ObservedProject {
            provider_id: "p-1".to_owned(),
            name: "shop".to_owned(),
            environment: Some("Production".to_owned()),
            purpose: Some("Web Application".to_owned()),
        }
    }

    fn check(edit: impl FnOnce(&mut Mirrored, &mut ObservedProject), outcome: Expect) {
        let mut seen = observed();
        let mut before = discover(ProjectId::from_uuid(Uuid::from_u128(1)), &seen, DateTime::UNIX_EPOCH);
        edit(&mut before, &mut seen);
        let now = DateTime::UNIX_EPOCH + chrono::TimeDelta::minutes(15);
        outcome.assert_eq(&match reconcile(&before, &seen, now) {
            None => "nothing".to_owned(),
            Some((Mirrored { project, .. }, happening)) => {
                format!("{happening:?}: {:?}, {:?}, {:?}", project.name, project.environment, project.purpose)
            }
        });
    }

    #[test]
    fn the_mirror_follows_the_provider() {
        check(|_, _| {}, expect!["nothing"]);
        check(
            |_, seen| seen.name = "store".to_owned(),
            expect![[r#"Updated: "store", Some("Production"), Some("Web Application")"#]],
        );
        check(|_, seen| seen.purpose = None, expect![[r#"Updated: "shop", Some("Production"), None"#]]);
        check(
            |before, _| before.project.deleted_at = Some(DateTime::UNIX_EPOCH),
            expect![[r#"Restored: "shop", Some("Production"), Some("Web Application")"#]],
        );
    }

    #[test]
    fn an_operators_word_stays() {
        let classify = |before: &mut Mirrored| {
            before.project.purpose = Some("acme's shop".to_owned());
            before.purpose_from_operator = true;
        };
        check(|before, _| classify(before), expect!["nothing"]);
        check(
            |before, seen| {
                classify(before);
                seen.environment = None;
            },
            expect![[r#"Updated: "shop", None, Some("acme's shop")"#]],
        );
    }
}
