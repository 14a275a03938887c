//! Applications of NAIS: who may call whom is declared in `accessPolicy`.

use std::collections::BTreeSet;

use crate::diagnostic::{Code, Diagnostic};
use crate::import::graph::EvidenceGraph;
use crate::import::graph::addresses::in_variable;
use crate::import::graph::references::{Reference, Target};
use crate::import::{Format, Input, hide_values, not_of};
use crate::load::{self, Document, Node};
use crate::model::topology::Evidence;

/// Reads applications, one or many in each file.
pub(in crate::import) fn read_applications(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    let mut count = 0;
    let documents = read_documents(input, graph)?;
    for (path, document) in &documents {
        let root = &document.root;
        // A repository keeps other resources beside its applications.
        if !matches!(root.scalar_at("kind"), Some("Application" | "Naisjob")) {
            continue;
        }
        let Some(name) = root.scalar_at("metadata.name") else {
            graph.warn(Code::NotUnderstood, "an application without a name", root.place);
            continue;
        };
        count += 1;
        add_application(path, name, root, graph);
    }
    // Variables come last: an application may refer to one that stands in a later file.
    add_variables(&documents, graph);
    if count == 0 {
        let path = documents.first().map_or("", |(path, _)| path);
        return Err(not_of(Format::Nais, path, "it holds no `kind: Application`"));
    }
    Ok(())
}

/// Reads the documents of all files. `{{image}}` without quotes is how these files are written and
/// deployed: it stands for a whole value, and is a text.
fn read_documents(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<Vec<(String, Document)>, Vec<Diagnostic>> {
    let mut all = Vec::new();
    for path in input.files {
        let bytes = load::read_bytes(path).map_err(|problem| vec![*problem])?;
        let bytes = match String::from_utf8(bytes) {
            Ok(text) => with_quoted_placeholders(&text).into_bytes(),
            Err(error) => error.into_bytes(),
        };
        let name = if path == "-" { load::STDIN } else { path };
        let mut documents = load::parse_foreign(name, bytes, input.sources)?;
        // Diagnostics show lines of the file, and these values may be passwords.
        hide_values(&documents, &["env", "value"], input.sources);
        for document in &mut documents {
            graph.warn_all(std::mem::take(&mut document.problems));
        }
        all.extend(documents.into_iter().map(|document| (path.clone(), document)));
    }
    Ok(all)
}

/// The text with quotes around every `{{name}}` that is a whole value.
pub(in crate::import) fn with_quoted_placeholders(text: &str) -> String {
    let quoted = |line: &str| {
        let start =
            line.find(": {{").map(|at| at + 2).or_else(|| line.find("- {{").map(|at| at + 2));
        let value = start.map(|start| line[start..].trim_end());
        match (start, value) {
            // A value with quotes is valid YAML already, and more of them would break it.
            (Some(start), Some(value)) if value.ends_with("}}") && !value.contains(['"', '\'']) => {
                format!("{}\"{value}\"\n", &line[..start])
            }
            _ => format!("{line}\n"),
        }
    };
    text.lines().map(quoted).collect()
}

/// Adds the applications whose addresses stand in variables: `http://name`, `http://name.namespace`.
///
/// A host outside that no policy allows cannot be reached, whatever a variable says.
fn add_variables(documents: &[(String, Document)], graph: &mut EvidenceGraph) {
    let name_of = |document: &Document| document.root.scalar_at("metadata.name").map(str::to_owned);
    let names: BTreeSet<String> =
        documents.iter().filter_map(|(_, document)| name_of(document)).collect();
    for (path, document) in documents {
        let Some(caller) = name_of(document) else { continue };
        for entry in document.root.node_at("spec.env").map(Node::items).unwrap_or_default() {
            let (Some(key), Some(value)) = (entry.scalar_at("name"), entry.scalar_at("value"))
            else {
                continue;
            };
            let source = format!("{path}: spec.env.{key}");
            for address in in_variable(key, value).addresses {
                let parts: Vec<&str> = address.host.split('.').collect();
                // The third part `svc` marks a name of the cluster; a public host has another one
                // there.
                let is_inside = parts.len() <= 2 || parts[2] == "svc";
                if let Some(callee) = names.get(parts[0]).filter(|_| is_inside) {
                    let target = Target::Service(callee.clone());
                    graph.add_reference(
                        &Reference::from_address(&caller, &address, &source),
                        target,
                    );
                }
            }
        }
    }
}

fn add_application(path: &str, name: &str, root: &Node, graph: &mut EvidenceGraph) {
    let namespace = root.scalar_at("metadata.namespace").unwrap_or("default");
    let service = graph.service_or_new(name);
    service.team = root.scalar_at("metadata.labels.team").map(str::to_owned);
    // The least number of replicas is what is always there; the rest depends on load.
    let least = root.node_at("spec.replicas.min").and_then(Node::number);
    #[expect(clippy::cast_sign_loss, reason = "it is at least 1")]
    let least = least.filter(|count| (1.0..=10_000.0).contains(count)).map(|count| count as u32);
    service.replicas = least;
    if root.scalar_at("kind") == Some("Naisjob") {
        service.kind = Some("job".to_owned());
    }
    // Requests enter by the platform's ingress, which is not among the applications.
    service.is_entry |= root.node_at("spec.ingresses").is_some_and(|list| !list.items().is_empty());
    let rules = |key: &str| root.node_at(key).map(Node::items).unwrap_or_default();
    let full = |rule: &Node, name: &str| match rule.scalar_at("namespace") {
        // Within one namespace applications are known by their plain names.
        Some(other) if other != namespace => format!("{other}/{name}"),
        _ => name.to_owned(),
    };
    for rule in rules("spec.accessPolicy.outbound.rules") {
        if let Some(callee) = rule.scalar_at("application") {
            let source = format!("{path}: spec.accessPolicy.outbound.rules");
            graph.depend_on(name, &full(rule, callee), Evidence::Declared, source);
        }
    }
    for rule in rules("spec.accessPolicy.inbound.rules") {
        // `*` allows everybody, and names nobody.
        if let Some(caller) = rule.scalar_at("application").filter(|caller| *caller != "*") {
            let source = format!("{path}: spec.accessPolicy.inbound.rules");
            graph.depend_on(&full(rule, caller), name, Evidence::Declared, source);
        }
    }
    for rule in rules("spec.accessPolicy.outbound.external") {
        let source = format!("{path}: spec.accessPolicy.outbound.external");
        if let Some(host) = rule.scalar_at("host") {
            graph.service_or_new(host).kind = Some("external".to_owned());
            graph.depend_on(name, host, Evidence::Declared, source);
        }
    }
}
