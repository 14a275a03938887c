//! The JSON Schemas of the input files, for editors and for other programs.
//!
//! They are written by hand, so that every key is described in words; a test holds their keys to those
//! that the decoder knows. A schema sees less than the decoder: not whether a name is defined, nor
//! whether shares sum to 100%.

/// The JSON Schema (2020-12) of a topology file.
pub const TOPOLOGY: &str = include_str!("topology.json");

/// The JSON Schema (2020-12) of a change file.
pub const CHANGE: &str = include_str!("change.json");

/// The JSON Schema (2020-12) of a scenario file.
pub const SCENARIO: &str = include_str!("scenario.json");

/// The JSON Schema (2020-12) of an incident file.
pub const INCIDENT: &str = include_str!("incident.json");

/// The JSON Schema (2020-12) of a policy file.
pub const POLICY: &str = include_str!("policy.json");

/// The JSON Schema (2020-12) of a file of costs.
pub const COST: &str = include_str!("cost.json");

/// The JSON Schema (2020-12) of an observation file.
pub const OBSERVED: &str = include_str!("observed.json");

/// The JSON Schema (2020-12) of a file of waivers.
pub const WAIVERS: &str = include_str!("waivers.json");

/// The JSON Schema (2020-12) of a file of policy tests.
pub const POLICY_TEST: &str = include_str!("policy-test.json");

#[cfg(test)]
mod tests {
    use jsonschema::Validator;
    use serde_json::Value;

    use super::*;
    use crate::diagnostic::Sources;
    use crate::load::{self, Node};
    use crate::model::decode::SHAPES;

    const ALL: [&str; 9] =
        [TOPOLOGY, CHANGE, SCENARIO, INCIDENT, POLICY, COST, OBSERVED, WAIVERS, POLICY_TEST];

    fn parsed(schema: &str) -> Value {
        serde_json::from_str(schema).expect("JSON")
    }

    fn validator(schema: &str) -> Validator {
        jsonschema::draft202012::new(&parsed(schema)).expect("a schema")
    }

    fn yaml(text: &str) -> Value {
        let document =
            load::parse_document("file", text.as_bytes().to_vec(), &mut Sources::default());
        json(&document.expect("YAML").root)
    }

    fn json(node: &Node) -> Value {
        match &node.value {
            load::Value::Null => Value::Null,
            load::Value::Bool(value) => Value::from(*value),
            load::Value::Number(number) => Value::from(number.value),
            load::Value::Text(text) => Value::from(&**text),
            load::Value::Sequence(items) => items.iter().map(json).collect(),
            load::Value::Mapping(entries) => entries
                .iter()
                .map(|entry| (entry.key.text.to_string(), json(&entry.value)))
                .collect(),
        }
    }

    #[track_caller]
    fn accepts(schema: &str, text: &str) {
        let errors: Vec<String> = validator(schema)
            .iter_errors(&yaml(text))
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }

    #[test]
    fn the_schemas_are_schemas() {
        for schema in ALL {
            assert!(jsonschema::meta::is_valid(&parsed(schema)));
        }
    }

    #[test]
    fn files_with_every_key_are_accepted() {
        accepts(TOPOLOGY, include_str!("../../../tests/it/files/full-topology.yaml"));
        accepts(CHANGE, include_str!("../../../tests/it/files/full-change.yaml"));
        accepts(SCENARIO, include_str!("../../../tests/it/files/full-scenario.yaml"));
        accepts(INCIDENT, include_str!("../../../tests/it/files/full-incident.yaml"));
        accepts(POLICY, crate::policy::DEFAULT);
        accepts(COST, include_str!("../../../tests/it/files/full-cost.yaml"));
        accepts(OBSERVED, include_str!("../../../tests/it/files/full-observed.yaml"));
        accepts(WAIVERS, include_str!("../../../tests/it/files/full-waivers.yaml"));
        accepts(POLICY_TEST, include_str!("../../../tests/it/files/full-policy-test.yaml"));
    }

    #[test]
    fn short_forms_are_accepted() {
        accepts(
            CHANGE,
            "{version: 1, change: c, targets: [a], rollout: canary, detection: 5m, rollback: 10m, \
             kill_switch: 1m, repair: 1h, reviewed_by: me}",
        );
        accepts(SCENARIO, "{version: 1, scenario: s, topology: t.yaml, change: c.yaml}");
    }

    #[test]
    fn wrong_files_are_refused() {
        let wrong = |schema, text| !validator(schema).is_valid(&yaml(text));
        assert!(wrong(TOPOLOGY, "{version: 1, topology: t}"));
        assert!(wrong(TOPOLOGY, "{version: 2, topology: t, services: {a: {}}}"));
        assert!(wrong(TOPOLOGY, "{version: 1, topology: t, services: {a: {colour: red}}}"));
        assert!(wrong(TOPOLOGY, "{version: 1, topology: t, services: {a/b: {}}}"));
        assert!(wrong(TOPOLOGY, "{version: 1, topology: t, services: {a: {availability: 2}}}"));
        assert!(wrong(
            TOPOLOGY,
            "{version: 1, topology: t, services: {a: {dependencies: [{service: b, timeout: 5}]}}}"
        ));
        assert!(wrong(POLICY, "{version: 1, policy: p, rules: [{name: a, when: b, verdict: no}]}"));
        assert!(wrong(CHANGE, "{version: 1, change: c, targets: []}"));
        assert!(wrong(CHANGE, "{version: 1, change: c, targets: [a], rollout: cannary}"));
    }

    #[test]
    fn every_mapping_has_the_keys_that_the_decoder_knows() {
        for (schema, shapes) in ALL.into_iter().zip(SHAPES) {
            let schema = parsed(schema);
            for shape in shapes {
                let mapping =
                    schema.pointer(shape.schema).unwrap_or_else(|| panic!("{}", shape.schema));
                let properties = mapping["properties"].as_object().expect("properties");
                let mut described: Vec<&str> = properties.keys().map(String::as_str).collect();
                let mut known = shape.keys.to_vec();
                described.sort_unstable();
                known.sort_unstable();
                assert_eq!(described, known, "{} at {}", shape.what, shape.schema);
                assert_eq!(mapping["additionalProperties"], Value::Bool(false), "{}", shape.schema);
            }
        }
    }

    #[test]
    fn every_mapping_of_the_schemas_is_known_to_the_decoder() {
        for (schema, shapes) in ALL.into_iter().zip(SHAPES) {
            let count = schema.matches("\"additionalProperties\": false").count();
            assert_eq!(count, shapes.len());
        }
    }

    #[test]
    fn every_key_is_described() {
        for schema in ALL {
            undescribed("", &parsed(schema));
        }
    }

    fn undescribed(path: &str, value: &Value) {
        let Value::Object(object) = value else { return };
        if let Some(Value::Object(properties)) = object.get("properties") {
            for (key, property) in properties {
                let described =
                    property["description"].as_str().is_some_and(|text| text.len() > 10);
                assert!(described, "{path}/{key} is not described");
            }
        }
        for (key, inner) in object {
            undescribed(&format!("{path}/{key}"), inner);
        }
    }
}
