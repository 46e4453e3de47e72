"""Is an audit log whole? Reads files line by line, in the order they were written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import attrs

from mqttd.audit.records import RESUMED, BrokenRecord, Head, follows, opened, torn_hash

LONGEST_LINE: Final = 1 << 20
"""Bytes."""


@attrs.frozen
class Verdict:
    """What :func:`verify` found. ``problem`` empty: every line is what was written.

    ``file`` and ``line`` say where the problem is, ``head`` where the chain was up to there.
    ``first`` is the number of the first record: above 1 when older files were not given.
    ``torn`` counts lines that a crash cut off, and that were accounted for. ``unfinished``: the
    last line has no end, and was left out.
    """

    head: Head
    first: int = 0
    records: int = 0
    torn: int = 0
    problem: str = ""
    file: str = ""
    line: int = 0
    unfinished: bool = False


class _Broken(Exception):  # noqa: N818 - an answer
    """The problem at the line that is looked at, or ``back`` lines before it."""

    def __init__(self, problem: str, back: int = 0) -> None:
        super().__init__(problem)
        self.back = back


class _Reader:
    def __init__(self, key: bytes) -> None:
        self.key = key
        self.head: Head | None = None
        self.first = 0
        self.records = 0
        self.torn = 0
        self.unfinished = False
        self._torn: bytes | None = None
        self._why = ""

    def take(self, line: bytes) -> None:
        if len(line) > LONGEST_LINE:
            raise _Broken("is longer than any record")
        try:
            fields, head = opened(line, self.key)
        except BrokenRecord as problem:
            if self._torn is not None:
                raise _Broken(self._why, 1) from None
            self._torn = line  # good only if the next record accounts for it
            self._why = str(problem)
            return
        torn, self._torn = self._torn, None
        if torn is not None:
            accounts = fields.get("event") == RESUMED and fields.get("torn") == torn_hash(torn)
            if not accounts:
                raise _Broken(self._why, 1)
            self.torn += 1
        elif fields.get("torn"):
            raise _Broken("accounts for a torn line that is not there")
        if self.head is None:
            self.first = head.seq
        elif not follows(fields, self.head):
            raise _Broken(_gap(head.seq, self.head.seq))
        self.head = head
        self.records += 1

    def end(self) -> None:
        if self._torn is not None:
            raise _Broken(self._why)


def _gap(seq: int, before: int) -> str:
    if seq > before + 1:
        count = seq - before - 1
        return f"is number {seq} behind {before}: {count} missing"
    if seq <= before:
        return f"is number {seq} behind {before}: out of order, or there twice"
    return "does not follow the line before it: one of the two was exchanged"


def verify(files: Sequence[Path], *, key: bytes = b"", expected: Head | None = None) -> Verdict:
    """Check the files, oldest first, as one chain. Raises OSError.

    ``expected`` is an end of the chain known from elsewhere: it must be in there. Without it,
    lines that were cut off at the very end cannot be missed. A last line without its line feed
    may be one that is just being written, or was when the broker crashed: it is left out.
    """
    reader = _Reader(key)
    met = expected is None
    name, number = "", 0
    try:
        for file in files:
            name, number = str(file), 0
            for number, (line, whole) in enumerate(_lines(file), 1):  # noqa: B007
                if not whole and file == files[-1] and len(line) <= LONGEST_LINE:
                    reader.unfinished = True
                    break
                reader.take(line)
                met = met or reader.head == expected
        reader.end()
        if not met and expected is not None:
            name, number = "", 0
            raise _Broken(f"record {expected.seq} with the expected hash is not there")
    except _Broken as problem:
        return _verdict(reader, str(problem), name, number - problem.back)
    return _verdict(reader)


def _verdict(reader: _Reader, problem: str = "", file: str = "", line: int = 0) -> Verdict:
    return Verdict(
        reader.head or Head(),
        reader.first,
        reader.records,
        reader.torn,
        problem,
        file,
        line,
        reader.unfinished,
    )


def _lines(file: Path) -> Iterable[tuple[bytes, bool]]:
    """Each line without its line feed, and whether it had one."""
    with file.open("rb") as stream:
        while line := stream.readline(LONGEST_LINE + 2):
            yield line.removesuffix(b"\n"), line.endswith(b"\n")
