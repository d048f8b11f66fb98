"""A position ends at mastery: when, what is recorded of it, and that a seed who leaves a population changes nothing."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest
import tiny_run

from nbsp_lib.runs import train_run
from nbsp_lib.training import measure, rollout
from nbsp_lib.training.trainer import Trainer

ENDS = {
    (0, 0): 3,
    (2, 0): 3,
    (1, 0): 5,
    (0, 1): 4,
    (2, 1): 3,
}  # (seed, position): the round that masters it; others: never
LONG = tiny_run.profile(steps=600, evaluations=6, store=0.5)  # a part has room for 300 rows


@pytest.fixture(autouse=True)
def decided(monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setattr(
        Trainer, "mastered", lambda self, p: self.round == ENDS.get((self.seeds[p], self.position)) or p in self.left
    )


def train(folder, **how):
    return tiny_run.train(folder, made=LONG, **how)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The result folder of seeds 0, 1 and 2, one at a time, two positions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TQDM_DISABLE", "1")
        patch.setattr(Trainer, "mastered", lambda self, p: self.round == ENDS.get((self.seeds[p], self.position)))
        return train(tmp_path_factory.mktemp("alone"), seeds=(0, 1, 2))


def test_what_is_recorded_of_positions_that_end_early(alone):
    R, curves = (pd.read_csv(alone / f"{name}.csv") for name in ("R", "curves"))
    of = R.groupby(["seed", "position"])
    assert of.steps.first().tolist() == [300, 400, 500, 600, 300, 300] and (of.steps.nunique() == 1).all()
    assert of.steps_to_mastery.first().fillna(0).tolist() == [300, 400, 500, 0, 300, 300]
    assert (R.episodes == 6).all()
    last = curves.groupby("seed").total_step.max()
    assert last.tolist() == [700, 1100, 600]  # steps really taken, each seed's own
    for _, row in R.iterrows():
        here = curves[(curves.seed == row.seed) & (curves.position == row.position) & (curves.task == row.task)].tail(3)
        assert row["return"] == pytest.approx((here["return"] * here.episodes).sum() / here.episodes.sum(), abs=2e-6)


def test_a_store_holds_what_was_seen(alone):
    """300 rows fit; position 1 of seed 1 saw 500, of seed 0 saw 300."""
    for seed, state in tiny_run.run_in(alone.parent, made=LONG).states((0, 1)).items():
        assert state.load()[0]["stored.rows"].tolist() == [300, 300], seed


@pytest.mark.parametrize("graph", [False, True])
def test_seeds_that_leave_a_population_are_what_they_are_alone(alone, tmp_path, monkeypatch, graph):
    """Where a population can shrink it does, where a graph has its size those who left are carried along."""
    if graph:
        init = Trainer.__init__
        monkeypatch.setattr(
            Trainer, "__init__", lambda self, *args: (init(self, *args), setattr(self, "graph", True))[0]
        )
    play, sizes = Trainer.play_round, []
    monkeypatch.setattr(Trainer, "play_round", lambda self, env: (sizes.append(len(self.seeds)), play(self, env))[1])
    out = train(tmp_path, seeds=(0, 1, 2), population=3)
    assert tiny_run.contents(out) == tiny_run.contents(alone)
    assert sizes == ([3] * 11 if graph else [3] * 3 + [1] * 2 + [3] * 3 + [2] + [1] * 2)


@pytest.mark.parametrize("at", [(0, 3), (0, 4), (1, 3), (1, 5)])
def test_a_population_stopped_while_some_have_left_goes_on_with_the_same_bytes(alone, tmp_path, monkeypatch, at):
    run = Trainer.run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Trainer,
            "run",
            lambda self, states, bar, stop, every, end: run(
                self, states, bar, lambda: (self.position, self.round) == at, every, end
            ),
        )
        with pytest.raises(train_run.Stopped):
            train(tmp_path, seeds=(0, 1, 2), population=3)
    assert tiny_run.contents(train(tmp_path, seeds=(0, 1, 2), population=3)) == tiny_run.contents(alone)


def test_mastery_is_three_evaluations_in_a_row_pooled_by_their_episodes(monkeypatch):
    """By hand: 17, 17 and 16 goals; the evaluation before the first step and those of other tasks and positions do not count."""
    monkeypatch.undo()
    row = lambda step, success, episodes, **more: (
        {"position": 2, "task": "b", "step": step, "success": success, "episodes": episodes} | more
    )
    rows = [
        row(0, 1.0, 17),
        row(10, 1.0, 17, task="a"),
        row(10, 1.0, 17, position=1),
        row(10, 15 / 17, 17),
        row(20, 1.0, 16),
    ]
    fake = SimpleNamespace(
        tables={"curves": [rows]}, position=1, positions=("a", "b"), train=SimpleNamespace(mastery=0.96)
    )
    mastered = lambda rate: (setattr(fake.train, "mastery", rate), Trainer.mastered(fake, 0))[1]
    assert measure.pooled(fake, 0, "b", ("success",)) is None and not mastered(0.1)
    rows.append(row(30, 1.0, 17))
    assert measure.pooled(fake, 0, "b", ("success",)) == {"success": pytest.approx(48 / 50), "episodes": 50}
    assert (
        mastered(0.96)
        and not mastered(0.97)
        and not mastered(None)
        and mastered([None, 0.96])
        and not mastered([0.5, None])
    )
    rows.append(row(40, 0.0, 17))  # 16 and 17 of 50, then none
    assert measure.pooled(fake, 0, "b", ("success",)) == {"success": pytest.approx(33 / 50), "episodes": 50}


def test_any_three_evaluations_in_a_row_play_each_goal_once():
    for first in range(7):
        played = [e for number in range(first, first + 3) for e in rollout.episodes_of({"episodes": 50}, number)]
        assert sorted(played) == list(range(50))
    assert [len(rollout.episodes_of({"episodes": 50}, number)) for number in range(4)] == [17, 17, 16, 17]
    old = {"episodes": 10, "final_episodes": 50, "evaluations": 20}
    assert [len(rollout.episodes_of(old, number)) for number in (0, 17, 18, 20)] == [10, 10, 50, 50]
    assert rollout.waves(50) == (5, 10) and rollout.waves(17) == (2, 9) and rollout.waves(16) == (2, 8)


def test_the_smoke_profile_masters_a_task_and_not_another(tmp_path):
    """Chance closes a drawer now and then, and never opens one."""
    from nbsp_lib.runs.settings import load_profile

    with pytest.MonkeyPatch.context() as patch:
        patch.undo()
    smoke = load_profile("profiles/smoke/params.yaml")
    assert smoke.grid.sequences == ("drawer",)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "mastered", MASTERED)
        out = tiny_run.train(
            tmp_path, seeds=(0, 1, 2, 3), arm="fine-tuning", population=4, made=smoke, sequence="drawer"
        )
    R = pd.read_csv(out / "R.csv")
    mine = R[R.task == R.training_task].set_index(["position", "seed"])
    assert mine.loc[1].steps_to_mastery.isna().all() and (mine.loc[1].steps == 1000).all()
    early = mine.loc[2][mine.loc[2].steps_to_mastery.notna()]
    assert len(early) and (early.steps_to_mastery == early.steps).all() and (early.success >= 0.15).all()
    assert (mine.loc[2].drop(early.index).steps == 1000).all()
    assert json.loads((out / "run.json").read_text())["finished"] == dict.fromkeys("0123", 2)


MASTERED = Trainer.mastered
