//! Figures of a topology from a record of changes and incidents: how often changes fail, how fast that is
//! noticed and taken back, how available services are.
//!
//! Tables come in, rows that cannot be right are told with their number and left out, and figures with their
//! intervals go out: each says how many rows stand behind it, or that too few do. What a record cannot
//! say stays at its published default.

mod backtest;
mod columns;
mod figures;
mod record;
mod table;
mod tell;
mod write;

use crate::diagnostic::Diagnostic;
use crate::model::Topology;

pub use backtest::{BackTest, ForecastGroup, back_test_text};
pub use columns::{Columns, READY, TableKind, ready_columns};
pub use figures::{Calibration, GroupFigures, MIN_ROWS, ServiceFigures};
pub use record::{OutageRecord, RecordedChange, Records};
pub use tell::report_text;
pub use write::{Written, write_figures};

/// A table of a record.
#[derive(Clone, Debug)]
pub struct TableFile {
    /// The path; `-` is standard input.
    pub path: String,
    /// Meaning of its columns.
    pub columns: Columns,
    /// The service of all rows that name none.
    pub service: Option<String>,
}

/// Reads tables, for the services of a topology.
///
/// # Errors
/// A table cannot be read, or no row of it can be used.
pub fn read_records(tables: &[TableFile], topology: &Topology) -> Result<Records, Vec<Diagnostic>> {
    let mut records = Records::default();
    for table in tables {
        record::read_table(table, topology, &mut records)?;
    }
    Ok(records)
}
