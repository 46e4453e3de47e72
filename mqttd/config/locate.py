"""The line on which each option of a HOCON text was last written."""

from __future__ import annotations

from typing import Final

_DEEPEST: Final = 50
"""Sections within each other; lists that are deeper are stepped over."""


def locate(text: str) -> dict[str, int]:
    """Lines (from 1) by option path, such as ``listeners.ssl.default.bind`` or, in a list,
    ``authentication[1].file``.

    A help for error messages only: it follows keys, braces, quotes and comments, and knows
    nothing of includes or substitutions. A text that is no HOCON gives what was found so far.
    """
    scanner = _Scanner(text)
    scanner.run()
    return scanner.lines


class _Scanner:
    """One pass over the text; ``sections`` is the path of the braces that are open."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.line = 1
        self.lines: dict[str, int] = {}
        self.sections: list[tuple[str, ...]] = [()]

    def run(self, outside: int = 0) -> None:
        """To the end, or until no more than ``outside`` sections are open."""
        while self.position < len(self.text) and len(self.sections) > outside:
            mark = self.text[self.position]
            if mark in " \t\r\n,{":
                self.step()
            elif self.at_comment():
                self.skip_line()
            elif mark == "}":
                if len(self.sections) > 1:
                    self.sections.pop()
                self.step()
            else:
                self.key()

    def step(self, count: int = 1) -> None:
        for mark in self.text[self.position : self.position + count]:
            self.line += mark == "\n"
        self.position += count

    def at_comment(self) -> bool:
        return self.text.startswith(("#", "//"), self.position)

    def skip_line(self) -> None:
        end = self.text.find("\n", self.position)
        self.position = len(self.text) if end < 0 else end

    def key(self) -> None:
        line, words, word = self.line, [], ""
        while self.position < len(self.text):
            mark = self.text[self.position]
            if mark in "=:{\n":
                break
            if mark == '"':
                start = self.position + 1
                self.quoted()
                word += self.text[start : self.position - 1]
            else:
                if mark == "." and word:
                    words.append(word.strip())
                    word = ""
                elif mark != "+":
                    word += mark
                self.step()
        words.append(word.strip())
        path = (*self.sections[-1], *words)
        if self.position >= len(self.text) or self.text[self.position] == "\n":
            return  # an include, or no HOCON
        for depth in range(len(self.sections[-1]) + 1, len(path)):
            self.lines.setdefault(".".join(path[:depth]), line)
        self.lines[".".join(path)] = line
        if self.text[self.position] != "{":
            self.step()
            self.value(path)
        else:
            self.sections.append(path)
            self.step()

    def value(self, path: tuple[str, ...]) -> None:
        begun = False
        while self.position < len(self.text):
            mark = self.text[self.position]
            if mark == '"':
                self.quoted()
                begun = True
            elif mark == "[":
                self.items(path)
                begun = True
            elif mark == "{":
                self.sections.append(path)
                self.step()
                return
            elif self.text.startswith(("${", "#"), self.position):
                self.skip_line()
                begun = begun or mark == "$"
            elif mark in ",}" or (mark == "\n" and begun):
                return
            else:
                begun = begun or not mark.isspace()
                self.step()

    def items(self, path: tuple[str, ...]) -> None:
        """A list: its sections are ``path[0]``, ``path[1]``; one alone is ``path``."""
        if len(self.sections) > _DEEPEST:
            self.bracket()
            return
        self.step()
        number = 0
        while self.position < len(self.text) and self.text[self.position] != "]":
            mark = self.text[self.position]
            if mark == '"':
                self.quoted()
            elif self.at_comment():
                self.skip_line()
            elif mark == "[":
                self.bracket()
            elif mark == "{":
                place = (*path[:-1], f"{path[-1]}[{number}]")
                number += 1
                self.lines[".".join(place)] = self.line
                self.sections.append(place)
                self.step()
                self.run(len(self.sections) - 1)
            else:
                self.step()
        self.step()
        if number == 1:
            self.rename(".".join(path))

    def rename(self, name: str) -> None:
        """The only section of the list ``name`` has the path of the list."""
        first = f"{name}[0]"
        for path in [each for each in self.lines if each.startswith(first)]:
            self.lines.setdefault(name + path.removeprefix(first), self.lines.pop(path))

    def bracket(self) -> None:
        depth = 0
        while self.position < len(self.text):
            mark = self.text[self.position]
            if mark == '"':
                self.quoted()
                continue
            if self.at_comment():
                self.skip_line()
                continue
            depth += (mark in "[{") - (mark in "]}")
            self.step()
            if depth == 0:
                return

    def quoted(self) -> None:
        if self.text.startswith('"""', self.position):
            end = self.text.find('"""', self.position + 3)
            self.step((len(self.text) if end < 0 else end + 3) - self.position)
            return
        self.step()
        while self.position < len(self.text):
            mark = self.text[self.position]
            self.step(2 if mark == "\\" else 1)
            if mark in '"\n':
                return
