//! An operator wants a listing synced now, besides its schedule.

use chrono::{DateTime, Utc};
use contracts::{
    Service,
    syncer::{
        Listing, ListingStatus, RequestSync, SyncDnsZones, SyncDropletBackups, SyncDroplets, SyncFirewalls,
        SyncFloatingIps, SyncLoadBalancers, SyncProjects, SyncSnapshots, SyncVolumes,
    },
};
use messaging::{
    Execute, Refusal,
    outbox::{self, Draft},
};
use sqlx::PgConnection;

use crate::{Syncer, store};

impl Execute<RequestSync> for Syncer {
    async fn execute(&self, tx: &mut PgConnection, command: RequestSync) -> Result<ListingStatus, Refusal> {
        let job = job(command.listing, self.clock.now())?;
        outbox::add(tx, &[job]).await?;
        Ok(store::listing::status(tx, command.listing).await?)
    }
}

fn job(listing: Listing, now: DateTime<Utc>) -> Result<Draft, serde_json::Error> {
    let service = Service::Syncer;
    match listing {
        Listing::Droplets => Draft::job(service, &SyncDroplets {}, now),
        Listing::Projects => Draft::job(service, &SyncProjects {}, now),
        Listing::DnsZones => Draft::job(service, &SyncDnsZones {}, now),
        Listing::Volumes => Draft::job(service, &SyncVolumes {}, now),
        Listing::Snapshots => Draft::job(service, &SyncSnapshots {}, now),
        Listing::FloatingIps => Draft::job(service, &SyncFloatingIps {}, now),
        Listing::Firewalls => Draft::job(service, &SyncFirewalls {}, now),
        Listing::LoadBalancers => Draft::job(service, &SyncLoadBalancers {}, now),
        Listing::DropletBackups => Draft::job(service, &SyncDropletBackups {}, now),
    }
}
