"""Reads the text of a rule file: the part of HOCON that rules need, with the line of each thing.

Quick enough for tens of thousands of rules, and without what has no place in rules: includes,
substitutions, keys that are written twice.
"""

from __future__ import annotations

from typing import Any, Final

_DEEPEST: Final = 20
_BARE_ENDS: Final = frozenset('$"{}[]:=,+#`^?!@*&\\\n')
_ESCAPES: Final = {
    '"': '"',
    "\\": "\\",
    "/": "/",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
}


class Section(dict[str, Any]):
    """What stands between braces. ``line`` is where it opens, ``lines`` says it of each key."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}


class Items(list[Any]):
    """What stands between brackets; ``lines`` has the line of each item."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[int] = []


class BadText(ValueError):  # noqa: N818 - names what is wrong
    """The text cannot be read: where, why, and the cure. Quotes nothing of it."""

    def __init__(self, line: int, problem: str, cure: str = "") -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line
        self.problem = problem
        self.cure = cure


def read_rules_text(text: str) -> Section:
    """The sections, lists and texts in ``text``; numbers and booleans are left as text.

    Raises BadText.
    """
    reader = _Reader(text)
    section = Section(1)
    reader.fields(section, "", 0)
    return section


class _Reader:
    """One pass over the text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1

    def blanks(self, *, lines: bool = True) -> None:
        """Go over spaces, comments and, when ``lines``, ends of lines."""
        text, end = self.text, len(self.text)
        while self.at < end:
            mark = text[self.at]
            if mark == "\n":
                if not lines:
                    return
                self.line += 1
                self.at += 1
            elif mark in " \t\r\ufeff":
                self.at += 1
            elif mark == "#" or text.startswith("//", self.at):
                found = text.find("\n", self.at)
                self.at = end if found < 0 else found
            else:
                return

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def fields(self, section: Section, closing: str, depth: int) -> None:
        """Read ``key = value`` until the closing brace, or the end where there is none."""
        opened = self.line
        while True:
            self.blanks()
            mark = self.peek()
            if mark == closing:
                self.at += 1
                return
            if not mark:
                raise BadText(opened, "a section opened with { is not closed", "add the missing }")
            if mark == ",":
                self.at += 1
                continue
            self.field(section, depth)
            self.separator("}")

    def field(self, section: Section, depth: int) -> None:
        line = self.line
        words = self.key()
        self.blanks()
        mark = self.peek()
        if mark and mark in "=:":
            self.at += 1
            self.blanks()
        elif mark != "{":
            if words == ["include"]:
                raise BadText(line, "rule files include nothing", "write the rules into one file")
            raise BadText(line, "a key is not followed by =, : or {", "close every quote before")
        for word in words[:-1]:
            inner = section.setdefault(word, Section(line))
            section.lines.setdefault(word, line)
            if not isinstance(inner, Section):
                raise BadText(line, f"{word} is written twice")
            section = inner
        if words[-1] in section:
            raise BadText(line, f"{words[-1]} is written twice", "keep one of them")
        section.lines[words[-1]] = line
        section[words[-1]] = self.value(depth + 1)

    def key(self) -> list[str]:
        words: list[str] = []
        while True:
            if self.peek() == '"':
                word = self.quoted()
            else:
                start = self.at
                while (mark := self.peek()) and (mark.isalnum() or mark in "_-"):
                    self.at += 1
                word = self.text[start : self.at]
            if not word:
                raise BadText(
                    self.line, f"unexpected {self.peek()!r}", "write rules = [ { ... }, { ... } ]"
                )
            words.append(word)
            if self.peek() != ".":
                return words
            self.at += 1

    def value(self, depth: int) -> Any:
        if depth > _DEEPEST:
            raise BadText(self.line, "is nested too deep")
        mark = self.peek()
        if mark == "{":
            self.at += 1
            section = Section(self.line)
            self.fields(section, "}", depth)
            return section
        if mark == "[":
            self.at += 1
            return self.items(depth)
        return self.quoted() if mark == '"' else self.bare()

    def items(self, depth: int) -> Items:
        opened, items = self.line, Items()
        while True:
            self.blanks()
            mark = self.peek()
            if mark == "]":
                self.at += 1
                return items
            if not mark:
                raise BadText(opened, "a list opened with [ is not closed", "add the missing ]")
            if mark == ",":
                self.at += 1
                continue
            items.lines.append(self.line)
            items.append(self.value(depth + 1))
            self.separator("]")

    def separator(self, closing: str) -> None:
        """After a value comes a comma, a new line or the closing mark."""
        self.blanks(lines=False)
        mark = self.peek()
        if mark and mark not in (",", "\n", closing):
            cure = "put a comma between, and text with such a character in double quotes"
            raise BadText(self.line, f"unexpected {mark!r} after a value", cure)

    def bare(self) -> str:
        """Text without quotes."""
        text, start = self.text, self.at
        while (mark := self.peek()) and mark not in _BARE_ENDS:
            if text.startswith("//", self.at):
                break
            self.at += 1
        found = text[start : self.at].strip()
        if not found:
            mark = self.peek()
            what = f"unexpected {mark!r}" if mark and mark != "\n" else "a value is missing"
            raise BadText(self.line, what, "put text with such a character in double quotes")
        return found

    def quoted(self) -> str:
        line, text = self.line, self.text
        if text.startswith('"""', self.at):
            end = text.find('"""', self.at + 3)
            if end < 0:
                raise BadText(line, "quotes are not closed", 'add the missing """')
            found = text[self.at + 3 : end]
            self.line += found.count("\n")
            self.at = end + 3
            return found
        parts: list[str] = []
        self.at += 1
        while True:
            start = self.at
            while (mark := self.peek()) not in ('"', "\\", "\n", ""):
                self.at += 1
            parts.append(text[start : self.at])
            self.at += 1
            if mark == '"':
                return "".join(parts)
            if mark != "\\":
                raise BadText(line, "quotes are not closed", "close them on the same line")
            parts.append(self.escape())

    def escape(self) -> str:
        mark = self.peek()
        self.at += 1
        if mark in _ESCAPES and mark:
            return _ESCAPES[mark]
        digits = self.text[self.at : self.at + 4]
        if (
            mark != "u"
            or len(digits) != 4
            or not all(each in "0123456789abcdefABCDEF" for each in digits)
        ):
            raise BadText(self.line, "a backslash begins nothing known", "write \\\\ for one")
        self.at += 4
        return chr(int(digits, 16))
