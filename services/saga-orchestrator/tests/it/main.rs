//! The spine that sagas will stand on, as a running process.

use contracts::{
    Actor, Service,
    ids::ParkedId,
    paging::PageRequest,
    parked::{DismissParked, ListParked, ParkedStatus},
};
use messaging::IdempotencyKey;
use serde_json::Value;
use test_support::{World, eventually, programs::Program, world::terminate};

const OWNER: Service = Service::SagaOrchestrator;

/// The address of the operations port, from the log.
fn operations(program: &Program) -> Option<String> {
    program.printed().lines().find_map(|line| {
        let line: Value = serde_json::from_str(line).expect("every line of the log is JSON");
        line.get("operations.addr").and_then(Value::as_str).map(str::to_owned)
    })
}

async fn readiness(program: &Program) -> Result<(u16, Value), String> {
    let addr = operations(program).ok_or_else(|| program.printed())?;
    let answer = reqwest::get(format!("http://{addr}/readyz")).await.map_err(|error| error.to_string())?;
    let status = answer.status().as_u16();
    Ok((status, answer.json().await.map_err(|error| error.to_string())?))
}

#[tokio::test(flavor = "multi_thread")]
async fn it_becomes_ready_answers_for_parked_messages_and_stops_when_told() {
    let world = World::start().await;
    let service = world.run(OWNER, Vec::new());
    eventually("the service is ready", async || match readiness(&service).await? {
        (200, body) => Ok(body),
        other => Err(format!("{other:?}")),
    })
    .await;

    let gateway = world.connect(Service::GatewayApi.name()).await;
    let list = ListParked { status: ParkedStatus::Parked, page: PageRequest::default() };
    let answer = eventually("the gateway is answered", async || gateway.ask(OWNER, &list, None).await).await;
    assert_eq!(answer.body, r#"{"items":[]}"#);

    let dismiss = DismissParked {
        id: "0191e4a0-7c3b-7d52-9c0e-2f6f3a1b4c5d".parse::<ParkedId>().unwrap(),
        actor: Actor { subject: "somebody".to_owned(), tenant_id: "platform-admin".parse().unwrap() },
    };
    let problem = gateway.ask(OWNER, &dismiss, Some(&IdempotencyKey::random())).await.unwrap_err();
    assert_eq!(problem.status, 404, "{problem:?}");

    let status = terminate(&service).await;
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_a_database_that_is_away_and_says_so() {
    let world = World::start().await;
    let service =
        world.run(OWNER, vec![("DATABASE_URL", "postgres://nobody:canary@127.0.0.1:1/none".to_owned())]);
    let body = eventually("the database is reported", async || match readiness(&service).await? {
        (503, body) if body["missing"][0]["name"] == "database" => Ok(body),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(body["ready"], false);
    assert!(terminate(&service).await.success());
    assert!(!service.printed().contains("canary"), "{}", service.printed());
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_configuration_ends_it_with_64_and_shows_no_value() {
    let environment = [("DATABASE_URL", "canary"), ("NATS_URL", "nats://127.0.0.1:1")];
    let environment = environment.map(|(name, value)| (name, value.to_owned()));
    let service = Program::start(OWNER.name(), &[], environment);
    let status = service.process.exited().await;
    assert_eq!(status.code(), Some(64));
    let printed = service.printed();
    assert!(printed.contains("DATABASE_URL") || printed.contains("NATS_USER"), "{printed}");
    assert!(!printed.contains("canary"), "{printed}");
}
