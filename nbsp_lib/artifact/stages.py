"""The stages of a dvc.yaml, through DVC's own library: their order, which are stale, and their record.

Splits what `dvc repro` does to a stage into two halves, so that several commands can run between them.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager


class Pipeline:
    """The stages of one dvc.yaml, by name, each after those whose outputs it reads.

    order: names; needs: {name: set of names}; commands: {name: (shell command, folder)}. To be used from one thread.
    """

    def __init__(self, file):
        from dvc.repo import Repo
        from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro

        logging.getLogger("dvc").setLevel(logging.ERROR)
        self.repo = Repo(_wait_for_lock=True)  # what the option --wait-for-lock sets
        with self.repo.lock:
            graph = get_active_graph(self.repo.index.graph)
            found = plan_repro(graph, collect_stages(self.repo, [file]))
        self.stages = {stage.addressing.rpartition(":")[2]: stage for stage in found}
        names = {stage: name for name, stage in self.stages.items()}
        self.order = list(self.stages)
        self.needs = {name: {names[one] for one in graph.successors(stage)} for name, stage in self.stages.items()}
        self.commands = {name: (stage.cmd, str(stage.wdir)) for name, stage in self.stages.items()}

    def close(self):
        self.repo.close()

    @contextmanager
    def held(self):
        """DVC's lock, for moments: a command runs without it."""
        with self.repo.lock, self.repo.scm_context():
            yield

    def stale(self, name):
        """Whether the stage's command, dependencies, parameters or outputs differ from the record."""
        with self.held():
            return self.stages[name].changed()

    def begin(self, name):
        """Removes the outputs -> whether DVC's cache has them for just these dependencies; if not, the
        command must run.

        DvcException if a dependency is missing.
        """
        from dvc.stage.cache import RunCacheNotFoundError
        from dvc.stage.exceptions import MissingDataSource

        stage = self.stages[name]
        with self.held():
            if missing := [str(dep) for dep in stage.deps if not dep.exists]:
                raise MissingDataSource(missing)
            stage.remove_outs(ignore_remove=False, force=False)
            try:
                stage.repo.stage_cache.restore(stage)  # before save_deps: it compares with the record's dependencies
            except RunCacheNotFoundError:
                stage.save_deps()
                return False
        return True

    def record(self, name):
        """Writes what the stage has read and made to dvc.lock and the cache. DvcException if an output is missing."""
        stage = self.stages[name]
        with self.held():
            stage.save(run_cache=True)
            stage.commit()
            stage.dump(update_pipeline=False)
