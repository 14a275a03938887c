//! Manifests of .NET Aspire: references between resources stand in braces in their variables.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::Diagnostic;
use crate::import::graph::EvidenceGraph;
use crate::import::graph::kinds;
use crate::import::{Format, Input, not_of};
use crate::load::Node;
use crate::model::topology::Evidence;
use crate::sort::Gather as _;

/// Reads manifests.
pub(in crate::import) fn read_manifests(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    for (path, document) in input.read_documents(graph)? {
        let resources = document.root.get("resources").map(Node::entries).unwrap_or_default();
        if resources.is_empty() {
            return Err(not_of(Format::Aspire, &path, "it has no `resources`"));
        }
        let all: BTreeMap<&str, &Node> =
            resources.iter().map(|entry| (&*entry.key.text, &entry.value)).into_map();
        for (name, node) in all.iter().filter(|(_, node)| is_service(node)) {
            let service = graph.service_or_new(name);
            service.kind = node.scalar_at("image").and_then(kinds::of_image).map(str::to_owned);
            let bindings = node.get("bindings").map(Node::entries).unwrap_or_default();
            service.is_entry =
                bindings.iter().any(|binding| binding.value.scalar_at("external") == Some("true"));
            let variables = node.get("env").map(Node::entries).unwrap_or_default();
            for entry in variables {
                let text = entry.value.scalar().unwrap_or_default();
                let source = format!("{path}: {name}.env.{}", entry.key.text);
                for callee in services_in(text, &all) {
                    graph.depend_on(name, callee, Evidence::Declared, source.clone());
                }
            }
            for argument in node.get("args").map(Node::items).unwrap_or_default() {
                let text = argument.scalar().unwrap_or_default();
                for callee in services_in(text, &all) {
                    graph.depend_on(
                        name,
                        callee,
                        Evidence::Declared,
                        format!("{path}: {name}.args"),
                    );
                }
            }
        }
    }
    Ok(())
}

/// Values and parameters are no services, only names for texts.
fn is_service(node: &Node) -> bool {
    let kind = node.scalar_at("type").unwrap_or_default();
    !["value.", "parameter.", "annotated."].iter().any(|start| kind.starts_with(start))
}

/// The services that a text refers to, also through values that refer on.
fn services_in<'a>(text: &'a str, all: &BTreeMap<&'a str, &'a Node>) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    // Values may refer to one another in a circle.
    let mut seen = BTreeSet::new();
    let mut open = vec![text];
    while let Some(text) = open.pop() {
        for name in binding_references(text) {
            let Some(node) = all.get(name) else { continue };
            if is_service(node) {
                found.insert(name);
            } else if seen.insert(name) {
                open.extend(node.entries().iter().filter_map(|entry| entry.value.scalar()));
            }
        }
    }
    found
}

/// The first words of what stands in braces: `catalog` of `{catalog.bindings.http.url}`.
fn binding_references(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|rest| {
        let inner = rest.split_once('}')?.0;
        Some(inner.split('.').next().unwrap_or(inner))
    })
}
