//! JSON values one after the other: one on each line, or one for the whole file.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::diagnostic::{Code, Diagnostic};
use crate::import::graph::EvidenceGraph;
use crate::import::{Format, Input, not_of};
use crate::load::Lines;

/// One value, or a list of them.
pub(super) struct Several<T>(Vec<T>);

impl<T> Several<T> {
    /// Returns all values.
    pub(super) fn as_list(&self) -> &[T] {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Several<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SeveralVisitor(PhantomData))
    }
}

/// A whole number, or a text that holds one; whatever else stands there is no number, and no error.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct LooseNumber(pub(super) Option<u64>);

impl<'de> Deserialize<'de> for LooseNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseNumberVisitor)
    }
}

struct LooseNumberVisitor;

impl<'de> Visitor<'de> for LooseNumberVisitor {
    type Value = LooseNumber;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(LooseNumber(Some(number)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(LooseNumber(u64::try_from(number).ok()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        // Some exporters write whole numbers with a point.
        #[expect(clippy::cast_sign_loss, reason = "it is at least 0")]
        let whole = (number >= 0.0 && number.is_finite()).then_some(number as u64);
        Ok(LooseNumber(whole))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(LooseNumber(text.trim().parse().ok()))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(LooseNumber(None))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(LooseNumber(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(LooseNumber(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(LooseNumber(None))
    }
}

struct SeveralVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for SeveralVisitor<T> {
    type Value = Several<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list of objects")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Several(Vec::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = list.next_element()? {
            all.push(item);
        }
        Ok(Several(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(entries)).map(|one| Several(vec![one]))
    }
}

/// The number of lines after which progress is told.
const PROGRESS_LINES: u64 = 64;

/// Gives every JSON value of the files to `take`, which says what is wrong with it.
///
/// # Errors
/// A file cannot be read, or holds nothing that `take` can use.
pub(in crate::import) fn each_value(
    format: Format,
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
    mut take: impl FnMut(&[u8], &mut EvidenceGraph) -> Result<(), serde_json::Error>,
) -> Result<(), Vec<Diagnostic>> {
    for path in input.files {
        let mut lines = Lines::open_file(path).map_err(|problem| vec![*problem])?;
        let size = lines.size_bytes();
        let mut taken = 0_u64;
        let mut whole = false;
        while let Some(line) = lines.next_line().map_err(|problem| vec![*problem])? {
            if line.is_empty() {
                continue;
            }
            // Editors of Windows put a byte order mark at the start of a file.
            let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
            match take(line, graph) {
                Ok(()) => taken += 1,
                // The value goes on behind the first line: it is one for the whole file.
                Err(error) if taken == 0 && error.is_eof() => {
                    whole = true;
                    break;
                }
                // If the first value does not fit, the file is of another format; later ones may be
                // single broken lines.
                Err(error) if taken == 0 => return Err(not_a_trace(format, path, &error)),
                Err(error) => {
                    let message = format!("line {} of `{path}`: {error}", lines.line_number());
                    graph.warn_of_file(Code::NotUnderstood, message);
                }
            }
            if taken.is_multiple_of(PROGRESS_LINES) {
                (input.progress)(lines.bytes_read(), size);
            }
        }
        if whole {
            let bytes = lines.read_rest().map_err(|problem| vec![*problem])?;
            take(&bytes, graph).map_err(|error| not_a_trace(format, path, &error))?;
        } else if taken == 0 {
            return Err(not_of(format, path, "it holds nothing"));
        }
    }
    Ok(())
}

fn not_a_trace(format: Format, path: &str, error: &serde_json::Error) -> Vec<Diagnostic> {
    not_of(format, path, &error.to_string())
}
