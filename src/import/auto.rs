//! What a file looks like.

use super::Format;
use super::formats::edges;
use crate::diagnostic::{Code, Diagnostic, Sources};
use crate::load::{self, Node};

/// Only so much of a file is looked at, where that is enough.
const HEAD: usize = 64 * 1024;

/// The format that a file looks like; nothing for one like no other.
///
/// # Errors
/// It cannot be read.
pub fn detect(path: &str) -> Result<Option<Format>, Vec<Diagnostic>> {
    if path == "-" {
        return Err(vec![
            Diagnostic::file_error(Code::Unreadable, "standard input can be read only once")
                .help("name the format: `blastwave import FORMAT -`"),
        ]);
    }
    let name = path.rsplit('/').next().unwrap_or(path).to_lowercase();
    let end = name.rsplit('.').next().unwrap_or_default();
    let by_name = match end {
        "csv" | "tsv" => Some(Format::Csv),
        "dot" | "gv" => Some(Format::Dot),
        "graphml" => Some(Format::Graphml),
        "dsl" => Some(Format::Structurizr),
        "prom" => Some(Format::Prometheus),
        _ => None,
    };
    if by_name.is_some() {
        return Ok(by_name);
    }
    let head = load::head(path, HEAD).map_err(|problem| vec![*problem])?;
    let text = String::from_utf8_lossy(&head);
    let start = text.trim_start_matches(['\u{FEFF}', ' ', '\n', '\r', '\t']);
    if start.starts_with('<') {
        return Ok(start.contains("graphml").then_some(Format::Graphml));
    }
    // Traces may be too large to be read twice.
    if start.starts_with(['{', '[']) {
        let telling = [
            ("\"resourceSpans\"", Format::Otlp),
            ("\"scopeSpans\"", Format::Otlp),
            ("\"batches\"", Format::Otlp),
            ("\"localEndpoint\"", Format::Zipkin),
            ("\"spanID\"", Format::Jaeger),
            ("\"processes\"", Format::Jaeger),
            ("\"callCount\"", Format::Jaeger),
            ("\"src_namespace\"", Format::Linkerd),
            ("\"resultType\"", Format::Prometheus),
            ("\"softwareSystems\"", Format::Structurizr),
            ("\"external_services\"", Format::Mubench),
            ("io.mb3r.bering", Format::Bering),
        ];
        if let Some((_, format)) = telling.iter().find(|(word, _)| start.contains(word)) {
            return Ok(Some(*format));
        }
    }
    let words: Vec<&str> = start.split_whitespace().take(3).collect();
    if matches!(words.first(), Some(&("digraph" | "graph" | "strict"))) {
        return Ok(Some(Format::Dot));
    }
    if words.first() == Some(&"workspace") {
        return Ok(Some(Format::Structurizr));
    }
    if text.lines().any(|line| line.starts_with("# TYPE ") || line.contains("_total{")) {
        return Ok(Some(Format::Prometheus));
    }
    let mut sources = Sources::default();
    let Ok(documents) = load::read_foreign(path, &mut sources) else { return Ok(None) };
    Ok(documents.iter().find_map(|document| by_keys(&document.root)))
}

/// What the keys of a document tell.
fn by_keys(root: &Node) -> Option<Format> {
    let has = |path: &str| root.at(path).is_some();
    // A topology of ours has services too; it is there to be merged into.
    if has("version") && has("topology") {
        return None;
    }
    let kind = root.scalar_at("kind").or_else(|| root.items().first()?.scalar_at("kind"));
    let version = root
        .scalar_at("apiVersion")
        .or_else(|| root.items().first()?.scalar_at("apiVersion"))
        .unwrap_or_default();
    if kind.is_some() && version.starts_with("backstage.io") {
        return Some(Format::Backstage);
    }
    if kind.is_some() && version.starts_with("nais.io") {
        return Some(Format::Nais);
    }
    if kind.is_some() && !version.is_empty() {
        return Some(Format::Kubernetes);
    }
    if has("elements.nodes") {
        return Some(Format::Kiali);
    }
    if has("resources") && root.get("resources").is_some_and(|it| !it.entries().is_empty()) {
        return Some(Format::Aspire);
    }
    if let Some(services) = root.get("services") {
        if !services.entries().is_empty() {
            return Some(Format::Compose);
        }
        let any = |key: &str| services.items().iter().any(|item| item.get(key).is_some());
        if has("edges") {
            return Some(Format::Bering);
        }
        if has("arch") || any("package") {
            return Some(Format::Spigo);
        }
        if any("name") {
            return Some(Format::Isotope);
        }
    }
    let first = edges::list_of(root).and_then(<[Node]>::first)?;
    let names = |keys: &[&str]| keys.iter().any(|key| first.get(key).is_some());
    (names(edges::CALLERS) && names(edges::CALLEES)).then_some(Format::Json)
}
