"""How much of a run there is in the copy that its runner made last. Pure."""

import json
from contextlib import suppress

_FINISHED = "completed"


def count_finished(notebook: bytes) -> int:
    """Count the cells that were run and had ended; 0 of what is no notebook.

    Args:
        notebook: JSON text of a notebook that papermill was running.
    """
    with suppress(ValueError, TypeError, KeyError, AttributeError):
        return sum(
            cell["metadata"].get("papermill", {}).get("status") == _FINISHED
            for cell in json.loads(notebook)["cells"]
            # A cell without source is finished, too, and has no number.
            if cell["cell_type"] == "code" and cell.get("execution_count") is not None
        )
    return 0
