//! The reference of the book is generated: from the schemas, from the vocabulary of conditions, and from the
//! help of every command. `UPDATE=1` writes it anew.

use crate::support::{KeptFiles, program};
use std::fmt::Write as _;
use std::path::Path;

use blastwave::model::schema;
use blastwave::policy::vocabulary::condition_paths;
use serde_json::Value;

/// Keys whose tables would repeat others' are not followed deeper than this.
const DEPTH_MAX: usize = 6;

/// Schema of one kind of file.
struct FileSchema {
    root: Value,
}

impl FileSchema {
    fn parse(text: &str) -> Self {
        Self { root: serde_json::from_str(text).expect("a schema is JSON") }
    }

    /// Follows a reference to its definition; returns the name of the definition with it.
    fn resolve<'a>(&'a self, node: &'a Value) -> (&'a Value, Option<&'a str>) {
        match node["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")) {
            Some(name) => (&self.root["$defs"][name], Some(name)),
            None => (node, None),
        }
    }

    /// Returns an example of a value, as YAML on one line.
    fn example(&self, node: &Value, depth: usize) -> String {
        if let Some(example) = node["examples"].get(0) {
            return flow_text(example);
        }
        if let Some(constant) = node.get("const") {
            return flow_text(constant);
        }
        if let Some(word) = node["enum"].get(0) {
            return flow_text(word);
        }
        let (inner, name) = self.resolve(node);
        if let Some(example) = name.and_then(usual_example) {
            return example.to_owned();
        }
        if name.is_some() {
            return self.example(inner, depth);
        }
        if let Some(choices) = node["anyOf"].as_array().or(node["oneOf"].as_array()) {
            let is_something = |choice: &&Value| choice["type"] != "null";
            if let Some(choice) = choices.iter().find(is_something) {
                return self.example(choice, depth);
            }
        }
        let kind = node["type"].as_str().or(node["type"][0].as_str()).unwrap_or("string");
        match kind {
            "boolean" => "true".to_owned(),
            "integer" | "number" => node["minimum"].as_i64().unwrap_or(1).max(1).to_string(),
            "array" => match node.get("items") {
                Some(items) if depth > 0 => format!("[{}]", self.example(items, depth - 1)),
                _ => "[..]".to_owned(),
            },
            "object" if depth > 0 => self.example_mapping(node, depth),
            "object" => "{ .. }".to_owned(),
            _ => "text".to_owned(),
        }
    }

    /// Returns a mapping with the keys that it must have, or else with its first.
    fn example_mapping(&self, node: &Value, depth: usize) -> String {
        let Some(properties) = node["properties"].as_object() else {
            let value = self.example(&node["additionalProperties"], depth - 1);
            return format!("{{ name: {value} }}");
        };
        let required = node["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut keys: Vec<&str> = required.collect();
        if keys.is_empty() {
            keys.extend(properties.keys().take(1).map(String::as_str));
        }
        let entries =
            keys.iter().map(|key| format!("{key}: {}", self.example(&properties[*key], depth - 1)));
        format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
    }

    /// Writes a row for each key of a mapping, and then the keys of the mappings in it.
    fn add_rows(
        &self,
        node: &Value,
        path: &str,
        seen: &mut Vec<String>,
        rows: &mut Vec<[String; 3]>,
    ) {
        let (inner, name) = self.resolve(node);
        if let Some(name) = name {
            if seen.iter().any(|known| known == name) || seen.len() > DEPTH_MAX {
                return;
            }
            seen.push(name.to_owned());
        }
        for (key, property) in inner["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}{key}");
            let of_definition = &self.resolve(property).0["description"];
            let said = property["description"].as_str().or(of_definition.as_str());
            let said = said.unwrap_or_default().replace('|', "\\|").replace('\n', " ");
            let value = match key.as_str() {
                "availability" => "99.9%".to_owned(),
                _ => self.example(property, 2).replace('|', "\\|"),
            };
            let example = format!("`{key}: {value}`");
            rows.push([format!("`{path}`"), said, example]);
            self.add_rows(property, &format!("{path}."), seen, rows);
        }
        for choice in ["anyOf", "oneOf"].iter().filter_map(|key| inner[*key].as_array()).flatten() {
            self.add_rows(choice, path, seen, rows);
        }
        if let Some(items) = inner.get("items") {
            let path = format!("{}[].", path.trim_end_matches('.'));
            self.add_rows(items, &path, seen, rows);
        }
        if inner["additionalProperties"].is_object() {
            let path = format!("{}.NAME.", path.trim_end_matches('.'));
            self.add_rows(&inner["additionalProperties"], path.trim_start_matches('.'), seen, rows);
        }
        if name.is_some() {
            seen.pop();
        }
    }
}

/// Returns an example of what the schemas define for values everywhere.
fn usual_example(definition: &str) -> Option<&'static str> {
    Some(match definition {
        "share" => "5%",
        "utilization" => "60%",
        "duration" => "10m",
        "rate" => "1200/min",
        "money" => "54.20 EUR",
        "name" | "ref" | "service_ref" => "payments",
        "domain_ref" => "eu-west-1a",
        "title" => "shop",
        "path" => "topology.yaml",
        "delay" => "{ median: 5m, p95: 30m }",
        "factor" => "8",
        _ => return None,
    })
}

/// Returns JSON as YAML on one line.
fn flow_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(flow_text).collect::<Vec<_>>().join(", "))
        }
        Value::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| format!("{key}: {}", flow_text(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// Head of a generated page.
fn page_head(title: &str, what: &str) -> String {
    format!(
        "# {title}\n\n<!-- Generated by tests/it/reference.rs: UPDATE=1 writes it anew. -->\n\n{what}\n"
    )
}

/// Returns the page of all keys of all kinds of files.
fn keys_page() -> String {
    let mut page = page_head(
        "Every key",
        "Every key of every kind of file, with an example. Where a key is left out, what holds stands in its description. \
         `NAME` is a name of yours, `[]` an item of a list.",
    );
    for (title, kind, text) in [
        ("Topology", "topology", schema::TOPOLOGY),
        ("Change", "change", schema::CHANGE),
        ("Policy", "policy", schema::POLICY),
        ("Waivers", "waivers", schema::WAIVERS),
        ("Policy test", "policy-test", schema::POLICY_TEST),
        ("Scenario", "scenario", schema::SCENARIO),
        ("Incident", "incident", schema::INCIDENT),
        ("Observation", "observed", schema::OBSERVED),
        ("Costs", "cost", schema::COST),
    ] {
        let file = FileSchema::parse(text);
        let mut rows = Vec::new();
        file.add_rows(&file.root, "", &mut Vec::new(), &mut rows);
        let _ = write!(
            page,
            "\n## {title}\nSchema: `blastwave schema {kind}`.\n\n| key | meaning | example |\n|---|---|---|\n"
        );
        // A template has the keys of a service, which stand there.
        rows.retain(|[key, ..]| !key.contains("templates.NAME."));
        for [key, said, example] in rows {
            let _ = writeln!(page, "| {key} | {said} | {example} |");
        }
    }
    page
}

/// Returns the page of what conditions may speak of.
fn conditions_page() -> String {
    let mut page = page_head(
        "What rules may speak of",
        "Every variable and field of the conditions of a [policy](policy.md). `flows[..]` is `flows[\"place-order\"]`, or an item \
         in `flows.exists(f, ..)` and `flows.all(f, ..)`. Probabilities and shares are numbers from 0 to 1, names that end in `_s` are \
         seconds, in `_min` minutes.",
    );
    page += "\n| path | type |\n|---|---|\n";
    for (path, kind) in condition_paths() {
        let _ = writeln!(page, "| `{path}` | {kind} |");
    }
    page
}

/// Returns the page of all commands, as their help says it.
fn commands_page() -> String {
    let mut page = page_head(
        "Every command",
        "The help of every command. `blastwave help COMMAND` prints the same, with the meaning of each exit status.",
    );
    for command in [
        "check",
        "simulate",
        "explain",
        "advise",
        "rank",
        "compare",
        "review",
        "diagram",
        "import",
        "init",
        "drift",
        "replay",
        "diagnose",
        "validate",
        "show",
        "schema",
        "policy",
        "mcp",
        "completions",
        "man",
    ] {
        let output =
            program(".").args(["help", command]).env("COLUMNS", "100").output().expect("it runs");
        let help = String::from_utf8(output.stdout).expect("text");
        let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
        let _ = write!(page, "\n## {command}\n\n```text\n{}\n```\n", lines.join("\n").trim_end());
    }
    page
}

#[test]
fn the_reference_says_what_the_program_does() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/book/src");
    let mut kept = KeptFiles::default();
    for (name, text) in [
        ("reference-keys.md", keys_page()),
        ("reference-conditions.md", conditions_page()),
        ("reference-commands.md", commands_page()),
    ] {
        kept.compare(&folder.join(name), &text);
    }
    kept.assert_current();
}

#[test]
fn every_key_of_a_schema_stands_in_the_reference() {
    let page = keys_page();
    let mut missing = Vec::new();
    for text in
        [schema::TOPOLOGY, schema::CHANGE, schema::POLICY, schema::SCENARIO, schema::INCIDENT]
    {
        let root: Value = serde_json::from_str(text).expect("JSON");
        let mut open = vec![&root];
        while let Some(node) = open.pop() {
            for (key, property) in node["properties"].as_object().into_iter().flatten() {
                let ends = [format!(".{key}`"), format!("`{key}`")];
                if !ends.iter().any(|end| page.contains(end.as_str())) {
                    missing.push(key.clone());
                }
                open.push(property);
            }
            open.extend(node.as_object().into_iter().flatten().map(|(_, value)| value));
            open.extend(node.as_array().into_iter().flatten());
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}
