"""What all tests share; their databases come from the plugin that agentdb ships."""

import os

from hypothesis import settings

pytest_plugins = ["pytester"]

# The suite gives the same verdict every time; `HYPOTHESIS_PROFILE=hunt` looks for new examples.
settings.register_profile("suite", derandomize=True, deadline=None, max_examples=60)
settings.register_profile("hunt", deadline=None, max_examples=3000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))
