//! The part of Structurizr's language that says what there is and what uses what.
//!
//! Read line by line: elements with their identifiers, archetypes, groups, relationships (also with
//! `this` or without a source), instances of deployments, and dynamic views. A line that ends in a backslash
//! goes on with the next one; files that it includes, and the workspace that it extends, are read in place.
//! Scripts are not run, and said not to be.

use std::collections::BTreeMap;

use super::structurizr::{Element, Level, Model, Relation, model_from_json};
use crate::diagnostic::{Code, Diagnostic, Place, SourceId};
use crate::import::Input;
use crate::import::graph::EvidenceGraph;
use crate::import::named_files::NamedFiles;
use crate::load;

/// The deepest nesting of blocks.
const DEPTH_MAX: usize = 200;

/// The deepest nesting of files that include one another.
const FILES_DEPTH_MAX: usize = 20;

/// The meaning of a block.
#[derive(Clone, Debug)]
enum DslBlock {
    /// A block whose lines say nothing of interest.
    Other,
    /// Lines are read, but it is nothing by itself.
    Plain,
    Element(usize),
    Group(String),
    Archetypes,
    /// An archetype that is being described.
    Archetype(String),
    /// An environment, by name.
    Environment,
    /// The number of instances of everything within.
    Node(u32),
    /// Views, of which only the dynamic ones are read.
    Views,
    /// A dynamic view, by its number.
    Journey(usize),
}

#[derive(Clone, Debug, Default)]
struct Archetype {
    base: String,
    tags: String,
}

struct DslReader<'r, 'i> {
    input: &'r mut Input<'i>,
    files: NamedFiles,
    /// The file that is being read.
    path: String,
    source: SourceId,
    graph: &'r mut EvidenceGraph,
    model: Model,
    blocks: Vec<DslBlock>,
    ids: BTreeMap<String, usize>,
    archetypes: BTreeMap<String, Archetype>,
    /// Texts that stand for `${NAME}`.
    constants: BTreeMap<String, String>,
    /// Relationships are resolved when all elements are known.
    pending: Vec<Pending>,
    /// Instances of the present environment, and the most of any before.
    instances: BTreeMap<usize, u32>,
    /// The files that are open, each within the one before.
    open_files: Vec<String>,
}

struct Pending {
    from: RelationEnd,
    to: RelationEnd,
    is_async: bool,
    journey: Option<usize>,
    path: String,
    line: usize,
    place: Place,
}

enum RelationEnd {
    Known(usize),
    Named(String),
}

/// Reads a workspace.
///
/// # Errors
/// The workspace that it extends cannot be read.
pub(in crate::import) fn parse_workspace(
    path: &str,
    text: &str,
    source: SourceId,
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<Model, Vec<Diagnostic>> {
    let files = NamedFiles::new(path, input.options);
    let mut reader = DslReader {
        input,
        files,
        path: path.to_owned(),
        source,
        graph,
        model: Model::default(),
        blocks: Vec::new(),
        ids: BTreeMap::new(),
        archetypes: BTreeMap::new(),
        constants: BTreeMap::new(),
        pending: Vec::new(),
        instances: BTreeMap::new(),
        open_files: vec![path.to_owned()],
    };
    reader.read_text(text)?;
    Ok(reader.into_model())
}

/// A line, with the lines that it goes on with.
struct DslLine {
    words: Vec<String>,
    /// Counted from 1.
    number: usize,
    place: Place,
}

/// Returns the lines that are no comments.
fn code_lines(text: &str, source: SourceId) -> Vec<DslLine> {
    let mut lines = Vec::new();
    let (mut offset, mut in_comment) = (0, false);
    // What was read of a line that goes on: its text, number and start.
    let mut begun: Option<(String, usize, usize)> = None;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let (start, end) = (offset, offset + line.trim_end().len());
        offset += line.len();
        let line = line.trim();
        // Within a line that goes on, `/*` belongs to its text.
        if in_comment || begun.is_none() && line.starts_with("/*") {
            in_comment = !line.contains("*/");
            continue;
        }
        if line.starts_with("//") || line.starts_with('#') {
            continue;
        }
        let (mut text, number, start) = begun.take().unwrap_or((String::new(), index + 1, start));
        if let Some(line) = line.strip_suffix('\\') {
            text.push_str(line);
            text.push(' ');
            begun = Some((text, number, start));
            continue;
        }
        text.push_str(line);
        let place = Place { source, start: start as u32, end: end as u32 };
        lines.push(DslLine { words: split_words(&text), number, place });
    }
    // A last line with a backslash still says what it says.
    if let Some((text, number, start)) = begun {
        let place = Place { source, start: start as u32, end: offset as u32 };
        lines.push(DslLine { words: split_words(&text), number, place });
    }
    lines
}

/// The words of a line: quoted texts are one each, marked by a quote in front.
fn split_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            c if c.is_whitespace() => {}
            '"' => {
                let mut text = String::from("\"");
                while let Some(c) = characters.next() {
                    match c {
                        '"' => break,
                        // A backslash keeps a quote within the text.
                        '\\' => text.extend(characters.next()),
                        c => text.push(c),
                    }
                }
                words.push(text);
            }
            c => {
                let mut word = String::from(c);
                while let Some(c) = characters.next_if(|c| !c.is_whitespace() && *c != '"') {
                    word.push(c);
                }
                words.push(word);
            }
        }
    }
    words
}

impl DslReader<'_, '_> {
    /// Reads the lines of a file.
    fn read_text(&mut self, text: &str) -> Result<(), Vec<Diagnostic>> {
        for line in code_lines(text, self.source) {
            let words: Vec<String> =
                line.words.iter().map(|word| self.with_constants(word)).collect();
            self.read_line(&words, line.number, line.place)?;
        }
        Ok(())
    }

    /// Returns a word with the texts that stand for its `${NAME}`.
    fn with_constants(&self, word: &str) -> String {
        if !word.contains("${") {
            return word.to_owned();
        }
        let mut word = word.to_owned();
        // Values of constants are put in once: they cannot grow without end by naming each other.
        for (name, text) in &self.constants {
            word = word.replace(&format!("${{{name}}}"), text);
        }
        word
    }

    fn read_line(
        &mut self,
        words: &[String],
        number: usize,
        place: Place,
    ) -> Result<(), Vec<Diagnostic>> {
        let Some(first) = words.first() else { return Ok(()) };
        if first == "}" {
            if matches!(self.blocks.pop(), Some(DslBlock::Environment)) {
                self.end_environment();
            }
            return Ok(());
        }
        let opens = words.last().is_some_and(|word| word == "{");
        let words = if opens { &words[..words.len() - 1] } else { words };
        // A file is read before the rest of its line, in whose place it stands.
        self.follow_files(words, place)?;
        let block = self.read_statement(words, number, place);
        if opens && self.blocks.len() < DEPTH_MAX {
            self.blocks.push(block);
        }
        Ok(())
    }

    /// Reads what a line includes, or what the workspace extends.
    fn follow_files(&mut self, words: &[String], place: Place) -> Result<(), Vec<Diagnostic>> {
        if matches!(self.blocks.last(), Some(DslBlock::Other | DslBlock::Views)) {
            return Ok(());
        }
        let name = match words {
            [keyword, name, ..] if keyword.eq_ignore_ascii_case("!include") => name,
            [workspace, extends, name, ..]
                if workspace.eq_ignore_ascii_case("workspace")
                    && extends.eq_ignore_ascii_case("extends") =>
            {
                name
            }
            _ => return Ok(()),
        };
        let name = name.trim_start_matches('"');
        let Some(path) = self.files.find_file(&self.path, name, place, self.graph) else {
            return Ok(());
        };
        let is_within_itself = self.open_files.contains(&path);
        if is_within_itself || self.open_files.len() >= FILES_DEPTH_MAX {
            let message = format!("`{name}` includes itself, and was read only once");
            self.graph.warn(Code::NotUnderstood, message, place);
            return Ok(());
        }
        // All files of a folder are included in the order of their names.
        let is_file = load::is_file(&path);
        for path in load::files_below(&path) {
            // A folder may also hold scripts and pictures.
            if is_file || path.ends_with(".dsl") {
                self.read_file(path)?;
            }
        }
        Ok(())
    }

    /// Reads another file in place of the line that names it.
    fn read_file(&mut self, path: String) -> Result<(), Vec<Diagnostic>> {
        let (source, text) = self.input.read_text(&path)?;
        if text.trim_start().starts_with('{') {
            let documents = load::parse_foreign(&path, text.into_bytes(), self.input.sources)?;
            if let Some(document) = documents.first() {
                self.extend_with(model_from_json(&path, &document.root));
            }
            return Ok(());
        }
        let outer = (std::mem::replace(&mut self.path, path.clone()), self.source);
        self.source = source;
        self.open_files.push(path);
        let depth = self.blocks.len();
        let read = self.read_text(&text);
        // A file that leaves a block open must not change what stands behind its line.
        self.blocks.truncate(depth);
        self.open_files.pop();
        (self.path, self.source) = outer;
        read
    }

    /// Takes over the elements of a workspace that was exported as JSON.
    fn extend_with(&mut self, base: Model) {
        let first = self.model.elements.len();
        for mut element in base.elements {
            element.parent = element.parent.map(|parent| parent + first);
            let number = self.model.elements.len();
            for name in [&element.id, &element.name] {
                self.ids.entry(name.to_lowercase()).or_insert(number);
            }
            self.model.elements.push(element);
        }
        for mut relation in base.relations {
            relation.from += first;
            relation.to += first;
            self.model.relations.push(relation);
        }
    }

    fn read_statement(&mut self, words: &[String], number: usize, place: Place) -> DslBlock {
        if matches!(self.blocks.last(), Some(DslBlock::Other)) || words.is_empty() {
            return DslBlock::Other;
        }
        let is_view = matches!(self.blocks.last(), Some(DslBlock::Views));
        if is_view && !words[0].eq_ignore_ascii_case("dynamic") {
            return DslBlock::Other;
        }
        if let Some(arrow) =
            // An archetype may stand within the arrow: `--https->`.
            words.iter().position(|word| word.starts_with('-') && word.ends_with("->"))
        {
            self.add_relation(&words[..arrow], &words[arrow + 1..], number, place);
            return DslBlock::Other;
        }
        let (id, rest) = match words {
            [id, equals, rest @ ..] if equals == "=" => (Some(id.as_str()), rest),
            _ => (None, words),
        };
        let Some(keyword) = rest.first() else { return DslBlock::Other };
        let texts: Vec<&str> = rest[1..].iter().map(|word| word.trim_start_matches('"')).collect();
        let lower = keyword.to_lowercase();
        if let Some(DslBlock::Archetypes) = self.blocks.last() {
            let name = id.unwrap_or(keyword).to_lowercase();
            let base = self.base_keyword(&lower);
            self.archetypes.insert(name.clone(), Archetype { base, tags: String::new() });
            return DslBlock::Archetype(name);
        }
        match lower.as_str() {
            "tag" | "tags" | "technology" => {
                self.describe_element(&texts.join(","), lower == "technology");
                return DslBlock::Other;
            }
            "!include" => return DslBlock::Other,
            "!const" | "!constant" | "!var" => {
                if let [name, text, ..] = texts[..] {
                    self.constants.insert(name.to_owned(), text.to_owned());
                }
                return DslBlock::Other;
            }
            "!element" | "!ref" | "!extend" => {
                let name = texts.first().copied().unwrap_or_default();
                // A canonical name ends in that of the element: `SoftwareSystem://Shop`.
                let known = self.ids.get(&name.to_lowercase()).copied().or_else(|| {
                    let last = name.rsplit(['/', '.']).next().unwrap_or(name);
                    self.model
                        .elements
                        .iter()
                        .position(|element| element.title.eq_ignore_ascii_case(last))
                });
                let Some(number) = known else {
                    let message =
                        format!("`{name}` is gone on with, but nothing has this identifier");
                    self.graph.warn(Code::Dangling, message, place);
                    return DslBlock::Plain;
                };
                if let Some(id) = id {
                    self.ids.insert(id.to_lowercase(), number);
                }
                return DslBlock::Element(number);
            }
            "!script" | "!plugin" => {
                let message =
                    format!("`{keyword}` is not run; export the workspace as JSON instead");
                self.graph.warn(Code::NotUnderstood, message, place);
                return DslBlock::Other;
            }
            "workspace" | "model" | "enterprise" => return DslBlock::Plain,
            "views" => return DslBlock::Views,
            "archetypes" => return DslBlock::Archetypes,
            "deploymentenvironment" => return DslBlock::Environment,
            "deploymentnode" => {
                // The number of instances stands near the end. The name, which may be a number too,
                // is skipped.
                let count = texts.iter().skip(1).rev().find_map(|text| text.parse::<u32>().ok());
                let outer = self.blocks.iter().rev().find_map(|block| match block {
                    DslBlock::Node(count) => Some(*count),
                    _ => None,
                });
                return DslBlock::Node(
                    // A number of 0 would remove everything within.
                    outer.unwrap_or(1).saturating_mul(count.unwrap_or(1).max(1)),
                );
            }
            "containerinstance" | "softwaresysteminstance" => {
                self.add_instance(texts.first().copied().unwrap_or_default());
                return DslBlock::Other;
            }
            "dynamic" => {
                let name =
                    texts.get(1).filter(|text| !text.is_empty()).copied().unwrap_or("journey");
                self.model.journeys.push((name.to_owned(), Vec::new()));
                return DslBlock::Journey(self.model.journeys.len() - 1);
            }
            _ => {}
        }
        let base = self.base_keyword(&lower);
        let level = match base.as_str() {
            "person" => Level::Person,
            "softwaresystem" => Level::System,
            "container" => Level::Container,
            "component" => Level::Component,
            "group" => {
                let name = id.unwrap_or_else(|| texts.first().copied().unwrap_or_default());
                return DslBlock::Group(name.to_owned());
            }
            _ => return DslBlock::Other,
        };
        DslBlock::Element(self.add_element(id, level, &lower, &texts))
    }

    /// Returns the keyword that an archetype goes back to.
    fn base_keyword(&self, keyword: &str) -> String {
        let mut at = keyword;
        // Archetypes may be based on one another in a circle.
        for _ in 0..DEPTH_MAX {
            match self.archetypes.get(at) {
                Some(archetype) => at = &archetype.base,
                None => break,
            }
        }
        at.to_owned()
    }

    fn add_element(
        &mut self,
        id: Option<&str>,
        level: Level,
        keyword: &str,
        texts: &[&str],
    ) -> usize {
        let title = texts.first().copied().unwrap_or("unnamed").to_owned();
        let parent = self.blocks.iter().rev().find_map(|block| match block {
            DslBlock::Element(number) => Some(*number),
            _ => None,
        });
        let mut tags = texts
            .get(if level == Level::Container { 3 } else { 2 })
            // A container has a technology before its tags, other elements have not.
            .copied()
            .unwrap_or_default()
            .to_owned();
        // The technology of a container tells its kind as well as a tag does.
        let technology = if level == Level::Container { texts.get(2).copied() } else { None };
        let technology = technology.unwrap_or_default().to_owned();
        tags.extend([",", &technology]);
        if let Some(archetype) = self.archetypes.get(keyword) {
            tags.extend([",", keyword, ",", &archetype.tags]);
        }
        let name = id.map_or_else(|| self.derive_name(&title, &tags), str::to_owned);
        let number = self.model.elements.len();
        if let Some(id) = id {
            self.ids.entry(id.to_lowercase()).or_insert(number);
            // With hierarchical identifiers the outer ones stand before it.
            let mut path = id.to_lowercase();
            let mut at = parent;
            while let Some(outer) = at {
                let element = &self.model.elements[outer];
                path = format!("{}.{path}", element.id.to_lowercase());
                self.ids.entry(path.clone()).or_insert(number);
                at = element.parent;
            }
        }
        let id = id.unwrap_or(&title).to_owned();
        self.model.elements.push(Element {
            id,
            name,
            title,
            level,
            parent,
            tags,
            technology,
            instances: None,
        });
        number
    }

    /// A name for an element without identifier: after the group it is in, which usually is one service
    /// with its database.
    fn derive_name(&self, title: &str, tags: &str) -> String {
        let group = self.blocks.iter().rev().find_map(|block| match block {
            DslBlock::Group(name) => Some(name),
            _ => None,
        });
        let tags = tags.to_lowercase();
        match group {
            Some(group) if tags.contains("datastore") || tags.contains("database") => {
                format!("{group}-db")
            }
            _ => title.to_owned(),
        }
    }

    /// A tag or a technology within the block of what it describes.
    fn describe_element(&mut self, text: &str, is_technology: bool) {
        match self.blocks.last() {
            Some(DslBlock::Element(number)) => {
                let element = &mut self.model.elements[*number];
                element.tags.extend([",", text]);
                if is_technology {
                    text.clone_into(&mut element.technology);
                }
            }
            Some(DslBlock::Archetype(name)) if !is_technology => {
                if let Some(archetype) = self.archetypes.get_mut(name) {
                    archetype.tags = format!("{},{text}", archetype.tags);
                }
            }
            _ => {}
        }
    }

    fn add_relation(&mut self, from: &[String], rest: &[String], line: usize, place: Place) {
        let this = self.blocks.iter().rev().find_map(|block| match block {
            DslBlock::Element(number) => Some(*number),
            _ => None,
        });
        let end = |word: Option<&String>| match (word, this) {
            (None, Some(this)) => Some(RelationEnd::Known(this)),
            (Some(word), Some(this)) if word == "this" => Some(RelationEnd::Known(this)),
            (Some(word), _) => Some(RelationEnd::Named(word.to_lowercase())),
            (None, None) => None,
        };
        // `name = -> b` has no source of its own: it starts at the element around it.
        let from = from.last().filter(|word| word.as_str() != "=");
        let (Some(from), Some(to)) = (end(from), rest.first().and_then(|word| end(Some(word))))
        else {
            return;
        };
        // Relationships within an environment are those of machines, not of services.
        if self.blocks.iter().any(|block| matches!(block, DslBlock::Environment)) {
            return;
        }
        let journey = self.blocks.iter().rev().find_map(|block| match block {
            DslBlock::Journey(number) => Some(*number),
            _ => None,
        });
        let is_async = rest.iter().skip(1).any(|word| word.contains("Async"));
        let path = self.path.clone();
        self.pending.push(Pending { from, to, is_async, journey, path, line, place });
    }

    fn add_instance(&mut self, id: &str) {
        let count = self.blocks.iter().rev().find_map(|block| match block {
            DslBlock::Node(count) => Some(*count),
            _ => None,
        });
        if let Some(number) = self.ids.get(&id.to_lowercase()) {
            let known = self.instances.entry(*number).or_default();
            *known = known.saturating_add(count.unwrap_or(1));
        }
    }

    /// Of several environments the one with most instances counts.
    fn end_environment(&mut self) {
        for (number, count) in std::mem::take(&mut self.instances) {
            let known = &mut self.model.elements[number].instances;
            *known = Some(known.unwrap_or(0).max(count));
        }
    }

    fn into_model(mut self) -> Model {
        for pending in std::mem::take(&mut self.pending) {
            let resolve = |end: &RelationEnd| match end {
                RelationEnd::Known(number) => Ok(*number),
                RelationEnd::Named(id) => self.ids.get(id).copied().ok_or(id.clone()),
            };
            let (from, to) = match (resolve(&pending.from), resolve(&pending.to)) {
                (Ok(from), Ok(to)) => (from, to),
                (Err(id), _) | (_, Err(id)) => {
                    if pending.journey.is_none() {
                        let message = format!(
                            "`{id}` is used in a relationship, but nothing has this identifier"
                        );
                        self.graph.warn(Code::Dangling, message, pending.place);
                    }
                    continue;
                }
            };
            if let Some(journey) = pending.journey {
                self.model.journeys[journey].1.push((from, to));
            } else {
                let source = format!("{}: line {}", pending.path, pending.line);
                let is_async = pending.is_async;
                self.model.relations.push(Relation { from, to, source, is_async });
            }
        }
        // A view whose steps are all unknown is no journey.
        self.model.journeys.retain(|(_, steps)| !steps.is_empty());
        self.model
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_ends_in_a_backslash_goes_on() {
        let lines = code_lines("a = \\\n  b \\\n # no\n \"C\"\nd", SourceId::default());
        let shown: Vec<(String, usize)> =
            lines.iter().map(|line| (line.words.join(" "), line.number)).collect();
        assert_eq!(shown, [("a = b \"C".to_owned(), 1), ("d".to_owned(), 5)]);
    }

    #[test]
    fn quoted_texts_are_one_word() {
        assert_eq!(
            split_words(r#"a = container "Web \"App\"" "" {"#),
            ["a", "=", "container", "\"Web \"App\"", "\"", "{"]
        );
    }
}
