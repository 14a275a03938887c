//! The names in a list of files: bytes, ended by NUL or by a line's end and then perhaps quoted.

use std::borrow::Cow;

/// How many characters of a name are shown.
const SHOWN: usize = 120;

/// The names of a list, without empty ones and without a leading `./`.
pub(super) fn listed_names(list: &[u8], is_null: bool) -> impl Iterator<Item = Cow<'_, [u8]>> {
    let end = if is_null { 0 } else { b'\n' };
    let all = list.split(move |byte| *byte == end);
    let read = move |name| if is_null { Cow::Borrowed(name) } else { listed_name(name) };
    all.map(read).map(from_root).filter(|name| !name.is_empty())
}

/// Returns whether a line seems to hold several names: parts between blanks or commas, each of them with a
/// folder. A file of a folder with a blank in its name may look the same; `--null` tells them apart.
pub(super) fn seems_joined(name: &[u8]) -> bool {
    let is_gap = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b';');
    let parts: Vec<&[u8]> = name.split(is_gap).filter(|part| !part.is_empty()).collect();
    // A single name may hold blanks; that all of its parts are paths is hardly chance.
    parts.len() > 1 && parts.iter().all(|part| part.contains(&b'/'))
}

/// A name for people, cut where it is long.
pub(super) fn shown_name(name: &[u8]) -> String {
    let mut text = String::new();
    for chunk in name.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
        // A name of thousands of characters is cut anyway, and need not be decoded.
        if text.len() > SHOWN * 4 {
            break;
        }
    }
    match text.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

fn from_root(name: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    match name {
        Cow::Borrowed(name) => Cow::Borrowed(name.strip_prefix(b"./").unwrap_or(name)),
        Cow::Owned(mut name) => {
            if name.starts_with(b"./") {
                name.drain(..2);
            }
            Cow::Owned(name)
        }
    }
}

fn listed_name(line: &[u8]) -> Cow<'_, [u8]> {
    // Lists that were written on Windows end lines with both characters.
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let quoted = line.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    // A name that begins and ends with a quote without being quoted is taken as it is.
    quoted.and_then(unquote_name).map_or(Cow::Borrowed(line), Cow::Owned)
}

/// Decodes a name that git wrote between quotes, as the C language does; returns `None` for one
/// that is not so written.
fn unquote_name(text: &[u8]) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            name.push(byte);
            continue;
        }
        name.push(match bytes.next()? {
            b'a' => 7,
            b'b' => 8,
            b't' => b'\t',
            b'n' => b'\n',
            b'v' => 11,
            b'f' => 12,
            b'r' => b'\r',
            same @ (b'"' | b'\\') => same,
            // Git writes three octal digits, of which the first is at most 3: a byte has no more.
            first @ b'0'..=b'3' => {
                let digit = |byte: u8| (b'0'..=b'7').contains(&byte).then(|| byte - b'0');
                let (second, third) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
                (first - b'0') * 64 + second * 8 + third
            }
            _ => return None,
        });
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(list: &[u8], is_null: bool) -> Vec<Vec<u8>> {
        listed_names(list, is_null).map(Cow::into_owned).collect()
    }

    #[test]
    fn lines_are_unquoted_and_may_end_as_on_windows() {
        let list = b"a b\r\n\n\"tab\\there\\303\\244\\\"\\\\\"\n./x\n\"./y\\n\"";
        let wanted: [&[u8]; 4] = [b"a b", b"tab\there\xc3\xa4\"\\", b"x", b"y\n"];
        assert_eq!(all(list, false), wanted);
    }

    #[test]
    fn what_only_looks_quoted_is_a_name() {
        for name in ["\"a", "a\"", "\"a\\q\"", "\"a\\40\"", "\"a\\\"", "\"\\400\""] {
            assert_eq!(all(name.as_bytes(), false), [name.as_bytes()]);
        }
    }

    #[test]
    fn between_nul_bytes_everything_is_the_name() {
        assert_eq!(all(b"\"a\"\0b\nc\0\0", true), [&b"\"a\""[..], b"b\nc"]);
    }

    #[test]
    fn a_long_name_is_cut_and_what_is_no_text_is_seen() {
        assert_eq!(shown_name(b"a\xff"), "a\\xff");
        assert_eq!(shown_name("ä".repeat(1000).as_bytes()).chars().count(), SHOWN + 1);
    }
}
