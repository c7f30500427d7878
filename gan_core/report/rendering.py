"""Templates, filters and the rules of a page: what it may run and load is nothing but what it brings."""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Mapping
from typing import Any

import jinja2
from markupsafe import Markup

from gan_core.report import drawing, networks, wording
from gan_core.report.explanations import explanation


def render(template: str, facts: Mapping[str, Any], *, live_charts: bool = False) -> str:
    """Return a page. Everything in `facts` is escaped where it is shown.

    Its Content-Security-Policy names the page's own scripts by their hashes, allows styles inside the page and
    pictures in data URIs, and nothing else: no `eval`, no request.

    Args:
        template: a file of gan_core/report/templates.
        facts: the names that it uses.
        live_charts: bring Vega (0.9 MB), which makes the charts of a page live.
    """
    scripts = [_file("page.js"), *([drawing.bundle(), _file("charts.js")] if live_charts else [])]
    # Line ends are part of what the hash covers, and a browser reads them all as "\n".
    allowed = " ".join(drawing.source_hash(script) for script in scripts)
    policy = (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}; "
        "base-uri 'none'; form-action 'none'"
    )
    own = {"policy": policy, "scripts": [Markup(script) for script in scripts]}
    return _environment().get_template(template).render({**facts, **own})


def _file(name: str) -> str:
    return (importlib.resources.files("gan_core.report") / "templates" / name).read_text(encoding="utf-8")


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gan_core.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "show": wording.show,
        "option": wording.show_option,
        "score": wording.show_score,
        "within": wording.show_within,
        "sortable": wording.sortable,
        "duration": wording.duration,
        "when": wording.when,
        "compact": networks.compact,
        "short_name": lambda key: explanation(key).short,
        "still": lambda chart: Markup(drawing.still(chart.spec, chart.name, chart.text)),
        "json": lambda value: Markup(drawing.embedded_json(value)),
    }
    return environment
