from beam_jobs.sources.base import Reader, Source, survey
from beam_jobs.sources.registry import SOURCES, ingest, open_source, plan

__all__ = ["SOURCES", "Reader", "Source", "ingest", "open_source", "plan", "survey"]
