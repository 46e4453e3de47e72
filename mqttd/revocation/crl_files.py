"""Revocation lists in local files: read again when they change, the last good ones kept."""

from __future__ import annotations

import os
import stat
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
from cryptography import x509
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from mqttd.config.errors import Finding, error, warning
from mqttd.config.schema.revocation import CrlCacheOptions
from mqttd.revocation.crl_status import ListStatus, status_of
from mqttd.revocation.revocation_list import (
    BadList,
    IssuerKey,
    RevocationList,
    UnprovenList,
    date,
    issuer_key,
    parse_list,
    prove_list,
    split_lists,
)

_SUFFIXES: Final = (".crl", ".pem")
_MOST_FILES: Final = 10_000
_MOST_ISSUERS: Final = 256
_CURE: Final = "have the CA make the list anew, PEM or DER: openssl ca -gencrl, mqttd certs crl"

_Stamp = tuple[int, int, int]
_Findings = list[Finding]


@attrs.define(eq=False)
class LocalList:
    """One list of a file. ``proven`` is set once the certificate of its issuer was seen.

    ``refused`` holds issuers of the same name that did not sign it.
    """

    unproven: UnprovenList
    proven: RevocationList | None = None
    refused: dict[IssuerKey, BadList] = attrs.field(factory=dict)


@attrs.define(eq=False)
class LocalFile:
    """What a file held when it last was good, and why it is not now."""

    path: Path
    stamp: _Stamp | None = None
    lists: list[LocalList] = attrs.field(factory=list)
    problem: BadList | None = None
    read_at: float | None = None


@attrs.frozen
class Local:
    """What the files say of one issuer: usable lists, why others are not, and if that is all."""

    lists: list[RevocationList]
    problems: list[BadList]
    undecided: bool


def check_crl_files(
    options: CrlCacheOptions,
    base_dir: str | os.PathLike[str],
    *,
    path: str = "crl_cache",
    now: float | None = None,
) -> list[Finding]:
    """Findings about ``files`` and ``directory``: unreadable, no CRL, delta, scope, dates."""
    findings = []
    moment = time.time() if now is None else now
    named, problem = _named(options, Path(base_dir))
    if problem is not None:
        findings.append(error(f"{path}.directory", problem.text, "correct the path"))
    for each, option in named:
        try:
            lists = _read(each, options.max_size)
            for one in lists:
                _check_dates(one, moment)
        except BadList as bad:
            dated = bad.cause in ("crl-expired", "crl-not-yet-valid")
            make = warning if dated else error
            findings.append(make(f"{path}.{option}", f"{each}: {bad.text}", _CURE))
    return findings


class LocalLists:
    """The lists of ``files`` and ``directory``. Call ``reload`` before use and on each poll."""

    _log = Logger(namespace="mqttd.revocation.crl")

    def __init__(
        self,
        options: CrlCacheOptions,
        base_dir: Path,
        *,
        now: Callable[[], float] = time.time,
        in_thread: Callable[..., Deferred[Any]] = deferToThread,
        on_change: Callable[[], object] = lambda: None,
    ) -> None:
        self._options = options
        self._base_dir = base_dir
        self._now = now
        self._in_thread = in_thread
        self._on_change = on_change
        self._files: dict[Path, LocalFile] = {}
        self._by_issuer: dict[bytes, list[LocalList]] = {}
        self._issuers: OrderedDict[IssuerKey, x509.Certificate] = OrderedDict()
        self._lock = DeferredLock()

    def known(self, issuer: x509.Certificate) -> Local:
        """What is known at once of an issuer's lists."""
        key = issuer_key(issuer)
        lists, problems, undecided = [], [], False
        for local in self._by_issuer.get(key.name, ()):
            if local.proven is not None:
                if local.proven.issuer != key:
                    continue
                try:
                    local.proven.check_dates(self._now(), self._options.failure_threshold)
                except BadList as problem:
                    problems.append(problem)
                else:
                    lists.append(local.proven)
            elif key in local.refused:
                problems.append(local.refused[key])
            else:
                undecided = True
        return Local(lists, problems, undecided)

    async def prove(self, issuers: Iterable[x509.Certificate]) -> None:
        """Look whether these issuers signed their lists. Never raises for a list."""
        for issuer in issuers:
            key = issuer_key(issuer)
            waiting = [each for each in self._by_issuer.get(key.name, ()) if _open(each, key)]
            if waiting or key in self._issuers:
                self._remember(key, issuer)
            for local in waiting:
                await self._lock.run(self._in_thread, _prove, local, issuer, key)

    async def reload(self) -> list[Finding]:
        """Read the files that changed. What cannot be read stays as it was, with a finding."""
        files, findings = await self._lock.run(
            self._in_thread, self._read_changed, self._files, dict(self._issuers)
        )
        previous, self._files, self._by_issuer = self._by_issuer, files, _grouped(files)
        if _differ(previous, self._by_issuer):
            self._on_change()
        for finding in findings:
            self._log.error("{finding}", event="crl_file_refused", finding=finding.text)
        return list(findings)

    def list(self) -> list[ListStatus]:
        """Every list of every file, and files without."""
        found = []
        now, grace = self._now(), self._options.failure_threshold
        for file in self._files.values():
            lists: Sequence[LocalList | None] = file.lists or [None]
            found += [self._status(file, local, now, grace) for local in lists]
        return found

    def next_end(self) -> float | None:
        """When the next list that is usable now ends, in seconds since 1970."""
        grace = self._options.failure_threshold
        ends = [
            local.proven.next_update + grace
            for file in self._files.values()
            for local in file.lists
            if local.proven is not None and local.proven.next_update is not None
        ]
        now = self._now()
        return min((end for end in ends if end >= now), default=None)

    def _status(
        self, file: LocalFile, local: LocalList | None, now: float, grace: float
    ) -> ListStatus:
        problem = file.problem
        if problem is None and local is not None and local.refused and local.proven is None:
            problem = next(iter(local.refused.values()))
        status = status_of(
            str(file.path),
            None if local is None else local.proven,
            now=now,
            grace=grace,
            issuer="" if local is None else local.unproven.issuer_name,
            fetched=file.read_at,
            problem=problem,
        )
        if local is None or local.proven is not None:
            return status
        unproven = local.unproven
        return attrs.evolve(
            status,
            this_update=unproven.this_update,
            next_update=unproven.next_update,
            number=unproven.number,
        )

    def _remember(self, key: IssuerKey, issuer: x509.Certificate) -> None:
        self._issuers[key] = issuer
        self._issuers.move_to_end(key)
        while len(self._issuers) > _MOST_ISSUERS:
            self._issuers.popitem(last=False)

    def _read_changed(
        self, before: dict[Path, LocalFile], issuers: dict[IssuerKey, x509.Certificate]
    ) -> tuple[dict[Path, LocalFile], _Findings]:
        """In a thread: all files, those that changed read anew and proven as far as possible."""
        files: dict[Path, LocalFile] = {}
        findings = []
        named, trouble = _named(self._options, self._base_dir)
        if trouble is not None:
            findings.append(error("crl_cache.directory", trouble.text, "correct the path"))
            # a directory that is gone for a moment takes nothing away
            named += [(path, "directory") for path in before if path not in dict(named)]
        for path, option in named:
            old = before.get(path, LocalFile(path))
            stamp = _stamp(path)
            if stamp is not None and stamp == old.stamp:
                files[path] = old
                continue
            try:
                lists = [LocalList(one) for one in _read(path, self._options.max_size)]
            except BadList as problem:
                files[path] = attrs.evolve(old, stamp=stamp, problem=problem)
                if old.problem is None or old.problem.text != problem.text:
                    kept = "; the lists read from it before stay in use" if old.lists else ""
                    text = f"{path}: {problem.text}{kept}"
                    findings.append(error(f"crl_cache.{option}", text, _CURE))
                continue
            for local in lists:
                for key, issuer in issuers.items():
                    if key.name == local.unproven.issuer:
                        _prove(local, issuer, key)
            files[path] = LocalFile(path, stamp, lists, read_at=self._now())
        return files, findings


def _grouped(files: dict[Path, LocalFile]) -> dict[bytes, list[LocalList]]:
    grouped: dict[bytes, list[LocalList]] = {}
    for file in files.values():
        for local in file.lists:
            grouped.setdefault(local.unproven.issuer, []).append(local)
    for lists in grouped.values():
        lists.sort(key=lambda local: local.unproven.this_update, reverse=True)
    return grouped


def _differ(before: dict[bytes, list[LocalList]], after: dict[bytes, list[LocalList]]) -> bool:
    old = {id(local) for lists in before.values() for local in lists}
    new = {id(local) for lists in after.values() for local in lists}
    return old != new


def _prove(local: LocalList, issuer: x509.Certificate, key: IssuerKey) -> None:
    if _open(local, key):
        try:
            proven = prove_list(local.unproven, issuer)
            local.unproven = local.unproven.without_content()
            local.proven = proven
        except BadList as problem:
            if len(local.refused) < _MOST_ISSUERS:
                local.refused[key] = problem


def _open(local: LocalList, key: IssuerKey) -> bool:
    return local.proven is None and key not in local.refused


def _named(
    options: CrlCacheOptions, base_dir: Path
) -> tuple[list[tuple[Path, str]], BadList | None]:
    """Every file with the option that names it; and what is wrong with the directory."""
    paths = dict.fromkeys(Path(base_dir, each).absolute() for each in options.files)
    named = [(path, "files") for path in paths]
    if options.directory is None:
        return named, None
    directory = Path(base_dir, options.directory).absolute()
    try:
        found = sorted(each for each in directory.iterdir() if each.suffix in _SUFFIXES)
    except OSError as problem:
        words = problem.strerror or str(problem)
        return named, BadList("crl-unreachable", f"{directory} cannot be read: {words}")
    named += [(each, "directory") for each in found[:_MOST_FILES] if each not in paths]
    return named, None


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(path: Path, max_size: int) -> Sequence[UnprovenList]:
    """The lists of a file. Raises BadList."""
    try:
        # a pipe in the place of a file must not hang the thread
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise BadList("crl-garbage", "it is not a regular file")
            if status.st_size > max_size:
                raise BadList("crl-too-large", f"it has more than {max_size} bytes (max_size)")
            data = file.read(max_size + 1)
    except OSError as problem:
        words = problem.strerror or str(problem)
        raise BadList("crl-unreachable", f"it cannot be read: {words}") from None
    except ValueError:
        raise BadList("crl-unreachable", "its path is not possible") from None
    return [parse_list(one, max_size=max_size) for one in split_lists(data)]


def _check_dates(one: UnprovenList, now: float) -> None:
    if one.next_update is not None and now > one.next_update:
        text = f"its nextUpdate was {date(one.next_update)}: it is not used any more"
        raise BadList("crl-expired", text)
    if now < one.this_update:
        text = f"it is valid from {date(one.this_update)} only"
        raise BadList("crl-not-yet-valid", text)
