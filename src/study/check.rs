//! Whether to ship: a verdict by limits.

use crate::compile::compile;
use crate::engine::{Progress, Simulation, Tally};
use crate::model::{Change, Topology};
use crate::report::{LimitReport, Report, Verdict};
use crate::summary::{Summary, estimate, summarize};

use super::simulate::{self, Offset, Settings, Stop};

/// A limit that a figure of a flow must not exceed.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// The number of the flow in the topology.
    pub flow: u32,
    /// Which figure.
    pub measure: Measure,
    /// At most this.
    pub at_most: f64,
}

/// A figure of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// The probability that it fails.
    Failed,
    /// Orders lost on average.
    Lost,
}

/// The trials that a limit which is hard to decide may cost at the most.
const MAX_TRIALS: u64 = 1_000_000;

/// Simulates a change and says whether to ship it under these limits.
///
/// Trials go on until every limit lies outside the 95% interval of its figure, or the most that are
/// allowed have been run; what is then still open is `undecided`, and the verdict `caution`.
pub fn check(
    topology: &Topology,
    change: &Change,
    limits: &[Limit],
    settings: &Settings,
    progress: &dyn Progress,
) -> Report {
    let plan = compile(topology, change, settings.lasting);
    let simulation = Simulation::new(&plan, settings.seed);
    let (mut tally, is_partial) = simulate::run(&plan, &simulation, settings.stop, progress);
    let max_trials = match settings.stop {
        Stop::Trials(trials) => trials.max(MAX_TRIALS),
        Stop::Precision { max_trials, .. } => max_trials,
    };
    let mut summary = summarize(&tally);
    while tally.trials < max_trials
        && !progress.is_cancelled()
        && outcomes(topology, &tally, &summary, limits).iter().any(|it| it.outcome == UNDECIDED)
    {
        extend(&simulation, &mut tally, max_trials, progress);
        summary = summarize(&tally);
    }
    let mut report = simulate::report(topology, change, settings, &simulation, &summary);
    simulate::add_exact(topology, &plan, &mut report);
    report.partial = is_partial || progress.is_cancelled();
    report.unknowns =
        super::unknowns::find(topology, change, settings, &summary, super::unknowns::REPORTED);
    report.stories = simulate::stories(topology, change, &simulation, &tally);
    report.verdict = Some(verdict(&report, outcomes(topology, &tally, &summary, limits)));
    report
}

/// Doubles the trials.
fn extend<'a>(
    simulation: &'a Simulation<'a>,
    tally: &mut Tally,
    max_trials: u64,
    progress: &dyn Progress,
) {
    let done = tally.trials;
    let next = (done * 2).clamp(1, max_trials);
    simulation.run(done..next, tally, &Offset { progress, done });
}

const HELD: &str = "held";
const EXCEEDED: &str = "exceeded";
const UNDECIDED: &str = "undecided";

fn outcomes(
    topology: &Topology,
    tally: &Tally,
    summary: &Summary,
    limits: &[Limit],
) -> Vec<LimitReport> {
    let first = summary.units.len() - topology.flows.len();
    let one = |limit: &Limit| {
        let flow = &topology.flows[limit.flow as usize].name;
        let (name, value, low, high) = match limit.measure {
            Measure::Failed => {
                let counted = tally.units[first + limit.flow as usize].failed;
                let it = estimate::proportion(counted, tally.trials);
                (format!("{flow} fails"), it.p, it.low, it.high)
            }
            Measure::Lost => {
                let lost = summary.flows[limit.flow as usize].as_ref().map(|losses| losses.lost);
                let lost = lost.map(|it| (it.mean, it.mean_interval.0, it.mean_interval.1));
                let (mean, low, high) = lost.unwrap_or((0.0, 0.0, f64::INFINITY));
                (format!("{flow} loses orders"), mean, low, high)
            }
        };
        let at_most = limit.at_most;
        // Nothing can exceed a limit of everything, however wide the interval.
        let is_vacuous = limit.measure == Measure::Failed && at_most >= 1.0;
        let outcome = match () {
            () if high <= at_most || is_vacuous => HELD,
            () if low > at_most => EXCEEDED,
            () => UNDECIDED,
        };
        LimitReport { name, limit: at_most, value, low, high, outcome: outcome.to_owned() }
    };
    limits.iter().map(one).collect()
}

fn verdict(report: &Report, limits: Vec<LimitReport>) -> Verdict {
    let with = |outcome: &str| limits.iter().any(|limit| limit.outcome == outcome);
    let undecided = with(UNDECIDED) || report.partial;
    let decision = match () {
        () if with(EXCEEDED) => "stop",
        () if undecided => "caution",
        () => "proceed",
    };
    let mut reasons: Vec<String> = [EXCEEDED, UNDECIDED, HELD]
        .iter()
        .flat_map(|outcome| limits.iter().filter(move |limit| limit.outcome == *outcome))
        .map(reason)
        .collect();
    if report.partial {
        reasons.push("the simulation was interrupted before it was certain".to_owned());
    }
    if limits.is_empty() {
        reasons.push("no limit was given, so nothing can be exceeded".to_owned());
    }
    Verdict {
        decision: decision.to_owned(),
        reasons,
        undecided,
        limits,
        policy: None,
        rules: Vec::new(),
        test: None,
    }
}

fn reason(limit: &LimitReport) -> String {
    let is_share = limit.name.ends_with("fails");
    let show = |value: f64| {
        if is_share { format!("{:.1}%", value * 100.0) } else { format!("{value:.0}") }
    };
    let (low, high) = (show(limit.low), show(limit.high));
    let (value, at_most) = (show(limit.value), show(limit.limit));
    match limit.outcome.as_str() {
        EXCEEDED => {
            format!("{}: {value} ({low} to {high}), over the limit of {at_most}", limit.name)
        }
        HELD => format!("{}: {value} ({low} to {high}), within the limit of {at_most}", limit.name),
        _ => format!(
            "{}: {value} ({low} to {high}), too close to the limit of {at_most} to tell: undecided",
            limit.name
        ),
    }
}
