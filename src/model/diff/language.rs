//! Takes comments, and white space that a language ignores, out of a program text.
//!
//! The result is only compared with that of another text. Where a text holds a construct that this
//! module cannot take apart with certainty, it gives up, and the text counts as changed.

/// How the texts of a language are written.
#[derive(Debug)]
pub(super) struct Language {
    endings: &'static [&'static str],
    /// Start of a comment that ends with its line.
    line_comment: Option<&'static str>,
    /// Whether there are comments in `/* */`.
    has_block_comments: bool,
    /// Whether these may stand in each other.
    nests_comments: bool,
    /// Whether the end of a line means something.
    has_lines: bool,
    /// Whether the space at the beginning of a line means something.
    has_indentation: bool,
    /// Quotes of strings; the longest first.
    quotes: &'static [Quote],
    /// Beginnings of comments, behind their mark, that tools obey.
    directives: &'static [&'static str],
    /// Characters beside which space means nothing, since no token can begin or end with another
    /// character there.
    standing_alone: &'static [u8],
    /// Marks that make the text too hard to take apart.
    gives_up_at: &'static [&'static str],
}

/// Quotes around a string.
#[derive(Clone, Copy, Debug)]
struct Quote {
    mark: &'static str,
    /// Whether `\` takes the meaning of the next character away.
    escapes: bool,
    /// Whether the string may go on in the next line.
    spans_lines: bool,
}

const fn plain_quote(mark: &'static str) -> Quote {
    Quote { mark, escapes: true, spans_lines: false }
}
const fn raw_quote(mark: &'static str) -> Quote {
    Quote { mark, escapes: false, spans_lines: true }
}
const fn long_quote(mark: &'static str) -> Quote {
    Quote { mark, escapes: true, spans_lines: true }
}

/// A language with `//`, `/* */`, quoted strings, and lines that mean nothing.
const PLAIN: Language = Language {
    endings: &[],
    line_comment: Some("//"),
    has_block_comments: true,
    nests_comments: false,
    has_lines: false,
    has_indentation: false,
    quotes: &[plain_quote("\""), plain_quote("'")],
    directives: &[],
    standing_alone: b"(){}[];,",
    gives_up_at: &[],
};

const LANGUAGES: [Language; 8] = [
    // Characters in single quotes are told from lifetimes by `rust_character`.
    Language { endings: &["rs"], nests_comments: true, quotes: &[long_quote("\"")], ..PLAIN },
    Language {
        endings: &["go"],
        has_lines: true,
        quotes: &[raw_quote("`"), plain_quote("\""), plain_quote("'")],
        // Behind these words the compiler or a tool takes the comment for an order.
        directives: &["go:", "export ", " +build", "line ", "extern ", "sys"],
        // The comment above that import is a C program.
        gives_up_at: &["import \"C\"", "\"C\""],
        ..PLAIN
    },
    Language {
        endings: &["c", "h", "cc", "cpp", "cxx", "hpp", "hh"],
        has_lines: true,
        // Raw strings, and comments that go on in the next line.
        gives_up_at: &["R\"", "\\\n", "\\\r"],
        ..PLAIN
    },
    Language {
        endings: &["java"],
        quotes: &[long_quote("\"\"\""), plain_quote("\""), plain_quote("'")],
        gives_up_at: &["\\u"],
        ..PLAIN
    },
    Language { endings: &["proto"], ..PLAIN },
    Language {
        endings: &["js", "mjs", "cjs", "ts", "mts", "cts", "jsx", "tsx"],
        has_lines: true,
        quotes: &[long_quote("`"), plain_quote("\""), plain_quote("'")],
        directives: &[],
        // Markup may hold `//` as text; templates may hold programs; bundlers and compilers obey
        // comments.
        gives_up_at: &[
            "</",
            "/>",
            "${",
            "<reference",
            "<amd",
            "@ts-",
            "@jsx",
            "@flow",
            "webpack",
            "@vite",
            "__PURE__",
            "NO_SIDE_EFFECTS__",
            "sourceMappingURL",
            "#region",
            "@preserve",
            "@cc_on",
            "turbopack",
            "<!--",
            "-->",
            "@license",
            "istanbul",
            "c8 ",
        ],
        ..PLAIN
    },
    Language {
        endings: &["py", "pyi"],
        line_comment: Some("#"),
        has_block_comments: false,
        has_lines: true,
        has_indentation: true,
        quotes: &[long_quote("\"\"\""), long_quote("'''"), plain_quote("\""), plain_quote("'")],
        // Python reads its encoding from such a comment, and shells the program.
        directives: &["!", " -*-", "-*-", " coding", "coding", " vim:"],
        gives_up_at: &[],
        ..PLAIN
    },
    Language {
        endings: &["toml"],
        line_comment: Some("#"),
        has_block_comments: false,
        has_lines: true,
        quotes: &[
            long_quote("\"\"\""),
            raw_quote("'''"),
            plain_quote("\""),
            Quote { escapes: false, ..plain_quote("'") },
        ],
        directives: &["!"],
        ..PLAIN
    },
];

const JSON: Language = Language {
    line_comment: None,
    has_block_comments: false,
    quotes: &[plain_quote("\"")],
    standing_alone: b"{}[]:,",
    ..PLAIN
};

impl Language {
    /// Returns the language of files with this ending; `None` where it is not known here.
    pub(super) fn of_ending(ending: &str) -> Option<&'static Self> {
        if ending == "json" {
            return Some(&JSON);
        }
        LANGUAGES.iter().find(|language| language.endings.contains(&ending))
    }

    /// Returns a text without its comments and without the space that means nothing; `None` where it
    /// cannot be taken apart with certainty.
    pub(super) fn without_comments(&self, text: &str) -> Option<Vec<u8>> {
        // Some languages end a line, and with it a comment, at characters that others take for space.
        // A lone carriage return ends a line in some languages only.
        let lone_return = text.replace("\r\n", "").contains('\r');
        if lone_return || text.contains(['\u{2028}', '\u{2029}', '\u{85}', '\u{b}']) {
            return None;
        }
        // By a plain search, also within strings: to give up too often is safe, too seldom is not.
        if self.gives_up_at.iter().any(|hard| text.contains(hard)) {
            return None;
        }
        let mut stripper = Stripper {
            language: self,
            text: text.as_bytes(),
            at: 0,
            out: Vec::new(),
            space: Space::None,
        };
        // The beginning of a text is the beginning of a line.
        stripper.space = Space::Line;
        while stripper.at < stripper.text.len() {
            stripper.strip_piece()?;
        }
        Some(stripper.out)
    }
}

/// The space that was read since the last character that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Space {
    None,
    /// Within a line.
    Within,
    /// With the end of a line, or at the beginning of the text.
    Line,
}

struct Stripper<'a> {
    language: &'a Language,
    text: &'a [u8],
    at: usize,
    out: Vec<u8>,
    space: Space,
}

impl Stripper<'_> {
    fn remaining_bytes(&self) -> &[u8] {
        &self.text[self.at..]
    }

    /// Reads one piece: space, a comment, a string or a character.
    fn strip_piece(&mut self) -> Option<()> {
        let byte = self.text[self.at];
        if byte.is_ascii_whitespace() {
            self.read_space(byte);
            return Some(());
        }
        // A preprocessor has rules of its own for space: its lines are kept as they are.
        // Only behind the beginning of a line is a `#` an order of the preprocessor.
        if byte == b'#' && self.language.endings.contains(&"c") && self.space == Space::Line {
            return self.keep_line();
        }
        if let Some(mark) = self
            .language
            .line_comment
            .filter(|mark| self.remaining_bytes().starts_with(mark.as_bytes()))
        {
            self.line_comment(mark);
            return Some(());
        }
        if self.language.has_block_comments && self.remaining_bytes().starts_with(b"/*") {
            return self.block_comment();
        }
        if self.language.endings.contains(&"rs") && self.rust_literal()? {
            return Some(());
        }
        let quote = self
            .language
            .quotes
            .iter()
            .find(|quote| self.remaining_bytes().starts_with(quote.mark.as_bytes()));
        if let Some(quote) = quote {
            return self.skip_string(*quote);
        }
        // What stands between the slashes of a regular expression is no code, and may hold quotes.
        if byte == b'/' && self.language.endings.contains(&"js") && self.may_begin_expression() {
            return None;
        }
        self.write_code(1);
        Some(())
    }

    fn read_space(&mut self, byte: u8) {
        self.at += 1;
        if byte == b'\n' {
            self.space = Space::Line;
        } else if self.space == Space::None {
            self.space = Space::Within;
        }
    }

    /// Writes the space read where it has a meaning, and then so many bytes of the text.
    fn write_code(&mut self, count: usize) {
        let next = self.text[self.at];
        let last = self.out.last().copied();
        let alone = self.language.standing_alone;
        // At the beginning of the text nothing stands before the space.
        let stands_alone = alone.contains(&next) || last.is_none_or(|last| alone.contains(&last));
        match self.space {
            Space::Line if self.language.has_lines => {
                // No empty line at the beginning: comments there would otherwise leave one.
                if last.is_some() {
                    self.out.push(b'\n');
                }
                if self.language.has_indentation {
                    let line = self.text[..self.at].iter().rposition(|byte| *byte == b'\n');
                    let start = line.map_or(0, |newline| newline + 1);
                    let indentation = self.text[start..self.at].iter();
                    let kept = indentation.take_while(|byte| byte.is_ascii_whitespace());
                    self.out.extend(kept.copied().collect::<Vec<u8>>());
                }
            }
            Space::Line | Space::Within if !stands_alone => self.out.push(b' '),
            Space::None | Space::Line | Space::Within => {}
        }
        self.space = Space::None;
        self.out.extend_from_slice(&self.text[self.at..self.at + count]);
        self.at += count;
    }

    fn line_end(&self) -> usize {
        self.remaining_bytes()
            .iter()
            .position(|byte| *byte == b'\n')
            .unwrap_or(self.remaining_bytes().len())
    }

    fn keep_line(&mut self) -> Option<()> {
        // A comment that begins here and goes on behind the line.
        if self.remaining_bytes()[..self.line_end()].windows(2).any(|pair| pair == b"/*") {
            return None;
        }
        self.write_code(self.line_end());
        Some(())
    }

    fn line_comment(&mut self, mark: &str) {
        let end = self.line_end();
        let said = String::from_utf8_lossy(&self.remaining_bytes()[mark.len()..end]).into_owned();
        // A directive stays, as an order that a tool obeys.
        if self.language.directives.iter().any(|directive| said.starts_with(directive)) {
            self.write_code(end);
            return;
        }
        self.at += end;
    }

    fn block_comment(&mut self) -> Option<()> {
        let mut depth = 0;
        let mut has_line = false;
        loop {
            if self.remaining_bytes().starts_with(b"/*")
                && (depth == 0 || self.language.nests_comments)
            {
                depth += 1;
                self.at += 2;
            } else if self.remaining_bytes().starts_with(b"*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    break;
                }
            } else {
                has_line |= *self.remaining_bytes().first()? == b'\n';
                self.at += 1;
            }
        }
        // A comment separates two words as a space does, or two lines.
        match self.space {
            _ if has_line => self.space = Space::Line,
            Space::None => self.space = Space::Within,
            Space::Within | Space::Line => {}
        }
        Some(())
    }

    fn skip_string(&mut self, quote: Quote) -> Option<()> {
        let mark = quote.mark.as_bytes();
        // A formatted string of Python may hold programs with strings of their own.
        let is_formatted = self.language.has_indentation && self.is_after_letter(b"fFtT");
        let mut end = mark.len();
        loop {
            let rest = &self.remaining_bytes()[end..];
            if rest.starts_with(mark) {
                end += mark.len();
                break;
            }
            // A string without an end is no string, so this was not understood.
            let byte = *rest.first()?;
            if (byte == b'\n' && !quote.spans_lines) || (byte == b'{' && is_formatted) {
                return None;
            }
            // The character behind a backslash has no meaning of its own.
            end += if byte == b'\\' && quote.escapes { 2 } else { 1 };
            if self.at + end > self.text.len() {
                return None;
            }
        }
        self.write_code(end);
        Some(())
    }

    /// Whether one of these letters stands in the word directly before.
    fn is_after_letter(&self, letters: &[u8]) -> bool {
        let word = self.text[..self.at].iter().rev().take_while(|byte| byte.is_ascii_alphabetic());
        word.take(3).any(|byte| letters.contains(byte))
    }

    /// Reads a raw string, a character or a lifetime of Rust; returns whether there was one.
    fn rust_literal(&mut self) -> Option<bool> {
        let rest = self.remaining_bytes();
        let is_word =
            self.out.last().is_some_and(|last| last.is_ascii_alphanumeric() || *last == b'_')
                && self.space == Space::None;
        let prefix = [&b"r"[..], b"br", b"cr"].into_iter().find(|item| rest.starts_with(item));
        // Within a name such as `for` the letters are no prefix.
        if let (Some(prefix), false) = (prefix, is_word) {
            let hashes = rest[prefix.len()..].iter().take_while(|byte| **byte == b'#').count();
            let start = prefix.len() + hashes;
            if rest.get(start) == Some(&b'"') {
                let close: Vec<u8> = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
                let inner = &rest[start + 1..];
                let end = inner.windows(close.len()).position(|window| window == close)?;
                self.write_code(start + 1 + end + close.len());
                return Some(true);
            }
        }
        if rest[0] != b'\'' {
            return Some(false);
        }
        // An escaped character, or one character and then the closing quote; else a lifetime.
        let length = if *rest.get(1)? == b'\\' {
            // The escaped character itself may be a quote, so the search begins behind it.
            2 + rest.get(3..)?.iter().position(|byte| *byte == b'\'')? + 2
        } else {
            let text = std::str::from_utf8(&rest[1..]).ok()?;
            let width = text.chars().next()?.len_utf8();
            if rest.get(1 + width) == Some(&b'\'') { width + 2 } else { 1 }
        };
        self.write_code(length);
        Some(true)
    }

    /// Whether a `/` here may begin a regular expression rather than divide.
    fn may_begin_expression(&self) -> bool {
        let is_operand = |byte: u8| byte.is_ascii_alphanumeric() || b"_$".contains(&byte);
        // At the beginning nothing can be divided.
        let Some(last) = self.out.last() else { return true };
        if !is_operand(*last) {
            return true;
        }
        let start = self.out.iter().rposition(|byte| !is_operand(*byte)).map_or(0, |at| at + 1);
        // A word such as `return` takes an operand; numbers and other names are one.
        let words: [&[u8]; 12] = [
            b"return", b"typeof", b"case", b"in", b"of", b"delete", b"void", b"throw", b"new",
            b"else", b"do", b"yield",
        ];
        words.contains(&&self.out[start..]) || self.out[start..] == *b"await"
    }
}
