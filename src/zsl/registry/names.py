"""What was meant by a name that there is none of: ``fig5``, ``Figure 05`` and ``fig.5`` by
``fig05``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from zsl.registry import BY_ID, available

if TYPE_CHECKING:
    from zsl.config.load import Plan

CLOSE = 0.6
"""How like a name has to be, as difflib measures it."""
NUMBERED = re.compile(r"(figure|fig|f|table|tab|t)0*(\d+)(.*)")


def meant(written: str, known: Iterable[str]) -> str | None:
    """The known name that ``written`` is another form of, or else the one most like it.

    No figure or table is like one of another number.
    """
    forms = {_form(name): name for name in known}
    form = _form(written)
    if form in forms:
        return forms[form]
    alike = [each for each in forms if _digits(each) == _digits(form)]
    others = [] if NUMBERED.match(form) else [e for e in forms if not NUMBERED.match(e)]
    for among in (alike, others):
        if close := get_close_matches(form, among, 1, CLOSE):
            return forms[close[0]]
    return None


def did_you_mean(written: str, known: Iterable[str]) -> str:
    """``did you mean fig05?`` and a space, or nothing where no name is like it."""
    name = meant(written, known)
    return f"did you mean {name}? " if name else ""


def _form(name: str) -> str:
    """A name in the one way in which all its forms are written."""
    plain = re.sub(r"\.(pdf|svg|csv|tex|md|html)$|[\W_]+", "", name.casefold())
    number = NUMBERED.fullmatch(plain)
    return f"{'fig' if number[1][0] == 'f' else 'table'}{number[2]}{number[3]}" if number else plain


def _digits(form: str) -> str:
    return re.sub(r"\D", "", form).lstrip("0")


def unknown_targets(written: Iterable[str], known: Collection[str], plan: Plan) -> list[str]:
    """A line for each target that is no file and none of ``known``: what was meant by it."""
    return [
        f"target {name}: {_why(name, known, plan)}"
        for name in written
        if name not in known and "/" not in name and not Path(name).exists()
    ]


def _why(name: str, known: Collection[str], plan: Plan) -> str:
    made = {target.id for target in available(plan)}
    close = meant(name, {*BY_ID, *known})
    if close in BY_ID and close not in made:
        return (
            f"{close} cannot be made of the runs of {plan.experiment.experiment}; `zsl targets` "
            "lists what can (give it the same --configfile)"
        )
    asked = f"did you mean {close}? " if close else ""
    return f"there is none; {asked}`zsl targets` lists figures and tables, besides all and main"
