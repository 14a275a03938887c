//! The architecture without a break: order flows, services and who calls whom, as a container diagram
//! of the C4 model. Arrows point from the caller to its dependency.

mod editable;
mod picture;
mod text;

pub use editable::{architecture_drawio, architecture_excalidraw};
pub use picture::draw_architecture;
pub use text::{architecture_dot, architecture_mermaid, architecture_text};

use std::collections::{BTreeMap, BTreeSet};

use crate::cascade::Grouping;
use crate::model::Topology;
use crate::model::topology::{Caller, Flow, Phase, Service};
use crate::prose::format;

/// Diagram of an architecture.
#[derive(Clone, Debug, PartialEq)]
pub struct Architecture {
    /// The name of the topology.
    pub topology: String,
    /// The number of services.
    pub services: usize,
    /// The number of order flows.
    pub flows: usize,
    /// Order flows and services, or groups of services.
    pub boxes: Vec<ArchitectureBox>,
    /// Who calls whom, each pair once.
    pub links: Vec<ArchitectureLink>,
    /// The number of dependencies that the links stand for.
    pub dependencies: usize,
}

/// A flow, a service, or a group of services.
#[derive(Clone, Debug, PartialEq)]
pub struct ArchitectureBox {
    /// Its name, as unique as that of the topology.
    pub name: String,
    /// Its kind, team and tier, or how many services it stands for.
    pub detail: String,
    /// Shape of the box.
    pub shape: BoxShape,
}

/// Shape of a box, by the kind of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BoxShape {
    /// An order flow: what people want of the system.
    Flow,
    /// A service.
    Service,
    /// A service of others.
    External,
    /// Several services.
    Group,
}

/// A dependency of one box on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ArchitectureLink {
    /// The index of the caller.
    pub from: usize,
    /// The index of what it calls.
    pub to: usize,
    /// Whether the caller can do without it.
    pub is_soft: bool,
}

impl Architecture {
    /// Returns the diagram of a topology. Services fold into groups where `grouping` says by what, and
    /// otherwise into teams where there are more than `boxes_max` of them.
    pub fn new(topology: &Topology, grouping: Option<Grouping>, boxes_max: usize) -> Self {
        let must_fold = topology.services.len() + topology.flows.len() > boxes_max;
        let has_teams = topology.services.iter().any(|service| service.team.is_some());
        // Teams say most where they are known; without them only the kinds of services are left.
        let fallback = if has_teams { Grouping::Team } else { Grouping::Kind };
        let grouping = grouping.or_else(|| must_fold.then_some(fallback));
        let (mut boxes, flow_places) = flow_boxes(topology, grouping.is_some());
        let places = match grouping {
            Some(grouping) => add_groups(topology, grouping, &mut boxes),
            None => add_services(topology, &mut boxes),
        };
        let (links, dependencies) = links_between(topology, &places, &flow_places);
        Self {
            topology: topology.name.clone(),
            services: topology.services.len(),
            flows: topology.flows.len(),
            boxes,
            links,
            dependencies,
        }
    }

    /// Returns the title of a diagram.
    fn diagram_title(&self) -> String {
        format!("Architecture of {}", self.topology)
    }

    /// Returns how much the diagram shows.
    fn extent_note(&self) -> String {
        let mut parts = vec![format::plural(self.services, "service")];
        parts.push(format!("{} between them", format::plural(self.dependencies, "dependency")));
        if self.flows > 0 {
            parts.push(format::plural(self.flows, "order flow"));
        }
        // `plural` only puts an `s` behind the noun.
        parts.join(", ").replace("dependencys", "dependencies")
    }
}

/// More order flows than this become one box where services are grouped.
const FLOWS_MAX: usize = 12;

/// Returns the boxes of order flows, and the index of each flow's box.
fn flow_boxes(topology: &Topology, is_grouped: bool) -> (Vec<ArchitectureBox>, Vec<usize>) {
    let flows = &topology.flows;
    // Beside groups, dozens of flows would be most of the picture.
    if is_grouped && flows.len() > FLOWS_MAX {
        let critical = flows.iter().filter(|flow| flow.critical).count();
        let all = ArchitectureBox {
            name: format::plural(flows.len(), "order flow"),
            detail: format!("{} critical", format::count(critical as f64)),
            shape: BoxShape::Flow,
        };
        return (vec![all], vec![0; flows.len()]);
    }
    let flow_box = |flow: &Flow| ArchitectureBox {
        name: flow.name.clone(),
        detail: if flow.critical { "critical order flow" } else { "order flow" }.to_owned(),
        shape: BoxShape::Flow,
    };
    (flows.iter().map(flow_box).collect(), (0..flows.len()).collect())
}

fn add_services(topology: &Topology, boxes: &mut Vec<ArchitectureBox>) -> Vec<usize> {
    let first = boxes.len();
    boxes.extend(topology.services.iter().map(|service| {
        let tier = service.tier.map(|tier| format!("tier {tier}"));
        let parts = [Some(service.kind.clone()), service.team.clone(), tier];
        ArchitectureBox {
            name: service.name.clone(),
            detail: parts.into_iter().flatten().collect::<Vec<String>>().join(" · "),
            shape: if is_external(service) { BoxShape::External } else { BoxShape::Service },
        }
    }));
    (first..boxes.len()).collect()
}

fn is_external(service: &Service) -> bool {
    service.kind == "external"
}

fn add_groups(
    topology: &Topology,
    grouping: Grouping,
    boxes: &mut Vec<ArchitectureBox>,
) -> Vec<usize> {
    let labels: Vec<String> =
        topology.services.iter().map(|service| group_label(topology, service, grouping)).collect();
    let mut members: BTreeMap<&str, usize> = BTreeMap::new();
    // Groups are in the order of their labels, whatever the order of services is.
    for label in &labels {
        *members.entry(label).or_default() += 1;
    }
    let mut places = BTreeMap::new();
    for (label, count) in members {
        places.insert(label.to_owned(), boxes.len());
        let detail = format::plural(count, "service");
        boxes.push(ArchitectureBox { name: label.to_owned(), detail, shape: BoxShape::Group });
    }
    labels.iter().map(|label| places[label]).collect()
}

fn group_label(topology: &Topology, service: &Service, grouping: Grouping) -> String {
    let named = |what: &str, name: Option<String>| match name {
        Some(name) => format!("{what} {name}"),
        None => format!("no {what}"),
    };
    match grouping {
        Grouping::Team => named("team", service.team.clone()),
        Grouping::Tier => named("tier", service.tier.map(|tier| tier.to_string())),
        Grouping::Kind => named("kind", Some(service.kind.clone())),
        Grouping::Zone => {
            let domains = service.domains.iter().map(|id| topology.domain(*id).name.as_str());
            let names: Vec<&str> = domains.collect();
            named("zone", (!names.is_empty()).then(|| names.join(", ")))
        }
    }
}

/// Returns who calls whom, each pair of boxes once, and the number of dependencies between services. A
/// link is soft if every dependency between the two is.
fn links_between(
    topology: &Topology,
    places: &[usize],
    flow_places: &[usize],
) -> (Vec<ArchitectureLink>, usize) {
    let mut links: BTreeMap<(usize, usize), bool> = BTreeMap::new();
    let mut pairs: BTreeSet<(u32, u32)> = BTreeSet::new();
    for (flow, place) in topology.flows.iter().zip(flow_places) {
        for step in &flow.steps {
            for target in &step.on {
                // The first dependency makes a link soft, and any hard one of the pair makes it
                // hard again.
                let is_soft =
                    links.entry((*place, places[target.service.0 as usize])).or_insert(true);
                *is_soft &= step.is_soft();
            }
        }
    }
    for (caller, dependency) in topology.declared_dependencies() {
        let Caller::Node(node) = caller else { continue };
        // What is needed only to start carries no request.
        if dependency.phase != Phase::Serve {
            continue;
        }
        for target in &dependency.on {
            // A call within a service shows nothing of the architecture.
            if target.service == node.service {
                continue;
            }
            pairs.insert((node.service.0, target.service.0));
            let (from, to) = (places[node.service.0 as usize], places[target.service.0 as usize]);
            // Within a group there is nothing to draw, but the dependency is counted all the same.
            if from != to {
                *links.entry((from, to)).or_insert(true) &= dependency.is_soft();
            }
        }
    }
    let link = |((from, to), is_soft): (&(usize, usize), &bool)| ArchitectureLink {
        from: *from,
        to: *to,
        is_soft: *is_soft,
    };
    (links.iter().map(link).collect(), pairs.len())
}
