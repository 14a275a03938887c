//! Files of other programs: YAML in all its forms, or JSON, as trees of values.
//!
//! Unlike our own files they may hold several documents, merge keys and tags. Limits are the same in
//! kind: depth, values, and how many values aliases may stand for. A value of YAML has its place; JSON
//! has none, and its values the empty place at the start of the file.

use std::collections::BTreeSet;
use std::fmt;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::offsets::Offsets;
use super::{Document, Entry, Key, Node, Number, Value, explain, file, outline, text};
use crate::diagnostic::{Code, Diagnostic, Findings, Place, SourceId, Sources};

/// How deeply the values of foreign files may be nested.
pub const FOREIGN_DEPTH_MAX: usize = 100;

/// How many keys and values a foreign file may hold.
const VALUES_MAX: usize = 10_000_000;

const PROBLEMS_PER_CODE: usize = 20;

/// Reads a foreign file, YAML or JSON; `-` is standard input.
///
/// # Errors
/// What keeps it from being read. What is doubtful but can be read stands in the documents' problems.
pub fn read_foreign(path: &str, sources: &mut Sources) -> Result<Vec<Document>, Vec<Diagnostic>> {
    let bytes = file::all_bytes(path).map_err(|problem| vec![*problem])?;
    parse_foreign(if path == "-" { super::STDIN } else { path }, bytes, sources)
}

/// Reads a foreign file that is in memory already, under a name for messages.
///
/// # Errors
/// What keeps it from being read.
pub fn parse_foreign(
    name: &str,
    bytes: Vec<u8>,
    sources: &mut Sources,
) -> Result<Vec<Document>, Vec<Diagnostic>> {
    let source = text::add_source(name, bytes, sources).map_err(|problem| vec![*problem])?;
    let text = &sources.get(source).text;
    if text.trim_start().starts_with(['{', '[']) {
        match read_json(text, source) {
            Ok(document) => return Ok(vec![document]),
            // Flow-style YAML starts with a bracket too.
            Err(problem) => {
                // Traces and logs often hold one value on each line, each of which is JSON though
                // the whole is not.
                if let Some(documents) = json_lines(text, source) {
                    return Ok(documents);
                }
                // The complaint about JSON is shown, since a file that starts with a bracket was
                // most likely meant as JSON.
                return read_yaml(text, source).map_err(|_| vec![*problem]);
            }
        }
    }
    read_yaml(text, source).map_err(|problem| vec![*problem])
}

impl Node {
    /// The value of a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| &*entry.key.text == key).map(|entry| &entry.value)
    }

    /// The value at a path of keys separated by dots.
    pub fn node_at(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |node, key| node.get(key))
    }

    /// A scalar as it is written; nothing for lists, mappings and what is not written.
    pub fn scalar(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::Number(number) => Some(&number.text),
            Value::Bool(true) => Some("true"),
            Value::Bool(false) => Some("false"),
            _ => None,
        }
    }

    /// A number, also where it is written as a text.
    pub fn number(&self) -> Option<f64> {
        match &self.value {
            Value::Number(number) => Some(number.value),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// The scalar at a path of keys.
    pub fn scalar_at(&self, path: &str) -> Option<&str> {
        self.node_at(path)?.scalar()
    }
}

/// Reads one JSON value.
fn read_json(text: &str, source: SourceId) -> Result<Document, Box<Diagnostic>> {
    let place = Place { source, start: 0, end: 0 };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let mut count = 0;
    let read = Json { place, count: &mut count, depth: 0 }
        .deserialize(&mut deserializer)
        // Something behind the value is an error too: part of the file would go unread without a
        // word.
        .and_then(|root| deserializer.end().map(|()| root));
    read.map(|root| Document { source, root, problems: Vec::new() }).map_err(|error| {
        let start = byte_offset(text, error.line(), error.column());
        let words = error.to_string();
        // The place is shown by the diagnostic, so the words need not repeat it.
        let words = words.rsplit_once(" at line ").map_or(&*words, |(words, _)| words);
        let message = format!("this is not JSON: {words}");
        let place = Place { source, start: start as u32, end: start as u32 };
        Box::new(Diagnostic::error(Code::Syntax, message, place))
    })
}

/// Reads JSON values that follow one another on lines of their own; `None` where it is not that.
fn json_lines(text: &str, source: SourceId) -> Option<Vec<Document>> {
    let place = Place { source, start: 0, end: 0 };
    let mut documents = Vec::new();
    // One limit for all: a million small documents take as much room as a large one.
    let mut count = 0;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut deserializer = serde_json::Deserializer::from_str(line);
        let read = Json { place, count: &mut count, depth: 0 }.deserialize(&mut deserializer);
        let root = read.ok().filter(|_| deserializer.end().is_ok())?;
        documents.push(Document { source, root, problems: Vec::new() });
    }
    // A single value on one line is not a list of values; its own error says more.
    (documents.len() > 1).then_some(documents)
}

/// The byte of a line and a column in bytes, both from 1.
fn byte_offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.max(1) - 1).map(str::len).sum();
    let mut at = (start + column.max(1) - 1).min(text.len());
    // The parser counts bytes, and its place may lie within a character.
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

struct Json<'c> {
    place: Place,
    count: &'c mut usize,
    depth: usize,
}

impl Json<'_> {
    fn new_node<E: Error>(self, value: Value) -> Result<Node, E> {
        *self.count += 1;
        if *self.count > VALUES_MAX {
            return Err(E::custom(format!("more than {VALUES_MAX} values")));
        }
        Ok(Node { place: self.place, value })
    }

    fn new_number<E: Error>(self, value: f64, text: String) -> Result<Node, E> {
        self.new_node(Value::Number(Box::new(Number { value, text: text.into() })))
    }

    // The parser has a limit of its own, of 128; this one is the same for JSON and YAML.
    fn nested_seed<E: Error>(&mut self) -> Result<Json<'_>, E> {
        if self.depth >= FOREIGN_DEPTH_MAX {
            return Err(E::custom(format!("nested more than {FOREIGN_DEPTH_MAX} deep")));
        }
        Ok(Json { place: self.place, count: &mut *self.count, depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Json<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Json<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        self.new_node(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        self.new_node(Value::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        self.new_number(value as f64, value.to_string())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        self.new_number(value as f64, value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        self.new_number(value, value.to_string())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        self.new_node(Value::Text(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self.nested_seed()?)? {
            items.push(item);
        }
        self.new_node(Value::Sequence(items.into()))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut mapping: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(text) = mapping.next_key::<String>()? {
            let value = mapping.next_value_seed(self.nested_seed()?)?;
            entries.push(Entry { key: Key { text: text.into(), place: self.place }, value });
        }
        self.new_node(Value::Mapping(entries.into()))
    }
}

/// A problem after which nothing more can be read.
type ForeignFatal = Box<Diagnostic>;

/// Reads YAML; where the parser refuses it, once more with closing brackets moved to the line before: many
/// programs accept them further left than the standard does, and so many people write them there.
fn read_yaml(text: &str, source: SourceId) -> Result<Vec<Document>, ForeignFatal> {
    let strict = read_documents(text, source);
    if strict.is_ok() {
        return strict;
    }
    // The strict reading comes first and its error is shown, so the second can only accept more,
    // never read a good file differently.
    let moved = with_brackets_moved(text);
    let lenient = if moved == text { None } else { read_documents(&moved, source).ok() };
    lenient.map_or(strict, Ok)
}

/// The same text with every bracket that stands first on a line at the end of the line before; all else
/// stays at its place. Behind a comment it would be lost, and stays.
fn with_brackets_moved(text: &str) -> String {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    for index in 1..lines.len() {
        let trimmed = lines[index].trim_start();
        // A bracket behind a `#` would become part of the comment.
        if !trimmed.starts_with([']', '}']) || lines[index - 1].contains('#') {
            continue;
        }
        let at = lines[index].len() - trimmed.len();
        let bracket = lines[index].remove(at);
        lines[index - 1].push(bracket);
    }
    lines.join("\n")
}

fn read_documents(text: &str, source: SourceId) -> Result<Vec<Document>, ForeignFatal> {
    let mut builder = TreeBuilder {
        text,
        source,
        offsets: Offsets::new(text),
        open: Vec::new(),
        anchors: Vec::new(),
        written: 0,
        expanded: 0,
        expanded_bytes: 0,
        documents: Vec::new(),
        problems: Findings::new(PROBLEMS_PER_CODE),
    };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => builder.take_event(event, span)?,
            Err(error) => {
                let start = builder.offsets.byte_offset(error.marker().index());
                return Err(Box::new(explain::syntax_error(error.info(), start, text, source)));
            }
        }
    }
    let mut documents = builder.documents;
    match documents.first_mut() {
        // Problems belong to the file, so they are told once, with the first document.
        Some(first) => first.problems = builder.problems.finish(),
        None => {
            return Err(Box::new(Diagnostic::file_error(
                Code::Empty,
                "the file holds nothing that can be imported",
            )));
        }
    }
    Ok(documents)
}

struct TreeBuilder<'a> {
    text: &'a str,
    source: SourceId,
    offsets: Offsets<'a>,
    open: Vec<OpenTree>,
    /// The values behind anchors by number, with their sizes; `None` while they are being read.
    anchors: Vec<(usize, Option<(Node, usize)>)>,
    written: usize,
    expanded: usize,
    expanded_bytes: usize,
    documents: Vec<Document>,
    problems: Findings,
}

struct OpenTree {
    place: Place,
    anchor: usize,
    /// `!override` and `!reset`, which mean something to Compose.
    tag: Option<Key>,
    children: TreeChildren,
}

enum TreeChildren {
    Items(Vec<Node>),
    Entries(Vec<Entry>, Option<Key>),
}

impl TreeBuilder<'_> {
    fn take_event(&mut self, event: Event<'_>, span: Span) -> Result<(), ForeignFatal> {
        let (start, end) = (
            self.offsets.byte_offset(span.start.index()),
            self.offsets.byte_offset(span.end.index()),
        );
        let place = self.place_of(start, end);
        // The limit is checked at each event, so a hostile file is refused before its tree fills
        // the memory.
        if self.written > VALUES_MAX {
            let message = format!("the file holds more than {VALUES_MAX} keys and values");
            return Err(Box::new(Diagnostic::error(Code::TooLarge, message, place)));
        }
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.written += 1;
                // A key is a text whatever it looks like, `1` and `true` too.
                if let Some(OpenTree { children: TreeChildren::Entries(_, key @ None), .. }) =
                    self.open.last_mut()
                {
                    let key_text = Key { text: text.as_ref().into(), place };
                    *key = Some(key_text);
                    let value = Value::Text(text.into());
                    self.remember_anchor(anchor, &Node { place, value });
                    return Ok(());
                }
                // `!!str` asks for a text, as quotes do.
                let is_text = tag.as_deref().is_some_and(|tag| tag.suffix == "str");
                let value = if style == ScalarStyle::Plain && !is_text {
                    plain_value(&text)
                } else {
                    Value::Text(text.into())
                };
                let node = tagged_node(Node { place, value }, compose_tag(tag.as_deref(), place));
                self.remember_anchor(anchor, &node);
                self.add_node(node);
            }
            Event::SequenceStart(anchor, tag) => {
                let tag = compose_tag(tag.as_deref(), place);
                self.start_collection(TreeChildren::Items(Vec::new()), anchor, tag, place)?;
            }
            Event::MappingStart(anchor, tag) => {
                // One without brackets has no mark of its own: its first line stands for it.
                let place =
                    if start == end { self.place_of(start, self.text.len()) } else { place };
                let tag = compose_tag(tag.as_deref(), place);
                self.start_collection(TreeChildren::Entries(Vec::new(), None), anchor, tag, place)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end_collection(),
            Event::Alias(anchor) => self.copy_alias(anchor, place)?,
            // An anchor is known in its own document only.
            Event::DocumentEnd => self.anchors.clear(),
            _ => {}
        }
        Ok(())
    }

    fn start_collection(
        &mut self,
        children: TreeChildren,
        anchor: usize,
        tag: Option<Key>,
        place: Place,
    ) -> Result<(), ForeignFatal> {
        self.written += 1;
        // YAML allows such keys, but the tree has only texts; mostly this is a template that was
        // not rendered.
        if let Some(OpenTree { children: TreeChildren::Entries(_, None), .. }) = self.open.last() {
            return Err(Box::new(
                Diagnostic::error(Code::Syntax, "a list or a mapping cannot be a key", place).help(
                    "if this is a template (`{{ name }}`), render it first: `helm template CHART | blastwave \
                     import kubernetes -`",
                ),
            ));
        }
        if self.open.len() == FOREIGN_DEPTH_MAX {
            return Err(Box::new(explain::too_deep(place)));
        }
        self.open.push(OpenTree { place, anchor, tag, children });
        if anchor != 0 {
            // Noted at its start without a value, so that an alias from within it is noticed.
            self.anchors.push((anchor, None));
        }
        Ok(())
    }

    fn end_collection(&mut self) {
        let Some(OpenTree { place, anchor, tag, children }) = self.open.pop() else { return };
        let value = match children {
            TreeChildren::Items(items) => Value::Sequence(items.into()),
            TreeChildren::Entries(entries, _) => {
                Value::Mapping(self.resolve_merge_keys(entries).into())
            }
        };
        let node = tagged_node(Node { place, value }, tag);
        self.remember_anchor(anchor, &node);
        self.add_node(node);
    }

    /// Resolves merge keys: what is written here counts first, then what is merged first. Of equal keys
    /// the last counts, as most readers have it.
    fn resolve_merge_keys(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let has_merge = entries.iter().any(|entry| &*entry.key.text == "<<");
        let mut seen = BTreeSet::new();
        let mut kept = Vec::with_capacity(entries.len());
        let mut merges = Vec::new();
        // From the last to the first, so that of equal keys the last is the one that stays.
        for entry in entries.into_iter().rev() {
            if has_merge && &*entry.key.text == "<<" {
                merges.push(entry.value);
            } else if seen.insert(entry.key.text.clone()) {
                kept.push(entry);
            } else {
                let message = format!("`{}` is written twice; the last one counts", entry.key.text);
                self.problems.push(Diagnostic::warning(
                    Code::DuplicateKey,
                    message,
                    entry.key.place,
                ));
            }
        }
        kept.reverse();
        // The earlier merge wins over the later one, and they were collected from the last to the
        // first.
        for merge in merges.into_iter().rev() {
            let maps = match &merge.value {
                Value::Sequence(items) => &items[..],
                _ => std::slice::from_ref(&merge),
            };
            for entry in maps.iter().flat_map(Node::entries) {
                if seen.insert(entry.key.text.clone()) {
                    kept.push(entry.clone());
                }
            }
        }
        kept
    }

    fn copy_alias(&mut self, anchor: usize, place: Place) -> Result<(), ForeignFatal> {
        self.written += 1;
        let known = self.anchors.iter().rev().find(|(known, _)| *known == anchor);
        let Some((_, Some((node, size)))) = known else {
            let message = "an alias stands for itself, or for nothing";
            return Err(Box::new(Diagnostic::error(Code::AliasBomb, message, place)));
        };
        self.expanded += size;
        // In proportion to what is written, so that a large file with ordinary aliases passes and a
        // short one cannot grow without bound.
        if self.expanded > (200 * self.written).min(1_000_000 + 2 * self.written) {
            return Err(Box::new(
                Diagnostic::error(Code::AliasBomb, "aliases stand for too many values", place)
                    .label(format!("this makes it {}", self.expanded))
                    .help("write the values out, or generate the file"),
            ));
        }
        // Few values may still hold much text, so both are limited.
        self.expanded_bytes += outline::text_bytes(node);
        if self.expanded_bytes > outline::expanded_bytes_max(self.text) {
            return Err(outline::too_many_bytes(place));
        }
        // Behind both limits, since it is the copy that takes the memory.
        let node = node.clone();
        if let Some(OpenTree { children: TreeChildren::Entries(_, key @ None), .. }) =
            self.open.last_mut()
        {
            *key = Some(Key { text: node.scalar().unwrap_or_default().into(), place });
            return Ok(());
        }
        // The copy brings its own depth below that of the place where it stands.
        if tree_depth(&node) + self.open.len() > FOREIGN_DEPTH_MAX {
            return Err(Box::new(explain::too_deep(place)));
        }
        self.add_node(node);
        Ok(())
    }

    fn remember_anchor(&mut self, anchor: usize, node: &Node) {
        if anchor == 0 {
            return;
        }
        let value = Some((node.clone(), tree_size(node)));
        match self.anchors.iter_mut().rev().find(|(known, _)| *known == anchor) {
            Some(known) => known.1 = value,
            None => self.anchors.push((anchor, value)),
        }
    }

    fn add_node(&mut self, node: Node) {
        match self.open.last_mut().map(|open| &mut open.children) {
            None => {
                // A document that is empty or only a comment says nothing that could be imported.
                if node.value != Value::Null {
                    let source = self.source;
                    self.documents.push(Document { source, root: node, problems: Vec::new() });
                }
            }
            Some(TreeChildren::Items(items)) => items.push(node),
            Some(TreeChildren::Entries(entries, key)) => {
                let key = key.take().expect("a value follows its key");
                entries.push(Entry { key, value: node });
            }
        }
    }

    fn place_of(&self, start: usize, end: usize) -> Place {
        let text = &self.text[start..end.max(start)];
        let line = text.split(['\n', '\r']).next().unwrap_or_default().trim_end();
        Place { source: self.source, start: start as u32, end: (start + line.len()) as u32 }
    }
}

fn compose_tag(tag: Option<&Tag>, place: Place) -> Option<Key> {
    let suffix = &*tag?.suffix;
    matches!(suffix, "override" | "reset").then(|| Key { text: format!("!{suffix}").into(), place })
}

/// A value under one of Compose's tags, as a mapping with the tag as its only key.
fn tagged_node(node: Node, tag: Option<Key>) -> Node {
    match tag {
        None => node,
        Some(key) => {
            Node { place: node.place, value: Value::Mapping([Entry { key, value: node }].into()) }
        }
    }
}

/// Returns the value of a plain scalar in the core schema of YAML 1.2.
fn plain_value(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    // Rust also reads `inf`, `nan` and `infinity` as numbers; in YAML these are texts.
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        && text.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    match text.parse::<f64>() {
        Ok(value) if numeric => Value::Number(Box::new(Number { value, text: text.into() })),
        _ => Value::Text(text.into()),
    }
}

fn tree_size(node: &Node) -> usize {
    match &node.value {
        Value::Sequence(items) => 1 + items.iter().map(tree_size).sum::<usize>(),
        Value::Mapping(entries) => {
            1 + entries.iter().map(|entry| tree_size(&entry.value)).sum::<usize>()
        }
        _ => 1,
    }
}

fn tree_depth(node: &Node) -> usize {
    match &node.value {
        Value::Sequence(items) => 1 + items.iter().map(tree_depth).max().unwrap_or(0),
        Value::Mapping(entries) => {
            1 + entries.iter().map(|entry| tree_depth(&entry.value)).max().unwrap_or(0)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Document>, Vec<Diagnostic>> {
        parse_foreign("x", text.as_bytes().to_vec(), &mut Sources::default())
    }

    #[test]
    fn merge_keys_and_lists_of_them_are_resolved() {
        let text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 3}\n";
        let documents = read(text).unwrap();
        let at = |path| documents[0].root.scalar_at(path);
        assert_eq!([at("c.x"), at("c.y"), at("c.z")], [Some("3"), Some("1"), Some("2")]);
    }

    #[test]
    fn several_documents_and_json_are_read() {
        assert_eq!(read("a: 1\n---\n---\nb: 2\n").unwrap().len(), 2);
        assert_eq!(read("{\"a\": [1, {\"b\": \"x\"}]}").unwrap().len(), 1);
        let problem = read("{\"a\":\n [1, oops}").unwrap_err().remove(0);
        assert!(problem.message.starts_with("this is not JSON"), "{}", problem.message);
    }

    #[test]
    fn what_would_take_too_much_is_refused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..10 {
            let alias = format!("*a{}", level - 1);
            bomb += &format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 10].join(", "));
        }
        assert_eq!(read(&bomb).unwrap_err()[0].code, Code::AliasBomb);
        assert_eq!(read(&"[".repeat(5000)).unwrap_err()[0].code, Code::Syntax);
        assert_eq!(read(&"- ".repeat(5000)).unwrap_err()[0].code, Code::TooDeep);
        assert_eq!(read("a: &a [*a]\n").unwrap_err()[0].code, Code::AliasBomb);
    }

    #[test]
    fn brackets_may_close_as_far_left_as_their_key() {
        let documents = read("a:\n  b: [\n    1,\n    2\n  ]\n  c: 3\n").unwrap();
        assert_eq!(documents[0].root.node_at("a.b").unwrap().items().len(), 2);
        assert_eq!(documents[0].root.scalar_at("a.c"), Some("3"));
    }

    #[test]
    fn a_template_is_not_taken_for_a_mapping() {
        let problem = read("image: {{image}}\n").unwrap_err().remove(0);
        assert!(problem.help.unwrap().contains("render"));
    }
}
