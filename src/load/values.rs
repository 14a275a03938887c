//! Gives the scalars of an outline their meaning, from `serde_yaml`: nothing, a yes or no, a
//! number or a text.
//!
//! This file is the only one that knows `serde_yaml`. The crate is complete but no longer
//! maintained; the way out, should it ever need a correction, is one line in `Cargo.toml`:
//! `serde_yaml = { package = "yaml_serde", version = "0.10" }`, its continuation by the YAML
//! organization.

use std::fmt;

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Entry, Node, Number, Value};
use crate::diagnostic::{Code, Diagnostic, Findings, Place, SourceId};
use crate::threads::ensure_threads;

/// Larger mappings are read in stretches of about this many bytes: `serde_yaml` keeps all events of
/// what it reads, at some 150 bytes each, and stretches can be read side by side.
const STRETCH: usize = 256 * 1024;

/// Gives every scalar its meaning.
pub(super) fn fill_scalars(
    mut root: Node,
    text: &str,
    source: SourceId,
    anchored: bool,
    mut problems: Findings,
) -> Result<(Node, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut jobs = Vec::new();
    let whole = Range { start: 0, end: text.len() };
    // A stretch is read alone, and an alias in it would not find an anchor outside it.
    if anchored {
        jobs.push(FillJob { part: WorkPart::Node(&mut root), range: whole });
    } else {
        divide_work(&mut root, whole, text, &mut jobs);
    }
    let run = |job: FillJob<'_>| job.run(text, source);
    // Small files are the most, and starting threads would take longer than reading them.
    let results: Vec<_> = if jobs.len() == 1 {
        jobs.into_iter().map(run).collect()
    } else {
        ensure_threads();
        jobs.into_par_iter().map(run).collect()
    };
    let failed = results.into_iter().filter_map(Result::err);
    let mut failed = failed.peekable();
    if failed.peek().is_none() {
        return Ok((root, problems.finish()));
    }
    // All stretches report, so that one run shows every such place.
    failed.for_each(|problem| problems.push(*problem));
    Err(problems.finish())
}

#[derive(Clone, Copy)]
struct Range {
    start: usize,
    end: usize,
}

/// A piece of text that is YAML by itself, and the part of the tree that it fills.
struct FillJob<'t> {
    part: WorkPart<'t>,
    range: Range,
}

enum WorkPart<'t> {
    Node(&'t mut Node),
    /// Neighbours in one block mapping.
    Entries(&'t mut [Entry]),
}

impl FillJob<'_> {
    fn run(self, text: &str, source: SourceId) -> Result<(), Box<Diagnostic>> {
        // The second reader sees only its stretch, so its offsets are counted from there.
        let Range { start, end } = self.range;
        let yaml = serde_yaml::Deserializer::from_str(&text[start..end]);
        let filled = match self.part {
            WorkPart::Node(node) => Fill(node).deserialize(yaml),
            WorkPart::Entries(entries) => yaml.deserialize_map(FillEntries(entries)),
        };
        filled.map_err(|error| {
            let offset = error.location().map_or(0, |location| location.index());
            Box::new(disagreement(start + offset, text, source))
        })
    }
}

/// Cuts a long block mapping between its entries, and a long entry between its own.
fn divide_work<'t>(node: &'t mut Node, range: Range, text: &str, jobs: &mut Vec<FillJob<'t>>) {
    // What is short is not worth cutting, and only entries of a block can be read without what
    // surrounds them.
    if range.end - range.start <= STRETCH || !is_block_mapping(node, text) {
        jobs.push(FillJob { part: WorkPart::Node(node), range });
        return;
    }
    let Value::Mapping(entries) = &mut node.value else { return };
    let mut rest = &mut entries[..];
    while !rest.is_empty() {
        let start = line_start(text, &rest[0]);
        let starts = |index: usize, rest: &[Entry]| {
            rest.get(index).map_or(range.end, |entry| line_start(text, entry))
        };
        // At least one entry goes into a stretch, however long it is: an entry cannot be cut here.
        let mut count = 1;
        while count < rest.len() && starts(count + 1, rest) - start <= STRETCH {
            count += 1;
        }
        let stretch = Range { start, end: starts(count, rest) };
        let (part, others) = rest.split_at_mut(count);
        rest = others;
        if stretch.end - start > STRETCH && is_below_key(&part[0], text) {
            let value = &mut part[0].value;
            // From the start of the line, so that the indentation of all keys stays the same in the
            // stretch.
            let start = line_start(text, &value.entries()[0]);
            divide_work(value, Range { start, end: stretch.end }, text, jobs);
        } else {
            jobs.push(FillJob { part: WorkPart::Entries(part), range: stretch });
        }
    }
}

/// Whether every entry starts a line of its own.
fn is_block_mapping(node: &Node, text: &str) -> bool {
    let alone = |entry: &Entry| {
        let line = line_start(text, entry);
        // A key behind a dash or another key on its line could not be read without it.
        text[line..entry.key.place.start as usize].bytes().all(|byte| byte == b' ')
    };
    let flow = text[node.place.start as usize..].starts_with('{');
    let entries = node.entries();
    !flow && !entries.is_empty() && entries.iter().all(alone)
}

/// Whether the value is a block mapping that starts below its key, so that it can stand alone.
fn is_below_key(entry: &Entry, text: &str) -> bool {
    is_block_mapping(&entry.value, text)
        && line_start(text, &entry.value.entries()[0]) > entry.key.place.start as usize
}

fn line_start(text: &str, entry: &Entry) -> usize {
    text[..entry.key.place.start as usize].rfind('\n').map_or(0, |newline| newline + 1)
}

/// Diagnostic for scalars that YAML 1.1 and 1.2 read differently: both readers are right, each by
/// its edition.
fn disagreement(offset: usize, text: &str, source: SourceId) -> Diagnostic {
    // The offset comes from another parser, so it may lie beyond the end or within a character.
    let mut start = offset.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let line = text[start..].split(['\n', '\r']).next().unwrap_or_default().trim_end();
    let place = Place { source, start: start as u32, end: (start + line.len()) as u32 };
    Diagnostic::error(Code::Syntax, "this can be read in more than one way", place)
        .help("put quotes around texts with special characters, and a space behind `:` and `,`")
}

/// Gives one value its meaning.
struct Fill<'t>(&'t mut Node);

/// Gives the values of a mapping theirs.
struct FillEntries<'t>(&'t mut [Entry]);

impl<'de> DeserializeSeed<'de> for Fill<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Fill<'_> {
    fn fill_number<E: Error>(self, value: f64) -> Result<(), E> {
        // The outline has texts for all scalars, so anything else means that the two readers see
        // different things.
        let Value::Text(text) = &mut self.0.value else { return Err(readers_differ()) };
        self.0.value = Value::Number(Box::new(Number { value, text: std::mem::take(text) }));
        Ok(())
    }

    fn fill_scalar<E: Error>(self, value: Value) -> Result<(), E> {
        let Value::Text(_) = &self.0.value else { return Err(readers_differ()) };
        self.0.value = value;
        Ok(())
    }
}

fn readers_differ<E: Error>() -> E {
    E::custom("the outline has another value here")
}

impl<'de> Visitor<'de> for Fill<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value of the outline")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.fill_scalar(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.fill_scalar(Value::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.fill_number(value as f64)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.fill_number(value as f64)
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<(), E> {
        self.fill_number(value as f64)
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<(), E> {
        self.fill_number(value as f64)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.fill_number(value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        match &self.0.value {
            Value::Text(text) if &**text == value => Ok(()),
            _ => self.fill_scalar(Value::Text(value.into())),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Value::Sequence(items) = &mut self.0.value else { return Err(readers_differ()) };
        for item in items {
            list.next_element_seed(Fill(item))?.ok_or_else(readers_differ)?;
        }
        // An item too many is a difference as well, and would otherwise be dropped without a word.
        if list.next_element::<IgnoredAny>()?.is_some() { Err(readers_differ()) } else { Ok(()) }
    }

    fn visit_map<A: MapAccess<'de>>(self, mapping: A) -> Result<(), A::Error> {
        let Value::Mapping(entries) = &mut self.0.value else { return Err(readers_differ()) };
        FillEntries(entries).visit_map(mapping)
    }
}

impl<'de> Visitor<'de> for FillEntries<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the mapping of the outline")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut mapping: A) -> Result<(), A::Error> {
        for entry in self.0 {
            // The key is known from the outline, as a text whatever it looks like.
            mapping.next_key::<IgnoredAny>()?.ok_or_else(readers_differ)?;
            mapping.next_value_seed(Fill(&mut entry.value))?;
        }
        if mapping.next_key::<IgnoredAny>()?.is_some() { Err(readers_differ()) } else { Ok(()) }
    }
}
