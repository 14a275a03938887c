//! Text that anybody may have written, made safe for each format that holds it.
//!
//! Names and messages come from files of strangers. Each format has one escaper, and all of them first
//! spell out the characters that nobody sees.

/// Text that stands for a name without characters.
const NO_NAME: &str = "(no name)";

/// Spells out control characters and characters that nobody sees or that turn the line around; all
/// that is not ASCII too, where only that is wanted.
pub(crate) fn visible(text: &str, is_ascii: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_hidden(c) || (is_ascii && !c.is_ascii()) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Formatting characters of Unicode, except those that join letters and emoji.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Returns a name for a terminal or a log.
pub(crate) fn name(text: &str, is_ascii: bool) -> String {
    if text.is_empty() { NO_NAME.to_owned() } else { visible(text, is_ascii) }
}

/// Takes the effect from commands to the runner of a pipeline: `##[..]` and `##vso[..]` anywhere,
/// `::..::` where a line begins.
pub fn without_commands(text: &str) -> String {
    let text = text.replace("##[", "# #[").replace("##vso[", "# #vso[");
    // Most lines hold none, and need no copy.
    if !text.contains("::") {
        return text;
    }
    let mut safe = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        // A runner takes a command behind blanks too.
        let start = line.len() - line.trim_start().len();
        let (indent, rest) = line.split_at(start);
        safe.push_str(indent);
        // Three colons are no command: diagnostics show further files with them.
        match rest.strip_prefix("::").filter(|rest| !rest.starts_with(':')) {
            Some(rest) => {
                safe.push_str(": :");
                safe.push_str(rest);
            }
            None => safe.push_str(rest),
        }
    }
    safe
}

/// Returns a name that cannot act on what shows it.
pub(crate) fn harmless_name(text: &str) -> String {
    name(text, false)
}

/// Returns a name as code in Markdown: no mention, no reference, no link, no markup.
pub(crate) fn markdown_code(text: &str) -> String {
    let shown = name(text, false);
    // A backtick ends code, a `|` ends a cell of a table even within code, and a backslash may
    // escape either.
    if shown.contains(['`', '|', '\\']) || shown.trim().is_empty() {
        let escaped: String = shown
            .chars()
            .map(|c| if c.is_ascii_punctuation() { entity(c) } else { c.to_string() })
            .collect();
        return format!("<code>{escaped}</code>");
    }
    // Blanks at both ends would be stripped.
    format!("`{}`", shown.trim())
}

/// Returns a sentence in Markdown: its letters stay; mentions, references, links, formulas and markup
/// do not act.
pub(crate) fn markdown_prose(text: &str) -> String {
    let text = visible(text, false);
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text.as_str();
    let mut is_in_word = false;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let next = after.chars().next();
        match c {
            // An entity would be turned back before mentions and references are looked for.
            '@' | '#' => escaped.extend([c, BREAK]),
            // GitLab's references: `!7` a merge request, `%7` a milestone.
            '!' | '%' if next.is_some_and(|item| item.is_alphanumeric() || item == '"') => {
                escaped.extend([c, BREAK]);
            }
            // GitHub's own way to write a dollar sign that begins no formula.
            '$' => escaped.push_str("<span>$</span>"),
            // `https://` and `www.` make links of what follows.
            ':' if after.starts_with("//") => escaped.extend([c, BREAK]),
            'w' | 'W'
                if !is_in_word
                    && rest.get(..4).is_some_and(|rest| rest.eq_ignore_ascii_case("www.")) =>
            {
                escaped.push_str(&rest[..3]);
                escaped.push(BREAK);
                rest = &rest[3..];
                continue;
            }
            // `GH-7` is an issue.
            'G' | 'g'
                if !is_in_word
                    && rest.get(..3).is_some_and(|rest| rest.eq_ignore_ascii_case("gh-")) =>
            {
                escaped.push_str(&rest[..2]);
                escaped.push(BREAK);
                rest = &rest[2..];
                continue;
            }
            '`' | '|' | '<' | '>' | '&' | '*' | '_' | '[' | ']' | '~' | '\\' => {
                escaped.push_str(&entity(c));
            }
            _ => escaped.push(c),
        }
        is_in_word = c.is_alphanumeric();
        rest = after;
    }
    escaped
}

/// Parts what would act in Markdown, and takes no room.
const BREAK: char = '\u{200b}';

/// Returns a sentence in Markdown, with what stands between backticks as code.
pub(crate) fn markdown_marked(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    // An odd number of backticks: one has no partner, and none is code.
    if parts.len().is_multiple_of(2) {
        return markdown_prose(text);
    }
    let part = |(index, part): (usize, &&str)| match index % 2 {
        0 => markdown_prose(part),
        // Two backticks side by side hold no code.
        _ if part.is_empty() => markdown_prose("``"),
        _ => markdown_code(part),
    };
    parts.iter().enumerate().map(part).collect()
}

/// Returns whether an address can stand in Markdown as it is: a web address of plain characters.
pub(crate) fn is_plain_url(text: &str) -> bool {
    // Only addresses of the web: others could run something when they are clicked.
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/?=&%+,;".contains(c);
    rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(is_plain))
}

/// Returns a message for SARIF, whose readers make a link of `[text](target)`.
pub(crate) fn sarif_message(text: &str) -> String {
    visible(text, false).replace("](", "] (")
}

fn entity(c: char) -> String {
    format!("&#{};", c as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_spelled_out() {
        assert_eq!(visible("a\u{202e}b\u{e0041}", false), "a\\u{202e}b\\u{e0041}");
        assert_eq!(visible("ä", true), "\\u{e4}");
        assert_eq!(visible("", false), "");
        assert_eq!(name("", true), "(no name)");
    }

    #[test]
    fn commands_to_a_runner_do_not_act() {
        assert_eq!(without_commands("5 | x ##[set-output a]b"), "5 | x # #[set-output a]b");
        assert_eq!(without_commands("##vso[task]"), "# #vso[task]");
        assert_eq!(without_commands("a::b\n  ::error::c\n"), "a::b\n  : :error::c\n");
    }

    #[test]
    fn names_are_code_and_nothing_else() {
        assert_eq!(markdown_code("payments"), "`payments`");
        assert_eq!(markdown_code("@team"), "`@team`");
        assert_eq!(markdown_code("a|b"), "<code>a&#124;b</code>");
        assert_eq!(markdown_code("a`b"), "<code>a&#96;b</code>");
        assert_eq!(
            markdown_code("</code><script>`"),
            "<code>&#60;&#47;code&#62;&#60;script&#62;&#96;</code>"
        );
        assert_eq!(markdown_code("a\nb"), "<code>a&#92;u&#123;a&#125;b</code>");
        assert_eq!(markdown_code(""), "`(no name)`");
        assert_eq!(markdown_code("  "), "<code>  </code>");
    }

    #[test]
    fn sentences_keep_their_letters_and_lose_their_effect() {
        let cases = [
            (
                "ask @ops about *x* | `y` #12",
                "ask @\u{200b}ops about &#42;x&#42; &#124; &#96;y&#96; #\u{200b}12",
            ),
            ("90.0% (89.0% to 91.0%)", "90.0% (89.0% to 91.0%)"),
            ("!7 %\"m\" wow!", "!\u{200b}7 %\u{200b}\"m\" wow!"),
            ("$x$", "<span>$</span>x<span>$</span>"),
            ("see https://a.b or WWW.a.b", "see https:\u{200b}//a.b or WWW\u{200b}.a.b"),
            ("GH-12, high-", "GH\u{200b}-12, high-"),
            ("<b>&lt;", "&#60;b&#62;&#38;lt;"),
        ];
        for (text, escaped) in cases {
            assert_eq!(markdown_prose(text), escaped);
        }
        assert_eq!(markdown_marked("give `--now` @me"), "give `--now` @\u{200b}me");
        assert_eq!(markdown_marked("a ` alone"), "a &#96; alone");
        assert_eq!(markdown_marked("a `` b"), "a &#96;&#96; b");
    }

    #[test]
    fn only_plain_addresses_stand_as_they_are() {
        assert!(is_plain_url("https://example.com/a_b?c=d"));
        for text in ["https://", "ftp://a", "https://a@b", "https://a/(b)", "https://a b", "a"] {
            assert!(!is_plain_url(text), "{text}");
        }
        assert_eq!(sarif_message("[a](b)"), "[a] (b)");
    }
}
