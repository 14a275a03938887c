//! Shell of a page: its policy, its style, its data and its script.

use super::sha256;
use crate::chart;
use crate::report::PageReport;

const SCRIPT: &str = include_str!("report.js");
const STYLE: &str = include_str!("report.css");

/// Marks around a name within a sentence; no name holds them, since `name` takes them out.
const MARKS: [char; 2] = ['\u{E000}', '\u{E001}'];

/// A whole page. `body` is markup; the title and the data are not.
///
/// The policy lets through this one script and this one style by their digests, and nothing else: no
/// further script whatever stands in the body, no request to anywhere.
pub(super) fn whole_page(title: &str, body: &str, data: &PageReport) -> String {
    let style =
        // The dark colours are those of the pictures, so that text and pictures change together.
        format!("{STYLE}@media (prefers-color-scheme: dark) {{\n{}}}\n", chart::dark_rules());
    // Digests of the very text: a byte more or less and the browser would run neither.
    let (script_is, style_is) = (sha256::source_digest(SCRIPT), sha256::source_digest(&style));
    let title = escaped_text(title);
    let data = embedded_json(data);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         script-src '{script_is}'; style-src '{style_is}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n{body}\
         <script type=\"application/json\" id=\"bw-data\">{data}</script>\n\
         <script>{SCRIPT}</script>\n</body>\n</html>\n"
    )
}

/// Text that stands for itself in HTML.
pub(super) fn escaped_text(text: &str) -> String {
    chart::escaped_xml(text)
}

/// A name by itself: its letters may run from right to left, and turn nothing around it.
pub(super) fn isolated_name(name: &str) -> String {
    format!("<bdi>{}</bdi>", escaped_text(name))
}

/// A name within a sentence that `sentence` makes markup of.
pub(super) fn name_in_sentence(name: &str) -> String {
    let [open, close] = MARKS;
    format!("{open}{}{close}", name.replace(MARKS, "\u{FFFD}"))
}

/// A sentence whose names are marked; what stands between backticks is code.
pub(super) fn sentence_markup(said: &str) -> String {
    let mut markup = String::with_capacity(said.len() + 32);
    let mut rest = said;
    // Backticks within a name are letters of it.
    while let Some((before, marked)) = rest.split_once(MARKS[0]) {
        // A sentence that was cut may have lost the second mark.
        let (name, after) = marked.split_once(MARKS[1]).unwrap_or((marked, ""));
        markup.push_str(&with_code(before));
        markup.push_str(&format!("<b><bdi>{}</bdi></b>", escaped_text(name)));
        rest = after;
    }
    markup + &with_code(rest)
}

/// Text in which what stands between two backticks is code; one without its pair stays.
fn with_code(said: &str) -> String {
    let mut parts: Vec<&str> = said.split('`').collect();
    let unpaired = if parts.len().is_multiple_of(2) { parts.pop() } else { None };
    let mut markup = String::new();
    for (index, part) in parts.into_iter().enumerate() {
        if index.is_multiple_of(2) {
            markup.push_str(&escaped_text(part));
        } else {
            markup.push_str(&format!("<bdi><code>{}</code></bdi>", escaped_text(part)));
        }
    }
    if let Some(unpaired) = unpaired {
        markup.push_str(&format!("`{}", escaped_text(unpaired)));
    }
    markup
}

/// The same where no markup can stand.
pub(super) fn plain_sentence(said: &str) -> String {
    said.replace(MARKS, "")
}

/// Data that cannot end the element it stands in.
fn embedded_json(data: &PageReport) -> String {
    let json = serde_json::to_string(data).expect("plain data is always written");
    let mut safe = String::with_capacity(json.len());
    for letter in json.chars() {
        // `</script>` or `<!--` in a name would end the element or change how it is read.
        match letter {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                safe.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leaves_its_place() {
        let hostile = "</script><script>alert(1)</script>\u{E001}<b onclick='x'>";
        let data = PageReport { flows: vec![hostile.to_owned()], ..PageReport::default() };
        let body = format!(
            "<p>{}</p>",
            sentence_markup(&format!("If {} breaks", name_in_sentence(hostile)))
        );
        let page = whole_page(hostile, &body, &data);
        assert_eq!(page.matches("<script").count(), 2);
        assert_eq!(page.matches("</script").count(), 2);
        assert!(!page.contains("<b onclick"));
        assert!(body.ends_with("</bdi></b> breaks</p>"), "{body}");
    }

    #[test]
    fn what_stands_between_backticks_is_code() {
        assert_eq!(
            sentence_markup("rule `a < b` fires for `x`"),
            "rule <bdi><code>a &lt; b</code></bdi> fires for <bdi><code>x</code></bdi>"
        );
        assert_eq!(sentence_markup("one ` alone"), "one ` alone");
        let marked = format!("{} and `b`", name_in_sentence("a`b`c"));
        assert_eq!(
            sentence_markup(&marked),
            "<b><bdi>a`b`c</bdi></b> and <bdi><code>b</code></bdi>"
        );
    }

    #[test]
    fn the_script_stays_small() {
        assert!(SCRIPT.len() < 20_000, "{} bytes", SCRIPT.len());
        assert!(!SCRIPT.contains("</") && !SCRIPT.contains('\r') && !STYLE.contains('\r'));
    }
}
