//! `blastwave mcp`: what agents ask, and what hostile ones send.

mod client;
mod hostile;

use std::fs;
use std::path::Path;
use std::time::Duration;

use client::Client;
use serde_json::{Value, json};

use crate::support::{CHANGE, program};

const TOPOLOGY: &str = "\
version: 1
topology: shop
services:
  web: { paths: ['web/**'], dependencies: [{ service: pay, timeout: 1s, fallback: { static: true, works: 70% } }, { service: stock, timeout: 1s, fallback: none }] }
  pay: { paths: ['pay/**'], availability: 99.9% }
  stock: { availability: 99% }
flows:
  order: { steps: [web], rate: 60/min, critical: true }
";

const POLICY: &str = "\
version: 1
policy: ours
rules:
  - name: failures
    verdict: stop
    when: change.failure_probability > 0.5
    message: the change breaks too often
";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("shop.yaml", TOPOLOGY);
    write("v2.yaml", CHANGE);
    write("broken.yaml", &TOPOLOGY.replace("pay,", "paay,"));
    write("policy.yaml", POLICY);
    folder
}

/// Returns what the command line writes.
fn written(folder: &Path, arguments: &str, input: Option<&str>) -> String {
    use std::io::Write as _;
    use std::process::Stdio;
    let mut command = program(folder);
    command.args(arguments.split_whitespace()).stdout(Stdio::piped()).stderr(Stdio::null());
    if input.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn().unwrap();
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        stdin.write_all(input.as_bytes()).unwrap();
    }
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

/// Returns a value as the command line lays it out.
fn laid_out(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

#[test]
fn the_structured_part_of_each_tool_is_what_the_command_line_writes() {
    let folder = folder();
    let mut client = Client::begin(folder.path(), &["shop.yaml"]);
    let cases = [
        (
            "check_change",
            json!({ "change": ["v2.yaml"] }),
            "check shop.yaml --change v2.yaml --detail summary",
            None,
        ),
        (
            "check_change",
            json!({ "change_text": CHANGE, "detail": "full", "seed": 7, "policy": "policy.yaml" }),
            "check shop.yaml --change - --seed 7 --policy policy.yaml",
            Some(CHANGE),
        ),
        (
            "check_change",
            json!({ "breaks": ["pay:slow", "stock"], "max_failed": ["order=5%"], "now": "2026-12-18" }),
            "check shop.yaml --break pay:slow stock --max-failed order=5% --now 2026-12-18 --detail summary",
            None,
        ),
        (
            "blast_radius_of_files",
            json!({ "files": ["pay/a.rs", "odd\nname"], "ignore_files": ["odd*"] }),
            "check shop.yaml --changed-files - -z --ignore-files odd* --detail summary",
            Some("pay/a.rs\0odd\nname"),
        ),
        (
            "explain",
            json!({ "flow": "order", "detail": "full" }),
            "explain shop.yaml --flow order --trials 1000",
            None,
        ),
        (
            "explain",
            json!({ "breaks": ["pay"], "max_order": 2 }),
            "explain shop.yaml --break pay --max-order 2 --detail summary --trials 1000",
            None,
        ),
        (
            "advise",
            json!({ "topology": "shop.yaml", "change": ["v2.yaml"], "trials": 500 }),
            "advise shop.yaml --change v2.yaml --trials 500 --detail summary",
            None,
        ),
        (
            "advise",
            json!({ "breaks": ["pay"], "leave_out": ["timeout"], "satisfy": "default", "detail": "full" }),
            "advise shop.yaml --break pay --leave-out timeout --satisfy default --trials 1000",
            None,
        ),
        (
            "topology_of",
            json!({ "services": ["pay", "stock"] }),
            "show shop.yaml --service pay --service stock --detail summary",
            None,
        ),
        ("topology_of", json!({ "detail": "full" }), "show shop.yaml", None),
    ];
    for (tool, arguments, line, input) in cases {
        let result = client.call(tool, &arguments);
        let expected = written(folder.path(), &format!("{line} --format json"), input);
        assert!(expected.starts_with('{'), "{line}: {expected}");
        assert_eq!(laid_out(&result["structuredContent"]), expected, "{tool} {arguments}");
        // Clients that know no structured results read the same as text.
        let text = result["content"][0]["text"].as_str().unwrap();
        assert_eq!(text, result["structuredContent"].to_string(), "{tool} {arguments}");
        assert_eq!(result["isError"], false);
    }
    let result = client.call("validate", &json!({ "files": ["broken.yaml", "v2.yaml"] }));
    let expected = written(folder.path(), "validate broken.yaml v2.yaml --format json", None);
    assert_eq!(laid_out(&result["structuredContent"]["problems"]), expected);
    assert!(expected.contains("did you mean `pay`?"), "{expected}");
}

#[test]
fn every_result_has_the_shape_that_its_tool_declares() {
    let folder = folder();
    let mut client = Client::begin(folder.path(), &["shop.yaml", "--policy", "policy.yaml"]);
    let tools = client.ask("tools/list", &json!({}))["result"]["tools"].clone();
    let calls = [
        ("check_change", json!({ "change": ["v2.yaml"] })),
        ("blast_radius_of_files", json!({ "files": ["pay/a.rs", "unknown"] })),
        ("explain", json!({ "change": ["v2.yaml"] })),
        ("advise", json!({ "change": ["v2.yaml"], "trials": 100 })),
        ("validate", json!({ "files": ["broken.yaml"] })),
        ("topology_of", json!({ "services": ["pay"] })),
    ];
    for tool in tools.as_array().unwrap() {
        let name = tool["name"].as_str().unwrap();
        let (_, arguments) = calls.iter().find(|(known, _)| *known == name).expect("it is called");
        let input = jsonschema::validator_for(&tool["inputSchema"]).unwrap();
        assert!(input.is_valid(arguments), "{name} {arguments}");
        assert!(!input.is_valid(&json!({ "unknown": 1 })), "{name} takes anything");
        let output = jsonschema::validator_for(&tool["outputSchema"]).unwrap();
        for detail in ["summary", "full"] {
            let mut arguments = arguments.clone();
            if tool["inputSchema"]["properties"].get("detail").is_some() {
                arguments["detail"] = json!(detail);
            }
            let result = client.call(name, &arguments);
            let problems: Vec<String> =
                output.iter_errors(&result["structuredContent"]).map(|e| e.to_string()).collect();
            assert!(problems.is_empty(), "{name}: {problems:?}");
        }
    }
    assert_eq!(tools.as_array().unwrap().len(), calls.len());
}

#[test]
fn a_summary_is_short_and_says_what_it_leaves_out() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("topologies");
    let mut client = Client::begin(&root, &["train-ticket.yaml"]);
    let mut call = |detail: &str| {
        let arguments =
            json!({ "change": ["changes/train-ticket/seat-rewrite.yaml"], "detail": detail });
        client.call("check_change", &arguments)["structuredContent"].clone()
    };
    let (summary, full) = (call("summary"), call("full"));
    let sizes = [&summary, &full].map(|value| value.to_string().len());
    assert!(sizes[0] < 16_000 && sizes[0] * 5 < sizes[1], "{sizes:?}");
    assert_eq!(summary["verdict"]["reasons"], full["verdict"]["reasons"]);
    let rules = |value: &Value| value["verdict"]["rules"].as_array().unwrap().clone();
    let decisive: Vec<Value> =
        rules(&full).into_iter().filter(|rule| rule["outcome"] != "held").collect();
    assert_eq!(rules(&summary), decisive);
    let omitted = summary["omitted"].as_array().unwrap();
    let services = omitted.iter().find(|omitted| omitted["list"] == "services").unwrap();
    let count = |value: &Value| value["services"].as_array().unwrap().len() as u64;
    assert_eq!(count(&summary) + services["count"].as_u64().unwrap(), count(&full));
    assert!(full.get("omitted").is_none());
}

#[test]
fn init_tells_agents_when_to_ask_in_the_words_of_the_book() {
    let folder = tempfile::tempdir().unwrap();
    let compose = "services:\n  web: { image: a, depends_on: [db] }\n  db: { image: postgres }\n";
    fs::write(folder.path().join("compose.yaml"), compose).unwrap();
    written(folder.path(), "init --agents", None);
    let sample = fs::read_to_string(folder.path().join("AGENTS.md")).unwrap();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/book/src/agents.md");
    assert!(fs::read_to_string(page).unwrap().contains(&sample));
    let text = fs::read_to_string(folder.path().join(".mcp.json")).unwrap();
    let server: Value = serde_json::from_str(&text).unwrap();
    let arguments = server["mcpServers"]["blastwave"]["args"].as_array().unwrap();
    let arguments: Vec<&str> = arguments.iter().map(|word| word.as_str().unwrap()).collect();
    // The server that the file starts answers.
    let mut client = Client::begin(folder.path(), &arguments[1..]);
    let services = client.call("topology_of", &json!({}))["structuredContent"]["services"].clone();
    assert_eq!(services.as_array().unwrap().len(), 2);
}

#[test]
fn the_catalogue_for_editors_names_every_kind_of_file_once() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("packaging/schemastore/catalog.json")).unwrap();
    let catalog: Value = serde_json::from_str(&text).unwrap();
    let entries = catalog["schemas"].as_array().unwrap();
    let mut globs = Vec::new();
    for entry in entries {
        let kind = entry["name"].as_str().unwrap().strip_prefix("blastwave ").unwrap();
        // It is a kind whose schema the program has.
        let schema: Value =
            serde_json::from_str(&written(root, &format!("schema {kind}"), None)).unwrap();
        assert_eq!(schema["$id"], format!("urn:blastwave:{kind}:v1"));
        assert!(entry["url"].as_str().unwrap().ends_with(&format!("/{kind}.schema.json")));
        globs.extend(entry["fileMatch"].as_array().unwrap().iter().map(Value::to_string));
    }
    let count = globs.len();
    globs.sort();
    globs.dedup();
    assert_eq!((entries.len(), globs.len()), (7, count));
}

#[test]
fn what_the_server_was_started_with_is_what_calls_leave_open() {
    let folder = folder();
    let mut client = Client::begin(folder.path(), &["shop.yaml", "--policy", "policy.yaml"]);
    let result = client.call("check_change", &json!({ "change": ["v2.yaml"], "policy": null }));
    assert_eq!(result["structuredContent"]["verdict"]["policy"]["name"], "ours");
    let mut client = Client::begin(folder.path(), &[]);
    let said = client.refusal("check_change", &json!({ "change": ["v2.yaml"] }));
    assert!(said.contains("name a `topology`"), "{said}");
}

#[test]
fn diagnostics_are_those_of_the_command_line() {
    let folder = folder();
    let mut client = Client::begin(folder.path(), &["broken.yaml"]);
    let said = client.refusal("check_change", &json!({ "breaks": ["pay"] }));
    let mut command = program(folder.path());
    let output = command
        .args(["check", "broken.yaml", "--break", "pay", "--color", "never"])
        .output()
        .unwrap();
    assert_eq!(said, String::from_utf8(output.stderr).unwrap());
    assert!(said.contains("did you mean `pay`?"), "{said}");
}

#[test]
fn schemas_policies_and_the_topology_can_be_read() {
    let folder = folder();
    let mut client = Client::begin(folder.path(), &["shop.yaml", "--policy", "policy.yaml"]);
    let listed = client.ask("resources/list", &json!({}))["result"]["resources"].clone();
    let mut read = |uri: &str| {
        let answer = client.ask("resources/read", &json!({ "uri": uri }));
        answer["result"]["contents"][0]["text"].as_str().map(str::to_owned)
    };
    for resource in listed.as_array().unwrap() {
        assert!(read(resource["uri"].as_str().unwrap()).is_some_and(|text| text.len() > 50));
    }
    assert_eq!(read("blastwave://topology").unwrap(), TOPOLOGY);
    assert_eq!(read("blastwave://policy").unwrap(), POLICY);
    let schema = written(folder.path(), "schema change", None);
    assert_eq!(read("blastwave://schema/change").unwrap(), schema);
    assert_eq!(
        read("blastwave://policy/default").unwrap(),
        written(folder.path(), "policy default", None)
    );
    for unknown in ["blastwave://schema/none", "blastwave://topology/..", "file:///etc/passwd", ""]
    {
        assert_eq!(read(unknown), None, "{unknown}");
    }
}

#[test]
fn a_call_does_not_wait_for_another() {
    let folder = folder();
    let mut client = Client::begin(folder.path(), &["shop.yaml", "--calls", "2"]);
    let long =
        client.send_call("check_change", &json!({ "change": ["v2.yaml"], "trials": 10_000_000 }));
    let short = client.send_call("validate", &json!({ "files": ["shop.yaml"] }));
    let ping = client.send("ping", &json!({}));
    let first =
        [client.next_answer(), client.next_answer()].map(|answer| answer["id"].as_u64().unwrap());
    assert!(!first.contains(&long) && first.contains(&short) && first.contains(&ping), "{first:?}");
}

#[test]
fn a_call_ends_at_its_limits_and_the_server_lives_on() {
    let folder = folder();
    let mut client = Client::begin(folder.path(), &["shop.yaml", "--timeout", "1s"]);
    let endless = json!({ "change": ["v2.yaml"], "trials": 10_000_000 });
    let said = client.refusal("check_change", &endless);
    assert!(said.contains("out of time"), "{said}");
    // Far more than fits into the least memory that can be asked for.
    let services: String = (0..200_000).map(|index| format!("  s{index}: {{}}\n")).collect();
    let large = format!(
        "version: 1\ntopology: large\nservices:\n{services}flows: {{ f: {{ steps: [s0] }} }}\n"
    );
    fs::write(folder.path().join("large.yaml"), large).unwrap();
    let mut client = Client::begin(folder.path(), &["large.yaml", "--max-memory", "64MB"]);
    let said = client.refusal("check_change", &json!({ "breaks": ["s0"] }));
    assert!(said.contains("out of memory"), "{said}");
    assert_eq!(client.ask("ping", &json!({}))["result"], json!({}));
}

#[test]
fn a_cancelled_call_ends_and_frees_its_place() {
    let folder = folder();
    let mut client = Client::begin(folder.path(), &["shop.yaml", "--calls", "1"]);
    let long =
        client.send_call("check_change", &json!({ "change": ["v2.yaml"], "trials": 10_000_000 }));
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": long } });
    client.write(cancel.to_string().as_bytes());
    // With one place, this is answered only once the long call has ended, which would take minutes.
    let problems = client.call("validate", &json!({ "files": ["shop.yaml"] }));
    assert_eq!(problems["isError"], false);
}

#[test]
fn the_server_ends_with_its_client() {
    let folder = folder();
    let client = Client::begin(folder.path(), &["shop.yaml"]);
    assert!(client.close() < Duration::from_secs(5));
    let client = Client::start(folder.path(), &["shop.yaml"]);
    assert!(client.close() < Duration::from_secs(5));
    let mut client = Client::begin(folder.path(), &["shop.yaml"]);
    client.send_call("check_change", &json!({ "change": ["v2.yaml"], "trials": 10_000_000 }));
    // An answer shows that the call before it was taken up.
    client.ask("ping", &json!({}));
    let server = client.process_id();
    assert!(client.close() < Duration::from_secs(10));
    assert!(calls_of(server).is_empty(), "a call outlives its server");
}

/// Returns the processes that a server has started, where Linux tells.
fn calls_of(server: u32) -> Vec<String> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let status = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("status")).ok();
    let parent = format!("PPid:\t{server}\n");
    processes.flatten().filter_map(status).filter(|status| status.contains(&parent)).collect()
}

#[test]
fn a_script_that_pipes_its_questions_gets_its_answers() {
    let folder = folder();
    let lines = [
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "sh", "version": "1" } } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" }),
    ];
    let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let output = written(folder.path(), "mcp shop.yaml", Some(&input));
    let ids: Vec<Value> = output
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone())
        .collect();
    assert_eq!(ids, [json!(1), json!(2)]);
}
