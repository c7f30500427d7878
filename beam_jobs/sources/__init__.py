from beam_jobs.sources.base import Reader, Source, survey
from beam_jobs.sources.registry import SOURCES, Listed, check_path, fetch, look, open_source

__all__ = ["SOURCES", "Listed", "Reader", "Source", "check_path", "fetch", "look", "open_source", "survey"]
