//! Every step of what a call contributes, alone, with its numbers.

use blastwave::model::topology::{Buffer, CallKind, Fallback, WhenFull};

use super::small::{
    Broken::{Corrupt, Down, Slow},
    Call, Small, any_of, assert_close, assert_state, at_once, breaks, call, seconds, share,
    state_of_a,
};
use crate::oracle::{Guard, State, lasting};

/// `a` makes this call, to `b`, `b/x`, `c` or `d`, which need nothing.
fn a_calls(calls: &[Call]) -> blastwave::model::Topology {
    Small::new()
        .service("a", calls)
        .service("b", &[])
        .endpoint("b", "x", &[])
        .service("c", &[])
        .service("d", &[])
        .build()
}

fn state(call: Call, targets: &[(&str, super::small::Broken)]) -> State {
    state_of_a(&a_calls(&[call]), targets)
}

#[test]
fn own_health_and_calls_multiply() {
    // 1 - (1 - 0.1)(1 - 0.2) = 0.28.
    assert_state(state(call("b"), &[("a", Down(0.1)), ("b", Down(0.2))]), [0.0, 0.28, 0.0, 0.0]);
}

#[test]
fn the_four_levels_are_taken_in_order() {
    // b is slow in 0.2: A1 = 0.8. c is down in 0.5: A2 = 0.8 * 0.5 = 0.4. d lies in 0.1:
    // A3 = 0.4 * 0.9 = 0.36.
    let topology = a_calls(&[call("b"), call("c"), call("d")]);
    let targets = [("b", Slow(0.2)), ("c", Down(0.5)), ("d", Corrupt(0.1))];
    assert_state(state_of_a(&topology, &targets), [0.2, 0.4, 0.04, 0.0]);
}

#[test]
fn a_slow_dependency_makes_its_caller_slow_even_if_soft() {
    assert_state(state(call("b").soft(), &[("b", Slow(0.3))]), [0.3, 0.0, 0.0, 0.0]);
}

#[test]
fn a_timeout_a_breaker_and_not_waiting_turn_slow_into_down() {
    let asynchronous = call("b").with(|call| call.kind = Some(CallKind::Async));
    let breaker = call("b").with(|call| call.circuit_breaker = Some(true));
    for call in [call("b").timeout(), asynchronous, breaker] {
        assert_state(state(call, &[("b", Slow(0.3))]), [0.0, 0.3, 0.0, 0.0]);
    }
}

#[test]
fn a_soft_call_turns_down_and_corrupt_into_degraded() {
    // A2 = 0.7, A3 = 0.7 * 0.5: down 0.3, corrupt 0.35 of b/x; together degraded.
    let targets = [("b", Down(0.3)), ("b/x", Corrupt(0.5))];
    assert_state(state(call("b/x"), &targets), [0.0, 0.3, 0.35, 0.0]);
    assert_state(state(call("b/x").soft(), &targets), [0.0, 0.0, 0.0, 0.65]);
}

#[test]
fn a_soft_call_does_not_feel_a_degraded_dependency() {
    let topology = |to_b: Call| {
        Small::new()
            .service("a", &[to_b])
            .service("b", &[call("c").soft()])
            .service("c", &[])
            .build()
    };
    let broken = [("c", Down(0.4))];
    assert_state(state_of_a(&topology(call("b")), &broken), [0.0, 0.0, 0.0, 0.4]);
    assert_state(state_of_a(&topology(call("b").soft()), &broken), [0.0; 4]);
}

#[test]
fn validation_turns_wrong_answers_into_failures() {
    let validating = call("b").with(|call| call.validates = Some(true));
    assert_state(state(validating, &[("b", Corrupt(0.3))]), [0.0, 0.3, 0.0, 0.0]);
}

#[test]
fn retries_fail_only_if_every_attempt_fails() {
    // p = 0.5 and three attempts: 0.125.
    assert_state(state(call("b").retries(2), &[("b", Down(0.5))]), [0.0, 0.125, 0.0, 0.0]);
}

#[test]
fn a_retry_may_itself_hang_or_lie() {
    // b/x is slow in 0.2 and down in 0.8 * 0.5 = 0.4; one retry in R = 0.4 of the calls:
    // slow 0.2 * 1.4 = 0.28, down 0.4 - 0.4 * 0.6 = 0.16.
    let targets = [("b", Slow(0.2)), ("b/x", Down(0.5))];
    assert_state(state(call("b/x").retries(1), &targets), [0.28, 0.16, 0.0, 0.0]);
    // Down in 0.5 and corrupt in 0.5 * 0.2 = 0.1: R = 0.5, corrupt 0.15, down 0.25.
    let targets = [("b", Down(0.5)), ("b/x", Corrupt(0.2))];
    assert_state(state(call("b/x").retries(1), &targets), [0.0, 0.25, 0.15, 0.0]);
}

#[test]
fn a_retry_budget_caps_the_retries() {
    // Unlimited it were R = 0.5 + 0.25; with 0.2: 0.5 - 0.2 * 0.5 = 0.4.
    let limited = call("b").retries(2).with(|call| call.retry_budget = Some(share(0.2)));
    assert_state(state(limited, &[("b", Down(0.5))]), [0.0, 0.4, 0.0, 0.0]);
}

#[test]
fn an_open_breaker_lets_nothing_through() {
    let call = call("b").retries(1).with(|call| call.circuit_breaker = Some(true));
    assert_state(state(call.clone(), &[("b", Down(0.4))]), [0.0, 0.16, 0.0, 0.0]);
    assert_state(state(call, &[("b", Down(0.5))]), [0.0, 1.0, 0.0, 0.0]);
}

#[test]
fn retries_never_heal_a_total_failure() {
    assert_state(state(call("b").retries(3), &[("b", Down(1.0))]), [0.0, 1.0, 0.0, 0.0]);
}

#[test]
fn a_cache_answers_its_share() {
    let targets = [("b", Down(0.5)), ("b/x", Corrupt(0.5))];
    // Down 0.5, corrupt 0.25: a tenth of what is down is left, and a wrong value replaces the copy.
    assert_state(state(call("b/x").cache(0.9), &targets), [0.0, 0.05, 0.25, 0.0]);
}

#[test]
fn a_cache_answers_as_far_as_its_service_does() {
    let call = call("b").cache(0.8).cache_service("c");
    // c answers half: 1 - 0.8 * 0.5 = 0.6 of the failures are felt.
    let targets = [("b", Down(0.5)), ("c", Slow(0.5))];
    assert_state(state(call.clone(), &targets), [0.0, 0.3, 0.0, 0.0]);
    let targets = [("b", Down(0.5)), ("c", Down(1.0))];
    assert_state(state(call, &targets), [0.0, 0.5, 0.0, 0.0]);
}

#[test]
fn a_cache_expires_while_its_dependency_is_failing() {
    let mut topology = a_calls(&[call("b").cache(0.9)]);
    let cache = topology.services[0].dependencies[0].cache.as_mut().expect("a cache");
    cache.ttl = Some(seconds(600.0));
    let after = |duration, broken| {
        let change = breaks(&topology, &[("b", Down(broken))]);
        lasting(&topology, &change, 1, 0, duration).nodes["a"].state
    };
    // One entry after the other: after half of the time half of them are left.
    assert_state(after(0.0, 0.5), [0.0, 0.05, 0.0, 0.0]);
    assert_state(after(300.0, 0.5), [0.0, 0.5 * (1.0 - 0.45), 0.0, 0.0]);
    assert_state(after(600.0, 0.5), [0.0, 0.5, 0.0, 0.0]);
    // Below the `failed` threshold it is not failing, however long.
    assert_state(after(6000.0, 0.4), [0.0, 0.04, 0.0, 0.0]);
}

fn buffered(on: &'static str, holds: f64, when_full: WhenFull) -> Call {
    call(on).with(|call| call.buffer = Some(Buffer { holds: seconds(holds), when_full }))
}

#[test]
fn a_buffer_holds_and_then_drops_or_blocks() {
    for (when_full, criticality_is_soft, full) in [
        (WhenFull::Drop, false, [0.0, 0.0, 0.0, 1.0]),
        (WhenFull::Block, true, [0.0, 1.0, 0.0, 0.0]),
    ] {
        let mut to_b = buffered("b", 600.0, when_full);
        if criticality_is_soft {
            to_b = to_b.soft();
        }
        let topology = a_calls(&[to_b]);
        let change = breaks(&topology, &[("b", Down(1.0))]);
        let after = |duration| lasting(&topology, &change, 1, 0, duration).nodes["a"].state;
        assert_state(after(0.0), [0.0; 4]);
        assert_state(after(599.0), [0.0; 4]);
        assert_state(after(600.0), full);
    }
}

#[test]
fn buffers_chained_along_a_path_add_up() {
    let topology = Small::new()
        .service("a", &[buffered("b", 4.0, WhenFull::Block)])
        .service("b", &[call("c")])
        .service("c", &[buffered("d", 2.0, WhenFull::Block)])
        .service("d", &[])
        .build();
    let change = breaks(&topology, &[("d", Down(1.0))]);
    let failing_after = |duration| {
        let trial = lasting(&topology, &change, 1, 0, duration);
        ["a", "b", "c", "d"].map(|name| trial.nodes[name].state.down)
    };
    assert_eq!(failing_after(1.0), [0.0, 0.0, 0.0, 1.0]);
    assert_eq!(failing_after(2.0), [0.0, 1.0, 1.0, 1.0]);
    assert_eq!(failing_after(5.0), [0.0, 1.0, 1.0, 1.0]);
    assert_eq!(failing_after(6.0), [1.0, 1.0, 1.0, 1.0]);
}

#[test]
fn a_static_fallback_serves_what_is_down_and_nothing_else() {
    let targets = [("b", Slow(0.2)), ("b/x", Down(0.5))];
    assert_state(state(call("b/x").static_fallback(), &targets), [0.2, 0.0, 0.0, 0.4]);
    let state = state(call("b").static_fallback(), &[("b", Corrupt(0.3))]);
    assert_state(state, [0.0, 0.0, 0.3, 0.0]);
}

#[test]
fn a_fallback_that_does_not_work_does_nothing() {
    let call = call("b").with(|call| {
        call.fallback = Some(Fallback { on: None, works: share(0.0) });
    });
    assert_state(state(call, &[("b", Down(0.5))]), [0.0, 0.5, 0.0, 0.0]);
}

#[test]
fn a_fallback_service_brings_its_own_failures() {
    // c is slow in 0.1, down in 0.9 * 0.2 = 0.18, corrupt in 0.72 * 0.5 = 0.36, and serves 0.36.
    let topology = |to_b: Call| {
        Small::new()
            .service("a", &[to_b.fallback("c")])
            .service("b", &[])
            .service("c", &[call("d"), call("e"), call("f")])
            .service("d", &[])
            .service("e", &[])
            .service("f", &[])
            .build()
    };
    let targets = [("b", Down(0.5)), ("d", Slow(0.1)), ("e", Down(0.2)), ("f", Corrupt(0.5))];
    let state = |to_b| state_of_a(&topology(to_b), &targets);
    assert_state(state(call("b")), [0.05, 0.09, 0.18, 0.18]);
    // With a timeout the fallback that hangs is as good as down.
    assert_state(state(call("b").timeout()), [0.0, 0.14, 0.18, 0.18]);
}

#[test]
fn call_probability_scales_everything() {
    let rare = call("b").with(|call| call.call_probability = share(0.25));
    assert_state(state(rare, &[("b", Down(0.8))]), [0.0, 0.2, 0.0, 0.0]);
}

#[test]
fn what_does_not_propagate_or_is_only_needed_to_start_contributes_nothing() {
    let lucky = call("b").with(|call| call.propagation = share(0.0));
    for (call, guard) in [(lucky, Guard::Luck), (call("b").at_start(), Guard::Start)] {
        let trial = at_once(&a_calls(&[call]), &[("b", Down(1.0))]);
        assert_state(trial.nodes["a"].state, [0.0; 4]);
        let passage = &trial.dependencies[&("a".to_owned(), "b".to_owned())];
        assert!(passage.tried && !passage.passed);
        assert_eq!(passage.contained_by, Some(guard));
    }
}

#[test]
fn the_guard_is_the_step_that_brings_failure_below_the_threshold() {
    let budgetless = call("b").retries(9);
    let rare = call("b").with(|call| call.call_probability = share(0.001));
    for (call, guard) in [
        (budgetless, Guard::Retry),
        (call("b").cache(1.0), Guard::Cache),
        (any_of(1, &["b", "c"]), Guard::Redundancy),
        (buffered("b", 600.0, WhenFull::Drop), Guard::Buffer),
        (call("b").static_fallback().soft(), Guard::Fallback),
        (call("b").soft(), Guard::Soft),
        (rare, Guard::Rarity),
    ] {
        let topology = a_calls(&[call]);
        let trial = at_once(&topology, &[("b", Down(0.5))]);
        let name = topology.dependency_name(&topology.services[0].dependencies[0]);
        let passage = &trial.dependencies[&("a".to_owned(), name)];
        assert_eq!(passage.contained_by, Some(guard));
        assert_close(passage.came_in, 0.5);
    }
}

#[test]
fn failure_that_is_felt_has_passed() {
    let trial = at_once(&a_calls(&[call("b")]), &[("b", Down(0.01))]);
    let passage = &trial.dependencies[&("a".to_owned(), "b".to_owned())];
    assert!(passage.tried && passage.passed);
    assert_eq!(passage.contained_by, None);
    assert_close(passage.went_on, 0.01);
}

#[test]
fn any_of_fails_when_fewer_members_are_up_than_it_needs() {
    // All three down: 0.5 * 0.4 * 0.2 = 0.04. At most one up: 0.04 + 0.5 * 0.4 * 0.2
    // + 0.5 * 0.6 * 0.2 + 0.5 * 0.4 * 0.8 = 0.3. Not all up: 1 - 0.5 * 0.6 * 0.8 = 0.76.
    let broken = [("b", Down(0.5)), ("c", Down(0.4)), ("d", Down(0.2))];
    for (needs, down) in [(1, 0.04), (2, 0.3), (3, 0.76)] {
        let state = state(any_of(needs, &["b", "c", "d"]), &broken);
        assert_state(state, [0.0, down, 0.0, 0.0]);
    }
}

#[test]
fn any_of_hangs_as_often_as_it_meets_a_member_that_hangs() {
    // d = 0.5 and 0; l = 0 and 0.4: slow = (1 - 0) * 0.4 / 1.5. Neither up: 0.5 * 0.4 = 0.2, which
    // is less than that: nothing is left for down.
    let state = state(any_of(1, &["b", "c"]), &[("b", Down(0.5)), ("c", Slow(0.4))]);
    assert_state(state, [0.4 / 1.5, 0.0, 0.0, 0.0]);
    // Both needed: fewer than two up is 1 - 0.5 * 0.6 = 0.7.
    let state = self::state(any_of(2, &["b", "c"]), &[("b", Down(0.5)), ("c", Slow(0.4))]);
    assert_state(state, [0.4 / 1.5, 0.7 - 0.4 / 1.5, 0.0, 0.0]);
}

#[test]
fn any_of_lies_as_often_as_members_that_answer_do() {
    // b is down in 0.5 and corrupt in 0.5 * 0.4 = 0.2, c is fine: all down never;
    // corrupt = 1 * 0.2 / 1.5.
    let topology = a_calls(&[any_of(1, &["b/x", "c"])]);
    let state = state_of_a(&topology, &[("b", Down(0.5)), ("b/x", Corrupt(0.4))]);
    assert_state(state, [0.0, 0.0, 0.2 / 1.5, 0.0]);
}

#[test]
fn any_of_is_degraded_as_often_as_members_that_answer_are() {
    let topology = Small::new()
        .service("a", &[any_of(1, &["b", "c"])])
        .service("b", &[call("d").soft()])
        .service("c", &[])
        .service("d", &[])
        .build();
    // b degraded wholly, c down in 0.5: 1 / 1.5 of what is answered, and all is.
    let state = state_of_a(&topology, &[("c", Down(0.5)), ("d", Down(1.0))]);
    assert_state(state, [0.0, 0.0, 0.0, 1.0 / 1.5]);
}

#[test]
fn an_any_of_of_nothing_that_is_up_is_down() {
    let state = state(any_of(1, &["b", "c"]), &[("b", Down(1.0)), ("c", Down(1.0))]);
    assert_state(state, [0.0, 1.0, 0.0, 0.0]);
}

#[test]
fn an_any_of_of_one_is_that_one() {
    let targets = [("b", Slow(0.2)), ("b/x", Down(0.5))];
    let alone = state(call("b/x"), &targets);
    assert!(state(any_of(1, &["b/x"]), &targets).distance(alone) < 1e-12);
}

#[test]
fn steps_before_the_choice_apply_to_each_member_and_steps_after_it_to_the_whole() {
    // Each member hangs in 0.5, times out, is retried once: 0.25; both: 0.0625; soft: degraded.
    let call = any_of(1, &["b", "c"]).timeout().retries(1).soft();
    let state = state(call, &[("b", Slow(0.5)), ("c", Slow(0.5))]);
    assert_state(state, [0.0, 0.0, 0.0, 0.0625]);
}

#[test]
fn the_buffer_behind_a_choice_starts_when_the_choice_fails() {
    let mut choice = any_of(1, &["b", "c"]);
    choice = choice.with(|call| {
        call.buffer = Some(Buffer { holds: seconds(600.0), when_full: WhenFull::Block });
    });
    let topology = a_calls(&[choice]);
    let after = |targets: &[(&str, super::small::Broken)]| {
        lasting(&topology, &breaks(&topology, targets), 1, 0, 600.0).nodes["a"].state
    };
    assert_state(after(&[("b", Down(1.0))]), [0.0; 4]);
    // Together 0.64: failing, and so felt after the buffer is full.
    assert_state(after(&[("b", Down(0.8)), ("c", Down(0.8))]), [0.0, 0.64, 0.0, 0.0]);
    // Together 0.36: each is failing, the choice is not.
    assert_state(after(&[("b", Down(0.6)), ("c", Down(0.6))]), [0.0; 4]);
}
