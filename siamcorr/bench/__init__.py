"""The benchmark: every operator by every method, beside the forms that trackers paste."""

from siamcorr.bench.cases import Case, full_cases, quick_cases
from siamcorr.bench.fit import fit_costs
from siamcorr.bench.measure import Limits, measure_limits
from siamcorr.bench.report import plot, table
from siamcorr.bench.run import Row, run_case

__all__ = [
    "Case",
    "Limits",
    "Row",
    "fit_costs",
    "full_cases",
    "measure_limits",
    "plot",
    "quick_cases",
    "run_case",
    "table",
]
