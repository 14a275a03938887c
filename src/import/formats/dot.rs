//! Graphviz: an arrow means that its tail depends on its head, unless the user says otherwise.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Code, Diagnostic, Place, SourceId};
use crate::import::graph::EvidenceGraph;
use crate::import::{Dashed, Format, Input, not_of};
use crate::load;
use crate::model::topology::Evidence;

/// The deepest nesting of subgraphs.
const DEPTH_MAX: usize = 100;

/// One arrow may join groups; so many pairs of them are made at most.
const EDGES_MAX: usize = 200_000;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Id(String),
    /// `->` or `--`.
    Arrow,
    Mark(char),
}

type Attributes = BTreeMap<String, String>;

#[derive(Default)]
struct DotDrawing {
    nodes: BTreeMap<String, Attributes>,
    /// From, to, attributes, and the byte where it stands.
    edges: Vec<(String, String, Attributes, usize)>,
    /// The label of the innermost cluster of each node.
    clusters: BTreeMap<String, String>,
}

/// Reads drawings.
pub(in crate::import) fn read_drawings(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    for path in input.files {
        let source = load::read_text(path, input.sources)?;
        let text = &input.sources.get(source).text;
        let drawing = DotParser::new(text).parse_graph().map_err(|(at, message)| {
            // The parser gives position 0 for a file that is no Graphviz at all.
            if at == 0 {
                return not_of(Format::Dot, path, message);
            }
            let place = Place { source, start: at as u32, end: at as u32 };
            vec![Diagnostic::error(Code::Syntax, format!("this is not Graphviz: {message}"), place)]
        })?;
        add_drawing(path, source, text, &drawing, input, graph);
    }
    Ok(())
}

fn add_drawing(
    path: &str,
    source: SourceId,
    text: &str,
    drawing: &DotDrawing,
    input: &Input<'_>,
    graph: &mut EvidenceGraph,
) {
    let mut names = BTreeMap::new();
    for (id, attributes) in &drawing.nodes {
        let Some(name) = terraform_resource(id) else { continue };
        // `\N` only repeats the name, and labels in HTML are not read.
        let label = attributes.get("label").filter(|label| {
            !label.is_empty() && *label != id && !label.starts_with('<') && *label != "\\N"
        });
        let label = label.map(|label| label.replace("\\n", " ").replace("\\l", " "));
        // Programs number their nodes `n1` or `node1`, while `service7` is a name: a made-up
        // identifier has at most four letters before its digits.
        let is_made_up = id.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == '_');
        let is_made_up = !is_made_up.is_empty()
            && is_made_up.bytes().all(|byte| byte.is_ascii_digit())
            && id.len() <= is_made_up.len() + 4;
        let name = match &label {
            Some(label) if is_made_up => label.clone(),
            _ => name,
        };
        let service = graph.service_or_new(&name);
        if let Some(label) = label.filter(|label| *label != name) {
            service.title.get_or_insert_with(|| crate::import::graph::names::one_line(&label));
        }
        if let Some(cluster) = drawing.clusters.get(id).filter(|cluster| !cluster.is_empty()) {
            service.team.get_or_insert_with(|| crate::import::graph::names::one_line(cluster));
        }
        names.insert(id.as_str(), name);
    }
    // Lines are found by bisection: counting them anew for each edge takes quadratic time.
    let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
    let mut both = 0;
    for (from, to, attributes, at) in &drawing.edges {
        let (Some(from), Some(to)) = (names.get(from.as_str()), names.get(to.as_str())) else {
            continue;
        };
        let get = |key: &str| attributes.get(key).map(String::as_str).unwrap_or_default();
        both += usize::from(get("dir") == "both");
        let is_back = get("dir") == "back";
        let (caller, callee) =
            if is_back == input.options.reverse { (from, to) } else { (to, from) };
        let line = ends.partition_point(|end| end < at) + 1;
        let known =
            graph.depend_on(caller, callee, Evidence::Declared, format!("{path}: line {line}"));
        let Some(dependency) = known else { continue };
        let is_dashed = get("style").contains("dashed") || get("style").contains("dotted");
        match input.options.dashed {
            Dashed::Async if is_dashed => dependency.note_call(true),
            Dashed::Soft if is_dashed => dependency.is_soft = true,
            _ => {}
        }
    }
    if both > 0 {
        let message = format!(
            "{both} edges of `{path}` have arrows at both ends; each was taken for one dependency, of its \
             tail on its head"
        );
        let place = Place { source, start: 0, end: 0 };
        graph.warn(Code::NotUnderstood, message, place);
    }
}

/// Returns a name without what `terraform graph` prints around it; `None` for what is no resource.
fn terraform_resource(id: &str) -> Option<String> {
    let Some(inner) = id.strip_prefix("[root] ") else { return Some(id.to_owned()) };
    if inner.starts_with("provider") || inner.ends_with("(close)") || inner == "root" {
        return None;
    }
    Some(inner.trim_end_matches(" (expand)").to_owned())
}

type DotProblem = (usize, &'static str);

struct DotParser<'a> {
    text: &'a str,
    at: usize,
    peeked: Option<(Token, usize)>,
    drawing: DotDrawing,
}

/// The settings within a subgraph.
#[derive(Clone, Default)]
struct Scope {
    edge: Attributes,
    node: Attributes,
    label: String,
    members: BTreeSet<String>,
    is_cluster: bool,
}

impl<'a> DotParser<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, peeked: None, drawing: DotDrawing::default() }
    }

    fn parse_graph(mut self) -> Result<DotDrawing, DotProblem> {
        let mut is_graph = false;
        loop {
            match self.next_token()? {
                Some((Token::Id(word), _at)) => {
                    let lower = word.to_lowercase();
                    if !is_graph && !matches!(lower.as_str(), "strict" | "graph" | "digraph") {
                        return Err((0, "it does not start with `digraph` or `graph`"));
                    }
                    // `strict` may stand before the kind of graph, and a name may follow it.
                    is_graph |= lower != "strict";
                }
                Some((Token::Mark('{'), _)) if is_graph => break,
                _ => return Err((0, "it does not start with `digraph` or `graph`")),
            }
        }
        self.parse_body(Scope::default(), 0)?;
        Ok(self.drawing)
    }

    /// Statements up to the closing brace; gives the nodes that were named.
    fn parse_body(
        &mut self,
        mut scope: Scope,
        depth: usize,
    ) -> Result<BTreeSet<String>, DotProblem> {
        if depth > DEPTH_MAX {
            return Err((self.at, "subgraphs are nested too deeply"));
        }
        loop {
            match self.next_token()? {
                None => return Err((self.at, "a brace is not closed")),
                Some((Token::Mark('}'), _)) => break,
                Some((Token::Mark(';' | ','), _)) => {}
                Some((token, at)) => self.parse_statement(token, at, &mut scope, depth)?,
            }
        }
        if scope.is_cluster && !scope.label.is_empty() {
            for member in &scope.members {
                // Inner clusters end first, so the first label is that of the innermost one.
                self.drawing.clusters.entry(member.clone()).or_insert_with(|| scope.label.clone());
            }
        }
        Ok(scope.members)
    }

    fn parse_statement(
        &mut self,
        token: Token,
        at: usize,
        scope: &mut Scope,
        depth: usize,
    ) -> Result<(), DotProblem> {
        if let Token::Id(word) = &token {
            let next = self.peek_token()?.cloned();
            let is_default = matches!(next, Some((Token::Mark('['), _)));
            match word.to_lowercase().as_str() {
                "edge" if is_default => {
                    let attributes = self.parse_attributes()?;
                    scope.edge.extend(attributes);
                    return Ok(());
                }
                "node" if is_default => {
                    let attributes = self.parse_attributes()?;
                    scope.node.extend(attributes);
                    return Ok(());
                }
                "graph" if is_default => {
                    let attributes = self.parse_attributes()?;
                    if let Some(label) = attributes.get("label") {
                        scope.label.clone_from(label);
                    }
                    return Ok(());
                }
                _ => {}
            }
            if matches!(next, Some((Token::Mark('='), _))) {
                self.next_token()?;
                if let Some((Token::Id(value), _)) = self.next_token()?
                    && word == "label"
                {
                    scope.label = value;
                }
                return Ok(());
            }
        }
        let mut ends = vec![self.end_of(token, at, scope, depth)?];
        while matches!(self.peek_token()?, Some((Token::Arrow, _))) {
            self.next_token()?;
            let Some((token, at)) = self.next_token()? else {
                return Err((self.at, "an arrow leads nowhere"));
            };
            ends.push(self.end_of(token, at, scope, depth)?);
        }
        let own = if matches!(self.peek_token()?, Some((Token::Mark('['), _))) {
            self.parse_attributes()?
        } else {
            Attributes::new()
        };
        if let [(only, is_subgraph)] = ends.as_slice() {
            if !is_subgraph {
                for node in only {
                    // Defaults count where a node is first stated: later ones change nothing about it.
                    let known = self.drawing.nodes.entry(node.clone());
                    let known = known.or_insert_with(|| scope.node.clone());
                    known.extend(own.clone());
                }
            }
            return Ok(());
        }
        let mut attributes = scope.edge.clone();
        attributes.extend(own);
        for pair in ends.windows(2) {
            let [(from, _), (to, _)] = pair else { continue };
            for (from, to) in from.iter().flat_map(|from| to.iter().map(move |to| (from, to))) {
                if self.drawing.edges.len() >= EDGES_MAX {
                    return Err((at, "it has too many edges"));
                }
                self.drawing.edges.push((from.clone(), to.clone(), attributes.clone(), at));
            }
        }
        Ok(())
    }

    /// A node with its port, or a subgraph: the nodes it means, and whether it is a subgraph.
    fn end_of(
        &mut self,
        token: Token,
        at: usize,
        scope: &mut Scope,
        depth: usize,
    ) -> Result<(BTreeSet<String>, bool), DotProblem> {
        let inner = |scope: &Scope, is_cluster| Scope {
            edge: scope.edge.clone(),
            node: scope.node.clone(),
            label: String::new(),
            members: BTreeSet::new(),
            is_cluster,
        };
        match token {
            Token::Mark('{') => {
                let members = self.parse_body(inner(scope, false), depth + 1)?;
                scope.members.extend(members.clone());
                Ok((members, true))
            }
            Token::Id(word) if word.eq_ignore_ascii_case("subgraph") => {
                let mut name = String::new();
                loop {
                    match self.next_token()? {
                        Some((Token::Id(word), _)) => name = word,
                        Some((Token::Mark('{'), _)) => break,
                        _ => return Err((at, "`subgraph` without a body")),
                    }
                }
                let is_cluster = name.starts_with("cluster");
                let members = self.parse_body(inner(scope, is_cluster), depth + 1)?;
                scope.members.extend(members.clone());
                Ok((members, true))
            }
            Token::Id(name) => {
                // A port and a compass point only say where on the node the line ends.
                while matches!(self.peek_token()?, Some((Token::Mark(':'), _))) {
                    self.next_token()?;
                    self.next_token()?;
                }
                self.drawing.nodes.entry(name.clone()).or_default();
                scope.members.insert(name.clone());
                Ok((BTreeSet::from([name]), false))
            }
            Token::Arrow | Token::Mark(_) => Err((at, "a name was expected here")),
        }
    }

    fn parse_attributes(&mut self) -> Result<Attributes, DotProblem> {
        let mut found = Attributes::new();
        while matches!(self.peek_token()?, Some((Token::Mark('['), _))) {
            self.next_token()?;
            loop {
                match self.next_token()? {
                    None => return Err((self.at, "a bracket is not closed")),
                    Some((Token::Mark(']'), _)) => break,
                    Some((Token::Id(key), _)) => {
                        if matches!(self.peek_token()?, Some((Token::Mark('='), _))) {
                            self.next_token()?;
                            if let Some((Token::Id(value), _)) = self.next_token()? {
                                found.insert(key.to_lowercase(), value);
                            }
                        }
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(found)
    }

    fn peek_token(&mut self) -> Result<Option<&(Token, usize)>, DotProblem> {
        if self.peeked.is_none() {
            self.peeked = self.read_token()?;
        }
        Ok(self.peeked.as_ref())
    }

    fn next_token(&mut self) -> Result<Option<(Token, usize)>, DotProblem> {
        match self.peeked.take() {
            Some(token) => Ok(Some(token)),
            None => self.read_token(),
        }
    }

    fn read_token(&mut self) -> Result<Option<(Token, usize)>, DotProblem> {
        self.skip_space();
        let start = self.at;
        let rest = &self.text[start..];
        let Some(first) = rest.chars().next() else { return Ok(None) };
        let (token, length) = match first {
            '"' => {
                let (text, length) =
                    parse_quoted(rest).ok_or((start, "a quoted text does not end"))?;
                (Token::Id(text), length)
            }
            '<' => {
                let length = html_length(rest).ok_or((start, "an HTML label does not end"))?;
                (Token::Id(rest[..length].to_owned()), length)
            }
            '-' if rest.starts_with("->") || rest.starts_with("--") => (Token::Arrow, 2),
            c if c.is_alphanumeric() || c == '_' || c == '.' || c == '-' || !c.is_ascii() => {
                // A `-` may begin a number but does not continue a name: `a--b` is an edge.
                let inner = |c: char| c.is_alphanumeric() || c == '_' || c == '.' || !c.is_ascii();
                let skip = first.len_utf8();
                let length = rest[skip..].find(|c| !inner(c)).map_or(rest.len(), |end| end + skip);
                (Token::Id(rest[..length].to_owned()), length)
            }
            c => (Token::Mark(c), c.len_utf8()),
        };
        self.at += length;
        Ok(Some((token, start)))
    }

    /// Skips space, comments, and the lines of a preprocessor.
    fn skip_space(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            // Looked back for only where it matters: the whole file may be one line.
            let at_line_start = || {
                self.text[..self.at].rsplit('\n').next().is_none_or(|text| text.trim().is_empty())
            };
            let length = if trimmed.starts_with("//") || trimmed.starts_with('#') && at_line_start()
            {
                trimmed.find('\n').unwrap_or(trimmed.len())
            } else if let Some(inner) = trimmed.strip_prefix("/*") {
                inner.find("*/").map_or(trimmed.len(), |end| end + 4)
            } else {
                return;
            };
            self.at += length;
        }
    }
}

/// A text in quotes, and how long it is with them.
fn parse_quoted(rest: &str) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((text, at + 1)),
            '\\' => match characters.peek() {
                Some((_, '"')) => {
                    text.push('"');
                    characters.next();
                }
                Some((_, '\n')) => {
                    characters.next();
                }
                _ => text.push('\\'),
            },
            c => text.push(c),
        }
    }
    None
}

/// Returns the length of an HTML label, whose angle brackets are balanced.
fn html_length(rest: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in rest.char_indices() {
        match c {
            '<' => depth += 1,
            '>' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(text: &str) -> Vec<String> {
        let drawing = DotParser::new(text).parse_graph().expect("a graph");
        drawing.edges.iter().map(|(from, to, ..)| format!("{from}>{to}")).collect()
    }

    #[test]
    fn chains_groups_ports_and_comments_are_read() {
        assert_eq!(edges("strict digraph{a:p:n->b->c;}"), ["a>b", "b>c"]);
        assert_eq!(
            edges("digraph g { {a b} -> subgraph x { c; d } }"),
            ["a>c", "a>d", "b>c", "b>d"]
        );
        assert_eq!(edges("# line 1\ndigraph { /* x */ \"a b\" -> c // d\n}"), ["a b>c"]);
        assert_eq!(edges("graph { a -- b [label=<<b>x</b>>] }"), ["a>b"]);
    }

    #[test]
    fn what_is_no_graph_is_refused_with_its_place() {
        assert!(DotParser::new("hello").parse_graph().is_err());
        assert!(DotParser::new("digraph { a ->").parse_graph().is_err());
        assert!(DotParser::new(&format!("digraph {}", "{".repeat(5000))).parse_graph().is_err());
        assert!(DotParser::new("digraph { \"a").parse_graph().is_err());
    }
}
