//! Every message once, and every service.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::{
    Command, Event, Job, Query, State, biller, llm_gateway, meterer,
    outbox::RepublishOutbox,
    parked::{DismissParked, GetParked, ListParked, MessageParked, PerService, ReplayParked},
    subject::Kind,
    syncer,
};

/// One of the five binaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Inventory; alone changes the provider's account.
    Syncer,
    /// Costs, catalog, invoices, margin.
    Biller,
    /// Usage.
    Meterer,
    /// Sagas.
    SagaOrchestrator,
    /// HTTP.
    GatewayApi,
}

impl Service {
    /// Every service.
    pub const ALL: [Self; 5] =
        [Self::Syncer, Self::Biller, Self::Meterer, Self::SagaOrchestrator, Self::GatewayApi];

    /// The services that own tables, and so have an outbox, an inbox and parked messages.
    pub const OWNERS: [Self; 4] = [Self::Syncer, Self::Biller, Self::Meterer, Self::SagaOrchestrator];

    /// The name everywhere but in SQL: directory, crate, binary, NATS token and user, trace name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syncer => "syncer",
            Self::Biller => "biller",
            Self::Meterer => "meterer",
            Self::SagaOrchestrator => "saga-orchestrator",
            Self::GatewayApi => "gateway-api",
        }
    }

    /// The name in SQL: schema and login role.
    pub const fn sql_name(self) -> &'static str {
        match self {
            Self::SagaOrchestrator => "saga_orchestrator",
            Self::GatewayApi => "gateway_api",
            Self::Syncer | Self::Biller | Self::Meterer => self.name(),
        }
    }
}

/// One message of the catalogue.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The subject without the trailing id.
    pub subject: String,
    /// What it carries.
    pub kind: Kind,
    /// The Rust type.
    pub type_name: &'static str,
    /// The JSON Schema of the body.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// The type and JSON Schema of the answer, for what is answered.
    pub reply: Option<fn(&mut SchemaGenerator) -> Schema>,
    /// Whether an id follows the subject.
    pub keyed: bool,
}

fn short_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    name.rsplit("::").next().unwrap_or(name)
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

fn entry<T: JsonSchema>(subject: String, kind: Kind) -> Entry {
    Entry { subject, kind, type_name: short_name::<T>(), schema: schema::<T>, reply: None, keyed: false }
}

fn event<E: Event>() -> Entry {
    entry::<E>(E::SUBJECT.to_owned(), Kind::Event)
}

fn keyed<E: Event>() -> Entry {
    Entry { keyed: true, ..event::<E>() }
}

fn state<S: State>() -> Entry {
    Entry { keyed: true, ..entry::<S>(S::SUBJECT.to_owned(), Kind::State) }
}

fn job<J: Job>() -> Entry {
    entry::<J>(J::SUBJECT.to_owned(), Kind::Job)
}

fn query<Q: Query>() -> Entry {
    Entry { reply: Some(schema::<Q::Reply>), ..entry::<Q>(Q::SUBJECT.to_owned(), Kind::Query) }
}

fn command<C: Command>() -> Entry {
    Entry { reply: Some(schema::<C::Reply>), ..entry::<C>(C::SUBJECT.to_owned(), Kind::Command) }
}

fn asked<M: PerService>(owner: Service, kind: Kind) -> Entry {
    Entry { reply: Some(schema::<M::Reply>), ..entry::<M>(M::subject(owner), kind) }
}

/// Every message, in the order of the files that own them.
pub fn entries() -> Vec<Entry> {
    let mut entries = vec![
        keyed::<syncer::ResourceDiscovered>(),
        keyed::<syncer::ResourceUpdated>(),
        keyed::<syncer::ResourceDeleted>(),
        keyed::<syncer::ResourceRestored>(),
        keyed::<syncer::ResourceTagged>(),
        state::<syncer::LastResource>(),
        keyed::<syncer::ProjectDiscovered>(),
        keyed::<syncer::ProjectUpdated>(),
        keyed::<syncer::ProjectDeleted>(),
        keyed::<syncer::ProjectRestored>(),
        keyed::<syncer::ProjectTagged>(),
        event::<syncer::ListingHeld>(),
        event::<syncer::ListingReleased>(),
        job::<syncer::SyncDroplets>(),
        job::<syncer::SyncProjects>(),
        job::<syncer::SyncDnsZones>(),
        job::<syncer::SyncVolumes>(),
        job::<syncer::SyncSnapshots>(),
        job::<syncer::SyncFloatingIps>(),
        job::<syncer::SyncFirewalls>(),
        job::<syncer::SyncLoadBalancers>(),
        job::<syncer::SyncDropletBackups>(),
        query::<syncer::ListResources>(),
        query::<syncer::GetResource>(),
        query::<syncer::ListProjects>(),
        query::<syncer::ListListings>(),
        command::<syncer::ClassifyProject>(),
        command::<syncer::ClassifyResource>(),
        command::<syncer::LinkResource>(),
        command::<syncer::ConfirmListing>(),
        command::<syncer::RequestSync>(),
        command::<syncer::RepublishResources>(),
        event::<biller::PlanCreated>(),
        event::<biller::PlanVersionCreated>(),
        event::<biller::PlanVersionPublished>(),
        event::<biller::AddonCreated>(),
        event::<biller::ResourcePriceSet>(),
        keyed::<biller::DeploymentCreated>(),
        keyed::<biller::DeploymentTransitioned>(),
        keyed::<biller::DeploymentSubscribed>(),
        keyed::<biller::DeploymentMigrated>(),
        keyed::<biller::DeploymentUpdated>(),
        state::<biller::LastDeployment>(),
        job::<biller::AdvanceSubscriptions>(),
        query::<biller::ListPlans>(),
        query::<biller::GetPlan>(),
        query::<biller::ListAddons>(),
        query::<biller::ListResourcePrices>(),
        query::<biller::MakeQuote>(),
        query::<biller::ListDeployments>(),
        query::<biller::GetDeployment>(),
        command::<biller::CreatePlan>(),
        command::<biller::CreatePlanVersion>(),
        command::<biller::PublishPlanVersion>(),
        command::<biller::CreateAddon>(),
        command::<biller::SetResourcePrice>(),
        command::<biller::CreateDeployment>(),
        command::<biller::TransitionDeployment>(),
        command::<biller::SubscribeDeployment>(),
        command::<biller::MigrateSubscription>(),
        command::<biller::SetBillingActionSuspended>(),
        command::<biller::RepublishDeployments>(),
        keyed::<llm_gateway::UsageRecorded>(),
        keyed::<llm_gateway::UsageCorrected>(),
        keyed::<llm_gateway::UsageVoided>(),
        event::<meterer::DayMetered>(),
        event::<meterer::UsageConflicted>(),
        job::<meterer::MeterDays>(),
        job::<meterer::ApplyRetention>(),
        job::<meterer::ReleaseUsage>(),
        query::<meterer::GetUsage>(),
        query::<meterer::ListDeploymentUsage>(),
        query::<meterer::ListUnmetered>(),
        query::<meterer::ListUsageConflicts>(),
        query::<meterer::ListUsageProducers>(),
        query::<meterer::ListMeteringConfig>(),
        command::<meterer::RecordUsage>(),
        command::<meterer::ConfigureMetering>(),
        command::<meterer::MeterDay>(),
    ];
    for owner in Service::OWNERS {
        entries.push(entry::<MessageParked>(MessageParked::subject(owner), Kind::Parked));
        entries.push(asked::<ListParked>(owner, Kind::Query));
        entries.push(asked::<GetParked>(owner, Kind::Query));
        entries.push(asked::<ReplayParked>(owner, Kind::Command));
        entries.push(asked::<DismissParked>(owner, Kind::Command));
        entries.push(asked::<RepublishOutbox>(owner, Kind::Command));
    }
    entries
}
