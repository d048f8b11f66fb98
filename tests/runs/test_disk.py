"""What a disk refuses costs one line that names the folder, before training where it can be known; doctor tells it beforehand."""

import errno
import fcntl
import os
from pathlib import Path

import campaign
import pytest

from nbsp_lib import cli
from nbsp_lib.artifact import doctor
from nbsp_lib.campaign import launch
from nbsp_lib.runs import disk
from nbsp_lib.runs.run import Run

RUN = "run --sequence window --arm nbsp --seeds 0 --positions 1 --no-compile"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A workplace that is the current folder; training in it would be a failure -> its profile."""

    def never(*args, **settings):
        raise AssertionError("this must not begin")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(launch, "train_run", never)
    campaign.obedient(monkeypatch)
    yield campaign.workplace(tmp_path)
    assert not Path("events").exists()  # no job began either


def one_line(line, capsys):
    """The one line on stderr of a command that fails."""
    assert cli.main(line.split()) == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and "Traceback" not in said.out + said.err
    return said.err.strip()


def storage():
    return {text for grade, text in doctor.storage() if grade == "FAIL"}


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
@pytest.mark.parametrize("line", [RUN, f"{RUN} --jobs 1"])
def test_a_disk_without_locks(place, monkeypatch, capsys, number, line):
    def flock(file, kind):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    said = one_line(line, capsys)
    assert said.startswith(f"{os.getcwd()}: {os.strerror(number)}: ") and "no file locks" in said
    failed = storage()
    assert len(failed) == 1 and failed.pop().startswith(f"{os.getcwd()}: {os.strerror(number)}: ")
    folder = Run(place, "window", "nbsp").states((0,))[0].folder
    folder.mkdir(parents=True)
    (folder / "lock").touch()
    assert one_line("status --sequence window --arm nbsp --seeds 0", capsys).startswith(f"{folder.absolute()}: ")


@pytest.mark.parametrize(
    "closed", [".state", ".state/window", ".state/window/seed0", ".state/window/seed0/lock", "runs/laptop"]
)
@pytest.mark.parametrize("line", [RUN, f"{RUN} --jobs 1"])
def test_what_belongs_to_another_user(place, monkeypatch, capsys, closed, line):
    """os.access is asked, because these tests may be run by one who may write everywhere."""
    Path(".state/window/seed0").mkdir(parents=True)
    Path(".state/window/seed0/lock").touch()
    Path("runs/laptop/checkpoints").mkdir(parents=True)
    refused, access = os.path.abspath(closed), os.access
    under = lambda path: refused == os.path.abspath(path)
    monkeypatch.setattr(os, "access", lambda path, mode: not under(path) and access(path, mode))
    folder = refused if os.path.isdir(refused) else os.path.dirname(refused)
    failed = storage()
    assert len(failed) == 1 and failed.pop().startswith(f"{folder}: Permission denied: it belongs to another user")
    if closed != "runs/laptop":  # a result folder is asked about itself, not its parents
        assert one_line(line, capsys).startswith(f"{folder}: Permission denied: it belongs to another user")


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("line", [RUN, f"{RUN} --jobs 1"])
def test_a_read_only_clone_and_a_full_disk(place, monkeypatch, capsys, number, line):
    """Nothing can be made in the folder: known before anything is trained."""

    def refuse(*args, **settings):
        raise OSError(number, os.strerror(number), f"{os.getcwd()}/tmp123" if number != errno.ENOSPC else None)

    monkeypatch.setattr(disk.tempfile, "TemporaryFile", refuse)
    said = one_line(line, capsys)
    assert said.startswith(f"{os.getcwd()}: {os.strerror(number)}: ")
    assert ("when there is room" in said) == (number in (errno.ENOSPC, errno.EDQUOT))
    assert storage() == {said}
    assert not Path(".state").exists()


def test_a_state_that_may_not_be_read(place, monkeypatch, capsys):
    folder = Run(place, "window", "nbsp").states((0,))[0].folder

    def read_bytes(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    said = one_line("status --sequence window --arm nbsp --seeds 0", capsys)
    assert said.startswith(f"{folder.absolute()}: Permission denied: ") or said.startswith(
        f"{folder.absolute().parent}"
    )


def test_an_error_of_another_kind_is_left_as_it_is():
    assert disk.remedy(OSError(errno.ENOENT, "no", "a")) is None
    assert disk.remedy(BlockingIOError(errno.EAGAIN, "no")) is None
    with pytest.raises(OSError, match=r"\[Errno 28\] full: '/a/b'"), disk.naming("/a/b"):
        raise OSError(errno.ENOSPC, "full")
    with pytest.raises(OSError, match="'other'"), disk.naming("/a/b"):
        raise OSError(errno.ENOSPC, "full", "other")


def test_a_lock_is_waited_for_until_given_up(tmp_path):
    path, asked = tmp_path / "lock", []
    with open(path, "w") as one, open(path, "w") as two:
        disk.lock(one)
        with pytest.raises(BlockingIOError):
            disk.lock(two, giving_up=lambda: True)
        with pytest.raises(BlockingIOError):
            disk.lock(two, giving_up=lambda: asked.append(0) or len(asked) == 3)
        assert len(asked) == 3
        disk.lock(two, giving_up=lambda: fcntl.flock(one, fcntl.LOCK_UN))  # free at the second try
        with pytest.raises(BlockingIOError):
            disk.lock(one, giving_up=lambda: True)
