//! A client that writes lines to the server and reads lines from it, and knows nothing else of the protocol.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::program;
use serde_json::{Value, json};

/// Longer than any answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running server, and the lines that it writes.
pub(super) struct Client {
    child: Child,
    to: Option<ChildStdin>,
    lines: Receiver<String>,
    /// Answers that came before they were asked for.
    early: Vec<Value>,
    next_id: u64,
}

impl Client {
    /// Starts a server in a folder.
    pub(super) fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = program(folder)
            .arg("mcp")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let from = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in from.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let to = child.stdin.take();
        Self { child, to, lines, early: Vec::new(), next_id: 1 }
    }

    /// Starts a server and begins a session.
    pub(super) fn begin(folder: &Path, arguments: &[&str]) -> Self {
        let mut client = Self::start(folder, arguments);
        client.initialize();
        client
    }

    pub(super) fn initialize(&mut self) -> Value {
        let answer = self.ask(
            "initialize",
            &json!({
                "protocolVersion": "2025-06-18", "capabilities": {},
                "clientInfo": { "name": "test", "version": "1" }
            }),
        );
        self.write(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        answer
    }

    /// Writes bytes and ends the line. A server that has gone takes none.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        let to = self.to.as_mut().expect("it is still open");
        to.write_all(bytes).and_then(|()| to.write_all(b"\n")).expect("the server still reads");
    }

    /// Sends a request and returns its id.
    pub(super) fn send(&mut self, method: &str, params: &Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.write(request.to_string().as_bytes());
        id
    }

    pub(super) fn send_call(&mut self, tool: &str, arguments: &Value) -> u64 {
        self.send("tools/call", &json!({ "name": tool, "arguments": arguments }))
    }

    /// Returns the answer with an id.
    pub(super) fn answer(&mut self, id: u64) -> Value {
        if let Some(index) = self.early.iter().position(|answer| answer["id"] == id) {
            return self.early.swap_remove(index);
        }
        loop {
            let answer = self.next_answer();
            if answer["id"] == id {
                return answer;
            }
            self.early.push(answer);
        }
    }

    /// Returns the next answer, to whatever it is.
    pub(super) fn next_answer(&mut self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("the server answers in time");
        serde_json::from_str(&line).expect("every line is JSON")
    }

    pub(super) fn ask(&mut self, method: &str, params: &Value) -> Value {
        let id = self.send(method, params);
        self.answer(id)
    }

    /// Calls a tool and returns the result.
    pub(super) fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let answer = self.ask("tools/call", &json!({ "name": tool, "arguments": arguments }));
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].clone()
    }

    /// Calls a tool that must refuse, and returns what it says.
    pub(super) fn refusal(&mut self, tool: &str, arguments: &Value) -> String {
        let result = self.call(tool, arguments);
        assert_eq!(result["isError"], true, "{tool} {arguments}: {result}");
        assert!(result.get("structuredContent").is_none(), "{result}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }

    pub(super) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Closes the side of the client, and returns how long the server took to end.
    pub(super) fn close(mut self) -> Duration {
        drop(self.to.take());
        let started = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(started.elapsed() < PATIENCE, "the server outlives its client");
            thread::sleep(Duration::from_millis(5));
        }
        started.elapsed()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Where a test has failed, the server must not outlive it.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
