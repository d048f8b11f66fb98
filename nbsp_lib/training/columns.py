"""The columns of the csv files of a run: scores.csv by Method.after_task, the others by measure.py."""

COLUMNS = {
    "curves": ["seed", "position", "training_task", "step", "total_step", "updates", "task", "success", "success_last",
               "return", "alpha", "episodes"],
    "R": ["seed", "position", "training_task", "task", "success", "success_last", "return", "episodes", "steps",
          "steps_to_mastery", "status"],
    "scores": ["seed", "position", "task", "network", "neurons", "goal_mean", "base_rate", "silent", "chosen",
               "chosen_not_above_base", "chosen_score", "null_score", "all_score", "masked", "status"],
    "plasticity": ["seed", "position", "training_task", "step", "total_step", "network", "dormant_0", "dormant", "dormant_10",
                   "fau", "srank", "effective_rank", "weight_norm", "gradient_norm"],
}
