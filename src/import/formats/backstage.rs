//! Backstage catalogs: `catalog-info.yaml` files with the files that their locations name, or what
//! `/api/catalog/entities` gives.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Code, Diagnostic, Place};
use crate::import::graph::EvidenceGraph;
use crate::import::graph::names::one_line;
use crate::import::named_files::NamedFiles;
use crate::import::{Format, Input, not_of};
use crate::load::{self, Document, Node, Value};
use crate::model::topology::Evidence;

/// Keys that look like relations but are not, and what was probably meant.
const MISSPELLED: &[(&str, &str)] = &[
    ("consumesApi", "consumesApis"),
    ("providesApi", "providesApis"),
    ("dependencies", "dependsOn"),
    ("dependOn", "dependsOn"),
];

struct CatalogEntity<'a> {
    path: &'a str,
    node: &'a Node,
    reference: String,
    namespace: String,
}

/// Reads catalogs.
pub(in crate::import) fn read_catalogs(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    let mut documents = input.read_documents(graph)?;
    follow_locations(&mut documents, input, graph)?;
    let mut entities = Vec::new();
    for (path, document) in &documents {
        for node in entity_nodes(&document.root) {
            add_entity(path, node, &mut entities, graph);
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
    let catalog = Catalog::new(&entities, graph);
    for entity in &entities {
        add_relations(entity, &catalog, graph);
    }
    Ok(())
}

/// Returns the entities of a document: itself, its items, or a list of them.
fn entity_nodes(root: &Node) -> &[Node] {
    match (&root.value, root.get("items").map(|items| &items.value)) {
        (Value::Sequence(items), _) | (_, Some(Value::Sequence(items))) => items,
        _ => std::slice::from_ref(root),
    }
}

/// Reads the files that locations name, each once, and those that they name.
fn follow_locations(
    documents: &mut Vec<(String, Document)>,
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    let first = input.files.first().map_or(".", String::as_str).to_owned();
    let mut files = NamedFiles::new(&first, input.options);
    // With and without `./` it is the same file, and would otherwise be read twice.
    let mut seen: BTreeSet<String> = input.files.iter().map(|path| strip_braces(path)).collect();
    let mut at = 0;
    // The list grows while it is walked: a location may name a file that holds locations.
    while at < documents.len() {
        let (path, document) = &documents[at];
        let mut named = Vec::new();
        for node in entity_nodes(&document.root) {
            if node.scalar_at("kind").is_some_and(|kind| kind.eq_ignore_ascii_case("location")) {
                let list = node.node_at("spec.targets").map(Node::items).unwrap_or_default();
                for target in list.iter().chain(node.node_at("spec.target")) {
                    let name = target.scalar().unwrap_or_default();
                    named.extend(files.find_file(path, name, target.place, graph));
                }
            }
        }
        for path in named {
            if seen.insert(strip_braces(&path)) {
                for mut document in load::read_foreign(&path, input.sources)? {
                    graph.warn_all(std::mem::take(&mut document.problems));
                    documents.push((path.clone(), document));
                }
            }
        }
        at += 1;
    }
    Ok(())
}

fn strip_braces(path: &str) -> String {
    path.trim_start_matches("./").to_owned()
}

/// The entities of a catalog, and the APIs that they provide.
struct Catalog<'a> {
    /// The entities that provide each API.
    providers: BTreeMap<String, Vec<&'a str>>,
    /// The entities that there are.
    known: BTreeSet<&'a str>,
}

impl<'a> Catalog<'a> {
    fn new(entities: &'a [CatalogEntity<'a>], graph: &mut EvidenceGraph) -> Self {
        let mut providers: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for entity in entities {
            for (api, _) in entity_references(entity, "providesApis", Some("api"), graph) {
                providers.entry(api).or_default().push(&entity.reference);
            }
        }
        let known = entities.iter().map(|entity| &*entity.reference).collect();
        Self { providers, known }
    }
}

fn add_entity<'a>(
    path: &'a str,
    node: &'a Node,
    entities: &mut Vec<CatalogEntity<'a>>,
    graph: &mut EvidenceGraph,
) {
    let (Some(kind), Some(name)) = (node.scalar_at("kind"), node.scalar_at("metadata.name")) else {
        graph.warn(Code::NotUnderstood, "this is no entity: it has no `kind` and name", node.place);
        return;
    };
    let kind = kind.to_lowercase();
    // The templates of Backstage hold placeholders where names would stand.
    if kind == "template" || name.contains("${{") {
        return;
    }
    let namespace = node.scalar_at("metadata.namespace").unwrap_or("default").to_lowercase();
    let reference = format!("{kind}:{namespace}/{}", name.to_lowercase());
    if kind == "component" || kind == "resource" {
        graph.note_short_name(&reference, name);
        let service = graph.service_or_new(&reference);
        let stated = node.scalar_at("metadata.title").map(one_line);
        service.title = stated.filter(|title| !title.is_empty()).or(service.title.take());
        service.team = node.scalar_at("spec.owner").map(one_line);
        service.kind = node.scalar_at("spec.type").map(one_line);
    }
    entities.push(CatalogEntity { path, node, reference, namespace });
}

/// The references below a key of the `spec`, whole and in small letters, with their places.
fn entity_references(
    entity: &CatalogEntity<'_>,
    key: &str,
    default_kind: Option<&str>,
    graph: &mut EvidenceGraph,
) -> Vec<(String, Place)> {
    let Some(list) = entity.node.node_at("spec").and_then(|spec| spec.get(key)) else {
        return Vec::new();
    };
    let items = match &list.value {
        Value::Sequence(items) => &items[..],
        _ => std::slice::from_ref(list),
    };
    let mut found = Vec::new();
    for item in items {
        let Some(text) = item.scalar() else { continue };
        // Backstage compares references without regard to case.
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
        // A reference without a namespace means that of the entity that holds it.
        let rest = if rest.contains('/') { rest } else { format!("{}/{rest}", entity.namespace) };
        found.push((format!("{kind}:{rest}"), item.place));
    }
    found
}

fn add_relations(entity: &CatalogEntity<'_>, catalog: &Catalog<'_>, graph: &mut EvidenceGraph) {
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
    // Backstage ignores such keys outside of `spec` without a word, so their author never notices.
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
    // Systems, domains and APIs only group what runs: they cannot fail by themselves.
    if !is_running(own) {
        return;
    }
    for (key, is_caller) in [("dependsOn", false), ("dependencyOf", true)] {
        for (reference, place) in entity_references(entity, key, None, graph) {
            check_reference(own, &reference, place, catalog, graph);
            let source = source(key);
            if is_running(&reference) {
                let (caller, callee) =
                    if is_caller { (&*reference, own) } else { (own, &*reference) };
                graph.depend_on(caller, callee, Evidence::Declared, source);
            } else if reference.starts_with("api:") && !is_caller {
                use_api(own, &reference, place, source, catalog, graph);
            } else {
                let message = format!(
                    "`{key}` of `{own}` names `{reference}`, which does not run: no dependency was made of it"
                );
                graph.warn(Code::NotUnderstood, message, place);
            }
        }
    }
    for (api, place) in entity_references(entity, "consumesApis", Some("api"), graph) {
        use_api(own, &api, place, source("consumesApis"), catalog, graph);
    }
    // Only the server of Backstage adds `relations`; a file that a person wrote has none.
    for relation in entity.node.get("relations").map(Node::items).unwrap_or_default() {
        let kind = relation.scalar_at("type").unwrap_or_default();
        let Some(target) = relation.scalar_at("targetRef").map(str::to_lowercase) else { continue };
        match kind {
            "dependsOn" if is_running(&target) => {
                graph.depend_on(own, &target, Evidence::Declared, source("relations"));
            }
            "dependencyOf" if is_running(&target) => {
                graph.depend_on(&target, own, Evidence::Declared, source("relations"));
            }
            "consumesApi" | "dependsOn" if target.starts_with("api:") => {
                use_api(own, &target, relation.place, source("relations"), catalog, graph);
            }
            _ => {}
        }
    }
}

/// Returns whether an entity runs, and can fail.
fn is_running(reference: &str) -> bool {
    reference.starts_with("component:") || reference.starts_with("resource:")
}

fn check_reference(
    own: &str,
    reference: &str,
    place: Place,
    catalog: &Catalog<'_>,
    graph: &mut EvidenceGraph,
) {
    if is_running(reference) && !catalog.known.contains(reference) {
        let message = format!("`{own}` names `{reference}`, which is not in the catalog");
        graph.warn(Code::Dangling, message, place);
    }
    if reference == own {
        graph.warn(Code::SelfDependency, format!("`{own}` depends on itself"), place);
    }
}

/// Makes a user of an API depend on those who provide it; on an external service where none does.
fn use_api(
    own: &str,
    api: &str,
    place: Place,
    source: String,
    catalog: &Catalog<'_>,
    graph: &mut EvidenceGraph,
) {
    if let Some(list) = catalog.providers.get(api) {
        for provider in list {
            graph.depend_on(own, provider, Evidence::Declared, source.clone());
        }
        return;
    }
    let message = format!("nothing in the catalog provides `{api}`, which `{own}` uses");
    graph.warn(Code::Dangling, message, place);
    // Somebody outside of the catalog provides it, and that can fail as well.
    graph.service_or_new(api).kind = Some("external".to_owned());
    graph.depend_on(own, api, Evidence::Declared, source);
}
