"""HTML pages as tests look at them."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "img", "input", "br", "link", "hr"}


class Page(HTMLParser):
    """Collects what tests look at, and fails on tags that do not close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.scripts: list[str] = []
        self.policy = ""
        self._is_script = False
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the tag, and that it is open."""
        found = dict(attrs)
        self.tags.append(tag)
        self.ids += [value for key, value in attrs if key == "id" and value]
        self.links += [value or "" for key, value in attrs if key in {"src", "href", "srcset", "data", "action"}]
        self.images += [found] if tag == "img" else []
        if found.get("http-equiv") == "Content-Security-Policy":
            self.policy = found["content"] or ""
        self._is_script = tag == "script" and "type" not in found
        if self._is_script:
            self.scripts.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag that closes itself."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        """Check that the tag closes the one opened last."""
        assert self.open.pop() == tag
        self._is_script = False

    def handle_data(self, data: str) -> None:
        """Keep the text of scripts."""
        if self._is_script:
            self.scripts[-1] += data


def without_scripts(page: str) -> str:
    """Return a page without its scripts, of which Vega's names the addresses of its own makers."""
    return re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def words(page: str) -> str:
    """Return the text of a page with single spaces."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", without_scripts(page)))
