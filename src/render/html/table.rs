//! Tables that can be read without the script, and sorted and searched with it.

use super::shell::escaped_text;

/// A table in the making.
pub(super) struct HtmlTable<'a> {
    id: &'a str,
    head: String,
    rows: String,
    is_empty: bool,
}

impl<'a> HtmlTable<'a> {
    /// Columns are text where their name ends with a `:`, else figures.
    pub(super) fn new(id: &'a str, columns: &[&str]) -> Self {
        let mut head = String::new();
        for column in columns {
            match column.strip_suffix(':') {
                Some(name) => {
                    head.push_str(&format!("<th scope=\"col\">{}</th>", escaped_text(name)));
                }
                None => {
                    head.push_str(&format!(
                        "<th scope=\"col\" class=\"n\">{}</th>",
                        escaped_text(column)
                    ));
                }
            }
        }
        Self { id, head, rows: String::new(), is_empty: true }
    }

    /// A row: what it is called, as markup, and its cells.
    pub(super) fn add_row(&mut self, name: &str, cells: &[HtmlCell]) {
        self.is_empty = false;
        self.rows.push_str(&format!("<tr><th scope=\"row\">{name}</th>"));
        for cell in cells {
            match cell {
                HtmlCell::Markup(markup) => self.rows.push_str(&format!("<td>{markup}</td>")),
                HtmlCell::Figure(value, shown) => self.rows.push_str(&format!(
                    "<td class=\"n\" data-v=\"{value}\">{}</td>",
                    escaped_text(shown)
                )),
                // Below every figure, so that unknown ones come together when they are sorted.
                HtmlCell::Unknown => self.rows.push_str("<td class=\"n\" data-v=\"-1\">–</td>"),
            }
        }
        self.rows.push_str("</tr>\n");
    }

    /// The whole table, or nothing where it has no row.
    pub(super) fn render_table(self) -> Option<String> {
        let Self { id, head, rows, .. } = &self;
        (!self.is_empty).then(|| {
            format!(
                "<div class=\"wide\"><table id=\"{id}\"><thead><tr>{head}</tr></thead>\n\
                 <tbody>\n{rows}</tbody></table></div>\n"
            )
        })
    }
}

/// Cell of a table.
pub(super) enum HtmlCell {
    /// Markup.
    Markup(String),
    /// A figure, by which rows are sorted, and how it is shown.
    Figure(f64, String),
    /// A figure that is not there.
    Unknown,
}
