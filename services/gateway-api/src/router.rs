//! The router, made from the table: for every operation its path, its handler and the checks before it.

use std::{panic::AssertUnwindSafe, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{MethodFilter, MethodRouter},
};
use contracts::Problem;
use futures::FutureExt;
use http::StatusCode;

use crate::{
    auth, clock, edge,
    gateway::Gateway,
    input::{BodyLimit, Parameters},
    operation::{Operation, Role},
    operations::operations,
    problem::Failure,
};

/// How long an answer may take to begin. Streams go on for longer; they begin at once.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The operation that answered; in a response's extensions, for metrics and traces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered(pub(crate) &'static Operation);

#[derive(Clone)]
struct Admission {
    gateway: Gateway,
    operation: &'static Operation,
}

/// Everything in the table, and the same shape of refusal for what is not in it.
pub(crate) fn router(gateway: &Gateway) -> Router {
    let mut router = Router::new();
    for operation in operations() {
        let method = MethodFilter::try_from(operation.method.clone()).expect("the table holds known methods");
        let admission = Admission { gateway: gateway.clone(), operation };
        let handler: MethodRouter<Gateway> = (operation.handler)(method);
        router = router.route(operation.path, handler.route_layer(from_fn_with_state(admission, admit)));
    }
    router
        .fallback(|| async { Failure::from(Problem::not_found()) })
        .method_not_allowed_fallback(|| async { Failure::of_status(StatusCode::METHOD_NOT_ALLOWED) })
        .with_state(gateway.clone())
}

/// What stands before every handler: who asks, whether they may, whether the body is too large by its own word,
/// and whether the parameters are known. The body is not read before that.
async fn admit(State(admission): State<Admission>, mut request: Request, next: Next) -> Response {
    let operation = admission.operation;
    let mut response = match check(&admission, &mut request) {
        Ok(()) => run(next.run(request)).await,
        Err(failure) => failure.into_response(),
    };
    response.extensions_mut().insert(Answered(operation));
    response
}

fn check(admission: &Admission, request: &mut Request<Body>) -> Result<(), Failure> {
    let operation = admission.operation;
    if operation.role == Role::Public {
        return Ok(());
    }
    let verifier = admission.gateway.keys.current();
    let caller = auth::authenticate(&verifier, request.headers(), clock::unix_seconds())?;
    if !operation.role.admits(&caller) {
        return Err(Failure::forbidden(operation.role));
    }
    let limit = operation.body_bytes_max();
    edge::check_length(request.headers(), limit)?;
    let parameters =
        Parameters::parse(request.uri().query().unwrap_or_default(), |name| operation.knows(name))?;
    tracing::Span::current().record("caller.tenant", caller.tenant().as_str());
    request.extensions_mut().insert(BodyLimit(limit));
    request.extensions_mut().insert(caller);
    request.extensions_mut().insert(parameters);
    Ok(())
}

/// An answer in time and without a panic, or a problem. What the panic said is in the log.
async fn run(handler: impl Future<Output = Response>) -> Response {
    match tokio::time::timeout(REQUEST_TIMEOUT, AssertUnwindSafe(handler).catch_unwind()).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => Failure::from(Problem::internal()).into_response(),
        Err(_) => Failure::of_status(StatusCode::SERVICE_UNAVAILABLE).into_response(),
    }
}
