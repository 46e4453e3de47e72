"""The file of pre-shared keys, read for a store or for ``mqttd check``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mqttd.config.errors import Finding, error, warning
from mqttd.config.schema.psk import PskAuthenticationOptions
from mqttd.psk.psk_file import PskFile, parse_psk_file
from mqttd.tls.files import FileProblem, read_file, resolve

_LARGEST: Final = 64 << 20
"""Bytes of the file: half a million keys and more."""
_NAMED: Final = 100
"""Bad lines that are named one by one."""

PATH: Final = "psk_authentication.init_file"


def read_psk_file(
    options: PskAuthenticationOptions, base_dir: Path
) -> tuple[PskFile | None, list[Finding]]:
    """The keys of ``init_file`` with every finding; None when an error is among them."""
    file = resolve(options.init_file or "", base_dir)
    try:
        data, mode = read_file(file, _LARGEST)
    except FileProblem as problem:
        return None, [error(PATH, problem.message, problem.cure)]
    read = parse_psk_file(data, separator=options.separator, encoding=options.encoding)
    findings = about_lines(read, str(file), PATH)
    if mode & 0o077:
        findings.append(
            warning(PATH, f"{file} can be read by others ({mode:04o})", f"chmod 600 {file}")
        )
    if not read.keys and not read.bad:
        message = f"{file} holds no identity: no client can prove a key"
        findings.append(warning(PATH, message, "add a line: mqttd psk new ID"))
    return (None if read.bad else read), findings


def about_lines(read: PskFile, name: str, path: str) -> list[Finding]:
    """An error for each bad line, and one for those beyond the first hundred."""
    findings = [
        error(path, f"{name} line {each.number}: {each.problem}", "mend or remove the line")
        for each in read.bad[:_NAMED]
    ]
    more = len(read.bad) - _NAMED
    if more > 0:
        last = read.bad[-1].number
        findings.append(error(path, f"{name}: {more} more bad lines, up to line {last}"))
    return findings


def check_psk(options: PskAuthenticationOptions, base_dir: Path) -> list[Finding]:
    """Everything wrong or risky about the file of keys; nothing where it is not used."""
    if not options.enable or options.store != "file" or not options.init_file:
        return []
    return read_psk_file(options, base_dir)[1]
