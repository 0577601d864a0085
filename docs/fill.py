"""Fill the numbers of an experiment into README.md and docs/*.md: ``make docs``.

``<!--= context -->64<!--/-->`` in Markdown shows 64: what stands between the comments is what
``context`` of ``docs/values.py`` says. Both comments are on one line and never the first thing
on it, where Markdown would take the line for HTML. ``docs/desk.md`` quotes the experiment desk
and is left alone where that was not made; the others quote mini.
``python docs/fill.py --check`` writes nothing, shows what differs, and exits 1 if anything does.
"""

import argparse
import difflib
import re
import sys
from pathlib import Path

from values import ROOT, VALUES, Results, plan

from zsl.errors import ZslError
from zsl.files import write_text

QUOTED = re.compile(r"<!--= ([^<>]*) -->(?:(?!<!--).)*<!--/-->")
FIRST = re.compile(r"[\s>*+-]*(\d+[.)]\s+)?[\s>*+-]*<!--[=/]")
"""A line that starts with a marker, after marks of lists and quotations."""


def filled(text: str, results: Results, page: str) -> str:
    """``text`` of a page with each quoted value as it is now. Raises ZslError with the line."""
    lines = text.split("\n")
    return "\n".join(_line(line, results, f"{page}:{n}") for n, line in enumerate(lines, 1))


def _line(line: str, results: Results, where: str) -> str:
    def quoted(match: re.Match[str]) -> str:
        name, *arguments = match[1].split()
        if name not in VALUES:
            raise ZslError(f"{where}: {name!r} is no value of docs/values.py")
        return f"<!--= {match[1]} -->{VALUES[name](results, *arguments)}<!--/-->"

    if FIRST.match(line):
        raise ZslError(f"{where}: starts with a marker, which makes it HTML; break it elsewhere")
    if re.search("<!--[=/]", QUOTED.sub("", line)):
        raise ZslError(f"{where}: expected <!--= NAME -->…<!--/--> on one line, found half of it")
    return QUOTED.sub(quoted, line)


def documents(results: Path) -> dict[Path, tuple[str, str]]:
    """The text of each page, as it is and as it should be; ``results`` is the folder of mini,
    beside which that of desk may lie."""
    mini = Results(results, plan("config"))
    desk = Results(results.with_name("desk"), plan("desk"))
    texts = {}
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        of = desk if path.stem == "desk" else mini
        if of is mini or (desk.folder / "figures").is_dir():
            text = path.read_text(encoding="utf-8")
            texts[path] = text, filled(text, of, str(path.relative_to(ROOT)))
    return texts


def main() -> None:
    """Fill in or check; an error is one line."""
    parser = argparse.ArgumentParser(description="Numbers of mini in README.md and docs/*.md.")
    parser.add_argument("--check", action="store_true", help="only show what differs, and exit 1")
    check = parser.parse_args().check
    try:
        texts = documents(ROOT / "results" / "mini")
    except FileNotFoundError as error:
        sys.exit(f"error: {error.filename}: no such file; `make all` makes what pages quote")
    except ZslError as error:
        sys.exit(f"error: {error}")
    for path, (old, new) in texts.items():
        name, lines = str(path.relative_to(ROOT)), (old.split("\n"), new.split("\n"))
        for line in difflib.unified_diff(*lines, name, "filled in", n=0, lineterm=""):
            print(line)
        if not check and new != old:
            write_text(path, new)
    if check and any(old != new for old, new in texts.values()):
        sys.exit("run: make docs")


if __name__ == "__main__":
    main()
