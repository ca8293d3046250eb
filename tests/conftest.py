"""What holds for every test.

Property tests try the same examples at each run, so that a red run is about the change at hand;
GREFFIER_EXPLORE=1 lets them look for new ones.
"""

import os

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile("explore" if os.environ.get("GREFFIER_EXPLORE") else "repeatable")
