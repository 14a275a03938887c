//! Changes of a text as a unified diff, which `git apply` and `patch -p1` take.

use similar::TextDiff;

/// The difference between two texts of a file; nothing where there is none.
pub fn unified_patch(path: &str, before: &str, after: &str) -> String {
    // Such paths are seen from where the patch is applied.
    let path = path.trim_start_matches("./").trim_start_matches('/').replace('\\', "/");
    let diff = TextDiff::from_lines(before, after);
    diff.unified_diff()
        // Three lines around a change, as Git writes them.
        .context_radius(3)
        .header(&side_header("a", &path), &side_header("b", &path))
        .to_string()
}

/// Returns the path of one side of a patch: quoted as Git does where a character of it would end the
/// line or the name.
fn side_header(side: &str, path: &str) -> String {
    let path = format!("{side}/{path}");
    let is_plain = |c: char| !c.is_control() && !matches!(c, '"' | '\\');
    if path.chars().all(is_plain) {
        return path;
    }
    let mut quoted = String::from("\"");
    for byte in path.bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            0x20..=0x7e => quoted.push(char::from(byte)),
            // Git writes other bytes in octal.
            _ => quoted.push_str(&format!("\\{byte:03o}")),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_line_stands_between_its_neighbours() {
        let before = "a\nb\nc\nd\ne\nf\ng\n";
        let after = before.replace("e\n", "E\n");
        let patch = unified_patch("./in/x.yaml", before, &after);
        assert_eq!(
            patch,
            "--- a/in/x.yaml\n+++ b/in/x.yaml\n@@ -2,6 +2,6 @@\n b\n c\n d\n-e\n+E\n f\n g\n"
        );
        assert_eq!(unified_patch("x", before, before), "");
    }

    #[test]
    fn a_path_adds_no_line_to_the_patch() {
        let patch = unified_patch("x\n+++ b/\"y\"", "a\n", "b\n");
        let head = "--- \"a/x\\012+++ b/\\\"y\\\"\"\n+++ \"b/x\\012+++ b/\\\"y\\\"\"\n";
        assert!(patch.starts_with(head), "{patch}");
    }
}
