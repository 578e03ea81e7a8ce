"""How many inputs: a few in every test run, SIAMCORR_FUZZ of them for each test by `make fuzz`."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "fuzz",
    max_examples=int(os.environ.get("SIAMCORR_FUZZ") or 40),
    deadline=None,
    derandomize="SIAMCORR_FUZZ" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
