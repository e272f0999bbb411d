//! One attempt: a request goes out, an answer of bounded size comes back in bounded time.

use reqwest::{
    Response,
    header::{HeaderMap, HeaderName, RETRY_AFTER},
};

const RATE_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RATE_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Of an error's body no more than this is read; what the provider writes there is a few lines.
const ERROR_BYTES_MAX: usize = 64 << 10;

/// What came back, whatever its status.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub status: u16,
    pub retry_after: Option<String>,
    pub rate_remaining: Option<u32>,
    /// Seconds since 1970.
    pub rate_reset: Option<u64>,
    pub body: Vec<u8>,
}

/// Why nothing usable came back.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No connection was made, so nothing was sent.
    Connect(reqwest::Error),
    /// It broke off, or was not HTTP.
    Broken(reqwest::Error),
    /// Time ran out.
    Deadline,
    /// The body is over the limit.
    TooLarge,
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        // The address holds ids, and is known to the reader from the operation.
        let error = error.without_url();
        if error.is_connect() { Self::Connect(error) } else { Self::Broken(error) }
    }
}

/// Sends the request and reads the whole answer. The caller sets the time limit around it.
pub(crate) async fn exchange(request: reqwest::RequestBuilder, bytes_max: usize) -> Result<Answer, Failure> {
    let response = request.send().await?;
    let status = response.status();
    let mut answer = Answer { status: status.as_u16(), ..Answer::from_headers(response.headers()) };
    answer.body = if status.is_success() {
        read(response, bytes_max).await?
    } else {
        // The status has said what there is to do; a body that is too long or breaks off changes nothing.
        read(response, ERROR_BYTES_MAX).await.unwrap_or_default()
    };
    Ok(answer)
}

/// Counts what comes out of the inflater, chunk by chunk, so that a small bomb cannot grow large.
async fn read(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let announced =
        response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
    if announced > bytes_max {
        return Err(Failure::TooLarge);
    }
    let mut body = Vec::with_capacity(announced);
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > bytes_max {
            return Err(Failure::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

impl Answer {
    fn from_headers(headers: &HeaderMap) -> Self {
        Self {
            retry_after: text(headers, &RETRY_AFTER).map(str::to_owned),
            rate_remaining: text(headers, &RATE_REMAINING).and_then(|value| value.trim().parse().ok()),
            rate_reset: text(headers, &RATE_RESET).and_then(|value| value.trim().parse().ok()),
            ..Self::default()
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
