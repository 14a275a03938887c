//! What is shipped for pipelines does what it says: the shell steps of the GitHub action, of the GitLab
//! job and of the pre-commit hooks are run in a repository of their own.

use crate::support::program_path;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_yaml::Value;
use tempfile::TempDir;

const TOPOLOGY: &str = "\
version: 1
topology: shop
services:
  web: { paths: [web/**], utilization: 50%, dependencies: [{ service: pay, timeout: 1s, fallback: { static: true, works: 70% } }] }
  pay: { paths: [pay/**], utilization: 50% }
  log: { paths: [log/**], utilization: 50% }
flows:
  order: { steps: [web], rate: 60/min, critical: true }
";

fn shipped(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join(path)).unwrap_or_else(|_| panic!("`{path}` is there"))
}

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&shipped(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text, not {value:?}")).to_owned()
}

/// A repository with a topology, and then a commit of one more file.
struct Repository {
    folder: TempDir,
}

impl Repository {
    fn with(file: &str) -> Self {
        let item = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(item.path("topology.yaml"), TOPOLOGY).unwrap();
        item.shell("git init -q . && git add . && git commit -qm one", &BTreeMap::new());
        fs::create_dir_all(item.path(file).parent().unwrap()).unwrap();
        fs::write(item.path(file), "x").unwrap();
        item.shell("git add . && git commit -qm two", &BTreeMap::new());
        item
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a step as a runner does, with the program on the path.
    fn shell(&self, script: &str, environment: &BTreeMap<String, String>) -> Output {
        let bin = program_path().parent().unwrap().to_owned();
        let old = std::env::var("PATH").unwrap();
        let path = format!("{}:{}:{old}", self.path("bin").display(), bin.display());
        let output = Command::new("bash")
            .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script])
            .current_dir(self.folder.path())
            .env("PATH", path)
            .env("HOME", self.folder.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs([("GIT_AUTHOR_NAME", "x"), ("GIT_AUTHOR_EMAIL", "x@example.org")])
            .envs([("GIT_COMMITTER_NAME", "x"), ("GIT_COMMITTER_EMAIL", "x@example.org")])
            .envs(environment)
            .output()
            .unwrap();
        assert_ne!(output.status.code(), Some(127), "{}", said(&output));
        output
    }
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// `${{ NAME }}` as a runner fills it in.
fn filled(template: &str, values: &BTreeMap<String, String>) -> String {
    let mut parts = template.split("${{");
    let mut filled = parts.next().unwrap().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("}}").unwrap();
        let name = name.trim();
        filled.push_str(values.get(name).unwrap_or_else(|| panic!("`{name}` is not known")));
        filled.push_str(rest);
    }
    filled
}

/// Runs all shell steps of the action until one fails; gives the last status and all that was said.
fn action(repository: &Repository, inputs: &[(&str, &str)]) -> (i32, String) {
    let action = yaml(".github/actions/check/action.yml");
    let event = [
        ("github.token", "secret"),
        ("github.action_repository", "tools/blastwave"),
        ("github.repository", "shop/shop"),
        ("github.server_url", "https://code.example"),
        ("github.run_id", "77"),
        ("github.event.pull_request.number", "7"),
        ("github.event.pull_request.base.sha", "HEAD~1"),
    ];
    let mut values: BTreeMap<String, String> =
        event.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    for (name, input) in action["inputs"].as_mapping().unwrap() {
        let name = text(name);
        let given = inputs.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned());
        let usual = input.get("default").map(|input| filled(&text(input), &values));
        let value = given.or(usual).unwrap_or_else(|| panic!("`{name}` is required"));
        values.insert(format!("inputs.{name}"), value);
    }
    let mut log = String::new();
    let mut status = 0;
    for step in action["runs"]["steps"].as_sequence().unwrap() {
        if let Some(uses) = step.get("uses") {
            // What others wrote is not run; what it is given has to be there.
            assert!(text(uses).starts_with("actions/upload-artifact@"), "{uses:?}");
            let kept = filled(&text(&step["with"]["path"]), &values);
            let page = fs::read_to_string(kept).expect("the page was written");
            assert!(page.starts_with("<!DOCTYPE html>"), "{page:.80}");
            continue;
        }
        assert_eq!(text(&step["shell"]), "bash");
        let mut environment: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in step.get("env").and_then(Value::as_mapping).into_iter().flatten() {
            environment.insert(text(name), filled(&text(value), &values));
        }
        for name in ["GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY", "RUNNER_TEMP"] {
            let path = repository.path(&name.to_lowercase());
            environment.insert(name.to_owned(), path.display().to_string());
        }
        let output = repository.shell(&text(&step["run"]), &environment);
        log.push_str(&said(&output));
        status = output.status.code().unwrap();
        if status != 0 && step.get("continue-on-error").is_none() {
            break;
        }
        let outputs = fs::read_to_string(repository.path("github_output")).unwrap_or_default();
        for (name, value) in outputs.lines().filter_map(|line| line.split_once('=')) {
            values.insert(format!("steps.check.outputs.{name}"), value.to_owned());
        }
    }
    (status, log)
}

/// A `gh` that knows one comment, or none, and writes down what it is asked to do.
fn fake_gh(repository: &Repository, known: &str) {
    fs::create_dir_all(repository.path("bin")).unwrap();
    let path = repository.path("bin/gh");
    let script = format!(
        "#!/bin/bash\nprintf '%s\\n' \"$*\" >> \"$HOME/asked\"\n[ \"$2\" != --paginate ] || printf '{known}'\n"
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_pull_request_that_changes_its_topology_is_judged_by_that_of_its_base() {
    let repository = Repository::with("web/a.rs");
    fake_gh(&repository, "");
    // All files now belong to a service that no flow needs.
    let lax = TOPOLOGY.replace("flows:", "  all: { paths: ['**'] }\nflows:");
    fs::write(repository.path("topology.yaml"), lax).unwrap();
    let inputs = [("topology", "topology.yaml"), ("range", "HEAD~1...HEAD")];
    let (ended, log) = action(&repository, &inputs);
    assert_eq!(ended, 3, "{log}");
    let summary = fs::read_to_string(repository.path("github_step_summary")).unwrap();
    assert!(summary.contains("web"), "{summary}");
}

#[test]
fn the_action_comments_and_ends_with_the_status_of_the_verdict() {
    let range = ("range", "HEAD~1...HEAD");
    for (file, status) in [("log/a.rs", 0), ("web/a b.rs", 3), ("pay/a.rs", 3), ("other", 3)] {
        let repository = Repository::with(file);
        fake_gh(&repository, "");
        let (ended, log) = action(&repository, &[("topology", "topology.yaml"), range]);
        assert_eq!(ended, status, "{file}: {log}");
        let summary = fs::read_to_string(repository.path("github_step_summary")).unwrap();
        assert!(summary.starts_with("<!-- blastwave:check:shop -->\n"), "{summary}");
        let link =
            "[Pictures and details](https://code.example/shop/shop/actions/runs/77#artifacts)";
        assert!(summary.contains(link), "{summary}");
        assert!(log.contains("title=blastwave%3A "), "{log}");
        assert!(repository.path("runner_temp/blastwave/check.sarif").exists());
        let asked = fs::read_to_string(repository.path("asked")).unwrap();
        assert!(asked.contains("-X POST repos/shop/shop/issues/7/comments -F body=@"), "{asked}");
    }
}

#[test]
fn the_action_updates_its_comment_and_takes_what_it_is_given() {
    let repository = Repository::with("docs/a.md");
    fake_gh(&repository, "41\\n42\\n");
    let mut inputs = vec![("topology", "topology.yaml"), ("range", "HEAD~1..HEAD")];
    inputs.push(("ignore-files", "*.txt\ndocs/**\n"));
    assert_eq!(action(&repository, &inputs).0, 0);
    let asked = fs::read_to_string(repository.path("asked")).unwrap();
    // Whoever writes the marker is not thereby the author.
    assert!(asked.contains("select(.user.login == env.AUTHOR and"), "{asked}");
    assert!(asked.contains("-X PATCH repos/shop/shop/issues/comments/41 "), "{asked}");
    let policy = "version: 1\npolicy: p\nrules: [{ name: a, when: 'now > 0', verdict: stop }]\n";
    fs::write(repository.path("wrong.yaml"), policy).unwrap();
    inputs.push(("policy", "wrong.yaml"));
    let (status, log) = action(&repository, &inputs);
    assert_eq!(status, 2, "{log}");
    let change = "version: 1\nchange: v2\ntargets: [pay]\n";
    fs::write(repository.path("v2.yaml"), change).unwrap();
    let inputs = [
        ("topology", "topology.yaml"),
        ("change", "v2.yaml\n"),
        ("fail-on", "stop"),
        ("now", "clock"),
    ];
    assert_eq!(action(&repository, &inputs).0, 0);
}

/// Runs the step that installs, where no program is on the path: a release is at hand with this content.
fn install(repository: &Repository, checksum: &str, releases: &str) -> (i32, String) {
    let action = yaml(".github/actions/check/action.yml");
    let step = &action["runs"]["steps"][0];
    let tools = "for tool in bash uname mkdir tar gzip sha256sum cat cp; do [ -e \"$HOME/bin/$tool\" ] || ln -s \"$(command -v $tool)\" \"$HOME/bin/$tool\"; done";
    fs::create_dir_all(repository.path("bin")).unwrap();
    assert!(repository.shell(tools, &BTreeMap::new()).status.success());
    let gh = "#!/bin/bash\nprintf '%s\\n' \"$*\" >> \"$HOME/asked\"\n[ \"$1\" != release ] || cp \"$HOME/release.tar.gz\" \"${9}/$7\"\n[ \"$1\" != attestation ] || exit \"${ATTESTED:-0}\"\n";
    fs::write(repository.path("bin/gh"), gh).unwrap();
    fs::set_permissions(repository.path("bin/gh"), fs::Permissions::from_mode(0o755)).unwrap();
    let environment = [
        ("VERSION", "0.1.0".to_owned()),
        ("CHECKSUM", checksum.to_owned()),
        ("RELEASES", releases.to_owned()),
        ("PATH", repository.path("bin").display().to_string()),
        ("RUNNER_TEMP", repository.path("temp").display().to_string()),
        ("GITHUB_PATH", repository.path("paths").display().to_string()),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value)).into();
    let output = repository.shell(&text(&step["run"]), &environment);
    (output.status.code().unwrap(), said(&output))
}

#[test]
fn the_action_installs_one_release_and_only_the_file_that_was_released() {
    let repository = Repository::with("a");
    let pack = "mkdir -p x/blastwave-0.1.0 && echo program > x/blastwave-0.1.0/blastwave && tar -czf release.tar.gz -C x blastwave-0.1.0 && sha256sum release.tar.gz";
    let packed = said(&repository.shell(pack, &BTreeMap::new()));
    let checksum = packed.split_whitespace().next().unwrap();
    let (status, log) = install(&repository, checksum, "tools/blastwave");
    assert_eq!(status, 0, "{log}");
    let folder = fs::read_to_string(repository.path("paths")).unwrap();
    assert!(Path::new(folder.trim()).join("blastwave").is_file(), "{folder}");
    let asked = || fs::read_to_string(repository.path("asked")).unwrap();
    assert!(asked().starts_with("release download v0.1.0 --repo tools/blastwave "), "{}", asked());
    fs::remove_dir_all(repository.path("temp")).unwrap();
    let (status, log) = install(&repository, &"0".repeat(64), "tools/blastwave");
    assert_ne!(status, 0, "another file is refused: {log}");
    assert!(!repository.path("temp/blastwave-0.1.0/blastwave").exists());
    let (status, log) = install(&repository, "", "tools/blastwave");
    assert_eq!(status, 0, "{log}");
    assert!(asked().contains("attestation verify "), "{}", asked());
    let (status, log) = install(&repository, checksum, "");
    assert_eq!(status, 2, "{log}");
}

#[test]
fn the_action_installs_the_version_that_it_comes_with() {
    let action = yaml(".github/actions/check/action.yml");
    assert_eq!(text(&action["inputs"]["version"]["default"]), env!("CARGO_PKG_VERSION"));
}

/// Every file that is shipped for a code host.
const FOR_HOSTS: [&str; 5] = [
    ".github/actions/check/action.yml",
    ".github/examples/gitlab-ci.yml",
    ".github/examples/workflow.yml",
    ".github/workflows/ci.yml",
    ".github/workflows/release.yml",
];

#[test]
fn nothing_that_is_shipped_takes_whatever_bears_a_name() {
    for path in FOR_HOSTS {
        for line in shipped(path).lines() {
            let bare = line.contains("cargo install") && !line.contains("--version");
            assert!(!bare, "{path}: a crate without its version: {line}");
            let Some((_, used)) = line.split_once("uses: ") else { continue };
            if used.starts_with("./") {
                continue;
            }
            let (_, pin) = used.split_once('@').unwrap();
            let commit = pin.split_whitespace().next().unwrap();
            let is_commit = commit.len() == 40 && commit.bytes().all(|c| c.is_ascii_hexdigit());
            assert!(is_commit && pin.contains(" # v"), "{path}: pin the commit: {used}");
        }
    }
}

#[test]
fn workflows_may_only_read_unless_a_job_says_what_it_writes() {
    for path in [".github/workflows/ci.yml", ".github/workflows/release.yml"] {
        let permissions = &yaml(path)["permissions"];
        assert_eq!(permissions["contents"].as_str(), Some("read"), "{path}");
        assert_eq!(permissions.as_mapping().unwrap().len(), 1, "{path}");
    }
}

#[test]
fn the_workflow_gives_the_action_what_it_takes() {
    let workflow = yaml(".github/examples/workflow.yml");
    let steps = workflow["jobs"]["check"]["steps"].as_sequence().unwrap();
    let step = steps.iter().find(|step| text(&step["uses"]) == "./.github/actions/check").unwrap();
    let action = yaml(".github/actions/check/action.yml");
    for (name, _) in step["with"].as_mapping().unwrap() {
        assert!(action["inputs"].get(name).is_some(), "the action takes no {name:?}");
    }
    for (name, input) in action["inputs"].as_mapping().unwrap() {
        assert!(input.get("default").is_some() || step["with"].get(name).is_some(), "{name:?}");
    }
}

#[test]
fn the_gitlab_job_fails_on_stop_and_is_allowed_to_on_caution() {
    let job = &yaml(".github/examples/gitlab-ci.yml")["blast-radius"];
    let lines =
        |key: &str| -> Vec<String> { job[key].as_sequence().unwrap().iter().map(text).collect() };
    let script = [lines("before_script"), lines("script")].concat().join("\n");
    assert_eq!(job["allow_failure"]["exit_codes"].as_i64(), Some(3));
    for (file, status) in [("log/a.rs", 0), ("docs/a.md", 0), ("web/a.rs", 3), ("pay/a.rs", 3)] {
        let repository = Repository::with(file);
        let base = repository.shell("git rev-parse HEAD~1", &BTreeMap::new());
        let base = String::from_utf8(base.stdout).unwrap().trim().to_owned();
        let mut environment = BTreeMap::from([("CI_MERGE_REQUEST_DIFF_BASE_SHA".to_owned(), base)]);
        for (name, value) in job["variables"].as_mapping().unwrap() {
            environment.insert(text(name), text(value));
        }
        let output = repository.shell(&script, &environment);
        assert_eq!(output.status.code(), Some(status), "{file}: {}", said(&output));
        let report = text(&job["artifacts"]["reports"]["junit"]);
        let report = fs::read_to_string(repository.path(&report)).unwrap();
        assert!(report.contains("<testsuite "), "{report}");
    }
}

#[test]
fn the_hooks_validate_and_check_what_is_staged() {
    let hooks = yaml(".pre-commit-hooks.yaml");
    let entry = |id: &str| {
        let hooks = hooks.as_sequence().unwrap();
        text(&hooks.iter().find(|hook| text(&hook["id"]) == id).unwrap()["entry"])
    };
    let repository = Repository::with("log/a.rs");
    let none = BTreeMap::new();
    let run = |id: &str| repository.shell(&format!("{} topology.yaml", entry(id)), &none);
    let output = run("blastwave-validate");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    for (file, status) in [("log/b.rs", 0), ("pay/a \"b\".rs", 3), ("web/a.rs", 3)] {
        fs::create_dir_all(repository.path(file).parent().unwrap()).unwrap();
        fs::write(repository.path(file), "x").unwrap();
        repository.shell("git add .", &none);
        let output = run("blastwave-check");
        assert_eq!(output.status.code(), Some(status), "{file}: {}", said(&output));
        assert_eq!(said(&output).lines().count(), 1, "{}", said(&output));
    }
    fs::write(repository.path("topology.yaml"), "version: 1\ntopology: shop\nservice: {}\n")
        .unwrap();
    assert_eq!(run("blastwave-validate").status.code(), Some(1));
    assert_eq!(run("blastwave-check").status.code(), Some(2));
}
