//! What a run finds: tables filled or empty, deployments that are known, a stream that holds what is to be taken.

use std::{collections::BTreeMap, fs::File, time::Duration};

use async_nats::jetstream;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use contracts::{Service, ids::DeploymentId, permissions, streams::Stream};
use local::{
    postgres,
    usage::{Order, Pace, Plan, Shares, Target},
};
use sqlx::PgConnection;
use test_support::{World, programs::Program};
use uuid::Uuid;

use crate::machine;

/// Deployments that use models; and the models, which are the generator's.
pub const TARGETS: usize = 200;
pub const MODELS: usize = 6;
/// Over how many days what is stored before happened.
pub const SINCE_DAYS: i64 = 30;
/// Ids hold the seed in front of the number, so what comes later has the larger id. Two digits: as text, too.
const STORED_SEED: u64 = 0x10;
const TENANT: &str = "acme";

pub struct Lab {
    pub world: World,
    pub superuser: PgConnection,
    pub usage: jetstream::stream::Stream,
    stored: u64,
    seed: u64,
    targets: Vec<Target>,
    postgres: i32,
    nats: i32,
}

impl Lab {
    /// Postgres as LIMITS.md has it: what the services' tests run on is too small for ten million requests.
    pub async fn start(stored: u64) -> Self {
        let settings = [("max_wal_size", "4GB"), ("checkpoint_timeout", "30min"), ("wal_buffers", "64MB")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let options =
            postgres::Options { shared_buffers_mb: 2_048, settings, ..postgres::Options::default() };
        let mut world = World::start_alone_with(options).await;
        let postgres = world.own_postgres().pid().expect("postgres runs");
        let nats = world.nats.pid().expect("nats-server runs");
        let mut superuser = world.superuser(Service::Meterer).await;
        machine::print_postgres(&mut superuser).await;
        let jetstream = jetstream::new(connect(&world, permissions::LLM_GATEWAY_ADMIN).await);
        let usage = jetstream.get_stream(Stream::Usage.name()).await.expect("the stream is there");
        let targets = (0..TARGETS).map(|_| target()).collect();
        let mut lab = Self { world, superuser, usage, stored, seed: STORED_SEED, targets, postgres, nats };
        let ids: Vec<_> = lab.targets.iter().map(|target| target.deployment_id).collect();
        lab.make_known(&ids).await;
        lab
    }

    /// Meterer knows these deployments.
    pub async fn make_known(&mut self, deployments: &[DeploymentId]) {
        let ids: Vec<Uuid> = deployments.iter().map(|id| id.as_uuid()).collect();
        sqlx::query(
            "insert into known_deployment (deployment_id, tenant_id, currency, version)
             select id, $2, 'AUD', 1 from unnest($1::uuid[]) id",
        )
        .bind(&ids)
        .bind(TENANT)
        .execute(&mut self.superuser)
        .await
        .expect("deployments can be made known");
    }

    /// Forgets all usage.
    pub async fn clear(&mut self) {
        self.run("truncate llm_usage_ids, llm_usage_events, llm_usage_daily, usage_producers").await;
    }

    /// Stores requests as if they had come over the last month, one after the other.
    pub async fn fill(&mut self) {
        if self.stored == 0 {
            return;
        }
        let count = i64::try_from(self.stored).expect("a number of rows");
        let until = Utc::now() - TimeDelta::days(1);
        let targets: Vec<Uuid> = self.targets.iter().map(|target| target.deployment_id.as_uuid()).collect();
        sqlx::query(
            "insert into llm_usage_ids (entry, fingerprint, gateway_request_id)
             select n, decode(md5(n::text), 'hex'), 'req_' || to_hex($2) || '_' || lpad(n::text, 12, '0')
             from generate_series(0, $1 - 1) n",
        )
        .bind(count)
        .bind(i64::try_from(STORED_SEED).expect("a small number"))
        .execute(&mut self.superuser)
        .await
        .expect("ids can be stored");
        sqlx::query(
            "insert into llm_usage_events
               (entry, occurred_at, recorded_at, prompt_tokens, completion_tokens, cached_tokens, deployment_id,
                gateway_request_id, tenant_id, provider, model, currency, charge, metadata)
             select n, date_trunc('milliseconds', $3 - make_interval(days => $4) * (1 - n::float8 / $1)), $3,
                    h % 200000, h % 8000, case when h % 3 = 0 then h % 150000 else 0 end, ($5::uuid[])[h % $6 + 1],
                    'req_' || to_hex($2) || '_' || lpad(n::text, 12, '0'), $7,
                    (array['aurora', 'aurora', 'basalt', 'basalt', 'cirrus', 'cirrus'])[h / 1000 % 6 + 1],
                    (array['aurora-large-2', 'aurora-mini-2', 'basalt-70b', 'basalt-embed-1', 'cirrus-code-3',
                           'cirrus-vision'])[h / 1000 % 6 + 1],
                    'AUD', trim_scale(round(h::numeric / 699999953, (h % 13)::integer)),
                    case when h % 4 = 0 then '{\"retries\":' || h % 3 || ',\"route\":\"r' || h % 50 || '\"}' else '{}' end::json
             from (select n, hashint8(n)::bigint & 2147483647 as h from generate_series(0, $1 - 1) n) given",
        )
        .bind(count)
        .bind(i64::try_from(STORED_SEED).expect("a small number"))
        .bind(until)
        .bind(i32::try_from(SINCE_DAYS).expect("some days"))
        .bind(&targets)
        .bind(i64::try_from(TARGETS).expect("some deployments"))
        .bind(TENANT)
        .execute(&mut self.superuser)
        .await
        .expect("events can be stored");
        self.run(
            "insert into llm_usage_daily
             select deployment_id, (occurred_at at time zone 'UTC')::date as day, provider, model, currency, tenant_id,
                    count(*), sum(prompt_tokens), sum(completion_tokens), sum(cached_tokens), sum(charge)
             from llm_usage_events group by deployment_id, day, provider, model, currency, tenant_id",
        )
        .await;
        sqlx::query("select setval('llm_usage_entry', $1)")
            .bind(count + 1_000)
            .execute(&mut self.superuser)
            .await
            .expect("a sequence can be set");
        self.settle().await;
    }

    /// What the tables come to.
    pub async fn size(&mut self) -> String {
        sqlx::query_scalar(
            "select 'ids ' || pg_size_pretty(pg_total_relation_size('llm_usage_ids')) || ', events '
                    || pg_size_pretty(pg_total_relation_size('llm_usage_events')) || ', sums '
                    || (select count(*) from llm_usage_daily) || ' rows'",
        )
        .fetch_one(&mut self.superuser)
        .await
        .expect("sizes can be read")
    }

    /// What earlier work left to do is done before a clock runs.
    pub async fn settle(&mut self) {
        for statement in
            ["vacuum analyze llm_usage_ids, llm_usage_events, llm_usage_daily, usage_position", "checkpoint"]
        {
            self.run(statement).await;
        }
    }

    async fn run(&mut self, statement: &'static str) {
        sqlx::query(statement).execute(&mut self.superuser).await.expect("the tables can be prepared");
    }

    /// The next events, later than all before.
    pub fn plan(&mut self, count: u64) -> Plan {
        self.seed += 1;
        assert!(self.seed <= 0xff, "two digits");
        Plan {
            seed: self.seed,
            producer: format!("bench-{}", self.seed),
            count,
            targets: self.targets.clone(),
            shares: Shares::default(),
            until: Utc::now().trunc_subsecs(3),
            days: 1,
        }
    }

    /// Empties the stream and lets meterer stand at its end; returns the last sequence.
    pub async fn empty_stream(&mut self) -> u64 {
        self.usage.purge().await.expect("the stream can be emptied");
        let info = self.usage.get_info().await.expect("the stream tells about itself");
        let (created, last): (DateTime<Utc>, u64) = (info.created.trunc_subsecs(6), info.state.last_sequence);
        sqlx::query("delete from usage_position").execute(&mut self.superuser).await.expect("a row can go");
        if last > 0 {
            sqlx::query("insert into usage_position values ('USAGE', $1, $2, now())")
                .bind(created)
                .bind(i64::try_from(last).expect("a sequence"))
                .execute(&mut self.superuser)
                .await
                .expect("the position can be set");
        }
        last
    }

    /// Publishes all of a plan.
    pub async fn publish(&self, plan: &Plan) {
        let nats = self.world.connect(permissions::LLM_GATEWAY).await;
        let traffic = plan.traffic().expect("a good plan");
        usage_publisher::publish(&nats, traffic, Pace::default(), |_| {}).await.expect("it can be published");
    }

    /// Starts a producer of its own.
    pub fn start_producer(&self, plan: Plan) -> Program {
        let file = self.world.folder().join("order");
        let order = Order { plan, pace: Pace::default() };
        let text = serde_json::to_vec(&order).expect("an order serialises");
        std::fs::write(&file, text).expect("a file of our own");
        let environment = [
            ("NATS_URL", self.world.nats.url()),
            ("NATS_USER", permissions::LLM_GATEWAY.to_owned()),
            ("NATS_PASSWORD", self.world.nats.password(permissions::LLM_GATEWAY).to_owned()),
        ];
        let order = File::open(&file).expect("a file of our own");
        Program::start_prepared("usage-publisher", &[], environment, |command| {
            command.stdin(order);
        })
    }

    /// Every event counts, once; returns in how many batches they came.
    pub async fn check(&mut self, plan: &Plan) -> u64 {
        let like = |end: char| format!("req_{:x}{end}", plan.seed);
        let (counted, batches): (i64, i64) = sqlx::query_as(
            "select count(*), count(distinct entry / 1000)
             from llm_usage_ids where gateway_request_id >= $1 and gateway_request_id < $2",
        )
        .bind(like('_'))
        .bind(like('`'))
        .fetch_one(&mut self.superuser)
        .await
        .expect("rows can be counted");
        assert_eq!(counted.unsigned_abs(), plan.count, "every event is taken");
        batches.unsigned_abs()
    }

    /// The sums are those of the events.
    pub async fn check_sums(&mut self) {
        let same: bool = sqlx::query_scalar(
            "select (select (sum(requests)::bigint, sum(prompt_tokens), sum(charge)) from llm_usage_daily)
                  = (select (count(*), sum(prompt_tokens), sum(charge)) from llm_usage_events)",
        )
        .fetch_one(&mut self.superuser)
        .await
        .expect("sums can be compared");
        assert!(same, "the sums by day are those of the events");
    }

    /// CPU of this process or another, of Postgres, of nats-server.
    pub fn cpu(&self, taker: i32) -> [Duration; 3] {
        [machine::cpu_time(taker), machine::cpu_time_of_tree(self.postgres), machine::cpu_time(self.nats)]
    }
}

/// A deployment with models.
pub fn target() -> Target {
    Target {
        deployment_id: DeploymentId::from_uuid(Uuid::now_v7()),
        tenant_id: TENANT.parse().expect("a tenant"),
        currency: "AUD".parse().expect("a currency"),
    }
}

/// A connection without anything of ours in it.
pub async fn connect(world: &World, user: &str) -> async_nats::Client {
    let password = world.nats.password(user).to_owned();
    async_nats::ConnectOptions::with_user_and_password(user.to_owned(), password)
        .custom_inbox_prefix(permissions::inbox_prefix(user))
        .connect(world.nats.url())
        .await
        .expect("nats is there")
}

/// What a producer that counts its messages says of one.
pub fn headers(of: &BTreeMap<String, String>) -> async_nats::HeaderMap {
    let mut headers = async_nats::HeaderMap::new();
    for (name, value) in of {
        headers.insert(name.as_str(), value.as_str());
    }
    headers
}
