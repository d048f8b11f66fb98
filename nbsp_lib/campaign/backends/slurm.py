"""Tasks as jobs of Slurm, one for each, through submitit."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time

from nbsp_lib.campaign.backends.local import Backend, needed, refuse
from nbsp_lib.campaign.worker import call, kill_tree

ASK_EVERY, GRACE = 10.0, 60.0  # seconds between two questions to Slurm; until a vanished job is lost


class Slurm(Backend):
    """Jobs of Slurm, one for each task, through submitit; with any GPU share a job gets one whole GPU.

    folder: scripts and logs of submitit. executor: "slurm", or "local" (processes here, to try it without Slurm).
    minutes: what a job asks Slurm for, unless SBATCH_TIMELIMIT says otherwise; 90 s before the limit the worker is asked to save
    and end. Jobs go on when the engine is killed.
    """

    def __init__(self, jobs, gpus=0.0, folder=".state/slurm", executor="slurm", partition=None, minutes=24 * 60):
        super().__init__(jobs, gpus)
        submitit, self.local = needed("submitit", "slurm"), executor == "local"
        if not self.local and not shutil.which("sbatch"):
            refuse("--backend slurm: there is no sbatch here, start it where jobs are submitted")
        self.executor = submitit.AutoExecutor(folder=folder, cluster=executor)
        self.executor.update_parameters(timeout_min=minutes, gpus_per_node=1 if gpus else 0, stderr_to_stdout=True)
        if not self.local:
            self.executor.update_parameters(cpus_per_task=1, **({"slurm_partition": partition} if partition else {}))
        self.asked, self.queue = -ASK_EVERY, set()

    def launch(self, task):
        import submitit

        self.executor.update_parameters(name=task.name)
        try:
            job = self.executor.submit(call, task, os.getcwd())
        except submitit.core.utils.FailedJobError as error:
            refuse(f"Slurm refused the job: {str(error).strip().splitlines()[-1]}")
        return (LocalJob if self.local else SlurmJob)(job, task.log, self)

    def queued(self):
        """Ids of this user's jobs that wait or run, asked for at most every 10 s: squeue works without an accounting database."""
        if time.monotonic() - self.asked > ASK_EVERY:
            answer = subprocess.run(["squeue", "--me", "--noheader", "--format=%A"], capture_output=True, text=True)
            if answer.returncode == 0:  # no answer while the controller restarts: keep the last list
                self.asked, self.queue = time.monotonic(), set(answer.stdout.split())
        return self.queue


class LocalJob:
    """Handle of a job of submitit on this machine: a controller, below it the process that runs `call`."""

    def __init__(self, job, log, slurm):
        self.job, self.log, self.slurm, self.code = job, log, slurm, None
        self.born, self.again, self.gone = time.monotonic(), 0.0, None

    def poll(self):
        if self.code is None:
            if self.job.paths.result_pickle.exists():
                self.code = self.result()
            elif not self.alive():
                text = f"job {self.job.job_id} ended without a result, see {self.job.paths.stdout}"
                self.code = -signal.SIGTERM if self.again else self.lost(text)
            elif self.again and time.monotonic() > self.again:
                self.stop()  # the first signal came before the process could handle it
        return self.code

    def result(self):
        try:
            return self.job.result()
        except Exception as error:  # `call` itself failed, and submitit says how
            return self.lost(str(error), 1)

    def lost(self, text, code=-signal.SIGKILL):
        with open(self.log, "a") as log:
            log.write(f"{text}\n")
        return code

    def alive(self):
        return not self.job.done()

    def stop(self):
        self.again = time.monotonic() + ASK_EVERY
        os.kill(int(self.job.job_id), signal.SIGTERM)

    def kill(self):
        kill_tree(int(self.job.job_id))


class SlurmJob(LocalJob):
    """Handle of a job of Slurm."""

    grace = GRACE

    def alive(self):
        """Whether the job is queued or was so a minute ago: its result may take that long to appear on this machine."""
        if self.job.job_id in self.slurm.queued() or self.slurm.asked < self.born:
            self.gone = None
        elif self.gone is None:
            self.gone = time.monotonic()
        return self.gone is None or time.monotonic() - self.gone < self.grace

    def stop(self):
        """Not by SIGTERM, which Slurm would send to every process of the job at once, to the kernel too."""
        self.again, self.grace = time.monotonic() + ASK_EVERY, 0.0
        self.cancel("--state=PENDING")
        self.cancel("--state=RUNNING", "--signal=USR1")

    def kill(self):
        self.grace = 0.0
        self.cancel("--state=RUNNING", "--signal=KILL")
        self.cancel()

    def cancel(self, *options):
        subprocess.run(["scancel", "--quiet", *options, self.job.job_id], capture_output=True)
