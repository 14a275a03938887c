//! Maps the text of a condition to its place in the file.

use crate::diagnostic::Place;

/// Map from the bytes of a YAML scalar to the bytes of its file.
#[derive(Debug)]
pub(super) struct SourceMap {
    whole: Place,
    /// For each byte of the value its byte in the file; nothing where they could not be matched.
    bytes: Option<Vec<u32>>,
}

impl SourceMap {
    /// Matches the value of a scalar with the text of the file, past quotes, escapes and folds.
    pub(super) fn new(value: &str, file: &str, whole: Place) -> Self {
        Self { whole, bytes: matched(value, file, whole.start as usize) }
    }

    /// Where these bytes of the value are written: on one line, as far as they go.
    pub(super) fn of(&self, start: usize, end: usize) -> Place {
        // Where the two texts could not be matched, the whole condition is shown.
        let Some(bytes) = self.bytes.as_ref().filter(|bytes| start < bytes.len()) else {
            return self.whole;
        };
        let last = end.clamp(start + 1, bytes.len()) - 1;
        Place { source: self.whole.source, start: bytes[start], end: bytes[last] + 1 }
    }
}

fn matched(value: &str, file: &str, start: usize) -> Option<Vec<u32>> {
    let mut at = start;
    let first = file.get(at..)?.chars().next()?;
    let quote = matches!(first, '"' | '\'').then_some(first);
    match first {
        '"' | '\'' => at += 1,
        '|' | '>' => at += file[at..].find('\n')? + 1,
        _ => {}
    }
    let mut bytes = Vec::with_capacity(value.len());
    // Both texts are walked together: the value is the file's text without quotes, escapes and
    // folds.
    for wanted in value.chars() {
        loop {
            let Some(found) = file[at..].chars().next() else {
                // The last line of a block may end with the file.
                return wanted.is_whitespace().then_some(bytes);
            };
            if found == wanted || (wanted.is_whitespace() && found.is_whitespace()) {
                bytes.extend((0..wanted.len_utf8()).map(|offset| (at + offset) as u32));
                at += found.len_utf8();
                // A fold is one space in the value and any number of blanks and line ends in the
                // file.
                if found != wanted {
                    let rest = file[at..].trim_start();
                    at = file.len() - rest.len();
                }
                break;
            }
            let is_dressing = found.is_whitespace()
                || (found == '\\' && quote == Some('"'))
                || (found == '\'' && quote == Some('\''));
            // Something else stands in the file, such as an escape for another character: no place
            // could be relied on.
            if !is_dressing {
                return None;
            }
            at += found.len_utf8();
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::SourceId;

    #[track_caller]
    fn shown(file: &str, start: usize, value: &str, part: &str) -> String {
        let whole = Place { source: SourceId(0), start: start as u32, end: file.len() as u32 };
        let at = value.find(part).unwrap();
        file[SourceMap::new(value, file, whole).of(at, at + part.len()).span()].to_owned()
    }

    #[test]
    fn parts_are_found_in_every_style_of_scalar() {
        assert_eq!(shown("a: x > 1", 3, "x > 1", "> 1"), "> 1");
        assert_eq!(shown("a: 'it''s > 1'", 3, "it's > 1", "> 1"), "> 1");
        assert_eq!(shown(r#"a: "f[\"ü\"] > 1""#, 3, r#"f["ü"] > 1"#, "> 1"), "> 1");
        assert_eq!(shown("a: |\n  x\n  > 1\n", 3, "x\n> 1\n", "> 1"), "> 1");
        assert_eq!(shown("a: >-\n  x\n  > 1\n", 3, "x > 1", "> 1"), "> 1");
    }
}
