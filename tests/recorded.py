"""Where the recorded answers are: trimmed ones in the repository, the full ones beside it where somebody has put them."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "tests" / "fixtures"
RECORDED = ROOT.parent / "shared" / "recorded"

needs_full_recordings = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="the full recorded answers are not beside the repository"
)
