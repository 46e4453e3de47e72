"""The file of pre-shared keys, read for a store or for ``mqttd check``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mqttd.config.errors import Finding, error, warning
from mqttd.config.schema.psk import PskAuthenticationOptions
from mqttd.psk.psk_file import PskFile, parse_psk_file
from mqttd.tls.files import FileProblem, read_file, resolve

LARGEST: Final = 64 << 20
"""Bytes of the file: half a million keys and more."""
_NAMED: Final = 100
"""Bad lines that are named one by one."""

PATH: Final = "psk_authentication.init_file"


def read_psk_file(
    options: PskAuthenticationOptions, base_dir: Path
) -> tuple[PskFile | None, list[Finding]]:
    """The keys of ``init_file`` with every finding; None when an error is among them."""
    file = resolve(options.init_file or "", base_dir)
    read, findings = look_at(file, separator=options.separator, encoding=options.encoding)
    return (None if read is None or read.bad else read), findings


def look_at(
    file: Path, *, separator: str, encoding: str, path: str = PATH
) -> tuple[PskFile | None, list[Finding]]:
    """What is in a file, with every finding; None when it cannot be read.

    ``path`` is what the findings are about.
    """
    try:
        data, mode = read_file(file, LARGEST)
    except FileProblem as problem:
        return None, [error(path, problem.message, problem.cure)]
    read = parse_psk_file(data, separator=separator, encoding=encoding)
    findings = about_lines(read, str(file), path)
    if mode & 0o007:
        message = f"{file} is open to every user of this machine (mode {mode:04o})"
        findings.append(warning(path, message, f"chmod 600 {file}"))
    if not read.keys and not read.bad:
        message = f"{file} holds no identity: no client can prove a key"
        findings.append(warning(path, message, "add a line: mqttd psk new ID"))
    return read, findings


def about_lines(read: PskFile, name: str, path: str) -> list[Finding]:
    """An error for each bad line, and one for those beyond the first hundred."""
    findings = [
        error(path, f"{name} line {each.number}: {each.problem}", "mend or remove the line")
        for each in read.bad[:_NAMED]
    ]
    more = read.bad_count - len(findings)
    if more > 0:
        findings.append(error(path, f"{name}: {more} more bad lines"))
    if read.odd is not None:
        message = (
            f"{name} line {read.odd}: the key is not hexadecimal, most others are: because of it "
            "every key is read as text"
        )
        findings.append(warning(path, message, "mend the line, or say what encoding is meant"))
    if read.maybe_base64:
        message = f"{name}: every key looks like base64, and is read as text"
        findings.append(warning(path, message, "write encoding = base64, or encoding = text"))
    return findings


def check_psk(options: PskAuthenticationOptions, base_dir: Path) -> list[Finding]:
    """Everything wrong or risky about the file of keys; nothing where it is not used."""
    if not options.enable or options.store != "file" or not options.init_file:
        return []
    return read_psk_file(options, base_dir)[1]
