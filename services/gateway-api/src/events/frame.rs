//! How an event is written on the wire: one block of server-sent events.

use bytes::Bytes;
use messaging::tail::TailedEvent;
use serde::Serialize;
use serde_json::value::RawValue;

/// What a reader gets as `data`.
#[derive(Serialize)]
struct Data<'a> {
    id: &'a str,
    r#type: &'a str,
    subject: &'a str,
    time: &'a str,
    data: &'a RawValue,
}

/// The block of one event; `None` for a message that is no event of ours.
pub(crate) fn event(event: &TailedEvent) -> Option<Bytes> {
    let body: &RawValue = serde_json::from_slice(&event.body).ok()?;
    // A line break inside a field would end it. JSON has none inside strings, and so none that matters.
    let field = |text: &str| !text.is_empty() && !text.contains(['\n', '\r', '\0']);
    if !field(&event.event_type) {
        return None;
    }
    let data = Data {
        id: &event.id,
        r#type: &event.event_type,
        subject: &event.subject,
        time: &event.time,
        data: body,
    };
    let mut block = format!("id: {}\nevent: {}\ndata: ", event.sequence, event.event_type).into_bytes();
    let start = block.len();
    serde_json::to_writer(&mut block, &data).ok()?;
    for byte in &mut block[start..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    block.extend_from_slice(b"\n\n");
    Some(Bytes::from(block))
}

/// A block without data that tells the reader its place: one that has not had an event yet resumes from there.
fn place(seen: u64, comment: &str) -> Bytes {
    Bytes::from(format!("id: {seen}\n: {comment}\n\n"))
}

/// Shows that the stream is alive.
pub(crate) fn alive(seen: u64) -> Bytes {
    place(seen, "alive")
}

/// What a stream begins with: headers are sent at once, and readers that lose it come back after two seconds. With
/// `missed`, events between the reader's last and the first that is kept are gone, and it is told so.
pub(crate) fn opening(seen: u64, missed: Option<(u64, u64)>) -> Bytes {
    let gap = missed.map(|(from, to)| format!("event: gap\ndata: {{\"from\":{from},\"to\":{to}}}\n"));
    Bytes::from(format!("retry: 2000\nid: {seen}\n: open\n{}\n", gap.unwrap_or_default()))
}

/// A line that readers ignore: why the stream ends.
pub(crate) fn comment(text: &'static str) -> Bytes {
    Bytes::from(format!(": {text}\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tailed(event_type: &str, body: &'static str) -> TailedEvent {
        TailedEvent {
            sequence: 7,
            subject: "evt.syncer.resource.updated.v1.x".to_owned(),
            event_type: event_type.to_owned(),
            id: "e".to_owned(),
            time: "2026-01-02T03:04:05Z".to_owned(),
            tenant: None,
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[test]
    fn an_event_is_one_block_with_one_line_of_data() {
        let block = event(&tailed("evt.syncer.resource.updated.v1", "{\n \"a\": \"x\\ny\"\r\n}")).unwrap();
        assert_eq!(
            std::str::from_utf8(&block).unwrap(),
            "id: 7\nevent: evt.syncer.resource.updated.v1\ndata: {\"id\":\"e\",\
             \"type\":\"evt.syncer.resource.updated.v1\",\"subject\":\"evt.syncer.resource.updated.v1.x\",\
             \"time\":\"2026-01-02T03:04:05Z\",\"data\":{  \"a\": \"x\\ny\"  }}\n\n"
        );
    }

    #[test]
    fn an_opening_tells_the_place_and_what_was_missed() {
        assert_eq!(opening(7, None), "retry: 2000\nid: 7\n: open\n\n");
        let gap = "retry: 2000\nid: 0\n: open\nevent: gap\ndata: {\"from\":90,\"to\":1}\n\n";
        assert_eq!(opening(0, Some((90, 1))), gap);
        assert_eq!(alive(7), "id: 7\n: alive\n\n");
    }

    #[test]
    fn what_is_no_event_is_left_out() {
        assert_eq!(event(&tailed("", "{}")), None);
        assert_eq!(event(&tailed("a\nid: 9", "{}")), None);
        assert_eq!(event(&tailed("evt", "not json")), None);
    }
}
