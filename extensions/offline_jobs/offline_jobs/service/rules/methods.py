"""How a result came about, in five lines that can stand in a paper's methods or a notebook's notes.

From the runner's record alone, so that nothing is said that was not seen. Called by
``web/results.py``. Pure.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from offline_jobs.contract.run import ResultRecord
from offline_jobs.service.rules import amounts

_SUCCEEDED = "succeeded"


def describe_methods(record: ResultRecord, *, image: str = "", machine_class: str = "") -> str:
    """Say in five lines what was run, with what values, software and machine, from which code.

    Args:
        record: of an attempt that has ended.
        image: the image's name as people know it; its slug where it is not given.
        machine_class: likewise.
    """
    lines = (
        _describe_run(record),
        _describe_parameters(record),
        _describe_software(record, image or record.request.image),
        _describe_machine(record, machine_class or record.request.machine_class),
        _describe_code(record),
    )
    return "".join(f"{line}\n" for line in lines)


def _describe_run(record: ResultRecord) -> str:
    if record.outcome == _SUCCEEDED:
        how = "was run as a whole"
        if record.cell < record.total:
            how = f"was run and ended itself in cell {record.cell} of {record.total}"
    else:
        how = f"was run up to cell {record.cell} of {record.total} ({record.outcome})"
    when = f"{_moment(record.started)} to {_moment(record.ended)}"
    hashed = f" (SHA-256 {record.snapshot_sha256})" if record.snapshot_sha256 else ""
    return f"Notebook {record.request.path}{hashed} {how}, {when}, as offline job {record.job}."


def _moment(text: str) -> str:
    try:
        return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return "an unknown time"


def _describe_parameters(record: ResultRecord) -> str:
    given = [f"{name} = {value!r}" for name, value in record.request.parameters.items()]
    own = [f"{name} = {source}" for name, source in record.notebook_parameters.items() if source]
    parts = []
    if given:
        parts.append(f"{', '.join(given)} (given)")
    if own:
        parts.append(f"{', '.join(own)} (the notebook's own)")
    return f"Parameters: {'; '.join(parts) or 'none'}."


def _describe_software(record: ResultRecord, image: str) -> str:
    kernel = record.kernel
    name = kernel.get("display_name") or kernel.get("name", "")
    language = " ".join(filter(None, (kernel.get("language"), kernel.get("version"))))
    known = record.image_reference or (record.lock_sha256 and f"lock SHA-256 {record.lock_sha256}")
    packages = (
        f"; packages in packages.txt (SHA-256 {record.packages_sha256})"
        if record.packages_sha256
        else ""
    )
    ran = ", ".join(f"{name} {version}" for name, version in _runners(record.versions))
    whose = "of"
    if kernel.get("source") == "home":
        where = kernel.get("environment")
        whose = f"of the user's own environment {where}, in" if where else "of the user's own, in"
    return (
        f"Software: kernel {name}{f' ({language})' if language else ''} "
        f"{whose} image {image}{f' ({known})' if known else ''}{f', run by {ran}' if ran else ''}"
        f"{packages}."
    )


def _runners(versions: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, versions[name]) for name in ("papermill", "offline-jobs") if name in versions]


def _describe_machine(record: ResultRecord, machine_class: str) -> str:
    machine = record.machine
    processor = " ".join(filter(None, (machine.get("processor"), machine.get("architecture"))))
    parts = [f"class {machine_class}", processor]
    if machine.get("cores", "").isdecimal():
        parts.append(amounts.cores(int(machine["cores"])))
    if record.memory_peak_bytes:
        parts.append(f"peak memory {amounts.size(record.memory_peak_bytes)}")
    return f"Machine: {', '.join(filter(None, parts))}."


def _describe_code(record: ResultRecord) -> str:
    git = record.git or {}
    commit, clean = git.get("commit"), git.get("clean")
    if not commit:
        return "Code: no git commit is known of the notebook's folder."
    state = "changes unknown"
    if isinstance(clean, bool):
        state = "without changes" if clean else "with changes that are not committed"
    return f"Code: git commit {commit}, {state}."
