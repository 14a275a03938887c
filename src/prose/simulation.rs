//! Sentences of a report: shared by everything that is read by people.

use super::format;
use super::terms;
use super::waiting;
use crate::report::{Decision, Metric, RoutingMode, RuleOutcome, UnknownKind};
use crate::report::{
    DependencyReport, Failures, Interval, Quantiles, Report, Spread, TargetReport, TimelineReport,
    TrialTrace, UnitReport, Unknown, Verdict,
};
use crate::sort::Arrange as _;

/// From this share of trials on something is worth a line of its own.
pub(crate) const HIT: f64 = 0.01;
/// How many services are named that changed files belong to.
const SERVICES_OF_FILES: usize = 6;
/// How many changed files are named that belong to no service.
const UNMATCHED: usize = 3;

/// How a form of text writes what differs between forms.
pub(crate) struct Wording {
    /// A name made harmless.
    pub(crate) name: fn(&str) -> String,
    /// From a caller to its dependency.
    pub(crate) arrow: &'static str,
}

impl Wording {
    /// `caller → dependency`.
    pub(crate) fn call(&self, caller: &str, dependency: &str) -> String {
        format!("{} {} {}", (self.name)(caller), self.arrow, (self.name)(dependency))
    }

    /// Between the ends of an interval: a plain one where arrows are.
    pub(crate) fn dash(&self) -> &'static str {
        if self.arrow == "->" { "-" } else { "–" }
    }

    fn names(&self, names: &[String], joint: &str) -> String {
        let names: Vec<String> = names.iter().map(|name| (self.name)(name)).collect();
        format::list(&names, joint, 3)
    }
}

/// Returns whether a verdict asks for caution only because something is undecided.
pub(crate) fn is_open(verdict: &Verdict) -> bool {
    let fired = verdict.rules.iter().any(|rule| rule.outcome == RuleOutcome::Fired);
    verdict.decision == Decision::Caution && verdict.undecided && !fired
}

/// Whether that is still to be said, since the first reason does not.
pub(crate) fn is_silently_open(verdict: &Verdict) -> bool {
    // The gate writes its reasons as sentences, so the word in one tells that it is said.
    let is_said = verdict.reasons.first().is_some_and(|reason| reason.contains("undecided"));
    is_open(verdict) && !is_said
}

/// Returns what happens, in a few sentences: what the worst flow loses because of the change, and how many
/// more are hit.
pub(crate) fn headline(report: &Report, wording: &Wording) -> String {
    if report.targets.is_empty() {
        return match &report.files {
            Some(_) => "Nothing breaks, so nothing fails because of it.".to_owned(),
            None => steady_state_sentence(report, wording),
        };
    }
    let cause = cause_clause(report, wording);
    let Some(flow) = headline_flow(&report.flows) else {
        let failing =
            report.services.iter().filter(|service| service.caused.failed.p >= HIT).count();
        let all = format::plural(report.services.len(), "service");
        return format!("{cause}, {failing} of {all} can fail; no flow is defined.");
    };
    if !is_hit(flow) {
        let untouched = format!("{cause}, {}.", untouched_sentence(report, wording));
        let late = waiting::late_flows(&report.flows, wording);
        return [Some(untouched), late].into_iter().flatten().collect::<Vec<_>>().join(" ");
    }
    let mut sentences = vec![format!("{cause}, {}.", impact_sentence(flow, wording))];
    sentences.extend(failing_extent(flow));
    sentences.extend(total_sentence(report, flow));
    sentences.extend(other_flows(report, flow, wording));
    sentences.extend(waiting::late_flows(&report.flows, wording));
    sentences.join(" ")
}

/// Returns what the change does to a flow: the outage minutes that it loses, or without time how often
/// it fails.
fn impact_sentence(flow: &UnitReport, wording: &Wording) -> String {
    let name = (wording.name)(&flow.name);
    // An average of nothing is not a loss.
    let lost = flow.orders_lost.as_ref().filter(|lost| lost.mean > 0.0);
    let Some(minutes) = flow.lost.as_ref().filter(|lost| lost.mean > 0.0) else {
        let costs =
            lost.map_or_else(String::new, |lost| format!(" and loses {}", orders_text(lost)));
        let what = match flow.caused.failed.p {
            failed if failed <= 0.0 => {
                format!("is degraded {}", frequency_text(&flow.caused.degraded))
            }
            _ => format!("fails {}", frequency_text(&flow.caused.failed)),
        };
        return format!("{name} {what}{costs}");
    };
    let budget = flow.budget.as_ref().map_or_else(String::new, |budget| {
        let window = flow.objective.as_ref().map_or(0.0, |objective| objective.window_s);
        format!(", {} its {}error budget", ratio_text(budget.mean), format::window_name(window))
    });
    let costs = lost.map_or_else(String::new, |lost| {
        format!(", and {} {}", format::mean(lost), order_noun(lost))
    });
    format!("{name} loses {}{budget}{costs}", outage_text(minutes))
}

/// Returns how far a flow fails where that is not said by what it loses.
fn failing_extent(flow: &UnitReport) -> Option<String> {
    let is_timed = flow.lost.as_ref().is_some_and(|lost| lost.mean > 0.0);
    let failing = format::percent(flow.failing_share);
    let how = match flow.caused.failed.p {
        failed if failed > 0.0 && is_timed => {
            format!("It fails {}", frequency_text(&flow.caused.failed))
        }
        failed if failed <= 0.0 && flow.failing_share > 0.0 => {
            format!("At the worst moment {failing} of its requests fail")
        }
        _ => String::new(),
    };
    let anyway = (flow.baseline.failed.p >= HIT)
        .then(|| format!("{} anyway", frequency_text(&flow.baseline.failed)));
    match (how.is_empty(), anyway) {
        (true, None) => None,
        (true, Some(anyway)) => Some(format!("It fails {anyway}.")),
        (false, None) => Some(format!("{how}.")),
        (false, Some(anyway)) => Some(format!("{how} because of this, and {anyway}.")),
    }
}

/// Returns that no flow is hit, and how sure that is.
fn untouched_sentence(report: &Report, wording: &Wording) -> String {
    let is_target = |name: &str| {
        report.targets.iter().any(|target| target.name.split('/').next() == Some(name))
    };
    let others = report.services.iter().filter(|service| !is_target(&service.name));
    let what = match others.filter(|service| service.caused.degraded.p > 0.0).count() {
        0 => "nothing fails because of it",
        _ => "no flow fails because of it",
    };
    let is_known = report.flows.iter().all(|flow| flow.caused.degraded.exact.is_some());
    let anyway = report.flows.iter().find(|flow| flow.baseline.failed.p >= HIT).map(|flow| {
        let (name, often) = ((wording.name)(&flow.name), frequency_text(&flow.baseline.failed));
        format!("; {name} fails {often} anyway")
    });
    let seen = if is_known || report.trials == 0 {
        String::new()
    } else {
        // None of so many trials: the upper end of a 95% interval is three of them ("rule of three").
        let fewest = (report.trials as f64 / 3.0).max(1.0);
        format!(" (below 1 in {} simulated rollouts)", format::count(fewest.floor()))
    };
    format!("{what}{seen}{}", anyway.unwrap_or_default())
}

/// Returns how a topology fares without any change: each flow against its objective.
fn steady_state_sentence(report: &Report, wording: &Wording) -> String {
    let share = |flow: &UnitReport| flow.failed.exact.unwrap_or(flow.failed.p);
    let allowed = |flow: &UnitReport| {
        flow.objective.as_ref().map_or(1.0, |objective| 1.0 - objective.availability)
    };
    // Compared with what the objective allows: 0.1% is much for one flow and little for another.
    let excess = |flow: &UnitReport| share(flow) / allowed(flow).max(1e-12);
    let mut flows: Vec<&UnitReport> = report.flows.iter().collect();
    flows.arrange_by(|a, b| {
        // Critical flows come first, however much another one misses its objective.
        let key = |flow: &UnitReport| (flow.critical == Some(true), excess(flow));
        key(b).partial_cmp(&key(a)).expect("shares are numbers").then_with(|| a.name.cmp(&b.name))
    });
    let Some(worst) = flows.first() else {
        return "Without any change: no flow is defined, so nothing is held to an objective."
            .to_owned();
    };
    let name = (wording.name)(&worst.name);
    let available = format::percent(1.0 - share(worst));
    let objective = format::stated_share(1.0 - allowed(worst));
    let verb = if share(worst) > allowed(worst) { "misses" } else { "keeps" };
    // The worst is named already.
    let missed = flows.iter().skip(1).filter(|flow| share(flow) > allowed(flow)).count();
    let more = match missed {
        0 => String::new(),
        missed => {
            let verb = if missed == 1 { "misses its" } else { "miss their" };
            format!(" {} more {verb} objective.", format::plural(missed, "flow"))
        }
    };
    format!(
        "Without any change, {name} is available {available} of the time and {verb} its objective of \
         {objective}.{more}"
    )
}

/// Returns the failures of a unit that tables lead with: those because of the change, or without a change
/// all of them.
pub(crate) fn leading_failures(report: &Report, unit: &UnitReport) -> Failures {
    if report.targets.is_empty() {
        Failures { failed: unit.failed, degraded: unit.degraded }
    } else {
        unit.caused
    }
}

/// Returns how often a unit fails anyway, for a column of its own; empty where that is hardly ever, or
/// where nothing is changed.
pub(crate) fn baseline_cell(report: &Report, unit: &UnitReport) -> String {
    if report.targets.is_empty() || unit.baseline.failed.p < HIT {
        return String::new();
    }
    format::estimate(&unit.baseline.failed)
}

/// Returns the head of that column; empty where it would be empty.
pub(crate) fn baseline_head(report: &Report) -> &'static str {
    let units = report.flows.iter().chain(&report.services);
    if units.into_iter().any(|unit| !baseline_cell(report, unit).is_empty()) {
        "anyway"
    } else {
        ""
    }
}

/// Whether the change does anything to a flow.
fn is_hit(flow: &UnitReport) -> bool {
    flow.caused.degraded.p > 0.0 || flow.lost.is_some_and(|lost| lost.mean > 0.0)
}

/// Returns the flow to speak of: of the critical ones, or of all where none of those is hit, the one that
/// loses most of its error budget.
fn headline_flow(flows: &[UnitReport]) -> Option<&UnitReport> {
    let loss = |flow: &UnitReport| flow.budget.as_ref().map_or(0.0, |budget| budget.mean);
    let key = |flow: &UnitReport| {
        // A critical flow that is not hit says nothing of the change.
        (is_hit(flow) && flow.critical == Some(true), loss(flow), flow.caused.failed.p)
    };
    let worse = |best: &&UnitReport, flow: &&UnitReport| {
        // Only a greater one takes the place, so that of equal flows the first in the topology is
        // named.
        key(flow).partial_cmp(&key(best)) == Some(std::cmp::Ordering::Greater)
    };
    let mut found = flows.first()?;
    for flow in flows {
        if worse(&found, &flow) {
            found = flow;
        }
    }
    Some(found)
}

fn frequency_text(estimate: &Interval) -> String {
    // "In 100% of simulations" reads as if it were rounded.
    if estimate.exact.unwrap_or(estimate.p) >= 1.0 {
        return "in every simulation".to_owned();
    }
    format!("in {} of simulations", format::estimate(estimate))
}

/// Returns outage minutes: `12 outage minutes on average (1 in 20: 60 or more)`.
fn outage_text(minutes: &Quantiles) -> String {
    let mean = format::mean(minutes);
    let noun = if mean == "1" { "outage minute" } else { "outage minutes" };
    match tail_text(minutes) {
        Some(tail) => format!("{mean} {noun} on average ({tail})"),
        None => format!("{mean} {noun}"),
    }
}

/// Returns orders: `5,100 orders on average (1 in 20: 14,000 or more)`.
fn orders_text(lost: &Quantiles) -> String {
    let (mean, noun) = (format::mean(lost), order_noun(lost));
    match tail_text(lost) {
        Some(tail) => format!("{mean} {noun} on average ({tail})"),
        None => format!("{mean} {noun}"),
    }
}

fn order_noun(lost: &Quantiles) -> &'static str {
    if format::mean(lost) == "1" { "order" } else { "orders" }
}

/// Returns the first quantile that is more than the mean; `None` where all trials are alike.
fn tail_text(of: &Quantiles) -> Option<String> {
    let tail = [("1 in 20", of.p95), ("1 in 100", of.p99), ("at worst", of.max)];
    // A quantile that is hardly above the mean would only repeat it.
    let (how_often, value) = tail.into_iter().find(|(_, value)| *value > of.mean * 1.05)?;
    let value = format::quantile(value, of);
    Some(match how_often {
        "at worst" => format!("at worst {value}"),
        _ => format!("{how_often}: {value} or more"),
    })
}

/// Returns how much of something a share is: `9.3% of`, `12.6 times`.
fn ratio_text(share: f64) -> String {
    if share < 2.0 {
        format!("{} of", format::percent_of(share))
    } else {
        format!("{} times", format::digits(share, 3))
    }
}

/// Returns which other flows are hit: `Also failing: rewards (11%) and browse (3%).`
fn other_flows(report: &Report, headline: &UnitReport, wording: &Wording) -> Vec<String> {
    let others = || report.flows.iter().filter(|flow| !std::ptr::eq(*flow, headline));
    let named = |flows: Vec<&UnitReport>, of: fn(&UnitReport) -> &Interval| {
        let named = |flow: &&UnitReport| {
            format!("{} ({})", (wording.name)(&flow.name), format::estimate(of(flow)))
        };
        format::list(&flows.iter().map(named).collect::<Vec<_>>(), "and", 2)
    };
    let failing: Vec<_> = others().filter(|flow| flow.caused.failed.p >= HIT).collect();
    let degraded: Vec<_> = others()
        .filter(|flow| flow.caused.failed.p < HIT && flow.caused.degraded.p >= HIT)
        .collect();
    let mut sentences = Vec::new();
    if !failing.is_empty() {
        sentences.push(format!("Also failing: {}.", named(failing, |flow| &flow.caused.failed)));
    }
    if !degraded.is_empty() {
        sentences
            .push(format!("Also degraded: {}.", named(degraded, |flow| &flow.caused.degraded)));
    }
    sentences
}

/// Returns the loss of all flows together, where that is more than what the headline says already.
fn total_sentence(report: &Report, headline: &UnitReport) -> Option<String> {
    let total = report.total.as_ref().filter(|total| total.orders_lost.mean > 0.0)?;
    let own = headline.orders_lost.as_ref().map_or(0.0, |lost| lost.mean);
    // Where the other flows lose so little that the figures look the same, they would only be repeated.
    let is_said = headline
        .orders_lost
        .as_ref()
        .is_some_and(|orders_lost| orders_text(orders_lost) == orders_text(&total.orders_lost));
    // More than rounding errors.
    (total.orders_lost.mean > own * (1.0 + 1e-9) && !is_said)
        .then(|| format!("All flows together lose {}.", orders_text(&total.orders_lost)))
}

fn cause_clause(report: &Report, wording: &Wording) -> String {
    let targets = &report.targets;
    // A break that is asked for is named by what breaks; a change by its own name.
    let is_certain = targets.iter().all(|target| target.probability >= 1.0);
    let what = if targets.is_empty() || !is_certain {
        format!("{} breaks", (wording.name)(&report.change))
    } else {
        let names: Vec<String> = targets.iter().map(|target| target.name.clone()).collect();
        let verb = break_verb(targets, targets.len() == 1);
        format!("{} {verb}", wording.names(&names, "and"))
    };
    match report.timeline.lasting_s {
        Some(lasting) if lasting > 0.0 => {
            format!("{} after {what}", format::duration(lasting))
        }
        _ => format!("If {what}"),
    }
}

/// Returns the verb for targets that all break in the same way.
fn break_verb(targets: &[TargetReport], is_one: bool) -> &'static str {
    let mode_of = |target: &TargetReport| {
        let mut modes = target.modes.keys();
        let first = modes.next().copied();
        // A target that may break in several ways has no verb of its own.
        if modes.next().is_none() { first } else { None }
    };
    let mode = targets.first().and_then(mode_of);
    let is_common = targets.iter().all(|target| mode_of(target) == mode);
    let [one, many] = terms::mode_verbs(mode.filter(|_| is_common));
    if is_one { one } else { many }
}

/// The same multiplied by the chance that the change breaks at all; nothing for a certain break.
pub(crate) fn per_rollout_sentence(report: &Report, wording: &Wording) -> Option<String> {
    let probability = report.failure_probability;
    // A certain break is no rollout, and multiplying by 1 would repeat the figures.
    if probability >= 1.0 {
        return None;
    }
    let often = format!("The change breaks in {} of rollouts", format::stated_share(probability));
    let flow = headline_flow(&report.flows).filter(|flow| is_hit(flow));
    let figures = flow.and_then(|flow| {
        let of = flow.per_rollout.as_ref()?;
        let lost = report.total.as_ref().map(|total| total.per_rollout.mean);
        let lost = lost.filter(|lost| *lost > 0.0).map_or_else(String::new, |lost| {
            let rough = format::two_digits(lost);
            let (noun, is) = if rough == "1" { ("order", "is") } else { ("orders", "are") };
            format!(" and {rough} {noun} {is} lost on average")
        });
        let name = (wording.name)(&flow.name);
        let caused = &of.caused.failed;
        let share = format::percent(caused.exact.unwrap_or(caused.p));
        Some(format!("over all of them, {name} fails because of it in {share}{lost}"))
    });
    Some(figures.map_or_else(|| format!("{often}."), |figures| format!("{often}: {figures}.")))
}

/// Something that a reader must not overlook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alarm {
    Metastable,
    NeverRecovers,
    Unsettled,
}

impl Alarm {
    /// Returns the names of the services that the alarm is about.
    fn services(self, report: &Report) -> &[String] {
        match self {
            Self::Metastable => &report.metastable,
            Self::NeverRecovers => &report.never_recovers,
            Self::Unsettled => &report.unsettled,
        }
    }

    /// Returns the predicate for one service, and for several.
    fn predicates(self) -> [&'static str; 2] {
        match self {
            Self::Metastable => [
                "stays overloaded after the cause is gone, in some simulations.",
                "stay overloaded after the cause is gone, in some simulations.",
            ],
            Self::NeverRecovers => [
                "does not recover without help, in some simulations.",
                "do not recover without help, in some simulations.",
            ],
            Self::Unsettled => [
                "does not settle in some simulations: do not trust its figures.",
                "do not settle in some simulations: do not trust their figures.",
            ],
        }
    }
}

impl std::fmt::Display for Alarm {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Metastable => "Metastable",
            Self::NeverRecovers => "Never recovers",
            Self::Unsettled => "Unsettled",
        })
    }
}

/// Returns the alarms of a report, each with its sentence.
pub(crate) fn alarms(report: &Report, wording: &Wording) -> Vec<(Alarm, String)> {
    let sentence = |alarm: Alarm| {
        let services = alarm.services(report);
        let [one, many] = alarm.predicates();
        let names: Vec<String> = services.iter().map(|name| (wording.name)(name)).collect();
        let predicate = if services.len() == 1 { one } else { many };
        format!("{} {predicate}", format::list(&names, "and", 5))
    };
    [Alarm::Metastable, Alarm::NeverRecovers, Alarm::Unsettled]
        .into_iter()
        .filter(|alarm| !alarm.services(report).is_empty())
        .map(|alarm| (alarm, sentence(alarm)))
        .collect()
}

/// Which services the changed files belong to.
pub(crate) fn files_sentence(report: &Report, wording: &Wording) -> Option<String> {
    let files = report.files.as_ref()?;
    let all = format::plural(files.files as usize, "changed file");
    let mut parts: Vec<String> = files
        .services
        .iter()
        .take(SERVICES_OF_FILES)
        .map(|service| {
            format!("{} of {}", format::count(service.files as f64), (wording.name)(&service.name))
        })
        .collect();
    let more = files.services.len().saturating_sub(SERVICES_OF_FILES);
    if more > 0 {
        parts.push(format!("others of {}", format::plural(more, "more service")));
    }
    if files.ignored > 0 {
        let count = format::count(files.ignored as f64);
        parts.push(format!("{count} said to belong to no service"));
    }
    if files.unmatched > 0 {
        let first = files
            .first_unmatched
            .iter()
            .take(UNMATCHED)
            .map(|first_unmatched| (wording.name)(first_unmatched));
        let mut names: Vec<String> = first.collect();
        // Two dots and not an ellipsis: the text may hold only ASCII.
        if files.unmatched > names.len() as u64 {
            names.push("..".to_owned());
        }
        let count = format::count(files.unmatched as f64);
        parts.push(format!("{count} of no service ({})", names.join(", ")));
    }
    let kind = files.guessed_kind.as_ref();
    let kind = kind.map_or_else(String::new, |kind| format!("; kind {kind}, guessed"));
    Some(if parts.is_empty() { all } else { format!("{all}: {}{kind}", parts.join(", ")) })
}

/// Returns that fewer trials were run than asked for; a verdict says so itself.
pub(crate) fn interruption_note(report: &Report) -> Option<String> {
    if report.verdict.is_some() {
        return None;
    }
    report
        .partial
        .then(|| format!("Interrupted: these are the first {} only.", trials_text(report)))
}

fn trials_text(report: &Report) -> String {
    format::plural(usize::try_from(report.trials).unwrap_or(usize::MAX), "trial")
}

/// A dependency at which something was contained, strongest guard first.
pub(crate) struct ContainedCall<'a> {
    pub(crate) at: &'a DependencyReport,
    /// `fallback contained 56%, retry 5%`.
    pub(crate) guards: String,
}

/// Where failure was contained, most first.
pub(crate) fn contained_calls(report: &Report) -> Vec<ContainedCall<'_>> {
    let strongest =
        |dependency: &DependencyReport| dependency.contained.values().copied().fold(0.0, f64::max);
    let mut at: Vec<&DependencyReport> =
        report.dependencies.iter().filter(|dependency| strongest(dependency) > 0.0).collect();
    // The order as written decides between equals.
    at.arrange_by(|a, b| strongest(b).total_cmp(&strongest(a)));
    at.into_iter().map(|at| ContainedCall { at, guards: guards_text(at) }).collect()
}

fn guards_text(at: &DependencyReport) -> String {
    let mut guards: Vec<(&str, f64)> = at
        .contained
        .iter()
        .map(|(protection, share)| (terms::protection(*protection), *share))
        .collect();
    guards.arrange_by(|a, b| b.1.total_cmp(&a.1));
    let shown = guards.iter().enumerate().map(|(index, (guard, share))| {
        let verb = if index == 0 { " contained" } else { "" };
        format!("{guard}{verb} {}", format::percent(*share))
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// Where failure passed and nothing held it, most often first.
pub(crate) fn uncontained_calls(report: &Report) -> Vec<&DependencyReport> {
    let mut at: Vec<&DependencyReport> = report
        .dependencies
        .iter()
        .filter(|dependency| dependency.contained.is_empty() && dependency.passed >= HIT)
        .collect();
    at.arrange_by(|a, b| b.passed.total_cmp(&a.passed));
    at
}

/// The unknowns that would show in a rounded figure.
pub(crate) fn relevant_unknowns(report: &Report) -> Vec<&Unknown> {
    // Judged against the worst, so that an unknown which changes a rounded figure by nothing is
    // left out.
    let matters = |item: &&Unknown| item.worst - item.best > item.worst * HIT;
    report.unknowns.iter().filter(matters).collect()
}

/// `cart → search has no stated timeout: 120 to 5,100 orders lost on average`.
pub(crate) fn unknown_sentence(of: &Unknown, wording: &Wording) -> String {
    let subject = if of.dependency.is_empty() {
        (wording.name)(&of.caller)
    } else {
        wording.call(&of.caller, &of.dependency)
    };
    let range = if of.metric == Metric::OrdersLost {
        let (best, worst) = (format::digits(of.best, 3), format::digits(of.worst, 3));
        format!("{best} to {worst} orders lost on average")
    } else {
        let (best, worst) = (format::percent(of.best), format::percent(of.worst));
        format!("{best} to {worst} of requests fail, over all flows")
    };
    let is_pool = of.what == UnknownKind::PoolUse;
    let more = match of.others {
        0 => String::new(),
        1 if is_pool => " and 1 more pool".to_owned(),
        1 => " and 1 more call".to_owned(),
        others if is_pool => format!(" and {others} more pools"),
        others => format!(" and {others} more calls"),
    };
    let verb = if of.others == 0 { "has" } else { "have" };
    if is_pool {
        return format!("{subject}{more} {verb} no known pool use (rates or latencies): {range}");
    }
    format!("{subject}{more} {verb} no stated {}: {range}", of.what)
}

/// Who noticed, most often first: `an alert 71%, a gate 25%`.
pub(crate) fn detection_shares(course: &TimelineReport) -> Option<String> {
    let mut by: Vec<(&str, f64)> =
        course.detected_by.iter().map(|(who, share)| (terms::detector(*who), *share)).collect();
    by.arrange_by(|a, b| b.1.total_cmp(&a.1));
    let shown: Vec<String> = by
        .into_iter()
        .map(|(who, share)| match share {
            // The only one needs no share.
            _ if share >= 1.0 => who.to_owned(),
            share => format!("{who} {}", format::percent(share)),
        })
        .collect();
    (!shown.is_empty()).then(|| shown.join(", "))
}

/// A time or a share of the course, what it is called, and how it is written.
pub(crate) type CourseSpread = (&'static str, Option<Spread>, fn(f64) -> String);

/// Returns the items of a list that tell the course of a rollout: spreads, who noticed, the rollout itself,
/// and the rollouts that stand for others. A mean of times says little, since a few rollouts last very long.
pub(crate) fn course_items(
    report: &Report,
    spreads: &[CourseSpread],
    wording: &Wording,
) -> Vec<String> {
    let course = &report.timeline;
    let spreads = spreads.iter().filter_map(|(what, spread, show)| {
        let spread = (*spread)?;
        let (half, most) = (show(spread.p50), show(spread.p95));
        Some(format!("{what}: {half} in half of the simulations, {most} in 19 of 20"))
    });
    let noticed = detection_shares(course).map(|by| format!("noticed by {by}"));
    let rollout = rollout_text(course, wording).map(|rollout| format!("rollout {rollout}"));
    let examples = report.example_trials.iter().map(|example| {
        let label = example.label.as_str().replace(' ', "-");
        let sentence = trial_sentence(example, wording);
        format!("a {label} rollout (trial {}): {sentence}", example.trial)
    });
    spreads.chain(noticed).chain(rollout).chain(examples).collect()
}

/// The rollout as it was simulated: `canary: 1% for 10 min → 25% for 20 min → 100%`.
pub(crate) fn rollout_text(course: &TimelineReport, wording: &Wording) -> Option<String> {
    let stages: Vec<String> = course
        .stages
        .iter()
        .map(|stage| {
            let exposure = format::stated_share(stage.exposure);
            match stage.bake_s {
                Some(bake) => format!("{exposure} for {}", format::duration(bake)),
                None => exposure,
            }
        })
        .collect();
    let shown = match stages.as_slice() {
        [] => return None,
        // The ends of a long rollout and its first steps say most.
        [first, second, .., last] if stages.len() > 5 => {
            let more = format!("{} more", stages.len() - 3);
            [first, second, &more, last].map(String::as_str).join(&format!(" {} ", wording.arrow))
        }
        all => all.join(&format!(" {} ", wording.arrow)),
    };
    let is_sticky = course.routing == Some(RoutingMode::Sticky);
    let sticky = if is_sticky { ", users stay where they are" } else { "" };
    let strategy =
        course.strategy.as_ref().map_or_else(String::new, |strategy| format!("{strategy}: "));
    Some(format!("{strategy}{shown}{sticky}"))
}

/// How many of the lost orders went wrong unnoticed, and what all of them are worth.
pub(crate) fn losses_in_words(report: &Report, wording: &Wording) -> Vec<String> {
    let Some(total) = &report.total else { return Vec::new() };
    let wrong = report.flows.iter().filter_map(|flow| flow.wrong_orders.as_ref());
    let wrong: f64 = wrong.map(|wrong| wrong.mean).sum();
    let mut parts = Vec::new();
    if wrong > 0.0 {
        // Both are estimates, so the quotient may be slightly above 1.
        let share = format::percent((wrong / total.orders_lost.mean).min(1.0));
        parts.push(format!("{share} of them ({}) went wrong unnoticed", format::two_digits(wrong)));
    }
    let money = total.money_lost.iter().filter(|money| money.mean > 0.0).take(3);
    parts.extend(money.map(|money| {
        let mean = format::two_digits(money.mean);
        let currency = (wording.name)(&money.currency);
        // A tail that is hardly above the mean would only repeat it.
        let tail = money.p95.filter(|p95| *p95 > money.mean * 1.05);
        let tail = tail.map(|p95| format!(" (1 in 20: {} or more)", format::two_digits(p95)));
        let tail = tail.unwrap_or_default();
        format!("worth {mean} {currency} on average{tail}")
    }));
    parts
}

/// A trial in one sentence: `payments hangs; noticed after 16 min with 25% rolled out; last loss
/// after 1 h 40 min: 390 orders lost`.
pub(crate) fn trial_sentence(trial: &TrialTrace, wording: &Wording) -> String {
    let causes: Vec<String> = trial.causes.iter().map(|cause| (wording.name)(cause)).collect();
    let first = trial
        .steps
        .iter()
        .find(|step| step.events.iter().any(|event| trial.causes.contains(event)));
    let at = match first {
        Some(step) if step.from_s > 0.0 => format!(" after {}", format::duration(step.from_s)),
        _ => String::new(),
    };
    let cause = if causes.is_empty() {
        "nothing breaks".to_owned()
    } else {
        format::list(&causes, "and", 2)
    };
    let noticed = match trial.detected_s {
        Some(at) => {
            // The first step behind the notice tells how far the rollout had come by then.
            let step = trial.steps.iter().find(|step| step.from_s >= at);
            let exposure = step.map_or(0.0, |step| step.exposure);
            let (at, exposure) = (format::duration(at), format::percent(exposure));
            format!("noticed after {at} at {exposure} rolled out")
        }
        None => "never noticed".to_owned(),
    };
    let losing = trial
        .steps
        .iter()
        .rev()
        // From the end, since losses may stop and begin again.
        .find(|step| step.orders_lost.is_some_and(|orders_lost| orders_lost > 0.0));
    let until = losing.map(|step| format!("losses until {}", format::duration(step.until_s)));
    let lost = trial.orders_lost.map(|lost| format!("{} orders lost", format::two_digits(lost)));
    let late = trial.orders_late.filter(|late| *late >= 1.0);
    let late = late.map(|late| format!("{} orders late", format::two_digits(late)));
    let parts = [Some(format!("{cause}{at}")), Some(noticed), until, lost, late];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// Returns the footer: what was simulated, so that it can be repeated.
pub(crate) fn footer(report: &Report) -> String {
    let Report { seed, engine, tool_version, thresholds, .. } = report;
    let (failed, degraded) =
        (format::stated_share(thresholds.failed), format::stated_share(thresholds.degraded));
    format!(
        "{}, seed {seed}, {engine} engine, blastwave {tool_version}: simulated, not measured. Fails: \
         {failed} of requests or more; degraded: {degraded}.",
        trials_text(report)
    )
}
