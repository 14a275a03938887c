//! Two or more architectures, or plans, under the same trials.

use std::collections::BTreeMap;

use crate::compile::compile;
use crate::engine::outcome::{Outcome, TRIALS};
use crate::engine::{Progress, Protection, Silent, Simulator, Tally};
use crate::model::{Change, Topology};
use crate::report::Interval as Probability;
use crate::report::compare::{
    CompareReport, Difference, FlowDifference, LossDifference, OnlyContained, PairReport, SCHEMA,
    SideReport, UnitDifference,
};
use crate::report::{self, ComparedKind, Metric};
use crate::sort::Arrange as _;
use crate::summary::difference::{Paired, PairedEvent};
use crate::summary::estimate::estimate_proportion;
use crate::summary::paired;
use crate::summary::{self, summarize};

use super::simulate::{self, Settings, Stop};
use super::single_points;

/// One of the things compared.
pub struct Side<'a> {
    /// Name in the report.
    pub name: String,
    /// Its topology.
    pub topology: &'a Topology,
    /// Change that happens to it.
    pub change: &'a Change,
}

/// How many trials are played on every side before the next are.
const WINDOW: u64 = 4096;
/// Losses that differ by less than this share are equal.
const SLACK: f64 = 1e-9;

/// Plays the same trials on every side; there must be at least two.
///
/// Services, flows and calls of equal names are the same thing. `of` says what differs.
pub fn compare_sides(
    sides: &[Side<'_>],
    of: ComparedKind,
    renames: &[[String; 2]],
    settings: &Settings,
    progress: &dyn Progress,
) -> CompareReport {
    let plans: Vec<_> =
        sides.iter().map(|side| compile(side.topology, side.change, settings.lasting)).collect();
    let simulations: Vec<_> = plans
        .iter()
        .map(|plan| Simulator::with_engine(plan, settings.seed, settings.engine))
        .collect();
    let mut tallies: Vec<_> = plans.iter().map(Tally::new).collect();
    let metric = common_metric(sides);
    let mut pairs: Vec<ComparedPair> =
        sides[1..].iter().map(|side| ComparedPair::new(&sides[0], side, metric)).collect();
    let (most, width) = match settings.stop {
        Stop::Trials(trials) => (trials, None),
        Stop::Precision { width, max_trials } => (max_trials, Some(width)),
    };
    let mut done = 0;
    // All sides play a window before the next begins, so that a stop by precision finds all of them
    // with the same trials.
    while done < most && !progress.is_cancelled() {
        let next = (done + WINDOW).min(most);
        let played: Vec<Vec<Outcome>> = simulations
            .iter()
            .map(|simulation| {
                let mut all = Vec::new();
                simulation.each_outcome(done..next, &Silent, |outcome| all.push(outcome.clone()));
                all
            })
            .collect();
        for (tally, outcomes) in tallies.iter_mut().zip(&played) {
            outcomes.iter().for_each(|outcome| tally.add_outcome(outcome));
        }
        for (pair, outcomes) in pairs.iter_mut().zip(&played[1..]) {
            played[0].iter().zip(outcomes).for_each(|(a, b)| pair.add_outcomes(a, b));
        }
        done = next;
        progress.trials_done(done);
        // The widest interval of all sides decides, as each of them must be known well enough.
        let widest = tallies.iter().map(summary::widest_flow_interval).fold(0.0, f64::max);
        if width.is_some_and(|width| widest <= width) {
            break;
        }
    }
    tallies.iter_mut().for_each(Tally::settle_sketches);
    let results: Vec<SideReport> = sides
        .iter()
        .zip(simulations.iter().zip(&tallies))
        .map(|(side, (simulation, tally))| SideReport {
            name: side.name.clone(),
            result: simulate::simulation_report(
                side.topology,
                side.change,
                settings,
                simulation,
                &summarize(tally),
            ),
            single_points: single_points::find_single_points(side.topology, settings.lasting),
        })
        .collect();
    let pairs = pairs.iter().enumerate().map(|(index, pair)| {
        // Equal plans have equal results in every trial; names of flows are not part of a plan.
        let identical = plans[0] == plans[index + 1]
            && sides[0].topology.flows.iter().map(|flow| &flow.name).eq(sides[index + 1]
                .topology
                .flows
                .iter()
                .map(|flow| &flow.name));
        pair.pair_report(
            [&sides[0], &sides[index + 1]],
            [&results[0], &results[index + 1]],
            identical,
        )
    });
    let pairs = pairs.collect();
    CompareReport {
        schema: SCHEMA.to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        of,
        seed: settings.seed,
        trials: done,
        partial: progress.is_cancelled(),
        metric,
        renames: renames.to_vec(),
        sides: results,
        pairs,
    }
}

fn common_metric(sides: &[Side<'_>]) -> Metric {
    let counts = |side: &Side<'_>| {
        !side.change.is_moment() && side.topology.flows.iter().any(|flow| flow.rate.is_some())
    };
    // Sides can be compared in orders only if all of them count any.
    if sides.iter().all(counts) { Metric::OrdersLost } else { Metric::FailingShare }
}

/// Counts over two sides.
struct ComparedPair {
    metric: Metric,
    flows: Vec<FlowCounts>,
    services: Vec<ServiceCounts>,
    calls: Vec<CallCounts>,
    total: Loss,
}

#[derive(Default)]
struct Loss {
    paired: Paired,
    a_more: u64,
    b_more: u64,
    trials: u64,
}

struct FlowCounts {
    name: String,
    at: [usize; 2],
    unit: [usize; 2],
    failed: PairedEvent,
    degraded: PairedEvent,
    share: Paired,
    lost: Option<Loss>,
}

struct ServiceCounts {
    name: String,
    at: [usize; 2],
    failed: PairedEvent,
    shares: [f64; 2],
}

/// A call by where it is on either side, and in how many trials only one of them contains failure.
struct CallCounts {
    caller: String,
    dependency: String,
    at: [Option<usize>; 2],
    only: [u64; 2],
    by: [[u64; Protection::ALL.len()]; 2],
}

impl Loss {
    fn add_trial(&mut self, a: f64, b: f64) {
        self.paired.add_trial(a, b);
        self.trials += 1;
        // The two sums may differ in their last digit though nothing differs.
        let slack = SLACK * a.abs().max(b.abs());
        self.a_more += u64::from(a > b + slack);
        self.b_more += u64::from(b > a + slack);
    }

    fn loss_report(&self, identical: bool) -> LossDifference {
        let (a, b) = self.paired.side_means();
        let share = |count| {
            let item = estimate_proportion(count, self.trials);
            // Of identical plans there is no uncertainty about a difference.
            let (low, high) = if identical { (0.0, 0.0) } else { (item.low, item.high) };
            Probability { p: item.p, low, high, exact: None }
        };
        LossDifference {
            a,
            b,
            difference: difference_report(self.paired.mean_difference()),
            relative: self.paired.relative_difference().map(difference_report),
            a_loses_more: share(self.a_more),
            b_loses_more: share(self.b_more),
        }
    }
}

fn difference_report(of: paired::PairedDifference) -> Difference {
    Difference { value: of.value, low: of.low, high: of.high }
}

/// Returns exactly 0 where nothing that is simulated differs.
fn event_difference(of: &PairedEvent, identical: bool) -> Difference {
    if identical { Difference::default() } else { difference_report(of.probability_difference()) }
}

/// The places of calls by their names; further ones of the same name are numbered.
fn calls_by_name(topology: &Topology) -> BTreeMap<(String, String, u32), usize> {
    let mut places = BTreeMap::new();
    for (index, (caller, declared_dependency)) in topology.declared_dependencies().enumerate() {
        let (caller, on) =
            (topology.caller_name(caller), topology.dependency_name(declared_dependency));
        let number =
            // One caller may have several dependencies on the same callee.
            (0..=u32::MAX).find(|n| !places.contains_key(&(caller.clone(), on.clone(), *n)));
        places.insert((caller, on, number.expect("numbers do not end")), index);
    }
    places
}

impl ComparedPair {
    fn new(a: &Side<'_>, b: &Side<'_>, metric: Metric) -> Self {
        let units = |topology: &Topology| {
            topology.services.len()
                + topology.services.iter().map(|service| service.endpoints.len()).sum::<usize>()
        };
        let first = [units(a.topology), units(b.topology)];
        let has_time = !a.change.is_moment() && !b.change.is_moment();
        let flows = a.topology.flows.iter().enumerate().filter_map(|(index, flow)| {
            let other = b.topology.flows.iter().position(|item| item.name == flow.name)?;
            let has_rates = flow.rate.is_some() && b.topology.flows[other].rate.is_some();
            Some(FlowCounts {
                name: flow.name.clone(),
                at: [index, other],
                unit: [first[0] + index, first[1] + other],
                failed: PairedEvent::default(),
                degraded: PairedEvent::default(),
                share: Paired::default(),
                lost: (has_time && has_rates).then(Loss::default),
            })
        });
        let services = a.topology.services.iter().enumerate().filter_map(|(index, service)| {
            let other = b.topology.service_id(&service.name)?.0 as usize;
            Some(ServiceCounts {
                name: service.name.clone(),
                at: [index, other],
                failed: PairedEvent::default(),
                shares: [0.0; 2],
            })
        });
        let (of_a, of_b) = (calls_by_name(a.topology), calls_by_name(b.topology));
        let mut names: Vec<_> = of_a.keys().chain(of_b.keys()).collect();
        names.sort();
        names.dedup();
        let call = |name: &(String, String, u32)| CallCounts {
            caller: name.0.clone(),
            dependency: name.1.clone(),
            at: [of_a.get(name).copied(), of_b.get(name).copied()],
            only: [0; 2],
            by: [[0; Protection::ALL.len()]; 2],
        };
        Self {
            metric,
            flows: flows.collect(),
            services: services.collect(),
            calls: names.into_iter().map(call).collect(),
            total: Loss::default(),
        }
    }

    fn add_outcomes(&mut self, a: &Outcome, b: &Outcome) {
        // A last chunk may hold fewer than 64 trials.
        let valid = a.valid & b.valid;
        for flow in &mut self.flows {
            let (x, y) = (&a.units[flow.unit[0]], &b.units[flow.unit[1]]);
            flow.failed.add_trials(valid, x.failed, y.failed);
            flow.degraded.add_trials(valid, x.degraded, y.degraded);
        }
        for service in &mut self.services {
            let (x, y) = (&a.units[service.at[0]], &b.units[service.at[1]]);
            service.failed.add_trials(valid, x.failed, y.failed);
            service.shares[0] += x.share;
            service.shares[1] += y.share;
        }
        for trial in (0..TRIALS).filter(|trial| valid >> trial & 1 == 1) {
            let mut all = [0.0; 2];
            let count = self.flows.len().max(1) as f64;
            for flow in &mut self.flows {
                let (x, y) = (&a.flows[flow.at[0]], &b.flows[flow.at[1]]);
                flow.share.add_trial(x.share[trial], y.share[trial]);
                if let Some(lost) = &mut flow.lost {
                    lost.add_trial(x.lost[trial], y.lost[trial]);
                }
                if self.metric == Metric::FailingShare {
                    all[0] += x.share[trial] / count;
                    all[1] += y.share[trial] / count;
                } else if flow.lost.is_some() {
                    all[0] += x.lost[trial];
                    all[1] += y.lost[trial];
                }
            }
            self.total.add_trial(all[0], all[1]);
        }
        self.add_calls(valid, [a, b]);
    }

    fn add_calls(&mut self, valid: u64, outcomes: [&Outcome; 2]) {
        let seen = outcomes.map(|outcome| {
            outcome
                .dependencies
                .iter()
                .map(|dependency| (dependency.dependency.index(), dependency))
                .collect::<BTreeMap<_, _>>()
        });
        for call in &mut self.calls {
            for (side, other) in [(0, 1), (1, 0)] {
                let Some(here) = call.at[side].and_then(|at| seen[side].get(&at)) else { continue };
                let there = match call.at[other] {
                    // A call that the other side lacks cannot hold anything there, so all trials
                    // count.
                    None => u64::MAX,
                    Some(at) => seen[other].get(&at).map_or(0, |seen| seen.passed),
                };
                for (count, held) in call.by[side].iter_mut().zip(here.held) {
                    let trials = u64::from((held & there & valid).count_ones());
                    // What one side held and the other side let pass.
                    *count += trials;
                    call.only[side] += trials;
                }
            }
        }
    }

    fn pair_report(
        &self,
        sides: [&Side<'_>; 2],
        results: [&SideReport; 2],
        identical: bool,
    ) -> PairReport {
        let trials = self.total.trials.max(1) as f64;
        let flows = self.flows.iter().map(|flow| FlowDifference {
            name: flow.name.clone(),
            failed: event_difference(&flow.failed, identical),
            degraded: event_difference(&flow.degraded, identical),
            failing_share: difference_report(flow.share.mean_difference()),
            orders_lost: flow.lost.as_ref().map(|lost| lost.loss_report(identical)),
        });
        // Only clear differences are listed: hundreds of services with none would hide them.
        let differing = self.services.iter().filter(|service| service.failed.is_different());
        let mut services: Vec<UnitDifference> = differing
            .map(|service| UnitDifference {
                name: service.name.clone(),
                failed: event_difference(&service.failed, identical),
                failing_share: (service.shares[1] - service.shares[0]) / trials,
            })
            .collect();
        services.arrange_by(|a, b| {
            b.failed.value.abs().total_cmp(&a.failed.value.abs()).then_with(|| a.name.cmp(&b.name))
        });
        let points = |of: usize, but: usize| {
            single_points::only_in(&results[of].single_points, &results[but].single_points)
        };
        let mut report = PairReport {
            a: sides[0].name.clone(),
            b: sides[1].name.clone(),
            identical,
            verdict: String::new(),
            total: self.total.loss_report(identical),
            flows: flows.collect(),
            services,
            only_a_contains: self.only_contained(0, trials),
            only_b_contains: self.only_contained(1, trials),
            single_points_gained: points(1, 0),
            single_points_lost: points(0, 1),
            only_in_a: only_in(sides[0].topology, sides[1].topology),
            only_in_b: only_in(sides[1].topology, sides[0].topology),
        };
        report.verdict = verdict_sentence(&report, self.metric);
        report
    }

    /// The calls at which only one side contains failure, most often first.
    fn only_contained(&self, side: usize, trials: f64) -> Vec<OnlyContained> {
        let mut found: Vec<OnlyContained> = self
            .calls
            .iter()
            .filter(|call| call.only[side] > 0)
            .map(|call| OnlyContained {
                caller: call.caller.clone(),
                dependency: call.dependency.clone(),
                share: call.only[side] as f64 / trials,
                in_both: call.at[1 - side].is_some(),
                by: Protection::ALL
                    .iter()
                    .zip(call.by[side])
                    .filter(|(_, count)| *count > 0)
                    .map(|(guard, count)| (report::Protection::from(*guard), count as f64 / trials))
                    .collect(),
            })
            .collect();
        found.arrange_by(|a, b| b.share.total_cmp(&a.share));
        found
    }
}

/// Services and flows that only the first topology has.
fn only_in(a: &Topology, b: &Topology) -> Vec<String> {
    let services = a.services.iter().filter(|service| b.service_id(&service.name).is_none());
    let flows = a.flows.iter().filter(|flow| b.flows.iter().all(|other| other.name != flow.name));
    services
        .map(|service| service.name.clone())
        .chain(flows.map(|flow| flow.name.clone()))
        .collect()
}

/// The difference in a sentence.
fn verdict_sentence(report: &PairReport, metric: Metric) -> String {
    let (a, b) = (&report.a, &report.b);
    if report.identical {
        return format!("{b} is identical to {a}: no trial can differ.");
    }
    let mut said = losses_sentence(report, metric);
    for (verb, points) in
        [("adds", &report.single_points_gained), ("removes", &report.single_points_lost)]
    {
        let noun = match points.len() {
            0 => continue,
            1 => "one single point of failure".to_owned(),
            many => format!("{many} single points of failure"),
        };
        said.push_str(&format!("; it {verb} {noun}: {}", points.join(", ")));
    }
    said.push('.');
    said
}

/// How much more or less the second side loses.
fn losses_sentence(report: &PairReport, metric: Metric) -> String {
    let (a, b, total) = (&report.a, &report.b, &report.total);
    let (fewer, what) =
        if metric == Metric::OrdersLost { ("fewer", "orders") } else { ("less", "of its flows") };
    // If the interval holds 0, either side may lose more.
    if !total.difference.is_clear() {
        return format!(
            "{b} loses neither more nor {fewer} {what} than {a}, as far as can be told"
        );
    }
    if total.b == 0.0 {
        return format!("{b} loses none of what {a} loses");
    }
    let Some(by) = total.relative else {
        return format!("{b} loses {what} where {a} loses next to none");
    };
    let percent = |share: f64| format!("{:.0}", share.abs() * 100.0);
    let (word, near, far) =
        if by.value < 0.0 { (fewer, by.high, by.low) } else { ("more", by.low, by.high) };
    let (value, near, far) = (percent(by.value), percent(near), percent(far));
    format!("{b} loses {value}% {word} {what} than {a} ({near} to {far}%)")
}
