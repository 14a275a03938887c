//! A review as Markdown: one file, pictures as Mermaid, ready to be pasted.

use crate::chart::mermaid;
use crate::prose::escape::{is_plain_url, markdown_code as code, markdown_prose as prose};
use crate::prose::review::{Review, ReviewBlock};
use crate::prose::simulation::Wording;

/// A review as one Markdown document. `command` makes it again.
///
/// # Errors
/// Where the cascade is too large for Mermaid: a focus of fewer boxes is wanted.
pub fn review_markdown(review: &Review<'_>, command: &str) -> Result<String, mermaid::TooLarge> {
    let cascade = mermaid::cascade_flowchart(review.focus)?;
    // A timeline that is too large is in the table above it.
    let gantt = mermaid::timeline_gantt(review.report, review.focus, Some(review.observed));
    let gantt = gantt.ok().and_then(Result::ok);
    let date = review.observed.date.as_ref().map_or_else(String::new, |date| format!("{date} · "));
    let mut parts = vec![
        format!("# {}", prose(&review.review_title())),
        format!(
            "{date}simulated beside what was seen; of the simulated part, nothing was measured."
        ),
    ];
    for part in review.review_parts(&WORDING) {
        parts.push(format!("## {}", part.section.title()));
        for block in part.blocks {
            parts.extend(match block {
                ReviewBlock::Said(said) => Some(said),
                ReviewBlock::List(items) => Some(bullet_list("- ", &items)),
                ReviewBlock::Tasks(items) => Some(bullet_list("- [ ] ", &items)),
                ReviewBlock::Table(rows) => Some(review_table(&rows)),
                ReviewBlock::Cascade => Some(mermaid_block(&cascade)),
                ReviewBlock::Timeline => gantt.as_deref().map(mermaid_block),
            });
        }
    }
    if !command.is_empty() {
        parts.push(format!("Made by\n\n```sh\n{}\n```", fenced_command(command)));
    }
    Ok(parts.join("\n\n") + "\n")
}

const WORDING: Wording = Wording { name: name_as_code, arrow: "→" };

/// A name of a thing as code; a whole sentence, which has blanks, as it is.
fn name_as_code(text: &str) -> String {
    // A link is kept as it is, so that it can be followed.
    if is_plain_url(text) {
        return text.to_owned();
    }
    if !text.contains(' ') {
        return code(text);
    }
    // An underscore within a word acts on nothing, and is easier to edit than its entity.
    let mut plain = String::new();
    for (index, part) in prose(text).split("&#95;").enumerate() {
        let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        if index > 0 {
            let is_within = is_word(plain.chars().next_back()) && is_word(part.chars().next());
            plain.push_str(if is_within { "_" } else { "&#95;" });
        }
        plain.push_str(part);
    }
    plain
}

fn bullet_list(mark: &str, items: &[String]) -> String {
    items.iter().map(|item| format!("{mark}{item}")).collect::<Vec<_>>().join("\n")
}

fn review_table(rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |", cells.join(" | "));
    let mut lines: Vec<String> = rows.iter().map(|row| line(row)).collect();
    if let Some(head) = rows.first() {
        lines.insert(1, format!("|{}", "---|".repeat(head.len())));
    }
    lines.join("\n")
}

/// Mermaid's own text holds no fence: labels and titles spell backticks as entities or not at all.
fn mermaid_block(text: &str) -> String {
    format!("```mermaid\n{}```", text.replace("```", "'''"))
}

fn fenced_command(command: &str) -> String {
    // A line break within would begin another command.
    command.replace("```", "'''").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_code_and_sentences_are_words_without_markup() {
        assert_eq!(name_as_code("core_proxy"), "`core_proxy`");
        assert_eq!(name_as_code("let core_proxy rest"), "let core_proxy rest");
        assert_eq!(name_as_code("_all_ of <b>"), "&#95;all&#95; of &#60;b&#62;");
        assert_eq!(name_as_code("https://example.com/a_b"), "https://example.com/a_b");
    }
}
