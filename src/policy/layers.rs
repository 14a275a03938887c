//! Several policies as one: the organisation's first, and those of teams, which may only tighten it.
//!
//! A rule of another name always tightens, since the worst of the rules that fire decides. A rule that an
//! earlier policy has already may ask for more of the same condition; whether one condition is weaker
//! than another cannot be told in general, so every other replacement needs the leave of the earlier rule:
//! `overridable: true`.

use super::{Policy, Rule};
use crate::diagnostic::{self, Code, Diagnostic};

impl Policy {
    /// Puts policies together, in the order in which they were named; `None` where there are none.
    ///
    /// # Errors
    /// Returns a diagnostic for each place at which a later policy would loosen an earlier one; it names both.
    pub fn layered(policies: Vec<Self>) -> Result<Option<Self>, Vec<Diagnostic>> {
        let mut layers = policies.into_iter().enumerate();
        let Some((_, mut all)) = layers.next() else { return Ok(None) };
        let mut problems = Vec::new();
        for (layer, policy) in layers {
            if all.layers.is_empty() {
                all.layers.push(all.name.clone());
            }
            all.layers.push(policy.name.clone());
            problems.extend(branch_conflict(&all, &policy));
            // A team that has its waivers read from a branch only tightens.
            all.waivers_from = all.waivers_from.take().or(policy.waivers_from);
            for rule in policy.rules {
                let rule = Rule { layer, ..rule };
                match all.rules.iter_mut().find(|earlier| earlier.name == rule.name) {
                    None => all.rules.push(rule),
                    Some(earlier) if earlier.is_overridable => {
                        // What one team may replace, the next one may too.
                        *earlier = Rule { is_overridable: true, ..rule };
                    }
                    Some(earlier) if is_as_strict(&rule, earlier) => {
                        *earlier = Rule { is_overridable: false, ..rule };
                    }
                    Some(earlier) => problems.push(loosened(&rule, earlier)),
                }
            }
        }
        if problems.is_empty() {
            return Ok(Some(all));
        }
        diagnostic::sort(&mut problems);
        Err(problems)
    }

    /// Returns the name of the policy that a rule is from.
    pub fn layer_name(&self, rule: &Rule) -> &str {
        self.layers.get(rule.layer).map_or(&self.name, String::as_str)
    }
}

/// Whether a rule asks for the same or more, on the same condition.
fn is_as_strict(rule: &Rule, earlier: &Rule) -> bool {
    rule.text == earlier.text && rule.verdict >= earlier.verdict
}

fn loosened(rule: &Rule, earlier: &Rule) -> Diagnostic {
    let name = &rule.name;
    let reason = if rule.text == earlier.text {
        "asks for less than an earlier policy"
    } else {
        "has another condition than in an earlier policy"
    };
    Diagnostic::error(Code::Conflict, format!("the rule `{name}` {reason}"), rule.place)
        .other_place(earlier.place, "the earlier rule, which it may not loosen")
        .help(
            "give it another name, so that both apply; or write `overridable: true` into the earlier rule",
        )
}

/// Returns the problem of a policy that names another branch for its waivers than an earlier one.
fn branch_conflict(earlier: &Policy, policy: &Policy) -> Option<Diagnostic> {
    let (first, second) = (earlier.waivers_from.as_ref()?, policy.waivers_from.as_ref()?);
    (first.name != second.name).then(|| {
        let message = format!("waivers are read from `{}`, not from `{}`", first.name, second.name);
        Diagnostic::error(Code::Conflict, message, second.place)
            .other_place(first.place, "the earlier policy says so")
            .help("remove `waivers_from` here")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Sources;
    use crate::load;
    use crate::policy::RuleVerdict;

    fn layered(texts: &[&str]) -> Result<Policy, Vec<Diagnostic>> {
        let mut sources = Sources::default();
        let policies = texts.iter().enumerate().map(|(index, rules)| {
            let text = format!("version: 1\npolicy: p{index}\n{rules}");
            let document =
                load::parse_document(&format!("p{index}.yaml"), text.into_bytes(), &mut sources);
            Policy::from_document(&document.unwrap(), &sources, None).unwrap()
        });
        Policy::layered(policies.collect()).map(Option::unwrap)
    }

    fn freeze(rest: &str) -> String {
        format!("rules: [{{ name: freeze, {rest} }}]")
    }

    #[test]
    fn later_policies_add_rules_and_raise_verdicts() {
        let lower = freeze("when: 'size(services) > 3', verdict: caution");
        let higher = freeze("when: 'size(services)  > 3', verdict: stop, message: no");
        let other = "rules: [{ name: other, when: 'size(flows) > 3', verdict: caution }]";
        let policy = layered(&[&lower, &higher, other]).unwrap();
        assert_eq!(policy.rules.len(), 2);
        assert_eq!(policy.rules[0].verdict, RuleVerdict::Stop);
        assert_eq!(policy.layer_name(&policy.rules[0]), "p1");
        assert_eq!(policy.layer_name(&policy.rules[1]), "p2");
        assert_eq!(policy.layers, ["p0", "p1", "p2"]);
    }

    #[test]
    fn a_later_policy_may_not_loosen_unless_the_rule_says_so() {
        let strict = freeze("when: 'size(services) > 3', verdict: stop");
        let weaker = freeze("when: 'size(services) > 3', verdict: caution");
        let another = freeze("when: 'size(services) > 30', verdict: stop");
        for later in [&weaker, &another] {
            let problems = layered(&[&strict, later]).unwrap_err();
            assert_eq!(problems.len(), 1);
            let (first, second) = (&problems[0].primary, &problems[0].others[0]);
            assert_ne!(first.as_ref().unwrap().place.source, second.place.source);
        }
        let open = freeze("when: 'size(services) > 3', verdict: stop, overridable: true");
        let policy = layered(&[&open, &another, &weaker]).unwrap();
        assert_eq!(policy.rules[0].verdict, RuleVerdict::Caution);
        // A team cannot give itself the leave.
        let own = freeze("when: 'size(services) > 3', verdict: stop, overridable: true");
        assert!(layered(&[&strict, &own, &weaker]).is_err());
    }

    #[test]
    fn the_branch_of_waivers_is_that_of_the_first_policy_that_names_one() {
        let named = |branch: &str| {
            let rules = "rules: [{ name: r, when: 'size(flows) > 3', verdict: stop }]";
            format!("waivers_from: {branch}\n{rules}")
        };
        let policy = layered(&["rules: []", &named("main")]).unwrap();
        assert_eq!(policy.waivers_from.unwrap().name, "main");
        assert!(layered(&[&named("main"), &named("mine")]).is_err());
        assert!(layered(&[&named("main"), &named("main")]).is_ok());
    }
}
