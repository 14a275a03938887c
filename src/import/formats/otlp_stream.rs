//! OpenTelemetry traces in one JSON value too large for memory: read resource by resource.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read};
use std::rc::Rc;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::otlp::ResourceSpans;
use crate::diagnostic::{Code, Diagnostic};
use crate::import::{Format, not_of};
use crate::load;

/// A file below this size is read as a whole, which is faster.
const STREAM_MIN: u64 = 64 * 1024 * 1024;

/// A resource with more bytes than this is refused: it is held in memory.
const RESOURCE_MAX: u64 = 256 * 1024 * 1024;

/// The number of bytes that are looked at to see whether a file holds one value on each line.
const HEAD: usize = 1024 * 1024;

/// Takes the spans of one resource.
type Take<'t> = &'t mut dyn FnMut(&ResourceSpans<'_>);

/// Returns whether a file is large, and its first line is no value by itself.
pub(super) fn is_one_large_value(path: &str) -> bool {
    // A pipe cannot be opened twice, once to look at it and once to read.
    if path == "-" || load::file_size(path).is_none_or(|size| size < STREAM_MIN) {
        return false;
    }
    let Ok(head) = load::first_bytes(path, HEAD) else { return false };
    if !head.trim_ascii_start().starts_with(b"{") && !head.trim_ascii_start().starts_with(b"[") {
        return false;
    }
    match head.iter().position(|byte| *byte == b'\n') {
        Some(end) => serde_json::from_slice::<IgnoredAny>(&head[..end]).is_err(),
        // A line so long is read as a line, if it is not all of the file.
        None => true,
    }
}

/// Reads the resources of a file, one after the other.
///
/// # Errors
/// The file cannot be read, or is no JSON.
pub(super) fn read_resources(
    path: &str,
    progress: &dyn Fn(u64, Option<u64>),
    take: Take<'_>,
) -> Result<(), Vec<Diagnostic>> {
    let reader = load::open_counted(path, progress).map_err(|problem| vec![*problem])?;
    // The reader counts bytes and the walker sets the count back; they share one cell, as neither
    // sees the other.
    let since = Rc::new(Cell::new(0));
    let reader = Bounded { reader, since: Rc::clone(&since) };
    let take: Take<'_> = &mut |spans| {
        since.set(0);
        take(spans);
    };
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    // Values may follow one another, as they do on lines.
    loop {
        match (Walker { take: &mut *take }).deserialize(&mut deserializer) {
            Ok(()) => {}
            // Syntax errors are not of this kind: it is the bound above that was reached, or the
            // disk that failed.
            Err(error) if error.is_io() => {
                let mebibytes = RESOURCE_MAX / (1024 * 1024);
                let message = format!("`{path}`: {error}; a resource may have {mebibytes} MiB");
                let problem = Diagnostic::file_error(Code::TooLarge, message);
                return Err(vec![problem.help("write one request on each line, or several files")]);
            }
            Err(error) => return Err(not_of(Format::Otlp, path, &error.to_string())),
        }
        if deserializer.end().is_ok() {
            return Ok(());
        }
    }
}

/// Stops reading where nothing was taken for too long: a text without end would fill the memory.
struct Bounded<R> {
    reader: R,
    /// The number of bytes that were read since the last resource.
    since: Rc<Cell<u64>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.since.set(self.since.get() + count as u64);
        if self.since.get() > RESOURCE_MAX {
            return Err(io::Error::other("it goes on for too long without the end of a resource"));
        }
        Ok(count)
    }
}

/// Finds the lists of resources below whatever an API wraps them in.
struct Walker<'t> {
    take: Take<'t>,
}

impl<'de> DeserializeSeed<'de> for Walker<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walker<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list of objects")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(key) = entries.next_key::<String>()? {
            match key.as_str() {
                "resourceSpans" | "resource_spans" | "batches" => {
                    entries.next_value_seed(Resources { take: &mut *self.take })?;
                }
                "trace" | "traces" | "result" | "results" | "data" => {
                    entries.next_value_seed(Walker { take: &mut *self.take })?;
                }
                // Unknown keys are skipped without building their values.
                _ => {
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Walker { take: &mut *self.take })?.is_some() {}
        Ok(())
    }
}

/// A list of resources.
struct Resources<'t> {
    take: Take<'t>,
}

impl<'de> DeserializeSeed<'de> for Resources<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Resources<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of resources")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(spans) = list.next_element::<ResourceSpans<'de>>()? {
            (self.take)(&spans);
        }
        Ok(())
    }
}
