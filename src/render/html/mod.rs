//! Reports as one HTML file: read by people, opened from a disk or from where a pipeline keeps it.
//!
//! It can be read without its script and without its style. The script makes it answer: a service's
//! own figures, filters, a replay over time, sorting and searching. Nothing is fetched from anywhere.

mod comparison;
mod rank;
mod review;
mod sha256;
mod shell;
mod simulated;
mod table;

pub use comparison::comparison_page;
pub use rank::rank_page;
pub use review::review_page;
pub use simulated::{diagrams_page, simulated_page};

/// How a report was made, so that it can be made again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Made<'a> {
    /// The command, as a shell takes it.
    pub command: &'a str,
    /// The files that were read, as the user names them.
    pub inputs: &'a [String],
}

impl Made<'_> {
    /// The section that says so; `facts` are further lines of it.
    fn provenance_section(&self, facts: &[(&str, String)]) -> String {
        let mut lines = String::new();
        if !self.inputs.is_empty() {
            let files: Vec<String> =
                self.inputs.iter().map(|input| shell::isolated_name(input)).collect();
            lines.push_str(&format!("<dt>files</dt><dd>{}</dd>\n", files.join(", ")));
        }
        for (what, said) in facts {
            lines.push_str(&format!("<dt>{what}</dt><dd>{}</dd>\n", shell::sentence_markup(said)));
        }
        let command = shell::escaped_text(self.command);
        let again = if command.is_empty() {
            String::new()
        } else {
            format!("<p>To run it again:</p>\n<pre>{command}</pre>\n")
        };
        html_section("inputs", "Inputs", &format!("<dl>\n{lines}</dl>\n{again}"))
    }
}

/// A section with its heading; nothing where there is nothing to say.
fn html_section(id: &str, title: &str, body: &str) -> String {
    // An empty section would be a heading without a message.
    if body.is_empty() {
        return String::new();
    }
    format!(
        "<section aria-labelledby=\"{id}-h\" id=\"{id}\">\n<h2 id=\"{id}-h\">{title}</h2>\n{body}</section>\n"
    )
}

/// A picture. One that is much wider than a page keeps its size and is moved, since it could not be read
/// if it were shrunk.
fn html_figure(svg: &str) -> String {
    // The width stands in the picture itself; it is drawn elsewhere and knows its own size.
    let width =
        svg.split_once("width=\"").and_then(|(_, rest)| rest.split_once('"')?.0.parse().ok());
    if width.is_some_and(|width: f64| width > WIDE) {
        // Reachable by keyboard, since a page that scrolls only by mouse shuts people out.
        let reach = "tabindex=\"0\" role=\"region\" aria-label=\"A wide picture\"";
        return format!("<div class=\"fig big\" {reach}>{svg}</div>\n");
    }
    format!("<div class=\"fig\">{svg}</div>\n")
}

/// Wider pictures are not shrunk to the page.
const WIDE: f64 = 1500.0;

/// Sentences as a list.
fn html_list(items: &[String]) -> String {
    if items.is_empty() {
        return String::new();
    }
    let items: String =
        items.iter().map(|item| format!("<li>{}</li>\n", shell::sentence_markup(item))).collect();
    format!("<ul>\n{items}</ul>\n")
}
