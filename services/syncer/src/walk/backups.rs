//! Backups: listed droplet by droplet, as the provider has no listing of all of them.

use contracts::syncer::ResourceKind;
use digitalocean::{Error, rows::DropletImage};

use super::{SecondLook, WalkError};
use crate::{
    Syncer,
    domain::{listing::Run, observation},
    store::resource::{self, LivingDroplet, Strangers},
};

/// Droplets that are read from the inventory at once.
const CHUNK: i64 = 500;
/// Backups that are written at once.
const PAGE: usize = 200;
/// A token has 5,000 calls an hour for everything. An account with more droplets than this cannot be asked
/// droplet by droplet every hour; there only those are asked about whose own row says that they have backups.
const DROPLETS_ASKED_BLINDLY: i64 = 2_000;

impl Syncer {
    /// Walks the backups of every living droplet, powered-off ones too: their backups cost the same. Complete
    /// only if every droplet's listing was.
    pub(super) async fn walk_backups(&self, run: &Run) -> Result<u64, WalkError> {
        let everyone = {
            let mut tx = self.pool.acquire().await?;
            resource::count_droplets(&mut tx).await? <= DROPLETS_ASKED_BLINDLY
        };
        let (mut seen, mut after, mut page) = (0, None, Vec::new());
        loop {
            let droplets = {
                let mut tx = self.pool.acquire().await?;
                resource::living_droplets(&mut tx, after, CHUNK).await?
            };
            let Some(last) = droplets.last() else { break };
            after = Some(last.id);
            for LivingDroplet { provider_id, may_have_backups, .. } in droplets {
                // A placeholder under an id that is no droplet's has nothing to list.
                let Ok(droplet_id) = provider_id.parse::<i64>() else { continue };
                if !everyone && !may_have_backups {
                    continue;
                }
                for backup in self.backups_of(droplet_id).await? {
                    page.push(observation::droplet_backup(droplet_id, &backup)?);
                    seen += 1;
                }
                if page.len() >= PAGE {
                    self.write_backups(run, std::mem::take(&mut page)).await?;
                }
            }
        }
        self.write_backups(run, page).await?;
        Ok(seen)
    }

    async fn backups_of(&self, droplet_id: i64) -> Result<Vec<DropletImage>, WalkError> {
        let mut look = SecondLook::default();
        loop {
            let (rows, outcome) = match self.provider.sync_full.droplet_backups(droplet_id).all().await {
                Ok((rows, walk)) => (rows, Ok(walk)),
                // The droplet is gone, and its backups with it.
                Err(Error::NotFound { .. }) => return Ok(Vec::new()),
                Err(error) => (Vec::new(), Err(error.into())),
            };
            if look.judge("droplets.backups", outcome)?.is_some() {
                return Ok(rows);
            }
        }
    }

    async fn write_backups(&self, run: &Run, page: Vec<observation::Observed>) -> Result<(), WalkError> {
        Ok(self.write_page(run, &ResourceKind::DropletBackup, page, Strangers::TakeIn).await?)
    }
}
