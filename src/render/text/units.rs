//! Flows and services with their bars and figures, in columns that line up.

use super::Page;
use super::emphasis::Emphasis;
use super::table::{TextBar, TextCell, TextRow, TextTable, Widths};
use crate::prose::format;
use crate::prose::simulation::{self, HIT};
use crate::prose::waiting;
use crate::report::{Failures, Report, UnitReport};

/// How many are shown at the most.
const FLOWS_MAX: usize = 10;
const SERVICES_MAX: usize = 10;

/// Columns, of flows and (where they differ) of services.
const INTERVAL: usize = 1;
const DEGRADED: usize = 2;
pub(super) const SHARE: usize = 3;
const LATE: usize = 4;
const ANYWAY: usize = 5;
const TAIL: usize = 7;

/// The figures that are given up first where the page is narrow.
const EXPENDABLE: &[usize] = &[SHARE, TAIL, ANYWAY, DEGRADED, INTERVAL, LATE];

/// The flows.
pub(super) fn add_flows(page: &mut Page, report: &Report) {
    let flows = flow_rows(page, report);
    let services = service_rows(page, report);
    // Both are measured together, so that their columns line up.
    let (flow_rows, service_rows) = (flows.len(), services.len());
    let table =
        TextTable { rows: flows.into_iter().chain(services).collect(), expendable: EXPENDABLE };
    let widths = Widths::fit_page(&table, page.style.width);
    page.widths = Some(widths.clone());
    if flow_rows > 1 {
        page.add_gap();
        for line in &table.table_lines(&widths, page.glyphs)[..flow_rows] {
            page.add_line(line);
        }
        add_rest(page, report, &report.flows, &shown_flows(report), "flow");
    }
    debug_assert!(service_rows > 0, "services have at least a head");
}

/// The services, once the flows have said how wide the columns are.
pub(super) fn add_services(page: &mut Page, report: &Report) {
    let rows = service_rows(page, report);
    if rows.len() < 2 {
        return;
    }
    let table = TextTable { rows, expendable: EXPENDABLE };
    let widths = page.widths.clone().expect("flows come first");
    page.add_gap();
    for line in table.table_lines(&widths, page.glyphs) {
        page.add_line(&line);
    }
    add_rest(page, report, &report.services, &shown_services(report), "service");
}

fn shown_flows(report: &Report) -> Vec<&UnitReport> {
    report.flows.iter().take(FLOWS_MAX).collect()
}

/// Returns the services that are changed or hit.
fn shown_services(report: &Report) -> Vec<&UnitReport> {
    // What was changed is shown even where it is not hit.
    let (changed, others): (Vec<_>, Vec<_>) =
        report.services.iter().partition(|unit| is_target(report, unit));
    let hit = others
        .into_iter()
        .filter(|unit| simulation::leading_failures(report, unit).degraded.p >= HIT);
    changed.into_iter().chain(hit).take(SERVICES_MAX).collect()
}

fn is_target(report: &Report, service: &UnitReport) -> bool {
    // A target may be one endpoint of a service, `service/endpoint`.
    let name = |target: &str| target.split('/').next() == Some(&service.name);
    report.targets.iter().any(|target| name(&target.name))
}

fn flow_rows(page: &Page, report: &Report) -> Vec<TextRow> {
    let has_losses = report.flows.iter().any(|flow| flow.orders_lost.is_some());
    let (lost, tail) = if has_losses { ("orders lost", "1 in 20") } else { ("", "") };
    let head = head_row(report, "Flows", [waiting::late_head(&report.flows), lost, tail]);
    let body = shown_flows(report).into_iter().map(|flow| {
        let (lost, tail) = match &flow.orders_lost {
            Some(lost) => (format::mean(lost), format::quantile(lost.p95, lost)),
            None if has_losses => ("not known".to_owned(), String::new()),
            None => (String::new(), String::new()),
        };
        unit_row(
            page,
            report,
            flow,
            false,
            waiting::late_cell(flow),
            [TextCell::new(Emphasis::Strong, lost), TextCell::new(Emphasis::Plain, tail)],
        )
    });
    std::iter::once(head).chain(body).collect()
}

fn service_rows(page: &Page, report: &Report) -> Vec<TextRow> {
    let has_time = report.services.iter().any(|service| service.first_failed_s.is_some());
    let (first, lasted) = if has_time { ("fails after", "for") } else { ("", "") };
    let head = head_row(report, "Services", ["", first, lasted]);
    let body = shown_services(report).into_iter().map(|service| {
        let time = |spread: Option<crate::report::Spread>| {
            spread.map_or_else(String::new, |spread| format::duration(spread.p50))
        };
        let cells = [time(service.first_failed_s), time(service.failed_for_s)];
        unit_row(
            page,
            report,
            service,
            is_target(report, service),
            String::new(),
            cells.map(|cell| TextCell::new(Emphasis::Plain, cell)),
        )
    });
    std::iter::once(head).chain(body).collect()
}

fn head_row(report: &Report, title: &str, [late, left, right]: [&str; 3]) -> TextRow {
    let anyway = simulation::baseline_head(report);
    let heads = ["fails", "interval", "degraded", "at peak", late, anyway, left, right];
    TextRow {
        mark: None,
        name: (Emphasis::Strong, title.to_owned()),
        bar: TextBar::ShareLegend,
        cells: heads.into_iter().map(|head| TextCell::new(Emphasis::Faint, head)).collect(),
    }
}

fn unit_row(
    page: &Page,
    report: &Report,
    unit: &UnitReport,
    is_target: bool,
    late: String,
    last: [TextCell; 2],
) -> TextRow {
    let failures = simulation::leading_failures(report, unit);
    let failed = failures.failed.exact.unwrap_or(failures.failed.p);
    let ink = match failed {
        _ if failed >= 0.5 => Emphasis::Bad,
        _ if failed >= HIT => Emphasis::Doubtful,
        _ => Emphasis::Plain,
    };
    let mut cells = vec![
        TextCell::new(ink, format::estimate(&failures.failed)),
        TextCell::new(Emphasis::Faint, format::interval(&failures.failed, page.glyphs.dash)),
        TextCell::new(Emphasis::Plain, format::estimate(&failures.degraded)),
        TextCell::new(Emphasis::Plain, format::percent(unit.failing_share)),
        TextCell::new(Emphasis::Plain, late),
        TextCell::new(Emphasis::Faint, simulation::baseline_cell(report, unit)),
    ];
    cells.extend(last);
    let name = if unit.critical == Some(true) { Emphasis::Strong } else { Emphasis::Plain };
    TextRow {
        mark: Some(page.glyphs.unit_mark(&failures, is_target)),
        name: (name, page.shown_name(&unit.name)),
        bar: TextBar::Shares(failed, failures.degraded.p.max(failed)),
        cells,
    }
}

/// Adds a line that counts what is not in the table.
fn add_rest(
    page: &mut Page,
    report: &Report,
    all: &[UnitReport],
    shown: &[&UnitReport],
    noun: &str,
) {
    let is_shown = |unit: &UnitReport| shown.iter().any(|shown| std::ptr::eq(*shown, unit));
    let left: Vec<Failures> = all
        .iter()
        .filter(|unit| !is_shown(unit))
        .map(|unit| simulation::leading_failures(report, unit))
        .collect();
    if left.is_empty() {
        return;
    }
    let count = |is: &dyn Fn(&Failures) -> bool| left.iter().filter(|unit| is(unit)).count();
    let failing = count(&|unit| unit.failed.p >= HIT);
    let degraded = count(&|unit| unit.failed.p < HIT && unit.degraded.p >= HIT);
    // Never hit at all is a stronger statement than rarely hit, so they are counted apart.
    let untouched = count(&|unit| unit.degraded.p == 0.0 && unit.failed.p == 0.0);
    let well = left.len() - failing - degraded - untouched;
    let mut parts = Vec::new();
    if failing > 0 {
        let most = left.iter().map(|unit| unit.failed.p).fold(0.0, f64::max);
        let each = format!("can fail (at most in {})", format::percent(most));
        parts.push(format!("{} more {each}", format::plural(failing, noun)));
    }
    if degraded > 0 {
        parts.push(format!("{} more can be degraded", format::plural(degraded, noun)));
    }
    if well > 0 {
        let under = format::percent(HIT);
        let verb = if well == 1 { "is" } else { "are" };
        parts.push(format!(
            "{} {verb} hit in under {under} of simulations",
            format::plural(well, noun)
        ));
    }
    if untouched > 0 {
        let verb = if untouched == 1 { "is" } else { "are" };
        parts.push(format!("{} {verb} never hit", format::plural(untouched, noun)));
    }
    page.add_paragraph(Emphasis::Faint, "  ", &parts.join(", "));
}
