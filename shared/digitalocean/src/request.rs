//! One request before it is sent: what is asked, with which arguments, and whether asking twice does harm.

use bytes::Bytes;
use reqwest::Method;
use serde::Serialize;
use url::Url;

/// Longer than any id, name or slug of the provider.
const SEGMENT_BYTES_MAX: usize = 512;

/// A request to the API.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub operation: &'static str,
    pub method: Method,
    /// Below `/v2`, each one escaped by itself, so that no argument can change the path's shape.
    segments: Vec<String>,
    query: Vec<(&'static str, String)>,
    pub body: Option<Bytes>,
}

impl Request {
    pub fn new<S: AsRef<str>>(
        operation: &'static str,
        method: Method,
        segments: impl IntoIterator<Item = S>,
    ) -> Self {
        let segments = segments.into_iter().map(|segment| segment.as_ref().to_owned()).collect();
        Self { operation, method, segments, query: Vec::new(), body: None }
    }

    pub fn get<S: AsRef<str>>(operation: &'static str, segments: impl IntoIterator<Item = S>) -> Self {
        Self::new(operation, Method::GET, segments)
    }

    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub fn json(mut self, body: &impl Serialize) -> Self {
        let bytes = serde_json::to_vec(body).expect("our bodies have string keys and no failing serializers");
        self.body = Some(bytes.into());
        self
    }

    /// Its address below `base`. An argument that would vanish from the path (`..`, or nothing) is refused:
    /// the rest of the path would then name something else.
    pub fn url(&self, base: &Url) -> Result<Url, &'static str> {
        for segment in &self.segments {
            if matches!(segment.as_str(), "" | "." | "..") || segment.len() > SEGMENT_BYTES_MAX {
                return Err("an id that is empty, a dot path or too long");
            }
        }
        let mut url = base.clone();
        url.path_segments_mut()
            .map_err(|()| "an id on an address without a path")?
            .pop_if_empty()
            .push("v2")
            .extend(&self.segments);
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(segments: &[&str]) -> Result<String, &'static str> {
        let base = Url::parse("https://api.example/base/").unwrap();
        Request::get("test", segments).query("a", "b&c=d").url(&base).map(String::from)
    }

    #[test]
    fn an_argument_never_leaves_its_place_in_the_path() {
        assert_eq!(url(&["droplets", "7"]).unwrap(), "https://api.example/base/v2/droplets/7?a=b%26c%3Dd");
        assert_eq!(
            url(&["domains", "../droplets", "x?y#z%2e"]).unwrap(),
            "https://api.example/base/v2/domains/..%2Fdroplets/x%3Fy%23z%252e?a=b%26c%3Dd"
        );
        for bad in ["", ".", "..", &"x".repeat(600)] {
            assert!(url(&["domains", bad]).is_err(), "{bad:?}");
        }
    }
}
