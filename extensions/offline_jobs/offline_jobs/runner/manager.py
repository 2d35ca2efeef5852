"""papermill's bookkeeping of a run, kept as seldom as is safe: where the notebook goes, and when.

Used by the engine alone, and like it imported while papermill is itself half imported.
"""

import json
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import writes
from nbformat.v4.nbjson import BytesEncoder
from papermill.engines import NotebookExecutionManager
from papermill.iorw import LocalHandler, papermill_io, write_ipynb

from offline_jobs.runner.saving import LocalSaver, write_file


class Manager(NotebookExecutionManager):  # type: ignore[misc]
    """papermill's bookkeeping of a run, with rare saves and an honest end."""

    def __init__(self, nb: NotebookNode, output_path: str | None, progress_bar: Any) -> None:
        super().__init__(nb, output_path=output_path, progress_bar=progress_bar)
        self.saver = LocalSaver(self._write)
        self._target = _find_target(output_path)
        self._is_last = False

    def save(self, **kwargs: Any) -> None:
        """Save when a save is due."""
        self.saver.changed()

    def autosave_cell(self, **kwargs: Any) -> None:
        """An output has come."""
        self.saver.changed()

    def notebook_complete(self, **kwargs: Any) -> None:
        """Close the books: a cell that never ran stays ``pending``."""
        self.end_time = self.now()
        metadata = self.nb.metadata.papermill
        metadata["end_time"] = self.end_time.isoformat()
        metadata["duration"] = (self.end_time - self.start_time).total_seconds()
        self.cleanup_pbar()

    def save_last(self) -> None:
        """Write the notebook as Jupyter does, where papermill will not come to do it."""
        self._is_last = True
        self.saver.save_now()

    def _write(self) -> None:
        if self._target is None:
            if self.output_path and "://" in self.output_path:
                write_ipynb(self.nb, self.output_path)
            return
        if self._is_last:
            text = writes(self.nb)
        else:
            # Compact, because Python indents slowly.
            text = json.dumps(self.nb, cls=BytesEncoder, ensure_ascii=False, separators=(",", ":"))
        write_file(self._target, text.encode(errors="replace"))


def _find_target(output_path: str | None) -> Path | None:
    """Find the local file that papermill will write; None where it writes elsewhere.

    With ``cwd`` the engine runs in another folder than the one that a relative path is meant from.
    """
    handler = papermill_io.get_handler(output_path)
    if not isinstance(handler, LocalHandler):
        return None
    return Path(handler._cwd or Path.cwd(), str(output_path))
