"""Looks at what authenticators need, before they are put to use."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path

from mqttd.auth.certificate import CertificateAuthenticator
from mqttd.auth.cred import CredAuthenticator, CredProblem
from mqttd.auth.http_authenticator import check_http_authenticator
from mqttd.auth.jwt_plan import prepare as prepare_jwt
from mqttd.auth.password_hash import check_hash
from mqttd.auth.scram import ScramCredential
from mqttd.auth.user_file import load_users
from mqttd.config.errors import Finding, error
from mqttd.config.schema.authentication import (
    Authenticator,
    CertificateOptions,
    CredOptions,
    PasswordFileOptions,
    ScramOptions,
)
from mqttd.config.schema.authentication_http import HttpAuthenticatorOptions
from mqttd.config.schema.authentication_jwt import JwtOptions
from mqttd.plugins import UnknownPlugin, authenticator


def check_authenticators(
    authenticators: Sequence[Authenticator], base_dir: Path
) -> Iterator[Finding]:
    """Everything wrong or risky about those that are enabled, and the files they name."""
    for each in authenticators:
        if each.enable:
            yield from _check(each, base_dir)


def _check(each: Authenticator, base_dir: Path) -> Iterator[Finding]:
    options, path = each.options, each.path
    try:
        authenticator(each.name)
    except UnknownPlugin as problem:
        mechanism = each.name.partition(":")[0]
        has_backends = any(name.startswith(f"{mechanism}:") for name in problem.known)
        place = f"{path}.{'backend' if has_backends else 'mechanism'}"
        near = difflib.get_close_matches(each.name, problem.known, n=1)
        cure = f"write {_written(near[0])}" if near else "install the plugin that has it"
        yield error(place, str(problem), cure)
        return
    if isinstance(options, PasswordFileOptions | ScramOptions) and not options.file:
        yield error(f"{path}.file", "is not set", "write the path of a file of users")
        return
    place = path
    try:
        if isinstance(options, HttpAuthenticatorOptions):
            yield from check_http_authenticator(options, path, base_dir)
        elif isinstance(options, JwtOptions):
            yield from prepare_jwt(options, path, base_dir)[1]
        elif isinstance(options, PasswordFileOptions):
            yield from load_users(options.file, base_dir, check_hash, f"{path}.file")[1]
        elif isinstance(options, ScramOptions):
            read = ScramCredential.parse
            yield from load_users(options.file, base_dir, read, f"{path}.file")[1]
        elif isinstance(options, CertificateOptions):
            place = f"{path}.fingerprints"
            CertificateAuthenticator(options)
        elif isinstance(options, CredOptions):
            place = f"{path}.checker"
            CredAuthenticator(options)
    except CredProblem as problem:
        yield error(place, str(problem), problem.cure)
    except ValueError as problem:  # of a certificate's fingerprint
        cure = "take that of openssl x509 -in FILE -noout -fingerprint -sha256"
        yield error(place, str(problem), cure)


def _written(name: str) -> str:
    """The name of a plugin as options."""
    mechanism, mark, backend = name.partition(":")
    return f'mechanism = "{mechanism}"' + (f', backend = "{backend}"' if mark else "")
