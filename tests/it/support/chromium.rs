//! A browser that is driven as a person would: Chromium without a window, by its debugging protocol
//! over a pipe, so that no port is opened.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// A browser may take this long for one thing before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(120);
/// The size of its window.
const WINDOW: (u32, u32) = (1280, 900);

/// Where there is a browser.
pub(crate) fn installed() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&folders)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|path| path.is_file())
}

/// A browser with one page.
pub(crate) struct Chromium {
    child: Child,
    input: ChildStdin,
    output: Receiver<Value>,
    session: Option<String>,
    sent: u64,
    /// What it told of without being asked.
    events: Vec<Value>,
}

impl Chromium {
    /// Starts one that keeps what it must keep in this folder.
    pub(crate) fn start(browser: &Path, folder: &Path) -> Self {
        // It speaks on the third and fourth stream; a shell leads ours there.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null"])
            .arg(browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
            .args(["--no-first-run", "--disable-background-networking", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", folder.join("profile").display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let mut told = BufReader::new(child.stdout.take().unwrap());
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while told.read_until(0, &mut message).is_ok_and(|length| length > 0) {
                message.pop();
                let Ok(value) = serde_json::from_slice(&message) else { break };
                if sender.send(value).is_err() {
                    break;
                }
                message.clear();
            }
        });
        let mut chromium =
            Self { child, input, output, session: None, sent: 0, events: Vec::new() };
        chromium.attach();
        chromium
    }

    fn attach(&mut self) {
        let target = self.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let asked = json!({ "targetId": target["targetId"], "flatten": true });
        let session = self.call("Target.attachToTarget", &asked);
        self.session = Some(session["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Network", "Audits"] {
            self.call(&format!("{domain}.enable"), &json!({}));
        }
        let (width, height) = WINDOW;
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Asks for something, and waits until it is done.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Value {
        self.sent += 1;
        let mut message = json!({ "id": self.sent, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.input.write_all(format!("{message}\0").as_bytes()).unwrap();
        self.input.flush().unwrap();
        loop {
            let told = self.output.recv_timeout(PATIENCE);
            let mut told = told.unwrap_or_else(|error| panic!("{method}: no answer ({error})"));
            if told["id"] == json!(self.sent) {
                assert!(told.get("error").is_none(), "{method}: {told}");
                return told["result"].take();
            }
            self.events.push(told);
        }
    }

    /// Opens a page, and waits until it is there.
    pub(crate) fn open(&mut self, url: &str) {
        self.events.clear();
        // An address that differs in its hash alone would load nothing.
        self.call("Page.navigate", &json!({ "url": "about:blank" }));
        self.wait(|item| item.evaluate("document.readyState") == json!("complete"));
        self.call("Page.navigate", &json!({ "url": url }));
        self.wait(|item| {
            item.evaluate("document.readyState == 'complete' && location.protocol == 'file:'")
                == json!(true)
        });
    }

    /// Waits until something is so.
    pub(crate) fn wait(&mut self, mut is_so: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            assert!(start.elapsed() < PATIENCE, "what is waited for does not happen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The value of an expression in the page.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true });
        let mut found = self.call("Runtime.evaluate", &asked);
        assert!(found.get("exceptionDetails").is_none(), "{expression}: {found}");
        found["result"]["value"].take()
    }

    /// The text of the first element that a selector finds.
    pub(crate) fn text(&mut self, selector: &str) -> String {
        let selector = json!(selector);
        let found =
            self.evaluate(&format!("document.querySelector({selector})?.textContent ?? ''"));
        found.as_str().unwrap().to_owned()
    }

    /// Clicks into the middle of the first element that a selector finds.
    pub(crate) fn click(&mut self, selector: &str) {
        let middle = self.evaluate(&format!(
            "(() => {{ const it = document.querySelector({}); it.scrollIntoView({{ block: 'center' }}); \
             const {{ x, y, width, height }} = it.getBoundingClientRect(); \
             return [x + width / 2, y + height / 2]; }})()",
            json!(selector)
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let (x, y) = (&middle[0], &middle[1]);
            let mouse = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", &mouse);
        }
    }

    /// Presses a key by its name, its number, and the letter that it types.
    pub(crate) fn press(&mut self, key: &str, number: u32, text: &str) {
        let code = if key == " " { "Space" } else { key };
        let kinds = if text.is_empty() { ["rawKeyDown", "keyUp"] } else { ["keyDown", "keyUp"] };
        for kind in kinds {
            let mut event =
                json!({ "type": kind, "key": key, "code": code, "windowsVirtualKeyCode": number });
            if kind == "keyDown" {
                event["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", &event);
        }
    }

    /// Pretends to be another medium: `print`, or a screen of someone who prefers something.
    pub(crate) fn emulate(&mut self, media: &str, features: &[(&str, &str)]) {
        let features: Vec<Value> =
            features.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        let asked = json!({ "media": media, "features": features });
        self.call("Emulation.setEmulatedMedia", &asked);
    }

    /// What the first element that a selector finds looks like, as a PNG.
    pub(crate) fn picture(&mut self, selector: &str) -> Vec<u8> {
        let clip = self.evaluate(&format!(
            "(() => {{ scrollTo(0, 0); const it = document.querySelector({}).getBoundingClientRect(); \
             return {{ x: it.x, y: it.y, width: it.width, height: it.height, scale: 1 }}; }})()",
            json!(selector)
        ));
        let asked = json!({ "format": "png", "clip": clip, "captureBeyondViewport": true });
        let found = self.call("Page.captureScreenshot", &asked);
        STANDARD.decode(found["data"].as_str().unwrap()).unwrap()
    }

    /// What the page did that it must not: errors, what its policy refused, requests.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        // What was told before the answer is there.
        self.evaluate("0");
        let is_bad = |item: &&Value| match item["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" | "Log.entryAdded" | "Audits.issueAdded" => true,
            "Runtime.consoleAPICalled" => item["params"]["type"] != json!("debug"),
            "Network.requestWillBeSent" => {
                let url = item["params"]["request"]["url"].as_str().unwrap_or_default();
                item["params"]["type"] != json!("Document") && !url.starts_with("data:")
            }
            _ => false,
        };
        self.events.iter().filter(is_bad).map(Value::to_string).collect()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // A test that failed may leave a browser that answers no more.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
