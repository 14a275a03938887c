//! The cascade as a tree: what breaks, what fails because of it, where a protection contained it.

use super::emphasis::{Emphasis, StyledLine, shorten_text, text_columns};
use super::{Page, TextStyle, losses, units};
use crate::prose::terms;
use crate::prose::{format, simulation};
use crate::report::cascade::{BoxState, CascadeBox, CascadeEdge, EdgeKind};
use crate::report::{CascadeReport, Report};
use crate::sort::Arrange as _;

/// The longest a bar gets, and the shortest.
const BAR: (usize, usize) = (20, 8);
/// The fewest columns for a name with what leads to it.
const NAME_LEAST: usize = 18;
/// So much of a name is shown, whatever leads to it.
const NAME_KEPT: usize = 8;

/// The cascade as lines of text, the last one with its newline. Both are of the same simulation.
pub fn render_tree(report: &Report, focus: &CascadeReport, style: &TextStyle) -> String {
    let mut page = Page::new(*style);
    super::add_headline(&mut page, report);
    units::add_flows(&mut page, report);
    losses::add_losses(&mut page, report);
    page.add_head("Cascade", "from what breaks to what it affects; as a share of simulations");
    let rows = tree_rows(&page, focus);
    draw_rows(&mut page, &rows);
    add_legend(&mut page, focus);
    super::add_waiting(&mut page, report);
    page.add_gap();
    page.add_paragraph(Emphasis::Faint, "", &simulation::footer(report));
    page.text
}

/// A line of the tree.
struct TreeRow {
    /// Lines of the tree that lead to the name.
    lead: String,
    mark: (Emphasis, &'static str),
    name: String,
    failed: f64,
    degraded: f64,
    state: (Emphasis, String),
    /// How failure came, or what held it.
    came: (Emphasis, String),
}

fn tree_rows(page: &Page, focus: &CascadeReport) -> Vec<TreeRow> {
    let tree = Tree::new(focus);
    let mut rows = Vec::new();
    // What is still to be drawn: a box, what leads to it, and what leads to those below it.
    let mut open: Vec<(usize, String, String)> = Vec::new();
    open.extend(tree.roots.iter().rev().map(|root| (*root, String::new(), String::new())));
    while let Some((at, lead, below)) = open.pop() {
        rows.push(box_row(page, focus, &tree, at, lead));
        let children = &tree.children[at];
        // In reverse, since the last one put on the list is drawn first.
        for (index, child) in children.iter().enumerate().rev() {
            let is_last = index + 1 == children.len();
            let [corner, line] = page.glyphs.tree_lines(is_last, tree.is_spreading(focus, *child));
            open.push((*child, format!("{below}{corner}"), format!("{below}{line}")));
        }
    }
    rows
}

/// Every box once, below the one from which most came to it.
struct Tree {
    roots: Vec<usize>,
    children: Vec<Vec<usize>>,
    /// The edge by which each box was reached, by its number.
    by: Vec<Option<usize>>,
}

impl Tree {
    /// Grows from what breaks, by the strongest edge that is left.
    fn new(focus: &CascadeReport) -> Self {
        let count = focus.boxes.len();
        let mut tree =
            Self { roots: Vec::new(), children: vec![Vec::new(); count], by: vec![None; count] };
        let mut is_placed = vec![false; count];
        let (origins, others): (Vec<usize>, Vec<usize>) =
            // What breaks is the root of everything, even where failure comes back to it.
            (0..count).partition(|item| focus.boxes[*item].state == BoxState::Origin);
        for origin in &origins {
            is_placed[*origin] = true;
        }
        tree.roots = origins;
        tree.grow_tree(focus, &mut is_placed);
        // What nothing drawn leads to stands by itself, after the rest.
        for root in others {
            if !std::mem::replace(&mut is_placed[root], true) {
                tree.roots.push(root);
                tree.grow_tree(focus, &mut is_placed);
            }
        }
        for children in &mut tree.children {
            // The most likely to fail first; equal ones in the order of the picture, so that
            // nothing depends on chance.
            children.arrange_by(|a, b| {
                let failed = |index: &usize| focus.boxes[*index].failed.p;
                failed(b).total_cmp(&failed(a)).then(a.cmp(b))
            });
        }
        tree
    }

    fn grow_tree(&mut self, focus: &CascadeReport, is_placed: &mut [bool]) {
        loop {
            let next = focus
                .edges
                .iter()
                .enumerate()
                .filter(|(_, edge)| is_placed[edge.from] && !is_placed[edge.to])
                // Of equal edges the first counts, so that the tree is the same each time.
                .max_by(|(a, one), (b, other)| compare_strength(one, other).then(b.cmp(a)));
            let Some((index, edge)) = next else { break };
            is_placed[edge.to] = true;
            self.by[edge.to] = Some(index);
            self.children[edge.from].push(edge.to);
        }
    }

    fn edge_to<'a>(&self, focus: &'a CascadeReport, at: usize) -> Option<&'a CascadeEdge> {
        self.by[at].map(|edge| &focus.edges[edge])
    }

    /// Whether failure propagated on the way to a box.
    fn is_spreading(&self, focus: &CascadeReport, at: usize) -> bool {
        // A root was reached by no edge, so nothing can have held it.
        self.edge_to(focus, at).is_none_or(|edge| edge.passed >= focus.threshold)
    }
}

fn compare_strength(one: &CascadeEdge, other: &CascadeEdge) -> std::cmp::Ordering {
    let held =
        |cascade_edge: &CascadeEdge| cascade_edge.held.first().map_or(0.0, |held| held.share);
    // Where equal shares got through, the edge that held more carried more failure.
    one.passed.total_cmp(&other.passed).then(held(one).total_cmp(&held(other)))
}

fn box_row(page: &Page, focus: &CascadeReport, tree: &Tree, at: usize, lead: String) -> TreeRow {
    let item = &focus.boxes[at];
    let (ink, mark) = page.glyphs.state_mark(item.state);
    TreeRow {
        lead,
        mark: (ink, mark),
        name: page.shown_name(&item.name),
        failed: item.failed.p,
        // A bar shows what fails as a part of this, so it is never less.
        degraded: item.degraded.p.max(item.failed.p),
        state: (ink, state_text(item, focus)),
        came: tree
            .edge_to(focus, at)
            .map_or((Emphasis::Faint, String::new()), |edge| arrival_text(focus, edge)),
    }
}

fn state_text(cascade_box: &CascadeBox, focus: &CascadeReport) -> String {
    let what = match cascade_box.state {
        BoxState::Origin => "breaks".to_owned(),
        BoxState::Fails | BoxState::MayFail => {
            format!("fails {}", format::percent(rounded_share(cascade_box.failed.p)))
        }
        BoxState::Degrades => {
            format!("degraded {}", format::percent(rounded_share(cascade_box.degraded.p)))
        }
        BoxState::Holds => "holds".to_owned(),
    };
    let fails = matches!(cascade_box.state, BoxState::Fails | BoxState::MayFail);
    // A time is told only where there is one and it says something: at the very start it does not.
    match cascade_box.first_failed_s.filter(|first| focus.has_time && fails && first.p50 > 0.0) {
        Some(first) => format!("{what} +{}", format::duration(first.p50)),
        None => what,
    }
}

fn arrival_text(focus: &CascadeReport, edge: &CascadeEdge) -> (Emphasis, String) {
    let guard = edge.strongest_guard(focus.threshold);
    let held = guard.map(|guard| {
        format!(
            "{} contained {}",
            terms::protection(guard.guard),
            format::percent(rounded_share(guard.share))
        )
    });
    // How failure comes by these edges is told by their kind; a share of calls would mean nothing.
    let through = match edge.kind {
        EdgeKind::RunsIn => Some("runs there".to_owned()),
        EdgeKind::Load => Some("is flooded".to_owned()),
        EdgeKind::Degraded => Some("lacks its answers".to_owned()),
        _ if edge.passed >= focus.threshold => {
            Some(format!("propagated {}", format::percent(rounded_share(edge.passed))))
        }
        EdgeKind::Call => None,
    };
    match (through, held) {
        (Some(through), Some(held)) => (Emphasis::Plain, format!("{through}, {held}")),
        (Some(through), None) => (Emphasis::Plain, through),
        (None, held) => (Emphasis::Good, held.unwrap_or_default()),
    }
}

fn rounded_share(share: f64) -> f64 {
    // Near the ends a rounded share would read as never or as always.
    if (0.001..=0.999).contains(&share) { (share * 1000.0).round() / 1000.0 } else { share }
}

/// How wide columns are, so that the widest line fits.
struct Fit {
    name: usize,
    bar: usize,
    state: usize,
    came: usize,
}

impl Fit {
    fn new(rows: &[TreeRow], page: usize) -> Self {
        let widest = |of: fn(&TreeRow) -> usize| rows.iter().map(of).max().unwrap_or(0);
        let name = widest(|row| text_columns(&row.lead) + 2 + text_columns(&row.name));
        let state = widest(|row| text_columns(&row.state.1));
        let came = widest(|row| text_columns(&row.came.1));
        let mut fit = Self { name, bar: BAR.0, state, came };
        let excess = |fit: &Self| (2 + fit.total_width()).saturating_sub(page);
        // The bar gives first, then the name, then how failure came.
        fit.bar = fit.bar.saturating_sub(excess(&fit)).max(BAR.1);
        fit.name = fit.name.saturating_sub(excess(&fit)).max(NAME_LEAST.min(fit.name));
        fit.came = fit.came.saturating_sub(excess(&fit));
        fit
    }

    fn total_width(&self) -> usize {
        let came = if self.came > 0 { 2 + self.came } else { 0 };
        self.name + 2 + self.bar + 2 + self.state + came
    }
}

fn draw_rows(page: &mut Page, rows: &[TreeRow]) {
    let fit = Fit::new(rows, page.style.width);
    for row in rows {
        // A deep tree leaves room for a name, whatever leads to it.
        let kept = 2 + text_columns(&row.name).min(NAME_KEPT);
        let lead = shorten_text(&row.lead, fit.name.saturating_sub(kept), page.glyphs.ellipsis);
        let room = fit.name.saturating_sub(text_columns(&lead) + 2);
        let name = shorten_text(&row.name, room, page.glyphs.ellipsis);
        let mut line = StyledLine::of_piece(Emphasis::Plain, "  ");
        let used = text_columns(&lead) + 2 + text_columns(&name);
        line.push_piece(Emphasis::Faint, lead)
            .push_piece(row.mark.0, row.mark.1)
            .push_blanks(2 - text_columns(row.mark.1));
        line.push_piece(Emphasis::Plain, name).push_blanks(fit.name.saturating_sub(used) + 2);
        line.append_line(page.glyphs.share_bar(row.failed, row.degraded, fit.bar)).push_blanks(2);
        line.push_piece(row.state.0, row.state.1.clone());
        line.push_blanks(fit.state - text_columns(&row.state.1) + 2);
        line.push_piece(row.came.0, shorten_text(&row.came.1, fit.came, page.glyphs.ellipsis));
        page.add_line(&line);
    }
}

fn add_legend(page: &mut Page, focus: &CascadeReport) {
    let [through, held] = page.glyphs.edge_signs();
    let mut parts =
        vec![format!("{through} failure propagated"), format!("{held} a protection contained it")];
    let mut left = Vec::new();
    if focus.omitted > 0 {
        left.push(format!("{} hit too", format::plural(focus.omitted, "service")));
    }
    if focus.rarely_hit > 0 {
        let share = format::stated_share((focus.threshold * 1000.0).round() / 1000.0);
        let services = format::plural(focus.rarely_hit, "service");
        left.push(format!("{services} hit in under {share} of simulations"));
    }
    if focus.untouched > 0 {
        left.push(format!("{} never touched", format::plural(focus.untouched, "service")));
    }
    if !left.is_empty() {
        parts.push(format!("not shown: {}", format::list(&left, "and", 3)));
    }
    page.add_parts("  ", &parts);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Interval;
    use crate::report::cascade::{Arrows, CASCADE_SCHEMA, CascadeTotals, GuardShare};

    fn interval(p: f64) -> Interval {
        Interval { p, low: p, high: p, exact: None }
    }

    fn focus(boxes: &[(&str, BoxState, f64)], edges: &[(usize, usize, f64, f64)]) -> CascadeReport {
        let boxes = boxes.iter().enumerate().map(|(rank, (name, state, failed))| CascadeBox {
            name: (*name).to_owned(),
            title: None,
            state: *state,
            rank: Some(rank),
            hops: None,
            failed: interval(*failed),
            degraded: interval(*failed),
            failed_anyway: 0.0,
            first_failed_s: None,
            failed_for_s: None,
            team: None,
            zones: Vec::new(),
            tier: None,
            kind: None,
            flows: Vec::new(),
            waiting: Vec::new(),
            folded: None,
        });
        let edges = edges.iter().map(|(from, to, passed, held)| CascadeEdge {
            from: *from,
            to: *to,
            kind: EdgeKind::Call,
            passed: *passed,
            held: vec![GuardShare { guard: crate::report::Protection::Cache, share: *held }],
        });
        CascadeReport {
            schema: CASCADE_SCHEMA.to_owned(),
            topology: "shop".to_owned(),
            change: "v2".to_owned(),
            targets: vec!["db".to_owned()],
            mode: None,
            seed: 1,
            trials: 100,
            has_time: false,
            threshold: 0.05,
            threshold_asked: None,
            totals: CascadeTotals::default(),
            arrows: Arrows::All,
            further_calls: 0,
            boxes: boxes.collect(),
            edges: edges.collect(),
            flows: Vec::new(),
            flows_omitted: 0,
            omitted: 0,
            rarely_hit: 0,
            untouched: 0,
        }
    }

    fn shown(focus: &CascadeReport, style: TextStyle) -> String {
        let mut page = Page::new(style);
        let rows = tree_rows(&page, focus);
        draw_rows(&mut page, &rows);
        page.text
    }

    fn shop() -> CascadeReport {
        let boxes = [
            ("db", BoxState::Origin, 1.0),
            ("orders", BoxState::Fails, 0.8),
            ("web", BoxState::MayFail, 0.4),
            ("catalog", BoxState::Holds, 0.0),
            ("lonely", BoxState::MayFail, 0.2),
        ];
        // A circle, a weaker way to what a stronger one leads to, and a guard.
        let edges = [
            (0, 1, 0.8, 0.0),
            (0, 2, 0.1, 0.0),
            (1, 2, 0.4, 0.3),
            (2, 1, 0.2, 0.0),
            (0, 3, 0.0, 0.9),
        ];
        focus(&boxes, &edges)
    }

    #[test]
    fn every_box_stands_once_below_what_brought_most_to_it() {
        let style = TextStyle { width: 74, ..TextStyle::default() };
        assert_eq!(
            shown(&shop(), style),
            // A line that is gone on with would lose its blanks.
            "  ◉ db          ██████████  breaks
  ├▶ ✖ orders   ████████░░  fails 80%  propagated 80%
  │  └▶ ▲ web   ████░░░░░░  fails 40%  propagated 40%, cache contained 30%
  └┤ ✓ catalog  ░░░░░░░░░░  holds      cache contained 90%
  ▲ lonely      ██░░░░░░░░  fails 20%
"
        );
    }

    #[test]
    fn a_tree_can_be_drawn_in_ascii_and_keeps_to_its_width() {
        for width in [60, 80, 120] {
            for ascii in [false, true] {
                let text = shown(&shop(), TextStyle { width, ascii, color: false });
                assert!(text.lines().all(|line| text_columns(line) <= width), "{width}:\n{text}");
                assert!(!ascii || text.is_ascii(), "{text}");
                assert_eq!(text.lines().count(), 5);
            }
        }
    }

    #[test]
    fn a_chain_of_hundreds_still_fits() {
        let names: Vec<String> = (0..400).map(|item| format!("service-{item}")).collect();
        let boxes: Vec<(&str, BoxState, f64)> = names
            .iter()
            .enumerate()
            .map(|(index, name)| {
                (name.as_str(), if index == 0 { BoxState::Origin } else { BoxState::Fails }, 0.9)
            })
            .collect();
        let edges: Vec<(usize, usize, f64, f64)> =
            (0..399).map(|item| (item, item + 1, 0.9, 0.0)).collect();
        let text = shown(&focus(&boxes, &edges), TextStyle { width: 80, ..TextStyle::default() });
        assert_eq!(text.lines().count(), 400);
        assert!(text.lines().all(|line| text_columns(line) <= 80), "{text}");
    }
}
