//! Structurizr workspaces: as JSON, or in the part of the DSL that describes elements, relationships and
//! deployments. Everything is lifted to one level: containers, and systems that have none.

use std::collections::{BTreeMap, BTreeSet};

use super::drawing::kind_of_words;
use super::structurizr_dsl;
use crate::diagnostic::{Code, Diagnostic};
use crate::import::graph::{EvidenceGraph, ImportedFlow};
use crate::import::{Format, Input, not_of};
use crate::load::{self, Node};
use crate::model::topology::Evidence;

/// The level of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::import) enum Level {
    Person,
    System,
    Container,
    Component,
}

/// An element of a workspace.
#[derive(Clone, Debug)]
pub(in crate::import) struct Element {
    pub(in crate::import) id: String,
    /// The name that the service is to have.
    pub(in crate::import) name: String,
    pub(in crate::import) title: String,
    pub(in crate::import) level: Level,
    pub(in crate::import) parent: Option<usize>,
    pub(in crate::import) tags: String,
    pub(in crate::import) technology: String,
    pub(in crate::import) instances: Option<u32>,
}

/// A relationship, or a step of a dynamic view.
#[derive(Clone, Debug)]
pub(in crate::import) struct Relation {
    pub(in crate::import) from: usize,
    pub(in crate::import) to: usize,
    pub(in crate::import) source: String,
    pub(in crate::import) is_async: bool,
}

/// A workspace, whichever way it was written.
#[derive(Debug, Default)]
pub(in crate::import) struct Model {
    pub(in crate::import) elements: Vec<Element>,
    pub(in crate::import) relations: Vec<Relation>,
    /// Dynamic views: name, and the elements that each step joins.
    pub(in crate::import) journeys: Vec<(String, Vec<(usize, usize)>)>,
}

/// Reads workspaces.
pub(in crate::import) fn read_workspaces(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    for path in input.files {
        let (source, text) = input.read_text(path)?;
        // Exports start with a brace; in the language a brace never stands first.
        let model = if text.trim_start().starts_with('{') {
            let documents = load::parse_foreign(path, text.into_bytes(), input.sources)?;
            documents
                .first()
                .map(|document| model_from_json(path, &document.root))
                .unwrap_or_default()
        } else {
            structurizr_dsl::parse_workspace(path, &text, source, input, graph)?
        };
        if model.elements.is_empty() {
            return Err(not_of(Format::Structurizr, path, "no software system was found in it"));
        }
        lift_to_services(&model, graph);
    }
    Ok(())
}

/// Returns the model of an exported workspace.
pub(in crate::import) fn model_from_json(path: &str, root: &Node) -> Model {
    let mut model = Model::default();
    let mut numbers = BTreeMap::new();
    let mut pending = Vec::new();
    let mut open: Vec<(&Node, Level, Option<usize>)> = Vec::new();
    let list =
        |node: &'_ Node, key: &str| node.node_at(key).map(Node::items).unwrap_or_default().to_vec();
    let people = list(root, "model.people");
    let systems = list(root, "model.softwareSystems");
    open.extend(people.iter().map(|node| (node, Level::Person, None)));
    open.extend(systems.iter().map(|node| (node, Level::System, None)));
    while let Some((node, level, parent)) = open.pop() {
        let (Some(id), Some(name)) = (node.scalar_at("id"), node.scalar_at("name")) else {
            continue;
        };
        let number = model.elements.len();
        numbers.insert(id.to_owned(), number);
        model.elements.push(Element {
            id: id.to_owned(),
            name: name.to_owned(),
            title: name.to_owned(),
            level,
            parent,
            tags: node.scalar_at("tags").unwrap_or_default().to_owned(),
            technology: node.scalar_at("technology").unwrap_or_default().to_owned(),
            instances: None,
        });
        for relation in node.get("relationships").map(Node::items).unwrap_or_default() {
            let Some(to) = relation.scalar_at("destinationId") else { continue };
            let is_async = relation.scalar_at("interactionStyle") == Some("Asynchronous")
                || relation.scalar_at("tags").is_some_and(|tags| tags.contains("Asynchronous"));
            let relation_id = relation.scalar_at("id").map(str::to_owned);
            pending.push((number, to.to_owned(), is_async, relation_id));
        }
        let below = [("containers", Level::Container), ("components", Level::Component)];
        for (key, level) in below {
            let children = node.get(key).map(Node::items).unwrap_or_default();
            open.extend(children.iter().map(|child| (child, level, Some(number))));
        }
    }
    let mut ends = BTreeMap::new();
    for (from, to, is_async, id) in pending {
        // Relationships may end at elements that are read later, so they are resolved after all of
        // them.
        if let Some(to) = numbers.get(&to) {
            ends.extend(id.map(|id| (id, (from, *to))));
            let source = format!("{path}: relationships of {}", model.elements[from].name);
            model.relations.push(Relation { from, to: *to, source, is_async });
        }
    }
    count_instances(root, &numbers, &mut model);
    for view in root.node_at("views.dynamicViews").map(Node::items).unwrap_or_default() {
        let name = view.scalar_at("title").or(view.scalar_at("key")).unwrap_or("journey");
        let steps = view.get("relationships").map(Node::items).unwrap_or_default();
        let by_id = |id: Option<&str>| numbers.get(id?).copied();
        // A step names the relationship that it follows, or both of its ends.
        let steps = steps.iter().filter_map(|step| {
            let own = (by_id(step.scalar_at("sourceId")), by_id(step.scalar_at("destinationId")));
            match own {
                (Some(from), Some(to)) => Some((from, to)),
                _ => ends.get(step.scalar_at("id")?).copied(),
            }
        });
        model.journeys.push((name.to_owned(), steps.collect()));
    }
    model
}

/// Counts the instances of each element, in the environment with the most of them.
fn count_instances(root: &Node, numbers: &BTreeMap<String, usize>, model: &mut Model) {
    let mut counts: BTreeMap<(String, usize), u32> = BTreeMap::new();
    let nodes = root.node_at("model.deploymentNodes").map(Node::items).unwrap_or_default();
    let mut open: Vec<(&Node, u32)> = nodes.iter().map(|node| (node, 1)).collect();
    while let Some((node, outer)) = open.pop() {
        let own = node.get("instances").and_then(Node::number).unwrap_or(1.0);
        // A node of three instances within one of two stands for six machines.
        #[expect(clippy::cast_sign_loss, reason = "clamped to be at least 1")]
        let count = outer.saturating_mul(own.clamp(1.0, 10_000.0) as u32);
        let environment = node.scalar_at("environment").unwrap_or_default().to_owned();
        for (key, id) in
            [("containerInstances", "containerId"), ("softwareSystemInstances", "softwareSystemId")]
        {
            for instance in node.get(key).map(Node::items).unwrap_or_default() {
                if let Some(number) = instance.scalar_at(id).and_then(|id| numbers.get(id)) {
                    *counts.entry((environment.clone(), *number)).or_default() += count;
                }
            }
        }
        open.extend(
            node.get("children")
                .map(Node::items)
                .unwrap_or_default()
                .iter()
                .map(|node| (node, count)),
        );
    }
    for ((_, number), count) in counts {
        let known = &mut model.elements[number].instances;
        // Environments are copies of the system, so their counts do not add up.
        *known = Some(known.unwrap_or(0).max(count));
    }
}

/// From elements of all levels to services.
fn lift_to_services(model: &Model, graph: &mut EvidenceGraph) {
    let has_containers: BTreeSet<usize> = model
        .elements
        .iter()
        .filter(|element| element.level == Level::Container)
        .filter_map(|element| element.parent)
        .collect();
    let are_components = components_are_services(model);
    let has_components: BTreeSet<usize> = model
        .elements
        .iter()
        .filter(|element| are_components && element.level == Level::Component)
        .filter_map(|element| element.parent)
        .collect();
    let service_of = |number: usize| -> Option<usize> {
        let mut at = number;
        loop {
            let element = &model.elements[at];
            match element.level {
                Level::Person => return None,
                Level::Component if are_components => return Some(at),
                Level::Container => return (!has_components.contains(&at)).then_some(at),
                Level::System => return (!has_containers.contains(&at)).then_some(at),
                Level::Component => at = element.parent?,
            }
        }
    };
    for number in 0..model.elements.len() {
        if service_of(number) != Some(number) {
            continue;
        }
        let element = &model.elements[number];
        let service = graph.service_or_new(&element.name);
        if element.title != element.name {
            service.title = Some(crate::import::graph::names::one_line(&element.title));
        }
        let kind = kind_of_tags(&element.tags, element.level)
            .or_else(|| kind_of_technology(&element.technology));
        service.kind = kind.map(str::to_owned);
        service.replicas = element.instances.filter(|count| *count > 1);
    }
    let lifted = model.relations.iter().flat_map(|relation| [relation.from, relation.to]);
    let lifted: BTreeSet<usize> =
        lifted.filter(|number| model.elements[*number].level == Level::Component).collect();
    if !are_components && !lifted.is_empty() {
        let message = format!(
            "components that were lifted to their containers: {}; a container fails as a whole",
            lifted.len()
        );
        graph.warn_of_file(Code::NotUnderstood, message);
    }
    let name = |number: usize| model.elements[number].name.as_str();
    let mut whole = Vec::new();
    for relation in &model.relations {
        match (service_of(relation.from), service_of(relation.to)) {
            (Some(from), Some(to)) => {
                let source = relation.source.clone();
                let known = graph.depend_on(name(from), name(to), Evidence::Declared, source);
                if let (Some(dependency), true) = (known, relation.is_async) {
                    dependency.note_call(true);
                }
            }
            (None, Some(to)) if model.elements[relation.from].level == Level::Person => {
                graph.service_or_new(name(to)).is_entry = true;
            }
            // Of a whole system it is not known which container is meant.
            _ if model.elements[relation.from].level != Level::Person
                && model.elements[relation.to].level != Level::Person =>
            {
                whole.push(relation);
            }
            _ => {}
        }
    }
    for relation in whole {
        if !is_said_below(relation, model) {
            let (from, to) = (name(relation.from), name(relation.to));
            let message = format!(
                "`{from}` uses `{to}`, but of a system with containers nobody says which one is meant"
            );
            graph.warn_of_file(Code::NotUnderstood, message);
        }
    }
    add_journeys(model, &service_of, graph);
}

/// Returns whether the components are the services: where no relationship ends at a container, lifting
/// them to their containers would leave nothing.
fn components_are_services(model: &Model) -> bool {
    let level = |number: usize| model.elements[number].level;
    let ends =
        || model.relations.iter().flat_map(|relation| [level(relation.from), level(relation.to)]);
    ends().any(|level| level == Level::Component) && !ends().any(|level| level == Level::Container)
}

/// Returns whether a relationship of whole systems only repeats one of their parts.
fn is_said_below(relation: &Relation, model: &Model) -> bool {
    let within = |number: usize, outer: usize| {
        let mut at = Some(number);
        while let Some(number) = at {
            if number == outer {
                return true;
            }
            at = model.elements[number].parent;
        }
        false
    };
    model.relations.iter().any(|other| {
        (other.from, other.to) != (relation.from, relation.to)
            && within(other.from, relation.from)
            && within(other.to, relation.to)
    })
}

fn add_journeys(
    model: &Model,
    service_of: &dyn Fn(usize) -> Option<usize>,
    graph: &mut EvidenceGraph,
) {
    for (name, steps) in &model.journeys {
        let is_person = |number: usize| model.elements[number].level == Level::Person;
        let entries =
            steps.iter().filter(|(from, _)| is_person(*from)).filter_map(|(_, to)| service_of(*to));
        let mut entries: Vec<usize> = entries.collect();
        // A journey without a person starts with its first step.
        if entries.is_empty() {
            entries.extend(steps.iter().find_map(|(from, _)| service_of(*from)));
        }
        entries.dedup();
        let mut seen = BTreeSet::new();
        entries.retain(|entry| seen.insert(*entry));
        if entries.is_empty() {
            continue;
        }
        let steps =
            entries.iter().map(|entry| graph.service_name(&model.elements[*entry].name)).collect();
        let title = Some(crate::import::graph::names::one_line(name));
        let flow = ImportedFlow { title, steps, rate: None, is_derived: false };
        graph.flows.insert(crate::import::graph::names::allowed_name(name), flow);
    }
}

/// Most words that a technology has which says what a container is: `Amazon SQS queue`.
const TECHNOLOGY_WORDS_MAX: usize = 3;

/// Returns the kind of a container that is one thing somebody else makes, such as a broker or a cache. What
/// lists several, or describes them, is what the container was written with.
fn kind_of_technology(technology: &str) -> Option<&'static str> {
    let is_list = technology.contains([',', ';', '/', '+', '&']) || technology.contains(" and ");
    let words = technology.split_whitespace().count();
    let is_name = !is_list && words <= TECHNOLOGY_WORDS_MAX && !technology.contains("lient");
    is_name.then(|| kind_of_words(technology)).flatten()
}

fn kind_of_tags(tags: &str, level: Level) -> Option<&'static str> {
    let tags = tags.to_lowercase();
    if ["database", "datastore", "data store"].iter().any(|word| tags.contains(word)) {
        Some("database")
    } else if level == Level::System || tags.contains("external") {
        // A system whose containers nobody drew is run by others.
        Some("external")
    } else {
        None
    }
}
