"""The callers of late: so many at most, and all that rest on a record are forgotten with it."""

import hypothesis.strategies as st
from hypothesis import given

from gateway.keys import Caller, Key, Team
from gateway.keys.known import Known
from gateway.keys.verdicts import Held

MOST = 4


def _caller(secret: int, key: int, team: int) -> Caller:
    own = Key(id=f"key_{key}", name="k", redacted="", created=0.0, version=1)
    its = Team(id=f"team_{team}", name="t", created=0.0, version=1) if team else None
    return Caller(Held(own, its, None), bytes([secret]))


STEPS = st.lists(
    st.tuples(st.just("put"), st.integers(0, 9), st.integers(0, 4), st.integers(0, 2))
    | st.tuples(st.sampled_from(["get", "drop"]), st.integers(0, 9))
    | st.tuples(st.just("key"), st.integers(0, 4))
    | st.tuples(st.just("team"), st.integers(1, 2)),
    max_size=60,
)


@given(STEPS)
def test_it_is_a_list_of_those_seen_last(steps: list[tuple[str, int, int, int]]) -> None:
    known = Known(MOST)
    model, changed = list[Caller](), set[Caller]()  # the one seen last is the last
    for name, number, *rest in steps:
        match name:
            case "put":
                caller = _caller(number, *rest)
                model = [each for each in model if each.shown != caller.shown] + [caller]
                model = model[-MOST:]
                known.put(caller)
            case "get":
                found = [each for each in model if each.shown == bytes([number])]
                good = [each for each in found if each not in changed]
                assert known.get(bytes([number])) is (good[0] if good else None)
                model = [each for each in model if each not in found] + good
            case "drop":
                model = [each for each in model if each.shown != bytes([number])]
                known.drop(bytes([number]))
            case "key":
                changed |= {each for each in model if each.id == f"key_{number}"}
                known.drop_all_of(f"key_{number}")
            case _:
                changed |= {each for each in model if each.team and each.team.id == f"team_{number}"}
                known.drop_all_of(f"team_{number}")
        assert [caller for caller, _records in known._callers.values()] == model
    for caller in model:
        assert (known.get(caller.shown) is None) == (caller in changed)
        known.drop(caller.shown)
    assert not known._records  # nothing is kept of who is gone


def test_a_change_of_what_all_rest_on_touches_none_of_them_until_he_is_asked_for() -> None:
    known = Known()
    callers = [_caller(number, number, 1) for number in range(200)]
    for caller in callers:
        known.put(caller)
    known.drop_all_of("team_1")
    assert len(known._callers) == 200  # none was looked at, which for thousands would hold up every stream
    assert [known.get(caller.shown) for caller in callers] == [None] * 200
    assert not known._callers
