"""Chart descriptions as still pictures, and the script that makes them live: both by Vega, inside this process."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
from collections.abc import Mapping
from html import escape
from typing import Any

import vl_convert

VEGA_LITE = "6.4"
# Vega Embed alone brings the interpreter of Vega's expressions, without which the page would have to allow `eval`.
_SNIPPET = "window.faceloomEmbed = vegaEmbed;"


def still(spec: Mapping[str, Any], name: str, text: str) -> str:
    """Return a chart as an SVG element for the page: its ids begin with `name`, and `text` says what it shows."""
    return inline(vl_convert.vegalite_to_svg(dict(spec), vl_version=VEGA_LITE), name, text)


def inline(svg: str, name: str, text: str) -> str:
    """Turn Vega's file into an element of a page that has other drawings and a font of its own."""
    view_box = re.search(r'viewBox="[^"]+"', svg)
    assert view_box is not None, "Vega writes a viewBox"
    body = svg[svg.index(">", svg.index("<svg")) + 1 :]
    body = re.sub(r'\s(font-family|class|aria-[a-z]+|role)="[^"]*"', "", body)
    body = re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), body)
    # Vega numbers clips over all drawings of the process: here from 0, so that equal charts give equal bytes.
    numbers: dict[str, int] = {}
    body = re.sub(
        r'(\bid="|url\(#|href="#)([^")]+)',
        lambda found: f"{found[1]}{name}-{numbers.setdefault(found[2], len(numbers))}",
        body.replace("xlink:href", "href"),
    )
    return f'<svg class="still" {view_box[0]} role="img" aria-label="{escape(text)}">{body.strip()}'


@functools.cache
def bundle() -> str:
    """Return Vega, Vega-Lite and Vega Embed as one script (0.9 MB), with `window.faceloomEmbed`."""
    script: str = vl_convert.javascript_bundle(_SNIPPET, vl_version=VEGA_LITE)
    return script.replace("</script", "<\\/script")


def source_hash(script: str) -> str:
    """Return what a Content-Security-Policy names an inline script by: 'sha256-...' of its UTF-8 bytes."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def embedded_json(value: Any) -> str:
    """Return JSON that may stand inside a script element: no text in it can end the element."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
