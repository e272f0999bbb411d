//! Messages that services could not handle.

use axum::extract::State;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use contracts::{
    Problem, Service,
    ids::ParkedId,
    paging::{Page, PageRequest},
    parked::{DismissParked, GetParked, ListParked, ParkedStatus, ReplayParked},
};
use messaging::Nats;
use serde::{Deserialize, de::value};
use serde_json::value::RawValue;

use crate::{
    auth::Caller,
    input::{EffectKey, InPath, Owner, Parameters, Text},
    problem::Failure,
    reply::Reply,
};

pub(crate) async fn list(State(nats): State<Nats>, parameters: Parameters) -> Result<Reply, Failure> {
    let status = status(&parameters)?;
    let page = parameters.page()?;
    match parameters.optional("service")? {
        Some(Owner(owner)) => Ok(nats.ask(owner, &ListParked { status, page }, None).await?.into()),
        None => list_all(&nats, status, page).await,
    }
}

fn status(parameters: &Parameters) -> Result<ParkedStatus, Failure> {
    let Some(text) = parameters.optional::<Text<64>>("status")? else { return Ok(ParkedStatus::Parked) };
    let text = String::from(text);
    let status: Result<ParkedStatus, value::Error> =
        ParkedStatus::deserialize(value::StrDeserializer::new(&text));
    status.map_err(|_| Problem::unprocessable("status", "must be parked, replayed or dismissed").into())
}

/// Where a listing over all services goes on: in which service, and after what there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    owner: usize,
    cursor: Option<String>,
}

impl Place {
    fn parse(cursor: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let (owner, cursor) = text.split_once('/')?;
        let owner = Service::OWNERS.iter().position(|service| service.name() == owner)?;
        Some(Self { owner, cursor: (!cursor.is_empty()).then(|| cursor.to_owned()) })
    }

    fn to_cursor(&self) -> String {
        let cursor = self.cursor.as_deref().unwrap_or_default();
        URL_SAFE_NO_PAD.encode(format!("{}/{cursor}", Service::OWNERS[self.owner].name()))
    }
}

/// One service after another, in a fixed order, until the page is full.
async fn list_all(nats: &Nats, status: ParkedStatus, page: PageRequest) -> Result<Reply, Failure> {
    let mut place = match page.cursor.as_deref() {
        None => Place { owner: 0, cursor: None },
        Some(cursor) => Place::parse(cursor)
            .ok_or_else(|| Problem::unprocessable("cursor", "must be the next_cursor of the page before"))?,
    };
    let mut items: Vec<Box<RawValue>> = Vec::new();
    let mut next_cursor = None;
    while let Some(owner) = Service::OWNERS.get(place.owner) {
        // With the page full, one more is asked for, to know whether there is a page after this one.
        let wanted = usize::from(page.limit).saturating_sub(items.len()).max(1);
        let limit = u16::try_from(wanted).expect("no more than the page's limit, which is 16 bits");
        let request = ListParked { status, page: PageRequest { limit, cursor: place.cursor.clone() } };
        let found = ask(nats, *owner, &request).await?;
        if items.len() >= usize::from(page.limit) && !found.items.is_empty() {
            next_cursor = Some(place.to_cursor());
            break;
        }
        items.extend(found.items);
        place = match found.next_cursor {
            Some(cursor) => Place { owner: place.owner, cursor: Some(cursor) },
            None => Place { owner: place.owner + 1, cursor: None },
        };
        if place.cursor.is_some() && items.len() >= usize::from(page.limit) {
            next_cursor = Some(place.to_cursor());
            break;
        }
    }
    let body = serde_json::to_vec(&Page { items, next_cursor }).map_err(|error| {
        tracing::error!(%error, "could not write a page of parked messages");
        Problem::internal()
    })?;
    Ok(Bytes::from(body).into())
}

async fn ask(nats: &Nats, owner: Service, request: &ListParked) -> Result<Page<Box<RawValue>>, Failure> {
    let replied = nats.ask(owner, request, None).await.map_err(|problem| match problem.status {
        503 => Problem::unavailable(format!(
            "{} does not answer. Ask for the others one by one, with the parameter service.",
            owner.name()
        )),
        _ => problem,
    })?;
    serde_json::from_slice(&replied.body).map_err(|error| {
        tracing::error!(%error, "a page of parked messages from {} does not fit its type", owner.name());
        Problem::internal().into()
    })
}

pub(crate) async fn show(
    State(nats): State<Nats>,
    InPath((Owner(owner), id)): InPath<(Owner, ParkedId)>,
) -> Result<Reply, Failure> {
    Ok(nats.ask(owner, &GetParked { id }, None).await?.into())
}

pub(crate) async fn replay(
    State(nats): State<Nats>,
    caller: Caller,
    InPath((Owner(owner), id)): InPath<(Owner, ParkedId)>,
    EffectKey(key): EffectKey,
) -> Result<Reply, Failure> {
    Ok(nats.ask(owner, &ReplayParked { id, actor: caller.actor() }, Some(&key)).await?.into())
}

pub(crate) async fn dismiss(
    State(nats): State<Nats>,
    caller: Caller,
    InPath((Owner(owner), id)): InPath<(Owner, ParkedId)>,
    EffectKey(key): EffectKey,
) -> Result<Reply, Failure> {
    Ok(nats.ask(owner, &DismissParked { id, actor: caller.actor() }, Some(&key)).await?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_over_all_services_is_read_back_or_refused() {
        for place in [Place { owner: 0, cursor: None }, Place { owner: 3, cursor: Some("a/b".to_owned()) }] {
            assert_eq!(Place::parse(&place.to_cursor()), Some(place));
        }
        for bad in ["", "%%%", "c3luY2Vy", "bm9ib2R5Lw"] {
            assert_eq!(Place::parse(bad), None, "{bad}");
        }
    }
}
