//! The floor of a request: axum → NATS request → a responder that runs the same SQL.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::header,
    response::Response,
    routing::any,
};
use contracts::Service;
use futures::StreamExt;
use sqlx::PgPool;
use test_support::World;

/// Serves `/floor` and returns the address; `respond` makes the answer from the pool of a service's role.
pub async fn start<R, F>(world: &World, service: Service, respond: R) -> String
where
    R: Fn(PgPool) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Vec<u8>> + Send + 'static,
{
    let settings = world.nats.url();
    let password = world.nats.password("admin").to_owned();
    let connect = async || {
        async_nats::ConnectOptions::with_user_and_password("admin".to_owned(), password.clone())
            .connect(&settings)
            .await
            .expect("nats is there")
    };
    let (responder, asker) = (connect().await, connect().await);
    let pool = world.pool(service).await;
    let mut requests = responder.queue_subscribe("floor", "floor".to_owned()).await.expect("a subject");
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            let (responder, answer) = (responder.clone(), respond(pool.clone()));
            tokio::spawn(async move {
                let body = answer.await;
                let reply = request.reply.expect("a request");
                responder.publish(reply, body.into()).await.expect("nats takes it");
            });
        }
    });
    let app = Router::new().route("/floor", any(ask)).with_state(asker);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move { axum::serve(listener, app).await.expect("the floor serves") });
    address
}

async fn ask(State(nats): State<async_nats::Client>, body: Bytes) -> Response {
    let answer = nats.request("floor", body).await.expect("the responder answers");
    Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(answer.payload))
        .expect("a response")
}
