"""One digest of the whole history of an experiment: its root.

The root digest is the SHA-256 of what ``sha256sum`` prints for the files below ``lineage/``, in
the order of their paths as bytes, without the report's own record (``provenance/``), which shows
the root. Without any of our code::

    cd results/mini/lineage
    find . -type f ! -path './provenance/*' ! -name '.*' -printf '%P\\0' | LC_ALL=C sort -z \\
      | xargs -0 sha256sum | sha256sum

Whoever holds a root finds every later change of a record; and records hold the digests of
everything else.
"""

from __future__ import annotations

import hashlib
import html
import os
import re
from collections.abc import Mapping
from pathlib import Path

from zsl.errors import ZslError
from zsl.lineage.digests import files_in, sha256_of_files
from zsl.lineage.history import PROVENANCE

_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")


def counts(name: str) -> bool:
    """Whether a file of the folder ``lineage`` (relative path) is part of the root.

    What the report's page leaves is not, nor what a running or killed job has half written.
    """
    return not name.startswith(f"{PROVENANCE}/") and not Path(name).name.startswith(".")


def record_digests(folder: Path) -> dict[str, str]:
    """SHA-256 by relative path of all files that make the root of ``folder`` (``lineage``)."""
    names = [name for name in files_in(folder) if counts(name)]
    plain = [name for name in names if not (folder / name).is_symlink()]
    hashed = sha256_of_files(folder / name for name in plain)
    return {name: hashed[folder / name] for name in plain}


def listing(digests: Mapping[str, str]) -> str:
    """The digests as ``sha256sum`` prints them and as ``sha256sum --check`` reads them."""
    names = sorted(digests, key=os.fsencode)
    return "".join(f"{digests[name]}  {name}\n" for name in names)


def root_of(digests: Mapping[str, str]) -> str:
    """The root digest, 64 hexadecimal digits."""
    return hashlib.sha256(os.fsencode(listing(digests))).hexdigest()


def read_listing(text: str, where: str) -> dict[str, str]:
    """SHA-256 by path of a text that :func:`listing` made.

    Raises ZslError where a line is of another form.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = _LINE.fullmatch(line)
        if not match:
            raise ZslError(
                f"{where}, line {number}: no line of sha256sum; expected 64 hexadecimal digits, "
                "two blanks and a path, as `zsl root --out FILE` writes them"
            )
        found[match[2]] = match[1]
    return found


def page(experiment: str, digests: Mapping[str, str]) -> str:
    """The report's page that shows the root digest and how to hold it against a folder."""
    name = html.escape(experiment)
    return _PAGE.format(experiment=name, root=root_of(digests), files=len(digests))


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Provenance of {experiment}</title>
<style>
body {{ font-family: sans-serif; max-width: 46em; margin: 1.5em auto; padding: 0 1em; }}
pre {{ background: #f3f3f3; padding: .7em; overflow-x: auto; }}
.root {{ font-size: 1.05em; font-weight: bold; white-space: pre-wrap; word-break: break-all; }}
</style>
</head>
<body>
<h1>Provenance of {experiment}</h1>
<p>Every artifact has a lineage record: the digests of what was read and written, the code, the
settings, the packages, the device, the times. A record names the records of its inputs by digest,
so that all of them have one root digest. This is the root of the {files} files of
<code>results/{experiment}/lineage</code> when this report was made:</p>
<pre class="root">{root}</pre>
<p>With the results at hand, this re-hashes every file and finds any change made since:</p>
<pre>zsl audit --root {root}</pre>
<p>The root can also be computed without this project:</p>
<pre>cd results/{experiment}/lineage
find . -type f ! -path './provenance/*' ! -name '.*' -printf '%P\\0' | LC_ALL=C sort -z \\
  | xargs -0 sha256sum | sha256sum</pre>
</body>
</html>
"""
