"""Answers are kept for their time and no longer, and never more than so many."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mqttd.auth.http_answer import Allowed, Denied
from mqttd.http_backend.cache import AnswerCache


def test_an_answer_holds_for_its_time() -> None:
    cache: AnswerCache[Allowed | Denied] = AnswerCache(10.0, 5)
    cache.put(b"a", Allowed(), 100.0)
    cache.put(b"d", Denied(), 100.0)
    assert (cache.get(b"a", 109.9), cache.get(b"d", 109.9)) == (Allowed(), Denied())
    assert cache.get(b"a", 110.0) is None
    assert len(cache) == 1


def test_no_answer_holds_past_its_own_end() -> None:
    cache: AnswerCache[Allowed | Denied] = AnswerCache(10.0, 5)
    cache.put(b"a", Allowed(), 100.0, 103)
    assert cache.get(b"a", 102.9) is not None
    assert cache.get(b"a", 103.0) is None


def test_a_clock_set_back_makes_no_answer_hold_longer() -> None:
    cache: AnswerCache[Allowed | Denied] = AnswerCache(10.0, 5)
    cache.put(b"a", Allowed(), 1000.0)
    assert cache.get(b"a", 500.0) is None


def test_the_one_not_used_for_longest_goes() -> None:
    cache: AnswerCache[Allowed | Denied] = AnswerCache(10.0, 2)
    cache.put(b"a", Allowed(), 0.0)
    cache.put(b"b", Allowed(), 0.0)
    assert cache.get(b"a", 1.0) is not None
    cache.put(b"c", Allowed(), 1.0)
    assert [cache.get(name, 1.0) is not None for name in (b"a", b"b", b"c")] == [True, False, True]
    cache.clear()
    assert len(cache) == 0


VALUES = st.lists(st.binary(max_size=4), max_size=4)


@given(VALUES, VALUES)
def test_names_are_equal_only_for_equal_values(one: list[bytes], other: list[bytes]) -> None:
    cache: AnswerCache[Allowed | Denied] = AnswerCache(10.0, 2)
    assert (cache.name(one) == cache.name(other)) == (one == other)
    other_cache: AnswerCache[Denied] = AnswerCache(10.0, 2)
    assert other_cache.name(one) != cache.name(one)
