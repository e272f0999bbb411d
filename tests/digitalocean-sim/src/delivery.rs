//! How an answer reaches the caller: whole, or as a fault has it.

use std::convert::Infallible;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress};
use futures::{StreamExt, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::Response;
use hyper::body::Frame;
use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::faults::Behaviour;

/// The connection is to be cut here.
#[derive(Debug, thiserror::Error)]
#[error("connection cut on purpose")]
pub struct Cut;

/// A response's body.
pub type Body = UnsyncBoxBody<Bytes, Cut>;

/// What is sent.
#[derive(Debug)]
pub enum Delivery {
    /// The answer.
    Whole(Answer),
    /// The answer, a byte a second.
    Drip(Answer),
    /// Half of the answer, announced as the whole.
    Half(Answer),
    /// Blanks without end.
    Huge,
    /// Nothing, ever.
    Never,
    /// A reset connection.
    Reset,
}

const PAGE: &str = "<!DOCTYPE html><html><body><h1>504 Gateway Time-out</h1></body></html>";

/// The bomb: 256 MiB of zeros in a quarter of a megabyte. One mebibyte is compressed, flushed so that it
/// stands alone, and repeated: to compress it all would take seconds.
static BOMB: LazyLock<Bytes> = LazyLock::new(|| {
    let zeros = vec![b'0'; 1 << 20];
    let mut block = Vec::with_capacity(1 << 16);
    Compress::new(Compression::best(), false)
        .compress_vec(&zeros, &mut block, FlushCompress::Full)
        .expect("zeros compress");
    let mut block_check = Crc::new();
    block_check.update(&zeros);
    let mut check = Crc::new();
    let mut bomb = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
    for _ in 0..BOMB_MIB {
        bomb.extend_from_slice(&block);
        check.combine(&block_check);
    }
    // An empty last block, then checksum and length.
    bomb.extend_from_slice(&[3, 0]);
    bomb.extend_from_slice(&check.sum().to_le_bytes());
    bomb.extend_from_slice(&(BOMB_MIB << 20).to_le_bytes());
    Bytes::from(bomb)
});

/// What the bomb inflates to, in mebibytes.
const BOMB_MIB: u32 = 256;

/// Chunks of 64 KiB in the huge answer: 512 MiB.
const HUGE_CHUNKS: usize = 8192;

/// Lays a behaviour over an answer. `url` is what was called, absolute.
pub fn misbehave(behaviour: &Behaviour, answer: Answer, url: &str) -> Delivery {
    let edited = |edit: &dyn Fn(&mut Value)| {
        let Ok(mut body) = serde_json::from_slice::<Value>(&answer.body) else {
            return Delivery::Whole(answer.clone());
        };
        edit(&mut body);
        let mut edited = Answer::json(answer.status, &body);
        edited.headers = answer.headers.clone();
        Delivery::Whole(edited)
    };
    match behaviour {
        Behaviour::Answer { status, body, headers } => {
            Delivery::Whole(instead(*status, body.as_ref(), headers))
        }
        Behaviour::Hang => Delivery::Never,
        Behaviour::Reset | Behaviour::CommitThenReset => Delivery::Reset,
        Behaviour::Drip => Delivery::Drip(answer),
        Behaviour::Truncate => Delivery::Half(answer),
        Behaviour::Html => {
            Delivery::Whole(Answer { content_type: Some("text/html"), ..Answer::raw_json(200, PAGE) })
        }
        Behaviour::NullList => edited(&|body| set_list(body, Value::Null)),
        Behaviour::EmptyList => edited(&|body| {
            set_list(body, json!([]));
            body["links"] = json!({});
            body["meta"] = json!({"total": 0});
        }),
        Behaviour::PageLoop => edited(&|body| body["links"] = json!({"pages": {"next": url, "last": url}})),
        Behaviour::ForeignNext(next) => {
            edited(&|body| body["links"] = json!({"pages": {"next": next, "last": next}}))
        }
        Behaviour::DropRows(count) => edited(&|body| {
            if let Some(Value::Array(rows)) = list_of(body) {
                rows.drain(..(*count).min(rows.len()));
            }
        }),
        Behaviour::Huge => Delivery::Huge,
        Behaviour::GzipBomb => {
            let mut bomb = Answer::raw_json(200, BOMB.clone());
            bomb.headers.push(("content-encoding".into(), "gzip".into()));
            Delivery::Whole(bomb)
        }
        Behaviour::Redirect(location) => {
            let mut redirect = Answer::raw_json(302, Bytes::new());
            redirect.headers.push(("location".into(), location.clone()));
            Delivery::Whole(redirect)
        }
        Behaviour::CommitThen500 => Delivery::Whole(Refusal::server_error(500).into()),
        Behaviour::DelayMs(_) => Delivery::Whole(answer),
    }
}

fn instead(status: u16, body: Option<&Value>, headers: &[(String, String)]) -> Answer {
    let mut answer = match body {
        None => Answer::from(Refusal::server_error(status)),
        Some(Value::String(text)) => Answer::raw_json(status, text.clone()),
        Some(body) => Answer::json(status, body),
    };
    answer.headers.extend(headers.iter().cloned());
    answer
}

/// The list of a listing: the one array at the root.
fn list_of(body: &mut Value) -> Option<&mut Value> {
    body.as_object_mut()?.values_mut().find(|value| value.is_array())
}

fn set_list(body: &mut Value, list: Value) {
    if let Some(place) = list_of(body) {
        *place = list;
    }
}

/// The response of a delivery; `rate` are the headers every response has.
pub async fn respond(delivery: Delivery, rate: &[(&'static str, String)]) -> Result<Response<Body>, Cut> {
    match delivery {
        Delivery::Whole(answer) => Ok(whole(answer, rate)),
        Delivery::Drip(answer) => {
            let bytes: Vec<Bytes> = answer.body.chunks(1).map(Bytes::copy_from_slice).collect();
            let slowly = stream::iter(bytes).then(|byte| async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(Frame::data(byte))
            });
            Ok(head(&answer, rate).map(|()| BodyExt::boxed_unsync(StreamBody::new(slowly))))
        }
        Delivery::Half(answer) => {
            let half = answer.body.slice(..answer.body.len() / 2);
            let broken = stream::iter([Ok(Frame::data(half)), Err(Cut)]);
            // A pause lets the first half leave before the connection closes.
            let broken = broken.then(|frame| async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                frame
            });
            let mut response = head(&answer, rate).map(|()| BodyExt::boxed_unsync(StreamBody::new(broken)));
            response.headers_mut().insert("content-length", answer.body.len().into());
            Ok(response)
        }
        Delivery::Huge => {
            let blanks = Bytes::from(vec![b' '; 1 << 16]);
            let endless =
                stream::iter(std::iter::repeat_n(blanks, HUGE_CHUNKS)).map(|chunk| Ok(Frame::data(chunk)));
            let answer = Answer::raw_json(200, Bytes::new());
            Ok(head(&answer, rate).map(|()| BodyExt::boxed_unsync(StreamBody::new(endless))))
        }
        Delivery::Never => std::future::pending().await,
        Delivery::Reset => Err(Cut),
    }
}

fn whole(answer: Answer, rate: &[(&'static str, String)]) -> Response<Body> {
    let body = Full::new(answer.body.clone()).map_err(|never: Infallible| match never {});
    head(&answer, rate).map(|()| BodyExt::boxed_unsync(body))
}

fn head(answer: &Answer, rate: &[(&'static str, String)]) -> Response<()> {
    let mut response = Response::builder().status(answer.status);
    if let Some(content_type) = answer.content_type {
        response = response.header("content-type", content_type);
    }
    for (name, value) in rate {
        response = response.header(*name, value);
    }
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    response.body(()).expect("headers of faults were checked when they were set")
}
