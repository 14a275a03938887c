//! Rows whose columns line up: a mark, a name, a bar, and figures.

use super::emphasis::{Emphasis, StyledLine, shorten_text, text_columns};
use super::glyphs::Glyphs;

/// A figure, or the head of a column of them.
#[derive(Clone, Debug, Default)]
pub(super) struct TextCell {
    pub(super) ink: Emphasis,
    pub(super) text: String,
}

impl TextCell {
    pub(super) fn new(ink: Emphasis, text: impl Into<String>) -> Self {
        Self { ink, text: text.into() }
    }
}

/// Bar in the column of bars.
#[derive(Clone, Copy, Debug)]
pub(super) enum TextBar {
    ShareLegend,
    StripLegend,
    /// Nothing.
    Blank,
    /// The shares that fail, and that are degraded or worse.
    Shares(f64, f64),
    /// Where impact, notice and end are on the strip, as shares of it.
    Strip([f64; 3]),
}

/// A row.
pub(super) struct TextRow {
    /// Nothing for the head of a section, which then begins where marks do.
    pub(super) mark: Option<(Emphasis, &'static str)>,
    pub(super) name: (Emphasis, String),
    pub(super) bar: TextBar,
    pub(super) cells: Vec<TextCell>,
}

/// Rows, and which columns to give up first where the page is narrow.
pub(super) struct TextTable {
    pub(super) rows: Vec<TextRow>,
    /// Numbers of columns, the least important first; others are always shown.
    pub(super) expendable: &'static [usize],
}

/// How wide columns are; kept so that tables below each other line up.
#[derive(Clone, Debug)]
pub(super) struct Widths {
    name: usize,
    bar: usize,
    /// By column; 0 for those that are left out.
    cells: Vec<usize>,
}

const BAR: (usize, usize) = (10, 24);
/// A name is cut before a bar gets shorter than its least, and a column is left out before a name
/// gets shorter than the first of these; it never gets shorter than the second.
const NAME: (usize, usize) = (16, 8);
/// As wide as the names of all tables are that have few of their own, so that tables line up.
const NAME_USUAL: usize = 12;
/// No name takes more, however wide the page.
const NAME_MAX: usize = 40;
const GAP: usize = 2;
const MARK: usize = 2;

impl Widths {
    /// Whether there is room for this column.
    pub(super) fn has_column(&self, column: usize) -> bool {
        self.cells.get(column).is_some_and(|width| *width > 0)
    }

    /// Widths that fit on a page.
    pub(super) fn fit_page(table: &TextTable, page: usize) -> Self {
        let name = table.rows.iter().map(|row| text_columns(&row.name.1)).max().unwrap_or(0);
        let count = table.rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
        let cells = (0..count).map(|column| {
            let cells = table.rows.iter().filter_map(|row| row.cells.get(column));
            cells.map(|cell| text_columns(&cell.text)).max().unwrap_or(0)
        });
        let mut widths =
            Self { name: name.clamp(NAME_USUAL, NAME_MAX), bar: BAR.1, cells: cells.collect() };
        // In the order in which they are missed least: the bar, the name, whole columns, more of
        // the name.
        widths.shrink_bar(page);
        widths.shrink_name(page, NAME.0);
        for column in table.expendable {
            if widths.excess_width(page) > 0
                && let Some(width) = widths.cells.get_mut(*column)
            {
                *width = 0;
            }
        }
        widths.shrink_name(page, NAME.1);
        // What was given up may have been more than was needed.
        widths.grow_name(name.min(NAME_MAX), page);
        widths
    }

    /// The same name and bar for a table with other cells.
    pub(super) fn with_same_name(&self, table: &TextTable, page: usize) -> Self {
        let mut fitted = Self::fit_page(table, page);
        fitted.name = fitted.name.max(self.name);
        fitted.bar = fitted.bar.max(self.bar);
        fitted.shrink_bar(page);
        fitted.shrink_name(page, NAME.1);
        fitted
    }

    fn total_width(&self) -> usize {
        let cells: usize = self.cells.iter().filter(|width| **width > 0).map(|w| w + GAP).sum();
        MARK + self.name + GAP + self.bar + cells
    }

    fn excess_width(&self, page: usize) -> usize {
        self.total_width().saturating_sub(page)
    }

    fn shrink_bar(&mut self, page: usize) {
        self.bar = self.bar.saturating_sub(self.excess_width(page)).max(BAR.0);
    }

    fn shrink_name(&mut self, page: usize, least: usize) {
        let least = least.min(self.name);
        self.name = self.name.saturating_sub(self.excess_width(page)).max(least);
    }

    fn grow_name(&mut self, name: usize, page: usize) {
        let room = page.saturating_sub(self.total_width());
        let more = room.min(name.saturating_sub(self.name));
        self.name += more;
        self.bar += (room - more).min(BAR.1 - self.bar);
    }
}

impl TextTable {
    /// The rows as lines.
    pub(super) fn table_lines(&self, widths: &Widths, glyphs: &Glyphs) -> Vec<StyledLine> {
        self.rows.iter().map(|row| row_line(row, widths, glyphs)).collect()
    }
}

fn row_line(row: &TextRow, widths: &Widths, glyphs: &Glyphs) -> StyledLine {
    let mut line = StyledLine::default();
    if let Some((ink, mark)) = row.mark {
        line.push_piece(ink, mark).push_blanks(MARK - text_columns(mark));
    }
    let name = shorten_text(&row.name.1, widths.name, glyphs.ellipsis);
    line.push_piece(row.name.0, name);
    // The head of a section has no mark, so its name starts where marks do and gets as much more
    // room.
    let rest = MARK + widths.name - line.column_count();
    line.push_blanks(rest + GAP);
    let bar = match row.bar {
        TextBar::ShareLegend => glyphs.bar_legend(widths.bar),
        TextBar::StripLegend => glyphs.strip_legend(widths.bar),
        TextBar::Blank => StyledLine::default(),
        TextBar::Shares(failed, degraded) => glyphs.share_bar(failed, degraded, widths.bar),
        TextBar::Strip(ends) => glyphs.trial_strip(ends, widths.bar),
    };
    let rest = widths.bar.saturating_sub(bar.column_count());
    line.append_line(bar).push_blanks(rest);
    for (cell, width) in row.cells.iter().zip(&widths.cells) {
        if *width > 0 {
            // Figures are read from their last digit.
            line.push_blanks(GAP + width - text_columns(&cell.text).min(*width));
            line.push_piece(cell.ink, cell.text.clone());
        }
    }
    line
}
