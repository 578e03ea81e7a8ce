"""Benchmarks: time operators, methods and trackers, and count the layers of networks."""

from siamcorr.bench.cases import Case, full_cases, quick_cases
from siamcorr.bench.fit import fit_costs
from siamcorr.bench.measure import Limits, measure_limits
from siamcorr.bench.profile import STAGES, profile_tracker
from siamcorr.bench.report import plot, table
from siamcorr.bench.run import Row, run_case
from siamcorr.bench.summary import LayerRow, SearchSide, TemplateSide, summarize, summary_table
from siamcorr.bench.targets import time_lost, time_targets

__all__ = [
    "STAGES",
    "Case",
    "LayerRow",
    "Limits",
    "Row",
    "SearchSide",
    "TemplateSide",
    "fit_costs",
    "full_cases",
    "measure_limits",
    "plot",
    "profile_tracker",
    "quick_cases",
    "run_case",
    "summarize",
    "summary_table",
    "table",
    "time_lost",
    "time_targets",
]
