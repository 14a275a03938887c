//! Where in the files what a verdict says could be edited.

use crate::diagnostic::{Label, Place, Sources};
use crate::model::change::TargetRef;
use crate::model::{Change, Topology};
use crate::report::{LimitOutcome, MetricReport, PlaceReport, Report, RuleOutcome};

/// How many places are kept with a rule.
const KEPT: usize = 8;

/// Adds to every rule and limit that does not hold, and to every protection that is not stated, where
/// it could be edited: first the targets of the change, where that is a file, else the services
/// themselves; then what the figures are about. `sources` are the files of the topology and the change.
pub fn add_places(report: &mut Report, topology: &Topology, change: &Change, sources: &Sources) {
    let places = Places { topology, sources };
    let targets: Vec<PlaceReport> =
        change.targets.iter().map(|target| places.target_place(target)).collect();
    let at = |subjects: &mut dyn Iterator<Item = PlaceReport>| {
        // The targets first: a change is easier to edit than what it hits.
        let mut found: Vec<PlaceReport> = targets.iter().take(KEPT).cloned().collect();
        found.extend(subjects.take(KEPT));
        // The target may be what the figure is about.
        found.dedup();
        found
    };
    for unknown in &mut report.unknowns {
        unknown.place = places.protection_place(&unknown.caller, &unknown.dependency);
    }
    let Some(verdict) = &mut report.verdict else { return };
    for item in verdict.rules.iter_mut().filter(|rule| rule.outcome != RuleOutcome::Held) {
        item.locations =
            at(&mut item.metrics.iter().filter_map(|figure| places.subject_place(figure)));
    }
    for item in verdict.limits.iter_mut().filter(|limit| limit.outcome != LimitOutcome::Held) {
        item.locations = at(&mut places.flow_place(&item.flow).into_iter());
    }
}

struct Places<'a> {
    topology: &'a Topology,
    sources: &'a Sources,
}

impl Places<'_> {
    fn place_report(&self, place: Place, text: &str) -> PlaceReport {
        PlaceReport::new(&Label { place, text: text.to_owned() }, self.sources)
    }

    /// Where a target is written; one of the command line is edited where it is defined.
    fn target_place(&self, target: &crate::model::change::Target) -> PlaceReport {
        let (name, defined) = match target.on {
            TargetRef::Node(node) => {
                let service = &self.topology.services[node.service.0 as usize];
                (&service.name, service.place)
            }
            TargetRef::Domain(domain) => {
                let domain = &self.topology.domains[domain.0 as usize];
                (&domain.name, domain.place)
            }
        };
        // An option of the command line has no line that could be edited.
        let is_argument = self.sources.get(target.place.source).name.starts_with("--");
        self.place_report(if is_argument { defined } else { target.place }, name)
    }

    /// Returns the place of the flow or service that a figure is about.
    fn subject_place(&self, figure: &MetricReport) -> Option<PlaceReport> {
        if let Some(flow) = &figure.flow {
            return self.flow_place(flow);
        }
        let name = figure.service.as_ref()?;
        let service = self.topology.services.iter().find(|service| service.name == *name)?;
        Some(self.place_report(service.place, name))
    }

    fn flow_place(&self, name: &str) -> Option<PlaceReport> {
        let flow = self.topology.flows.iter().find(|flow| flow.name == name)?;
        Some(self.place_report(flow.place, name))
    }

    /// Where a protection would be stated: at the dependency, or at the service for its capacity.
    fn protection_place(&self, caller: &str, dependency: &str) -> Option<PlaceReport> {
        if dependency.is_empty() {
            let service = self.topology.services.iter().find(|service| service.name == caller)?;
            return Some(self.place_report(service.place, caller));
        }
        let mut written = self.topology.declared_dependencies();
        let (_, item) = written.find(|(by, written)| {
            self.topology.dependency_name(written) == dependency
                && self.topology.caller_name(*by) == caller
        })?;
        Some(self.place_report(item.place, dependency))
    }
}
