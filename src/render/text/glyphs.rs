//! The characters that draw bars, marks and curves, in Unicode and in ASCII.

use super::emphasis::{Emphasis, StyledLine};
use crate::report::Failures;
use crate::report::cascade::BoxState;

/// One set of characters.
pub(super) struct Glyphs {
    /// Parts of a cell from an eighth to all of it; the last one alone where there are no parts.
    fills: &'static [&'static str],
    /// Degraded, but not failed.
    shade: &'static str,
    /// The rest of a bar.
    track: &'static str,
    /// Heights from lowest to highest.
    heights: &'static [&'static str],
    /// The changed thing, likely to fail, may fail, degraded, well.
    marks: [&'static str; 5],
    /// To what is below in a tree: to one of several where failure propagated, where it was contained; to
    /// the last one, likewise; past those above the last; past none.
    branches: [&'static str; 6],
    pub(super) ellipsis: &'static str,
    pub(super) dash: &'static str,
    pub(super) arrow: &'static str,
    pub(super) bullet: &'static str,
    pub(super) dot: &'static str,
    pub(super) warning: &'static str,
}

pub(super) static UNICODE: Glyphs = Glyphs {
    fills: &["▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"],
    shade: "▒",
    track: "░",
    heights: &["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    marks: ["◉", "✖", "▲", "◐", "✓"],
    branches: ["├▶ ", "├┤ ", "└▶ ", "└┤ ", "│  ", "   "],
    ellipsis: "…",
    dash: "–",
    arrow: "→",
    bullet: "•",
    dot: "·",
    warning: "▲",
};

pub(super) static ASCII: Glyphs = Glyphs {
    fills: &["#"],
    shade: "=",
    track: ".",
    heights: &[".", ":", "-", "=", "+", "*", "#", "@"],
    marks: ["@", "x", "!", "~", " "],
    branches: ["|-> ", "|-| ", "`-> ", "`-| ", "|   ", "    "],
    ellipsis: "..",
    dash: "-",
    arrow: "->",
    bullet: "*",
    dot: "|",
    warning: "!",
};

impl Glyphs {
    /// The set.
    pub(super) fn glyph_set(is_ascii: bool) -> &'static Self {
        if is_ascii { &ASCII } else { &UNICODE }
    }

    /// A bar of so many cells: what fails, then what is only degraded, then the rest. What is above
    /// 0 is always seen, and what is below 1 is never full.
    pub(super) fn share_bar(&self, failed: f64, degraded: f64, cells: usize) -> StyledLine {
        let parts = self.fills.len();
        // In eighths of a cell, so that a short bar still shows differences.
        let full = cells * parts;
        let failed = part_of(failed, full);
        let used = failed.div_ceil(parts);
        // A cell that fails in part is used up: the shade begins in the next one.
        let degraded = part_of(degraded, cells).max(used);
        let mut line = StyledLine::default();
        line.push_piece(Emphasis::Bad, self.fills[parts - 1].repeat(failed / parts));
        if !failed.is_multiple_of(parts) {
            line.push_piece(Emphasis::Bad, self.fills[failed % parts - 1]);
        }
        line.push_piece(Emphasis::Doubtful, self.shade.repeat(degraded - used));
        line.push_piece(Emphasis::Faint, self.track.repeat(cells - degraded));
        line
    }

    /// Returns the legend of a bar.
    pub(super) fn bar_legend(&self, cells: usize) -> StyledLine {
        self.fitting_legend(cells, [["fails", "degraded"], ["fail", "deg"]])
    }

    /// The mark of something by how likely it fails or is degraded.
    pub(super) fn unit_mark(&self, unit: &Failures, is_target: bool) -> (Emphasis, &'static str) {
        let failed = unit.failed.exact.unwrap_or(unit.failed.p);
        match () {
            () if is_target => (Emphasis::Bad, self.marks[0]),
            // Fixed limits and not ranks, so that a mark means the same in every report.
            () if failed >= 0.5 => (Emphasis::Bad, self.marks[1]),
            () if failed >= 0.1 => (Emphasis::Doubtful, self.marks[2]),
            () if unit.degraded.p >= 0.1 || failed >= 0.01 => (Emphasis::Doubtful, self.marks[3]),
            () => (Emphasis::Good, self.marks[4]),
        }
    }

    /// The mark of a box of a picture by its state.
    pub(super) fn state_mark(&self, state: BoxState) -> (Emphasis, &'static str) {
        match state {
            BoxState::Origin => (Emphasis::Bad, self.marks[0]),
            BoxState::Fails => (Emphasis::Bad, self.marks[1]),
            BoxState::MayFail => (Emphasis::Doubtful, self.marks[2]),
            BoxState::Degrades => (Emphasis::Doubtful, self.marks[3]),
            BoxState::Holds => (Emphasis::Good, self.marks[4]),
        }
    }

    /// Returns the lines that lead to a row of a tree, and to those below it.
    pub(super) fn tree_lines(&self, is_last: bool, spreads: bool) -> [&'static str; 2] {
        let corner = 2 * usize::from(is_last) + usize::from(!spreads);
        [self.branches[corner], self.branches[4 + usize::from(is_last)]]
    }

    /// Returns the signs of failure that propagated, and of failure that was contained.
    pub(super) fn edge_signs(&self) -> [&'static str; 2] {
        [self.branches[0], self.branches[1]].map(str::trim_end)
    }

    /// A curve of heights: blank for nothing, and something for anything.
    pub(super) fn height_curve(&self, values: &[f64]) -> String {
        let highest = values.iter().copied().fold(0.0, f64::max);
        let levels = self.heights.len();
        // An empty curve must not divide by zero.
        let glyph = |value: &f64| match part_of(value / highest.max(f64::MIN_POSITIVE), levels) {
            0 => " ",
            level => self.heights[level - 1],
        };
        values.iter().map(glyph).collect()
    }

    /// The course of a trial as a strip: before the first loss, losing and not noticed, losing and
    /// noticed, over. `ends` are where the first three end, as shares of the strip.
    pub(super) fn trial_strip(&self, ends: [f64; 3], cells: usize) -> StyledLine {
        let cell = |share: f64| {
            #[expect(clippy::cast_sign_loss, reason = "a share is not negative")]
            let cell = (share.clamp(0.0, 1.0) * cells as f64).round() as usize;
            cell
        };
        let [impact, noticed, over] = ends.map(cell);
        // What takes time at all is seen.
        let impact = impact.min(cells.saturating_sub(1));
        let over = over.max(impact + usize::from(ends[2] > ends[0])).min(cells);
        let noticed = if ends[1] <= ends[0] { impact } else { noticed.clamp(impact, over) };
        let mut line = StyledLine::of_piece(Emphasis::Faint, self.track.repeat(impact));
        line.push_piece(Emphasis::Bad, self.fills[self.fills.len() - 1].repeat(noticed - impact));
        line.push_piece(Emphasis::Doubtful, self.shade.repeat(over - noticed));
        line.push_piece(Emphasis::Faint, self.track.repeat(cells - over));
        line
    }

    /// Returns the legend of a strip.
    pub(super) fn strip_legend(&self, cells: usize) -> StyledLine {
        self.fitting_legend(cells, [["unseen", "noticed"], ["blind", "seen"]])
    }

    /// Both parts in the longer words, in the shorter ones, or only the first, as there is room.
    fn fitting_legend(&self, cells: usize, words: [[&str; 2]; 2]) -> StyledLine {
        let full = self.fills[self.fills.len() - 1];
        let legend = |[first, second]: [&str; 2]| {
            let mut line = StyledLine::of_piece(Emphasis::Bad, full);
            line.push_piece(Emphasis::Faint, format!(" {first} "))
                .push_piece(Emphasis::Doubtful, self.shade);
            line.push_piece(Emphasis::Faint, format!(" {second}"));
            line
        };
        let fitting = words.into_iter().map(legend).find(|line| line.column_count() <= cells);
        // On the narrowest page a legend of one word is better than none.
        fitting.unwrap_or_else(|| {
            let mut line = StyledLine::of_piece(Emphasis::Bad, full);
            line.push_piece(Emphasis::Faint, format!(" {}", words[1][0]));
            line
        })
    }
}

/// Number of these parts that a share fills: none only for 0, all only for 1.
fn part_of(share: f64, parts: usize) -> usize {
    match share {
        _ if share.is_nan() || share <= 0.0 => 0,
        _ if share >= 1.0 => parts,
        _ => {
            #[expect(clippy::cast_sign_loss, reason = "a share is not negative")]
            let rounded = (share * parts as f64).round() as usize;
            rounded.clamp(1, parts.saturating_sub(1).max(1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(glyphs: &Glyphs, failed: f64, degraded: f64) -> String {
        glyphs.share_bar(failed, degraded, 10).with_colors(false)
    }

    #[test]
    fn a_bar_shows_what_fails_and_what_is_degraded() {
        assert_eq!(bar(&UNICODE, 0.56, 0.87), "█████▋▒▒▒░");
        assert_eq!(bar(&ASCII, 0.56, 0.87), "######===.");
        assert_eq!(bar(&UNICODE, 0.0, 0.0), "░░░░░░░░░░");
        assert_eq!(bar(&UNICODE, 1.0, 1.0), "██████████");
    }

    #[test]
    fn a_bar_is_neither_empty_nor_full_by_rounding() {
        assert_eq!(bar(&UNICODE, 0.0001, 0.0001), "▏░░░░░░░░░");
        assert_eq!(bar(&UNICODE, 0.9999, 0.9999), "█████████▉");
        assert_eq!(bar(&ASCII, 0.9999, 1.0), "#########=");
        assert_eq!(bar(&UNICODE, 0.0, 0.0001), "▒░░░░░░░░░");
    }

    #[test]
    fn a_curve_is_as_high_as_its_highest_value() {
        assert_eq!(UNICODE.height_curve(&[0.0, 0.001, 0.05, 0.1]), " ▁▄█");
        assert_eq!(ASCII.height_curve(&[0.0, 0.001, 0.05, 0.1]), " .=@");
        assert_eq!(UNICODE.height_curve(&[]), "");
    }

    #[test]
    fn a_strip_tells_before_unseen_noticed_and_over() {
        let strip = |ends| UNICODE.trial_strip(ends, 10).with_colors(false);
        assert_eq!(strip([0.2, 0.5, 0.8]), "░░███▒▒▒░░");
        assert_eq!(strip([0.0, 1.0, 1.0]), "██████████");
        assert_eq!(strip([0.99, 0.99, 1.0]), "░░░░░░░░░▒");
        assert_eq!(strip([0.1, 0.9, 0.3]), "░██░░░░░░░");
    }
}
