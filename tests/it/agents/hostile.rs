//! Arguments that try to leave the root, and messages that are none.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::client::Client;
use super::{folder, written};
use crate::support::program;
use rand::rngs::SmallRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

#[test]
fn no_argument_leads_out_of_the_root() {
    let around = tempfile::tempdir().unwrap();
    let root = around.path().join("root");
    fs::create_dir(&root).unwrap();
    for entry in fs::read_dir(folder().path()).unwrap().flatten() {
        fs::copy(entry.path(), root.join(entry.file_name())).unwrap();
    }
    fs::copy(root.join("shop.yaml"), around.path().join("secret.yaml")).unwrap();
    fs::write(
        root.join("scenario.yaml"),
        "version: 1\nscenario: s\ntopology: ../secret.yaml\nchanges: [v2.yaml]\n",
    )
    .unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("../secret.yaml", root.join("link.yaml")).unwrap();
    let absolute = around.path().join("secret.yaml").to_string_lossy().into_owned();
    let mut client = Client::begin(&root, &["shop.yaml"]);
    let mut paths =
        vec!["../secret.yaml", "a/../../secret.yaml", &absolute, "scenario.yaml", "", "-"];
    if cfg!(unix) {
        paths.push("link.yaml");
    }
    for path in paths {
        for (tool, arguments) in [
            ("check_change", json!({ "topology": path, "breaks": ["pay"] })),
            ("check_change", json!({ "change": [path] })),
            ("check_change", json!({ "change": ["v2.yaml"], "policy": path })),
            ("blast_radius_of_files", json!({ "files": ["pay/a"], "rollout": path })),
            ("explain", json!({ "topology": path })),
            ("advise", json!({ "breaks": ["pay"], "cost": path })),
            ("advise", json!({ "breaks": ["pay"], "satisfy": path })),
        ] {
            let said = client.refusal(tool, &arguments);
            assert!(said.contains("error"), "{arguments}: {said}");
        }
        if !["scenario.yaml", "link.yaml"].contains(&path) {
            let said = client.refusal("validate", &json!({ "files": [path] }));
            assert!(said.contains("below the root"), "{path}: {said}");
        }
    }
    for path in ["scenario.yaml", "link.yaml"].iter().take(if cfg!(unix) { 2 } else { 1 }) {
        let problems = client.call("validate", &json!({ "files": [path] }));
        let said = problems["structuredContent"].to_string();
        assert!(said.contains("it lies outside of the folder to stay in"), "{said}");
    }
}

#[test]
fn a_root_holds_for_every_command_and_whatever_files_name() {
    let around = tempfile::tempdir().unwrap();
    let root = around.path().join("root");
    fs::create_dir(&root).unwrap();
    fs::copy(folder().path().join("shop.yaml"), around.path().join("shop.yaml")).unwrap();
    let output =
        program(around.path()).args(["rank", "shop.yaml", "--root", "root"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("cannot read `shop.yaml`: it lies outside"), "{said}");
    assert!(written(around.path(), "rank shop.yaml --root .", None).contains("web"));
}

#[test]
fn arguments_that_a_tool_does_not_take_are_explained() {
    let folder = folder();
    let mut client = Client::begin(folder.path(), &["shop.yaml"]);
    for (arguments, expected) in [
        (json!({ "chnage": ["v2.yaml"] }), "did you mean `change`?"),
        (json!({ "change": "v2.yaml" }), "expected a list of texts"),
        (json!({ "change": [1] }), "expected a list of texts"),
        (json!({ "change": [] }), "it must have 1 to"),
        (json!({ "seed": -1 }), "expected a whole number"),
        (json!({ "seed": 1e300 }), "expected a whole number"),
        (json!({ "trials": 100_000_000_000_u64 }), "expected a whole number"),
        (json!({ "detail": "brief" }), "one of `summary`, `full`"),
        (json!({ "change": ["--help"] }), "cannot read `--help`"),
        (json!({ "topology": "--version" }), "cannot read `--version`"),
        (json!({ "breaks": ["pay\0"] }), "NUL"),
        (json!({ "breaks": ["--policy=/etc/passwd"] }), "error"),
        (json!({ "git_range": "--output=x" }), "git"),
        (json!({ "breaks": ["x".repeat(100_000)] }), "the arguments have more than"),
    ] {
        let said = client.refusal("check_change", &arguments);
        assert!(said.contains(expected), "{arguments}: {said}");
        assert!(said.len() < 4_000, "{arguments}: {} bytes", said.len());
    }
    let said = client.refusal("blast_radius_of_files", &json!({}));
    assert!(said.contains("`files`: it is required"), "{said}");
    let answer = client.ask("tools/call", &json!({ "name": "check_chnage" }));
    let said = answer["error"]["message"].as_str().unwrap();
    assert!(said.contains("did you mean `check_change`?"), "{said}");
}

/// Well-formed messages, to be broken.
fn seeds() -> Vec<Vec<u8>> {
    let params = json!({ "name": "validate", "arguments": { "files": ["shop.yaml"] } });
    let messages = [
        json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }),
        json!({ "jsonrpc": "2.0", "id": "a", "method": "tools/list", "params": {} }),
        json!({ "jsonrpc": "2.0", "id": 2, "method": "resources/read", "params": { "uri": "blastwave://topology" } }),
        json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": { "name": "none", "arguments": {} } }),
        json!({ "jsonrpc": "2.0", "id": 4, "method": "resources/list", "params": params }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } }),
        json!({ "jsonrpc": "2.0", "id": 5, "result": {} }),
        json!({ "jsonrpc": "2.0", "id": 6, "error": { "code": -1, "message": "x" } }),
        json!({ "jsonrpc": "2.0", "id": 7, "method": "initialize", "params": {
            "protocolVersion": "x", "capabilities": {}, "clientInfo": { "name": "x", "version": "x" } } }),
    ];
    messages.iter().map(|message| message.to_string().into_bytes()).collect()
}

/// Returns one message that no client should send.
fn malformed(random: &mut SmallRng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[random.random_range(0..seeds.len())].clone();
    match random.random_range(0..12) {
        0 => bytes.truncate(random.random_range(0..bytes.len())),
        1 => {
            let depth = random.random_range(1..20_000);
            bytes = [b"[".repeat(depth), b"]".repeat(random.random_range(0..=depth))].concat();
        }
        2 => {
            let depth = random.random_range(1..20_000);
            let inner = [b"{\"a\":".repeat(depth), b"1".to_vec(), b"}".repeat(depth)].concat();
            bytes = [
                b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":".to_vec(),
                inner,
                b"}".to_vec(),
            ]
            .concat();
        }
        3 => {
            let number =
                ["1e400", "-0", "18446744073709551616", "1".repeat(5_000).as_str(), "0.1", "NaN"]
                    [random.random_range(0..6)]
                .to_owned();
            bytes =
                format!("{{\"jsonrpc\":\"2.0\",\"id\":{number},\"method\":\"ping\"}}").into_bytes();
        }
        4 | 5 => {
            for _ in 0..random.random_range(1..8) {
                let at = random.random_range(0..bytes.len());
                bytes[at] = random.random_range(0..=255);
            }
        }
        6 => {
            let at = random.random_range(0..bytes.len());
            bytes.splice(at..at, [0xff, 0xfe, 0x00, 0xc3]);
        }
        7 => {
            let values = ["null", "[]", "{}", "true", "\"\"", "1", "[[]]"];
            let value = values[random.random_range(0..values.len())];
            bytes = format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"tools/call\",\"params\":{value}}}"
            )
            .into_bytes();
        }
        8 => bytes = [b"[".to_vec(), bytes.clone(), b",".to_vec(), bytes, b"]".to_vec()].concat(),
        9 => {
            let method: String =
                (0..random.random_range(0..300)).map(|_| random.random::<char>()).collect();
            bytes =
                json!({ "jsonrpc": "2.0", "id": 10, "method": method }).to_string().into_bytes();
        }
        10 => {
            let version =
                [json!(1), json!("1.0"), Value::Null, json!({})][random.random_range(0..4)].clone();
            bytes = json!({ "jsonrpc": version, "id": [], "method": {} }).to_string().into_bytes();
        }
        _ => {
            bytes = vec![0; random.random_range(1..2_000)];
            random.fill_bytes(&mut bytes);
        }
    }
    bytes.retain(|byte| *byte != b'\n');
    bytes
}

/// Sends malformed messages, and reads whatever comes, until a ping that nobody could have made is answered.
fn send_malformed(client: &mut Client, count: usize, seed: u64) {
    let mut random = SmallRng::seed_from_u64(seed);
    let seeds = seeds();
    for index in 0..count {
        client.write(&malformed(&mut random, &seeds));
        // Read in between, as a client does: a server may make one wait that never reads.
        if index % 50 == 49 {
            let id = format!("ping {seed} {index}");
            client.write(
                json!({ "jsonrpc": "2.0", "id": id, "method": "ping" }).to_string().as_bytes(),
            );
            while client.next_answer()["id"] != id.as_str() {}
        }
    }
}

#[test]
fn ten_thousand_malformed_messages_end_nothing() {
    let folder = folder();
    let mut client = Client::start(folder.path(), &["shop.yaml"]);
    // Before a session has begun, and within one.
    send_malformed(&mut client, 2_000, 1);
    client.write(br#"{"jsonrpc":"2.0","id":"begin","method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}"#);
    while client.next_answer()["id"] != "begin" {}
    send_malformed(&mut client, 8_000, 2);
    let result = client.call("validate", &json!({ "files": ["shop.yaml"] }));
    assert_eq!(result["isError"], false, "{result}");
}

#[test]
fn a_line_without_end_takes_no_memory() {
    let folder = folder();
    let mut client = Client::begin(folder.path(), &["shop.yaml"]);
    let before = memory_of(client.process_id());
    client.write(&vec![b'['; 200 << 20]);
    assert_eq!(client.ask("ping", &json!({}))["result"], json!({}));
    if let (Some(before), Some(after)) = (before, memory_of(client.process_id())) {
        assert!(after < before + (32 << 10), "{before} kB, then {after} kB");
    }
}

/// Returns the most memory that a process has held, in kB, where Linux tells.
fn memory_of(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[test]
fn a_client_that_never_reads_is_made_to_wait() {
    let folder = folder();
    let mut command = program(folder.path());
    let command = command.args(["mcp", "shop.yaml"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut to = child.stdin.take().unwrap();
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let writer = thread::spawn(move || {
        for id in 0..50_000 {
            let request = json!({ "jsonrpc": "2.0", "id": id, "method": "ping" });
            if writeln!(to, "{request}").is_err() {
                break;
            }
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    // Until nothing more is taken.
    let mut before = usize::MAX;
    while before != sent.load(Ordering::Relaxed) || before == 0 {
        before = sent.load(Ordering::Relaxed);
        thread::sleep(Duration::from_millis(500));
    }
    let memory = memory_of(child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    writer.join().unwrap();
    assert!(before < 50_000, "all were taken");
    assert!(memory.is_none_or(|memory| memory < 100 << 10), "{memory:?} kB");
}
