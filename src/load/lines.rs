//! Lines of a file too large for memory, one after the other.

use std::io::{self, BufRead, BufReader, Read as _};

use super::file::{self, BYTES_MAX, STDIN};
use crate::diagnostic::{Code, Diagnostic};

/// The longest line that is read.
pub const LINE_MAX: usize = 64 * 1024 * 1024;

/// The lines of a file.
pub struct Lines {
    reader: Box<dyn BufRead>,
    name: String,
    buffer: Vec<u8>,
    number: u64,
    bytes_read: u64,
    size: Option<u64>,
    line_max: usize,
}

impl Lines {
    /// Opens a file; `-` is standard input.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open_file(path: &str) -> Result<Self, Box<Diagnostic>> {
        if path == "-" {
            return Ok(Self::new(STDIN, Box::new(BufReader::new(io::stdin())), None));
        }
        let (file, size) = file::open_file(path)?;
        let reader = BufReader::with_capacity(1 << 20, file);
        Ok(Self::new(path, Box::new(reader), Some(size)))
    }

    fn new(name: &str, reader: Box<dyn BufRead>, size: Option<u64>) -> Self {
        let name = name.to_owned();
        Self {
            reader,
            name,
            buffer: Vec::new(),
            number: 0,
            bytes_read: 0,
            size,
            line_max: LINE_MAX,
        }
    }

    /// The next line, without its end; nothing at the end of the file.
    ///
    /// # Errors
    /// It cannot be read, or is longer than [`LINE_MAX`]; the first may be as long as any file that is
    /// read as a whole, since it may be all of it.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>, Box<Diagnostic>> {
        self.buffer.clear();
        let whole = self.size.filter(|size| self.number == 0 && *size <= BYTES_MAX);
        let limit = whole.unwrap_or(0).max(self.line_max as u64) + 1;
        let count = (&mut self.reader)
            .take(limit)
            .read_until(b'\n', &mut self.buffer)
            .map_err(|error| file::unreadable_file(&self.name, &error))?;
        if count == 0 {
            return Ok(None);
        }
        self.number += 1;
        self.bytes_read += count as u64;
        if count as u64 == limit && self.buffer.last() != Some(&b'\n') {
            let mebibytes = self.line_max / (1024 * 1024);
            let message =
                format!("line {} of `{}` has more than {mebibytes} MiB", self.number, self.name);
            return Err(Box::new(
                Diagnostic::file_error(Code::TooLarge, message)
                    .help("write one object on each line, or several files"),
            ));
        }
        // Space around a line means nothing in JSON, and lines from other systems end with a
        // carriage return.
        Ok(Some(self.buffer.trim_ascii()))
    }

    /// The line last read and all that follows it, for a file that turns out not to be one of lines.
    ///
    /// # Errors
    /// It cannot be read, or is larger than [`BYTES_MAX`].
    pub fn read_rest(mut self) -> Result<Vec<u8>, Box<Diagnostic>> {
        // The line that was read first belongs to the value, so the rest is put behind it.
        let mut bytes = std::mem::take(&mut self.buffer);
        let room = (BYTES_MAX + 1).saturating_sub(bytes.len() as u64);
        self.reader
            .take(room)
            .read_to_end(&mut bytes)
            .map_err(|error| file::unreadable_file(&self.name, &error))?;
        if bytes.len() as u64 > BYTES_MAX {
            let problem = file::too_large(&self.name, self.size);
            return Err(Box::new(problem.help(
                "it is one JSON value, which is read as a whole; with one on each line a file may have any \
                 size: `jq -c '.resourceSpans[] | {resourceSpans: [.]}'` writes such lines, or for Jaeger \
                 `jq -c '.data[]'`",
            )));
        }
        Ok(bytes)
    }

    /// The number of the line last read, from 1.
    pub fn line_number(&self) -> u64 {
        self.number
    }

    /// How many bytes were read so far.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// How many bytes there are, where that is known.
    pub fn size_bytes(&self) -> Option<u64> {
        self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &'static str) -> Lines {
        Lines::new("x", Box::new(text.as_bytes()), None)
    }

    #[test]
    fn lines_come_one_by_one_and_what_is_left_comes_whole() {
        let mut lines = of("a\r\nb\nc");
        assert_eq!(lines.next_line().unwrap(), Some(&b"a"[..]));
        assert_eq!(lines.next_line().unwrap(), Some(&b"b"[..]));
        assert_eq!(lines.line_number(), 2);
        assert_eq!(lines.read_rest().unwrap(), b"b\nc");
    }

    #[test]
    fn a_line_too_long_is_refused_by_its_number() {
        let mut lines = of("a\nbbbbbbbb\n");
        lines.line_max = 4;
        assert!(lines.next_line().unwrap().is_some());
        assert!(lines.next_line().unwrap_err().message.starts_with("line 2 of `x`"));
    }

    #[test]
    fn the_first_line_may_be_all_of_a_file() {
        let mut lines = Lines::new("x", Box::new(&b"aaaaaaaa\nbbbbbbbb\n"[..]), Some(18));
        lines.line_max = 4;
        assert_eq!(lines.next_line().unwrap(), Some(&b"aaaaaaaa"[..]));
        assert!(lines.next_line().is_err());
    }
}
