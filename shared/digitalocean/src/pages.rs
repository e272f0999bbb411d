//! Walking a listing page by page, in constant memory, without being led astray.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasher, RandomState},
    marker::PhantomData,
};

use url::Url;

use crate::{
    client::Client,
    decode,
    error::{Call, Error, quote},
    request::Request,
    rows::Row,
};

/// One page of a listing, without the rows that earlier pages had already given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Its number, from 1.
    pub number: u32,
    /// How many rows the provider says the whole listing has.
    pub total: Option<u64>,
    /// Whether the listing ends with it.
    pub last: bool,
}

/// What a walk has seen so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Walk {
    /// Pages read.
    pub pages: u32,
    /// Rows received, repeated ones included.
    pub rows: u64,
    /// Rows given out: one per id.
    pub unique: u64,
    /// The total that the first page stated.
    pub total_first: Option<u64>,
    /// The total that the latest page stated.
    pub total_last: Option<u64>,
    /// Whether the page without a successor was reached. Only then may anything be concluded from absence.
    pub complete: bool,
}

impl Walk {
    /// Whether the walk is complete and the provider's own count agrees with it. Rows can slip between two
    /// pages while the listing changes: walk again before taking a row for gone.
    pub fn agrees(&self) -> bool {
        let counted = |total: Option<u64>| total.is_none_or(|total| total == self.unique);
        self.complete && counted(self.total_first) && counted(self.total_last)
    }
}

/// The fixed facts of a listing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listing {
    /// The key of the list in the answer.
    pub key: &'static str,
    /// Whether an answer without the key is an empty list. Elsewhere "nothing there" is never concluded from
    /// a broken answer.
    pub key_optional: bool,
    /// Whether the first request may state a page size.
    pub paged: bool,
}

impl Listing {
    pub const fn keyed(key: &'static str) -> Self {
        Self { key, key_optional: false, paged: true }
    }
}

/// A listing being walked. Dropping it is always safe; so is dropping the future of [`Pages::next`].
#[derive(Debug)]
pub struct Pages<T> {
    client: Client,
    request: Request,
    listing: Listing,
    state: State,
    walk: Walk,
    /// Id → content, as hashes under a key nobody knows: 16 bytes a row instead of the row.
    seen: HashMap<u64, u64>,
    hasher: RandomState,
    rows: PhantomData<fn() -> T>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    At(u32),
    Ended,
    Broken,
}

impl<T: Row> Pages<T> {
    pub(crate) fn new(client: Client, request: Request, listing: Listing) -> Self {
        Self {
            client,
            request,
            listing,
            state: State::At(1),
            walk: Walk::default(),
            seen: HashMap::new(),
            hasher: RandomState::new(),
            rows: PhantomData,
        }
    }

    /// The next page; `None` after the last one. After an error the walk is over and only errors follow.
    pub async fn next(&mut self) -> Result<Option<Page<T>>, Error> {
        let number = match self.state {
            State::At(number) => number,
            State::Ended => return Ok(None),
            State::Broken => return Err(Error::BrokenOff { call: self.call() }),
        };
        let answer = self.read(number).await;
        match answer.and_then(|answer| self.take(number, answer)) {
            Ok(page) => {
                self.state = if page.last { State::Ended } else { State::At(number + 1) };
                Ok(Some(page))
            }
            Err(error) => {
                self.state = State::Broken;
                Err(error)
            }
        }
    }

    /// What the walk has seen so far.
    pub fn walk(&self) -> &Walk {
        &self.walk
    }

    /// Walks to the end and keeps every row: for listings that are small by nature.
    pub async fn all(mut self) -> Result<(Vec<T>, Walk), Error> {
        let mut rows = Vec::new();
        while let Some(page) = self.next().await? {
            rows.extend(page.items);
        }
        Ok((rows, self.walk))
    }

    async fn read(&self, number: u32) -> Result<decode::ListAnswer<T>, Error> {
        let limits = self.client.limits();
        if number > limits.pages_max {
            return Err(Error::TooManyPages { call: self.call(), pages_max: limits.pages_max });
        }
        let mut request = self.request.clone();
        if self.listing.paged || number > 1 {
            request =
                request.query("page", number.to_string()).query("per_page", limits.per_page.to_string());
        }
        let body = self.client.send(&request).await?;
        decode::list(self.call(), self.listing, &body)
    }

    fn take(&mut self, number: u32, answer: decode::ListAnswer<T>) -> Result<Page<T>, Error> {
        let last = match &answer.next {
            None => true,
            Some(next) => {
                follow(self.call(), self.client.base_url(), number, next)?;
                false
            }
        };
        let received = answer.items.len() as u64;
        let items = self.without_repeated(answer.items)?;
        self.walk.pages += 1;
        self.walk.rows += received;
        self.walk.unique += items.len() as u64;
        if number == 1 {
            self.walk.total_first = answer.total;
        }
        self.walk.total_last = answer.total;
        self.walk.complete = last;
        Ok(Page { items, number, total: answer.total, last })
    }

    /// Offset paging repeats rows when the listing grows meanwhile; equal repetitions are dropped.
    fn without_repeated(&mut self, items: Vec<T>) -> Result<Vec<T>, Error> {
        let mut fresh = Vec::with_capacity(items.len());
        for item in items {
            if let Some(key) = item.key() {
                let content = self.hasher.hash_one(&item);
                match self.seen.entry(self.hasher.hash_one(&*key)) {
                    Entry::Vacant(entry) => {
                        entry.insert(content);
                    }
                    Entry::Occupied(entry) if *entry.get() == content => continue,
                    Entry::Occupied(_) => {
                        return Err(Error::Inconsistent { call: self.call(), id: quote(&key) });
                    }
                }
            }
            fresh.push(item);
        }
        Ok(fresh)
    }

    fn call(&self) -> Call {
        self.client.call(self.request.operation)
    }
}

/// Checks where `next` leads. The address is never fetched: only its page number counts, and it must be the
/// one that follows, as a lower one would loop and a higher one would skip rows.
fn follow(call: Call, base: &Url, page: u32, next: &str) -> Result<(), Error> {
    let malformed = |reason: &str| Error::Malformed { call, reason: reason.to_owned() };
    let url = base.join(next).map_err(|_| malformed("links.pages.next is not an address"))?;
    if url.origin() != base.origin() {
        return Err(Error::ForeignHost { call, host: quote(url.host_str().unwrap_or("(none)")) });
    }
    let number =
        url.query_pairs().find(|(name, _)| name == "page").and_then(|(_, value)| value.parse::<u64>().ok());
    let number = number.ok_or_else(|| malformed("links.pages.next names no page"))?;
    if number == u64::from(page) + 1 { Ok(()) } else { Err(Error::PageLoop { call, page, next: number }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Purpose;

    fn check(next: &str) -> String {
        let call = Call { operation: "droplets.list", purpose: Purpose::SyncFast };
        let base = Url::parse("https://api.example").unwrap();
        match follow(call, &base, 2, next) {
            Ok(()) => "follows".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn next_must_lead_to_the_following_page_of_the_same_host() {
        let cases = [
            ("https://api.example/v2/droplets?page=3&per_page=200", "follows"),
            ("https://api.example:443/v2/droplets?per_page=200&page=3", "follows"),
            ("/v2/droplets?page=3", "follows"),
            ("https://api.example/v2/other/path?page=3", "follows"),
            ("https://api.example/v2/droplets?page=2", "page 2 names page 2 as the next one"),
            ("https://api.example/v2/droplets?page=1", "page 2 names page 1 as the next one"),
            ("https://api.example/v2/droplets?page=9", "page 2 names page 9 as the next one"),
            (
                "https://evil.example/v2/droplets?page=3",
                "the next page is said to be on another host, evil.example",
            ),
            ("//evil.example/?page=3", "the next page is said to be on another host, evil.example"),
            (
                "https://api.example@evil.example/?page=3",
                "the next page is said to be on another host, evil.example",
            ),
            ("http://api.example/?page=3", "the next page is said to be on another host, api.example"),
            ("https://api.example:8443/?page=3", "the next page is said to be on another host, api.example"),
            ("javascript:alert(1)", "the next page is said to be on another host, (none)"),
            ("https://api.example/v2/droplets", "malformed answer: links.pages.next names no page"),
            ("https://api.example/v2/droplets?page=-3", "malformed answer: links.pages.next names no page"),
            (
                "https://api.example/?page=99999999999999999999",
                "malformed answer: links.pages.next names no page",
            ),
            ("", "malformed answer: links.pages.next names no page"),
            ("https://[", "malformed answer: links.pages.next is not an address"),
        ];
        for (next, want) in cases {
            let got = check(next);
            assert_eq!(got.strip_prefix("droplets.list (sync_fast): ").unwrap_or(&got), want, "{next}");
        }
    }

    #[test]
    fn a_walk_agrees_only_when_complete_and_counted_right() {
        let walk =
            Walk { pages: 2, rows: 3, unique: 3, total_first: Some(3), total_last: Some(3), complete: true };
        assert!(walk.agrees());
        assert!(Walk { total_first: None, total_last: None, ..walk }.agrees());
        assert!(!Walk { complete: false, ..walk }.agrees());
        assert!(!Walk { total_last: Some(4), ..walk }.agrees());
        assert!(!Walk { total_first: Some(2), ..walk }.agrees());
    }
}
