//! `GraphML`, as yEd, Gephi and `NetworkX` write it. Names of elements count without their namespace.

use std::collections::{BTreeMap, BTreeSet};

use roxmltree::{Document, Node, ParsingOptions};

use crate::diagnostic::{Code, Diagnostic, Place};
use crate::import::graph::EvidenceGraph;
use crate::import::{Format, Input, not_of};
use crate::load;
use crate::model::topology::Evidence;
use crate::sort::Gather as _;

/// More elements than this are refused: each takes some hundred bytes.
const NODES_MAX: u32 = 5_000_000;

/// An element with more attributes than this is refused.
const ATTRIBUTES_MAX: usize = 500;

/// Keys that say what a node is or belongs to.
const KINDS: &[&str] = &["service", "kind", "type", "group"];

/// Reads graphs.
pub(in crate::import) fn read_graphs(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    for path in input.files {
        let source = load::read_text(path, input.sources)?;
        let text = &input.sources.get(source).text;
        if let Some(start) = too_many_attributes(text) {
            let place = Place { source, start: start as u32, end: start as u32 };
            let message = format!("an element with more than {ATTRIBUTES_MAX} attributes");
            return Err(vec![Diagnostic::error(Code::TooLarge, message, place)]);
        }
        // Entities are not expanded: a document that declares any is refused.
        let options = ParsingOptions {
            allow_dtd: false,
            nodes_limit: NODES_MAX,
            ..ParsingOptions::default()
        };
        let document = Document::parse_with_options(text, options).map_err(|error| {
            let position = error.pos();
            let start: usize =
                text.split_inclusive('\n').take(position.row as usize - 1).map(str::len).sum();
            let place = Place { source, start: start as u32, end: start as u32 };
            vec![Diagnostic::error(Code::Syntax, format!("this is not GraphML: {error}"), place)]
        })?;
        if !has_name(&document.root_element(), "graphml") {
            return Err(not_of(Format::Graphml, path, "its outermost element is not `graphml`"));
        }
        add_document(path, &document, input.options.reverse, graph);
    }
    Ok(())
}

/// Returns where an element begins that has too many attributes: the parser compares each with all others.
fn too_many_attributes(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(start) = text[at..].find('<').map(|found| at + found) {
        let skipped = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")]
            .into_iter()
            .find(|(open, _)| text[start..].starts_with(open));
        if let Some((open, close)) = skipped {
            let inside = start + open.len();
            at = text[inside..].find(close).map_or(text.len(), |end| inside + end + close.len());
            continue;
        }
        let (mut quote, mut count) = (None, 0);
        at = start + 1;
        while at < bytes.len() {
            match (bytes[at], quote) {
                (byte, Some(open)) if byte == open => quote = None,
                (b'"' | b'\'', None) => quote = Some(bytes[at]),
                (b'=', None) => count += 1,
                (b'>', None) => break,
                _ => {}
            }
            at += 1;
        }
        if count > ATTRIBUTES_MAX {
            return Some(start);
        }
        // What ended the loop is one byte, or the end of the text.
        at = at.min(text.len());
    }
    None
}

fn has_name(node: &Node<'_, '_>, name: &str) -> bool {
    node.is_element() && node.tag_name().name() == name
}

fn add_document(path: &str, document: &Document<'_>, reverse: bool, graph: &mut EvidenceGraph) {
    let mut keys: BTreeMap<&str, &str> = BTreeMap::new();
    for key in document.descendants().filter(|node| has_name(node, "key")) {
        if let (Some(id), Some(name)) = (key.attribute("id"), key.attribute("attr.name")) {
            keys.insert(id, name);
        }
    }
    let edges = document.descendants().filter(|node| has_name(node, "edge"));
    let ends: BTreeSet<&str> = edges
        .flat_map(|edge| [edge.attribute("source"), edge.attribute("target")])
        .flatten()
        .into_set();
    let mut names: BTreeMap<&str, String> = BTreeMap::new();
    for node in document.descendants().filter(|node| has_name(node, "node")) {
        let Some(id) = node.attribute("id") else { continue };
        // What only holds others is a group, and no service.
        if !ends.contains(id) && node.children().any(|child| has_name(&child, "graph")) {
            continue;
        }
        let label = node_label(&node, &keys);
        // yEd and NetworkX number nodes as `n0` and `n0::n1`: such an identifier is no name.
        let is_made_up = id.starts_with(['n', 'N'])
            && id[1..].chars().all(|c| c.is_ascii_digit() || c == ':' || c == 'n');
        let name = match &label {
            Some(label) if is_made_up => label.clone(),
            _ => id.to_owned(),
        };
        let service = graph.service_or_new(&name);
        service.title = label.filter(|label| *label != name).or(service.title.take());
        service.kind = data_text(&node, &keys, KINDS).or(service.kind.take());
        names.insert(id, name);
    }
    let mut undirected = 0;
    for edge in document.descendants().filter(|node| has_name(node, "edge")) {
        let ends = (edge.attribute("source"), edge.attribute("target"));
        let (Some(from), Some(to)) = ends else { continue };
        let (Some(from), Some(to)) = (names.get(from), names.get(to)) else {
            let message =
                format!("an edge of `{path}` from `{from}` to `{to}`: one of them is no node");
            graph.warn_of_file(Code::Dangling, message);
            continue;
        };
        let default = edge.ancestors().find(|node| has_name(node, "graph"));
        let default = default.and_then(|node| node.attribute("edgedefault"));
        let is_directed = match edge.attribute("directed") {
            Some(directed) => directed == "true",
            None => default != Some("undirected"),
        };
        undirected += usize::from(!is_directed);
        let (caller, callee) = if reverse { (to, from) } else { (from, to) };
        let id = edge.attribute("id").unwrap_or("without id");
        let source = format!("{path}: edge {id}");
        let known = graph.depend_on(caller, callee, Evidence::Declared, source);
        let count =
            data_text(&edge, &keys, super::edges::COUNTS).and_then(|text| text.parse::<f64>().ok());
        if let (Some(dependency), Some(count)) =
            (known, count.filter(|item| item.is_finite() && *item > 0.0))
        {
            dependency.calls += count;
        }
    }
    if undirected > 0 {
        let message = format!(
            "{undirected} edges of `{path}` have no direction; each was taken from its source to its target"
        );
        graph.warn_of_file(Code::NotUnderstood, message);
    }
}

/// Returns the text of an element below one of these keys, by the name of the key or by its id.
fn data_text(node: &Node<'_, '_>, keys: &BTreeMap<&str, &str>, wanted: &[&str]) -> Option<String> {
    let data = node.children().filter(|child| has_name(child, "data")).find(|child| {
        child.attribute("key").is_some_and(|key| {
            wanted.contains(&key) || keys.get(key).is_some_and(|name| wanted.contains(name))
        })
    })?;
    let text = crate::import::graph::names::one_line(data.text()?);
    (text != "unnamed").then_some(text)
}

/// The label that yEd draws, or one of the usual keys.
fn node_label(node: &Node<'_, '_>, keys: &BTreeMap<&str, &str>) -> Option<String> {
    let inside = node.children().filter(|child| has_name(child, "data"));
    let drawn =
        inside.flat_map(|data| data.descendants()).find(|child| has_name(child, "NodeLabel"));
    let drawn = drawn.and_then(|label| label.text()).map(crate::import::graph::names::one_line);
    drawn
        .filter(|label| label != "unnamed")
        .or_else(|| data_text(node, keys, &["label", "name", "Text"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_counted_for_each_element() {
        let many: String = (0..=ATTRIBUTES_MAX).map(|number| format!(" a{number}='<'")).collect();
        assert_eq!(too_many_attributes(&format!("<x/><y{many}/>")), Some(4));
        assert_eq!(too_many_attributes(&format!("<!-- <y{many}/> --><x a='=='/>")), None);
        assert_eq!(too_many_attributes("<x a=\""), None);
    }
}
