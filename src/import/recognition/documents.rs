//! Recognition by the keys of YAML and JSON documents.

use super::names::{folder_of, is_compose};
use super::text::{is_of_helm, is_placeholder};
use super::{Recognition, Unrendered};
use crate::import::Format;
use crate::import::formats::edges;
use crate::load::{Document, Entry, Node, Value};

/// Keys of a service that Compose has, and others with a list of services have not.
const COMPOSE_KEYS: &[&str] = &[
    "image",
    "build",
    "depends_on",
    "environment",
    "env_file",
    "ports",
    "expose",
    "extends",
    "volumes",
    "networks",
    "network_mode",
    "deploy",
    "command",
    "entrypoint",
    "profiles",
    "links",
    "external_links",
    "provider",
    "healthcheck",
    "restart",
    "container_name",
];

/// Keys at the top of a Compose file, besides those that begin with `x-`.
const COMPOSE_ROOT: &[&str] = &[
    "version", "name", "services", "networks", "volumes", "configs", "secrets", "include", "models",
];

/// Keys of a service that only Isotope has.
const ISOTOPE_KEYS: &[&str] =
    &["script", "isEntrypoint", "numReplicas", "responseSize", "errorRate"];

/// Recognises a file by its documents: a format that can be imported counts more than what else is there.
pub(super) fn recognize_documents(documents: &[Document], name: &str, path: &str) -> Recognition {
    let mut best = Recognition::Unknown;
    for document in documents {
        let known = of_document(&document.root, name, path);
        if matches!(known, Recognition::Format(_)) {
            return known;
        }
        if best == Recognition::Unknown
            || matches!((&best, &known), (Recognition::Other(_), Recognition::Unrendered(_)))
        {
            best = known;
        }
    }
    best
}

fn of_document(root: &Node, name: &str, path: &str) -> Recognition {
    let has = |path: &str| root.node_at(path).is_some();
    // A topology of ours has services too; it is there to be merged into.
    if has("version") && ["topology", "change", "policy", "incident"].iter().any(|key| has(key)) {
        return Recognition::Other("a file of blastwave; `--merge TOPOLOGY` adds to a topology");
    }
    let first = root.items().first().or_else(|| root.get("items")?.items().first());
    let is_list = root.scalar_at("kind").is_none_or(|kind| kind == "List");
    let object = if is_list { first } else { Some(root) };
    if let Some(object) = object
        && let Some(kind) = object.scalar_at("kind")
        && let Some(version) = object.scalar_at("apiVersion")
    {
        return of_object(object, kind, version, path);
    }
    if let Some(format) = of_catalog_or_cloud(root) {
        return Recognition::Format(format);
    }
    if let Some(other) = of_another_tool(root) {
        return Recognition::Other(other);
    }
    if has("elements.nodes") {
        return Recognition::Format(Format::Kiali);
    }
    if root.get("resources").is_some_and(is_aspire) {
        return Recognition::Format(Format::Aspire);
    }
    if let Some(known) = of_services(root, name) {
        return known;
    }
    if is_compose(name) && matches!(root.value, Value::Mapping(_)) {
        return Recognition::Format(Format::Compose);
    }
    let first = edges::list_of(root).and_then(<[Node]>::first);
    let names =
        |keys: &[&str]| keys.iter().any(|key| first.is_some_and(|item| item.get(key).is_some()));
    if names(edges::CALLERS) && names(edges::CALLEES) {
        return Recognition::Format(Format::Json);
    }
    Recognition::Unknown
}

/// Recognises an object with a kind and a version, as Kubernetes has them.
fn of_object(object: &Node, kind: &str, version: &str, path: &str) -> Recognition {
    let group = version.split('/').next().unwrap_or_default();
    let name = object.scalar_at("metadata.name").unwrap_or_default().to_owned();
    if is_placeholder(&name) && is_of_helm(&name) {
        return Recognition::Unrendered(Unrendered::helm_template(path));
    }
    if is_placeholder(&name) {
        return Recognition::Unrendered(Unrendered::Placeholders { file: path.to_owned() });
    }
    match (group, kind) {
        ("scaffolder.backstage.io", _) => Recognition::Other("a software template of Backstage"),
        ("backstage.io", "Template") => Recognition::Other("a software template of Backstage"),
        ("backstage.io", _) => Recognition::Format(Format::Backstage),
        ("v3", "service" | "datastore" | "queue" | "system" | "api" | "endpoint" | "frontend") => {
            Recognition::Format(Format::Datadog)
        }
        ("openslo", "SLO") => Recognition::Format(Format::Openslo),
        ("sloth.slok.dev", "PrometheusServiceLevel") => Recognition::Format(Format::Sloth),
        ("pyrra.dev", "ServiceLevelObjective") => Recognition::Format(Format::Pyrra),
        ("nais.io", _) => Recognition::Format(Format::Nais),
        ("kustomize.config.k8s.io", _) => {
            Recognition::Unrendered(Unrendered::Kustomization { folder: folder_of(path) })
        }
        ("helm.toolkit.fluxcd.io", _) => {
            Recognition::Unrendered(Unrendered::Flux { name, is_release: true })
        }
        ("kustomize.toolkit.fluxcd.io", _) => {
            Recognition::Unrendered(Unrendered::Flux { name, is_release: false })
        }
        (group, _) if group.ends_with(".fluxcd.io") => Recognition::Other("a source of Flux"),
        ("argoproj.io", "Application" | "ApplicationSet") => {
            Recognition::Unrendered(Unrendered::Argo { name })
        }
        ("argoproj.io", "Workflow" | "WorkflowTemplate" | "CronWorkflow" | "AppProject") => {
            Recognition::Other("an object of Argo that runs no service")
        }
        ("skaffold", _) => Recognition::Unrendered(Unrendered::Skaffold { file: path.to_owned() }),
        ("helm.cattle.io", _) => {
            Recognition::Unrendered(Unrendered::Flux { name, is_release: true })
        }
        ("tekton.dev", _) => Recognition::Other("a pipeline"),
        _ => Recognition::Format(Format::Kubernetes),
    }
}

/// Recognises descriptions of services, and templates of the cloud.
fn of_catalog_or_cloud(root: &Node) -> Option<Format> {
    let is_of_aws = |entry: &Entry| {
        let kind = entry.value.scalar_at("Type").unwrap_or_default();
        kind.starts_with("AWS::") || kind.starts_with("Custom::")
    };
    let resources = root.get("Resources").map(Node::entries).unwrap_or_default();
    if root.get("AWSTemplateFormatVersion").is_some() || resources.iter().any(is_of_aws) {
        return Some(Format::Cloudformation);
    }
    let first = root.items().first().unwrap_or(root);
    let task = first.get("taskDefinition").unwrap_or(first);
    if task.get("containerDefinitions").is_some() {
        return Some(Format::Ecs);
    }
    if root.get("dd-service").is_some() && root.get("schema-version").is_some() {
        return Some(Format::Datadog);
    }
    if root.node_at("info.x-cortex-tag").is_some() {
        return Some(Format::Cortex);
    }
    let service = root.get("service").filter(|_| root.get("version").is_some())?;
    let is_described = ["name", "alias", "aliases"].iter().any(|key| service.get(key).is_some());
    is_described.then_some(Format::Opslevel)
}

/// Recognises files of other tools that have keys similar to those of a format.
fn of_another_tool(root: &Node) -> Option<&'static str> {
    let has = |key: &str| root.get(key).is_some();
    let any_value =
        |holds: &dyn Fn(&Node) -> bool| root.entries().iter().any(|entry| holds(&entry.value));
    if has("_format_version") {
        return Some("a configuration of Kong");
    }
    if has("openapi") || has("swagger") {
        return Some("an OpenAPI description");
    }
    if has("asyncapi") {
        return Some("an AsyncAPI description");
    }
    if has("provider") && (has("functions") || has("service")) {
        return Some("a service of the Serverless Framework");
    }
    let is_job = |node: &Node| {
        ["script", "steps", "stage", "runs-on", "before_script"]
            .iter()
            .any(|key| node.get(key).is_some())
    };
    if has("stages") || has("jobs") || has("pipelines") || has("steps") || any_value(&is_job) {
        return Some("a pipeline");
    }
    let release = root.get("releases").and_then(|releases| releases.items().first());
    if release.is_some_and(|release| release.get("chart").is_some()) {
        return Some("a list of Helm releases; `helmfile template` renders it");
    }
    if has("scrape_configs") || has("receivers") && has("exporters") {
        return Some("a configuration of telemetry");
    }
    let rules = root.get("groups").and_then(|groups| groups.items().first());
    if rules.is_some_and(|group| group.get("rules").is_some()) {
        return Some("a list of alerts");
    }
    let services = root.get("services")?;
    let every = |keys: &[&str]| {
        let all: Vec<&Node> = services
            .items()
            .iter()
            .chain(services.entries().iter().map(|entry| &entry.value))
            .collect();
        !all.is_empty() && all.iter().all(|item| keys.iter().all(|key| item.get(key).is_some()))
    };
    if every(&["project", "host"]) || every(&["host", "language"]) {
        return Some("a project of the Azure Developer CLI");
    }
    if every(&["type", "name"]) && (has("databases") || has("envVarGroups") || every(&["env"]))
        || every(&["type", "name", "runtime"])
    {
        return Some("a blueprint of Render");
    }
    let platform = ["github", "git", "gitlab", "source_dir", "instance_size_slug"];
    if services.items().iter().any(|item| platform.iter().any(|key| item.get(key).is_some())) {
        return Some("an application of a hosting platform");
    }
    None
}

fn is_aspire(resources: &Node) -> bool {
    let is_versioned = |node: &Node| {
        let kind = node.scalar_at("type").unwrap_or_default();
        kind.rsplit_once(".v").is_some_and(|(_, number)| number.parse::<u32>().is_ok())
    };
    resources.entries().iter().any(|entry| is_versioned(&entry.value))
}

/// Recognises what has services: a mapping in Compose, a list elsewhere.
fn of_services(root: &Node, name: &str) -> Option<Recognition> {
    let keys = root.entries().iter().map(|entry| &*entry.key.text);
    let is_compose_root =
        keys.clone().all(|key| COMPOSE_ROOT.contains(&key) || key.starts_with("x-"));
    let Some(services) = root.get("services") else {
        let includes = is_compose_root && root.get("include").is_some();
        return includes.then_some(Recognition::Format(Format::Compose));
    };
    if !services.entries().is_empty() {
        // Values of charts have images too, in parts.
        let is_service = |node: &Node| {
            let is_set = |key: &&str| match node.get(key) {
                Some(image) if *key == "image" => image.scalar().is_some(),
                value => value.is_some(),
            };
            COMPOSE_KEYS.iter().any(is_set)
        };
        let is_one = services.entries().iter().any(|entry| is_service(&entry.value));
        let is_compose = is_one && is_compose_root || is_compose(name);
        return is_compose.then_some(Recognition::Format(Format::Compose));
    }
    let any = |keys: &[&str]| {
        services.items().iter().any(|item| keys.iter().any(|key| item.get(key).is_some()))
    };
    if root.get("edges").is_some() {
        return Some(Recognition::Format(Format::Bering));
    }
    if root.get("arch").is_some() || any(&["package"]) && any(&["dependencies"]) {
        return Some(Recognition::Format(Format::Spigo));
    }
    let defaults = root.get("defaults");
    let has_defaults =
        ["requestSize", "responseSize", "numReplicas", "numRbacPolicies", "errorRate"]
            .iter()
            .any(|key| defaults.is_some_and(|defaults| defaults.get(key).is_some()));
    let is_isotope = any(ISOTOPE_KEYS) || has_defaults;
    (is_isotope && any(&["name"])).then_some(Recognition::Format(Format::Isotope))
}
