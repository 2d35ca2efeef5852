"""Is a submission sound? Every problem with its field, and what the service fills in itself.

Called by ``intake.py`` with what was sent (already of the right shape), what the person may
choose and what the notebook names; the same function answers ``jobs/check``, ``POST jobs`` and a
rerun. Pure.
"""

import json
import keyword
import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hub_config.platform.choices import Choice, Offer, choose
from hub_config.platform.errors import Refused
from offline_jobs.contract.executed import LARGEST_INTEGER
from offline_jobs.contract.names import notebook_stem
from offline_jobs.contract.r_literals import LARGEST_OF_R
from offline_jobs.contract.request import Request
from offline_jobs.service.rules import amounts

LONGEST_NAME = 200
LONGEST_PATH = 1024
LONGEST_SEGMENT_BYTES = 255
MOST_PARAMETERS = 200
MOST_PARAMETER_BYTES = 64 * 1024
DEEPEST_PARAMETER = 8
USUAL_TIME_LIMIT_SECONDS = 4 * 3600
_KERNEL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_FOREIGN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,99}")
#: Characters that turn the direction of the text around them, or take no room: what is read would
#: not be what is there. (The joiners U+200C and U+200D belong to some scripts and to emoji.)
_UNSEEN = frozenset(
    "\u200b\u200e\u200f\u061c\ufeff\u2060\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


@dataclass(frozen=True)
class Problem:
    """What keeps a submission from being run, beside the field that can mend it."""

    field: str
    code: str
    message: str
    allowed: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Notebook:
    """What of a notebook matters here; ``parameters`` is ``None`` where they cannot be read."""

    language: str
    kernel: str
    parameters: frozenset[str] | None


@dataclass(frozen=True)
class Findings:
    """The outcome: with no problems, everything that was left unsaid is filled in."""

    request: Request
    choice: Choice | None
    problems: tuple[Problem, ...]


def examine(asked: Request, offer: Offer, notebook: Notebook | None) -> Findings:
    """Find every problem of a submission.

    Args:
        asked: what was sent.
        offer: what the person may choose.
        notebook: what is known of the notebook; ``None`` when it is itself the problem.
    """
    problems = [*_path_problems(asked.path)]
    name = asked.name.strip() or notebook_stem(asked.path)
    problems += _name_problems(name)
    choice: Choice | None = None
    try:
        choice = choose(offer, _said_options(asked))
    except Refused as e:
        problems.append(Problem(e.field or "class", e.code, e.message, e.allowed))
    kernel = _fill_kernel(asked.kernel, notebook, choice)
    problems += _kernel_problems(kernel, choice)
    problems += _parameter_problems(asked.parameters, notebook)
    limit = asked.time_limit_seconds or _usual_limit(choice)
    problems += _limit_problems(asked.time_limit_seconds, choice)
    filled = replace(asked, name=name, kernel=kernel, time_limit_seconds=limit)
    if choice is not None:
        filled = replace(
            filled,
            group=choice.group.slug,
            image=choice.image.slug,
            machine_class=choice.instance_class.slug,
            # Elsewhere nothing takes a machine away, and a run is not to be repeated.
            interruptible=asked.interruptible and _has_spot(choice, offer),
        )
    return Findings(filled, choice, tuple(problems))


def usual_kernel(asked: Request, offer: Offer) -> str:
    """The kernel where neither submission nor notebook names one; empty if no image is chosen."""
    try:
        return choose(offer, _said_options(asked)).image.kernels[0]
    except Refused:
        return ""


def foretell(choice: Choice, time_limit_seconds: int, note: str = "") -> str:
    """What will happen, in one line for the dialog."""
    machine = choice.instance_class
    parts = [amounts.cores(machine.cores), amounts.size(machine.memory_bytes)]
    if machine.gpus:
        parts.append(f"{amounts.count(machine.gpus, 'GPU')} {machine.gpu_model}".strip())
    remark = f" {note}" if note else ""
    return (
        f"Runs on {machine.name} ({', '.join(parts)}); "
        f"at most {amounts.duration(time_limit_seconds)}; you may close the browser.{remark}"
    )


def _has_spot(choice: Choice, offer: Offer) -> bool:
    slug = choice.instance_class.slug
    return any(each.spot for each in offer.classes if each.instance_class.slug == slug)


def _said_options(asked: Request) -> dict[str, str]:
    options = {"group": asked.group, "image": asked.image, "class": asked.machine_class}
    return {key: slug for key, slug in options.items() if slug}


def _path_problems(path: str) -> list[Problem]:
    segments = path.split("/")
    checks = (
        (len(path) > LONGEST_PATH, f"The path is longer than {LONGEST_PATH} characters."),
        (
            not path.endswith(".ipynb"),
            "The path has to name a notebook: it ends with .ipynb.",
        ),
        (
            _has_control(path) or "\\" in path,
            "The path holds a backslash, a control character or one that cannot be seen: "
            "rename the file.",
        ),
        (
            any(part in ("", ".", "..") for part in segments),
            "The path has to be relative to your home, without empty parts or '..'.",
        ),
        (
            any(len(part.encode("utf-8", "replace")) > LONGEST_SEGMENT_BYTES for part in segments),
            f"A part of the path is over {LONGEST_SEGMENT_BYTES} bytes.",
        ),
        (
            not notebook_stem(path).strip("."),
            "The notebook's name is only dots: rename the file.",
        ),
    )
    return next(([_path_problem(message)] for fails, message in checks if fails), [])


def _path_problem(message: str) -> Problem:
    return Problem("path", "bad-path", message)


def _name_problems(name: str) -> list[Problem]:
    if len(name) > LONGEST_NAME:
        return [Problem("name", "bad-name", f"Use at most {LONGEST_NAME} characters.")]
    if _has_control(name):
        return [Problem("name", "bad-name", "Use one line without characters that cannot be seen.")]
    return []


def _has_control(text: str) -> bool:
    return any(c in _UNSEEN or unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in text)


def _fill_kernel(
    asked: Mapping[str, str], notebook: Notebook | None, choice: Choice | None
) -> Mapping[str, str]:
    """The kernel asked for, else the one the notebook names, else the image's first."""
    if asked:
        return asked
    name = notebook.kernel if notebook else ""
    if not name and choice:
        name = choice.image.kernels[0]
    return {"name": name, "source": "image"}


def _kernel_problems(kernel: Mapping[str, str], choice: Choice | None) -> list[Problem]:
    name, source = kernel["name"], kernel["source"]
    if name and not _KERNEL_NAME.fullmatch(name):
        return [
            Problem(
                "kernel",
                "bad-kernel",
                "A kernel's name has letters, digits, '.', '_' and '-' only.",
            )
        ]
    if choice is None or (source == "home" and name):
        return []
    if name not in choice.image.kernels:
        said = f"{choice.image.name} has no kernel {name}" if name else "Choose a kernel"
        return [
            Problem(
                "kernel",
                "unknown-kernel",
                f"{said}: choose {' or '.join(choice.image.kernels)}.",
                choice.image.kernels,
            )
        ]
    return []


def _parameter_problems(parameters: Mapping[str, Any], notebook: Notebook | None) -> list[Problem]:
    if len(parameters) > MOST_PARAMETERS:
        return [_parameters_problem(f"At most {MOST_PARAMETERS} parameters can be given.")]
    problems = [
        problem
        for name, value in parameters.items()
        for problem in (_name_problem(name, notebook), _value_problem(name, value, notebook))
        if problem
    ]
    if problems:
        return problems
    if len(json.dumps(dict(parameters), ensure_ascii=False).encode()) > MOST_PARAMETER_BYTES:
        return [
            _parameters_problem(
                f"Parameters may have {amounts.size(MOST_PARAMETER_BYTES)} in all: "
                "put large values into a file and give its path."
            )
        ]
    return []


def _name_problem(name: str, notebook: Notebook | None) -> Problem | None:
    place = f"parameters.{_shown(name)}"
    if notebook is None:
        return None
    if notebook.language == "python" and (not name.isidentifier() or keyword.iskeyword(name)):
        return Problem(place, "bad-parameter", "This is not a name that Python can assign to.")
    if notebook.parameters is None:
        if _FOREIGN_NAME.fullmatch(name):
            return None
        return Problem(place, "bad-parameter", "Use letters, digits, '_' and '.' in a name.")
    if name in notebook.parameters:
        return None
    known = tuple(sorted(notebook.parameters))
    mend = (
        f"it names {', '.join(known[:20])}"
        if known
        else "tag a cell 'parameters' and assign defaults there"
    )
    return Problem(
        place, "unknown-parameter", f"The notebook does not name this parameter: {mend}.", known
    )


def _value_problem(name: str, value: Any, notebook: Notebook | None) -> Problem | None:
    why_not = _why_not_in_r if notebook and notebook.language == "r" else _why_not_plain
    message = _why_not_json(value, 0, why_not)
    return Problem(f"parameters.{_shown(name)}", "bad-parameter", message) if message else None


def _why_not_json(value: Any, depth: int, why_not: Callable[[Any], str | None]) -> str | None:
    """Why a value cannot be given as a parameter; ``None`` when it can."""
    if depth > DEEPEST_PARAMETER:
        return f"The value is nested deeper than {DEEPEST_PARAMETER} levels."
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return next(filter(None, (_why_not_json(v, depth + 1, why_not) for v in inner)), None)
    return why_not(value)


def _why_not_plain(value: Any) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return "The number is not finite."
    if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        return "The whole number has more than 64 bits: give it as text."
    if isinstance(value, str) and any(unicodedata.category(c) == "Cs" for c in value):
        return "The text is not valid Unicode."
    return None


def _why_not_in_r(value: Any) -> str | None:
    if isinstance(value, int) and abs(value) > LARGEST_OF_R:
        return "R has no whole number as large as this one: give it as text."
    if isinstance(value, str) and "\0" in value:
        return "R's text holds no character NUL."
    return _why_not_plain(value)


def _shown(name: str) -> str:
    return name[:60]


def _parameters_problem(message: str) -> Problem:
    return Problem("parameters", "bad-parameter", message)


def _usual_limit(choice: Choice | None) -> int:
    longest = choice.instance_class.longest_job_seconds if choice else USUAL_TIME_LIMIT_SECONDS
    return min(USUAL_TIME_LIMIT_SECONDS, longest)


def _limit_problems(seconds: int, choice: Choice | None) -> list[Problem]:
    if not seconds or choice is None:
        return []
    longest = choice.instance_class.longest_job_seconds
    if seconds <= longest:
        return []
    return [
        Problem(
            "time_limit_seconds",
            "bad-time-limit",
            f"A job on {choice.instance_class.name} may take from 1 s to "
            f"{amounts.duration(longest)}.",
        )
    ]
