//! Where every value stands in the text, and what is wrong with the form.
//!
//! The events of `saphyr-parser` become a tree whose scalars are all texts. Depth and aliases are
//! limited here, before anything is built that could be large.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::explain;
use super::offsets::Offsets;
use super::{DEPTH_MAX, Entry, Key, Node, Value};
use crate::diagnostic::{Code, Diagnostic, Findings, Place, SourceId};

/// More problems of one kind are only counted.
const PROBLEMS_PER_CODE: usize = 100;

/// The tree without the meaning of its scalars.
#[derive(Debug)]
pub(super) struct Outline {
    /// The outermost value; `None` for a file that holds nothing.
    pub(super) root: Option<Node>,
    /// Whether aliases may appear: then the text cannot be read in stretches.
    pub(super) anchored: bool,
    /// Problems that do not keep the tree from being read.
    pub(super) problems: Findings,
}

/// Makes the tree, unless it would have more values than `values_max`.
pub(super) fn read_outline(
    text: &str,
    source: SourceId,
    values_max: usize,
) -> Result<Outline, Vec<Diagnostic>> {
    let mut builder = Builder::new(text, source, values_max);
    let end = builder.take_events();
    if let Err(problem) = end {
        // What was found before the end is worth telling together with it.
        builder.problems.push(*problem);
    }
    if builder.unreadable {
        return Err(builder.problems.finish());
    }
    let anchored = !builder.anchored.is_empty();
    Ok(Outline { root: builder.root, anchored, problems: builder.problems })
}

/// A problem after which nothing more can be read.
type Fatal = Box<Diagnostic>;

struct Builder<'a> {
    text: &'a str,
    source: SourceId,
    offsets: Offsets<'a>,
    /// The collections that are being read, outermost first.
    open: Vec<Open>,
    root: Option<Node>,
    /// The values behind anchors, sorted by the number of the anchor.
    anchored: Vec<(usize, Anchored)>,
    /// How many values are written, and how many came from aliases.
    written: usize,
    expanded: usize,
    /// How many bytes of text came from aliases.
    expanded_bytes: usize,
    values_max: usize,
    problems: Findings,
    unreadable: bool,
}

/// A value that aliases refer to.
struct Anchored {
    node: Node,
    size: usize,
    bytes: usize,
    height: usize,
}

struct Open {
    place: Place,
    anchor: usize,
    is_flow: bool,
    children: Children,
}

enum Children {
    Items(Vec<Node>),
    Entries(Vec<Entry>, Option<Key>),
}

impl<'a> Builder<'a> {
    fn new(text: &'a str, source: SourceId, values_max: usize) -> Self {
        Self {
            text,
            source,
            offsets: Offsets::new(text),
            open: Vec::new(),
            root: None,
            anchored: Vec::new(),
            written: 0,
            expanded: 0,
            expanded_bytes: 0,
            values_max,
            problems: Findings::new(PROBLEMS_PER_CODE),
            unreadable: false,
        }
    }

    fn take_events(&mut self) -> Result<(), Fatal> {
        for event in Parser::new_from_str(self.text) {
            let step = match event {
                Ok((event, span)) => self.take_event(event, span),
                Err(error) => {
                    let start = self.offsets.byte_offset(error.marker().index());
                    Err(Box::new(explain::syntax_error(
                        error.info(),
                        start,
                        self.text,
                        self.source,
                    )))
                }
            };
            // What follows an error has no meaning, and the tree is not complete.
            if step.is_err() {
                self.unreadable = true;
                return step;
            }
        }
        Ok(())
    }

    fn take_event(&mut self, event: Event<'_>, span: Span) -> Result<(), Fatal> {
        let (start, end) = self.byte_range(span);
        // Checked at each event, so a file that is too large is refused before its tree fills the
        // memory.
        if self.written > self.values_max {
            return Err(Box::new(
                Diagnostic::error(
                    Code::TooLarge,
                    format!("the file holds more than {} keys and values", self.values_max),
                    self.place_of(start, end),
                )
                .help("is this the right file?"),
            ));
        }
        match event {
            Event::DocumentStart(_) if self.root.is_some() => self.second_document(start, end),
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), start, end);
                let is_plain = style == ScalarStyle::Plain;
                self.add_scalar(&text, is_plain, anchor, self.place_of(start, end))
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), start, end);
                self.start_collection(Children::Items(Vec::new()), anchor, start, end)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), start, end);
                self.start_collection(Children::Entries(Vec::new(), None), anchor, start, end)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.end_collection(end);
                Ok(())
            }
            Event::Alias(anchor) => self.copy_alias(anchor, self.place_of(start, end)),
            _ => Ok(()),
        }
    }

    fn add_scalar(
        &mut self,
        text: &str,
        is_plain: bool,
        anchor: usize,
        place: Place,
    ) -> Result<(), Fatal> {
        self.written += 1;
        if self.wants_key() {
            return self.take_key(Key { text: text.into(), place }, is_plain);
        }
        // Nothing is written here, so a message about the value points at the key.
        let place = match self.open.last() {
            Some(Open { children: Children::Entries(_, Some(key)), .. })
                if is_plain && text.is_empty() && anchor == 0 =>
            {
                key.place
            }
            _ => place,
        };
        let node = Node { place, value: Value::Text(text.into()) };
        self.remember_anchor(anchor, &node);
        self.add_node(node);
        Ok(())
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { children: Children::Entries(_, None), .. }))
    }

    fn take_key(&mut self, key: Key, is_plain: bool) -> Result<(), Fatal> {
        // The parser takes `: value` for a mapping with an empty key; here it is a slip.
        if is_plain && key.text.is_empty() {
            return Err(Box::new(
                Diagnostic::error(Code::Syntax, "a `:` without a key before it", key.place)
                    .help("write `key: value`"),
            ));
        }
        // A quoted `<<` is an ordinary key.
        if is_plain && &*key.text == "<<" {
            self.problems.push(
                Diagnostic::error(Code::MergeKey, "merge keys (`<<`) are not supported", key.place)
                    .help(
                        "for what all dependencies have in common, use `defaults: {dependency: …}`",
                    ),
            );
        }
        if let Some(Open { children: Children::Entries(_, waiting), .. }) = self.open.last_mut() {
            *waiting = Some(key);
        }
        Ok(())
    }

    fn start_collection(
        &mut self,
        children: Children,
        anchor: usize,
        start: usize,
        end: usize,
    ) -> Result<(), Fatal> {
        self.written += 1;
        let place = self.place_of(start, end);
        if self.wants_key() {
            // The tree has texts for keys, and nothing in our files asks for others.
            return Err(Self::odd_key(place, "a list or a mapping"));
        }
        if self.open.len() == DEPTH_MAX {
            return Err(Box::new(explain::too_deep(place)));
        }
        let is_flow = starts_with_bracket(&self.text[start..end]);
        self.open.push(Open { place, anchor, is_flow, children });
        if anchor != 0 {
            // Known, but not complete: an alias to it from within would never end.
            self.anchored.push((anchor, Anchored { node: NOTHING, size: 0, bytes: 0, height: 0 }));
        }
        Ok(())
    }

    fn end_collection(&mut self, end: usize) {
        let Some(Open { place, anchor, is_flow, children }) = self.open.pop() else {
            return;
        };
        let first = match &children {
            Children::Items(items) => items.first().map(|item| item.place),
            Children::Entries(entries, _) => entries.first().map(|entry| entry.key.place),
        };
        let place = match first {
            // A block has no mark of its own, and the parser may start it at an anchor or a space
            // before.
            Some(first) if !is_flow => first,
            _ => self.place_of(place.start as usize, end),
        };
        let value = match children {
            Children::Items(items) => Value::Sequence(items.into()),
            Children::Entries(entries, _) => {
                self.refuse_duplicates(&entries);
                Value::Mapping(entries.into())
            }
        };
        let node = Node { place, value };
        self.remember_anchor(anchor, &node);
        self.add_node(node);
    }

    fn copy_alias(&mut self, anchor: usize, place: Place) -> Result<(), Fatal> {
        self.written += 1;
        if self.wants_key() {
            return Err(Self::odd_key(place, "an alias"));
        }
        let known = self.anchored.binary_search_by_key(&anchor, |(known, _)| *known);
        let Anchored { node, size, bytes, height } =
            &self.anchored[known.expect("the parser refuses unknown anchors")].1;
        // A size of 0 marks a value that is not complete.
        if *size == 0 {
            return Err(Box::new(
                Diagnostic::error(Code::AliasBomb, "an alias stands for itself", place)
                    .label("within the value of its anchor"),
            ));
        }
        // Depth is checked before the copy is made, and so are values and bytes below: the copy
        // takes the memory.
        if self.open.len() + height > DEPTH_MAX {
            return Err(Box::new(explain::too_deep(place)));
        }
        self.expanded += size;
        if self.expanded > expanded_max(self.written) {
            return Err(Box::new(
                Diagnostic::error(Code::AliasBomb, "aliases stand for too many values", place)
                    .label(format!("this makes it {}", self.expanded))
                    .help("write the values out, or generate the file"),
            ));
        }
        self.expanded_bytes += bytes;
        if self.expanded_bytes > expanded_bytes_max(self.text) {
            return Err(too_many_bytes(place));
        }
        let copy = at_alias(node, place);
        self.add_node(copy);
        Ok(())
    }

    /// Keeps a copy of a value for its aliases.
    fn remember_anchor(&mut self, anchor: usize, node: &Node) {
        if anchor == 0 {
            return;
        }
        let (size, height) = tree_measure(node);
        // Measured once here, so that an alias costs nothing until its copy is allowed.
        let bytes = text_bytes(node);
        let anchored = Anchored { node: node.clone(), size, bytes, height };
        // Numbers of anchors grow, so only one that was opened before is not the last.
        match self.anchored.binary_search_by_key(&anchor, |(known, _)| *known) {
            Ok(index) => self.anchored[index].1 = anchored,
            Err(index) => self.anchored.insert(index, (anchor, anchored)),
        }
    }

    fn add_node(&mut self, node: Node) {
        match self.open.last_mut().map(|open| &mut open.children) {
            None => self.root = (!is_nothing(&node)).then_some(node),
            Some(Children::Items(items)) => items.push(node),
            Some(Children::Entries(entries, key)) => {
                let key = key.take().expect("a value follows its key");
                entries.push(Entry { key, value: node });
            }
        }
    }

    fn refuse_duplicates(&mut self, entries: &[Entry]) {
        for (first, again) in duplicate_keys(entries) {
            let (first, again) = (&entries[first].key, &entries[again].key);
            self.problems.add(Code::DuplicateKey, || {
                let message = format!("`{}` is written twice", again.text);
                Diagnostic::error(Code::DuplicateKey, message, again.place)
                    .label("again here")
                    .other_place(first.place, "first here")
            });
        }
    }

    fn refuse_tag(&mut self, is_tagged: bool, start: usize, end: usize) {
        if !is_tagged {
            return;
        }
        // No value can be relied on after this, but reading goes on to find other problems.
        self.unreadable = true;
        let text = &self.text[start..end];
        let tag_start = start + text.find('!').unwrap_or(0);
        let length = self.text[tag_start..end].find(char::is_whitespace);
        let place = self.place_of(tag_start, length.map_or(end, |length| tag_start + length));
        self.problems.push(
            Diagnostic::error(Code::Tag, "tags are not supported", place)
                .label("remove this; put quotes around a number that is meant as a text"),
        );
    }

    fn second_document(&self, start: usize, end: usize) -> Result<(), Fatal> {
        Err(Box::new(
            Diagnostic::error(
                Code::SeveralDocuments,
                "the file holds more than one document",
                self.place_of(start, end),
            )
            .label("the second starts here")
            .help("put each into a file of its own"),
        ))
    }

    fn odd_key(place: Place, what: &str) -> Fatal {
        Box::new(
            Diagnostic::error(Code::Syntax, format!("{what} cannot be a key"), place)
                .help("a key is a single word or a quoted text"),
        )
    }

    fn byte_range(&self, span: Span) -> (usize, usize) {
        (self.offsets.byte_offset(span.start.index()), self.offsets.byte_offset(span.end.index()))
    }

    /// From `start` to `end` or the end of the line, without the space at its end.
    fn place_of(&self, start: usize, end: usize) -> Place {
        let text = &self.text[start..end.max(start)];
        let line = text.split(['\n', '\r']).next().unwrap_or_default().trim_end();
        Place { source: self.source, start: start as u32, end: (start + line.len()) as u32 }
    }
}

const NOTHING: Node =
    Node { place: Place { source: SourceId(0), start: 0, end: 0 }, value: Value::Null };

/// How many values may come from aliases: any number that a person would write, in a file of a
/// million services too, and fewer than `serde_yaml` refuses.
fn expanded_max(written: usize) -> usize {
    (100 * written).min(1_000_000 + 2 * written)
}

/// Returns how many bytes of text may come from aliases: ten times the file, and at least 1 MB. A short
/// file with a long text behind many aliases would otherwise take gigabytes.
pub(super) fn expanded_bytes_max(text: &str) -> usize {
    (10 * text.len()).max(1_000_000)
}

/// The error for a file whose aliases stand for more text than that.
pub(super) fn too_many_bytes(place: Place) -> Box<Diagnostic> {
    Box::new(
        Diagnostic::error(Code::AliasBomb, "aliases stand for too much text", place)
            .label("with this it is more than ten times the file")
            .help("write the values out, or generate the file"),
    )
}

/// Returns the bytes of all texts in a tree, keys included.
pub(super) fn text_bytes(node: &Node) -> usize {
    match &node.value {
        Value::Text(text) => text.len(),
        Value::Number(number) => number.text.len(),
        Value::Null | Value::Bool(_) => 0,
        Value::Sequence(items) => items.iter().map(text_bytes).sum(),
        Value::Mapping(entries) => {
            entries.iter().map(|entry| entry.key.text.len() + text_bytes(&entry.value)).sum()
        }
    }
}

/// Whether a collection is written in brackets; what the parser gives as its start includes its
/// anchor before and space behind.
fn starts_with_bracket(mut start: &str) -> bool {
    while start.starts_with(['&', '!']) {
        start = start.split_once(char::is_whitespace).map_or("", |(_, rest)| rest.trim_start());
    }
    start.starts_with(['[', '{'])
}

fn is_nothing(node: &Node) -> bool {
    matches!(&node.value, Value::Text(text) if text.is_empty()) && node.place.span().is_empty()
}

/// How many values a tree has, and how many lie one within the other.
fn tree_measure(node: &Node) -> (usize, usize) {
    let children: &mut dyn Iterator<Item = &Node> = match &node.value {
        Value::Sequence(items) => &mut items.iter(),
        Value::Mapping(entries) => &mut entries.iter().map(|entry| &entry.value),
        _ => return (1, 0),
    };
    let (size, height) = children
        .map(tree_measure)
        .fold((1, 0), |(size, height), (more, below)| (size + more, height.max(below)));
    (size, height + 1)
}

/// A copy of a tree all of whose places are the one of the alias.
fn at_alias(node: &Node, place: Place) -> Node {
    let value = match &node.value {
        Value::Sequence(items) => {
            Value::Sequence(items.iter().map(|item| at_alias(item, place)).collect())
        }
        Value::Mapping(entries) => {
            let copy = |entry: &Entry| Entry {
                key: Key { text: entry.key.text.clone(), place },
                value: at_alias(&entry.value, place),
            };
            Value::Mapping(entries.iter().map(copy).collect())
        }
        value => value.clone(),
    };
    Node { place, value }
}

/// Pairs of the first and each later entry with the same key.
fn duplicate_keys(entries: &[Entry]) -> Vec<(usize, usize)> {
    let text = |index: usize| &*entries[index].key.text;
    // Most mappings are small, and comparing all pairs needs no memory.
    if entries.len() <= 16 {
        let first_of = |again: usize| (0..again).find(|first| text(*first) == text(again));
        return (1..entries.len())
            .filter_map(|again| first_of(again).map(|first| (first, again)))
            .collect();
    }
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|index| text(*index));
    order
        .chunk_by(|a, b| text(*a) == text(*b))
        .flat_map(|same| same[1..].iter().map(|again| (same[0], *again)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_values_than_fit_into_memory_are_refused() {
        let read = |values_max| read_outline("a: [1, 2, 3]\n", SourceId(0), values_max);
        assert!(read(6).is_ok());
        let problems = read(5).expect_err("too many");
        assert_eq!(problems[0].code, Code::TooLarge);
        assert_eq!(problems[0].message, "the file holds more than 5 keys and values");
    }

    #[test]
    fn duplicates_are_found_among_few_and_among_many() {
        let pairs = |text: &str| {
            let outline = read_outline(text, SourceId(0), 1000).expect("readable");
            duplicate_keys(outline.root.expect("not empty").entries())
        };
        assert_eq!(pairs("{a, b, a, c, b, a}"), [(0, 2), (1, 4), (0, 5)]);
        let many: Vec<String> = (0..20).map(|key| format!("k{key}, ")).collect();
        let mut found = pairs(&format!("{{{} k7, k3, k7}}", many.concat()));
        found.sort_unstable();
        assert_eq!(found, [(3, 21), (7, 20), (7, 22)]);
    }
}
