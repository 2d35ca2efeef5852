"""The two hooks by which Jupyter finds the Lab extension and the server extension.

Nothing is imported here: every part of the package, the runner and the contract too, passes
through this module.
"""


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Where the built Lab extension lies, and the name under which Lab knows it."""
    return [{"src": "labextension", "dest": "offline-jobs"}]


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    """The module that jupyter_server loads for us."""
    return [{"module": "offline_jobs.server_extension.extension"}]
