//! Applications of NAIS: who may call whom is declared in `accessPolicy`.

use crate::diagnostic::{Code, Diagnostic};
use crate::import::graph::Graph;
use crate::import::{Format, Input, not_of};
use crate::load::Node;
use crate::model::topology::Evidence;

/// Reads applications, one or many in each file.
pub(in crate::import) fn read(
    input: &mut Input<'_>,
    graph: &mut Graph,
) -> Result<(), Vec<Diagnostic>> {
    let mut count = 0;
    let documents = input.documents(graph)?;
    for (path, document) in &documents {
        let root = &document.root;
        if !matches!(root.scalar_at("kind"), Some("Application" | "Naisjob")) {
            continue;
        }
        let Some(name) = root.scalar_at("metadata.name") else {
            graph.warn(Code::NotUnderstood, "an application without a name", root.place);
            continue;
        };
        count += 1;
        application(path, name, root, graph);
    }
    if count == 0 {
        let path = documents.first().map_or("", |(path, _)| path);
        return Err(not_of(Format::Nais, path, "it holds no `kind: Application`"));
    }
    Ok(())
}

fn application(path: &str, name: &str, root: &Node, graph: &mut Graph) {
    let namespace = root.scalar_at("metadata.namespace").unwrap_or("default");
    let service = graph.service(name);
    service.team = root.scalar_at("metadata.labels.team").map(str::to_owned);
    let least = root.at("spec.replicas.min").and_then(Node::number);
    #[expect(clippy::cast_sign_loss, reason = "it is at least 1")]
    let least = least.filter(|count| (1.0..=10_000.0).contains(count)).map(|count| count as u32);
    service.replicas = least;
    if root.scalar_at("kind") == Some("Naisjob") {
        service.kind = Some("job".to_owned());
    }
    let has_ingress = root.at("spec.ingresses").is_some_and(|list| !list.items().is_empty());
    if has_ingress {
        // The platform puts an ingress of the application's full name before it.
        let ingress = format!("{namespace}/{name}");
        let entry = graph.service(&ingress);
        entry.is_entry = true;
        entry.kind = Some("ingress".to_owned());
        graph.depend(&ingress, name, Evidence::Declared, format!("{path}: spec.ingresses"));
    }
    let rules = |key: &str| root.at(key).map(Node::items).unwrap_or_default();
    let full = |rule: &Node, name: &str| match rule.scalar_at("namespace") {
        Some(other) if other != namespace => format!("{other}/{name}"),
        _ => name.to_owned(),
    };
    for rule in rules("spec.accessPolicy.outbound.rules") {
        if let Some(callee) = rule.scalar_at("application") {
            let source = format!("{path}: spec.accessPolicy.outbound.rules");
            graph.depend(name, &full(rule, callee), Evidence::Declared, source);
        }
    }
    for rule in rules("spec.accessPolicy.inbound.rules") {
        if let Some(caller) = rule.scalar_at("application").filter(|caller| *caller != "*") {
            let source = format!("{path}: spec.accessPolicy.inbound.rules");
            graph.depend(&full(rule, caller), name, Evidence::Declared, source);
        }
    }
    let external: Vec<&str> = rules("spec.accessPolicy.outbound.external")
        .iter()
        .filter_map(|rule| rule.scalar_at("host"))
        .collect();
    if !external.is_empty() {
        let message = format!(
            "`{name}` may call {} outside of the platform; add what it needs by hand",
            external.join(", ")
        );
        graph.warn(Code::NotUnderstood, message, root.place);
    }
}
