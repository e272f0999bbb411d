//! What counts as an address of something a service talks to.

use url::Url;

/// The text is no address of the expected sort. Does not say the text: there might be a password in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// Not a URL.
    #[error("not a URL")]
    Unreadable(#[source] url::ParseError),
    /// A URL of another scheme.
    #[error("must begin with {0}")]
    Scheme(&'static str),
    /// A URL that names no host.
    #[error("names no host")]
    Host,
    /// A URL with a user or a password in it.
    #[error("must not contain a user or password; those are settings of their own")]
    Credentials,
}

/// Reads an `http://` or `https://` address without credentials; for `#[arg(value_parser = …)]`.
pub fn http_url(text: &str) -> Result<Url, InvalidUrl> {
    let url = with_scheme(text, &["http", "https"], "http:// or https://")?;
    without_credentials(url)
}

pub(crate) fn nats_url(text: &str) -> Result<Url, InvalidUrl> {
    let url = with_scheme(text, &["nats", "tls", "ws", "wss"], "nats://, tls://, ws:// or wss://")?;
    without_credentials(url)
}

pub(crate) fn postgres_url(text: &str) -> Result<Url, InvalidUrl> {
    let url = Url::parse(text).map_err(InvalidUrl::Unreadable)?;
    // A host may also be given in the query, as the directory of a local socket.
    if !["postgres", "postgresql"].contains(&url.scheme()) {
        return Err(InvalidUrl::Scheme("postgres://"));
    }
    Ok(url)
}

fn with_scheme(text: &str, schemes: &[&str], expected: &'static str) -> Result<Url, InvalidUrl> {
    let url = Url::parse(text).map_err(InvalidUrl::Unreadable)?;
    if !schemes.contains(&url.scheme()) {
        return Err(InvalidUrl::Scheme(expected));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(InvalidUrl::Host);
    }
    Ok(url)
}

fn without_credentials(url: Url) -> Result<Url, InvalidUrl> {
    if url.username().is_empty() && url.password().is_none() { Ok(url) } else { Err(InvalidUrl::Credentials) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_or_refused_by_their_sort() {
        assert!(http_url("https://api.digitalocean.com").is_ok());
        assert!(nats_url("nats://127.0.0.1:4222").is_ok());
        assert!(postgres_url("postgres://syncer:secret@localhost/arcadia").is_ok());
        assert!(postgres_url("postgresql:///arcadia?host=/run/postgresql").is_ok());

        assert_eq!(http_url("ftp://host"), Err(InvalidUrl::Scheme("http:// or https://")));
        assert_eq!(http_url("https://user:secret@host"), Err(InvalidUrl::Credentials));
        assert_eq!(nats_url("nats://user:secret@host"), Err(InvalidUrl::Credentials));
        assert_eq!(nats_url("nats:4222"), Err(InvalidUrl::Host));
        assert!(matches!(nats_url("localhost"), Err(InvalidUrl::Unreadable(_))));
        assert_eq!(postgres_url("mysql://host/db"), Err(InvalidUrl::Scheme("postgres://")));
    }
}
