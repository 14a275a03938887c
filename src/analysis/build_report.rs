//! From the numbers of a summary to a report with names.

use std::collections::BTreeMap;

use super::waiting_reasons::ReasonNames;
use crate::engine;
use crate::engine::outcome::{self, Anomalies};
use crate::model::change::TargetRef;
use crate::model::topology::Phase;
use crate::model::{Change, Seconds, Topology, defaults};
use crate::report::{
    DependencyReport, Detector, EngineName, Exceedance, FailureMode, Failures, HistogramReport,
    HistogramScale, Interval, LateReport, MeanOnly, Money, PerRollout, Protection, Quantiles,
    Report, RolloutStrategy, RoutingMode, SCHEMA, Spread, StageReport, TargetReport, TimelineMode,
    TimelineReport, TotalReport, UnitReport,
};
use crate::sort::Arrange as _;
use crate::summary::{self, Estimate, Losses, Summary};

/// Scenario and settings of a simulation, beside its numbers.
pub(super) struct ReportContext<'a> {
    /// The topology.
    pub(super) topology: &'a Topology,
    /// The change.
    pub(super) change: &'a Change,
    /// Whether the break happens with certainty, because it was asked for.
    pub(super) is_certain: bool,
    /// Of a single moment: for how long the break has lasted.
    pub(super) lasting: Seconds,
    /// The seed.
    pub(super) seed: u64,
    /// The engine.
    pub(super) engine: EngineName,
}

/// Puts names to a summary.
pub(super) fn build_report(context: &ReportContext<'_>, summary: &Summary) -> Report {
    let ReportContext { topology, change, .. } = context;
    let probability = context.failure_probability();
    let names = |share_of: fn(&Anomalies<f64>) -> f64| {
        let services = topology.services.iter().zip(&summary.anomalies);
        services
            .filter(|(_, shares)| share_of(shares) > 0.0)
            .map(|(service, _)| service.name.clone())
            .collect::<Vec<_>>()
    };
    Report {
        omitted: Vec::new(),
        schema: SCHEMA.to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        topology: topology.name.clone(),
        change: change.name.clone(),
        seed: context.seed,
        trials: summary.trials,
        engine: context.engine,
        partial: false,
        failure_probability: probability,
        thresholds: topology.thresholds.into(),
        timeline: timeline_report(context, summary),
        targets: change.targets.iter().map(|target| target_report(topology, target)).collect(),
        services: service_reports(topology, summary, probability),
        flows: flow_reports(topology, summary, probability),
        total: summary
            .total
            .as_ref()
            .map(|total| total_report(topology, summary, total, probability)),
        dependencies: dependency_reports(topology, summary),
        metastable: names(|shares| shares.metastable),
        never_recovers: names(|shares| shares.never_recovers),
        unsettled: names(|shares| shares.unsettled),
        waiting: ReasonNames::new(topology).waiting_reports(&summary.reasons),
        unknowns: Vec::new(),
        single_points: None,
        example_trials: Vec::new(),
        picture: None,
        assumptions: context.report_assumptions(),
        files: None,
        together: None,
        baseline: None,
        verdict: None,
    }
}

impl ReportContext<'_> {
    fn failure_probability(&self) -> f64 {
        // A break on the command line happens for certain.
        if self.is_certain {
            return 1.0;
        }
        let stated = self.change.failure_probability;
        stated.unwrap_or_else(|| defaults::failure_probability(self.change.kind)).get()
    }

    fn report_assumptions(&self) -> Vec<String> {
        let mut said = Vec::new();
        if !self.is_certain && self.change.failure_probability.is_none() {
            said.push(
                "the change does not say how likely it breaks: 10% (the middle cluster of DORA's 2024 report)"
                    .to_owned(),
            );
        }
        said.extend(defaults::default_assumptions(self.change));
        said
    }
}

fn interval_of(estimate: &Estimate) -> Interval {
    Interval { p: estimate.p, low: estimate.low, high: estimate.high, exact: None }
}

fn scaled_interval(interval: Interval, factor: f64) -> Interval {
    Interval {
        p: interval.p * factor,
        low: interval.low * factor,
        high: interval.high * factor,
        exact: interval.exact.map(|exact| exact * factor),
    }
}

/// Returns the total probability of something that has one probability if the change breaks, which
/// has this chance, and another if it does not.
fn total_probability(with: Interval, without: Interval, chance: f64) -> Interval {
    let total = |with: f64, without: f64| chance * with + (1.0 - chance) * without;
    Interval {
        p: total(with.p, without.p),
        low: total(with.low, without.low),
        high: total(with.high, without.high),
        exact: with.exact.zip(without.exact).map(|(with, without)| total(with, without)),
    }
}

fn spread_report(spread: summary::SpreadSummary) -> Spread {
    let summary::SpreadSummary { p10, p25, p50, p75, p90, p95 } = spread;
    Spread { p10, p25, p50, p75, p90, p95 }
}

fn quantiles_report(of: &summary::QuantileSummary) -> Quantiles {
    Quantiles {
        mean: of.mean,
        mean_low: of.mean_interval.0,
        mean_high: of.mean_interval.1,
        p50: of.p50,
        p95: of.p95,
        p99: of.p99,
        max: of.max,
    }
}

/// Converts seconds to minutes.
fn quantiles_in_minutes(seconds: &summary::QuantileSummary) -> Quantiles {
    let Quantiles { mean, mean_low, mean_high, p50, p95, p99, max } = quantiles_report(seconds);
    let [mean, mean_low, mean_high, p50, p95, p99, max] =
        [mean, mean_low, mean_high, p50, p95, p99, max].map(|seconds| seconds / 60.0);
    Quantiles { mean, mean_low, mean_high, p50, p95, p99, max }
}

fn exceedance_reports(points: &[(f64, Estimate)]) -> Vec<Exceedance> {
    let point = |(orders, estimate): &(f64, Estimate)| Exceedance {
        orders: *orders,
        p: estimate.p,
        low: estimate.low,
        high: estimate.high,
    };
    points.iter().map(point).collect()
}

fn failures_report(of: &outcome::Failures<Estimate>) -> Failures {
    Failures { failed: interval_of(&of.failed), degraded: interval_of(&of.degraded) }
}

fn unit_report(name: &str, of: &summary::UnitSummary, probability: f64) -> UnitReport {
    let (failed, degraded) = (interval_of(&of.failed), interval_of(&of.degraded));
    let (baseline, caused) = (failures_report(&of.baseline), failures_report(&of.caused));
    UnitReport {
        name: name.to_owned(),
        failed,
        degraded,
        baseline,
        caused,
        failing_share: of.failing_share,
        late: (of.late_share > 0.0).then_some(LateReport { p: of.late_share, count: None }),
        first_failed_s: of.first_failed.map(spread_report),
        failed_for_s: of.failed_for.map(spread_report),
        per_rollout: Some(PerRollout {
            failed: total_probability(failed, baseline.failed, probability),
            degraded: total_probability(degraded, baseline.degraded, probability),
            caused: Failures {
                failed: scaled_interval(caused.failed, probability),
                degraded: scaled_interval(caused.degraded, probability),
            },
            orders_lost: None,
        }),
        ..UnitReport::default()
    }
}

fn service_reports(topology: &Topology, summary: &Summary, probability: f64) -> Vec<UnitReport> {
    // Units are services first, then endpoints, then flows.
    let mut endpoints = summary.units[topology.services.len()..].iter();
    let mut reports: Vec<UnitReport> = topology
        .services
        .iter()
        .zip(&summary.units)
        .map(|(service, of)| UnitReport {
            title: service.title.clone(),
            kind: Some(service.kind.clone()),
            team: service.team.clone(),
            tier: service.tier,
            endpoints: service
                .endpoints
                .iter()
                .map(|endpoint| {
                    let of = endpoints.next().expect("a unit for every endpoint");
                    UnitReport { per_rollout: None, ..unit_report(&endpoint.name, of, probability) }
                })
                .collect(),
            ..unit_report(&service.name, of, probability)
        })
        .collect();
    worst_first(&mut reports);
    reports
}

fn flow_reports(topology: &Topology, summary: &Summary, probability: f64) -> Vec<UnitReport> {
    // Flows are the last units.
    let first = summary.units.len() - topology.flows.len();
    let mut reports: Vec<UnitReport> = topology
        .flows
        .iter()
        .zip(&summary.units[first..])
        .zip(summary.flows.iter().zip(&summary.outages).zip(&summary.late_orders))
        .map(|((flow, of), ((losses, outage), late))| {
            let mut report = unit_report(&flow.name, of, probability);
            if flow.objective.is_some_and(|objective| objective.latency.is_some()) {
                report.late = Some(LateReport { p: of.late_share, count: *late });
            }
            report.title.clone_from(&flow.title);
            report.critical = Some(flow.critical);
            report.rate_per_s = flow.rate.map(crate::model::Rate::get);
            report.lost = outage.as_ref().map(|outage| quantiles_in_minutes(&outage.lost));
            report.unfinished = outage.as_ref().map(|outage| interval_of(&outage.unfinished));
            if let Some(losses) = losses {
                add_losses(&mut report, losses, flow.value.as_ref(), probability);
            }
            report
        })
        .collect();
    worst_first(&mut reports);
    reports
}

fn add_losses(
    report: &mut UnitReport,
    losses: &Losses,
    value: Option<&crate::model::Money>,
    probability: f64,
) {
    report.orders_lost = Some(quantiles_report(&losses.lost));
    report.wrong_orders = losses.wrong.as_ref().map(quantiles_report);
    report.exceedance = exceedance_reports(&losses.exceedance);
    report.money_lost = value.map(|value| Money {
        mean: losses.lost.mean * value.amount,
        p95: Some(losses.lost.p95 * value.amount),
        currency: value.currency.clone(),
    });
    if let Some(per_rollout) = &mut report.per_rollout {
        per_rollout.orders_lost = Some(MeanOnly { mean: losses.lost.mean * probability });
    }
}

/// Sorts units: what most likely fails because of the change first, then what fails anyway, then by name.
fn worst_first(reports: &mut [UnitReport]) {
    reports.arrange_by(|a, b| {
        let key = |unit: &UnitReport| {
            let Failures { failed, degraded } = &unit.caused;
            (failed.p, degraded.p, unit.failed.p, unit.degraded.p, unit.failing_share)
        };
        let (a_key, b_key) = (key(a), key(b));
        b_key.partial_cmp(&a_key).expect("shares are numbers").then_with(|| a.name.cmp(&b.name))
    });
}

fn total_report(
    topology: &Topology,
    summary: &Summary,
    total: &Losses,
    probability: f64,
) -> TotalReport {
    TotalReport {
        orders_lost: quantiles_report(&total.lost),
        exceedance: exceedance_reports(&total.exceedance),
        histogram: summary.histogram.as_ref().map(|of| HistogramReport {
            none: of.none,
            ends: of.ends.clone(),
            scale: if of.is_linear { HistogramScale::Linear } else { HistogramScale::Logarithmic },
            shares: of.shares.clone(),
            beyond: of.beyond,
        }),
        money_lost: total_money(topology, summary, total),
        per_rollout: MeanOnly { mean: total.lost.mean * probability },
    }
}

/// Returns the money that all flows lose, by currency. A quantile of a sum is not the sum of quantiles:
/// it is known only where all flows that count have orders of the same value.
fn total_money(topology: &Topology, summary: &Summary, total: &Losses) -> Vec<Money> {
    let counted: Vec<_> = topology
        .flows
        .iter()
        .zip(&summary.flows)
        .filter_map(|(flow, losses)| Some((flow.value.as_ref(), losses.as_ref()?)))
        .collect();
    let mut means: BTreeMap<&str, f64> = BTreeMap::new();
    for (value, losses) in &counted {
        if let Some(value) = value {
            *means.entry(&value.currency).or_default() += losses.lost.mean * value.amount;
        }
    }
    // A flow without a value among them would be missing from the sum.
    let common = match counted.split_first() {
        Some(((first, _), rest)) if rest.iter().all(|(value, _)| value == first) => *first,
        _ => None,
    };
    let p95 = common.map(|value| total.lost.p95 * value.amount);
    let money = means.into_iter();
    money.map(|(currency, mean)| Money { mean, p95, currency: currency.to_owned() }).collect()
}

fn timeline_report(context: &ReportContext<'_>, summary: &Summary) -> TimelineReport {
    let change = context.change;
    let Some(course) = &summary.course else {
        return TimelineReport {
            mode: TimelineMode::Snapshot,
            lasting_s: Some(context.lasting.get()),
            ..TimelineReport::default()
        };
    };
    let rollout = change.rollout.as_ref();
    let detectors = [Detector::Nobody, Detector::Alert, Detector::WrongAnswers, Detector::Gate];
    TimelineReport {
        mode: TimelineMode::Rollout,
        lasting_s: None,
        horizon_s: Some(change.horizon.get()),
        routing: rollout.map(|rollout| RoutingMode::from(rollout.routing)),
        strategy: rollout.and_then(|rollout| rollout.strategy).map(RolloutStrategy::from),
        stages: rollout.map_or_else(Vec::new, |rollout| {
            let stage = |stage: &crate::model::change::Stage| StageReport {
                exposure: stage.exposure.get(),
                bake_s: stage.bake.map(Seconds::get),
                gate: stage.catch_probability.get(),
            };
            rollout.stages.iter().map(stage).collect()
        }),
        impact: Some(interval_of(&course.impact)),
        impact_s: course.impact_at.map(spread_report),
        detected_s: course.detected_at.map(spread_report),
        ended_s: course.ended_at.map(spread_report),
        resolved_s: course.over_at.map(spread_report),
        over_s: course.over_at.map(spread_report),
        exposure_at_detection: course.exposure.map(spread_report),
        detected_by: detectors
            .into_iter()
            .zip(course.detected_by)
            .filter(|(_, share)| *share > 0.0)
            .collect(),
    }
}

fn target_report(topology: &Topology, target: &crate::model::change::Target) -> TargetReport {
    let name = match target.on {
        TargetRef::Node(node) => topology.node_name(node),
        TargetRef::Domain(domain) => topology.domain(domain).name.clone(),
    };
    let modes = target.modes;
    let modes = [
        (FailureMode::Down, modes.down),
        (FailureMode::Slow, modes.slow),
        (FailureMode::Corrupt, modes.corrupt),
        (FailureMode::Surge, modes.surge),
    ];
    TargetReport {
        name,
        probability: target.probability.get(),
        modes: modes
            .into_iter()
            .filter(|(_, share)| !share.is_zero())
            .map(|(mode, share)| (mode, share.get()))
            .collect(),
    }
}

fn dependency_reports(topology: &Topology, summary: &Summary) -> Vec<DependencyReport> {
    let written = topology.declared_dependencies().zip(&summary.dependencies);
    written
        // What is needed only to start is not called, and contains nothing.
        .filter(|((_, written), _)| written.phase == Phase::Serve)
        .filter_map(|((caller, written), containment)| {
            let containment = containment.as_ref()?;
            let held = engine::Protection::ALL
                .iter()
                .zip(&containment.held)
                .filter(|(_, share)| **share > 0.0);
            Some(DependencyReport {
                caller: topology.caller_name(caller),
                dependency: topology.dependency_name(written),
                exposed: containment.tried,
                passed: containment.passed,
                contained: held.map(|(guard, share)| (Protection::from(*guard), *share)).collect(),
            })
        })
        .collect()
}
