//! Walking the provider's listings: pages are read and written as they come, in constant memory, and nothing is
//! concluded from absence before the last page.
//!
//! Between two calls of the provider no transaction is open. The next page is fetched while the present one is
//! written.

mod backups;
mod conclusion;
mod projects;

use std::collections::HashSet;

use contracts::{
    ids::{ProjectId, ResourceId},
    syncer::{Listing, ResourceKind},
};
use digitalocean::{Client, Error, Pages, Row, SnapshotSource, Walk};
use messaging::HandlerError;
use tracing::{error, warn};

pub use conclusion::conclude;

use crate::{
    Syncer,
    domain::{
        listing::{Run, failure},
        observation::{self, Implausible, Observed},
    },
    store::{
        StoreError,
        resource::{self, Strangers},
    },
};

/// What came of a walk.
#[derive(Debug)]
pub enum Walked {
    /// It reached the last page.
    Complete(Complete),
    /// It broke off, for this reason. Nothing may be concluded from it; the next tick is the retry.
    Failed(String),
    /// Another run has begun meanwhile.
    Overtaken,
}

/// What a complete walk saw.
#[derive(Debug, Default)]
pub struct Complete {
    /// Rows in all.
    pub seen: u64,
    /// What projects claim; empty for other listings.
    pub claimed: HashSet<ResourceId>,
    /// The projects that claim nothing at all; empty for other listings.
    pub silent: HashSet<ProjectId>,
}

/// A walk broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WalkError {
    /// The provider did not answer, or not sensibly.
    #[error(transparent)]
    Provider(#[from] Error),
    /// A row cannot be true, so the listing is not to be believed.
    #[error("a row is not plausible")]
    Implausible(#[from] Implausible),
    /// The provider's own count disagrees with its rows, twice in a row.
    #[error("{operation}: {rows} rows where the provider counts {total}")]
    Disagrees { operation: &'static str, rows: u64, total: u64 },
    /// The project that everything unclaimed falls to could not be made.
    #[error("{0}")]
    NoFallback(String),
    /// Ours failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for WalkError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Lets a walk that contradicts itself be repeated once: rows slip while a listing changes.
#[derive(Default)]
struct SecondLook {
    taken: bool,
}

impl SecondLook {
    /// `Ok(None)`: walk again.
    fn judge(
        &mut self,
        operation: &'static str,
        outcome: Result<Walk, WalkError>,
    ) -> Result<Option<Walk>, WalkError> {
        let doubt = match outcome {
            Ok(walk) if walk.agrees() => return Ok(Some(walk)),
            Ok(walk) => {
                let total = walk.total_last.or(walk.total_first).unwrap_or_default();
                WalkError::Disagrees { operation, rows: walk.unique, total }
            }
            Err(error @ WalkError::Provider(Error::Inconsistent { .. })) => error,
            Err(error) => return Err(error),
        };
        if self.taken {
            return Err(doubt);
        }
        self.taken = true;
        Ok(None)
    }
}

type Observe<T> = fn(&T) -> Result<Observed, Implausible>;

/// A listing of one kind: how to open it and how to read its rows.
struct Source<T> {
    operation: &'static str,
    kind: ResourceKind,
    open: fn(&Client) -> Pages<T>,
    observe: Observe<T>,
    strangers: Strangers,
}

impl Syncer {
    /// Walks a listing from its first page to its last. `Err` is ours; what the provider did is in the answer.
    pub async fn walk(&self, run: &Run) -> Result<Walked, HandlerError> {
        match self.walk_listing(run).await {
            Ok(complete) => Ok(Walked::Complete(complete)),
            Err(WalkError::Store(StoreError::Overtaken)) => Ok(Walked::Overtaken),
            Err(WalkError::Store(error)) => Err(error.into()),
            Err(problem) => {
                let reason = failure(&problem);
                let listing = run.listing.as_str();
                match problem {
                    // Nobody is gone because we may not look: a person must mend the token.
                    WalkError::Provider(Error::Unauthorized { .. } | Error::Forbidden { .. })
                    | WalkError::NoFallback(_) => error!(listing, reason, "listing failed"),
                    WalkError::Provider(_)
                    | WalkError::Implausible(_)
                    | WalkError::Disagrees { .. }
                    | WalkError::Store(_) => warn!(listing, reason, "listing failed"),
                }
                Ok(Walked::Failed(reason))
            }
        }
    }

    async fn walk_listing(&self, run: &Run) -> Result<Complete, WalkError> {
        let full = &self.provider.sync_full;
        let seen = match run.listing {
            Listing::Droplets => {
                let fast = &self.provider.sync_fast;
                let ordinary = self.walk_kind(run, fast, &droplets(Client::droplets)).await?;
                ordinary + self.walk_kind(run, fast, &droplets(Client::gpu_droplets)).await?
            }
            Listing::Projects => return self.walk_projects(run).await,
            Listing::DnsZones => {
                let source = Source {
                    operation: "domains.list",
                    kind: ResourceKind::DnsZone,
                    open: Client::domains,
                    observe: observation::dns_zone,
                    strangers: Strangers::TakeIn,
                };
                self.walk_kind(run, full, &source).await?
            }
            Listing::Volumes => {
                let source = Source {
                    operation: "volumes.list",
                    kind: ResourceKind::Volume,
                    open: Client::volumes,
                    observe: observation::volume,
                    strangers: Strangers::TakeIn,
                };
                self.walk_kind(run, full, &source).await?
            }
            Listing::Snapshots => {
                let source = Source {
                    operation: "snapshots.list",
                    kind: ResourceKind::Snapshot,
                    open: |client| client.snapshots(SnapshotSource::All),
                    observe: observation::snapshot,
                    strangers: Strangers::TakeIn,
                };
                self.walk_kind(run, full, &source).await?
            }
            Listing::FloatingIps => {
                let source = Source {
                    operation: "reserved_ips.list",
                    kind: ResourceKind::FloatingIp,
                    open: Client::reserved_ips,
                    observe: observation::floating_ip,
                    strangers: Strangers::TakeIn,
                };
                self.walk_kind(run, full, &source).await?
            }
            Listing::Firewalls => {
                let source = Source {
                    operation: "firewalls.list",
                    kind: ResourceKind::Firewall,
                    open: Client::firewalls,
                    observe: observation::firewall,
                    strangers: Strangers::TakeIn,
                };
                self.walk_kind(run, full, &source).await?
            }
            Listing::LoadBalancers => {
                let source = Source {
                    operation: "load_balancers.list",
                    kind: ResourceKind::LoadBalancer,
                    open: Client::load_balancers,
                    observe: observation::load_balancer,
                    strangers: Strangers::TakeIn,
                };
                self.walk_kind(run, full, &source).await?
            }
            Listing::DropletBackups => self.walk_backups(run).await?,
        };
        Ok(Complete { seen, ..Complete::default() })
    }

    /// Walks a listing of one kind and writes its pages. Returns how many rows there are.
    async fn walk_kind<T: Row + Sync>(
        &self,
        run: &Run,
        client: &Client,
        source: &Source<T>,
    ) -> Result<u64, WalkError> {
        let mut look = SecondLook::default();
        loop {
            let outcome = self.walk_kind_once(run, client, source).await;
            if let Some(walk) = look.judge(source.operation, outcome)? {
                return Ok(walk.unique);
            }
        }
    }

    async fn walk_kind_once<T: Row + Sync>(
        &self,
        run: &Run,
        client: &Client,
        source: &Source<T>,
    ) -> Result<Walk, WalkError> {
        let mut pages = (source.open)(client);
        let mut next = pages.next().await?;
        while let Some(page) = next {
            let observed = page.items.iter().map(source.observe).collect::<Result<Vec<_>, _>>()?;
            drop(page);
            let (following, written) =
                tokio::join!(pages.next(), self.write_page(run, &source.kind, observed, source.strangers));
            written?;
            next = following?;
        }
        Ok(*pages.walk())
    }

    async fn write_page(
        &self,
        run: &Run,
        kind: &ResourceKind,
        page: Vec<Observed>,
        strangers: Strangers,
    ) -> Result<(), StoreError> {
        if page.is_empty() {
            return Ok(());
        }
        let mut tx = self.pool.begin().await?;
        resource::write_page(&mut tx, run, kind, page, strangers, self.clock.now()).await?;
        tx.commit().await?;
        Ok(())
    }
}

fn droplets(open: fn(&Client) -> Pages<digitalocean::rows::Droplet>) -> Source<digitalocean::rows::Droplet> {
    Source {
        operation: "droplets.list",
        kind: ResourceKind::Droplet,
        open,
        observe: observation::droplet,
        strangers: Strangers::TakeIn,
    }
}
