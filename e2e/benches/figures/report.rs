//! Samples, and how they are told.

use std::fmt::{self, Display, Formatter};

use serde_json::{Value, json};

/// What a figure should be on a quiet machine of two cores.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Aim {
    /// At most.
    AtMost(f64),
    /// At least.
    AtLeast(f64),
}

impl Aim {
    fn is_met(self, median: f64) -> bool {
        match self {
            Self::AtMost(limit) => median <= limit,
            Self::AtLeast(limit) => median >= limit,
        }
    }
}

impl Display for Aim {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(out, "≤ {}", number(*limit)),
            Self::AtLeast(limit) => write!(out, "≥ {}", number(*limit)),
        }
    }
}

/// One measured thing.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    name: String,
    unit: &'static str,
    samples: Samples,
    /// The bare peer: what it is, in the same unit.
    peer: Option<(&'static str, Samples)>,
    aim: Option<Aim>,
    /// What it should be of the peer's.
    ratio_aim: Option<Aim>,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, unit: &'static str, samples: Vec<f64>) -> Self {
        Self {
            name: name.into(),
            unit,
            samples: Samples::of(samples),
            peer: None,
            aim: None,
            ratio_aim: None,
        }
    }

    /// With a peer, measured in turn with it.
    pub(crate) fn beside(mut self, peer: &'static str, samples: Vec<f64>) -> Self {
        self.peer = Some((peer, Samples::of(samples)));
        self
    }

    pub(crate) fn aim(mut self, aim: Aim) -> Self {
        self.aim = Some(aim);
        self
    }

    /// An aim for the ratio to the peer.
    pub(crate) fn ratio_aim(mut self, aim: Aim) -> Self {
        self.ratio_aim = Some(aim);
        self
    }

    /// The aims, and whether they are met.
    fn aims(&self) -> impl Iterator<Item = (String, bool)> {
        let median = self
            .aim
            .map(|aim| (aim.to_string(), aim.is_met(self.samples.at(0.5))));
        let ratio = self.ratio_aim.zip(self.ratio());
        let ratio = ratio.map(|(aim, ratio)| (format!("ratio {aim}"), aim.is_met(ratio)));
        median.into_iter().chain(ratio)
    }

    /// Whether it is as it should be, where something is said of that.
    fn is_met(&self) -> Option<bool> {
        self.aims()
            .map(|(_, met)| met)
            .reduce(|all, met| all && met)
    }

    fn ratio(&self) -> Option<f64> {
        let (_, peer) = self.peer.as_ref()?;
        Some(self.samples.at(0.5) / peer.at(0.5))
    }
}

/// Samples in order of size.
#[derive(Clone, Debug)]
struct Samples(Vec<f64>);

impl Samples {
    fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        Self(samples)
    }

    /// The sample at a share of the way from the smallest to the largest.
    fn at(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let index = (share * last as f64).round() as usize;
        self.0.get(index).copied().unwrap_or(f64::NAN)
    }

    fn json(&self) -> Value {
        json!({
            "median": self.at(0.5),
            "p10": self.at(0.1),
            "p90": self.at(0.9),
            "n": self.0.len(),
        })
    }
}

/// Every figure of a run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    groups: Vec<(String, Vec<Figure>)>,
}

impl Report {
    pub(crate) fn add(&mut self, group: &str, figures: Vec<Figure>) {
        self.groups.push((group.to_owned(), figures));
    }

    pub(crate) fn json(&self) -> Value {
        let figures = |figures: &[Figure]| -> Vec<Value> {
            figures
                .iter()
                .map(|figure| {
                    json!({
                        "name": figure.name,
                        "unit": figure.unit,
                        "samples": figure.samples.json(),
                        "peer": figure.peer.as_ref().map(|(name, samples)| {
                            json!({"name": name, "samples": samples.json()})
                        }),
                        "ratio": figure.ratio(),
                        "aims": figure.aims().map(|(aim, _)| aim).collect::<Vec<_>>(),
                        "met": figure.is_met(),
                    })
                })
                .collect()
        };
        self.groups
            .iter()
            .map(|(name, of)| (name.clone(), Value::from(figures(of))))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

/// A number with as many digits as mean something.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

const COLUMNS: [&str; 7] = [
    "figure",
    "median",
    "p10–p90",
    "n",
    "bare peer",
    "ratio",
    "aim",
];

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<[String; 7]> = vec![COLUMNS.map(str::to_owned)];
        for (group, figures) in &self.groups {
            for figure in figures {
                lines.push(line(group, figure));
            }
        }
        let widths: Vec<usize> = (0..COLUMNS.len())
            .map(|column| {
                let width = |line: &[String; 7]| line.get(column).map_or(0, |c| c.chars().count());
                lines.iter().map(width).max().unwrap_or_default()
            })
            .collect();
        for line in &lines {
            let cells: Vec<String> = line
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            writeln!(out, "{}", cells.join("  ").trim_end())?;
        }
        self.write_verdict(out)
    }
}

impl Report {
    /// Which aims are met and which are missed.
    fn write_verdict(&self, out: &mut Formatter<'_>) -> fmt::Result {
        for (verdict, wanted) in [("met", true), ("missed", false)] {
            let names: Vec<String> = self
                .groups
                .iter()
                .flat_map(|(group, figures)| figures.iter().map(move |figure| (group, figure)))
                .filter(|(_, figure)| figure.is_met() == Some(wanted))
                .map(|(group, figure)| format!("{group}: {}", figure.name))
                .collect();
            writeln!(out, "\naims {verdict}: {}", names.len())?;
            for name in names {
                writeln!(out, "  {name}")?;
            }
        }
        Ok(())
    }
}

fn line(group: &str, figure: &Figure) -> [String; 7] {
    let samples = &figure.samples;
    let spread = if samples.0.len() > 1 {
        format!("{}–{}", number(samples.at(0.1)), number(samples.at(0.9)))
    } else {
        String::new()
    };
    let aims: Vec<String> = figure
        .aims()
        .map(|(aim, met)| format!("{aim}{}", if met { "" } else { "  missed" }))
        .collect();
    [
        format!("{group}: {}", figure.name),
        format!("{} {}", number(samples.at(0.5)), figure.unit),
        spread,
        samples.0.len().to_string(),
        figure
            .peer
            .as_ref()
            .map(|(name, peer)| format!("{name}: {}", number(peer.at(0.5))))
            .unwrap_or_default(),
        figure.ratio().map(number).unwrap_or_default(),
        aims.join("; "),
    ]
}
