from hypothesis import given
from hypothesis import strategies as st

from nova.kernel.recent import Changes, Recent


@given(st.lists(st.integers(0, 40)), st.integers(2, 20))
def test_a_recent_map_is_bounded_and_keeps_the_last_half(keys: list[int], most: int) -> None:
    recent: Recent[int, str] = Recent(most)
    for key in keys:
        recent.put(key, str(key))
    assert len(recent) <= most
    latest = list(dict.fromkeys(reversed(keys)))[: most // 2]
    assert [recent.get(key) for key in latest] == [str(key) for key in latest]


def test_what_is_read_stays() -> None:
    recent: Recent[int, int] = Recent(10)
    for key in range(100):
        recent.put(key, key)
        assert recent.get(0) == 0
    assert recent.get(50) is None
    assert recent.drop(0) == 0
    assert recent.get(0) is None


def test_a_change_outdates_what_was_looked_up_before_it() -> None:
    changes: Changes[str] = Changes(3)
    before = changes.mark()
    changes.add("a")
    assert changes.since(before, "a")
    assert not changes.since(before, "b")
    assert not changes.since(changes.mark(), "a")


def test_a_forgotten_change_outdates_everything() -> None:
    changes: Changes[int] = Changes(3)
    before = changes.mark()
    for key in range(4):
        changes.add(key)
    assert all(changes.since(before, key) for key in range(10))
    now = changes.mark()
    assert not any(changes.since(now, key) for key in range(10))
    changes.everything()
    assert changes.since(now, 0)
