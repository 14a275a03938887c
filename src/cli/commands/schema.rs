//! `blastwave schema`: the JSON Schemas that are compiled in.

use crate::cli::Failure;
use crate::cli::args::SchemaOf;
use crate::cli::exit::Exit;
use crate::cli::output::OutputError;
use crate::cli::terminal::Terminal;
use blastwave::model::schema;
use blastwave::report;

/// Prints a schema.
pub(crate) fn run_schema(what: SchemaOf, terminal: Terminal) -> Result<Exit, Failure> {
    let schema = match what {
        SchemaOf::Result => report::schema::RESULT,
        SchemaOf::Explain => report::schema::EXPLAIN,
        SchemaOf::Rank => report::schema::RANK,
        SchemaOf::Advise => report::schema::ADVISE,
        SchemaOf::Compare => report::schema::COMPARE,
        SchemaOf::Replay => report::schema::REPLAY,
        SchemaOf::Review => report::schema::REVIEW,
        SchemaOf::Diagnosis => report::schema::DIAGNOSIS,
        SchemaOf::Structure => report::schema::STRUCTURE,
        SchemaOf::Problems => report::schema::PROBLEMS,
        SchemaOf::Topology => schema::TOPOLOGY,
        SchemaOf::Change => schema::CHANGE,
        SchemaOf::Policy => schema::POLICY,
        SchemaOf::Scenario => schema::SCENARIO,
        SchemaOf::Incident => schema::INCIDENT,
        SchemaOf::Cost => schema::COST,
        SchemaOf::Observed => schema::OBSERVED,
        SchemaOf::Waivers => schema::WAIVERS,
        SchemaOf::PolicyTest => schema::POLICY_TEST,
    };
    terminal.write_result(schema).map_err(OutputError::Stdout)?;
    Ok(Exit::Done)
}
