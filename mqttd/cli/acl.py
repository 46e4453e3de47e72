"""``mqttd acl``: which rule decides, and a look at a file of rules."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

import attrs
from cryptography import x509
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mqttd.authz.explain import Asking, Explanation, explain, parse_topic, words_of
from mqttd.authz.mosquitto_acl import load_acl
from mqttd.authz.rule_file import load_rules
from mqttd.cli.check import report
from mqttd.config.errors import ConfigurationErrors, Finding
from mqttd.config.load import Loaded
from mqttd.config.places import CONFIG_FILES, default_configuration
from mqttd.config.schema.authorization_sources import MosquittoAclOptions, RuleFileOptions
from mqttd.identity import PUBLISH, SUBSCRIBE, AccessRequest, Identity, PeerCertificate, PeerInfo
from mqttd.interfaces import PluginContext
from mqttd.plugins import authorizer
from mqttd.startup import load
from mqttd.tls.peer import peer_certificate

EXIT_UNDECIDED: Final = 3


class _Misuse(Exception):  # noqa: N818
    """The command line lacks something or holds what makes no sense."""


def add_command(commands: Any) -> None:
    """Add ``acl`` and its actions to the command line."""
    parser = commands.add_parser(
        "acl",
        help="say which rule decides, and check files of rules",
        description="Rules about what clients may do: the authorization section.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_explain(actions)
    check = actions.add_parser(
        "check",
        help="look at a file of rules",
        description="Name everything wrong in a file of rules. The broker takes a file whole or "
        "not at all.",
        epilog="Exit status 0: the broker would take the file (there may be warnings); 1: it "
        "would not; 2: wrong use.",
    )
    check.add_argument("file", metavar="FILE")
    check.add_argument(
        "--type",
        choices=("file", "mosquitto"),
        default="file",
        help="its format: our own (default), or that of mosquitto's acl_file",
    )
    check.add_argument("--json", action="store_true", help="print JSON")
    check.set_defaults(run=_check)


def _add_explain(actions: Any) -> None:
    parser = actions.add_parser(
        "explain",
        help="say which rule decides",
        description="Says what a client may do by the configuration and its files as they are "
        "now, and which rule says so. The broker need not run.",
        epilog="Exit status 0: allowed; 1: denied, or the configuration cannot be used; 2: wrong "
        f"use; {EXIT_UNDECIDED}: a source that was not asked decides.",
    )
    add = parser.add_argument
    add("-c", "--config", metavar="FILE", help=f"default: {' or else '.join(CONFIG_FILES)}")
    add("-u", "--username", metavar="NAME")
    add("-i", "--clientid", metavar="ID", default="")
    add("--ipaddr", metavar="ADDRESS", default="127.0.0.1", help="default: 127.0.0.1")
    add("--listener", metavar="TYPE:NAME", help="default: the first one that is enabled")
    add("--cert", metavar="FILE", help="the client's certificate (PEM)")
    add("--cert-common-name", metavar="CN", help="in place of a certificate")
    add("--psk-identity", metavar="ID")
    add("--attr", metavar="NAME=VALUE", action="append", default=[], help="may be repeated")
    add("--superuser", action="store_true")
    add("--qos", type=int, choices=(0, 1, 2), default=0)
    add("--retain", action="store_true", help="of a PUBLISH")
    add("--ask", action="store_true", help="ask servers and plugins too")
    add("--json", action="store_true", help="print JSON")
    add("action", choices=(PUBLISH, SUBSCRIBE))
    add("topic", metavar="TOPIC", help="a Topic Name, or a Topic Filter for subscribe")
    parser.set_defaults(run=_explain)


def _check(options: argparse.Namespace) -> int:
    if options.type == "file":
        rules, _, findings = load_rules(RuleFileOptions(path=options.file), Path(), "rules")
    else:
        rules, _, findings = load_acl(MosquittoAclOptions(path=options.file), Path(), "acl_file")
    findings = [_of_file(finding, options.file) for finding in findings]
    usable = not any(finding.severity == "error" for finding in findings)
    if options.json:
        listed = [attrs.asdict(finding) for finding in findings]
        value = {"file": options.file, "ok": usable, "rules": len(rules), "findings": listed}
        print(json.dumps(value, indent=2))
    else:
        print(report(options.file, findings))
        if usable:
            print(f"{len(rules)} rule{'' if len(rules) == 1 else 's'}")
    return 0 if usable else 1


def _of_file(finding: Finding, file: str) -> Finding:
    """A finding about a file that no configuration names."""
    path = finding.path.partition(".path")[2].removeprefix(": ")
    return attrs.evolve(finding, path=path if path or finding.origin else file)


def _explain(options: argparse.Namespace) -> int:
    path = options.config or default_configuration()
    try:
        if path is None:
            raise _Misuse("there is no configuration; name it with --config FILE")
        loaded = load(path)
        request = _request(options, loaded)
        explanation = _asked(request, loaded, options.ask)
    except _Misuse as problem:
        print(f"mqttd acl explain: {problem}", file=sys.stderr)
        return 2
    except ConfigurationErrors as errors:
        print(report(path or "", errors.errors), file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(attrs.asdict(explanation), indent=2))
    else:
        print(words_of(explanation))
    return EXIT_UNDECIDED if explanation.allow is None else int(not explanation.allow)


def _request(options: argparse.Namespace, loaded: Loaded) -> AccessRequest:
    try:
        group, topic = parse_topic(options.action, options.topic)
    except ValueError as problem:
        raise _Misuse(str(problem)) from None
    attributes = {}
    for text in options.attr:
        name, mark, value = text.partition("=")
        if not name or not mark:
            raise _Misuse(f"--attr {text}: write NAME=VALUE")
        attributes[name] = value
    listeners = [listener.id for listener in loaded.configuration.listeners.enabled()]
    if options.listener is not None and options.listener not in listeners:
        raise _Misuse(f"--listener {options.listener}: there are {', '.join(listeners)}")
    psk_identity = options.psk_identity
    peer = PeerInfo(
        options.listener or next(iter(listeners), ""),
        (options.ipaddr, 0),
        certificate=_certificate(options),
        psk_identity=None if psk_identity is None else psk_identity.encode(),
    )
    identity = Identity(
        options.username, None, is_superuser=options.superuser, attributes=attributes
    )
    return AccessRequest(
        options.action,
        topic,
        options.qos,
        options.retain and options.action == PUBLISH,
        options.username,
        options.clientid,
        identity,
        peer,
        group=group,
    )


def _certificate(options: argparse.Namespace) -> PeerCertificate | None:
    if options.cert is not None:
        try:
            data = Path(options.cert).read_bytes()
            return peer_certificate(x509.load_pem_x509_certificate(data))
        except OSError as problem:
            raise _Misuse(f"--cert {options.cert}: {problem.strerror}") from None
        except ValueError:
            raise _Misuse(f"--cert {options.cert}: holds no PEM certificate") from None
    name = options.cert_common_name
    if name is None:
        return None
    return PeerCertificate(b"", "", name, f"CN={name}", "", 0, 0.0, 0.0)


def _asked(request: AccessRequest, loaded: Loaded, ask: bool) -> Explanation:
    authorization = loaded.configuration.authorization
    no_match = not authorization.denies
    if not ask:
        said: list[Any] = []  # at once, since nothing is waited for
        asking = explain(request, _sources(loaded, None), no_match)
        Deferred.fromCoroutine(asking).addBoth(said.append)
        if isinstance(said[0], Failure):
            said[0].raiseException()
        found: Explanation = said[0]
        return found
    from mqttd.cli.ask import asked  # noqa: PLC0415 - a reactor only where it is needed

    def begin(reactor: Any) -> tuple[list[Any], Coroutine[Any, Any, Explanation]]:
        sources = _sources(loaded, reactor)
        asking = explain(request, sources, no_match, reactor)
        return [source.authorizer for source in sources], asking

    return asked(begin)


def _sources(loaded: Loaded, reactor: Any) -> list[Asking]:
    """The sources, made as the broker makes them; without a reactor, only those in memory."""
    configuration = loaded.configuration
    context = PluginContext(reactor, loaded.base_dir, loaded.base_dir / configuration.data_dir)
    asking = []
    for source in configuration.authorization.sources:
        if not source.enable:
            continue
        own = isinstance(source.options, RuleFileOptions | MosquittoAclOptions)
        made = None
        if own or reactor is not None:
            made = authorizer(source.type).make(source.options, context)
        asking.append(Asking(source.path, source.type, made))
    return asking
