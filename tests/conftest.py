"""What all tests share; their databases come from the plugin that agentdb ships."""

import os

from hypothesis import HealthCheck, settings

pytest_plugins = ["pytester"]

# The suite gives the same verdict every time; `HYPOTHESIS_PROFILE=hunt` looks for new examples.
common = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("suite", common, derandomize=True, max_examples=20)
settings.register_profile("hunt", common, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))
