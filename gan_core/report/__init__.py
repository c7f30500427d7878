"""The report: one self-contained HTML page about a run, and an index page over all runs."""

from gan_core.report.index import write_index
from gan_core.report.page import write_report

__all__ = ["write_index", "write_report"]
