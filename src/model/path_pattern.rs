//! Patterns of paths as in `CODEOWNERS`.
//!
//! `*` and `?` stay within a folder, `**` is any number of folders, `[ab]` one of some characters,
//! `{a,b}` one of some texts. A pattern without a slash matches in every folder; one that ends with
//! a slash, or whose last part has no wildcard, matches also all that is in the folder it names.

use std::cell::Cell;

use glob::{MatchOptions, Pattern};

/// How many plain patterns the braces of one may stand for.
const BRANCHES_MAX: usize = 256;
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// Steps for the comparison with a pattern that a path cannot match.
const COMPARED: u64 = 32;

/// A pattern that can be asked.
#[derive(Clone, Debug)]
pub(super) struct PathPattern(Vec<Branch>);

/// One of what the braces of a pattern stand for.
#[derive(Clone, Debug)]
struct Branch {
    /// Literal beginning of every path that matches: most paths are told apart by it alone.
    start: String,
    /// Literal end of every path that matches.
    end: String,
    /// The longest literal text in it.
    inner: String,
    /// Length of the pattern, in bytes.
    length: u64,
    pattern: Pattern,
}

impl PathPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let rooted = text.strip_prefix('/');
        let (name, is_folder) = match rooted.unwrap_or(text).strip_suffix('/') {
            Some(name) => (name, true),
            None => (rooted.unwrap_or(text), false),
        };
        // As in CODEOWNERS: a name alone is looked for in every folder.
        let is_anywhere = rooted.is_none() && !name.contains('/') && !name.starts_with("**");
        let name = if is_anywhere { format!("**/{name}") } else { name.to_owned() };
        let last = name.rsplit('/').next().unwrap_or_default();
        let mut branches = Vec::new();
        // Each choice of the braces is a pattern of its own, since the matcher knows none.
        for plain in branches_of(&name)? {
            if !is_folder {
                branches.push(parse_branch(&plain)?);
            }
            // A plain last part may be a folder, and then all that is in it belongs to the pattern.
            if is_folder || !last.contains(['*', '?', '[', '{', '}']) {
                branches.push(parse_branch(&format!("{plain}/**"))?);
            }
        }
        Ok(Self(branches))
    }

    /// Whether a path, with `/` between its folders, matches.
    ///
    /// Adds the steps that this takes to `steps`: a pattern with many wildcards looks at a path once for
    /// each of them.
    pub(super) fn matches_path(&self, path: &str, steps: &Cell<u64>) -> bool {
        self.0.iter().any(|branch| {
            // Comparisons cost something even where they fail at once, and there may be millions.
            steps.set(steps.get().saturating_add(COMPARED));
            // These three searches are far cheaper than the matcher, and refuse nearly every path.
            let is_near = path.starts_with(&branch.start)
                && path.ends_with(&branch.end)
                && path.contains(&branch.inner);
            if is_near {
                steps.set(steps.get().saturating_add(branch.length * path.len() as u64));
            }
            is_near && branch.pattern.matches_with(path, OPTIONS)
        })
    }
}

fn parse_branch(text: &str) -> Result<Branch, String> {
    let pattern = Pattern::new(text).map_err(|error| match text.chars().nth(error.pos) {
        Some('[') => "a `[` without its `]`".to_owned(),
        _ => "`**` stands for whole folders, as in `a/**/b`".to_owned(),
    })?;
    let start = text.find(['*', '?', '[']).map_or(text, |at| &text[..at]);
    let end = text.rfind(['*', '?', ']']).map_or(text, |at| &text[at + 1..]);
    // After `**` the slash may stand for no folder at all, and a set may hold a bracket.
    let (end, inner) = if text.contains('[') {
        ("", "")
    } else {
        let parts = text.split(['*', '?']).map(|part| part.trim_matches('/'));
        (end.trim_start_matches('/'), parts.max_by_key(|part| part.len()).unwrap_or_default())
    };
    let (end, inner) = (end.to_owned(), inner.to_owned());
    Ok(Branch { start: start.to_owned(), end, inner, length: text.len() as u64, pattern })
}

/// The patterns without braces that one with braces stands for.
fn branches_of(text: &str) -> Result<Vec<String>, String> {
    let mut done = Vec::new();
    let mut left = vec![text.to_owned()];
    // Choices inside one another are written out from the innermost, without recursion.
    while let Some(text) = left.pop() {
        let Some(close) = text.find('}') else {
            if text.contains('{') {
                return Err("a `{` without its `}`".to_owned());
            }
            done.push(text);
            continue;
        };
        // The first to close is one that holds no other.
        let Some(open) = text[..close].rfind('{') else {
            return Err("a `}` without its `{`".to_owned());
        };
        let (before, after) = (&text[..open], &text[close + 1..]);
        let choices = text[open + 1..close].split(',');
        left.extend(choices.map(|choice| format!("{before}{choice}{after}")));
        if left.len() + done.len() > BRANCHES_MAX {
            return Err(format!("its braces stand for more than {BRANCHES_MAX} patterns"));
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        PathPattern::new(pattern)
            .unwrap_or_else(|error| panic!("{pattern}: {error}"))
            .matches_path(path, &Cell::new(0))
    }

    #[test]
    fn wildcards_mean_what_they_mean_in_codeowners() {
        for (pattern, yes, no) in [
            ("docs/**", "docs/a/b.md", "other/docs/a.md"),
            ("docs", "other/docs/a.md", "docs2/a.md"),
            ("/docs", "docs/a.md", "other/docs/a.md"),
            ("docs/", "docs/a.md", "docs"),
            ("*.rs", "src/a/b.rs", "src/a/b.rsx"),
            ("src/*.rs", "src/a.rs", "src/a/b.rs"),
            ("src/?.rs", "src/a.rs", "src/ab.rs"),
            ("src/[ab].rs", "src/a.rs", "src/c.rs"),
            ("src/[!ab].rs", "src/c.rs", "src/a.rs"),
            ("src/**/x", "src/x", "src/xx"),
            ("src/**/x", "src/a/b/x/deeper", "a/src/x"),
            ("src/{a,b}/**", "src/b/c", "src/c/c"),
            ("src/{a,b{1,2}}.rs", "src/b2.rs", "src/b.rs"),
            ("**/.env", "a/.env", "a/b.env"),
        ] {
            assert!(matches(pattern, yes), "{pattern} matches {yes}");
            assert!(!matches(pattern, no), "{pattern} does not match {no}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_said() {
        let wrong = |text: &str| PathPattern::new(text).expect_err("wrong");
        assert_eq!(wrong("src/{a"), "a `{` without its `}`");
        assert_eq!(wrong("src/a}"), "a `}` without its `{`");
        assert_eq!(wrong("src/é[a"), "a `[` without its `]`");
        for text in ["src/a**", "src/**a", "src/***/a"] {
            assert_eq!(wrong(text), "`**` stands for whole folders, as in `a/**/b`", "{text}");
        }
        let many = "{a,b,c,d}".repeat(30);
        assert!(wrong(&many).contains("more than 256"));
    }
}
