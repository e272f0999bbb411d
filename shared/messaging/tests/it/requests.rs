//! Requests and what NATS lets each user do.

use std::sync::Arc;

use contracts::{
    Service,
    paging::PageRequest,
    parked::{ListParked, ParkedStatus},
};
use test_support::{World, eventually};

use crate::support::{Notes, run_notes};

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_said_at_once_and_answered_when_somebody_is() {
    let world = World::start().await;
    let gateway = world.connect("gateway-api").await;
    let query = ListParked { status: ParkedStatus::Parked, page: PageRequest::default() };
    let problem = gateway.ask(Service::Meterer, &query, None).await.unwrap_err();
    assert_eq!(problem.status, 503, "{problem:?}");
    let service = run_notes(&world, Arc::new(Notes::default())).await;
    eventually("it answers", || gateway.ask(Service::Meterer, &query, None)).await;
    let beyond = ListParked { page: PageRequest { limit: 201, cursor: None }, ..query };
    let problem = gateway.ask(Service::Meterer, &beyond, None).await.unwrap_err();
    assert_eq!((problem.status, problem.errors[0].field.as_str()), (422, "limit"));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_may_do_what_it_needs() {
    let world = World::start().await;
    for service in Service::ALL {
        let nats = world.connect(service.name()).await;
        let shutdown = tokio_util::sync::CancellationToken::new();
        let expected = contracts::permissions::user(service);
        messaging::runtime::compare_permissions(nats.clone(), expected, shutdown).await;
        assert_eq!(nats.check(), Ok(()), "{}", service.name());
    }
    let mut beyond = contracts::permissions::user(Service::Syncer);
    beyond.publish.push("evt.biller.invoice.issued.v1".to_owned());
    let nats = world.connect("syncer").await;
    messaging::runtime::compare_permissions(nats.clone(), beyond, tokio_util::sync::CancellationToken::new())
        .await;
    let lack = nats.check().unwrap_err();
    assert!(lack.contains("publish evt.biller.invoice.issued.v1"), "{lack}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_reads_along_and_sees_who_is_there() {
    let world = World::start().await;
    let service = run_notes(&world, Arc::new(Notes::default())).await;
    let publisher = crate::support::run_publisher(&world).await;
    let operator = world.connect("operator").await;
    let mut tail = operator.tail_subject("evt.syncer.>").await.unwrap();
    operator.flush().await;
    let pool = world.pool(Service::Syncer).await;
    let mut tx = pool.begin().await.unwrap();
    crate::support::announce(&mut tx, uuid::Uuid::now_v7(), "seen by the operator", 1..=1).await;
    tx.commit().await.unwrap();
    let heard = tokio::time::timeout(std::time::Duration::from_secs(10), futures::StreamExt::next(&mut tail))
        .await
        .expect("the operator hears the event")
        .expect("the subscription lives");
    assert_eq!(heard.headers.get("ce-type").map(String::as_str), Some("evt.syncer.resource.updated.v1"));
    let services = eventually("both are discovered", || async {
        let services = operator.services().await.map_err(|error| error.to_string())?;
        if services.len() == 2 { Ok(services) } else { Err(format!("{services:?}")) }
    })
    .await;
    let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["meterer", "syncer"]);
    assert!(
        services[0].endpoints.iter().any(|subject| subject == "qry.meterer.parked.list.v1"),
        "{services:?}"
    );
    service.stop().await;
    publisher.stop().await;
}
