"""Fuzz what reads identities and rules: ``python fuzz/fuzz_identity.py --runs 5000``.

Tokens, key sets, answers of HTTP servers, SCRAM messages; files of users, rules and access lists,
and records of the audit log. Each must end in a value or in its own error. Exit status 1 and the
input in hexadecimal when a reader failed.
"""

from __future__ import annotations

import base64
import json
import sys

import readers
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from readers import Target

from mqttd.audit.records import BrokenRecord, Head, opened, sealed
from mqttd.auth.acl_claims import access_rules
from mqttd.auth.http_answer import read_answer
from mqttd.auth.jwt_keys import UnusableKey, jwks_keys, secret_keys
from mqttd.auth.jwt_token import BadToken, parse_json, parse_token
from mqttd.auth.password_hash import check_hash, hash_password
from mqttd.auth.scram import ScramAuthenticator, ScramCredential
from mqttd.auth.user_file import parse_users
from mqttd.authz.mosquitto_acl import parse_acl
from mqttd.authz.rule_text import BadText, read_rules_text
from mqttd.http_backend.answer import BadAnswer
from mqttd.identity import Refused
from mqttd.testing import connect_request

_NOW = 1_700_000_000.0


def _token() -> Target:
    keys = secret_keys(b"k" * 32).keys

    def check(data: bytes) -> None:
        try:
            token = parse_token(data)
        except BadToken as problem:
            str(problem)
            return
        if token is not None:
            if any(key.verifies(token) for key in keys):
                raise AssertionError("a forged token is good")
            repr(token)

    parts = (b'{"alg":"HS256","typ":"JWT"}', b'{"sub":"ann","exp":1800000000}', b"x" * 32)
    token = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    return Target(check, [token, b"a.b.c"], (b".", b"=", b"eyJ"))


def _key_set() -> Target:
    def check(data: bytes) -> None:
        try:
            repr(jwks_keys(data))
        except UnusableKey as problem:
            str(problem)

    key = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True)
    return Target(check, [json.dumps({"keys": [key]}).encode()], (b'"kty":"RSA"', b"{", b"]"))


def _answer() -> Target:
    def check(data: bytes) -> None:
        for kind in ("application/json", "application/x-www-form-urlencoded"):
            try:
                repr(read_answer(200, kind, data, _NOW))
            except (BadAnswer, Refused) as problem:
                str(problem)
        try:
            access_rules(parse_json(data))
        except ValueError as problem:
            str(problem)

    rules = [{"permission": "allow", "action": "all", "topic": "a/#", "qos": [1], "retain": "all"}]
    full = {
        "result": "allow", "is_superuser": True, "client_attrs": {"a": "b"}, "acl": rules,
        "expire_at": 1_800_000_000, "clientid_override": "c",
    }  # fmt: skip
    seeds = [json.dumps(full).encode(), b"result=allow&is_superuser=1", json.dumps(rules).encode()]
    return Target(check, seeds, (b'"deny"', b"null", b"1e999", b"\\ud800", b"[[", b"&"))


def _scram() -> Target:
    kept = ScramCredential.new("SCRAM-SHA-256", "pencil", iterations=4096, salt=b"salt")
    server = ScramAuthenticator("SCRAM-SHA-256", {"ann": kept}.get, new_nonce=lambda: "nonce")
    request = connect_request()

    def check(data: bytes) -> None:
        exchange = server.start(request, None)
        for message in data.split(b"\0", 2):
            try:
                if not isinstance(exchange.step(message), bytes):
                    raise AssertionError("somebody came in without the password")
            except Refused as problem:
                str(problem)

    seeds = [b"n,,n=ann,r=x\0c=biws,r=xnonce,p=" + b"A" * 44, b"y,,n=a=2Cb,r=x\0c=eSws,r=xnonce"]
    return Target(check, seeds, (b"n,,", b"=2C", b"\0", b",p=", b"m=", b"\xc2\xaa"))


def _users() -> Target:
    def kept(text: str) -> str:
        check_hash(text)
        return text

    def check(data: bytes) -> None:
        for read in (kept, ScramCredential.parse):
            repr(parse_users(data, read)[1])

    scram = ScramCredential.new("SCRAM-SHA-256", "pencil", iterations=4096, salt=b"salt").text()
    lines = f"ann:{hash_password(b'x')}\nbob:$7$101$c2FsdA==${'A' * 86}==\neve:{scram}\n"
    return Target(check, [lines.encode()], (b"$", b":", b"\n", b"m=9", b"$2b$04$", b"SCRAM-"))


def _rules() -> Target:
    def check(data: bytes) -> None:
        try:
            read_rules_text(data.decode("utf-8", "replace"))
        except BadText as problem:
            str(problem)

    seed = (
        b'rules = [{ permission = allow, who { or = [{ username = "a*" }] }, topics = ["a/#"] }]'
    )
    return Target(check, [seed, b"# x\nrules=[]\n"], (b"{", b"}", b"[", b'"""', b"=", b"${"))


def _access_list() -> Target:
    def check(data: bytes) -> None:
        rules, bad = parse_acl(data)
        repr((rules, bad))

    seed = b"user ann\ntopic read a/#\npattern write b/%c\ntopic deny c\n"
    return Target(check, [seed], (b"\nuser ", b"\ntopic ", b"%u", b"#", b"+"))


def _audit() -> Target:
    key = b"k" * 16
    line, _ = sealed(Head(), {"time": "t", "event": "client_connected"}, key)
    line = line[:-1]

    def check(data: bytes) -> None:
        try:
            opened(data, key)
        except BrokenRecord as problem:
            str(problem)
            return
        if data != line:
            raise AssertionError("a changed record is good")

    return Target(check, [line], (b',"hash":"', b'"}', b"0" * 64))


def targets() -> dict[str, Target]:
    """Every reader by its name."""
    return {
        "token": _token(),
        "key set": _key_set(),
        "answer": _answer(),
        "scram": _scram(),
        "users": _users(),
        "rules": _rules(),
        "access list": _access_list(),
        "audit": _audit(),
    }


if __name__ == "__main__":
    sys.exit(readers.main(__doc__ or "", targets()))
