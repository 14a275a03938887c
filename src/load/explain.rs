//! Puts the parser's complaints into words for people who write YAML, not parsers.

use super::DEPTH_MAX;
use crate::diagnostic::{Code, Diagnostic, Place, SourceId};

/// Where a complaint is best shown.
#[derive(Clone, Copy)]
enum At {
    /// Where the parser was.
    Mark,
    /// At the last text before: the parser notices only at the next line.
    LineBefore,
    /// At the next tab.
    Tab,
}

/// Parts of the parser's messages, the place to show for each, and our message and help.
const EXPLANATIONS: &[(&str, At, &str, &str)] = &[
    ("found a tab", At::Tab, "a tab is used for indentation", "YAML is indented with spaces only"),
    ("tab", At::Tab, "a tab is used for indentation", "YAML is indented with spaces only"),
    (
        "quoted scalar, found unexpected end of stream",
        At::Mark,
        "this quote is never closed",
        "close it on the same line",
    ),
    (
        "invalid indentation in quoted scalar",
        At::Mark,
        "this quote is not closed where the text seems to end",
        "close it on the same line, or indent the lines that follow",
    ),
    (
        "quoted scalar, found unexpected document indicator",
        At::Mark,
        "this quote is never closed",
        "close it on the same line",
    ),
    (
        "escape character",
        At::Mark,
        "a double-quoted text with an escape that YAML does not know",
        "write `\\\\` for a backslash, or use single quotes, in which nothing is escaped",
    ),
    (
        "hexadecimal number",
        At::Mark,
        "a double-quoted text with an incomplete escape",
        "write `\\\\` for a backslash, or use single quotes, in which nothing is escaped",
    ),
    (
        "invalid Unicode character escape",
        At::Mark,
        "a double-quoted text with an escape for no character",
        "write `\\\\` for a backslash, or use single quotes, in which nothing is escaped",
    ),
    (
        "trailing content after double-quoted",
        At::Mark,
        "there is text after a closing quote",
        "put the whole value into quotes; inside them, write `\\\"` for a quote",
    ),
    (
        "mapping values are not allowed",
        At::Mark,
        "a `:` where none can be",
        "put quotes around a text that contains `: `; is the line before indented rightly, and are its brackets closed?",
    ),
    (
        "illegal placement of ':'",
        At::Mark,
        "a `:` where none can be",
        "is a bracket open on a line before? put quotes around a text that contains `: `",
    ),
    (
        "':' m",
        At::Mark,
        "a `:` without a space behind it",
        "write `key: value`, or put quotes around the text",
    ),
    (
        "expected ',' or '}'",
        At::Mark,
        "a `{` is not closed before this, or a comma is missing",
        "write `{ key: value, key: value }`",
    ),
    (
        "expected ',' or ']'",
        At::Mark,
        "a `[` is not closed before this, or a comma is missing",
        "write `[ item, item ]`",
    ),
    (
        "invalid indentation in flow construct",
        At::Mark,
        "a `{` or `[` is not closed before this",
        "close it, or indent the lines inside it",
    ),
    ("misplaced bracket", At::Mark, "a bracket closes what was not opened", "remove it"),
    (
        "simple key expect",
        At::LineBefore,
        "this is neither `key: value` nor a list item `- value`",
        "is a `:` missing, or the space behind `-` or `:`?",
    ),
    (
        "did not find expected key",
        At::Mark,
        "this line is indented differently from the lines it belongs to",
        "entries of one mapping start in the same column",
    ),
    (
        "did not find expected '-'",
        At::Mark,
        "this line is indented like a list item but is none",
        "items of one list start in the same column, each with `- `",
    ),
    (
        "sequence entries are not allowed",
        At::Mark,
        "a list item where none can be",
        "put the list on lines of its own, below its key",
    ),
    (
        "mapping keys are not allowed",
        At::Mark,
        "a key where none can be",
        "put the mapping on lines of its own, below its key",
    ),
    (
        "invalid indentation",
        At::Mark,
        "this line is indented differently from the lines it belongs to",
        "entries of one mapping, or of one list, start in the same column",
    ),
    (
        "unexpected character",
        At::Mark,
        "a value cannot start with this character",
        "put the value into quotes",
    ),
    (
        "unknown anchor",
        At::Mark,
        "an alias to an anchor that is not defined before it",
        "define it with `&name` above, or put quotes around a text that starts with `*`",
    ),
    (
        "anchor",
        At::Mark,
        "an anchor or alias without a proper name",
        "put quotes around a text that starts with `&` or `*`",
    ),
    (
        "'-' must be followed",
        At::Mark,
        "a list item needs a space behind its `-`",
        "write `- item`",
    ),
    (
        "only valid inside a block",
        At::Mark,
        "a value inside brackets cannot be a bare `-`",
        "put the value into quotes",
    ),
    (
        "cannot start with '-'",
        At::Mark,
        "a value inside brackets cannot be a bare `-`",
        "put the value into quotes",
    ),
    (
        "block scalar",
        At::Mark,
        "a text block (`|` or `>`) is not well formed",
        "put its text on the lines below, each indented by the same spaces",
    ),
    (
        "byte order mark",
        At::Mark,
        "a byte-order mark inside the file",
        "remove it; was the file put together from several?",
    ),
    (
        "expected <document start>",
        At::Mark,
        "there is text after the end of the document",
        "is a bracket closed too early, or a line indented less than the first?",
    ),
    ("document", At::Mark, "a misplaced document mark", "remove lines such as `---` or `...`"),
    ("directive", At::Mark, "a line that starts with `%`", "remove it, or put quotes around it"),
    ("TAG", At::Mark, "a line that starts with `%`", "remove it, or put quotes around it"),
    (
        "tag",
        At::Mark,
        "tags (`!name`) are not supported",
        "put quotes around a text that starts with `!`",
    ),
    (
        "comment",
        At::Mark,
        "a comment in the middle of a text of several lines",
        "move the comment, or put quotes around the text",
    ),
    (
        "unexpected e",
        At::LineBefore,
        "the file ends in the middle of a value",
        "is a quote or a bracket not closed?",
    ),
];

/// An error of the parser, noticed at byte `mark`.
pub(super) fn syntax_error(info: &str, mark: usize, text: &str, source: SourceId) -> Diagnostic {
    if info.contains("recursion limit") {
        // Brackets, of which the parser reads 255 before it tells of the first.
        return too_deep(error_place(At::Mark, mark, text, source));
    }
    // A second colon in brackets is noticed as a comma that is missing before it.
    let is_colon = info.contains("expected ','") && text[mark..].starts_with(':');
    let info = if is_colon { "mapping values are not allowed" } else { info };
    let known = EXPLANATIONS.iter().find(|(part, ..)| info.contains(part));
    let at = known.map_or(At::Mark, |(_, at, ..)| *at);
    let place = error_place(at, mark, text, source);
    match known {
        Some((_, _, message, help)) => Diagnostic::error(Code::Syntax, *message, place).help(*help),
        None => Diagnostic::error(Code::Syntax, format!("this is not YAML: {info}"), place),
    }
}

/// More levels than are accepted.
pub(super) fn too_deep(place: Place) -> Diagnostic {
    let message = format!("values are nested more than {DEPTH_MAX} deep");
    Diagnostic::error(Code::TooDeep, message, place).label("here")
}

fn error_place(at: At, mark: usize, text: &str, source: SourceId) -> Place {
    let (start, end) = match at {
        At::Tab => {
            let line = line_start(text, mark);
            let before = text[line..mark].find('\t').map(|tab| line + tab);
            let tab = before.or_else(|| text[mark..].find('\t').map(|tab| mark + tab));
            tab.map_or((mark, mark), |tab| (tab, tab + 1))
        }
        // At the end of the file there is nothing to point at.
        At::Mark if mark < text.len() => {
            (mark, mark + text[mark..].chars().next().map_or(0, char::len_utf8))
        }
        _ => {
            let before = text[..mark].trim_end();
            let line = line_start(text, before.len());
            (line + before[line..].len() - before[line..].trim_start().len(), before.len())
        }
    };
    Place { source, start: start as u32, end: end as u32 }
}

fn line_start(text: &str, byte: usize) -> usize {
    text[..byte].rfind('\n').map_or(0, |newline| newline + 1)
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Sources;
    use crate::load::parse_document;

    #[track_caller]
    fn check(text: &str, at: &str, message: &str) {
        let mut sources = Sources::default();
        let problems =
            parse_document("x", text.as_bytes().to_vec(), &mut sources).expect_err("wrong");
        let problem = problems.last().expect("one");
        assert_eq!(problem.message, message);
        assert_eq!(&text[problem.primary.as_ref().expect("a place").place.span()], at);
    }

    #[test]
    fn usual_slips_are_explained_where_they_are() {
        check("a: 1\n\tb: 2\n", "\t", "a tab is used for indentation");
        check("a:\n\tb: 2\n", "\t", "a tab is used for indentation");
        check("a: 'b", "'", "this quote is never closed");
        check("a: \"b\nc: d\n", "\"", "this quote is not closed where the text seems to end");
        check("a: \"b\" c\n", "c", "there is text after a closing quote");
        check("a: \"\\q\"\n", "\"", "a double-quoted text with an escape that YAML does not know");
        check("a: b: c\n", ":", "a `:` where none can be");
        check("a: [1, 2\nb: 3\n", ":", "a `:` where none can be");
        check("a: {b: c\nd: e\n", ":", "a `:` where none can be");
        check("a: {b: [c}\n", "}", "a `[` is not closed before this, or a comma is missing");
        check("a: {b: -, c}\n", "-", "a value inside brackets cannot be a bare `-`");
        check("a: [b\n", "a: [b", "a `[` is not closed before this, or a comma is missing");
        check("a: b\nc d\n", "c d", "this is neither `key: value` nor a list item `- value`");
        check(
            "a:\n  b: 1\n c: 2\n",
            "c",
            "this line is indented differently from the lines it belongs to",
        );
        check("a: @b\n", "@", "a value cannot start with this character");
        check("a: *b\n", "*", "an alias to an anchor that is not defined before it");
        check("a: b]\nc: ]\n", "]", "a bracket closes what was not opened");
        check("{a: 1} b\n", "b", "there is text after the end of the document");
    }
}
