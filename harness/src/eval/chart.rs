//! Charts as inline SVG, drawn in the page's colours.

use super::page::escape;
use super::table::dollars;

/// One bar.
#[derive(Debug, Clone)]
pub(super) struct Bar {
    /// What it is of.
    pub(super) label: String,
    /// How long it is.
    pub(super) value: f64,
    /// The least and the most over rounds.
    pub(super) range: (f64, f64),
    /// The value in words.
    pub(super) words: String,
}

const WIDTH: f64 = 640.0;
const BAR: f64 = 18.0;
const STEP: f64 = 44.0;

/// Bars below each other, each with its label above and its value behind it;
/// `full` is the longest that a bar can be, where that is known.
pub(super) fn bars(title: &str, bars: &[Bar], full: Option<f64>) -> String {
    let most = bars.iter().map(|bar| bar.range.1.max(bar.value));
    let most = full.unwrap_or_else(|| most.fold(0.0, f64::max));
    // Room for the words behind the longest bar.
    let scale = |value: f64| {
        if most > 0.0 {
            value / most * (WIDTH - 130.0)
        } else {
            0.0
        }
    };
    let height = STEP * bars.len() as f64;
    let mut svg = open(title, height);
    for (at, bar) in bars.iter().enumerate() {
        let top = at as f64 * STEP;
        let (label, words) = (escape(&bar.label), escape(&bar.words));
        let middle = top + 20.0 + BAR / 2.0;
        let length = scale(bar.value).max(1.0);
        if full.is_some() {
            let whole = scale(most);
            svg.push_str(&format!(
                "<rect class=\"track\" y=\"{:.1}\" width=\"{whole:.1}\" height=\"{BAR}\" rx=\"4\"/>",
                top + 20.0
            ));
        }
        svg.push_str(&format!(
            "<text class=\"label\" y=\"{:.1}\">{label}</text><rect class=\"bar\" y=\"{:.1}\" width=\"{length:.1}\" height=\"{BAR}\" rx=\"4\"/>",
            top + 13.0,
            top + 20.0
        ));
        let (least, greatest) = (scale(bar.range.0), scale(bar.range.1));
        if greatest - least > 0.5 {
            svg.push_str(&format!(
                "<path class=\"range\" d=\"M{least:.1} {middle:.1}H{greatest:.1}M{least:.1} {:.1}v8M{greatest:.1} {:.1}v8\"/>",
                middle - 4.0,
                middle - 4.0
            ));
        }
        let end = if full.is_some() {
            scale(most)
        } else {
            length.max(greatest)
        };
        svg.push_str(&format!(
            "<text class=\"value\" x=\"{:.1}\" y=\"{:.1}\">{words}</text>",
            end + 8.0,
            middle + 4.5
        ));
    }
    svg + "</svg>"
}

/// One point of a plane.
#[derive(Debug, Clone)]
pub(super) struct Point {
    /// What it is of.
    pub(super) label: String,
    /// Dollars.
    pub(super) cost: f64,
    /// Tasks passed.
    pub(super) passed: f64,
}

/// What was passed over what it cost: up and to the left is better.
pub(super) fn plane(title: &str, points: &[Point], tasks: f64) -> String {
    const HEIGHT: f64 = 260.0;
    const LEFT: f64 = 44.0;
    const BOTTOM: f64 = 32.0;
    let dearest = points.iter().map(|point| point.cost).fold(0.0, f64::max);
    let dearest = if dearest > 0.0 { dearest } else { 1.0 };
    let x = |cost: f64| LEFT + cost / dearest * (WIDTH - LEFT - 160.0);
    let y = |passed: f64| (HEIGHT - BOTTOM) - passed / tasks.max(1.0) * (HEIGHT - BOTTOM - 16.0);
    let mut svg = open(title, HEIGHT);
    for share in [0.0, 0.5, 1.0] {
        let (passed, right) = (tasks * share, WIDTH);
        svg.push_str(&format!(
            "<path class=\"grid\" d=\"M{LEFT} {:.1}H{right}\"/><text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{passed:.0}</text>",
            y(passed),
            LEFT - 8.0,
            y(passed) + 4.0
        ));
    }
    for share in [0.0, 0.5, 1.0] {
        let cost = dearest * share;
        svg.push_str(&format!(
            "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            x(cost),
            HEIGHT - 10.0,
            dollars(cost)
        ));
    }
    for point in points {
        svg.push_str(&format!(
            "<circle class=\"point\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"6\"/><text class=\"label\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            x(point.cost),
            y(point.passed),
            x(point.cost) + 11.0,
            y(point.passed) + 4.5,
            escape(&point.label)
        ));
    }
    svg + "</svg>"
}

fn open(title: &str, height: f64) -> String {
    let title = escape(title);
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{title}\"><title>{title}</title>"
    )
}
