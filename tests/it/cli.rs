//! The program from outside: how it ends, what it reads and writes, and what it leaves behind.

use crate::support::{CHANGE, program, program_path};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_yaml::Value;

const TOPOLOGY: &str = "\
version: 1
topology: shop
services:
  web: { dependencies: [{ service: pay, timeout: 1s, fallback: { static: true, works: 70% } }, stock] }
  pay: {}
  stock: { availability: 99% }
flows:
  order: { steps: [web], rate: 60/min }
";

/// A folder with a topology, two changes and a scenario of both.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let write =
        |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
    write("shop.yaml", TOPOLOGY);
    write("v2.yaml", CHANGE);
    write("v3.yaml", "version: 1\nchange: v3\ntargets: [{ service: stock, probability: 50% }]\n");
    write(
        "both.yaml",
        "version: 1\nscenario: both\ntopology: shop.yaml\nchanges: [v2.yaml, v3.yaml]\n",
    );
    folder
}

fn run(folder: &Path, arguments: &str) -> Output {
    program(folder).args(arguments.split_whitespace()).output().expect("it runs")
}

fn run_with_input(folder: &Path, arguments: &str, input: &str) -> Output {
    let mut child = program(folder)
        .args(arguments.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    // What refuses its arguments ends without having read anything.
    match stdin.write_all(input.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        written => written.expect("it reads"),
    }
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

fn found(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("it is there");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("listed").file_name().into_string().expect("ours"))
        .collect();
    names.sort();
    names
}

/// What the folder holds before anything is written.
const BEFORE: [&str; 4] = ["both.yaml", "shop.yaml", "v2.yaml", "v3.yaml"];

#[test]
fn every_command_ends_as_its_table_of_statuses_says() {
    let folder = folder();
    fs::write(folder.path().join("bad.yaml"), "version: 1\ntopology: t\nservices: { a: [] }\n")
        .unwrap();
    for (status, arguments) in [
        (0, "simulate shop.yaml --break pay --trials 64"),
        (0, "simulate shop.yaml --trials 64"),
        (0, "check shop.yaml --change v2.yaml --max-failed order=99% --trials 64 --fail-on stop"),
        (3, "check shop.yaml --change v2.yaml --max-failed order=100% --trials 64"),
        (1, "check shop.yaml --change v2.yaml --max-lost order=1 --trials 64"),
        (3, "check shop.yaml --change v2.yaml --trials 64 --max-trials 64 --max-failed order=32%"),
        (
            0,
            "check shop.yaml --change v2.yaml --trials 64 --max-trials 64 --max-failed order=32% --fail-on stop",
        ),
        (0, "rank shop.yaml --trials 64"),
        (0, "explain shop.yaml --break pay --trials 64"),
        (0, "diagram shop.yaml --break pay --trials 64 -o picture.svg"),
        (0, "validate shop.yaml v2.yaml both.yaml"),
        (1, "validate bad.yaml"),
        (1, "validate bad.yaml --format json"),
        (2, "validate missing.yaml"),
        (2, "validate v2.yaml"),
        (2, "simulate bad.yaml --break a"),
        (2, "simulate missing.yaml --break a"),
        (2, "simulate shop.yaml --break nobody"),
        (2, "simulate shop.yaml --break pay --trials 0"),
        (2, "simulate shop.yaml --break pay --chaneg v2.yaml"),
        (2, "check shop.yaml --change bad.yaml"),
        (2, "check shop.yaml --change v2.yaml --max-failed nobody=5%"),
        (2, "check shop.yaml --change v2.yaml --max-failed order=1"),
        (2, "check shop.yaml --change v2.yaml --spent nobody=5m"),
        (2, "check shop.yaml --change v2.yaml --spent order=-5m"),
        (2, "check shop.yaml --change v2.yaml --policy v2.yaml"),
        (2, "rank missing.yaml"),
        (2, "explain shop.yaml --flow nobody"),
        (2, "import compose missing.yaml"),
        (2, "schema nothing"),
        (2, "completions dos"),
        (2, "smiulate"),
        (2, ""),
        (0, "--version"),
        (0, "help check"),
        (0, "schema topology"),
        (0, "policy default"),
    ] {
        let output = run(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments}\n{}", said(&output));
        let has_said = !output.stderr.is_empty();
        // What `validate` finds is its result, even where it is that a file cannot be read.
        if status == 2 && !arguments.starts_with("validate missing") {
            assert!(output.stdout.is_empty() && has_said, "{arguments}\n{}", found(&output));
        }
    }
}

#[test]
fn standard_input_is_a_topology_or_a_change_but_not_both() {
    let folder = folder();
    let [topology, change, files] = [
        run_with_input(folder.path(), "simulate - --change v2.yaml --trials 64", TOPOLOGY),
        run_with_input(folder.path(), "simulate shop.yaml --change - --trials 64", CHANGE),
        run(folder.path(), "simulate shop.yaml --change v2.yaml --trials 64"),
    ];
    assert_eq!(files.status.code(), Some(0));
    assert_eq!(found(&topology), found(&files));
    assert_eq!(found(&change), found(&files));
    let both = run_with_input(folder.path(), "simulate - --change -", TOPOLOGY);
    assert_eq!(both.status.code(), Some(2));
    assert!(said(&both).contains("standard input can be read only once"), "{}", said(&both));
    let broken =
        run_with_input(folder.path(), "validate -", "version: 1\ntopology: t\nservces: {}\n");
    assert_eq!(broken.status.code(), Some(1));
    assert!(found(&broken).contains("services"), "{}", found(&broken));
}

#[test]
fn a_scenario_runs_by_itself_and_ships_all_its_changes_in_one_window() {
    let folder = folder();
    let json = "--trials 256 --format json";
    let scenario = run(folder.path(), &format!("check both.yaml {json}"));
    let changes = "--change v2.yaml --change v3.yaml";
    let changes = run(folder.path(), &format!("check shop.yaml {changes} {json}"));
    assert!(!changes.stdout.is_empty(), "{}", said(&changes));
    assert_eq!(found(&scenario), found(&changes));
    assert_eq!(scenario.status.code(), changes.status.code());
    // One that is named is the only one.
    let one = run(folder.path(), &format!("simulate both.yaml --change v2.yaml {json}"));
    let alone = run(folder.path(), &format!("simulate shop.yaml --change v2.yaml {json}"));
    assert_eq!(found(&one), found(&alone));
    let ranked = run(folder.path(), &format!("rank both.yaml {json}"));
    assert_eq!(found(&ranked), found(&run(folder.path(), &format!("rank shop.yaml {json}"))));
}

#[test]
fn everything_that_is_wrong_with_all_files_is_said_at_once() {
    let folder = folder();
    let topology = "version: 1\ntopology: t\nservices:\n  web: { dependencies: [pya], tier: x }\n  \
                    pay: { availability: 120% }\nflows:\n  order: { steps: [wbe] }\n";
    fs::write(folder.path().join("bad.yaml"), topology).unwrap();
    fs::write(
        folder.path().join("v4.yaml"),
        "version: 1\nchange: v4\ntargets: [pay]\nchange: v5\n",
    )
    .unwrap();
    let output = run(folder.path(), "simulate bad.yaml --change v4.yaml -o out.json");
    assert_eq!(output.status.code(), Some(2));
    for wanted in
        ["bad.yaml:4:", "`pya`", "bad.yaml:5:", "120%", "bad.yaml:7:", "`wbe`", "v4.yaml:4:"]
    {
        assert!(said(&output).contains(wanted), "nothing of {wanted} in\n{}", said(&output));
    }
    let unread = run(folder.path(), "simulate shop.yaml --change no.yaml --change none.yaml");
    assert!(said(&unread).contains("no.yaml") && said(&unread).contains("none.yaml"));
    assert!(!folder.path().join("out.json").exists());
}

#[test]
fn what_cannot_be_written_is_refused_and_nothing_is_left() {
    let folder = folder();
    fs::create_dir(folder.path().join("folder")).unwrap();
    for command in [
        "simulate shop.yaml --change v2.yaml --trials 64",
        "check shop.yaml --change v2.yaml --trials 64",
        "rank shop.yaml --trials 64",
        "explain shop.yaml --change v2.yaml --trials 64",
        "diagram shop.yaml --change v2.yaml --trials 64",
        "validate shop.yaml",
    ] {
        for (path, why) in [
            ("missing/out.svg", "there is no such directory"),
            ("folder", "it is a directory"),
            ("shop.yaml", "it is one of the inputs"),
        ] {
            let output = run(folder.path(), &format!("{command} -o {path}"));
            assert_eq!(output.status.code(), Some(2), "{command} -o {path}: {}", said(&output));
            assert!(
                said(&output).contains(why) || command.starts_with("diagram"),
                "{}",
                said(&output)
            );
            assert!(output.stdout.is_empty(), "{command} -o {path}");
        }
    }
    assert_eq!(fs::read_to_string(folder.path().join("shop.yaml")).unwrap(), TOPOLOGY);
    fs::remove_dir(folder.path().join("folder")).unwrap();
    assert_eq!(names(folder.path()), BEFORE);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_not_a_verdict() {
    let folder = folder();
    let full = || File::options().write(true).open("/dev/full").expect("Linux has it");
    let output = program(folder.path())
        .args(["check", "shop.yaml", "--change", "v2.yaml", "--trials", "64"])
        .stdout(full())
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("cannot write the result"), "{}", said(&output));
    let output = run(folder.path(), "simulate shop.yaml --break pay --trials 64 -o /dev/full");
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("the disk is full"), "{}", said(&output));
}

#[test]
fn a_reader_that_has_seen_enough_changes_no_status() {
    let folder = folder();
    for (status, arguments) in [
        (0, "simulate shop.yaml --break pay --trials 64"),
        (1, "check shop.yaml --change v2.yaml --max-lost order=1 --trials 64"),
        (0, "rank shop.yaml --trials 64 --format json"),
        (0, "explain shop.yaml --break pay --trials 64"),
        (0, "validate shop.yaml"),
        (0, "schema result"),
        (0, "policy default"),
        (0, "completions bash"),
        (0, "man"),
        (0, "help"),
    ] {
        let mut child = program(folder.path())
            .args(arguments.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(status), "{arguments}\n{}", said(&output));
        assert!(!said(&output).contains("error"), "{arguments}\n{}", said(&output));
    }
}

/// Starts what would take for ever, lets it run for some time, and ends it as Ctrl-C does.
#[cfg(target_os = "linux")]
fn interrupted(folder: &Path, arguments: &str, after: std::time::Duration) -> Output {
    let child = program(folder)
        .args(arguments.split_whitespace())
        .args(["--trials", "1000M", "--threads", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let id = child.id().to_string();
    let listens = || {
        let status = fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        // The second bit is that of signal 2, SIGINT.
        u64::from_str_radix(caught.expect("a mask").trim(), 16).expect("a mask") & 0b10 != 0
    };
    while !listens() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    std::thread::sleep(after);
    let sent = Command::new("kill").args(["-INT", &id]).status().expect("there is a `kill`");
    assert!(sent.success());
    child.wait_with_output().expect("it ends")
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_leaves_nothing_half_written() {
    let folder = folder();
    fs::write(folder.path().join("out.json"), "the last result").unwrap();
    let soon = std::time::Duration::ZERO;
    for command in [
        "simulate shop.yaml --change v2.yaml",
        "check shop.yaml --change v2.yaml",
        "rank shop.yaml",
    ] {
        let output =
            interrupted(folder.path(), &format!("{command} --format json -o out.json"), soon);
        assert_eq!(output.status.code(), Some(130), "{command}: {}", said(&output));
        assert!(said(&output).contains("nothing was written"), "{}", said(&output));
        assert!(output.stdout.is_empty());
    }
    let old = fs::read_to_string(folder.path().join("out.json")).unwrap();
    assert_eq!(old, "the last result");
    fs::remove_file(folder.path().join("out.json")).unwrap();
    assert_eq!(names(folder.path()), BEFORE);
}

#[cfg(target_os = "linux")]
#[test]
fn a_partial_result_says_that_it_is_one_and_how_far_it_came() {
    let folder = folder();
    for command in ["simulate shop.yaml --change v2.yaml", "check shop.yaml --change v2.yaml"] {
        for format in ["json", "text", "markdown"] {
            let arguments = format!("{command} --partial --format {format}");
            // On a busy machine the first trials may take longer: then it is given more time.
            let output = [100, 1_000, 10_000]
                .map(std::time::Duration::from_millis)
                .into_iter()
                .map(|after| interrupted(folder.path(), &arguments, after))
                .find(|output| !output.stdout.is_empty())
                .expect("some trials are done in ten seconds");
            assert_eq!(output.status.code(), Some(130), "{}", said(&output));
            let text = found(&output);
            if format == "json" {
                let result: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(result["partial"], true);
                assert!(result["trials"].as_u64().unwrap() < 1_000_000_000);
            } else {
                assert!(text.to_lowercase().contains("interrupted"), "{text}");
            }
        }
    }
}

/// The same on a terminal of its own, whose lines are what comes back.
#[cfg(target_os = "linux")]
fn on_a_terminal(folder: &Path, arguments: &str, no_color: bool) -> String {
    let mut command = Command::new("script");
    let program = program_path();
    command.args(["-qec", &format!("'{}' {arguments}", program.display()), "/dev/null"]);
    command.current_dir(folder).stdin(Stdio::null()).env("TERM", "xterm-256color");
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
        command.env_remove(name);
    }
    if no_color {
        command.env("NO_COLOR", "1");
    }
    let output = command.output().expect("`script` is part of every Linux");
    assert!(output.status.success(), "{}", found(&output));
    found(&output)
}

const ESCAPE: char = '\u{1b}';

#[cfg(target_os = "linux")]
#[test]
fn colors_are_for_terminals_that_want_them() {
    let folder = folder();
    let arguments = "simulate shop.yaml --break pay --trials 64 --no-progress";
    assert!(on_a_terminal(folder.path(), arguments, false).contains(ESCAPE));
    assert!(!on_a_terminal(folder.path(), arguments, true).contains(ESCAPE));
    let never = format!("{arguments} --color never");
    assert!(!on_a_terminal(folder.path(), &never, false).contains(ESCAPE));
    for arguments in [arguments, "simulate shop.yaml --break pya", "help check", "validate v2.yaml"]
    {
        let piped = run(folder.path(), arguments);
        assert!(!found(&piped).contains(ESCAPE) && !said(&piped).contains(ESCAPE), "{arguments}");
        let always = run(folder.path(), &format!("{arguments} --color always"));
        let is_plain_help = arguments.starts_with("help");
        assert!(is_plain_help || (found(&always) + &said(&always)).contains(ESCAPE), "{arguments}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn progress_is_shown_to_a_terminal_and_to_nothing_else() {
    let folder = folder();
    // So many that it takes longer than the moment for which no bar is worth it.
    let arguments = "simulate shop.yaml --change v2.yaml --trials 300k --threads 1 -o out.txt";
    let bar = "simulating [";
    assert!(on_a_terminal(folder.path(), arguments, false).contains(bar));
    for quiet in ["--quiet", "--no-progress"] {
        let quiet = format!("{arguments} {quiet}");
        assert!(!on_a_terminal(folder.path(), &quiet, false).contains(bar), "{quiet}");
    }
    let piped = run(folder.path(), arguments);
    assert!(!said(&piped).contains(bar), "{}", said(&piped));
}

#[test]
fn installers_get_completions_and_manual_pages() {
    let folder = folder();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = found(&run(folder.path(), &format!("completions {shell}")));
        for word in ["simulate", "check", "explain", "--precision"] {
            assert!(script.contains(word.trim_start_matches('-')), "no {word} for {shell}");
        }
    }
    let page = found(&run(folder.path(), "man"));
    assert!(page.contains(".TH blastwave 1"), "{page}");
    for command in ["simulate", "check", "rank", "explain", "diagram", "import", "validate"] {
        assert!(page.contains(command), "no {command} in the page of the program");
        let page = found(&run(folder.path(), &format!("man {command}")));
        assert!(page.contains(".SH OPTIONS") && page.contains(".SH SYNOPSIS"), "{command}: {page}");
    }
    let wrong = run(folder.path(), "man simulat");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(said(&wrong).contains("did you mean `simulate`?"), "{}", said(&wrong));
}

fn shipped(path: &str) -> String {
    format!("{}/topologies/{path}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn any_number_of_threads_writes_the_same_bytes() {
    let folder = folder();
    let (topology, change) = (shipped("webshop.yaml"), shipped("changes/webshop/payments-v4.yaml"));
    for format in ["text", "json", "markdown"] {
        let told = [1, 2, 3, 8].map(|threads| {
            let how =
                format!("--trials 2000 --max-trials 4000 --format {format} --threads {threads}");
            found(&run(folder.path(), &format!("check {topology} --change {change} {how}")))
        });
        assert!(!told[0].is_empty());
        assert!(told.iter().all(|text| *text == told[0]), "{format}");
    }
}

/// The same mappings with their keys in another order; lists keep theirs.
fn shuffled(value: Value, by: usize) -> Value {
    match value {
        Value::Mapping(mapping) => {
            let mut entries: Vec<_> = mapping.into_iter().collect();
            entries.reverse();
            let by = by % entries.len().max(1);
            entries.rotate_left(by);
            entries
                .into_iter()
                .map(|(key, value)| (key, shuffled(value, by + 1)))
                .collect::<serde_yaml::Mapping>()
                .into()
        }
        Value::Sequence(items) => {
            items.into_iter().map(|item| shuffled(item, by + 1)).collect::<Vec<_>>().into()
        }
        other => other,
    }
}

#[test]
fn the_order_of_keys_changes_no_byte() {
    let folder = folder();
    let rewrite = |path: &str, name: &str, by: usize| {
        let text = fs::read_to_string(shipped(path)).expect("it is shipped");
        let value = shuffled(serde_yaml::from_str(&text).expect("YAML"), by);
        let text = serde_yaml::to_string(&value).expect("YAML again");
        fs::write(folder.path().join(name), text).expect("written");
    };
    let (topology, change) = ("webshop.yaml", "changes/webshop/payments-v4.yaml");
    // A verdict also says where in the files its causes stand, which is elsewhere then.
    let how = "--trials 500 --quiet --format";
    let told = |topology: &str, change: &str, format: &str| {
        found(&run(folder.path(), &format!("simulate {topology} --change {change} {how} {format}")))
    };
    for by in [0, 2, 5] {
        rewrite(topology, "t.yaml", by);
        rewrite(change, "c.yaml", by);
        for format in ["json", "text", "markdown"] {
            let expected = told(&shipped(topology), &shipped(change), format);
            assert!(!expected.is_empty());
            assert_eq!(told("t.yaml", "c.yaml", format), expected, "{format}, order {by}");
        }
    }
}

const COMPOSE: &str = "\
services:
  web: { image: acme/web, depends_on: [db], environment: { DB_HOST: db, PAY_URL: 'http://pay:80' } }
  pay: { image: acme/pay }
  db: { image: postgres }
";

#[test]
fn an_import_is_written_whole_says_what_it_found_and_can_be_used_at_once() {
    let folder = folder();
    fs::write(folder.path().join("compose.yaml"), COMPOSE).unwrap();
    let made = run(folder.path(), "import compose compose.yaml -o made.yaml");
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    assert!(made.stdout.is_empty());
    assert!(said(&made).lines().count() <= 10, "{}", said(&made));
    for word in [
        "services:     3",
        "dependencies: 2",
        "flows:        1",
        "next:         blastwave simulate",
    ] {
        assert!(said(&made).contains(word), "no `{word}` in\n{}", said(&made));
    }
    let status = |arguments: &str| run(folder.path(), arguments).status.code();
    assert_eq!(status("validate made.yaml"), Some(0));
    assert_eq!(status("simulate made.yaml --break db --trials 64"), Some(0));
    let text = fs::read_to_string(folder.path().join("made.yaml")).unwrap();
    // From standard input it is the same, but for where it came from.
    let piped = run_with_input(folder.path(), "import compose - --name made --quiet", COMPOSE);
    assert!(piped.stderr.is_empty(), "{}", said(&piped));
    let below = |text: &str| text[text.find("services:").expect("it has services")..].to_owned();
    assert_eq!(
        below(&found(&piped))
            .replace("<stdin>", "compose.yaml")
            .replace("\"-:", "\"compose.yaml:")
            .replace("; -:", "; compose.yaml:"),
        below(&text)
    );
    let auto = run(folder.path(), "import auto compose.yaml shop.yaml");
    assert!(said(&auto).contains("compose.yaml: compose"), "{}", said(&auto));
    assert!(said(&auto).contains("shop.yaml: left out"), "{}", said(&auto));
    // Again, into itself: nothing is new.
    let diff = run(folder.path(), "import compose compose.yaml --merge made.yaml --diff");
    assert_eq!(found(&diff), "nothing would change\n");
    assert_eq!(status("import compose compose.yaml --merge made.yaml -o made.yaml"), Some(0));
    assert_eq!(fs::read_to_string(folder.path().join("made.yaml")).unwrap(), text);
    // Neither what is no such file nor what is no topology writes anything.
    assert_eq!(status("import compose v2.yaml -o new.yaml"), Some(2));
    assert_eq!(status("import compose compose.yaml --merge v2.yaml -o new.yaml"), Some(2));
    assert!(!folder.path().join("new.yaml").exists());
}

#[test]
fn no_file_that_was_read_is_ever_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("topologies");
    fs::copy(shipped.join("webshop.yaml"), at("t.yaml")).unwrap();
    fs::copy(shipped.join("changes/webshop/payments-v4.yaml"), at("c.yaml")).unwrap();
    let rules = "version: 1\npolicy: p\nrules: [{ name: r, when: 'false', verdict: stop }]\n";
    fs::write(at("p.yaml"), rules).unwrap();
    let scenario = "version: 1\nscenario: s\ntopology: t.yaml\nchange: c.yaml\npolicy: p.yaml\n";
    fs::write(at("s.yaml"), scenario).unwrap();
    let run = |args: &[&str]| program(folder.path()).args(args).output().unwrap();
    let base = ["check", "s.yaml", "--trials", "64", "--quiet", "--format", "json"];
    assert_ne!(run(&[&base[..], &["-o", "base.json"]].concat()).status.code(), Some(2));
    for input in ["s.yaml", "t.yaml", "c.yaml", "p.yaml", "base.json"] {
        let before = fs::read(at(input)).unwrap();
        let output = run(&[&base[..], &["--baseline", "base.json", "-o", input]].concat());
        assert_eq!(output.status.code(), Some(2), "{input}");
        assert_eq!(fs::read(at(input)).unwrap(), before, "{input}");
    }
}
