//! The part of Structurizr's language that says what there is and what uses what.
//!
//! Read line by line: elements with their identifiers, archetypes, groups, relationships (also with
//! `this` or without a source), instances of deployments, and dynamic views. Files that it includes and
//! scripts are not read, and said not to be.

use std::collections::BTreeMap;

use super::structurizr::{Element, Level, Model, Relation};
use crate::diagnostic::{Code, Place, SourceId};
use crate::import::graph::Graph;

/// How deeply blocks may be nested.
const DEPTH_MAX: usize = 200;

/// What a block is.
#[derive(Clone, Debug)]
enum Block {
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
    /// So many instances of everything within.
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

struct Reader<'g> {
    path: String,
    source: SourceId,
    graph: &'g mut Graph,
    model: Model,
    blocks: Vec<Block>,
    ids: BTreeMap<String, usize>,
    archetypes: BTreeMap<String, Archetype>,
    /// Relationships are resolved when all elements are known.
    pending: Vec<Pending>,
    /// Instances of the present environment, and the most of any before.
    instances: BTreeMap<usize, u32>,
}

struct Pending {
    from: End,
    to: End,
    is_async: bool,
    journey: Option<usize>,
    line: usize,
    place: Place,
}

enum End {
    Known(usize),
    Named(String),
}

/// Reads a workspace.
pub(in crate::import) fn parse(
    path: &str,
    text: &str,
    source: SourceId,
    graph: &mut Graph,
) -> Model {
    let mut reader = Reader {
        path: path.to_owned(),
        source,
        graph,
        model: Model::default(),
        blocks: Vec::new(),
        ids: BTreeMap::new(),
        archetypes: BTreeMap::new(),
        pending: Vec::new(),
        instances: BTreeMap::new(),
    };
    let mut offset = 0;
    let mut in_comment = false;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let place =
            Place { source, start: offset as u32, end: (offset + line.trim_end().len()) as u32 };
        offset += line.len();
        let line = line.trim();
        if in_comment || line.starts_with("/*") {
            in_comment = !line.contains("*/");
            continue;
        }
        if line.starts_with("//") || line.starts_with('#') {
            continue;
        }
        reader.line(&words(line), index + 1, place);
    }
    reader.finish()
}

/// The words of a line: quoted texts are one each, marked by a quote in front.
fn words(line: &str) -> Vec<String> {
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

impl Reader<'_> {
    fn line(&mut self, words: &[String], number: usize, place: Place) {
        let Some(first) = words.first() else { return };
        if first == "}" {
            if matches!(self.blocks.pop(), Some(Block::Environment)) {
                self.end_environment();
            }
            return;
        }
        let opens = words.last().is_some_and(|word| word == "{");
        let words = if opens { &words[..words.len() - 1] } else { words };
        let block = self.statement(words, number, place);
        if opens && self.blocks.len() < DEPTH_MAX {
            self.blocks.push(block);
        }
    }

    fn statement(&mut self, words: &[String], number: usize, place: Place) -> Block {
        if matches!(self.blocks.last(), Some(Block::Other)) || words.is_empty() {
            return Block::Other;
        }
        let is_view = matches!(self.blocks.last(), Some(Block::Views));
        if is_view && !words[0].eq_ignore_ascii_case("dynamic") {
            return Block::Other;
        }
        if let Some(arrow) =
            words.iter().position(|word| word.starts_with('-') && word.ends_with("->"))
        {
            self.relation(&words[..arrow], &words[arrow + 1..], number, place);
            return Block::Other;
        }
        let (id, rest) = match words {
            [id, equals, rest @ ..] if equals == "=" => (Some(id.as_str()), rest),
            _ => (None, words),
        };
        let Some(keyword) = rest.first() else { return Block::Other };
        let texts: Vec<&str> = rest[1..].iter().map(|word| word.trim_start_matches('"')).collect();
        let lower = keyword.to_lowercase();
        if let Some(Block::Archetypes) = self.blocks.last() {
            let name = id.unwrap_or(keyword).to_lowercase();
            let base = self.base(&lower);
            self.archetypes.insert(name.clone(), Archetype { base, tags: String::new() });
            return Block::Archetype(name);
        }
        match lower.as_str() {
            "tag" | "tags" | "technology" => {
                self.describe(&texts.join(","), lower == "technology");
                return Block::Other;
            }
            "!include" | "!script" | "!plugin" | "!ref" | "!element" | "extends" => {
                let message =
                    format!("`{keyword}` is not followed; export the workspace as JSON instead");
                self.graph.warn(Code::NotUnderstood, message, place);
                return if lower == "!element" { Block::Plain } else { Block::Other };
            }
            "workspace" | "model" | "enterprise" => return Block::Plain,
            "views" => return Block::Views,
            "archetypes" => return Block::Archetypes,
            "deploymentenvironment" => return Block::Environment,
            "deploymentnode" => {
                let count = texts.iter().skip(1).rev().find_map(|text| text.parse::<u32>().ok());
                let outer = self.blocks.iter().rev().find_map(|block| match block {
                    Block::Node(count) => Some(*count),
                    _ => None,
                });
                return Block::Node(outer.unwrap_or(1).saturating_mul(count.unwrap_or(1).max(1)));
            }
            "containerinstance" | "softwaresysteminstance" => {
                self.instance(texts.first().copied().unwrap_or_default());
                return Block::Other;
            }
            "dynamic" => {
                let name =
                    texts.get(1).filter(|text| !text.is_empty()).copied().unwrap_or("journey");
                self.model.journeys.push((name.to_owned(), Vec::new()));
                return Block::Journey(self.model.journeys.len() - 1);
            }
            _ => {}
        }
        let base = self.base(&lower);
        let level = match base.as_str() {
            "person" => Level::Person,
            "softwaresystem" => Level::System,
            "container" => Level::Container,
            "component" => Level::Component,
            "group" => {
                let name = id.unwrap_or_else(|| texts.first().copied().unwrap_or_default());
                return Block::Group(name.to_owned());
            }
            _ => return Block::Other,
        };
        Block::Element(self.element(id, level, &lower, &texts))
    }

    /// What an archetype goes back to.
    fn base(&self, keyword: &str) -> String {
        let mut at = keyword;
        for _ in 0..DEPTH_MAX {
            match self.archetypes.get(at) {
                Some(archetype) => at = &archetype.base,
                None => break,
            }
        }
        at.to_owned()
    }

    fn element(&mut self, id: Option<&str>, level: Level, keyword: &str, texts: &[&str]) -> usize {
        let title = texts.first().copied().unwrap_or("unnamed").to_owned();
        let parent = self.blocks.iter().rev().find_map(|block| match block {
            Block::Element(number) => Some(*number),
            _ => None,
        });
        let mut tags = texts
            .get(if level == Level::Container { 3 } else { 2 })
            .copied()
            .unwrap_or_default()
            .to_owned();
        if level == Level::Container {
            tags.push(',');
            tags.push_str(texts.get(2).copied().unwrap_or_default());
        }
        if let Some(archetype) = self.archetypes.get(keyword) {
            tags.extend([",", keyword, ",", &archetype.tags]);
        }
        let name = id.map_or_else(|| self.unnamed(&title, &tags), str::to_owned);
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
        self.model.elements.push(Element { id, name, title, level, parent, tags, instances: None });
        number
    }

    /// A name for an element without identifier: after the group it is in, which usually is one service
    /// with its database.
    fn unnamed(&self, title: &str, tags: &str) -> String {
        let group = self.blocks.iter().rev().find_map(|block| match block {
            Block::Group(name) => Some(name),
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
    fn describe(&mut self, text: &str, is_technology: bool) {
        match self.blocks.last() {
            Some(Block::Element(number)) => {
                let tags = &mut self.model.elements[*number].tags;
                tags.push(',');
                tags.push_str(text);
            }
            Some(Block::Archetype(name)) if !is_technology => {
                if let Some(archetype) = self.archetypes.get_mut(name) {
                    archetype.tags = format!("{},{text}", archetype.tags);
                }
            }
            _ => {}
        }
    }

    fn relation(&mut self, from: &[String], rest: &[String], line: usize, place: Place) {
        let this = self.blocks.iter().rev().find_map(|block| match block {
            Block::Element(number) => Some(*number),
            _ => None,
        });
        let end = |word: Option<&String>| match (word, this) {
            (None, Some(this)) => Some(End::Known(this)),
            (Some(word), Some(this)) if word == "this" => Some(End::Known(this)),
            (Some(word), _) => Some(End::Named(word.to_lowercase())),
            (None, None) => None,
        };
        let from = from.last().filter(|word| word.as_str() != "=");
        let (Some(from), Some(to)) = (end(from), rest.first().and_then(|word| end(Some(word))))
        else {
            return;
        };
        if self.blocks.iter().any(|block| matches!(block, Block::Environment)) {
            return;
        }
        let journey = self.blocks.iter().rev().find_map(|block| match block {
            Block::Journey(number) => Some(*number),
            _ => None,
        });
        let is_async = rest.iter().skip(1).any(|word| word.contains("Async"));
        self.pending.push(Pending { from, to, is_async, journey, line, place });
    }

    fn instance(&mut self, id: &str) {
        let count = self.blocks.iter().rev().find_map(|block| match block {
            Block::Node(count) => Some(*count),
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

    fn finish(mut self) -> Model {
        for pending in std::mem::take(&mut self.pending) {
            let resolve = |end: &End| match end {
                End::Known(number) => Ok(*number),
                End::Named(id) => self.ids.get(id).copied().ok_or(id.clone()),
            };
            let (from, to) = match (resolve(&pending.from), resolve(&pending.to)) {
                (Ok(from), Ok(to)) => (from, to),
                (Err(id), _) | (_, Err(id)) => {
                    if pending.journey.is_none() {
                        let message = format!(
                            "`{id}` is used in a relationship, but nothing has this identifier"
                        );
                        let place = Place { source: self.source, ..pending.place };
                        self.graph.warn(Code::Dangling, message, place);
                    }
                    continue;
                }
            };
            if let Some(journey) = pending.journey {
                self.model.journeys[journey].1.push((from, to));
            } else {
                let source = format!("{}: line {}", self.path, pending.line);
                let is_async = pending.is_async;
                self.model.relations.push(Relation { from, to, source, is_async });
            }
        }
        self.model.journeys.retain(|(_, steps)| !steps.is_empty());
        self.model
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_texts_are_one_word() {
        assert_eq!(
            words(r#"a = container "Web \"App\"" "" {"#),
            ["a", "=", "container", "\"Web \"App\"", "\"", "{"]
        );
    }
}
