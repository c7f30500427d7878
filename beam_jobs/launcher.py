"""One launcher's work on one draft: which shards are left to do, who does them, and what all of them together want."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from beam_jobs.assembly import normalization_of, recipe_digest, training_statistics
from beam_jobs.books import (
    Receipt,
    Rejected,
    failure,
    finished,
    forget,
    read_receipts,
    start_work,
    write_dropped,
    write_names,
)
from beam_jobs.early import MIN_PICTURES_FOR_PROCESSES
from beam_jobs.monitor import run_watched
from beam_jobs.names import Names
from beam_jobs.pixels.duplicates import Entry, find_duplicates
from beam_jobs.pool import cores, open_pool, start, wait
from beam_jobs.reuse import adopt
from beam_jobs.shard_writer import ShardJob, finish_shard, prepare_shard, waits_for_statistics
from beam_jobs.shards import assign, split_of
from beam_jobs.sources.base import Source
from gan_core.config import DataConfig
from gan_core.errors import StageFailed
from gan_core.normalization import Normalization
from gan_core.progress import ReportProgress

_ROUNDS = 4  # prepared, without duplicates, normalized, and once again where an interrupted job left other shards
_LOG = logging.getLogger(__name__)


class Launcher:
    """Makes all shards of a draft."""

    def __init__(
        self,
        config: DataConfig,
        source: Source,
        names: Names,
        draft: Path,
        beam_args: Sequence[str],
        report_progress: ReportProgress,
    ) -> None:
        self.config, self.draft = config, draft
        self.beam_args, self.report_progress = beam_args, report_progress
        recipe = recipe_digest(config, names.landmark_count)
        self.job = ShardJob(draft, config, source.reader(), recipe, names.landmark_count, start_work(draft))
        self.assigned = assign(names, config)
        self.names = list(self.assigned)
        self.pictures = len(names)

    def make_shards(self, earlier: Sequence[Path]) -> list[Receipt]:
        """Prepare what is not finished, then write anew what all shards together want otherwise.

        Args:
            earlier: data sets that may have some of the shards.

        Returns:
            all receipts in reading order.

        Raises:
            FaceloomError: what stopped a worker. StageFailed: the runner failed.
        """
        for name in set(self.names) - finished(self.draft, self.names).keys():
            forget(self.draft, name)
        if adopted := adopt(self.job, {name: self.assigned[name] for name in self._missing()}, earlier):
            _LOG.info("%d of %d shards are taken from an earlier data set", adopted, len(self.names))
        for _ in range(_ROUNDS):
            receipts = self._prepared()
            dropped = self._duplicates(receipts)
            normalization = self._late_normalization(receipts, dropped)
            unfit = [one for one in receipts if not one.is_as_wanted(dropped[one.name], normalization)]
            if not unfit:
                return receipts
            lost = [one.name for one in unfit if not one.can_become(dropped[one.name], normalization)]
            for name in lost:
                forget(self.draft, name)
            if not lost:
                self._finish(unfit, dropped, normalization)
        raise StageFailed(f"the shards in {self.draft} keep changing; does another job write there? Run it again alone")

    def _missing(self) -> list[str]:
        there = read_receipts(self.draft, self.names)
        return [name for name in self.names if name not in there]

    def _prepared(self) -> list[Receipt]:
        """Run the Beam job for the shards without a receipt; return all receipts."""
        # The largest first: so no process has much left to do when the others have nothing.
        if missing := sorted(self._missing(), key=lambda name: len(self.assigned[name]), reverse=True):
            todo = {name: self.assigned[name] for name in missing}
            with self._pool(sum(map(len, todo.values())), len(todo)) as pool:
                write_names(self.draft, todo)
                self._run(partial(prepare_shard, self.job), missing, pool)
        there = read_receipts(self.draft, self.names)
        receipts = [there[name] for name in self.names if name in there]
        if len(receipts) < len(self.names):
            raise StageFailed(
                f"{len(self.names) - len(receipts)} of {len(self.names)} shards are missing in {self.draft}; "
                "the workers of a remote runner must see this folder, otherwise run the same command again"
            )
        return receipts

    def _duplicates(self, receipts: Sequence[Receipt]) -> dict[str, dict[str, Rejected]]:
        """Return shard -> key -> reject of every picture that `data.duplicates` leaves out."""
        dropped: dict[str, dict[str, Rejected]] = {receipt.name: {} for receipt in receipts}
        if self.config.duplicates != "keep":
            shard = {look.key: receipt.name for receipt in receipts for look in receipt.looks}
            entries = [
                Entry(look.key, split_of(receipt.name), look.pixels, int(look.look, 16))
                for receipt in receipts
                for look in receipt.looks
            ]
            near_bits = self.config.near_bits if self.config.duplicates == "near" else None
            for key, (reason, detail) in find_duplicates(entries, near_bits).items():
                dropped[shard[key]][key] = Rejected(key, reason, detail)
        return dropped

    def _late_normalization(
        self, receipts: Sequence[Receipt], dropped: Mapping[str, Mapping[str, Rejected]]
    ) -> Normalization | None:
        """Return the normalization that records wait for, once no duplicate counts in the statistics any more."""
        settled = all(one.is_as_wanted(dropped[one.name], one.normalization) for one in receipts)
        if not (settled and waits_for_statistics(self.config)):
            return None
        return normalization_of(self.config, training_statistics(self.config, receipts))

    def _finish(
        self,
        unfit: Sequence[Receipt],
        dropped: Mapping[str, Mapping[str, Rejected]],
        normalization: Normalization | None,
    ) -> None:
        for one in unfit:
            write_dropped(self.draft, one.name, dropped[one.name].values())
        names = [one.name for one in unfit]
        with self._pool(sum(one.pictures for one in unfit), len(names)) as pool:
            self._run(partial(finish_shard, self.job, normalization), names, pool)

    def _pool(self, pictures: int, shards: int) -> contextlib.AbstractContextManager[str]:
        return open_pool(self._processes(pictures, shards))

    def _run(self, work: Callable[[str], None], shards: Sequence[str], pool: str) -> None:
        """Have a function called with each of the shards, and raise what stopped a worker."""
        if pool:  # it begins now; Beam, which takes a second to import, comes to wait for it
            start(pool, work, shards)
            work = partial(wait, pool, self.draft)

        def run() -> None:
            from beam_jobs import pipeline

            pipeline.run_shards(work, shards, self.beam_args)

        try:
            run_watched(run, self.draft, self.pictures, self.report_progress)
        except StageFailed as error:  # also where one worker of several could not note its own
            raise failure(self.draft) or error from error
        if (noted := failure(self.draft)) is not None:
            raise noted

    def _processes(self, pictures: int, shards: int) -> int:
        """Return how many local processes write shards."""
        asked = None
        if self.beam_args:
            from beam_jobs.runner import processes_asked

            asked = processes_asked(self.beam_args)
        if asked is None:
            asked = cores() if pictures >= MIN_PICTURES_FOR_PROCESSES else 1
        return min(asked, shards)
