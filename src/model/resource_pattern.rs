//! Patterns of resources: `*` is any text, all else is itself.
//!
//! Addresses of resources hold dots, slashes and brackets, so that patterns of paths would misread them.

/// Characters behind which a resource goes on with what is within it.
const SEPARATORS: [char; 3] = ['.', '[', '/'];

/// A pattern that can be compared with names of resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourcePattern(String);

impl ResourcePattern {
    /// Reads a pattern; every text is one.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Returns whether the pattern matches a name as a whole, or something that the name is within:
    /// `module.shop` matches `module.shop.aws_lb.main`.
    pub fn matches_name(&self, name: &str) -> bool {
        let inner = name.match_indices(SEPARATORS).map(|(at, _)| &name[..at]);
        // The whole first: most names are compared with patterns that have nothing in common with them.
        std::iter::once(name).chain(inner).any(|part| matches_text(&self.0, part))
    }
}

/// Returns whether a text is what a pattern with `*` stands for.
pub(crate) fn matches_text(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    // The earliest place of each part leaves the most for those behind, so nothing is tried twice.
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text_and_a_pattern_stands_for_what_is_within_it() {
        for (pattern, yes, no) in [
            ("module.shop", "module.shop.aws_lb.main", "module.shopping.aws_lb.main"),
            ("aws_lb.main", "aws_lb.main[0]", "aws_lb.mainly"),
            (
                "*.checkout*",
                "module.a.aws_ecs_service.checkout_v2",
                "module.a.aws_ecs_service.cart",
            ),
            ("deployment/cart", "deployment/cart", "deployment/cart-db"),
            ("*/configmap/cart-*", "shop/configmap/cart-env", "configmap/cart-env"),
            ("a*b*c", "aXbXbXc", "aXcXb"),
            ("x[\"eu\"]", "x[\"eu\"].y", "x[\"us\"].y"),
        ] {
            let pattern = ResourcePattern::new(pattern);
            assert!(pattern.matches_name(yes), "{pattern:?} matches {yes}");
            assert!(!pattern.matches_name(no), "{pattern:?} does not match {no}");
        }
    }

    #[test]
    fn hostile_patterns_end_at_once() {
        let pattern = ResourcePattern::new(&"*a".repeat(1000));
        assert!(!pattern.matches_name(&"ab".repeat(900)));
    }
}
