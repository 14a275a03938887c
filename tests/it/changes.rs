//! Changes made from plans, manifests, rollouts and flags: the whole file that each becomes, that all of them
//! can be checked, and that what belongs to no service is never taken for safe.
//!
//! The sources stand in `changes/`, and beside each what it becomes. `UPDATE=1 cargo test --test it changes::`
//! writes that anew: read the difference.

use std::path::{Path, PathBuf};
use std::process::Output;

use blastwave::diagnostic::Sources;
use blastwave::import::{ChangeFormat, ChangeRequest, DerivedChange, derive_change};
use blastwave::load;
use blastwave::model::{Change, Topology};
use proptest::prelude::*;

use crate::support::{KeptFiles, program};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/changes")
}

/// Every source, with its format and the file that keeps what it becomes.
const SOURCES: [(&str, &[&str], &str); 6] = [
    ("terraform", &["plan.json"], "plan.yaml"),
    ("kubernetes", &["old.yaml", "new.yaml"], "manifests.yaml"),
    ("argo-rollouts", &["rollout.yaml"], "rollout-change.yaml"),
    ("flagger", &["canary.yaml"], "canary-change.yaml"),
    ("launchdarkly", &["flags-before.json", "flags-after.json"], "flags.yaml"),
    ("openfeature", &["flagd.json"], "flagd.yaml"),
];

fn run(args: &[&str]) -> Output {
    program(folder()).args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn every_source_becomes_the_change_that_is_kept_beside_it() {
    let mut kept = KeptFiles::default();
    for (format, files, becomes) in SOURCES {
        let output = run(&[&["change", format], files, &["--topology", "shop.yaml"]].concat());
        assert_eq!(output.status.code(), Some(0), "{format}: {}", stderr(&output));
        kept.compare(&folder().join(becomes), &stdout(&output));
    }
    kept.assert_current();
}

#[test]
fn what_is_written_can_be_checked_and_says_the_same_as_the_plan_itself() {
    let json = ["--trials", "200", "--format", "json", "--quiet"];
    let decision = |args: &[&str]| {
        let output = run(&[&["check", "shop.yaml"], args, &json[..]].concat());
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let verdict = &report["verdict"];
        (output.status.code(), verdict["decision"].clone(), verdict["reasons"].clone())
    };
    let (status, of_plan, reasons) = decision(&["--plan", "plan.json"]);
    assert_eq!((status, of_plan.as_str()), (Some(1), Some("stop")));
    assert!(reasons.to_string().contains("aws_route53_record.legacy"), "{reasons}");
    assert_eq!(decision(&["--change", "plan.yaml"]), (status, of_plan, reasons));
    let of_manifests = decision(&["--manifests", "old.yaml", "new.yaml"]);
    assert_eq!(of_manifests, decision(&["--change", "manifests.yaml"]));
}

#[test]
fn what_is_assumed_is_reported() {
    let output = run(&["check", "shop.yaml", "--plan", "plan.json", "--trials", "64", "--quiet"]);
    let text = stdout(&output).split_whitespace().collect::<Vec<_>>().join(" ");
    let assumed = text.split_once("Assumed").unwrap().1;
    for said in [
        "aws_db_instance.orders: replaced (`storage_encrypted` cannot change in place)",
        "desired_count from 10 to 6",
        "comes back after 20m",
    ] {
        assert!(assumed.contains(said), "{said}: {assumed}");
    }
}

/// What the gate says of a plan with these changes of resources.
fn judge(changes: &str, more: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let plan = format!("{{\"format_version\":\"1.2\",\"resource_changes\":[{changes}]}}");
    std::fs::write(folder.path().join("plan.json"), plan).unwrap();
    let topology = self::folder().join("shop.yaml");
    let topology = topology.to_str().unwrap();
    let output = program(folder.path())
        .args(["check", topology, "--plan", "plan.json", "--trials", "64", "--format", "short"])
        .args(more)
        .output()
        .unwrap();
    (output.status.code(), stdout(&output) + &stderr(&output))
}

fn resource(address: &str, kind: &str, change: &str) -> String {
    format!("{{\"address\":\"{address}\",\"type\":\"{kind}\",\"name\":\"x\",\"change\":{change}}}")
}

#[test]
fn a_plan_that_touches_no_service_proceeds_and_what_is_unknown_does_not() {
    let tags =
        "{\"actions\":[\"update\"],\"before\":{\"tags\":{}},\"after\":{\"tags\":{\"a\":\"b\"}}}";
    let (status, said) = judge(&resource("aws_sqs_queue.x", "aws_sqs_queue", tags), &[]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("no service is touched"), "{said}");
    let setting = "{\"actions\":[\"update\"],\"before\":{\"a\":1},\"after\":{\"a\":2}}";
    let unknown = resource("module.other.aws_sqs_queue.x", "aws_sqs_queue", setting);
    let (status, said) = judge(&unknown, &[]);
    assert_eq!(status, Some(3), "{said}");
    assert!(said.contains("1 changed resource belongs to no service"), "{said}");
    let (status, said) = judge(&unknown, &["--ignore-resources", "module.other"]);
    assert_eq!(status, Some(0), "{said}");
    // An action that this program has never heard of is the worst that an update can be.
    let odd = resource("aws_db_instance.orders", "aws_db_instance", "{\"actions\":[\"melt\"]}");
    assert_ne!(judge(&odd, &[]).0, Some(0));
}

#[test]
fn what_is_destroyed_is_down_and_less_capacity_is_felt_where_load_is_known() {
    let destroyed = "{\"actions\":[\"delete\"],\"before\":{},\"after\":null}";
    let (status, said) =
        judge(&resource("aws_db_instance.orders", "aws_db_instance", destroyed), &[]);
    assert_eq!(status, Some(1), "{said}");
    let scaled = |from: u32, to: u32| {
        let change = format!(
            "{{\"actions\":[\"update\"],\"before\":{{\"desired_count\":{from}}},\"after\":{{\"desired_count\":{to}}}}}"
        );
        judge(&resource("module.checkout.aws_ecs_service.x", "aws_ecs_service", &change), &[])
    };
    // Ten replicas run at 60%: eight carry the load, five do not.
    assert_eq!(scaled(10, 8).0, Some(0), "{}", scaled(10, 8).1);
    assert_eq!(scaled(10, 5).0, Some(1), "{}", scaled(10, 5).1);
    assert_eq!(scaled(10, 20).0, Some(0), "{}", scaled(10, 20).1);
}

#[test]
fn files_that_are_no_plan_are_refused_with_what_to_do() {
    for (text, said) in [
        ("{}", "it has no `format_version`"),
        ("{\"format_version\":\"2.0\",\"resource_changes\":[]}", "a plan of format 2.0"),
        ("{\"format_version\":\"1.0\",\"values\":{}}", "is a state, not a plan"),
        (
            "{\"format_version\":\"1.2\",\"errored\":true,\"resource_changes\":[]}",
            "ended with errors",
        ),
        ("{\"format_version\":", "this is not JSON"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("plan.json"), text).unwrap();
        let topology = self::folder().join("shop.yaml");
        let arguments = ["change", "terraform", "plan.json", "-o", "change.yaml", "--topology"];
        let output = program(folder.path()).args(arguments).arg(topology).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(stderr(&output).contains(said), "{text}: {}", stderr(&output));
        assert!(!folder.path().join("change.yaml").exists(), "nothing is written");
    }
    let wrong = run(&["change", "kubernetes", "old.yaml", "--topology", "shop.yaml"]);
    assert!(stderr(&wrong).contains("the manifests before and after"), "{}", stderr(&wrong));
    let wrong = run(&["change", "flagger", "old.yaml", "--topology", "shop.yaml"]);
    assert!(stderr(&wrong).contains("manifests of `kind: Canary`"), "{}", stderr(&wrong));
    let environment = ["--environment", "prodution", "--topology", "shop.yaml"];
    let wrong = run(&[&["change", "launchdarkly", "flags-after.json"], &environment[..]].concat());
    assert!(stderr(&wrong).contains("--environment production"), "{}", stderr(&wrong));
}

fn shop() -> Topology {
    let mut sources = Sources::default();
    let document = load::read_document(folder().join("shop.yaml").to_str().unwrap(), &mut sources);
    Topology::from_document(&document.unwrap()).unwrap()
}

fn derive(format: ChangeFormat, texts: &[&str], topology: &Topology) -> Option<DerivedChange> {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let path = folder.path().join(format!("{index}.yaml"));
        std::fs::write(&path, text).unwrap();
        files.push(path.to_str().unwrap().to_owned());
    }
    let request =
        ChangeRequest { format, files: &files, name: "test", ignored: &[], environment: None };
    derive_change(&request, topology, &mut Sources::default()).ok()
}

#[test]
fn values_that_may_be_secrets_are_never_written() {
    let topology = shop();
    let text = |secret: &str| {
        format!(
            "kind: Deployment\nmetadata: {{ name: checkout }}\nspec:\n  template:\n    spec:\n      containers:\n\
             \x20       - {{ name: app, env: [{{ name: TOKEN, value: {secret} }}], args: [--key={secret}] }}\n---\n\
             kind: Secret\nmetadata: {{ name: s }}\ndata: {{ key: {secret} }}\n"
        )
    };
    let derived =
        derive(ChangeFormat::Kubernetes, &[&text("hunter2"), &text("hunter3")], &topology).unwrap();
    assert!(derived.text.contains("TOKEN"), "{}", derived.text);
    assert!(!derived.text.contains("hunter"), "{}", derived.text);
    let plan = |secret: &str| {
        format!(
            "{{\"format_version\":\"1.2\",\"resource_changes\":[{{\"address\":\"aws_db_instance.orders\",\"type\":\
             \"aws_db_instance\",\"change\":{{\"actions\":[\"update\"],\"before\":{{\"password\":\"x\"}},\"after\":\
             {{\"password\":\"{secret}\"}}}}}}]}}"
        )
    };
    let derived = derive(ChangeFormat::Terraform, &[&plan("hunter2")], &topology).unwrap();
    assert!(derived.text.contains("password") && !derived.text.contains("hunter"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Cut and altered sources: whatever comes of them is a change that can be read, or is refused.
    #[test]
    fn altered_sources_become_changes_or_are_refused(
        source in 0..SOURCES.len(),
        at in 0..1000_usize,
        cut in 0..40_usize,
        put in "[\\x20-~\n]{0,12}",
    ) {
        let topology = shop();
        let (format, files, _) = SOURCES[source];
        let format = *ChangeFormat::ALL.iter().find(|known| known.as_str() == format).unwrap();
        let mut texts: Vec<String> =
            files.iter().map(|file| std::fs::read_to_string(folder().join(file)).unwrap()).collect();
        let text = texts.last_mut().unwrap();
        let start = at * text.len() / 1000;
        text.replace_range(start..(start + cut).min(text.len()), &put);
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        if let Some(derived) = derive(format, &texts, &topology) {
            let mut sources = Sources::default();
            let bytes = derived.text.clone().into_bytes();
            let read = load::parse_document("change", bytes, &mut sources)
                .and_then(|document| Change::from_document(&document, &topology));
            prop_assert!(read.is_ok(), "{:?}\n{}", read, derived.text);
        }
    }
}
