//! Gates that cannot see enough failed requests to be sure, however badly the target breaks.

use super::graph::LintGraph;
use super::waiting::requests;
use crate::diagnostic::{Code, Diagnostic, Findings, Place};
use crate::model::change::{Change, Rollout, Stage, Target, TargetRef};
use crate::model::defaults;
use crate::model::topology::{NodeRef, Topology};
use crate::model::units::Seconds;

/// Requests per second at each node, where they are known.
struct Traffic<'a> {
    graph: LintGraph<'a>,
    rates: Vec<Option<f64>>,
}

pub(super) fn find_blind_gates(change: &Change, topology: &Topology, findings: &mut Findings) {
    let rollouts = change.targets.iter().filter_map(|target| rollout_of(change, target));
    let has_gates = rollouts.flat_map(|(rollout, _)| &rollout.stages).any(is_gated);
    if !has_gates {
        return;
    }
    let graph = LintGraph::new(topology);
    let traffic = Traffic { rates: requests(&graph), graph };
    let detection = change.detection.as_ref();
    let needed = detection.and_then(|detection| detection.failures).unwrap_or(defaults::FAILURES);
    for target in &change.targets {
        let (Some((rollout, place)), TargetRef::Node(node)) =
            (rollout_of(change, target), target.on)
        else {
            continue;
        };
        let Some(rate) = traffic.rate_of(node) else { continue };
        let seen = |stage: &Stage, bake: Seconds| {
            rate * stage.exposure.get() * target.severity.1.get() * bake.get()
        };
        let blind = rollout.stages.iter().filter(|stage| is_gated(stage)).find_map(|stage| {
            let bake = stage.bake?;
            (seen(stage, bake) < f64::from(needed)).then_some((stage, bake))
        });
        let Some((stage, bake)) = blind else { continue };
        findings.add(Code::BlindGate, || {
            let name = topology.node_name(node);
            let most = seen(stage, bake);
            blind_gate(&name, stage, bake, [most, f64::from(needed)], place)
        });
    }
}

/// Returns the rollout of a target, its own or that of the change, and where it is written.
fn rollout_of<'a>(change: &'a Change, target: &'a Target) -> Option<(&'a Rollout, Place)> {
    match &target.rollout {
        Some(own) => Some((own, target.place)),
        None => change.rollout.as_ref().zip(change.places.rollout),
    }
}

fn is_gated(stage: &Stage) -> bool {
    !stage.catch_probability.is_zero()
}

fn blind_gate(
    name: &str,
    stage: &Stage,
    bake: Seconds,
    [most, needed]: [f64; 2],
    place: Place,
) -> Diagnostic {
    let message = format!(
        "the gate at {} sees at most {} failed requests of `{name}` in {bake}, and needs {needed} to be sure",
        stage.exposure,
        (most * 10.0).round() / 10.0
    );
    let problem = Diagnostic::warning(Code::BlindGate, message, place);
    let enough = Seconds::new((bake.get() * needed / most).ceil());
    problem.help(match enough.filter(|_| most > 0.0) {
        Some(enough) => format!("a `bake` of {enough} shows so many, or a larger exposure"),
        None => "no request comes to it: watch something else, or roll out by time".to_owned(),
    })
}

impl Traffic<'_> {
    /// Returns how many requests per second come to a target: of a service, to all its endpoints.
    fn rate_of(&self, node: NodeRef) -> Option<f64> {
        let service = self.graph.topology.service(node.service);
        if node.endpoint.is_some() {
            return self.rates[self.graph.index_of(node)];
        }
        let endpoints = (0..service.endpoints.len() as u32).map(Some);
        let nodes = std::iter::once(None).chain(endpoints);
        nodes
            .map(|endpoint| self.rates[self.graph.index_of(NodeRef { endpoint, ..node })])
            .sum::<Option<f64>>()
    }
}
