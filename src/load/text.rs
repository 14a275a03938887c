//! From bytes to text: what is not UTF-8, or holds control characters, is refused with its place.

use crate::diagnostic::{Code, Diagnostic, Place, Source, SourceId, Sources};

/// Adds the bytes as a source, without a byte-order mark.
pub(super) fn add_source(
    name: &str,
    mut bytes: Vec<u8>,
    sources: &mut Sources,
) -> Result<SourceId, Box<Diagnostic>> {
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        // Editors on Windows put the mark there; places are counted in the text without it.
        bytes.drain(..3);
    }
    let name = name.to_owned();
    match String::from_utf8(bytes) {
        Ok(text) => {
            let unprintable = control_character(&text);
            let source = sources.add(Source { name, text });
            unprintable
                // The source is added in either case: the message shows the line from it.
                .map_or(Ok(source), |(start, c)| Err(unprintable_error(source, start, c).into()))
        }
        Err(error) => {
            let start = error.utf8_error().valid_up_to();
            Err(not_utf8(name, error.as_bytes(), start, sources).into())
        }
    }
}

fn not_utf8(name: String, bytes: &[u8], start: usize, sources: &mut Sources) -> Diagnostic {
    let line = bytes[..start].split(|byte| *byte == b'\n').count();
    let byte = bytes[start];
    let message = format!(
        "`{name}` is not UTF-8 text: byte 0x{byte:02X} at offset {start}, on line {line}, has no meaning"
    );
    let sixteen_bits = bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF");
    // The line is shown with a replacement character; what follows it may be anything, and long.
    let end = bytes.len().min(start + 80);
    let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let source = sources.add(Source { name, text });
    let replacement = char::REPLACEMENT_CHARACTER.len_utf8();
    let place = Place { source, start: start as u32, end: (start + replacement) as u32 };
    Diagnostic::error(Code::NotUtf8, message, place).help(if sixteen_bits {
        "this looks like UTF-16: save the file as UTF-8"
    } else {
        "save the file as UTF-8"
    })
}

/// The first character that YAML does not allow. `saphyr-parser` takes some of them for the end of
/// the file, so none may reach it.
fn control_character(text: &str) -> Option<(usize, char)> {
    let bytes = text.as_bytes();
    let is_control =
        |byte: u8| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r') || byte == 0x7F;
    let plain = bytes.iter().position(|byte| is_control(*byte));
    // U+0080 to U+009F without U+0085, the only ones of two bytes that are not allowed.
    let latin =
        bytes.windows(2).position(|pair| pair[0] == 0xC2 && pair[1] < 0xA0 && pair[1] != 0x85);
    let start = [plain, latin].into_iter().flatten().min()?;
    Some((start, text[start..].chars().next()?))
}

fn unprintable_error(source: SourceId, start: usize, c: char) -> Diagnostic {
    let place = Place { source, start: start as u32, end: (start + c.len_utf8()) as u32 };
    let message = format!("the control character U+{:04X} is not allowed in YAML", u32::from(c));
    Diagnostic::error(Code::Syntax, message, place).help(
        "in a double-quoted text, write it as an escape such as `\\x00`; is this a text file?",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_skipped() {
        let mut sources = Sources::default();
        let id = add_source("x", b"\xEF\xBB\xBFa: 1".to_vec(), &mut sources).unwrap();
        assert_eq!(sources.get(id).text, "a: 1");
    }

    #[test]
    fn a_latin_1_file_is_refused_with_its_line() {
        let mut sources = Sources::default();
        let problem =
            add_source("x", b"a: 1\nb: caf\xE9 ol\xE9\n".to_vec(), &mut sources).unwrap_err();
        assert_eq!(problem.code, Code::NotUtf8);
        assert!(
            problem.message.contains("byte 0xE9 at offset 11, on line 2"),
            "{}",
            problem.message
        );
        let place = problem.primary.unwrap().place;
        assert_eq!(sources.line_column(place), (2, 7));
    }

    #[test]
    fn utf_16_is_recognised() {
        let mut sources = Sources::default();
        let problem = add_source("x", b"\xFF\xFEa\0".to_vec(), &mut sources).unwrap_err();
        assert!(problem.help.unwrap().contains("UTF-16"));
    }

    #[test]
    fn control_characters_are_found() {
        assert_eq!(control_character("a: \u{0}b"), Some((3, '\u{0}')));
        assert_eq!(control_character("ä: \u{9b}b\u{7f}"), Some((4, '\u{9b}')));
        assert_eq!(control_character("tab\t, line\r\n, next\u{85}, é"), None);
    }
}
