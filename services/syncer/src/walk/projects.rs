//! Projects in two passes: the projects themselves, then what each of them claims.

use std::collections::HashSet;

use contracts::{ids::ProjectId, syncer::ResourceKind};
use digitalocean::{Client, NewProject, Urn, Walk};
use tracing::{error, info, warn};

use super::{Complete, SecondLook, Source, WalkError, conclusion};
use crate::{
    Syncer,
    domain::{
        attribution::{FALLBACK_PROJECT, Member, member},
        listing::{Run, failure},
        observation,
        project::ObservedProject,
    },
    store::{
        self,
        resource::{self, Strangers},
    },
};

/// One of the provider's own words for a project's purpose; any other comes back changed.
const FALLBACK_PURPOSE: &str = "Operational / Developer tooling";

/// As much of what is no URN as a log shows.
const URN_CHARS_SHOWN: usize = 100;

/// A project to be walked.
struct Found {
    id: ProjectId,
    provider_id: String,
}

/// What the second pass has seen.
#[derive(Default)]
struct Claims {
    complete: Complete,
    kinds: HashSet<ResourceKind>,
    /// Projects that claim something.
    speaking: HashSet<ProjectId>,
}

impl Syncer {
    /// Walks the projects and what they claim; makes `skyai-internal` if the account has none.
    pub(super) async fn walk_projects(&self, run: &Run) -> Result<Complete, WalkError> {
        let (mut found, fallback) = self.mirror_projects(run).await?;
        let no_fallback = match fallback {
            true => None,
            false => match self.create_fallback(run).await {
                Ok(created) => {
                    found.extend(created);
                    None
                }
                Err(WalkError::Provider(refused)) => Some(failure(&refused)),
                Err(other) => return Err(other),
            },
        };
        let mut claims = Claims::default();
        claims.complete.seen = found.len() as u64;
        for project in &found {
            self.walk_members(run, project, &mut claims).await?;
        }
        if self.leaves_any(run, &claims.complete).await? {
            // What moved while we walked may have been missed in both places; a second look finds it.
            let seen = claims.complete.seen;
            for project in &found {
                self.walk_members(run, project, &mut claims).await?;
            }
            claims.complete.seen = seen;
        }
        claims.complete.silent =
            found.iter().map(|project| project.id).filter(|id| !claims.speaking.contains(id)).collect();
        self.describe_members(run, &claims.kinds).await?;
        match no_fallback {
            None => Ok(claims.complete),
            // Attribution went as far as it can. Without the fallback nothing may be called unclaimed.
            Some(reason) => Err(WalkError::NoFallback(format!("create {FALLBACK_PROJECT}: {reason}"))),
        }
    }

    async fn leaves_any(&self, run: &Run, complete: &Complete) -> Result<bool, store::StoreError> {
        let mut connection = self.pool.acquire().await?;
        conclusion::leaves_any(&mut connection, run, complete).await
    }

    /// The first pass. Says whether `skyai-internal` is among the projects.
    async fn mirror_projects(&self, run: &Run) -> Result<(Vec<Found>, bool), WalkError> {
        let mut look = SecondLook::default();
        loop {
            let (mut found, mut fallback) = (Vec::new(), false);
            let outcome = self.mirror_projects_once(run, &mut found, &mut fallback).await;
            if look.judge("projects.list", outcome)?.is_some() {
                return Ok((found, fallback));
            }
        }
    }

    async fn mirror_projects_once(
        &self,
        run: &Run,
        found: &mut Vec<Found>,
        fallback: &mut bool,
    ) -> Result<Walk, WalkError> {
        let mut pages = self.provider.sync_full.projects();
        while let Some(page) = pages.next().await? {
            *fallback |= page.items.iter().any(|row| row.name == *FALLBACK_PROJECT);
            let observed: Vec<ObservedProject> = page.items.iter().map(ObservedProject::from).collect();
            found.extend(self.mirror(run, observed).await?);
        }
        Ok(*pages.walk())
    }

    async fn mirror(&self, run: &Run, observed: Vec<ObservedProject>) -> Result<Vec<Found>, WalkError> {
        let mut tx = self.pool.begin().await?;
        let ids = store::project::write_page(&mut tx, run, &observed, self.clock.now()).await?;
        tx.commit().await?;
        let found = ids.into_iter().zip(observed);
        Ok(found.map(|(id, observed)| Found { id, provider_id: observed.provider_id }).collect())
    }

    /// Sent once. If the answer is lost, the next run sees whether it took effect: names are unique.
    async fn create_fallback(&self, run: &Run) -> Result<Vec<Found>, WalkError> {
        let project = NewProject {
            name: FALLBACK_PROJECT.to_owned(),
            purpose: FALLBACK_PURPOSE.to_owned(),
            description: Some("What belongs to no other project. Kept by Arcadia Cloud.".to_owned()),
            environment: None,
        };
        match self.provider.provisioning.create_project(&project).await {
            Ok(row) => {
                info!(project.provider_id = row.id.as_str(), "created {FALLBACK_PROJECT}");
                self.mirror(run, vec![ObservedProject::from(&row)]).await
            }
            Err(refused) => {
                error!(reason = failure(&refused), "could not create {FALLBACK_PROJECT}");
                Err(refused.into())
            }
        }
    }

    /// The second pass, for one project.
    async fn walk_members(&self, run: &Run, project: &Found, claims: &mut Claims) -> Result<(), WalkError> {
        let mut look = SecondLook::default();
        loop {
            let outcome = self.walk_members_once(run, project, claims).await;
            if let Some(walk) = look.judge("projects.resources", outcome)? {
                claims.complete.seen += walk.unique;
                if walk.unique > 0 {
                    claims.speaking.insert(project.id);
                }
                return Ok(());
            }
        }
    }

    async fn walk_members_once(
        &self,
        run: &Run,
        project: &Found,
        claims: &mut Claims,
    ) -> Result<Walk, WalkError> {
        let mut pages = self.provider.sync_full.project_resources(&project.provider_id);
        let mut next = pages.next().await?;
        while let Some(page) = next {
            // Two aliases of one resource on a page are one member.
            let members: HashSet<Member> = page.items.iter().filter_map(|row| named(&row.urn)).collect();
            claims.kinds.extend(members.iter().map(|member| member.kind.clone()));
            let (following, claimed) = tokio::join!(
                pages.next(),
                self.write_members(run, project.id, &members, &claims.complete.claimed)
            );
            claims.complete.claimed.extend(claimed?);
            next = following?;
        }
        Ok(*pages.walk())
    }

    async fn write_members(
        &self,
        run: &Run,
        project: ProjectId,
        members: &HashSet<Member>,
        taken: &HashSet<contracts::ids::ResourceId>,
    ) -> Result<Vec<contracts::ids::ResourceId>, store::StoreError> {
        if members.is_empty() {
            return Ok(Vec::new());
        }
        let mut tx = self.pool.begin().await?;
        let claimed =
            resource::write_members(&mut tx, run, project, members, taken, self.clock.now()).await?;
        tx.commit().await?;
        Ok(claimed)
    }

    /// Adds name, size and status to databases and clusters, where the token may list them. What they are
    /// without that is known from membership, so a refusal breaks nothing off.
    async fn describe_members(&self, run: &Run, kinds: &HashSet<ResourceKind>) -> Result<(), WalkError> {
        let full = &self.provider.sync_full;
        if kinds.contains(&ResourceKind::ManagedDb) {
            let source = Source {
                operation: "databases.list",
                kind: ResourceKind::ManagedDb,
                open: Client::databases,
                observe: observation::managed_db,
                strangers: Strangers::Ignore,
            };
            optional(self.walk_kind(run, full, &source).await)?;
        }
        if kinds.contains(&ResourceKind::K8sCluster) {
            let source = Source {
                operation: "kubernetes.list",
                kind: ResourceKind::K8sCluster,
                open: Client::kubernetes_clusters,
                observe: observation::k8s_cluster,
                strangers: Strangers::Ignore,
            };
            optional(self.walk_kind(run, full, &source).await)?;
        }
        Ok(())
    }
}

/// What a URN names. One that is none names nothing that we could know, so nothing is missed by leaving it out.
fn named(urn: &str) -> Option<Member> {
    match Urn::parse(urn) {
        Ok(urn) => Some(member(&urn)),
        Err(reason) => {
            let urn: String = urn.chars().take(URN_CHARS_SHOWN).collect();
            warn!(urn, reason = failure(&reason), "a member is left out");
            None
        }
    }
}

fn optional(outcome: Result<u64, WalkError>) -> Result<(), WalkError> {
    match outcome {
        Ok(_) => Ok(()),
        Err(error @ (WalkError::Store(_) | WalkError::NoFallback(_))) => Err(error),
        Err(error @ (WalkError::Provider(_) | WalkError::Implausible(_) | WalkError::Disagrees { .. })) => {
            warn!(reason = failure(&error), "members stay as they were described before");
            Ok(())
        }
    }
}
