"""Evaluation: compare predicted boxes with the ground truth, and write a report."""

from siamcorr.evaluation.attributes import AttributeScore, attribute_scores
from siamcorr.evaluation.box_errors import center_errors, overlaps
from siamcorr.evaluation.metrics import Scores, mean_scores, score
from siamcorr.evaluation.palette import tracker_colors
from siamcorr.evaluation.polygons import polygon_overlaps, truth_overlaps
from siamcorr.evaluation.report import write_report
from siamcorr.evaluation.restarts import robustness, run_supervised
from siamcorr.evaluation.results import Result, load_result, save_result
from siamcorr.evaluation.run import Tracking, evaluate, run_sequence

__all__ = [
    "AttributeScore",
    "Result",
    "Scores",
    "Tracking",
    "attribute_scores",
    "center_errors",
    "evaluate",
    "load_result",
    "mean_scores",
    "overlaps",
    "polygon_overlaps",
    "robustness",
    "run_sequence",
    "run_supervised",
    "save_result",
    "score",
    "tracker_colors",
    "truth_overlaps",
    "write_report",
]
