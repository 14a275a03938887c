//! `blastwave calibrate`: figures of a topology from your own record.

use clap::Args;

use super::import::check_output;
use crate::cli::exit::Exit;
use crate::cli::output::ResultOutput;
use crate::cli::terminal::Terminal;
use crate::cli::{Failure, diagnostics_style, values};
use blastwave::calibrate::{self, Columns, TableFile, TableKind};
use blastwave::diagnostic::{Code, Diagnostic, Sources};
use blastwave::load;
use blastwave::model::{Seconds, Topology};
use blastwave::render::text::diagnostics;

pub(crate) const EXAMPLES: &str = "\
Examples:
  What do a table of changes and the incidents of PagerDuty say?
    blastwave calibrate shop.yaml --from changes deploys.csv --from pagerduty incidents.json
  Write it into the topology:
    blastwave calibrate shop.yaml --from changes deploys.csv -o shop.yaml
  Would it have forecast its own last part?
    blastwave calibrate shop.yaml --from changes deploys.csv --check
  A table with columns of its own, of one service:
    blastwave calibrate shop.yaml --from columns.yaml:payments deploys.jsonl --observed 180d";

/// Which record, and for which topology.
#[derive(Debug, Args)]
pub(crate) struct CalibrateArgs {
    /// The topology
    #[arg(value_name = "TOPOLOGY")]
    topology: String,

    /// Tables: a format, or a mapping of columns, and files; can be repeated
    ///
    /// `changes` and `incidents` are CSV or JSON lines with the usual names of columns; `github`, `gitlab`,
    /// `pagerduty`, `opsgenie`, `incident-io` and `jira` are what their interfaces give. A mapping is a YAML
    /// file that names the columns. `FORMAT:SERVICE` takes all rows that name no service for those of one.
    #[arg(long, num_args = 2.., value_names = ["FORMAT", "FILE"], required = true, help_heading = "Reading")]
    from: Vec<String>,

    /// Over how long incidents were recorded, where that is more than from the first to the last: `180d`
    #[arg(long, value_name = "DURATION", value_parser = values::parse_duration, help_heading = "Reading")]
    observed: Option<Seconds>,

    /// Say whether the record agrees with itself: forecasts its last 40% of changes from those before
    ///
    /// Brier score beside that of the published base rate, what came of each level of forecasts, and how many
    /// later detections and rollbacks fell within the fitted median and 95th percentile.
    #[arg(long, help_heading = "Output")]
    check: bool,

    /// Write the topology with the figures to a file, completely or not at all; `-` is standard output
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    output: Option<String>,
}

/// Reads the record, reports what it says, and writes that into the topology if a file is named.
pub(crate) fn run_calibrate(args: &CalibrateArgs, terminal: Terminal) -> Result<Exit, Failure> {
    let mut sources = Sources::default();
    let tables = match table_files(&args.from, &mut sources) {
        Ok(tables) => tables,
        Err(diagnostics) => return Err(Failure::Input { diagnostics, sources }),
    };
    let inputs: Vec<String> = tables.iter().map(|table| table.path.clone()).collect();
    let count = inputs.iter().chain([&args.topology]).filter(|path| *path == "-").count();
    if count > 1 {
        return Err(Failure::usage("standard input can be read only once"));
    }
    // The topology may be the one that is written.
    let output = ResultOutput::open(args.output.as_deref(), &inputs)?;
    let (text, report, warnings) = match calibrated(args, &tables, &mut sources) {
        Ok(calibrated) => calibrated,
        Err(diagnostics) => return Err(Failure::Input { diagnostics, sources }),
    };
    if !warnings.is_empty() {
        let style = diagnostics_style(terminal.colors_messages());
        terminal.write_note(&diagnostics::render_diagnostics(&warnings, &sources, style));
    }
    match args.output.as_deref() {
        None => ResultOutput::Stdout.write_result(&report, terminal)?,
        // Both cannot go to one place.
        Some("-") => {
            output.write_result(&text, terminal)?;
            terminal.write_note(&report);
        }
        Some(_) => {
            output.write_result(&text, terminal)?;
            ResultOutput::Stdout.write_result(&report, terminal)?;
        }
    }
    Ok(Exit::Done)
}

/// The topology with the figures, the report, and warnings about rows.
type Calibrated = (String, String, Vec<Diagnostic>);

fn calibrated(
    args: &CalibrateArgs,
    tables: &[TableFile],
    sources: &mut Sources,
) -> Result<Calibrated, Vec<Diagnostic>> {
    let document = load::read_document(&args.topology, sources)?;
    let topology = Topology::from_document(&document)?;
    let mut records = calibrate::read_records(tables, &topology)?;
    let warnings = std::mem::take(&mut records.warnings);
    let calibration = records.calibrate(&topology, args.observed.map(Seconds::get));
    let before = &sources.get(document.source).text;
    let mut written = calibrate::write_figures(&document, before, &records, &calibration);
    check_output(&written.text)?;
    if args.output.is_none() {
        // Nothing is written, so the report does not say so.
        written.changes.clear();
        written.refused.clear();
    }
    let mut report = calibrate::report_text(&records, &calibration, &written);
    if args.check {
        report += &calibrate::back_test_text(records.back_test(&topology).as_ref());
    }
    Ok((written.text, report, warnings))
}

/// The tables of `--from FORMAT FILE...`, which clap hands over as one list.
fn table_files(from: &[String], sources: &mut Sources) -> Result<Vec<TableFile>, Vec<Diagnostic>> {
    let mut tables: Vec<TableFile> = Vec::new();
    let mut current: Option<(Columns, Option<String>)> = None;
    let mut is_used = true;
    for word in from {
        // A word that names no file, or a mapping, begins the next table.
        if let Some(next) = columns_of(word, current.is_none(), sources)? {
            current = Some(next);
            is_used = false;
            continue;
        }
        let Some((columns, service)) = &current else { continue };
        is_used = true;
        let (columns, service) = (columns.clone(), service.clone());
        tables.push(TableFile { path: word.clone(), columns, service });
    }
    if !is_used || tables.is_empty() {
        let message = "a format of `--from` is followed by no file";
        return Err(vec![Diagnostic::file_error(Code::Empty, message)]);
    }
    // Incidents count with the changes that they came from, so changes are read first.
    tables.sort_by_key(|table| table.columns.kind != TableKind::Changes);
    Ok(tables)
}

/// Returns the columns that a word stands for: a format, or a mapping, with the service behind a colon.
/// `None` where it is a file; `must` says that it cannot be one.
fn columns_of(
    word: &str,
    must: bool,
    sources: &mut Sources,
) -> Result<Option<(Columns, Option<String>)>, Vec<Diagnostic>> {
    let (name, service) = match word.rsplit_once(':') {
        Some((name, service)) if !name.is_empty() && !service.is_empty() => {
            (name, Some(service.to_owned()))
        }
        _ => (word, None),
    };
    let is_known = calibrate::READY.iter().any(|(known, _)| *known == name);
    if is_known {
        return Ok(Some((calibrate::ready_columns(name)?, service)));
    }
    let is_mapping = [".yaml", ".yml"].iter().any(|end| name.ends_with(end));
    if is_mapping {
        let document = load::read_document(name, sources)?;
        return Ok(Some((Columns::from_document(&document)?, service)));
    }
    if must {
        calibrate::ready_columns(name).map(|columns| Some((columns, service)))
    } else {
        Ok(None)
    }
}
