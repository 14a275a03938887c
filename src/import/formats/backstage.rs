//! Backstage catalogs: `catalog-info.yaml` files, or what `/api/catalog/entities` gives.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Code, Diagnostic, Place};
use crate::import::graph::Graph;
use crate::import::{Format, Input, not_of};
use crate::load::{Node, Value};
use crate::model::topology::Evidence;
use crate::sort::Gather as _;

/// Keys that look like relations but are not, and what was probably meant.
const MISSPELLED: &[(&str, &str)] = &[
    ("consumesApi", "consumesApis"),
    ("providesApi", "providesApis"),
    ("dependencies", "dependsOn"),
    ("dependOn", "dependsOn"),
];

struct Entity<'a> {
    path: &'a str,
    node: &'a Node,
    reference: String,
    namespace: String,
}

/// Reads catalogs.
pub(in crate::import) fn read(
    input: &mut Input<'_>,
    graph: &mut Graph,
) -> Result<(), Vec<Diagnostic>> {
    let documents = input.documents(graph)?;
    let mut entities = Vec::new();
    for (path, document) in &documents {
        match &document.root.value {
            Value::Sequence(items) => {
                items.iter().for_each(|it| add(path, it, &mut entities, graph));
            }
            _ => match document.root.get("items").map(|it| &it.value) {
                Some(Value::Sequence(items)) => {
                    items.iter().for_each(|it| add(path, it, &mut entities, graph));
                }
                _ => add(path, &document.root, &mut entities, graph),
            },
        }
    }
    if entities.is_empty() {
        let path = documents.first().map_or("", |(path, _)| path);
        return Err(not_of(
            Format::Backstage,
            path,
            "it holds no entity with `kind` and `metadata.name`",
        ));
    }
    let mut providers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entity in &entities {
        for api in references(entity, "providesApis", Some("api"), graph) {
            providers.entry(api.0).or_default().push(entity.reference.clone());
        }
    }
    let known: BTreeSet<&str> = entities.iter().map(|entity| &*entity.reference).into_set();
    for entity in &entities {
        relations(entity, &providers, &known, graph);
    }
    Ok(())
}

fn add<'a>(path: &'a str, node: &'a Node, entities: &mut Vec<Entity<'a>>, graph: &mut Graph) {
    let (Some(kind), Some(name)) = (node.scalar_at("kind"), node.scalar_at("metadata.name")) else {
        graph.warn(Code::NotUnderstood, "this is no entity: it has no `kind` and name", node.place);
        return;
    };
    let kind = kind.to_lowercase();
    if kind == "template" || name.contains("${{") {
        return;
    }
    let namespace = node.scalar_at("metadata.namespace").unwrap_or("default").to_lowercase();
    let reference = format!("{kind}:{namespace}/{}", name.to_lowercase());
    if kind == "component" || kind == "resource" {
        let service = graph.service(&reference);
        let stated = node.scalar_at("metadata.title").map(crate::import::graph::names::one_line);
        service.title = stated.filter(|title| !title.is_empty()).or(service.title.take());
        service.team = node.scalar_at("spec.owner").map(crate::import::graph::names::one_line);
        service.kind = node.scalar_at("spec.type").map(crate::import::graph::names::one_line);
    }
    if kind == "location" {
        let message = format!("location `{name}` names other files; they are not fetched");
        graph.warn(Code::Dangling, message, node.place);
    }
    entities.push(Entity { path, node, reference, namespace });
}

/// The references below a key of the `spec`, whole and in small letters, with their places.
fn references(
    entity: &Entity<'_>,
    key: &str,
    default_kind: Option<&str>,
    graph: &mut Graph,
) -> Vec<(String, Place)> {
    let Some(list) = entity.node.at("spec").and_then(|spec| spec.get(key)) else {
        return Vec::new();
    };
    let items = match &list.value {
        Value::Sequence(items) => &items[..],
        _ => std::slice::from_ref(list),
    };
    let mut found = Vec::new();
    for item in items {
        let Some(text) = item.scalar() else { continue };
        let text = text.trim().to_lowercase();
        let (kind, rest) = match text.split_once(':') {
            Some((kind, rest)) => (Some(kind.to_owned()), rest.to_owned()),
            None => (None, text.clone()),
        };
        let kind = kind.or(default_kind.map(str::to_owned)).unwrap_or_else(|| {
            let message =
                format!("`{text}` does not say of which kind it is; taken for a component");
            graph.warn(Code::NotUnderstood, message, item.place);
            "component".to_owned()
        });
        let rest = if rest.contains('/') { rest } else { format!("{}/{rest}", entity.namespace) };
        found.push((format!("{kind}:{rest}"), item.place));
    }
    found
}

fn relations(
    entity: &Entity<'_>,
    providers: &BTreeMap<String, Vec<String>>,
    known: &BTreeSet<&str>,
    graph: &mut Graph,
) {
    let own = entity.reference.as_str();
    let source = |key: &str| format!("{}: {own} spec.{key}", entity.path);
    for (wrong, right) in MISSPELLED {
        let below = entity.node.get("spec").and_then(|spec| spec.get(wrong));
        if let Some(node) = below {
            let message = format!(
                "`{wrong}` of `{own}` means nothing to Backstage; `{right}` was probably meant"
            );
            graph.warn(Code::NotUnderstood, message, node.place);
        }
    }
    for key in ["dependsOn", "dependencyOf", "consumesApis", "providesApis"] {
        for parent in [entity.node, entity.node.get("metadata").unwrap_or(entity.node)] {
            if let Some(node) = parent.get(key) {
                let message =
                    format!("`{key}` of `{own}` belongs below `spec`, and means nothing here");
                graph.warn(Code::NotUnderstood, message, node.place);
                break;
            }
        }
    }
    if !own.starts_with("component:") && !own.starts_with("resource:") {
        return;
    }
    let check = |reference: &str, place: Place, graph: &mut Graph| {
        if !known.contains(reference) {
            let message = format!("`{own}` names `{reference}`, which is not in the catalog");
            graph.warn(Code::Dangling, message, place);
        }
        if reference == own {
            graph.warn(Code::SelfDependency, format!("`{own}` depends on itself"), place);
        }
    };
    let is_running =
        |reference: &str| reference.starts_with("component:") || reference.starts_with("resource:");
    for (reference, place) in references(entity, "dependsOn", None, graph) {
        check(&reference, place, graph);
        if is_running(&reference) {
            graph.depend(own, &reference, Evidence::Declared, source("dependsOn"));
        }
    }
    for (reference, place) in references(entity, "dependencyOf", None, graph) {
        check(&reference, place, graph);
        if is_running(&reference) {
            graph.depend(&reference, own, Evidence::Declared, source("dependencyOf"));
        }
    }
    for (api, place) in references(entity, "consumesApis", Some("api"), graph) {
        if let Some(list) = providers.get(&api) {
            for provider in list {
                graph.depend(own, provider, Evidence::Declared, source("consumesApis"));
            }
        } else {
            let message = format!("nothing in the catalog provides `{api}`, which `{own}` uses");
            graph.warn(Code::Dangling, message, place);
            graph.service(&api).kind = Some("external".to_owned());
            graph.depend(own, &api, Evidence::Declared, source("consumesApis"));
        }
    }
    for relation in entity.node.get("relations").map(Node::items).unwrap_or_default() {
        let kind = relation.scalar_at("type").unwrap_or_default();
        let Some(target) = relation.scalar_at("targetRef").map(str::to_lowercase) else { continue };
        match kind {
            "dependsOn" if is_running(&target) => {
                graph.depend(own, &target, Evidence::Declared, source("relations"));
            }
            "dependencyOf" if is_running(&target) => {
                graph.depend(&target, own, Evidence::Declared, source("relations"));
            }
            _ => {}
        }
    }
}
