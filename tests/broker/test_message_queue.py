"""The bounded queue: order, what is dropped, expiry."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttd.broker.message import Message
from mqttd.broker.message_queue import MessageQueue, Waiting


def waiting(payload: bytes, qos: int = 1, expires_at: float | None = None) -> Waiting:
    return Waiting(Message(b"t", payload, qos, expires_at=expires_at), qos, False, (), None)


def filled(queue: MessageQueue, *items: Waiting, now: float = 0.0) -> list[bool]:
    """Whether each of them cost a message."""
    return [queue.put(item, now) is not None for item in items]


def test_the_one_that_is_lost_is_named() -> None:
    first, second = waiting(b"1"), waiting(b"2")
    for policy, lost in (("oldest", first), ("newest", second)):
        queue = MessageQueue(1, policy)
        assert queue.put(first, 0.0) is None
        assert queue.put(second, 0.0) is lost


def left(queue: MessageQueue) -> list[bytes]:
    return [item.message.payload for item in queue.drain()]


@pytest.mark.parametrize(
    ("policy", "qos", "expected"),
    [
        ("oldest", [1, 1, 1, 1], [1, 2, 3]),
        ("newest", [1, 1, 1, 1], [0, 1, 2]),
        ("oldest", [1, 0, 1, 2], [0, 2, 3]),
        ("newest", [1, 0, 1, 2], [0, 2, 3]),
        ("oldest", [0, 0, 2, 0], [1, 2, 3]),
        ("newest", [0, 0, 2, 0], [0, 1, 2]),
        ("oldest", [1, 2, 1, 0], [0, 1, 2]),
        ("newest", [1, 2, 1, 0], [0, 1, 2]),
    ],
)
def test_who_goes_when_it_is_full(policy: str, qos: list[int], expected: list[int]) -> None:
    queue = MessageQueue(3, policy)
    lost = filled(queue, *(waiting(bytes((n,)), each) for n, each in enumerate(qos)))
    assert lost == [False, False, False, True]
    assert queue.dropped == 1
    assert left(queue) == [bytes((n,)) for n in expected]


def test_no_limit_and_no_room_at_all() -> None:
    endless = MessageQueue(None)
    assert not any(filled(endless, *(waiting(b"x") for _ in range(2_000))))
    assert len(endless) == 2_000
    nothing = MessageQueue(0)
    assert filled(nothing, waiting(b"x"), waiting(b"y", 0)) == [True, True]
    assert (len(nothing), nothing.dropped) == (0, 2)


def test_both_kinds_come_out_in_the_order_they_came() -> None:
    queue = MessageQueue(None)
    filled(queue, *(waiting(bytes((n,)), n % 3) for n in range(9)))
    taken = [queue.take(0.0) for _ in range(10)]
    assert [item and item.message.payload for item in taken] == [
        *(bytes((n,)) for n in range(9)),
        None,
    ]


def test_what_can_be_taken_may_go_first() -> None:
    queue = MessageQueue(None)
    filled(queue, waiting(b"1", 1), waiting(b"0", 0), waiting(b"2", 2))
    assert queue.holds_qos_0
    assert queue.take(0.0, promised=False, qos_0=False) is None
    for promised, payload in ((False, b"0"), (True, b"1")):
        item = queue.take(0.0, promised=promised, qos_0=not promised)
        assert item is not None
        assert item.message.payload == payload
    assert not queue.holds_qos_0
    assert queue.take(0.0, promised=False) is None
    assert left(queue) == [b"2"]


def test_expired_messages_are_passed_over_and_not_counted_as_dropped() -> None:
    queue = MessageQueue(None)
    filled(queue, waiting(b"a", 1, 5.0), waiting(b"b", 0, 6.0), waiting(b"c", 1, 7.0))
    item = queue.take(6.0)
    assert item is not None
    assert item.message.payload == b"c"
    assert (len(queue), queue.bytes, queue.dropped) == (0, 0, 0)


def test_expired_messages_make_room() -> None:
    queue = MessageQueue(2, "newest")
    filled(queue, waiting(b"a", 1, 5.0), waiting(b"b"))
    assert not queue.has_room(4.9)
    assert queue.has_room(5.0)
    assert not queue.put(waiting(b"c"), 5.0)
    assert left(queue) == [b"b", b"c"]


def test_removing_what_expired_looks_only_when_there_may_be_some() -> None:
    queue = MessageQueue(None)
    assert queue.earliest == math.inf
    filled(queue, waiting(b"a", 1, 9.0), waiting(b"b", 0, 5.0), waiting(b"c"))
    assert queue.earliest == 5.0
    assert queue.remove_expired(4.0) == 0
    assert queue.remove_expired(5.0) == 3
    assert (queue.earliest, queue.bytes, queue.holds_qos_0) == (9.0, 2, False)
    assert queue.remove_expired(8.0) == 0
    assert left(queue) == [b"a", b"c"]
    assert queue.earliest == math.inf


@given(
    maximum=st.none() | st.integers(0, 5),
    policy=st.sampled_from(["oldest", "newest"]),
    steps=st.lists(
        st.tuples(
            st.sampled_from(["put", "put", "take", "remove_expired"]),
            st.integers(0, 2),
            st.none() | st.integers(0, 60),
        ),
        max_size=60,
    ),
)
def test_nothing_is_lost_uncounted(
    maximum: int | None, policy: str, steps: list[tuple[str, int, int | None]]
) -> None:
    queue = MessageQueue(maximum, policy)
    promised_lost = put = taken = expired = 0
    last = {True: -1, False: -1}
    for now, (what, qos, expires_at) in enumerate(steps):
        if what == "put":
            put += 1
            before = queue.holds_qos_0
            lost = queue.put(waiting(str(now).encode(), qos, expires_at), now)
            # A promise is broken only where no QoS 0 message could go instead.
            promised_lost += lost is not None and bool(qos) and not before
        elif what == "take":
            before_length = len(queue)
            item = queue.take(now)
            expired += before_length - len(queue) - (item is not None)
            if item is not None:
                taken += 1
                number = int(item.message.payload)
                assert number > last[bool(item.qos)]
                last[bool(item.qos)] = number
                assert item.message.expires_at is None or item.message.expires_at > now
        else:
            before_length = len(queue)
            queue.remove_expired(now)
            expired += before_length - len(queue)
        assert maximum is None or len(queue) <= maximum
    rest = queue.drain()
    assert promised_lost <= queue.dropped
    # Those that expired inside put are the only ones nobody counted here.
    assert put >= taken + expired + queue.dropped + len(rest)
    if all(expires_at is None for _, _, expires_at in steps):
        assert put == taken + queue.dropped + len(rest)
    assert queue.bytes == 0
