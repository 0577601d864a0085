"""Fill the numbers of an experiment into README.md and docs/*.md: ``make docs``.

``<!--= context -->64<!--/-->`` in Markdown shows 64; what stands between the comments is what
the function ``context`` of ``docs/values.py`` says; words after its name are its arguments. Both
comments are on one line and never the first thing on it, where Markdown would take the line for
HTML. Code is left as it is.
``python docs/fill.py --check`` writes nothing, shows what differs, and exits 1 if anything does.
"""

import argparse
import difflib
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import values
from artifacts import ROOT, FillError, Mini

from zsl.config.base import nearest
from zsl.errors import ZslError
from zsl.files import write_text

QUOTED = re.compile(
    r"(?P<code>(?P<tick>`+)(?!`).+?(?<!`)(?P=tick)(?!`))"
    r"|<!--=\s*(?P<name>[^<>]*?)\s*-->(?:(?!<!--).)*<!--/-->"
)
FIRST = re.compile(r"\s*(?:(?:[-*+>]|\d+[.)])\s+)*<!--[=/]")
"""A line that starts with a marker, after marks of lists and quotations."""
DESK = "desk"
"""The experiment that ``docs/desk.md`` quotes, which is left alone where it was not made."""
FENCE = re.compile(r"\s*(?:```|~~~)")


def filled(text: str, value: Callable[[str], str], name: str) -> str:
    """``text`` with each quoted value as it is now; ``name`` is that of the file, for errors."""
    lines, code = [], False
    for n, line in enumerate(text.split("\n"), 1):
        if FENCE.match(line):
            code = not code
        lines.append(line if code else _line(line, value, f"{name}:{n}"))
    return "\n".join(lines)


def _line(line: str, value: Callable[[str], str], where: str) -> str:
    if FIRST.match(line):
        raise FillError(f"{where}: starts with a marker, which makes it HTML; break it elsewhere")
    rest = QUOTED.sub("", line)
    if "<!--=" in rest:
        raise FillError(f"{where}: {rest[rest.index('<!--=') :]!r} lacks its <!--/--> on the line")
    if "<!--/" in rest:
        raise FillError(f"{where}: <!--/--> closes nothing; expected <!--= NAME --> before it")

    def quoted(match: re.Match[str]) -> str:
        if match["code"]:
            return match[0]
        return f"<!--= {match['name']} -->{_value(match['name'], value, where)}<!--/-->"

    return QUOTED.sub(quoted, line)


def _value(name: str, value: Callable[[str], str], where: str) -> str:
    try:
        return value(name)
    except FillError as error:
        raise FillError(f"{where}: {error}") from None


def lookup(functions: Mapping[str, Callable[..., str]], mini: Mini) -> Callable[[str], str]:
    """The value of a name with its arguments; an unknown one raises FillError."""

    def value(named: str) -> str:
        name, *arguments = named.split() or [""]
        if name not in functions:
            raise FillError(
                f"{name!r} is no function of docs/values.py; {nearest(name, [*functions])}"
            )
        return functions[name](mini, *arguments)

    return value


def functions() -> dict[str, Callable[..., str]]:
    """Those of ``docs/values.py`` that documents can name."""
    found = inspect.getmembers(values, inspect.isfunction)
    own = {name: f for name, f in found if f.__module__ == values.__name__}
    return {name: f for name, f in own.items() if not name.startswith("_")}


def documents(results: Path) -> dict[Path, tuple[str, str]]:
    """The text of each document, as it is and as it should be. Beside the folder of results, that
    of desk may lie."""
    mini = lookup(functions(), Mini.of(results))
    larger = results.with_name(DESK)
    desk = lookup(functions(), Mini.of(larger, f"{DESK}.yaml"))
    texts = {}
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        if path.stem == DESK and not (larger / "figures").is_dir():
            continue
        text = path.read_text(encoding="utf-8")
        value = desk if path.stem == DESK else mini
        texts[path] = text, filled(text, value, str(path.relative_to(ROOT)))
    return texts


def differences(texts: Mapping[Path, tuple[str, str]]) -> str:
    """As a unified diff; empty where all is filled in."""
    lines: list[str] = []
    for path, (old, new) in texts.items():
        name = str(path.relative_to(ROOT))
        both = old.splitlines(keepends=True), new.splitlines(keepends=True)
        lines += difflib.unified_diff(*both, name, f"{name}, filled in", n=0)
    return "".join(lines)


def main() -> None:
    """Fill in or check; an error is one line."""
    parser = argparse.ArgumentParser(description="Numbers of mini in README.md and docs/*.md.")
    parser.add_argument("--check", action="store_true", help="only show what differs, and exit 1")
    check = parser.parse_args().check
    try:
        texts = documents(ROOT / "results" / "mini")
    except ZslError as error:
        sys.exit(f"error: {error}")
    changed = differences(texts)
    if check:
        sys.exit(f"{changed}run: make docs" if changed else 0)
    for path, (old, new) in texts.items():
        if new != old:
            write_text(path, new)
    print(changed, end="")


if __name__ == "__main__":
    main()
