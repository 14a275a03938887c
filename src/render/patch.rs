//! Changes of a text as a unified diff, which `git apply` and `patch -p1` take.

use similar::TextDiff;

/// The difference between two texts of a file; nothing where there is none.
pub fn unified(path: &str, before: &str, after: &str) -> String {
    // Such paths are seen from where the patch is applied.
    let path = path.trim_start_matches("./").trim_start_matches('/').replace('\\', "/");
    let diff = TextDiff::from_lines(before, after);
    diff.unified_diff()
        .context_radius(3)
        .header(&format!("a/{path}"), &format!("b/{path}"))
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_line_stands_between_its_neighbours() {
        let before = "a\nb\nc\nd\ne\nf\ng\n";
        let after = before.replace("e\n", "E\n");
        let patch = unified("./in/x.yaml", before, &after);
        assert_eq!(
            patch,
            "--- a/in/x.yaml\n+++ b/in/x.yaml\n@@ -2,6 +2,6 @@\n b\n c\n d\n-e\n+E\n f\n g\n"
        );
        assert_eq!(unified("x", before, before), "");
    }
}
