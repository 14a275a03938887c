//! Any YAML or JSON that describes one service in each document: the user says where its name and its
//! dependencies stand.

use crate::diagnostic::{Code, Diagnostic};
use crate::import::graph::EvidenceGraph;
use crate::import::{Format, Input, not_of};
use crate::load::{Node, Value};
use crate::model::topology::Evidence;

/// Paths of keys separated by dots; `*` stands for every item of a list or every key, as in
/// `spec.rules.*.application`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// The path of the descriptions, when a document holds several; empty = the document is one.
    pub items: String,
    /// The name of the service; default `name`.
    pub name: Option<String>,
    /// The paths of its dependencies; default `dependencies`.
    pub dependencies: Vec<String>,
    /// The paths of its callers.
    pub callers: Vec<String>,
    /// The path of its owner.
    pub team: Option<String>,
    /// The path of its kind.
    pub kind: Option<String>,
    /// Taken away from the start of names, such as `service:`.
    pub strip: Vec<String>,
}

/// Reads descriptions.
pub(in crate::import) fn read_descriptions(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    let paths = &input.options.paths.clone();
    let mut count = 0;
    let documents = input.read_documents(graph)?;
    for (file, document) in &documents {
        let items = if paths.items.is_empty() {
            vec![&document.root]
        } else {
            nodes_at(&document.root, &paths.items)
        };
        for item in items.into_iter().flat_map(list_items) {
            count += usize::from(read_service(file, item, paths, graph));
        }
    }
    if count == 0 {
        let file = documents.first().map_or("", |(file, _)| file);
        let path = paths.name.as_deref().unwrap_or("name");
        return Err(not_of(
            Format::Mapping,
            file,
            &format!("nothing in it has a text at `{path}`"),
        ));
    }
    Ok(())
}

fn list_items(node: &Node) -> Vec<&Node> {
    match &node.value {
        Value::Sequence(items) => items.iter().collect(),
        _ => vec![node],
    }
}

fn read_service(file: &str, item: &Node, paths: &Paths, graph: &mut EvidenceGraph) -> bool {
    let strip = |text: &str| {
        let text = text.trim();
        let stripped = paths.strip.iter().find_map(|start| text.strip_prefix(start.as_str()));
        stripped.unwrap_or(text).to_owned()
    };
    // A pattern may lead to several texts, and a service has one name.
    let first = |path: &str| nodes_at(item, path).into_iter().find_map(Node::scalar);
    let Some(name) = first(paths.name.as_deref().unwrap_or("name")).map(strip) else {
        graph.warn(
            Code::NotUnderstood,
            format!("a description in `{file}` without a name"),
            item.place,
        );
        return false;
    };
    let (team, kind) =
        (paths.team.as_deref().and_then(first), paths.kind.as_deref().and_then(first));
    let known = graph.service_or_new(&name);
    known.team = team.map(crate::import::graph::names::one_line).or(known.team.take());
    known.kind = kind.map(crate::import::graph::names::one_line).or(known.kind.take());
    let default = ["dependencies".to_owned()];
    let dependencies =
        if paths.dependencies.is_empty() { &default[..] } else { &paths.dependencies[..] };
    for (list, is_caller) in [(dependencies, false), (&paths.callers[..], true)] {
        for path in list {
            for other in nodes_at(item, path).into_iter().flat_map(list_items) {
                let other = other.scalar().or_else(|| {
                    // Catalogs list dependencies as texts or as objects, whose name stands at one
                    // of these keys.
                    ["service", "name", "tag", "alias", "id"]
                        .iter()
                        .find_map(|key| other.scalar_at(key))
                });
                let Some(other) = other.map(strip) else { continue };
                let source = format!("{file}: {name} {path}");
                let (caller, callee) = if is_caller { (&other, &name) } else { (&name, &other) };
                graph.depend_on(caller, callee, Evidence::Declared, source);
            }
        }
    }
    true
}

/// Everything at a path.
fn nodes_at<'a>(node: &'a Node, path: &str) -> Vec<&'a Node> {
    let mut found = vec![node];
    for key in path.split('.').filter(|key| !key.is_empty()) {
        found = found
            .into_iter()
            .flat_map(|node| -> Vec<&Node> {
                if key == "*" {
                    let entries = node.entries().iter().map(|entry| &entry.value);
                    return node.items().iter().chain(entries).collect();
                }
                node.get(key).into_iter().collect()
            })
            .collect();
    }
    found
}
