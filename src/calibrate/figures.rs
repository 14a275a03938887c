//! Figures from records, each with its interval and the rows behind it.
//!
//! How often changes of a service fail is shrunk to how often those of all services do, by as much as
//! services differ; that of all services starts from the published base rate. A service with few rows
//! is so told apart from the others only as far as its rows can tell.

use super::record::{OutageRecord, RecordedChange, Records};
use crate::model::Topology;
use crate::summary::beta::{Beta, log_beta};
use crate::summary::estimate::Estimate;
use crate::summary::lognormal::{LognormalFit, fit_lognormal, student_quantile};

/// Fewer rows than these make no figure that a topology could rest on.
pub const MIN_ROWS: u64 = 10;
/// Fewer outages than these say nothing of how available a service is.
const MIN_OUTAGES: usize = 3;
/// The published base rate, the change failure rate of the middle cluster of DORA's 2024 report...
const BASE_RATE: f64 = 0.1;
/// ...and how many rows it is worth: its 95% interval is then 0.3% to 34%, about the range of the clusters.
const BASE_ROWS: f64 = 10.0;
/// How many rows the rate of all services may be worth for one of them, in steps of a factor of the square
/// root of two: from hardly any, where services differ as much as they can, to so many that all are alike.
const STRENGTHS: std::ops::RangeInclusive<i32> = 0..=24;
/// Of how many rows it is worth before any is seen, half of the belief lies on either side.
const USUAL_STRENGTH: f64 = 20.0;
/// How finely rates are told apart, in the logarithm of their odds.
const RATE_STEPS: u32 = 80;
/// The lowest and the highest logarithm of the odds: from 1 in 3,000 to 95%.
const RATES: (f64, f64) = (-8.0, 3.0);
/// Delays that are shorter count as this, in seconds: clocks of tables are seldom finer.
const SHORTEST: f64 = 1.0;

/// Figures of one service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceFigures {
    /// Its name.
    pub service: String,
    /// How many changes.
    pub changes: u64,
    /// How many of them failed.
    pub failed: u64,
    /// How likely a change of it fails; `None` without changes.
    pub failure: Option<Estimate>,
    /// How long it took to notice failures.
    pub detection: Option<LognormalFit>,
    /// How long it took to take failed changes back, once noticed.
    pub rollback: Option<LognormalFit>,
    /// How many outages of its own.
    pub outages: u64,
    /// How many outages began while a failed change of it was in place, and count with that.
    pub of_changes: u64,
    /// The share of time without an outage.
    pub availability: Option<Estimate>,
    /// How long outages lasted.
    pub mttr: Option<LognormalFit>,
}

/// Figures of all services together.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupFigures {
    /// How many changes.
    pub changes: u64,
    /// How many of them failed.
    pub failed: u64,
    /// How likely a change fails.
    pub failure: Estimate,
    /// How many rows that is worth for one service, in the geometric mean.
    pub strength: f64,
    /// How long it took to notice failures.
    pub detection: Option<LognormalFit>,
    /// How long it took to take failed changes back, once noticed.
    pub rollback: Option<LognormalFit>,
}

/// Everything that a record says about a topology.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// All services together.
    pub group: GroupFigures,
    /// Services with rows, in the order of the topology.
    pub services: Vec<ServiceFigures>,
    /// Over how many days changes were recorded.
    pub change_days: f64,
    /// Over how many days incidents were recorded.
    pub outage_days: f64,
}

/// Delays that are over, and how long those have lasted that are still open.
#[derive(Clone, Debug, Default)]
struct Delays {
    over: Vec<f64>,
    open: Vec<f64>,
}

impl Delays {
    fn add_delay(&mut self, from: f64, until: Option<f64>, now: f64) {
        match until {
            Some(until) => self.over.push((until - from).max(SHORTEST)),
            None => self.open.push((now - from).max(SHORTEST)),
        }
    }

    /// The fit, where there are enough rows for one.
    fn fit(&self) -> Option<LognormalFit> {
        let is_enough = self.over.len() as u64 >= MIN_ROWS;
        is_enough.then(|| fit_lognormal(&self.over, &self.open)).flatten()
    }
}

/// Record of a service, before anything is estimated.
#[derive(Clone, Debug, Default)]
struct ServiceRecord {
    changes: u64,
    failed: u64,
    detection: Delays,
    rollback: Delays,
    /// From when to when failed changes were in place.
    broken: Vec<(f64, f64)>,
    outages: Vec<(f64, Option<f64>)>,
    of_changes: u64,
}

impl Records {
    /// Estimates all figures. `observed` says over how many seconds incidents were recorded, where that is
    /// more than from the first to the last of them.
    pub fn calibrate(&self, topology: &Topology, observed: Option<f64>) -> Calibration {
        let mut services = vec![ServiceRecord::default(); topology.services.len()];
        let last = self.changes_span.map_or(0.0, |(_, last)| last);
        for change in &self.changes {
            services[change.service as usize].add_change(change, last, self.has_ends);
        }
        let end = self.outages_span.map_or(0.0, |(_, last)| last);
        for outage in &self.outages {
            services[outage.service as usize].add_outage(outage);
        }
        let span = self.outages_span.map_or(0.0, |(first, last)| last - first);
        let span = observed.unwrap_or(0.0).max(span);
        let hypotheses = hypotheses(&services);
        let group = group_figures(&services, &hypotheses);
        let named = topology.services.iter().zip(services);
        let figures = named
            .filter(|(_, record)| {
                record.changes + record.outages.len() as u64 + record.of_changes > 0
            })
            .map(|(service, record)| record.figures(&service.name, &hypotheses, span, end));
        Calibration {
            services: figures.collect(),
            group,
            change_days: self.changes_span.map_or(0.0, |(first, last)| (last - first) / 86_400.0),
            outage_days: span / 86_400.0,
        }
    }
}

impl ServiceRecord {
    fn add_change(&mut self, change: &RecordedChange, now: f64, has_ends: bool) {
        self.changes += 1;
        if !change.has_failed {
            return;
        }
        self.failed += 1;
        if let Some(detected) = change.detected {
            self.detection.add_delay(change.started, Some(detected), now);
            // Where no table says when failures ended, a missing end is no open one.
            if has_ends {
                self.rollback.add_delay(detected, change.ended, now);
            }
        }
        self.broken.push((change.started, change.ended.unwrap_or(change.started)));
    }

    fn add_outage(&mut self, outage: &OutageRecord) {
        let began = outage.started;
        // It is what the change did, and would otherwise count twice.
        if self.broken.iter().any(|(from, until)| *from <= began && began <= *until) {
            self.of_changes += 1;
            return;
        }
        if let Some(detected) = outage.detected {
            self.detection.add_delay(began, Some(detected), detected);
        }
        self.outages.push((began, outage.ended));
    }

    fn figures(&self, name: &str, all: &[Hypothesis], span: f64, end: f64) -> ServiceFigures {
        let posterior = shrunk(all, self.failed, self.changes);
        let mut mttr = Delays::default();
        for (began, ended) in &self.outages {
            mttr.add_delay(*began, *ended, end);
        }
        ServiceFigures {
            service: name.to_owned(),
            changes: self.changes,
            failed: self.failed,
            failure: (self.changes > 0).then(|| posterior.estimate()),
            detection: self.detection.fit(),
            rollback: self.rollback.fit(),
            outages: self.outages.len() as u64,
            of_changes: self.of_changes,
            availability: availability(&self.outages, span, end),
            mttr: mttr.fit(),
        }
    }
}

fn group_figures(services: &[ServiceRecord], all: &[Hypothesis]) -> GroupFigures {
    let of_strength = all.iter().map(|found| found.weight * libm::log(found.strength));
    let changes = services.iter().map(|service| service.changes).sum();
    let failed = services.iter().map(|service| service.failed).sum();
    let posterior = Beta::with_mean(BASE_RATE, BASE_ROWS).after(failed, changes);
    let together = |delays: fn(&ServiceRecord) -> &Delays| {
        let mut all = Delays::default();
        for service in services {
            all.over.extend(&delays(service).over);
            all.open.extend(&delays(service).open);
        }
        all.fit()
    };
    GroupFigures {
        changes,
        failed,
        failure: posterior.estimate(),
        strength: libm::exp(of_strength.sum::<f64>()),
        detection: together(|service| &service.detection),
        rollback: together(|service| &service.rollback),
    }
}

/// A rate of all services, how many rows it is worth for one of them, and how likely both are given the record.
#[derive(Clone, Copy, Debug)]
struct Hypothesis {
    prior: Beta,
    strength: f64,
    weight: f64,
}

/// Returns what may be true of all services, each with its weight given the record: the likelihood of a
/// beta-binomial, with the published base rate for the rate and a uniform shrinkage for its strength.
///
/// One best pair would be too sure of itself where few services tell how much they differ.
fn hypotheses(services: &[ServiceRecord]) -> Vec<Hypothesis> {
    let known: Vec<&ServiceRecord> =
        services.iter().filter(|service| service.changes > 0).collect();
    let base = Beta::with_mean(BASE_RATE, BASE_ROWS);
    let mut found = Vec::new();
    for step in 0..=RATE_STEPS {
        let part = f64::from(step) / f64::from(RATE_STEPS);
        let odds = libm::exp(RATES.0 + (RATES.1 - RATES.0) * part);
        let rate = odds / (1.0 + odds);
        // Equal steps in the logarithm of the odds, so the density carries one power more of each.
        let of_rate = base.events * libm::log(rate) + base.others * libm::log1p(-rate);
        for step in STRENGTHS {
            let strength = libm::exp2(f64::from(step) / 2.0);
            let shrinkage = USUAL_STRENGTH / (USUAL_STRENGTH + strength);
            let of_strength = libm::log(shrinkage) + libm::log1p(-shrinkage);
            let prior = Beta::with_mean(rate, strength);
            let of_prior = log_beta(prior.events, prior.others);
            let likelihood = known.iter().map(|service| {
                let after = prior.after(service.failed, service.changes);
                log_beta(after.events, after.others) - of_prior
            });
            let weight = of_rate + of_strength + likelihood.sum::<f64>();
            found.push(Hypothesis { prior, strength, weight });
        }
    }
    let greatest = found.iter().map(|found| found.weight).fold(f64::NEG_INFINITY, f64::max);
    for hypothesis in &mut found {
        hypothesis.weight = libm::exp(hypothesis.weight - greatest);
    }
    // Those that are next to impossible cost time and move nothing.
    found.retain(|hypothesis| hypothesis.weight > 1e-6);
    let sum: f64 = found.iter().map(|hypothesis| hypothesis.weight).sum();
    found.iter_mut().for_each(|hypothesis| hypothesis.weight /= sum);
    found
}

/// Returns what is known of one service after its rows: the beta distribution with the mean and the variance
/// of all hypotheses together.
fn shrunk(hypotheses: &[Hypothesis], failed: u64, changes: u64) -> Beta {
    let (mut mean, mut square) = (0.0, 0.0);
    for hypothesis in hypotheses {
        let Beta { events, others } = hypothesis.prior.after(failed, changes);
        let rows = events + others;
        mean += hypothesis.weight * events / rows;
        square += hypothesis.weight * events * (events + 1.0) / (rows * (rows + 1.0));
    }
    let variance = (square - mean * mean).max(1e-15);
    Beta::with_mean(mean, (mean * (1.0 - mean) / variance - 1.0).max(1e-3))
}

/// Returns the share of a time without an outage, with an interval from how many outages there were and how
/// much they differ in length; `None` where there were too few.
fn availability(outages: &[(f64, Option<f64>)], span: f64, end: f64) -> Option<Estimate> {
    if outages.len() < MIN_OUTAGES || span <= 0.0 {
        return None;
    }
    let mut times: Vec<(f64, f64)> = outages
        .iter()
        .map(|(began, ended)| (*began, ended.unwrap_or(end).max(began + SHORTEST)))
        .collect();
    times.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    // Two incidents at once are down only once.
    let mut merged: Vec<(f64, f64)> = Vec::new();
    for (began, ended) in times {
        match merged.last_mut() {
            Some(last) if began <= last.1 => last.1 = last.1.max(ended),
            _ => merged.push((began, ended)),
        }
    }
    let lengths: Vec<f64> = merged.iter().map(|(began, ended)| ended - began).collect();
    let (count, down) = (lengths.len() as f64, lengths.iter().sum::<f64>());
    let squares: f64 = lengths.iter().map(|length| length * length).sum();
    // Outages begin independently, so the relative variance of their sum is that of one length beyond its
    // mean, and that of their number.
    let relative = libm::sqrt(squares) / down;
    let reach = libm::exp(student_quantile(count - 1.0) * relative);
    let share = (down / span).min(1.0);
    Some(Estimate {
        p: 1.0 - share,
        low: (1.0 - share * reach).max(0.0),
        high: 1.0 - share / reach,
    })
}
