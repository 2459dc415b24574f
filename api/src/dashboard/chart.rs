//! Charts as SVG, drawn here. What a point is worth is its title, which browsers show where the pointer rests.

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use std::fmt::Write;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 150.0;
/// Room for the scale.
const LEFT: f64 = 56.0;
const BOTTOM: f64 = 18.0;
const TOP: f64 = 8.0;

/// A line: its name, and its value at each moment, as far as there is one.
pub(super) struct Line {
    pub name: &'static str,
    pub values: Vec<Option<f64>>,
}

/// A chart of lines over the same moments. `unit` writes a value.
pub(super) fn chart(title: &str, moments: &[DateTime<Utc>], lines: &[Line], unit: fn(f64) -> String) -> Markup {
    let most = lines.iter().flat_map(|line| line.values.iter().flatten()).copied().fold(0.0_f64, f64::max);
    let scale = if most > 0.0 { most } else { 1.0 };
    let count = u32::try_from(moments.len().max(1)).unwrap_or(1);
    let step = (WIDTH - LEFT) / f64::from(count);
    let x = |index: usize| LEFT + step * (f64::from(u32::try_from(index).unwrap_or(0)) + 0.5);
    let y = |value: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - value / scale);
    let time = |at: &DateTime<Utc>| at.format("%d %b %H:%M").to_string();
    html! {
        figure class="chart" {
            figcaption { (title) " " @for (index, line) in lines.iter().enumerate() { span class={ "key l" (index) } { (line.name) } " " } }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label={ (title) ", at most " (unit(most)) } {
                line class="axis" x1=(LEFT) y1=(HEIGHT - BOTTOM) x2=(WIDTH) y2=(HEIGHT - BOTTOM) {}
                line class="grid" x1=(LEFT) y1=(TOP) x2=(WIDTH) y2=(TOP) {}
                text x=(LEFT - 4.0) y=(TOP + 8.0) text-anchor="end" { (unit(most)) }
                text x=(LEFT - 4.0) y=(HEIGHT - BOTTOM) text-anchor="end" { (unit(0.0)) }
                @if let (Some(first), Some(last)) = (moments.first(), moments.last()) {
                    text x=(LEFT) y=(HEIGHT - 4.0) { (time(first)) }
                    text x=(WIDTH) y=(HEIGHT - 4.0) text-anchor="end" { (time(last)) }
                }
                @for (index, line) in lines.iter().enumerate() { path class={ "line l" (index) } d=(path(line, &x, &y)) {} }
                @for (index, at) in moments.iter().enumerate() {
                    rect class="hit" x=(format!("{:.1}", x(index) - step / 2.0)) y="0" width=(format!("{step:.1}")) height=(HEIGHT - BOTTOM) {
                        title { (hover(at, index, lines, unit)) }
                    }
                }
            }
        }
    }
}

fn path(line: &Line, x: &impl Fn(usize) -> f64, y: &impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    let mut drawing = false;
    for (index, value) in line.values.iter().enumerate() {
        match value {
            Some(value) => {
                // Writing to a String cannot fail.
                write!(path, "{}{:.1} {:.1}", if drawing { "L" } else { "M" }, x(index), y(*value)).ok();
                if !drawing {
                    // A point alone is a dot.
                    path.push_str("h0.1");
                }
                drawing = true;
            }
            None => drawing = false,
        }
    }
    path
}

fn hover(at: &DateTime<Utc>, index: usize, lines: &[Line], unit: fn(f64) -> String) -> String {
    let mut text = at.format("%d %b %H:%M UTC").to_string();
    for line in lines {
        if let Some(Some(value)) = line.values.get(index) {
            write!(text, "\n{}: {}", line.name, unit(*value)).ok();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_has_its_lines_gaps_and_hover_values() {
        let moments: Vec<_> = (0..3).map(|minute| DateTime::from_timestamp(minute * 60, 0).unwrap()).collect();
        let line = Line { name: "wait", values: vec![Some(1.0), None, Some(3.0)] };
        let svg = chart("Wait & run", &moments, &[line], |value| format!("{value}s")).into_string();
        assert_eq!(svg.matches("<rect").count(), 3);
        assert_eq!(svg.matches('M').count(), 2, "a gap begins a new line: {svg}");
        assert!(svg.contains("01 Jan 00:02 UTC\nwait: 3s") && svg.contains("Wait &amp; run"), "{svg}");
        assert!(chart("", &[], &[], |_| String::new()).into_string().contains("<svg"));
    }
}
