//! How deeply a condition nests, counted before the parser sees it: the parser calls itself for every
//! level, and a hostile text must not exhaust the stack.

/// Returns an upper bound of the levels that the parser descends to: brackets, signs before others,
/// and conditional operators. Operators of one level do not nest.
pub(super) fn nesting(text: &str) -> usize {
    let mut scan = Scan::default();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let Some(length) = skipped(rest) else {
            // A string without an end: after its complaint the parser goes on within it, so every
            // bracket of the text may count.
            return text.chars().filter(|c| "([{!-?".contains(*c)).count();
        };
        if length > 0 {
            scan.signs = 0;
            rest = &rest[length..];
            continue;
        }
        scan.add(first);
        rest = &rest[first.len_utf8()..];
    }
    scan.deepest
}

#[derive(Default)]
struct Scan {
    depth: usize,
    signs: usize,
    questions: usize,
    deepest: usize,
}

impl Scan {
    fn add(&mut self, c: char) {
        match c {
            // Brackets count one by one whatever they are: the parser finds out later whether they
            // fit.
            '(' | '[' | '{' => self.depth += 1,
            ')' | ']' | '}' => self.depth = self.depth.saturating_sub(1),
            '!' | '-' => self.signs += 1,
            '?' => self.questions += 1,
            _ => {}
        }
        // Blanks between signs do not end their row: `- - x` nests as `--x` does.
        if c != '!' && c != '-' && !c.is_whitespace() {
            self.signs = 0;
        }
        // Conditional operators nest to the right without brackets, and are counted over the whole
        // text.
        self.deepest = self.deepest.max(self.depth + self.signs).max(self.questions);
    }
}

/// Returns the length of the string or comment at the beginning of a text, 0 where there is none;
/// `None` for a string without an end.
fn skipped(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    // CEL allows a prefix for raw texts and bytes, in which quotes and backslashes count
    // differently.
    let is_prefix = |c: &char| "rRbB".contains(*c);
    let prefix = text.chars().take_while(is_prefix).count();
    let is_raw = text[..prefix].contains(['r', 'R']);
    let body = &text[prefix..];
    let Some(quote) = body.chars().next().filter(|c| *c == '"' || *c == '\'') else {
        return Some(0);
    };
    let triple = quote.to_string().repeat(3);
    let mark = if body.starts_with(&triple) { triple } else { quote.to_string() };
    let mut at = mark.len();
    while !body[at..].starts_with(&mark) {
        let c = body[at..].chars().next()?;
        if c == '\n' && mark.len() == 1 {
            return None;
        }
        at += c.len_utf8();
        if c == '\\' && !is_raw {
            at += body[at..].chars().next()?.len_utf8();
        }
    }
    Some(prefix + at + mark.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_count_outside_of_strings_and_comments_only() {
        let cases = [
            ("((a))", 2),
            ("f(a) && f(b)", 1),
            ("a == '((('", 0),
            ("a == \"\\\"(((\" || (b)", 1),
            ("a == r'\\' || (b)", 1),
            ("a == '''(' (''' || (b)", 1),
            ("// (((\n(a)", 1),
            ("!!!a", 3),
            ("a ? b : c ? d : e", 2),
        ];
        for (text, wanted) in cases {
            assert_eq!(nesting(text), wanted, "{text}");
        }
    }

    #[test]
    fn no_string_hides_brackets_from_the_count() {
        let deep = "(".repeat(1000);
        for begin in ["\"\\\"\" == \"\" || ", "'", "\"", "r'\\' + ", "'a\n", "\"\"\"", "'\\"] {
            assert!(nesting(&format!("{begin}{deep}")) >= 1000, "{begin}");
        }
    }
}
