//! The tools that a client can call, and the table from which their schemas and command lines are made.

use std::path::{Component, Path};

use blastwave::model::schema;
use blastwave::{report, suggest};
use serde_json::{Map, Value, json};

use super::call::CommandLine;

/// How many texts a list may hold.
const ITEMS_MAX: usize = 20_000;
/// How many bytes the arguments on one command line may have: Windows allows 32,767 characters.
const FLAGS_MAX: usize = 24_000;

/// A tool: a command of this program, with those of its arguments that an agent needs.
pub(super) struct Tool {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    command: &'static str,
    parameters: &'static [Parameter],
    /// The schema of the result, and the key under which a result that is no object is put.
    result: (&'static str, Option<&'static str>),
}

struct Parameter {
    name: &'static str,
    kind: ParameterKind,
    use_as: Use,
    description: &'static str,
}

/// The values that a parameter takes.
#[derive(Clone, Copy, PartialEq)]
enum ParameterKind {
    /// A path below the root.
    Path,
    Paths,
    Text,
    Texts,
    /// A whole number from 0 to a limit, and the one that is taken where none is given.
    Count {
        most: u64,
        usual: Option<u64>,
    },
    Switch,
    /// One of some words; the first is the default.
    Word(&'static [&'static str]),
}

/// Where a value goes on the command line.
#[derive(Clone, Copy, PartialEq)]
enum Use {
    Flag(&'static str),
    /// The files behind all flags.
    Files,
    /// The standard input, with flags that say so.
    Input(&'static [&'static str]),
}

/// Values for what a call leaves open, as the server was started with.
#[derive(Clone, Debug, Default)]
pub(super) struct Defaults {
    pub(super) topology: Option<String>,
    pub(super) policy: Option<String>,
}

const TOPOLOGY: Parameter = Parameter {
    name: "topology",
    kind: ParameterKind::Path,
    use_as: Use::Files,
    description: "The topology or scenario, a path below the root. Default: the one that the server was started with.",
};

const CHANGE: Parameter = Parameter {
    name: "change",
    kind: ParameterKind::Paths,
    use_as: Use::Flag("--change"),
    description: "Change files, paths below the root. Several are shipped in one window.",
};

const CHANGE_TEXT: Parameter = Parameter {
    name: "change_text",
    kind: ParameterKind::Text,
    use_as: Use::Input(&["--change=-"]),
    description: "The text of a change file that is not written yet, in place of `change`. Its schema: `blastwave://schema/change`.",
};

const BREAKS: Parameter = Parameter {
    name: "breaks",
    kind: ParameterKind::Texts,
    use_as: Use::Flag("--break"),
    description: "What breaks with certainty, in place of a change: `payments`, `payments:slow`, `storefront/checkout:corrupt`.",
};

const POLICY: Parameter = Parameter {
    name: "policy",
    kind: ParameterKind::Path,
    use_as: Use::Flag("--policy"),
    description: "The policy, a path below the root. Default: the one that the server was started with, else the built-in policy.",
};

const NOW: Parameter = Parameter {
    name: "now",
    kind: ParameterKind::Text,
    use_as: Use::Flag("--now"),
    description: "The time for rules that ask for it: `clock`, or a date such as `2026-12-18`. Without it such rules are undecided.",
};

const SEED: Parameter = Parameter {
    name: "seed",
    kind: ParameterKind::Count { most: u64::MAX, usual: None },
    use_as: Use::Flag("--seed"),
    description: "The seed of the random draws. Equal seeds give equal results. Default: 1.",
};

const TRIALS: Parameter = Parameter {
    name: "trials",
    kind: ParameterKind::Count { most: 10_000_000, usual: None },
    use_as: Use::Flag("--trials"),
    description: "How many trials are simulated. Leave it out unless intervals are too wide.",
};

/// Many simulations stand behind one explanation, or one piece of advice: fewer trials each, so that a call
/// ends before its client loses patience.
const FEW_TRIALS: Parameter = Parameter {
    name: "trials",
    kind: ParameterKind::Count { most: 10_000_000, usual: Some(1000) },
    use_as: Use::Flag("--trials"),
    description: "How many trials are simulated. Default: 1000. More give narrower intervals, and take longer.",
};

const DETAIL: Parameter = Parameter {
    name: "detail",
    kind: ParameterKind::Word(&["summary", "full"]),
    use_as: Use::Flag("--detail"),
    description: "`summary` shortens long lists and says under `omitted` by how much; `full` leaves nothing out.",
};

/// All tools.
pub(super) const TOOLS: &[Tool] = &[
    Tool {
        name: "check_change",
        title: "Check a planned change",
        description: "Simulates rollouts in which a planned change breaks, and returns the verdict of the policy (`proceed`, `caution` or `stop`) with its reasons, what fails, for how long, and the orders lost. Call it before opening a pull request. `stop`: do not ship; `caution`: a person must look.",
        command: "check",
        parameters: &[
            TOPOLOGY,
            CHANGE,
            CHANGE_TEXT,
            BREAKS,
            Parameter {
                name: "git_range",
                kind: ParameterKind::Text,
                use_as: Use::Flag("--git-range"),
                description: "Commits to take the change from, in place of `change`: `origin/main...HEAD`.",
            },
            POLICY,
            NOW,
            Parameter {
                name: "max_failed",
                kind: ParameterKind::Texts,
                use_as: Use::Flag("--max-failed"),
                description: "Limits beside the policy: a flow may fail in at most this share of trials, `place-order=5%`.",
            },
            Parameter {
                name: "max_lost",
                kind: ParameterKind::Texts,
                use_as: Use::Flag("--max-lost"),
                description: "Limits beside the policy: a flow may lose at most so many orders on average, `place-order=2000`.",
            },
            SEED,
            TRIALS,
            DETAIL,
        ],
        result: (report::schema::RESULT, None),
    },
    Tool {
        name: "blast_radius_of_files",
        title: "Blast radius of changed files",
        description: "Finds the services to which changed files belong, simulates that they break, and returns what fails with them and the verdict of the policy. Call it with the files that you are about to change. Files that belong to no service ask for caution: what they break is unknown.",
        command: "check",
        parameters: &[
            TOPOLOGY,
            Parameter {
                name: "files",
                kind: ParameterKind::Texts,
                use_as: Use::Input(&["--changed-files=-", "-z"]),
                description: "The changed files, as seen from the root of the repository. Required.",
            },
            Parameter {
                name: "ignore_files",
                kind: ParameterKind::Texts,
                use_as: Use::Flag("--ignore-files"),
                description: "Patterns of files that belong to no service on purpose: `docs/**`.",
            },
            Parameter {
                name: "rollout",
                kind: ParameterKind::Path,
                use_as: Use::Flag("--rollout"),
                description: "A change file without targets that says how the files are shipped.",
            },
            POLICY,
            NOW,
            SEED,
            TRIALS,
            DETAIL,
        ],
        result: (report::schema::RESULT, None),
    },
    Tool {
        name: "explain",
        title: "Explain why flows fail",
        description: "Returns the smallest sets of failures that fail each flow, how important each part is, the ways by which a change reaches a flow, and which protections contain it. Without a change it explains background failures.",
        command: "explain",
        parameters: &[
            TOPOLOGY,
            CHANGE,
            CHANGE_TEXT,
            BREAKS,
            Parameter {
                name: "flow",
                kind: ParameterKind::Text,
                use_as: Use::Flag("--flow"),
                description: "The only flow to explain.",
            },
            Parameter {
                name: "max_order",
                kind: ParameterKind::Count { most: 1000, usual: None },
                use_as: Use::Flag("--max-order"),
                description: "The largest sets of failures to look for.",
            },
            SEED,
            FEW_TRIALS,
            DETAIL,
        ],
        result: (report::schema::EXPLAIN, None),
    },
    Tool {
        name: "advise",
        title: "Advise protections",
        description: "Tries protections (timeouts, fallbacks, slower rollouts, capacity and more) against a change, and returns those that save most, with the edits of the files. With `satisfy` it finds the smallest set with which a policy says to proceed.",
        command: "advise",
        parameters: &[
            TOPOLOGY,
            CHANGE,
            CHANGE_TEXT,
            BREAKS,
            Parameter {
                name: "leave_out",
                kind: ParameterKind::Texts,
                use_as: Use::Flag("--leave-out"),
                description: "Kinds of protections that are out of the question.",
            },
            Parameter {
                name: "satisfy",
                kind: ParameterKind::Path,
                use_as: Use::Flag("--satisfy"),
                description: "A policy file below the root, or `default`.",
            },
            Parameter {
                name: "cost",
                kind: ParameterKind::Path,
                use_as: Use::Flag("--cost"),
                description: "A file of costs, to order protections by what they save for what they cost.",
            },
            NOW,
            SEED,
            FEW_TRIALS,
            DETAIL,
        ],
        result: (report::schema::ADVISE, None),
    },
    Tool {
        name: "validate",
        title: "Validate files",
        description: "Returns every problem in topologies, changes, policies, scenarios and incidents, each with its place and, where it is known, the text to write instead. An empty list says that all is well. Call it after you wrote or edited such a file.",
        command: "validate",
        parameters: &[
            Parameter {
                name: "files",
                kind: ParameterKind::Paths,
                use_as: Use::Files,
                description: "The files, paths below the root. A change is checked against its topology, so name both. Required.",
            },
            Parameter {
                name: "strict",
                kind: ParameterKind::Switch,
                use_as: Use::Flag("--strict"),
                description: "Whether warnings count as errors.",
            },
        ],
        result: (report::schema::PROBLEMS, Some("problems")),
    },
    Tool {
        name: "topology_of",
        title: "Show a topology",
        description: "Returns what a topology holds: services with their teams, whom each calls, who calls it, and the flows that run over it. Nothing is simulated. Name the services that you work on: a large topology is shortened.",
        command: "show",
        parameters: &[
            TOPOLOGY,
            Parameter {
                name: "services",
                kind: ParameterKind::Texts,
                use_as: Use::Flag("--service"),
                description: "The only services to show, by name.",
            },
            DETAIL,
        ],
        result: (report::schema::STRUCTURE, None),
    },
];

/// A schema that a client can read, and its description.
pub(super) const SCHEMAS: &[(&str, &str, &str)] = &[
    ("topology", schema::TOPOLOGY, "The JSON Schema of a topology"),
    ("change", schema::CHANGE, "The JSON Schema of a change"),
    ("policy", schema::POLICY, "The JSON Schema of a policy"),
    ("scenario", schema::SCENARIO, "The JSON Schema of a scenario"),
    ("incident", schema::INCIDENT, "The JSON Schema of an incident"),
    ("result", report::schema::RESULT, "The JSON Schema of the result of a check"),
    ("explain", report::schema::EXPLAIN, "The JSON Schema of an explanation"),
    ("advise", report::schema::ADVISE, "The JSON Schema of advice"),
];

/// Returns the tool of a name.
///
/// # Errors
/// There is none: a sentence with the nearest name.
pub(super) fn find_tool(name: &str) -> Result<&'static Tool, String> {
    let names = || TOOLS.iter().map(|tool| tool.name);
    TOOLS.iter().find(|tool| tool.name == name).ok_or_else(|| {
        format!("there is no tool `{}`{}", shortened(name), did_you_mean(name, names()))
    })
}

impl Tool {
    /// Returns the JSON Schema of the arguments.
    pub(super) fn input_schema(&self) -> Map<String, Value> {
        let mut properties = Map::new();
        for parameter in self.parameters {
            let mut schema = parameter.kind.schema();
            schema.insert("description".to_owned(), json!(parameter.description));
            properties.insert(parameter.name.to_owned(), Value::Object(schema));
        }
        let is_required = |parameter: &&Parameter| parameter.description.ends_with("Required.");
        let required: Vec<&str> =
            self.parameters.iter().filter(is_required).map(|parameter| parameter.name).collect();
        let mut schema = Map::new();
        schema.insert("type".to_owned(), json!("object"));
        schema.insert("properties".to_owned(), Value::Object(properties));
        if !required.is_empty() {
            schema.insert("required".to_owned(), json!(required));
        }
        schema.insert("additionalProperties".to_owned(), json!(false));
        schema
    }

    /// Returns the JSON Schema of the result.
    pub(super) fn output_schema(&self) -> Map<String, Value> {
        let (text, key) = self.result;
        let mut schema: Map<String, Value> =
            serde_json::from_str(text).expect("a schema of this program is an object");
        let Some(key) = key else { return schema };
        // References within it count from the outermost schema, so what they lead to is moved there.
        let definitions = schema.remove("$defs").unwrap_or_default();
        schema.retain(|name, _| name != "$schema" && name != "$id");
        let outer = json!({
            "type": "object", "required": [key], "properties": { key: schema }, "$defs": definitions
        });
        match outer {
            Value::Object(outer) => outer,
            _ => Map::new(),
        }
    }

    /// Returns the structured part of a result that the command line wrote.
    pub(super) fn structured_result(&self, written: &[u8]) -> serde_json::Result<Value> {
        let value = serde_json::from_slice(written)?;
        // The protocol wants an object, and the command line writes some results as lists.
        Ok(match self.result.1 {
            Some(key) => json!({ key: value }),
            None => value,
        })
    }

    /// Returns the command line of a call.
    ///
    /// # Errors
    /// Arguments that the tool does not take: a sentence for each, one on a line.
    pub(super) fn command_line(
        &self,
        arguments: &Map<String, Value>,
        defaults: &Defaults,
    ) -> Result<CommandLine, String> {
        let mut line = CommandLine { command: self.command, ..CommandLine::default() };
        let mut problems = Vec::new();
        for name in arguments.keys() {
            if !self.parameters.iter().any(|parameter| parameter.name == name) {
                let names = self.parameters.iter().map(|parameter| parameter.name);
                let nearest = did_you_mean(name, names);
                problems.push(format!("there is no argument `{}`{nearest}", shortened(name)));
            }
        }
        for parameter in self.parameters {
            // `null` is how some clients leave an argument out.
            let value = arguments.get(parameter.name).filter(|value| !value.is_null());
            if let Err(problem) = parameter.add_to(&mut line, value, defaults) {
                problems.push(format!("`{}`: {problem}", parameter.name));
            }
        }
        if self.parameters.iter().any(|parameter| parameter.use_as == Use::Files)
            && line.files.is_empty()
            && problems.is_empty()
        {
            problems.push(match self.parameters.first() {
                Some(first) if first.name == "topology" => {
                    "name a `topology`: the server was started without one".to_owned()
                }
                _ => "name at least one file".to_owned(),
            });
        }
        if line.flags.iter().chain(&line.files).map(String::len).sum::<usize>() > FLAGS_MAX {
            problems.push(format!("the arguments have more than {FLAGS_MAX} bytes together"));
        }
        if problems.is_empty() { Ok(line) } else { Err(problems.join("\n")) }
    }
}

impl Parameter {
    /// Adds a value to a command line.
    fn add_to(
        &self,
        line: &mut CommandLine,
        value: Option<&Value>,
        defaults: &Defaults,
    ) -> Result<(), String> {
        let Some(value) = value else {
            if self.description.ends_with("Required.") {
                return Err("it is required".to_owned());
            }
            if let Some(default) = self.default_value(defaults) {
                self.add_texts(line, &[default]);
            }
            return Ok(());
        };
        if self.kind == ParameterKind::Switch {
            let is_on = value.as_bool().ok_or_else(|| self.kind.expected(value))?;
            if let (true, Use::Flag(flag)) = (is_on, self.use_as) {
                line.flags.push(flag.to_owned());
            }
            return Ok(());
        }
        let texts = self.kind.texts(value)?;
        self.add_texts(line, &texts);
        Ok(())
    }

    fn default_value(&self, defaults: &Defaults) -> Option<String> {
        match self.name {
            "topology" => defaults.topology.clone(),
            "policy" => defaults.policy.clone(),
            _ => match self.kind {
                ParameterKind::Word(words) => words.first().map(|word| (*word).to_owned()),
                ParameterKind::Count { usual, .. } => usual.map(|count| count.to_string()),
                _ => None,
            },
        }
    }

    fn add_texts(&self, line: &mut CommandLine, texts: &[String]) {
        match self.use_as {
            Use::Flag(flag) => line.flags.extend(texts.iter().map(|text| format!("{flag}={text}"))),
            Use::Files => line.files.extend(texts.iter().cloned()),
            Use::Input(flags) => {
                line.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
                // Names of files may hold line breaks, but never a NUL byte.
                line.input = texts.join("\0").into_bytes();
            }
        }
    }
}

impl ParameterKind {
    fn schema(self) -> Map<String, Value> {
        let schema = match self {
            Self::Path | Self::Text => json!({ "type": "string" }),
            Self::Paths | Self::Texts => json!({
                "type": "array", "items": { "type": "string" }, "minItems": 1, "maxItems": ITEMS_MAX
            }),
            Self::Count { most, .. } => json!({ "type": "integer", "minimum": 0, "maximum": most }),
            Self::Switch => json!({ "type": "boolean", "default": false }),
            Self::Word(words) => json!({ "enum": words, "default": words.first() }),
        };
        match schema {
            Value::Object(schema) => schema,
            _ => Map::new(),
        }
    }

    /// Returns a value as the texts that stand on a command line.
    fn texts(self, value: &Value) -> Result<Vec<String>, String> {
        let texts = match (self, value) {
            (Self::Path | Self::Text, Value::String(text)) => vec![text.clone()],
            (Self::Paths | Self::Texts, Value::Array(items)) => {
                if items.is_empty() || items.len() > ITEMS_MAX {
                    return Err(format!("it must have 1 to {ITEMS_MAX} items"));
                }
                let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
                texts.collect::<Option<_>>().ok_or_else(|| self.expected(value))?
            }
            (Self::Count { most, .. }, Value::Number(number)) => {
                let count = number.as_u64().filter(|count| *count <= most);
                vec![count.ok_or_else(|| self.expected(value))?.to_string()]
            }
            (Self::Word(words), Value::String(word)) => {
                let known = words.iter().find(|known| *known == word);
                vec![(*known.ok_or_else(|| self.expected(value))?).to_owned()]
            }
            _ => return Err(self.expected(value)),
        };
        for text in &texts {
            if text.contains('\0') {
                return Err("a text must not hold a NUL byte".to_owned());
            }
            if matches!(self, Self::Path | Self::Paths) {
                check_path(text)?;
            }
        }
        Ok(texts)
    }

    /// Says what was expected in place of a value.
    fn expected(self, value: &Value) -> String {
        let expected = match self {
            Self::Path | Self::Text => "a text".to_owned(),
            Self::Paths | Self::Texts => "a list of texts".to_owned(),
            Self::Count { most, .. } => format!("a whole number from 0 to {most}"),
            Self::Switch => "true or false".to_owned(),
            Self::Word(words) => format!("one of `{}`", words.join("`, `")),
        };
        format!("expected {expected}, not {}", shortened(&value.to_string()))
    }
}

/// Refuses paths that lead out of the root by their text. Links are looked at where the file is opened.
pub(super) fn check_path(path: &str) -> Result<(), String> {
    let is_inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if path.is_empty() || path == "-" {
        return Err("expected a path below the root".to_owned());
    }
    if !Path::new(path).components().all(is_inside) {
        let path = shortened(path);
        return Err(format!(
            "`{path}` is not below the root: write it as seen from there, without `..`"
        ));
    }
    Ok(())
}

fn did_you_mean<'a>(name: &str, names: impl Iterator<Item = &'a str> + Clone) -> String {
    match suggest::nearest(name, names.clone()) {
        Some(nearest) => format!("; did you mean `{nearest}`?"),
        None => format!("; there are `{}`", names.collect::<Vec<_>>().join("`, `")),
    }
}

/// Returns the beginning of a text from elsewhere, which may be megabytes.
fn shortened(text: &str) -> String {
    const MOST: usize = 80;
    let mut short: String = text.chars().take(MOST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
