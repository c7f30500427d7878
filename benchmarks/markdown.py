"""Markdown: tables, and places in a page that are filled from results."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_PLACE = re.compile(r"(<!-- benchmark: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table, its first column to the left and all others to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def number(value: float, digits: int) -> str:
    """Return a number with separators, and with `digits` decimals where it is below 100."""
    return f"{value:,.{digits if abs(value) < 100 else 0}f}"


def fill(page: str, texts: Mapping[str, str]) -> str:
    """Return the page with each `<!-- benchmark: NAME -->` ... `<!-- end -->` filled with the text of that name.

    A place whose text there is not keeps what it has.
    """

    def filled(place: re.Match[str]) -> str:
        begin, name, end = place.groups()
        return f"{begin}\n{texts[name]}\n\n{end}" if name in texts else place.group()

    return _PLACE.sub(filled, page)
