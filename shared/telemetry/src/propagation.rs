//! Trace context (W3C `traceparent`) between messages and spans.
//!
//! With an exporter, spans have ids of their own, kept by its layer. Without one, nothing is recorded: a
//! span that was given a parent passes exactly that on, so that a trace survives services that do not
//! export, and a trace that begins here gets its ids when somebody first asks for them. A gateway that
//! exports nothing pays for no id it does not send.

use std::fmt;

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use tracing::{Dispatch, Span, span::Id};
use tracing_opentelemetry::{OpenTelemetrySpanExt, SetParentError, get_otel_context};
use tracing_subscriber::{
    Layer, Registry,
    registry::{LookupSpan, SpanRef},
};

/// `traceparent` of the current span; `None` outside every span.
pub fn current_traceparent() -> Option<String> {
    Span::current()
        .with_subscriber(|(id, dispatch)| traceparent(id, dispatch))
        .flatten()
        .map(|c| c.to_string())
}

/// Makes `span` a child of the span that `traceparent` names. What is no valid `traceparent` is ignored:
/// a trace is not worth refusing a message for.
pub fn set_parent(span: &Span, traceparent: &str) {
    let Some(context) = parse(traceparent) else { return };
    let remote = SpanContext::new(context.trace, context.span, context.flags, true, TraceState::NONE);
    let remote = opentelemetry::Context::new().with_remote_span_context(remote);
    if let Err(SetParentError::AlreadyStarted) = span.set_parent(remote) {
        // The exporter began the span already, in a trace that it now keeps.
        return;
    }
    span.with_subscriber(|(id, dispatch)| {
        if let Some(span) = dispatch.downcast_ref::<Registry>().and_then(|spans| spans.span(id)) {
            span.extensions_mut().replace(context);
        }
    });
}

/// The trace that a log line belongs to, as far as it is known already: asking for a log line begins no trace.
pub(crate) fn known_trace<'a, S: LookupSpan<'a>>(span: &SpanRef<'a, S>) -> Option<TraceId> {
    span.scope().find_map(|span| span.extensions().get::<Carried>().map(|context| context.trace))
}

fn traceparent(id: &Id, dispatch: &Dispatch) -> Option<Carried> {
    let span = dispatch.downcast_ref::<Registry>()?.span(id)?;
    if let Some(context) = get_otel_context(id, dispatch) {
        let exported = context.span();
        let ids = exported.span_context();
        let context = Carried { trace: ids.trace_id(), span: ids.span_id(), flags: ids.trace_flags() };
        return ids.is_valid().then(|| {
            keep_at_root(&span, context);
            context
        });
    }
    if let Some(carried) = span.scope().find_map(|span| span.extensions().get::<Carried>().copied()) {
        return Some(carried);
    }
    // The trace begins here. It counts as sampled, so that services that do export keep their part of it.
    let ids = RandomIdGenerator::default();
    let begun = Carried { trace: ids.new_trace_id(), span: ids.new_span_id(), flags: TraceFlags::SAMPLED };
    Some(keep_at_root(&span, begun))
}

/// Keeps the context at the outermost span, so that everything below shares it; whoever comes first wins.
fn keep_at_root(span: &SpanRef<'_, Registry>, context: Carried) -> Carried {
    let root = span.scope().from_root().next();
    let Some(root) = root else { return context };
    let mut extensions = root.extensions_mut();
    if let Some(kept) = extensions.get_mut::<Carried>() {
        return *kept;
    }
    extensions.insert(context);
    context
}

/// The trace context that was given to a span, or that began at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Carried {
    trace: TraceId,
    span: SpanId,
    flags: TraceFlags,
}

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, self.flags & TraceFlags::SAMPLED)
    }
}

/// Takes version 00, and what of later versions it shares; `None` for anything else.
fn parse(traceparent: &str) -> Option<Carried> {
    let mut parts = traceparent.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
    };
    let known = hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    if !known || !hex(trace, 32) || !hex(span, 16) || !hex(flags, 2) {
        return None;
    }
    let carried = Carried {
        trace: TraceId::from_hex(trace).ok()?,
        span: SpanId::from_hex(span).ok()?,
        flags: TraceFlags::new(u8::from_str_radix(flags, 16).ok()?),
    };
    (carried.trace != TraceId::INVALID && carried.span != SpanId::INVALID).then_some(carried)
}

/// Stands where the exporter's layer would: its filter keeps spans alive that the log does not show.
pub(crate) struct KeepSpans;

impl Layer<Registry> for KeepSpans {}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing::{info_span, subscriber::with_default};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    #[test]
    fn only_a_valid_traceparent_is_taken() {
        assert_eq!(parse(PARENT).unwrap().to_string(), PARENT);
        assert!(parse(&format!("01{}-later", &PARENT[2..])).is_some());
        let zero_trace = format!("00-{}-b7ad6b7169203331-01", "0".repeat(32));
        let zero_span = format!("00-{TRACE}-{}-01", "0".repeat(16));
        let upper = PARENT.to_uppercase();
        let long = format!("{PARENT}-more");
        let version_ff = format!("ff{}", &PARENT[2..]);
        for bad in ["", "00", "x", "00---", &zero_trace, &zero_span, &upper, &long, &version_ff] {
            assert_eq!(parse(bad), None, "{bad:?} was taken");
        }
    }

    #[test]
    fn without_an_exporter_a_given_parent_is_passed_on_as_it_is() {
        with_default(Registry::default().with(KeepSpans), || {
            let outer = info_span!("outer");
            set_parent(&outer, PARENT);
            let _outer = outer.entered();
            let _inner = info_span!("inner").entered();
            assert_eq!(current_traceparent().as_deref(), Some(PARENT));
        });
    }

    #[test]
    fn without_an_exporter_a_trace_begins_once_and_is_shared_below_it() {
        with_default(Registry::default().with(KeepSpans), || {
            assert_eq!(current_traceparent(), None);
            let _outer = info_span!("outer").entered();
            let inner = info_span!("inner").in_scope(current_traceparent).unwrap();
            assert!(parse(&inner).is_some(), "{inner}");
            assert_eq!(current_traceparent().unwrap(), inner);
            let other = info_span!(parent: None, "other").in_scope(current_traceparent).unwrap();
            assert_ne!(other, inner);
        });
    }

    #[test]
    fn with_an_exporter_the_span_is_a_child_of_the_given_parent() {
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        with_default(Registry::default().with(layer), || {
            let span = info_span!("span");
            set_parent(&span, "nonsense");
            set_parent(&span, PARENT);
            let sent = span.in_scope(current_traceparent).unwrap();
            assert!(sent.starts_with(&format!("00-{TRACE}-")), "{sent}");
            assert_ne!(sent, PARENT, "the child has an id of its own");
        });
    }
}
