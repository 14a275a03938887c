//! Descriptions of single services in the catalogs of Datadog, Cortex and `OpsLevel`.

use crate::diagnostic::Diagnostic;
use crate::import::graph::EvidenceGraph;
use crate::import::graph::names::one_line;
use crate::import::{Format, Input, not_of};
use crate::load::{Node, Value};
use crate::model::topology::Evidence;

/// The description of one service in a catalog.
#[derive(Default)]
struct DescribedEntity<'a> {
    name: &'a str,
    title: Option<&'a str>,
    team: Option<&'a str>,
    kind: Option<&'a str>,
    /// The services that it depends on, each with the key that says so.
    callees: Vec<(&'a str, &'static str)>,
}

/// Reads descriptions of a catalog.
pub(in crate::import) fn read_entities(
    format: Format,
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    let documents = input.read_documents(graph)?;
    let mut count = 0;
    for (path, document) in &documents {
        let entity = match format {
            Format::Datadog => read_datadog(&document.root),
            Format::Cortex => read_cortex(&document.root),
            _ => read_opslevel(&document.root),
        };
        let Some(entity) = entity else { continue };
        count += 1;
        let service = graph.service_or_new(entity.name);
        let title = entity.title.map(one_line).filter(|title| title != entity.name);
        service.title = title.or(service.title.take());
        service.team = entity.team.map(one_line).or(service.team.take());
        service.kind = entity.kind.map(one_line).or(service.kind.take());
        for (callee, key) in entity.callees {
            let source = format!("{path}: {} {key}", entity.name);
            graph.depend_on(entity.name, callee, Evidence::Declared, source);
        }
    }
    if count == 0 {
        let path = documents.first().map_or("", |(path, _)| path);
        let expected = match format {
            Format::Datadog => "it has neither `dd-service` nor `kind` and `metadata.name`",
            Format::Cortex => "it has no `info.x-cortex-tag`",
            _ => "it has no `service.name`",
        };
        return Err(not_of(format, path, expected));
    }
    Ok(())
}

/// Returns the texts of a list, or of one of these keys in each of its objects.
fn list_texts<'a>(node: Option<&'a Node>, keys: &[&str]) -> Vec<&'a str> {
    let items = match node.map(|node| &node.value) {
        Some(Value::Sequence(items)) => &items[..],
        _ => return node.and_then(Node::scalar).into_iter().collect(),
    };
    let text =
        |item: &'a Node| item.scalar().or_else(|| keys.iter().find_map(|key| item.scalar_at(key)));
    items.iter().filter_map(text).collect()
}

fn first_text<'a>(node: &'a Node, paths: &[&str]) -> Option<&'a str> {
    paths.iter().find_map(|path| node.scalar_at(path)).filter(|text| !text.trim().is_empty())
}

/// Reads a definition of the second edition (`dd-service`) or the third (`kind`, `metadata`, `spec`).
fn read_datadog(root: &Node) -> Option<DescribedEntity<'_>> {
    if let Some(name) = root.scalar_at("dd-service") {
        let (team, kind) = (first_text(root, &["team", "dd-team"]), first_text(root, &["type"]));
        return Some(DescribedEntity { name, team, kind, ..DescribedEntity::default() });
    }
    let kind = root.scalar_at("kind")?;
    let name = root.scalar_at("metadata.name")?;
    // Systems and APIs group services, and do not run.
    if !matches!(kind, "service" | "datastore" | "queue") {
        return None;
    }
    // A reference may have its kind in front: `service:cart`.
    let plain = |text: &'_ str| -> usize { text.find(':').map_or(0, |at| at + 1) };
    let callees = list_texts(root.node_at("spec.dependsOn"), &["name"]);
    let callees =
        callees.into_iter().map(|text| (&text[plain(text)..], "spec.dependsOn")).collect();
    let kind = match kind {
        "datastore" => Some("database"),
        "queue" => Some("queue"),
        _ => first_text(root, &["spec.type"]),
    };
    let team = first_text(root, &["metadata.owner", "spec.owner"]);
    Some(DescribedEntity {
        name,
        title: root.scalar_at("metadata.displayName"),
        team,
        kind,
        callees,
    })
}

/// Reads an `OpenAPI` document with the keys of Cortex.
fn read_cortex(root: &Node) -> Option<DescribedEntity<'_>> {
    let info = root.get("info")?;
    let name = info.scalar_at("x-cortex-tag")?;
    let own = info.get("x-cortex-dependency").or_else(|| info.get("x-cortex-dependencies"));
    let list = own.and_then(|node| node.get("cortex")).or(own);
    let callees = list_texts(list, &["tag", "service", "name"]);
    let owner = info.get("x-cortex-owners").and_then(|owners| owners.items().first());
    let owner = owner.and_then(|owner| first_text(owner, &["name", "email"]));
    Some(DescribedEntity {
        name,
        title: info.scalar_at("title"),
        team: owner,
        kind: first_text(info, &["x-cortex-type"]),
        callees: callees.into_iter().map(|callee| (callee, "x-cortex-dependency")).collect(),
    })
}

/// Reads an `opslevel.yml`.
fn read_opslevel(root: &Node) -> Option<DescribedEntity<'_>> {
    let service = root.get("service")?;
    let name = first_text(service, &["alias", "name"]).or_else(|| {
        service.get("aliases").and_then(|list| list.items().first()).and_then(Node::scalar)
    })?;
    let alias = list_texts(service.get("aliases"), &[]);
    let title = service.scalar_at("name");
    let callees: Vec<(&str, &'static str)> = ["dependencies", "depends_on", "dependsOn"]
        .iter()
        .flat_map(|key| list_texts(service.get(key), &["alias", "name", "service"]))
        .map(|callee| (callee, "dependencies"))
        .collect();
    Some(DescribedEntity {
        // Others call it by its alias.
        name: alias.first().copied().unwrap_or(name),
        title,
        team: first_text(service, &["owner", "team"]),
        kind: first_text(service, &["type"]),
        callees,
    })
}
