//! From the trace of a trial to a report with names and sentences.

use super::waiting_reasons::ReasonNames;
use crate::compile::interventions::InterventionKind;
use crate::compile::plan::ServiceId;
use crate::engine::outcome::DetectedBy;
use crate::engine::trace::{Event, Trace, TraceStep};
use crate::model::Topology;
use crate::model::change::TargetRef;
use crate::prose::format;
use crate::report::trial_trace::{OverloadReport, StateReport, StepReport};
use crate::report::{TrialLabel, TrialTrace};
use crate::sort::Arrange as _;

/// Returns the trace of a trial with names in place of numbers, and with its events in words.
pub(super) fn trace_report(
    topology: &Topology,
    targets: &[TargetRef],
    trace: &Trace,
    trial: u64,
    label: TrialLabel,
) -> TrialTrace {
    let has_rate = topology.flows.iter().any(|flow| flow.rate.is_some());
    let names = TraceNames::new(topology, targets);
    let has_promise = topology.flows.iter().any(|flow| {
        let promised = flow.objective.and_then(|objective| objective.latency);
        flow.rate.is_some() && promised.is_some()
    });
    let lost: f64 = trace.steps.iter().map(|moment| moment.lost).sum();
    let late: f64 = trace.steps.iter().map(|moment| moment.late).sum();
    TrialTrace {
        label,
        trial,
        orders_lost: has_rate.then_some(lost),
        orders_late: has_promise.then_some(late),
        causes: names.cause_sentences(trace),
        detected_s: trace.steps.iter().find(|moment| is_detected(moment)).map(|step| step.from),
        steps: trace.steps.iter().map(|moment| names.step_report(moment, has_rate)).collect(),
    }
}

fn is_detected(moment: &TraceStep) -> bool {
    let is_notice =
        |event: &Event| matches!(event, Event::Detected(by) if !matches!(by, DetectedBy::Nobody));
    moment.events.iter().any(is_notice)
}

/// The names of what a tape refers to by number.
struct TraceNames<'a> {
    reasons: ReasonNames<'a>,
    units: Vec<String>,
    flows_from: usize,
    services: Vec<String>,
    targets: Vec<String>,
}

impl<'a> TraceNames<'a> {
    fn new(topology: &'a Topology, targets: &[TargetRef]) -> Self {
        let services: Vec<String> =
            topology.services.iter().map(|service| service.name.clone()).collect();
        let endpoints = topology.services.iter().flat_map(|service| {
            service.endpoints.iter().map(move |item| format!("{}/{}", service.name, item.name))
        });
        let mut units: Vec<String> = services.iter().cloned().chain(endpoints).collect();
        // Flows come behind services and endpoints, as among the units of an engine.
        let flows_from = units.len();
        units.extend(topology.flows.iter().map(|flow| flow.name.clone()));
        let targets = targets
            .iter()
            .map(|target| match target {
                TargetRef::Node(node) => topology.node_name(*node),
                TargetRef::Domain(domain) => topology.domain(*domain).name.clone(),
            })
            .collect();
        Self { reasons: ReasonNames::new(topology), units, flows_from, services, targets }
    }

    fn cause_sentences(&self, trace: &Trace) -> Vec<String> {
        let events = trace
            .steps
            .iter()
            .flat_map(|moment| moment.events.iter().map(move |event| (event, moment)));
        let causes = events.filter(|(event, _)| matches!(event, Event::TargetFails(..)));
        causes.map(|(event, moment)| self.event_sentence(event, moment)).collect()
    }

    fn step_report(&self, moment: &TraceStep, has_rate: bool) -> StepReport {
        let (mut services, mut flows) = (Vec::new(), Vec::new());
        for (unit, state) in &moment.units {
            let unit = *unit as usize;
            let report = StateReport {
                name: self.units[unit].clone(),
                slow: state.slow,
                down: state.down,
                corrupt: state.corrupt,
                degraded: state.degraded,
                late: state.late,
            };
            if unit >= self.flows_from { flows.push(report) } else { services.push(report) }
        }
        for states in [&mut services, &mut flows] {
            // The worst first, since only a few of them are shown.
            states.arrange_by(|a, b| {
                let worse = b.failing_share().total_cmp(&a.failing_share());
                worse
                    .then(b.degraded.total_cmp(&a.degraded))
                    .then(b.late.total_cmp(&a.late))
                    .then_with(|| a.name.cmp(&b.name))
            });
        }
        let overload =
            |(service, load, capacity, lost): &(ServiceId, f64, f64, f64)| OverloadReport {
                service: self.services[service.index()].clone(),
                load: *load,
                capacity: *capacity,
                lost: *lost,
            };
        StepReport {
            from_s: moment.from,
            until_s: moment.until,
            exposure: moment.exposure,
            events: moment.events.iter().map(|event| self.event_sentence(event, moment)).collect(),
            services,
            flows,
            overloads: moment.overloads.iter().map(overload).collect(),
            orders_lost: has_rate.then_some(moment.lost),
        }
    }

    fn action_sentence(
        &self,
        by: Option<ServiceId>,
        kind: InterventionKind,
        service: Option<ServiceId>,
        share: f64,
    ) -> String {
        let name =
            |service: Option<ServiceId>| service.map(|id| self.services[id.index()].as_str());
        let who = name(by).unwrap_or("somebody");
        let part = if share < 1.0 {
            format!("{} of ", format::percent_to_a_tenth(share))
        } else {
            String::new()
        };
        match (kind, name(service)) {
            (InterventionKind::Bypass, on) => {
                format!("{who} leads {part}the calls around {}", on.unwrap_or("everything"))
            }
            (InterventionKind::Shed, Some(on)) => {
                format!("{who} turns away {part}the requests to {on}")
            }
            (InterventionKind::Shed, None) => format!("{who} turns away {part}the orders"),
            (InterventionKind::Restart, on) => {
                format!("{who} restarts {part}{}", on.unwrap_or("everything"))
            }
            (InterventionKind::AddCapacity, on) => {
                let more = format::percent_to_a_tenth(share);
                format!("{who} gives {} {more} more capacity", on.unwrap_or("everything"))
            }
            (InterventionKind::RemoveCapacity, on) => {
                format!("{who} takes {part}the capacity of {} away", on.unwrap_or("everything"))
            }
            (InterventionKind::Disable, on) => {
                format!("{who} switches {part}{} off", on.unwrap_or("everything"))
            }
            (InterventionKind::Fix, on) => {
                format!("{who} fixes {part}{}", on.unwrap_or("the cause"))
            }
        }
    }

    fn event_sentence(&self, event: &Event, moment: &TraceStep) -> String {
        match *event {
            Event::Stage(stage) => {
                format!(
                    "stage {} begins: {} have the change",
                    stage + 1,
                    format::percent_to_a_tenth(moment.exposure)
                )
            }
            Event::GatePassed(stage) => format!("the gate after stage {} lets it pass", stage + 1),
            Event::TargetFails(target, mode) => {
                let how = ["is down", "hangs", "answers wrongly", "calls too often"];
                format!("{} {}", self.targets[target.index()], how[mode as usize])
            }
            Event::AlertStarts(_) => "orders fail: the alert threshold is passed".to_owned(),
            Event::WrongAnswersStart(_) => {
                "orders go wrong: nothing shows but wrong results".to_owned()
            }
            Event::Detected(by) => match by {
                DetectedBy::Gate => "the gate stops the rollout",
                DetectedBy::Alert => "somebody notices, and the rollout stops",
                DetectedBy::WrongAnswers => "somebody notices wrong results, and the rollout stops",
                DetectedBy::Nobody => "nobody notices",
            }
            .to_owned(),
            Event::RollbackStarts(at) if at.is_infinite() => {
                "the rollback begins; it will not work".to_owned()
            }
            Event::RollbackStarts(_) => "the rollback begins".to_owned(),
            Event::RollbackWorsened => {
                "the rollback makes it worse: every broken target is down".to_owned()
            }
            Event::CauseEnds { by_switch: true } => "the kill switch ends the cause".to_owned(),
            Event::CauseEnds { by_switch: false } => "the rollback is done".to_owned(),
            Event::Restarts(service, at) if at.is_infinite() => {
                format!("{} never comes back by itself", self.services[service.index()])
            }
            Event::Restarts(service, _) => {
                format!("{} must restart", self.services[service.index()])
            }
            Event::Restarted(service) => {
                format!("{} serves again", self.services[service.index()])
            }
            Event::Repaired => "the corrupt data are repaired".to_owned(),
            Event::WaitBegins(reason) => self.reasons.waiting_report(reason, 1.0).text,
            Event::WaitEnds(reason) => {
                format!("no longer: {}", self.reasons.waiting_report(reason, 1.0).text)
            }
            Event::Acted { by, kind, service, share } => {
                self.action_sentence(by, kind, service, share)
            }
        }
    }
}
