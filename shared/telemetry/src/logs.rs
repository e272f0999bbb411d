//! The shape of a log line: one line per event whatever the event says, for people or for machines.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
};

use serde::Serialize;
use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    fmt::{
        FmtContext, FormatEvent, FormattedFields, MakeWriter,
        format::{JsonFields, Writer},
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

use crate::propagation;

/// A log for people. Colours only on a terminal; the formatter escapes those that a value brings.
pub(crate) fn text<S>() -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let colours = io::stderr().is_terminal();
    tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(OneLine { colours }).boxed()
}

/// A log for machines: one JSON object a line.
pub(crate) fn json<S>(service: &'static str) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_subscriber::fmt::layer()
        .fmt_fields(JsonFields::new())
        .event_format(JsonLine { service })
        .with_writer(OneLine { colours: false })
        .boxed()
}

struct JsonLine {
    service: &'static str,
}

/// Names that an event's own fields cannot take.
const RESERVED: [&str; 6] = ["timestamp", "level", "service", "target", "trace_id", "spans"];

#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'static str,
    service: &'static str,
    target: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(flatten)]
    fields: Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    spans: Vec<Map<String, Value>>,
}

impl<S> FormatEvent<S, JsonFields> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        fields.0.retain(|name, _| !RESERVED.contains(&name.as_str()));
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let spans = ctx.event_scope().into_iter().flat_map(|scope| scope.from_root()).map(|span| {
            let extensions = span.extensions();
            let recorded = extensions.get::<FormattedFields<JsonFields>>();
            let mut fields: Map<String, Value> =
                recorded.and_then(|fields| serde_json::from_str(fields).ok()).unwrap_or_default();
            fields.insert("name".to_owned(), span.name().into());
            fields
        });
        let line = Line {
            timestamp,
            level: event.metadata().level().as_str(),
            service: self.service,
            target: event.metadata().target(),
            trace_id: ctx
                .lookup_current()
                .and_then(|span| propagation::known_trace(&span))
                .map(|id| id.to_string()),
            fields: fields.0,
            spans: spans.collect(),
        };
        let json = serde_json::to_string(&line).map_err(|_| fmt::Error)?;
        writeln!(writer, "{json}")
    }
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        self.insert(field, text);
    }
}

/// Writes to standard error. A control character inside a line is escaped, so that no value can begin a line
/// of its own or speak to the terminal.
#[derive(Debug, Clone, Copy)]
struct OneLine {
    /// Whether the formatter's own escape sequences pass.
    colours: bool,
}

impl<'a> MakeWriter<'a> for OneLine {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

impl Write for OneLine {
    /// Takes a whole line: the formatter hands over one event at a time.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(escape(&String::from_utf8_lossy(line), self.colours).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn escape(line: &str, colours: bool) -> String {
    let body = line.strip_suffix('\n').unwrap_or(line);
    let mut escaped = String::with_capacity(line.len());
    for c in body.chars() {
        match c {
            '\n' => escaped.push_str("\\n"),
            '\u{1b}' if colours => escaped.push(c),
            c if c.is_control() => {
                // The form that JSON has, as both kinds of line come through here.
                escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => escaped.push(c),
        }
    }
    escaped.push('\n');
    escaped
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{info_span, subscriber::with_default, warn};
    use tracing_subscriber::{Registry, layer::SubscriberExt};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(escape("a\nb\r\u{1b}[31m\u{9b}c\n", false), "a\\nb\\u000d\\u001b[31m\\u009bc\n");
        assert_eq!(escape("\u{1b}[31mred\u{1b}[0m\n", true), "\u{1b}[31mred\u{1b}[0m\n");
    }

    #[test]
    fn a_json_line_names_service_trace_and_spans() {
        let captured = Captured::default();
        let writer = captured.clone();
        let layer = tracing_subscriber::fmt::layer()
            .fmt_fields(JsonFields::new())
            .event_format(JsonLine { service: "syncer" })
            .with_writer(move || writer.clone());
        with_default(Registry::default().with(layer), || {
            let span = info_span!("handle", message.subject = "evt.a");
            propagation::set_parent(&span, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
            span.in_scope(|| warn!(count = 3, level = "forged", "two\nlines"));
        });
        let bytes = captured.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        let mut line: Value = serde_json::from_str(&text).unwrap();
        line.as_object_mut().unwrap().remove("timestamp").expect("a line has a time");
        assert_eq!(
            line,
            serde_json::json!({
                "level": "WARN",
                "service": "syncer",
                "target": "telemetry::logs::tests",
                "trace_id": "0af7651916cd43dd8448eb211c80319c",
                "message": "two\nlines",
                "count": 3,
                "spans": [{ "name": "handle", "message.subject": "evt.a" }],
            })
        );
    }
}
