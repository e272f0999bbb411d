//! Pages of a listing: which rows, and the links to the others.

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::call::Call;
use crate::kind::Kind;
use crate::render;
use crate::state::{Account, is_listed};
use crate::table::Row;

/// Rows on a page when the caller does not say.
const PER_PAGE_DEFAULT: usize = 20;
/// Rows on a page at most; more is taken for this.
const PER_PAGE_MAX: usize = 200;

/// The window a caller asked for.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    number: usize,
    per_page: usize,
}

impl Window {
    /// From `page` and `per_page`; what is out of range is clamped.
    pub fn of(call: &Call<'_>) -> Self {
        let number = |name| call.query(name).and_then(|text| text.parse::<usize>().ok());
        Self {
            number: number("page").unwrap_or(1).max(1),
            per_page: number("per_page").unwrap_or(PER_PAGE_DEFAULT).clamp(1, PER_PAGE_MAX),
        }
    }

    /// Which page it is, from 1.
    pub fn number(self) -> usize {
        self.number
    }

    /// How many pages a listing of `total` rows has.
    pub fn pages(self, total: usize) -> usize {
        total.div_ceil(self.per_page).max(1)
    }

    fn skip(self) -> usize {
        (self.number - 1).saturating_mul(self.per_page)
    }

    /// The part of a list that is on the page.
    pub fn slice<T>(self, rows: &[T]) -> &[T] {
        let from = self.skip().min(rows.len());
        &rows[from..(from + self.per_page).min(rows.len())]
    }

    /// The `links` of the page: absolute, on the host that was called.
    fn links(self, call: &Call<'_>, total: usize) -> Value {
        let last = self.pages(total);
        let mut pages = Map::new();
        if self.number > 1 {
            pages.insert("first".into(), self.link(call, 1));
            pages.insert("prev".into(), self.link(call, (self.number - 1).min(last)));
        }
        if self.number < last {
            pages.insert("next".into(), self.link(call, self.number + 1));
            pages.insert("last".into(), self.link(call, last));
        }
        if !pages.is_empty() {
            json!({"pages": pages})
        } else if call.path.starts_with("/v2/projects") {
            // Projects are the exception: a single page names itself.
            json!({"pages": {"first": self.link(call, 1), "last": self.link(call, 1)}})
        } else {
            json!({})
        }
    }

    fn link(self, call: &Call<'_>, number: usize) -> Value {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in &call.query {
            if name != "page" {
                query.append_pair(name, value);
            }
        }
        query.append_pair("page", &number.to_string());
        format!("{}{}?{}", call.base, call.path, query.finish()).into()
    }
}

/// A page of rows that are wire form already; `rows` are those of the page alone.
pub fn page(call: &Call<'_>, root: &str, total: usize, rows: &[Bytes]) -> Answer {
    page_with(call, root, total, rows, &Map::new())
}

/// The same with more keys beside the list.
pub fn page_with(
    call: &Call<'_>,
    root: &str,
    total: usize,
    rows: &[Bytes],
    more: &Map<String, Value>,
) -> Answer {
    let mut body = BytesMut::with_capacity(rows.iter().map(|row| row.len() + 1).sum::<usize>() + 512);
    body.put_slice(format!("{{\"{root}\":[").as_bytes());
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            body.put_u8(b',');
        }
        body.put_slice(row);
    }
    body.put_slice(b"]");
    for (name, value) in more {
        body.put_slice(format!(",\"{name}\":{value}").as_bytes());
    }
    let links = Window::of(call).links(call, total);
    body.put_slice(format!(",\"links\":{links},\"meta\":{{\"total\":{total}}}}}").as_bytes());
    Answer::raw_json(200, body.freeze())
}

/// A page of a list that was made for this call.
pub fn page_of(call: &Call<'_>, root: &str, rows: &[Value]) -> Answer {
    let wires: Vec<Bytes> =
        Window::of(call).slice(rows).iter().map(|row| Bytes::from(row.to_string())).collect();
    page(call, root, rows.len(), &wires)
}

/// A page of a table, all listed rows.
pub fn page_of_table(account: &Account, call: &Call<'_>, root: &str, kind: Kind) -> Answer {
    let table = account.table(kind);
    if !table.all_listed() {
        return page_where(account, call, root, kind, is_listed);
    }
    let window = Window::of(call);
    let rows: Vec<Bytes> = (window.skip()..window.skip().saturating_add(window.per_page))
        .map_while(|index| table.at(index))
        .map(|(_, row)| row.wire(|fields| render::row(kind, fields)))
        .collect();
    page(call, root, table.len(), &rows)
}

/// A page of the rows of a table that pass a test; rows elsewhere are counted, not rendered.
pub fn page_where(
    account: &Account,
    call: &Call<'_>,
    root: &str,
    kind: Kind,
    keep: impl Fn(&Row) -> bool,
) -> Answer {
    let kept: Vec<&Row> = account.table(kind).iter().map(|(_, row)| row).filter(|row| keep(row)).collect();
    let rows: Vec<Bytes> = Window::of(call)
        .slice(&kept)
        .iter()
        .map(|row| row.wire(|fields| render::row(kind, fields)))
        .collect();
    page(call, root, kept.len(), &rows)
}
