"""Evaluation: boxes against the truth, sequence by sequence, and a report to look at."""

from siamcorr.evaluation.metrics import Scores, center_errors, mean_scores, overlaps, score
from siamcorr.evaluation.report import write_report
from siamcorr.evaluation.results import Result, load_result, save_result
from siamcorr.evaluation.run import Tracking, evaluate, run_sequence, run_supervised

__all__ = [
    "Result",
    "Scores",
    "Tracking",
    "center_errors",
    "evaluate",
    "load_result",
    "mean_scores",
    "overlaps",
    "run_sequence",
    "run_supervised",
    "save_result",
    "score",
    "write_report",
]
