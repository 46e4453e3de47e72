"""List the normative statements that no conformance test names.

``tests/conformance/statements/v3.txt`` and ``v5.txt`` hold the numbers, one a line; a text after
a number is the reason why no test of a server can show it. A test names its statements with
``@pytest.mark.statements("v5:MQTT-3.1.2-3", "v3:MQTT-3.1.2-3")``. The exit status is 1 when a
statement has neither test nor reason, has both, or when a test names one that does not exist.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONFORMANCE = ROOT / "tests" / "conformance"
VERSIONS = ("v3", "v5")


def read_statements(version: str) -> dict[str, str]:
    """The statements of ``version``, each with the reason for having no test, or ``""``."""
    statements = {}
    text = (CONFORMANCE / "statements" / f"{version}.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            number, _, reason = line.partition(" ")
            statements[f"{version}:{number}"] = reason.strip()
    return statements


def named_in(source: str) -> Iterator[tuple[int, str]]:
    """(line, statement) for every statement named by a marker in ``source``.

    Tables count too: one row of a parametrized test may show one statement.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and _is_marker(node.func):
            for argument in node.args:
                yield argument.lineno, ast.literal_eval(argument)


def _is_marker(function: ast.expr) -> bool:
    return isinstance(function, ast.Attribute) and function.attr == "statements"


def tests_by_statement() -> dict[str, list[str]]:
    """Where each statement is named, as ``file:line``."""
    named: dict[str, list[str]] = {}
    for path in sorted(CONFORMANCE.rglob("test_*.py")):
        for line, statement in named_in(path.read_text(encoding="utf-8")):
            named.setdefault(statement, []).append(f"{path.relative_to(ROOT)}:{line}")
    return named


def problems() -> list[str]:
    """What is wrong, one line each."""
    statements: dict[str, str] = {}
    for version in VERSIONS:
        statements |= read_statements(version)
    named = tests_by_statement()
    found = []
    for statement, reason in statements.items():
        if statement not in named and not reason:
            found.append(f"{statement} has no test")
        elif statement in named and reason:
            found.append(f"{statement} has a test and a reason for having none")
    found += [
        f"{statement} is no statement, but {', '.join(tests)} names it"
        for statement, tests in named.items()
        if statement not in statements
    ]
    return found


def main() -> int:
    """Print what is missing, and the statements excused with their reasons."""
    named = tests_by_statement()
    for version in VERSIONS:
        statements = read_statements(version)
        shown = sum(statement in named for statement in statements)
        print(f"{version}: {len(statements)} statements, {shown} shown by tests")
        for statement, reason in statements.items():
            if statement not in named and reason:
                print(f"  {statement}: {reason}")
    found = problems()
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
