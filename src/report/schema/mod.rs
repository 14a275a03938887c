//! The JSON Schemas (2020-12) of all answers, generated from their types.
//!
//! They are files, so that a change of what scripts read shows in a review, and so that the program
//! needs no generator. A test compares them with the types; `UPDATE=1 cargo test schema` writes them anew.

/// The JSON Schema of [`Report`](super::Report).
pub const RESULT: &str = include_str!("result.json");

/// The JSON Schema of [`ExplainReport`](super::ExplainReport).
pub const EXPLAIN: &str = include_str!("explain.json");

/// The JSON Schema of [`RankReport`](super::RankReport).
pub const RANK: &str = include_str!("rank.json");

/// The JSON Schema of [`AdviseReport`](super::AdviseReport).
pub const ADVISE: &str = include_str!("advise.json");

/// The JSON Schema of [`CompareReport`](super::CompareReport).
pub const COMPARE: &str = include_str!("compare.json");

/// The JSON Schema of [`ReplayReport`](super::ReplayReport).
pub const REPLAY: &str = include_str!("replay.json");

/// The JSON Schema of [`ReviewReport`](super::ReviewReport).
pub const REVIEW: &str = include_str!("review.json");

/// The JSON Schema of [`DiagnosisReport`](super::DiagnosisReport) and
/// [`DiagnosisScoreReport`](super::DiagnosisScoreReport).
pub const DIAGNOSIS: &str = include_str!("diagnosis.json");

/// The JSON Schema of the list of [`Problem`](super::Problem)s that `validate` writes.
pub const PROBLEMS: &str = include_str!("problems.json");

/// The JSON Schema of [`StructureReport`](super::StructureReport).
pub const STRUCTURE: &str = include_str!("structure.json");

#[cfg(test)]
mod tests {
    use schemars::generate::SchemaSettings;
    use schemars::{JsonSchema, Schema};
    use serde::{Deserialize, Serialize};
    use serde_json::{Value, json};

    use super::*;
    use crate::report::{
        AdviseReport, CompareReport, DiagnosisReport, DiagnosisScoreReport, ExplainReport, Problem,
        RankReport, ReplayReport, Report, ReviewReport, StructureReport,
    };

    /// The two answers of `diagnose`.
    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(untagged)]
    enum Diagnosis {
        Diagnosis(DiagnosisReport),
        Score(DiagnosisScoreReport),
    }

    const UNITS: &str = "Shares and probabilities are numbers from 0 to 1, durations are seconds, \
                         orders are numbers of orders. Further fields may be added within version 1.";

    /// The longest line that is not broken, in bytes.
    const LINE_MAX: usize = 180;

    /// Returns the schema of an answer, as its file holds it.
    fn generated<T: JsonSchema>(name: &str) -> String {
        let settings = SchemaSettings::draft2020_12().for_serialize();
        let schema: Schema = settings.into_generator().into_root_schema_for::<T>();
        let mut schema = serde_json::to_value(schema).expect("a schema is JSON");
        name_it(&mut schema, name);
        let mut text = String::new();
        write_json(&mut text, &schema, 0);
        text + "\n"
    }

    /// Writes a value on one line where it fits, so that a field of an answer is one line of a review.
    fn write_json(text: &mut String, value: &Value, indent: usize) {
        let line = value.to_string();
        let entries: Vec<(Option<String>, &Value)> = match value {
            Value::Object(object) if indent + line.len() > LINE_MAX => {
                object.iter().map(|(key, value)| (Some(json!(key).to_string()), value)).collect()
            }
            Value::Array(array) if indent + line.len() > LINE_MAX => {
                array.iter().map(|value| (None, value)).collect()
            }
            _ => return text.push_str(&line),
        };
        let [open, close] = if value.is_object() { ['{', '}'] } else { ['[', ']'] };
        text.push(open);
        for (index, (key, value)) in entries.into_iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            text.push_str(&format!("{comma}\n{:1$}", "", indent + 2));
            text.push_str(&key.map_or_else(String::new, |key| format!("{key}: ")));
            write_json(text, value, indent + 2);
        }
        text.push_str(&format!("\n{:indent$}{close}", ""));
    }

    /// Sets the title, the id, the units and the version of an answer.
    fn name_it(schema: &mut Value, name: &str) {
        let fallback = match name {
            "problems" => "Everything that is wrong with some files, or doubtful.",
            _ => "The answers of `diagnose`.",
        };
        let about = schema["description"].as_str().unwrap_or(fallback);
        let description = format!("{about} {UNITS}");
        schema["$id"] = json!(format!("urn:blastwave:{name}:v1"));
        schema["title"] = json!(format!("blastwave {name}, version 1"));
        schema["description"] = json!(description);
        if schema.get("properties").is_some() {
            let version = format!("blastwave/{name}/v1");
            schema["properties"]["schema"] =
                json!({ "description": "The version of this shape.", "const": version });
        }
    }

    #[test]
    fn the_schema_files_are_those_of_the_types() {
        let files = [
            ("result", RESULT, generated::<Report>("result")),
            ("explain", EXPLAIN, generated::<ExplainReport>("explain")),
            ("rank", RANK, generated::<RankReport>("rank")),
            ("advise", ADVISE, generated::<AdviseReport>("advise")),
            ("compare", COMPARE, generated::<CompareReport>("compare")),
            ("replay", REPLAY, generated::<ReplayReport>("replay")),
            ("review", REVIEW, generated::<ReviewReport>("review")),
            ("diagnosis", DIAGNOSIS, generated::<Diagnosis>("diagnosis")),
            ("structure", STRUCTURE, generated::<StructureReport>("structure")),
            ("problems", PROBLEMS, generated::<Vec<Problem>>("problems")),
        ];
        for (name, file, generated) in files {
            let path = format!("{}/src/report/schema/{name}.json", env!("CARGO_MANIFEST_DIR"));
            if std::env::var_os("UPDATE").is_some() {
                std::fs::write(path, generated).expect("the schema can be written");
            } else {
                assert!(file == generated, "{name}.json is old: run `UPDATE=1 cargo test schema`");
            }
        }
    }
}
