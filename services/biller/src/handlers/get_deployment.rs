//! One deployment with its history. Another tenant's answers as one that does not exist.

use contracts::{
    Problem,
    biller::{DeploymentDetail, GetDeployment},
};
use messaging::{Answer, Refusal, ScopedTx};

use crate::{Biller, store};

impl Answer<GetDeployment> for Biller {
    async fn answer(&self, tx: &mut ScopedTx, query: GetDeployment) -> Result<DeploymentDetail, Refusal> {
        let tenant = query.scope.tenant();
        let Some(deployment) = store::deployment::find(tx, query.id, tenant).await? else {
            return Err(Problem::not_found().into());
        };
        let events = store::deployment::events(tx, &deployment, tenant).await?;
        Ok(DeploymentDetail { deployment, events })
    }
}
