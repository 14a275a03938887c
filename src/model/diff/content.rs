//! Judges the effect of a changed file on the program that ships, from its name and from its text
//! before and after.
//!
//! A file is left out only where it is certain that the program stays the same. Every doubt, such as a
//! language that is not known here or a text that cannot be taken apart, makes it a change of code.

use super::language::Language;
use crate::load;

/// A file that a range of commits changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedFile {
    /// Its path, seen from the root of the repository; it need not be text.
    pub name: Vec<u8>,
    /// Effect on the program that ships.
    pub effect: Effect,
    /// How many lines were added and removed; 0 where that is not known.
    pub lines: u64,
}

/// Effect of a changed file on the program that ships.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It may change how the program behaves.
    Behaviour,
    /// It changes what the program is built from: a lock file, vendored code, a submodule.
    Dependency,
    /// Only comments differ, or white space that the language ignores.
    Comments,
    /// It is generated from another file, which counts by itself.
    Generated,
    /// It is a test, which does not ship.
    Test,
    /// It is documentation.
    Documentation,
}

impl Effect {
    /// Returns whether a service breaks by it.
    pub fn is_felt(self) -> bool {
        matches!(self, Self::Behaviour | Self::Dependency)
    }

    /// Returns what people call such a file, in the plural.
    pub fn plural_noun(self) -> &'static str {
        match self {
            Self::Behaviour => "files with code",
            Self::Dependency => "dependencies",
            Self::Comments => "files where only comments or white space changed",
            Self::Generated => "generated files",
            Self::Test => "tests",
            Self::Documentation => "files of documentation",
        }
    }
}

/// Folders whose content is fetched rather than written.
const VENDORED: [&str; 5] = ["vendor", "vendored", "node_modules", "third_party", "third-party"];
/// Files in which a package manager pins what it fetched.
const LOCKS: [&str; 22] = [
    "cargo.lock",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lock",
    "bun.lockb",
    "go.sum",
    "poetry.lock",
    "uv.lock",
    "pdm.lock",
    "pipfile.lock",
    "gemfile.lock",
    "composer.lock",
    "mix.lock",
    "pubspec.lock",
    "podfile.lock",
    "package.resolved",
    "packages.lock.json",
    "gradle.lockfile",
    "flake.lock",
    "conan.lock",
];
/// Folders that hold tests by convention.
const TEST_FOLDERS: [&str; 5] = ["test", "tests", "__tests__", "testdata", "e2e"];
/// Folders in which Markdown is documentation, not part of a program such as a prompt or a page.
const DOCUMENTATION_FOLDERS: [&str; 4] = ["docs", "doc", "documentation", "adr"];
/// Files of documentation wherever they are, without their ending.
const DOCUMENTATION_NAMES: [&str; 13] = [
    "readme",
    "changelog",
    "changes",
    "history",
    "contributing",
    "code_of_conduct",
    "security",
    "license",
    "licence",
    "copying",
    "notice",
    "authors",
    "maintainers",
];
/// Endings of texts that people write for people.
const DOCUMENTATION_ENDINGS: [&str; 5] = ["md", "markdown", "rst", "adoc", "txt"];
/// Endings of files that a generator writes.
const GENERATED_ENDINGS: [&str; 8] =
    [".pb.go", ".pb.cc", ".pb.h", "_pb2.py", "_pb2_grpc.py", "_pb.js", ".g.dart", ".freezed.dart"];
/// Where a generator says at the head of a file that it wrote it.
const GENERATED_HEAD_LINES: usize = 10;
/// Longer texts are not compared: they count as code.
const COMPARED_MAX: usize = 1 << 20;

impl Effect {
    /// Returns the effect that the name of a file alone makes certain; `None` where its text decides.
    pub fn of_name(name: &[u8]) -> Option<Self> {
        // In lower case: systems that ignore case let people write `README` in any way.
        let name = String::from_utf8_lossy(name).to_lowercase();
        let mut folders: Vec<&str> = name.split('/').collect();
        let file = folders.pop().unwrap_or_default();
        let within = |names: &[&str]| folders.iter().any(|folder| names.contains(folder));
        // What is vendored ships, tests and documentation of it included where they matter.
        if LOCKS.contains(&file) || within(&VENDORED) {
            return Some(Self::Dependency);
        }
        // After vendored code, since tests of what is vendored are part of what was fetched.
        if within(&TEST_FOLDERS) || is_test_name(file) {
            return Some(Self::Test);
        }
        let (stem, ending) = file.rsplit_once('.').unwrap_or((file, ""));
        let is_prose = DOCUMENTATION_ENDINGS.contains(&ending) || ending.is_empty();
        if is_prose && DOCUMENTATION_NAMES.contains(&stem) {
            return Some(Self::Documentation);
        }
        // In other folders Markdown may be a prompt or a page, which ships.
        let is_in_docs = folders.is_empty() || within(&DOCUMENTATION_FOLDERS);
        // A `.txt` may as well be data that the program reads.
        let is_markup = DOCUMENTATION_ENDINGS.contains(&ending) && ending != "txt";
        if is_markup && is_in_docs {
            return Some(Self::Documentation);
        }
        if GENERATED_ENDINGS.iter().any(|ending| file.ends_with(ending)) {
            return Some(Self::Generated);
        }
        None
    }

    /// Returns the effect of a file whose text changed from `before` to `after`.
    pub fn of_texts(name: &[u8], before: &[u8], after: &[u8]) -> Self {
        if let Some(effect) = Self::of_name(name) {
            return effect;
        }
        // Both must say it: a pull request must not hide code by writing the mark above it.
        if is_marked_generated(before) && is_marked_generated(after) {
            return Self::Generated;
        }
        // A longer text counts as code, which is the careful answer.
        let is_short = before.len().max(after.len()) <= COMPARED_MAX;
        let name = String::from_utf8_lossy(name);
        if is_short && means_the_same(&name, before, after) == Some(true) {
            return Self::Comments;
        }
        Self::Behaviour
    }
}

fn is_test_name(file: &str) -> bool {
    let (stem, ending) = file.rsplit_once('.').unwrap_or((file, ""));
    match ending {
        "go" => stem.ends_with("_test"),
        "py" => stem.starts_with("test_") || stem.ends_with("_test") || stem == "conftest",
        "rb" => stem.ends_with("_spec") || stem.ends_with("_test"),
        "js" | "jsx" | "ts" | "tsx" | "mjs" | "cjs" => {
            stem.ends_with(".test") || stem.ends_with(".spec")
        }
        _ => false,
    }
}

/// Returns whether the head of a text says that a generator wrote it.
fn is_marked_generated(text: &[u8]) -> bool {
    let head = text.split(|byte| *byte == b'\n').take(GENERATED_HEAD_LINES);
    head.map(String::from_utf8_lossy).any(|line| {
        line.contains("@generated")
            || line.contains("Code generated") && line.contains("DO NOT EDIT")
    })
}

/// Returns whether two texts mean the same; `None` where that cannot be told.
fn means_the_same(name: &str, before: &[u8], after: &[u8]) -> Option<bool> {
    // What is no UTF-8 cannot be taken apart, so it counts as code.
    let (before, after) = (std::str::from_utf8(before).ok()?, std::str::from_utf8(after).ok()?);
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    match ending {
        "yaml" | "yml" => same_yaml(before, after),
        _ => {
            let language = Language::of_ending(ending)?;
            Some(language.without_comments(before)? == language.without_comments(after)?)
        }
    }
}

/// Compares the values of two YAML texts. A first line that programs obey, and tags, which this room
/// does not keep, are compared as text.
fn same_yaml(before: &str, after: &str) -> Option<bool> {
    let first_line = |text: &str| {
        // A shell runs the program of this line, and a cloud reads a whole file by it, though both
        // are comments.
        let line = text.lines().next().unwrap_or_default();
        (line.starts_with("#!") || line.starts_with("#cloud-config")).then(|| line.to_owned())
    };
    if first_line(before) != first_line(after)
        || [before, after].iter().any(|item| item.contains('!'))
    {
        return None;
    }
    let read = |text: &str| {
        let mut sources = crate::diagnostic::Sources::default();
        load::parse_foreign("file", text.as_bytes().to_vec(), &mut sources).ok()
    };
    let (before, after) = (read(before)?, read(after)?);
    let same = before.len() == after.len()
        && before.iter().zip(&after).all(|(before, after)| same_value(&before.root, &after.root));
    Some(same)
}

fn same_value(a: &load::Node, b: &load::Node) -> bool {
    use load::Value::{Bool, Mapping, Null, Number, Sequence, Text};
    match (&a.value, &b.value) {
        (Null, Null) => true,
        (Bool(a), Bool(b)) => a == b,
        // As written and not as a value: `1.10` and `1.1` may be versions.
        (Number(a), Number(b)) => a.text == b.text,
        (Text(a), Text(b)) => a == b,
        (Sequence(a), Sequence(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_value(a, b))
        }
        // The order of keys counts: some programs run steps in it.
        (Mapping(a), Mapping(b)) => {
            let same = |(a, b): (&load::Entry, &load::Entry)| {
                a.key.text == b.key.text && same_value(&a.value, &b.value)
            };
            a.len() == b.len() && a.iter().zip(b).all(same)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(name: &str, before: &str, after: &str) -> Effect {
        Effect::of_texts(name.as_bytes(), before.as_bytes(), after.as_bytes())
    }

    #[test]
    fn a_comment_is_no_change_and_code_beside_it_is() {
        let cases = [
            ("a.rs", "fn a() {} // one", "fn a() {} // two"),
            ("a.rs", "/* a /* b */ c */ fn a() {}", "fn a() {}"),
            ("a.rs", "fn a() { f(1,2) }", "fn a() {\n    f(1, 2)\n}"),
            ("a.go", "package a // one\n", "// two\npackage a\n\n"),
            ("a.py", "X = 1  # one\n", "# head\n\nX = 1\n"),
            ("a.java", "int a; // one", "int a; /* two */"),
            ("a.ts", "let a = 1; // one\n", "let a = 1;\n"),
            ("a.c", "int a; // one\n", "int a;\n"),
            ("a.proto", "message A {} // one", "message A {}"),
            ("a.toml", "a = 1 # one\n", "a = 1\n"),
            ("a.yaml", "a: 1 # one\n", "a: 1\n"),
            ("a.yml", "a: [1,2]\n", "a: [1, 2]\n"),
            ("a.json", "{\"a\":1}", "{ \"a\": 1 }\n"),
        ];
        for (name, before, after) in cases {
            assert_eq!(effect(name, before, after), Effect::Comments, "{name}: {after}");
        }
    }

    #[test]
    fn what_looks_like_a_comment_or_white_space_and_is_code_counts() {
        let cases = [
            ("a.rs", "let a = \"// one\";", "let a = \"// two\";"),
            ("a.rs", "let a = r#\"\" // one\"#;", "let a = r#\"\" // two\"#;"),
            ("a.rs", "let a = '\"'; b(\"// one\")", "let a = '\"'; b(\"// two\")"),
            ("a.rs", "let a = b\"a  b\";", "let a = b\"a b\";"),
            ("a.rs", "a - -b", "a --b"),
            ("a.go", "//go:build linux\npackage a\n", "//go:build darwin\npackage a\n"),
            ("a.go", "// #include <a.h>\nimport \"C\"\n", "// #include <b.h>\nimport \"C\"\n"),
            ("a.go", "return\na", "return a"),
            ("a.py", "if a:\n    b()\n    c()\n", "if a:\n    b()\nc()\n"),
            ("a.py", "#!/usr/bin/python2\n", "#!/usr/bin/python3\n"),
            ("a.py", "a = '# one'\n", "a = '# two'\n"),
            ("a.py", "a = f\"{b[\"# one\"]}\"\n", "a = f\"{b[\"# two\"]}\"\n"),
            ("a.py", "'''one'''\n", "'''two'''\n"),
            ("a.js", "return\na", "return a"),
            ("a.js", "a = /[/*]/; b = 1 // */", "a = /[/*]/; b = 2 // */"),
            ("a.tsx", "<p>see // one</p>", "<p>see // two</p>"),
            ("a.js", "/* webpackChunkName: 'a' */ f()", "/* webpackChunkName: 'b' */ f()"),
            ("a.c", "#define F (x)", "#define F(x)"),
            ("a.c", "// one \\\nint a;\n", "// one\nint a;\n"),
            ("a.yaml", "a: 1\n", "a: '1'\n"),
            ("a.yaml", "a: |\n  # one\n", "a: |\n  # two\n"),
            ("a.yaml", "a:\n  b: 1\n", "a:\nb: 1\n"),
            ("a.yaml", "a: !Ref b\n", "a: !Sub b\n"),
            ("a.yaml", "#cloud-config\na: 1\n", "a: 1\n"),
            ("a.toml", "a = \"# one\"\n", "a = \"# two\"\n"),
            ("a.json", "{\"a\":\"b c\"}", "{\"a\":\"b  c\"}"),
            ("a.sh", "# one", "# two"),
            ("a", "# one", "# two"),
            ("a.java", "String a = \"\\u0022 // one\";", "String a = \"\\u0022 // two\";"),
        ];
        for (name, before, after) in cases {
            assert_eq!(effect(name, before, after), Effect::Behaviour, "{name}: {after}");
        }
    }

    #[test]
    fn names_tell_tests_documentation_and_dependencies() {
        let of = |name: &str| Effect::of_name(name.as_bytes());
        for name in ["a/tests/b.rs", "a/b_test.go", "a/test_b.py", "a/b.spec.ts"] {
            assert_eq!(of(name), Some(Effect::Test), "{name}");
        }
        for name in ["README.md", "front/README.md", "docs/a/guide.md", "LICENSE", "NOTES.md"] {
            assert_eq!(of(name), Some(Effect::Documentation), "{name}");
        }
        for name in ["Cargo.lock", "a/go.sum", "vendor/a/b_test.go", "node_modules/a/README.md"] {
            assert_eq!(of(name), Some(Effect::Dependency), "{name}");
        }
        assert_eq!(of("api/a.pb.go"), Some(Effect::Generated));
        for name in ["a/prompts/system.md", "a/requirements.txt", "docs/site.js", "a/latest.go"] {
            assert_eq!(of(name), None, "{name}");
        }
    }

    #[test]
    fn a_mark_of_generators_counts_only_where_it_stood_before() {
        let marked = "// Code generated by x. DO NOT EDIT.\nvar a = ";
        let with = |value: &str| format!("{marked}{value}\n");
        assert_eq!(effect("a.go", &with("1"), &with("2")), Effect::Generated);
        assert_eq!(effect("a.go", "var a = 1\n", &with("2")), Effect::Behaviour);
    }
}
