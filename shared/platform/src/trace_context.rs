//! W3C trace context: the `traceparent` that follows a webhook through the jobs it causes, whether or not spans are exported.
//! Format: <https://www.w3.org/TR/trace-context/#traceparent-header>.

use crate::telemetry;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use std::fmt;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const SAMPLED: u8 = 1;

/// One position in a trace. `Display` gives the `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

/// The id of a trace; `Display` gives its 32 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceNumber(u128);

impl TraceContext {
    /// Reads a `traceparent`. Lenient: spaces around it and upper-case digits pass, and so does a later version with more
    /// fields, as the recommendation asks for. All-zero ids and version `ff` are invalid.
    pub fn parse(header: &str) -> Option<Self> {
        let mut fields = header.trim().split('-');
        let version = hex_field(fields.next()?, 2)?;
        let trace_id = hex_field(fields.next()?, 32)?;
        let span_id = u64::try_from(hex_field(fields.next()?, 16)?).ok()?;
        let flags = u8::try_from(hex_field(fields.next()?, 2)?).ok()?;
        let extra = fields.next().is_some();
        if version == 0xff || (version == 0 && extra) || trace_id == 0 || span_id == 0 {
            return None;
        }
        Some(Self { trace_id, span_id, flags })
    }

    /// Begins a new trace.
    pub fn generate() -> Self {
        Self { trace_id: rand::random::<u128>().max(1), span_id: new_span_id(), flags: SAMPLED }
    }

    /// Another position in the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span_id: new_span_id(), ..self }
    }

    pub fn trace_id(self) -> TraceNumber {
        TraceNumber(self.trace_id)
    }

    /// The context of work that begins now: continues `header` where it can be read, else begins a trace. When spans are
    /// exported, `span` takes its place in that trace and the result is the position of `span`. Call it before `span` is entered.
    pub fn begin(header: Option<&str>, span: &tracing::Span) -> Self {
        let parent = header.and_then(Self::parse);
        if let Some(parent) = parent {
            parent.adopt(span);
        }
        Self::of(span).or(parent).unwrap_or_else(Self::generate)
    }

    /// Makes `span` a child of this context, if it was not entered yet. Does nothing unless spans are exported.
    pub fn adopt(self, span: &tracing::Span) {
        if telemetry::exporting() {
            // It fails for a span that is filtered out or already started: then there is nothing to place.
            span.set_parent(opentelemetry::Context::new().with_remote_span_context(self.span_context())).ok();
        }
    }

    /// Links `span` to this context: how a job's span points at what enqueued it. Does nothing unless spans are exported.
    pub fn link(self, span: &tracing::Span) {
        if telemetry::exporting() {
            span.add_link(self.span_context());
        }
    }

    /// The position of `span`, if it is exported.
    pub fn of(span: &tracing::Span) -> Option<Self> {
        if !telemetry::exporting() {
            return None;
        }
        let context = span.context();
        let context = context.span().span_context().clone();
        context.is_valid().then(|| Self {
            trace_id: u128::from_be_bytes(context.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(context.span_id().to_bytes()),
            flags: context.trace_flags().to_u8(),
        })
    }

    fn span_context(self) -> SpanContext {
        let (trace_id, span_id) = (TraceId::from_bytes(self.trace_id.to_be_bytes()), SpanId::from_bytes(self.span_id.to_be_bytes()));
        SpanContext::new(trace_id, span_id, TraceFlags::new(self.flags), true, TraceState::NONE)
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

impl fmt::Display for TraceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

fn new_span_id() -> u64 {
    rand::random::<u64>().max(1)
}

fn hex_field(text: &str, digits: usize) -> Option<u128> {
    // `from_str_radix` alone would take a sign.
    let valid = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if valid { u128::from_str_radix(text, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written_unchanged() {
        let context = TraceContext::parse(HEADER).unwrap();
        assert_eq!(context.to_string(), HEADER);
        assert_eq!(context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(TraceContext::parse(&format!("  {}  ", HEADER.to_uppercase())), Some(context));
    }

    #[test]
    fn a_later_version_is_read_and_a_broken_header_is_not() {
        assert!(TraceContext::parse(&format!("{}-more", HEADER.replacen("00", "01", 1))).is_some());
        let zero_trace = HEADER.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32));
        let zero_span = HEADER.replace("00f067aa0ba902b7", &"0".repeat(16));
        let signed = HEADER.replace("4bf92", "+bf92");
        let (more, version) = (format!("{HEADER}-more"), HEADER.replacen("00", "ff", 1));
        for bad in ["", "00", "00-1-2-3", &zero_trace, &zero_span, &signed, &more, &version, &HEADER[..54], "é-é-é-é"] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_child_stays_in_the_trace_and_gets_its_own_place() {
        let parent = TraceContext::generate();
        let child = parent.child();
        assert_eq!(child.trace_id(), parent.trace_id());
        assert_ne!(child, parent);
        assert_eq!(TraceContext::parse(&child.to_string()), Some(child));
    }

    #[test]
    fn without_export_a_readable_header_is_passed_on_and_another_begins_a_trace() {
        let span = tracing::Span::none();
        assert_eq!(TraceContext::begin(Some(HEADER), &span).to_string(), HEADER);
        assert_ne!(TraceContext::begin(Some("nonsense"), &span), TraceContext::begin(None, &span));
    }
}
