"""What the ``jwt`` options come to: the keys or where they are, the algorithms, the claims."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import attrs

from mqttd.auth.connect_placeholders import CONNECT
from mqttd.auth.jwt_claims import ClaimRules
from mqttd.auth.jwt_keys import (
    HMAC,
    LEAST_SECRET,
    PUBLIC,
    KeySet,
    UnusableKey,
    pem_keys,
    restricted,
    secret_keys,
)
from mqttd.config.errors import ConfigurationErrors, Finding, by_severity, error, notice, warning
from mqttd.config.schema.authentication_jwt import JwtOptions
from mqttd.outgoing.tls import check_client_tls, server_name
from mqttd.placeholders import BadTemplate, Template, parse_template
from mqttd.tls.files import FileProblem, read_pem

_SHARED: Final = "secret"
_FILE: Final = "public_key"
_REMOTE: Final = "endpoint"
_TOKEN: Final = frozenset(
    "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)
"""RFC 9110 section 5.6.2."""
_OURS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection"})


@attrs.frozen
class Plan:
    """Everything parsed. ``keys`` None: they come from ``endpoint``."""

    claims: ClaimRules
    algorithms: frozenset[str]
    keys: KeySet | None
    from_file: bool = False
    """Whether they are those of ``public_key``."""


def prepare(options: JwtOptions, path: str, base_dir: Path) -> tuple[Plan | None, list[Finding]]:
    """The plan and every finding about the options and their files; no plan with an error."""
    found: list[Finding] = []
    source = _source(options, path, found)
    algorithms = _algorithms(options, source, path, found)
    keys = None
    if source == _SHARED:
        keys = _secret(options, path, found)
    elif source == _FILE:
        keys = read_public_key(options, path, base_dir, found)
    elif source == _REMOTE:
        _check_endpoint(options, path, base_dir, found)
    templates = _templates(options, path, found)
    _check_ties(options, source, path, found)
    if any(finding.severity == "error" for finding in found):
        return None, by_severity(found)
    if keys is not None:
        keys = restricted(keys, algorithms)
        if not any(key.algorithms for key in keys.keys):
            message = "holds none that fits the kind of the key"
            cure = "write algorithms of its kind, or remove the option"
            found.append(error(f"{path}.algorithms", message, cure))
            return None, by_severity(found)
    claims = ClaimRules(
        verify=templates,
        issuer=frozenset(options.issuer),
        audience=frozenset(options.audience),
        required=tuple(options.required_claims),
        require_exp=options.require_exp,
        leeway=options.leeway,
        cut=options.disconnect_after_expire,
        acl=options.acl_claim_name,
        username=options.username_claim,
        from_username=options.from_ == "username",
    )
    return Plan(claims, algorithms, keys, source == _FILE), by_severity(found)


def read_public_key(
    options: JwtOptions, path: str, base_dir: Path, found: list[Finding]
) -> KeySet | None:
    """The keys of ``public_key``, or a finding."""
    try:
        return pem_keys(read_pem(options.public_key or "", base_dir))
    except FileProblem as problem:
        found.append(error(f"{path}.public_key", problem.message, problem.cure))
        return None


def reread_public_key(plan: Plan, options: JwtOptions, path: str, base_dir: Path) -> KeySet:
    """The keys as the file has them now. Raises ConfigurationErrors."""
    found: list[Finding] = []
    keys = read_public_key(options, path, base_dir, found)
    if keys is not None:
        keys = restricted(keys, plan.algorithms)
        if any(key.algorithms for key in keys.keys):
            return keys
        message = "holds a key that fits none of the algorithms"
        found.append(error(f"{path}.public_key", message, "correct the file, or algorithms"))
    raise ConfigurationErrors(found)


def _source(options: JwtOptions, path: str, found: list[Finding]) -> str | None:
    """Where keys come from: the name of the option that says it."""
    given = {
        _SHARED: options.secret is not None,
        _FILE: bool((options.public_key or "").strip()),
        _REMOTE: options.endpoint is not None,
    }
    chosen = [name for name, there in given.items() if there]
    if options.use_jwks or (options.use_jwks is None and chosen == [_REMOTE]):
        wanted = _REMOTE
    elif options.algorithm is not None:
        wanted = _SHARED if options.algorithm == "hmac-based" else _FILE
    else:
        local = [name for name in chosen if name != _REMOTE]
        if len(local) == 1 and (options.use_jwks is False or chosen == local):
            wanted = local[0]
        elif not chosen:
            cure = "set secret, public_key, or endpoint for JWKS"
            found.append(error(path, "has no key to check tokens with", cure))
            return None
        else:
            cure = "set use_jwks or algorithm, or remove those that are not meant"
            found.append(error(path, f"does not say which to use: {', '.join(chosen)}", cure))
            return None
    if not given[wanted]:
        cure = {
            _SHARED: "write the secret, or file://PATH of a file with it",
            _FILE: "give the path of a PEM file with the public key",
            _REMOTE: "write https://HOST/PATH of the key set",
        }[wanted]
        found.append(error(f"{path}.{wanted}", "is not set", cure))
        return None
    for name in chosen:
        if name != wanted:
            message = f"has no effect: keys come from {wanted}"
            found.append(warning(f"{path}.{name}", message, "remove it"))
    if options.ssl is not None and wanted != _REMOTE:
        message = f"has no effect: keys come from {wanted}"
        found.append(warning(f"{path}.ssl", message, "remove it"))
    return wanted


def _algorithms(
    options: JwtOptions, source: str | None, path: str, found: list[Finding]
) -> frozenset[str]:
    fit = HMAC if source == _SHARED else PUBLIC
    known = {name.lower(): name for name in (*HMAC, *PUBLIC)}
    chosen = set()
    for given in options.algorithms:
        name = known.get(given.lower())
        place = f"{path}.algorithms"
        if name is None:
            message = f"{given[:20]!r} is no algorithm that signs tokens"
            if given.lower() == "none":
                message = "none is no signature: anybody could make such tokens"
            cure = f"known: {', '.join(sorted(fit))}"
            found.append(error(place, message, cure))
        elif source is not None and name not in fit:
            message = f"{name} does not work with {source}"
            found.append(error(place, message, f"write some of {', '.join(sorted(fit))}"))
        else:
            chosen.add(name)
    return frozenset(chosen) or fit


def _secret(options: JwtOptions, path: str, found: list[Finding]) -> KeySet | None:
    place = f"{path}.secret"
    text = options.secret.reveal() if options.secret is not None else ""
    try:
        secret = text.encode()
        if options.secret_base64_encoded:
            secret = base64.b64decode("".join(text.split()), validate=True)
        keys = secret_keys(secret)
    except (binascii.Error, UnicodeEncodeError):
        found.append(error(place, "is no base64", "correct it, or secret_base64_encoded"))
        return None
    except ValueError as problem:
        said = str(problem) if isinstance(problem, UnusableKey) else "is no base64"
        found.append(error(place, said, "make one: openssl rand -base64 48"))
        return None
    if len(secret) < LEAST_SECRET:
        message = f"has {len(secret)} bytes; whoever has a token can guess a short one"
        cure = f"use at least {LEAST_SECRET} random bytes: openssl rand -base64 48"
        found.append(warning(place, message, cure))
    return keys


def _check_endpoint(options: JwtOptions, path: str, base_dir: Path, found: list[Finding]) -> None:
    place = f"{path}.endpoint"
    url = (options.endpoint or "").strip()
    cure = "write https://HOST/PATH"
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
        if parts.scheme not in ("http", "https"):
            found.append(error(place, "is no http or https address", cure))
            return
        server_name(host)
    except ValueError:
        found.append(error(place, "names no server that can be", cure))
        return
    if port == 0 or len(url) > 8192 or any(c <= " " or c == "\x7f" for c in url):
        found.append(error(place, "cannot be an address", cure))
    elif parts.username is not None or parts.password is not None:
        found.append(error(place, "holds a user name", "use headers { authorization = ... }"))
    if options.keys_max_age < options.refresh_interval:
        message = "is shorter than refresh_interval: there would be times without keys"
        found.append(error(f"{path}.keys_max_age", message, "make it longer, such as 1d"))
    ssl = options.ssl
    if ssl is not None and ssl.enable:
        found += check_client_tls(ssl, f"{path}.ssl", base_dir)
    if parts.scheme == "https" and ssl is not None and not ssl.enable:
        message = "is false, but the address is an https one"
        cure = "set it to true, or write an http address"
        found.append(error(f"{path}.ssl.enable", message, cure))
    if parts.scheme == "http":
        if ssl is not None and ssl.enable:
            message = "has no effect: the address is an http one"
            found.append(warning(f"{path}.ssl", message, "write https"))
        if not _is_here(host):
            message = "is not encrypted: anybody in between can give us keys and let anyone in"
            found.append(warning(place, message, "use https"))
    for name, value in options.headers.items():
        if not name or not _TOKEN.issuperset(name) or name.lower() in _OURS:
            message = "is no header that can be set"
            found.append(error(f"{path}.headers.{name[:60]}", message, "remove it"))
        elif any(c < " " or c == "\x7f" for c in value):
            message = "holds a control character"
            found.append(error(f"{path}.headers.{name[:60]}", message, "remove it"))


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _templates(options: JwtOptions, path: str, found: list[Finding]) -> dict[str, Template]:
    templates = {}
    for name, text in options.verify_claims.items():
        place = f"{path}.verify_claims.{name}"
        try:
            templates[name] = parse_template(text, CONNECT)
        except BadTemplate as problem:
            found.append(error(place, problem.problem, problem.cure))
            continue
        if options.from_ in templates[name].names:
            cure = "compare with ${clientid}, or another that is no secret"
            found.append(error(place, "compares the token with itself", cure))
        elif "password" in templates[name].names:
            found.append(error(place, "compares with the password", "use ${clientid}"))
    return templates


def _check_ties(options: JwtOptions, source: str | None, path: str, found: list[Finding]) -> None:
    """What lets a good token be used for more than it was made for."""
    texts = options.verify_claims.values()
    by_name = options.username_claim is not None or options.from_ == "username"
    if not by_name and not any("${" in text for text in texts):
        found.append(
            warning(
                f"{path}.verify_claims",
                "says nothing of the client: who has any good token may come in as anybody",
                'write verify_claims { username = "${username}" }, or set username_claim',
            )
        )
    if source == _REMOTE and not options.audience and "aud" not in options.verify_claims:
        found.append(
            notice(
                f"{path}.audience",
                "is not set: tokens the same issuer made for other services are good here too",
                "name what aud must hold",
            )
        )
    if not options.require_exp:
        found.append(
            warning(
                f"{path}.require_exp",
                "is false: a token without exp is good for ever",
                "give tokens an exp",
            )
        )
