//! Back-test on a record: does what its first part forecasts agree with its second part?

use std::fmt::Write as _;

use super::record::{RecordedChange, Records};
use super::write::{counted, share_text};
use crate::model::Topology;
use crate::summary::estimate::{Estimate, estimate_proportion};

/// The share of the changes, in the order of time, from which the rest is forecast.
const LEARNED: f64 = 0.6;
/// Fewer changes than these on either side say nothing about a forecast.
const LEAST: usize = 30;
/// Forecasts are grouped at these, the usual levels of a change failure rate.
const LEVELS: [f64; 6] = [0.0, 0.05, 0.1, 0.2, 0.4, 1.0];
/// The forecast of whoever has no record: the middle cluster of DORA's 2024 report.
const BASE_RATE: f64 = 0.1;

/// Forecasts of about one level beside what came of them.
#[derive(Clone, Debug, PartialEq)]
pub struct ForecastGroup {
    /// The mean of the forecasts.
    pub forecast: f64,
    /// How many changes.
    pub changes: u64,
    /// The share of them that failed.
    pub failed: Estimate,
}

/// How well forecasts from a record agree with what came after.
#[derive(Clone, Debug, PartialEq)]
pub struct BackTest {
    /// How many changes were learned from.
    pub learned: u64,
    /// How many were forecast.
    pub forecast: u64,
    /// The mean squared difference between forecast and outcome: 0 is perfect.
    pub brier: f64,
    /// The same for the published base rate.
    pub brier_of_base_rate: f64,
    /// Forecasts by their level, the lowest first.
    pub groups: Vec<ForecastGroup>,
    /// The share of later detections that took less than the median of the earlier ones, and less than
    /// their 95th percentile; `None` where too few were recorded.
    pub detection: Option<[Estimate; 2]>,
    /// The same for rollbacks that are over.
    pub rollback: Option<[Estimate; 2]>,
}

impl Records {
    /// Forecasts the last changes from those before; `None` where there are too few of either.
    pub fn back_test(&self, topology: &Topology) -> Option<BackTest> {
        let mut changes = self.changes.clone();
        // By time and not by the order of the tables: nobody forecasts the past.
        changes.sort_by(|a, b| a.at.total_cmp(&b.at).then(a.service.cmp(&b.service)));
        #[expect(clippy::cast_sign_loss, reason = "a share of a length is not negative")]
        let split = (changes.len() as f64 * LEARNED) as usize;
        if split < LEAST || changes.len() - split < LEAST {
            return None;
        }
        let later = changes.split_off(split);
        let now = later[0].at;
        let known = Self { changes: as_known_at(&changes, now), ..self.learned_record(now) };
        let calibration = known.calibrate(topology, None);
        let forecast_of = |change: &RecordedChange| {
            let name = &topology.services[change.service as usize].name;
            let own = calibration.services.iter().find(|service| service.service == *name);
            // A service without a record is one of all.
            own.and_then(|service| service.failure).unwrap_or(calibration.group.failure).p
        };
        let forecasts: Vec<(f64, bool)> =
            later.iter().map(|change| (forecast_of(change), change.has_failed)).collect();
        let brier = |forecast: &dyn Fn(f64) -> f64| {
            let squares = forecasts.iter().map(|(p, has_failed)| {
                let miss = forecast(*p) - f64::from(u8::from(*has_failed));
                miss * miss
            });
            squares.sum::<f64>() / forecasts.len() as f64
        };
        let detections = later
            .iter()
            .filter(|change| change.has_failed)
            .filter_map(|change| Some(change.detected? - change.started));
        let rollbacks = later
            .iter()
            .filter(|change| change.has_failed)
            .filter_map(|change| Some(change.ended? - change.detected?));
        let coverage = |fit: Option<[f64; 2]>, delays: Vec<f64>| {
            let fit = fit.filter(|_| delays.len() >= 10)?;
            Some(fit.map(|limit| {
                let below = delays.iter().filter(|delay| **delay <= limit).count();
                estimate_proportion(below as u64, delays.len() as u64)
            }))
        };
        let group = &calibration.group;
        let limits = |fit: &Option<crate::summary::lognormal::LognormalFit>| {
            fit.map(|fit| [fit.median.value, fit.p95.value])
        };
        Some(BackTest {
            learned: changes.len() as u64,
            forecast: forecasts.len() as u64,
            brier: brier(&|forecast| forecast),
            brier_of_base_rate: brier(&|_| BASE_RATE),
            groups: group_forecasts(&forecasts),
            detection: coverage(limits(&group.detection), detections.collect()),
            rollback: coverage(limits(&group.rollback), rollbacks.collect()),
        })
    }

    /// Returns a record without rows whose changes end at a moment.
    fn learned_record(&self, now: f64) -> Self {
        Self {
            changes_span: self.changes_span.map(|(first, _)| (first, now)),
            has_ends: self.has_ends,
            ..Self::default()
        }
    }
}

/// Returns changes as they were known at a moment: what was not over then was still open.
fn as_known_at(changes: &[RecordedChange], now: f64) -> Vec<RecordedChange> {
    let known = |moment: Option<f64>| moment.filter(|moment| *moment <= now);
    changes
        .iter()
        .map(|change| RecordedChange {
            detected: known(change.detected),
            ended: known(change.ended),
            ..*change
        })
        .collect()
}

fn group_forecasts(forecasts: &[(f64, bool)]) -> Vec<ForecastGroup> {
    let mut groups = Vec::new();
    for level in LEVELS.windows(2) {
        let (from, until) = (level[0], level[1]);
        let of_level: Vec<&(f64, bool)> =
            forecasts.iter().filter(|(forecast, _)| (from..until).contains(forecast)).collect();
        if of_level.is_empty() {
            continue;
        }
        let changes = of_level.len() as u64;
        let failed = of_level.iter().filter(|(_, has_failed)| *has_failed).count() as u64;
        let sum: f64 = of_level.iter().map(|(forecast, _)| forecast).sum();
        let failed = estimate_proportion(failed, changes);
        groups.push(ForecastGroup { forecast: sum / changes as f64, changes, failed });
    }
    groups
}

/// Returns the back-test as text.
pub fn back_test_text(test: Option<&BackTest>) -> String {
    let mut text = "\nDoes the record agree with itself?\n".to_owned();
    let Some(test) = test else {
        let _ = writeln!(
            text,
            "  too few changes: {LEAST} to learn from and {LEAST} to forecast are needed"
        );
        return text;
    };
    let changes = counted(test.forecast, "change", "changes");
    let _ = writeln!(text, "  {changes} forecast from the {} before", test.learned);
    let better = if test.brier < test.brier_of_base_rate { "better" } else { "no better" };
    let _ = writeln!(
        text,
        "  Brier score {:.4}: {better} than the published base rate, {:.4}",
        test.brier, test.brier_of_base_rate
    );
    for group in &test.groups {
        let Estimate { p, low, high } = group.failed;
        let is_held = low <= group.forecast && group.forecast <= high;
        let verdict = if is_held { "" } else { "  the forecast is outside" };
        let _ = writeln!(
            text,
            "  forecast {}: {} of {} failed, 95% {} to {}{verdict}",
            share_text(group.forecast),
            share_text(p),
            counted(group.changes, "change", "changes"),
            share_text(low),
            share_text(high)
        );
    }
    for (what, coverage) in [("detections", test.detection), ("rollbacks", test.rollback)] {
        let Some([median, p95]) = coverage else { continue };
        let _ = writeln!(
            text,
            "  later {what}: {} within the median (50% expected), {} within the 95th percentile (95%)",
            share_text(median.p),
            share_text(p95.p)
        );
    }
    text
}
