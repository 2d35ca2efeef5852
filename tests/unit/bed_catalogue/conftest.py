"""What the bed copies of the programs' sources: charts, custom resources, prices."""

import pytest

from tests.bed.programs import Programs, find
from tests.skips import require


@pytest.fixture(scope="session")
def programs() -> Programs:
    """What `make bed` left in the cache; nothing is built for the cheapest ring."""
    require("the bed's programs")
    found = find()
    assert found is not None
    return found
