"""The configuration file and the environment made into one checked Configuration."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from mqttd.config import hocon
from mqttd.config.authentication import structure_authentication
from mqttd.config.authorization import structure_sources
from mqttd.config.environment import apply_environment
from mqttd.config.errors import ConfigurationErrors, Finding, by_severity
from mqttd.config.event_sinks import structure_event_sinks
from mqttd.config.legacy import convert
from mqttd.config.not_yet import refuse_not_yet
from mqttd.config.schema import Configuration, ListenerOptions, Listeners
from mqttd.config.structure import structure
from mqttd.config.validate import validate


@attrs.frozen
class Loaded:
    """A configuration fit for use, and the warnings and notices on it.

    ``base_dir`` is where relative paths start: the directory the process was started in, so that
    ``etc/certs/key.pem`` means the same as in EMQX's files. ``files`` are those the configuration
    was read from: itself, what it includes, and passwords given as ``file://PATH``. ``origins``
    says by option path where it was written.
    """

    configuration: Configuration
    findings: list[Finding]
    base_dir: Path
    path: Path | None = None
    files: tuple[Path, ...] = ()
    origins: Mapping[str, str] = attrs.field(factory=dict, eq=False, repr=False)


class UnusableOptions(ConfigurationErrors):
    """Options are wrong. ``rest`` is the configuration without them, to look for more errors."""

    def __init__(self, findings: list[Finding], rest: Loaded) -> None:
        super().__init__(findings)
        self.rest = rest


def load_configuration(
    path: str | os.PathLike[str],
    environ: Mapping[str, str] | None = None,
    *,
    base_dir: str | os.PathLike[str] | None = None,
) -> Loaded:
    """Read the file, apply overrides of ``environ`` (the process's own when None), check all.

    Raises ConfigurationErrors that hold every error found, each with its path and cure; of
    options that are wrong, UnusableOptions.
    """
    document = hocon.read_file(Path(path))
    return _finish(document, environ, base_dir, Path(path))


def load_text(
    text: str,
    environ: Mapping[str, str] | None = None,
    *,
    base_dir: str | os.PathLike[str] | None = None,
    name: str = "text",
) -> Loaded:
    """As ``load_configuration``, from the text; without ``environ`` nothing overrides it."""
    document = hocon.read_text(text, name)
    return _finish(document, {} if environ is None else environ, base_dir, None)


def _finish(
    document: hocon.Document,
    environ: Mapping[str, str] | None,
    base_dir: str | os.PathLike[str] | None,
    path: Path | None,
) -> Loaded:
    directory = Path.cwd() if base_dir is None else Path(base_dir)
    values, origins = document.values, document.origins
    findings = list(document.findings)
    findings += convert(document.legacy, values, origins)
    findings += apply_environment(os.environ if environ is None else environ, values, origins)
    configuration, found = structure(values, Configuration, directory)
    findings += found
    configuration, found_within = _with_plugins(configuration, directory)
    found += found_within
    findings += found_within
    misfits = {_section(finding.path) for finding in found if finding.severity == "error"}
    # a rule between options says nothing where one of them was misread
    findings += [
        finding for finding in validate(configuration) if _section(finding.path) not in misfits
    ]
    findings += refuse_not_yet(configuration)
    findings = by_severity([placed(finding, origins) for finding in findings])
    files = (*map(directory.joinpath, document.files),)
    files += (*map(directory.joinpath, _secret_files(values)),)
    loaded = Loaded(configuration, findings, directory, path, files, origins)
    if any(finding.severity == "error" for finding in findings):
        raise UnusableOptions(findings, loaded)
    return loaded


def _secret_files(value: object) -> Iterator[str]:
    """What ``file://PATH`` names anywhere in the values."""
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _secret_files(each)
    elif isinstance(value, list):
        for each in value:
            yield from _secret_files(each)
    elif isinstance(value, str) and value.startswith("file://"):
        yield value.removeprefix("file://")


def _with_plugins(
    configuration: Configuration, base_dir: Path
) -> tuple[Configuration, list[Finding]]:
    """``authentication``, of the broker and of its listeners, the sources of ``authorization``
    and ``event_sinks`` as options instead of sections."""
    made, findings = structure_authentication(
        configuration.authentication, base_dir, "authentication"
    )
    listeners: dict[str, dict[str, ListenerOptions]] = {}
    for listener in configuration.listeners:
        own, found = structure_authentication(
            listener.authentication, base_dir, f"{listener.path}.authentication"
        )
        findings += found
        named = listeners.setdefault(listener.type, {})
        named[listener.name] = attrs.evolve(listener, authentication=own)
    authorization = configuration.authorization
    sources, found = structure_sources(authorization.sources, base_dir, "authorization.sources")
    findings += found
    sinks, found = structure_event_sinks(configuration.event_sinks, base_dir, "event_sinks")
    return (
        attrs.evolve(
            configuration,
            authentication=made,
            authorization=attrs.evolve(authorization, sources=sources),
            event_sinks=sinks,
            listeners=Listeners(**listeners),
        ),
        [*findings, *found],
    )


def _section(path: str) -> str:
    return path.rpartition(".")[0]


def placed(finding: Finding, origins: Mapping[str, str]) -> Finding:
    """The finding with the place its option was written, or the nearest section around it."""
    path = finding.path
    while path and not finding.origin:
        if path in origins:
            return attrs.evolve(finding, origin=origins[path])
        path = path.rpartition("[")[0] if path.endswith("]") else _section(path)
    below = [origins[path] for path in origins if path.startswith(f"{finding.path}.")]
    if finding.path and below and not finding.origin:
        return attrs.evolve(finding, origin=below[0])
    return finding
