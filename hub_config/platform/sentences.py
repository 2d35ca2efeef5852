"""The start of a session or a job in words.

A :class:`~hub_config.platform.waiting.Waiting` comes in, one sentence goes out; the elapsed time is
added by whoever shows it. An unknown is left out, never invented. Pure.
"""

from hub_config.platform.catalogue import GPU_RESOURCE
from hub_config.platform.quantities import (
    format_bytes,
    format_cores,
    format_gpus,
    format_seconds,
)
from hub_config.platform.waiting import Waiting
from offline_jobs.contract.facts import Hindrance, PullFailure
from offline_jobs.contract.states import Reason

_FEW_SECONDS, _MANY_SECONDS = 10, 120
_HINDRANCES = {
    Hindrance.FOLDERS: "The folders of the home cannot be prepared at the moment, still trying",
    Hindrance.VOLUME: "The volume cannot be mounted at the moment, still trying",
    Hindrance.END: "The start has failed",
    Hindrance.SILENT: "The notebook's runner has not reported yet, still waiting",
}
#: Each with a place for the image.
_PULLS = {
    PullFailure.MISSING: (
        "The registry does not have {image}, still trying: tell an administrator, who can push it"
    ),
    PullFailure.REFUSED: (
        "The registry does not give {image} to the machine, still trying: tell an administrator"
    ),
    PullFailure.AWAY: (
        "The registry of {image} does not answer at the moment, still trying: it goes on when that"
        " is back"
    ),
}


def describe_start(waiting: Waiting) -> str:
    """One sentence, without a full stop, such as ``Waiting for a free slot, 3 jobs ahead``.

    What hinders comes before the stage that it hinders, with what the cluster says of it.
    """
    hindrance = waiting.facts.get("hindrance")
    if isinstance(hindrance, str) and hindrance in _HINDRANCES:
        return _HINDRANCES[hindrance] + _said(waiting)
    pull = waiting.facts.get("pull")
    if isinstance(pull, str) and pull in _PULLS:
        return _PULLS[pull].format(image=f"the image{_image(waiting)}")
    sentence = _describe_stage(waiting)
    if waiting.facts.get("failing") is True:
        return f"{sentence} fails at the moment, still trying{_said(waiting)}"
    return sentence


def describe_usual(seconds: float) -> str:
    """How long a start usually takes, such as ``usually about 3 min``."""
    return f"usually about {format_seconds(_round(seconds))}"


def _describe_stage(waiting: Waiting) -> str:
    group = _name(waiting, "group", "its group")
    of_class = _name(waiting, "class", "", " of class ")
    asking = waiting.facts.get("asking") is True
    pulling = "Preparing the machine" if asking else f"Pulling the image{_image(waiting)}"
    full = ", none is free yet" if waiting.facts.get("full") is True else ""
    because = (
        ": the limit of its pool leaves no room for one"
        if waiting.facts.get("beyond_limit") is True
        else " at the moment"
    )
    sentences = {
        Reason.SERVICE: "Waiting for the jobs service",
        Reason.LOCAL_SLOTS: f"Waiting for a free slot{_ahead(waiting)}",
        Reason.QUEUE_QUOTA: _silence(waiting)
        or (
            f"Asking for room in the share of {group}"
            if asking
            else f"Waiting until {group} has room in its share{_ahead(waiting)}"
        ),
        Reason.NO_NODE: (
            f"Asking for a machine{of_class}{full}"
            if asking
            else f"No machine{of_class} can be had{because}, still trying"
        ),
        Reason.POOL_LIMIT: (
            f"Waiting for a machine{of_class}: its pool is at its limit{_use(waiting)}"
        ),
        Reason.NODE_STARTING: f"Starting a machine{of_class}",
        Reason.IMAGE_PULL: pulling,
        Reason.KERNEL_START: "Starting the kernel",
        Reason.CLUSTER_UNREACHABLE: "The cluster cannot be reached at the moment, still trying",
        Reason.HUB_UNREACHABLE: "The hub cannot be reached at the moment, still trying",
        Reason.JUPYTER_START: "Starting JupyterLab",
    }
    return sentences[waiting.reason]


def _said(waiting: Waiting) -> str:
    return _name(waiting, "said", "", ": ")


def _ahead(waiting: Waiting) -> str:
    ahead = waiting.facts.get("ahead")
    if not isinstance(ahead, int) or isinstance(ahead, bool) or ahead < 0:
        return ""
    if ahead == 0:
        return ", next in line"
    return f", {ahead} {'job' if ahead == 1 else 'jobs'} ahead"


def _silence(waiting: Waiting) -> str:
    """Who does not answer; empty while that is nothing unusual. An administrator knows the name."""
    seconds = waiting.facts.get("unanswered_seconds")
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        return ""
    who = "scheduler has" if waiting.facts.get("object") else "controllers have"
    return (
        f"Volcano's {who} not answered for more than {format_seconds(seconds)}, still waiting: tell"
        " an administrator, who has to look at Volcano"
    )


def _use(waiting: Waiting) -> str:
    """How full a pool is, such as ``, 240 of 256 cores in use``."""
    used, limit = waiting.facts.get("used"), waiting.facts.get("limit")
    if not isinstance(used, int | float) or not isinstance(limit, int | float):
        return ""
    match waiting.facts.get("resource"):
        case "cpu":
            return f", {used:g} of {format_cores(limit)} in use"
        case "memory":
            return f", {format_bytes(used)} of {format_bytes(limit)} of memory in use"
        case resource if resource == GPU_RESOURCE:
            return f", {used:g} of {format_gpus(int(limit))} in use"
    return ""


def _name(waiting: Waiting, fact: str, missing: str, before: str = "") -> str:
    value = waiting.facts.get(fact)
    return f"{before}{value}" if isinstance(value, str) and value else missing


def _image(waiting: Waiting) -> str:
    return _name(waiting, "image", "", " ")


def _round(seconds: float) -> int:
    """To a figure that people would say: whole seconds, then steps of 5 s, then whole minutes."""
    if seconds < _FEW_SECONDS:
        return max(1, round(seconds))
    if seconds < _MANY_SECONDS:
        return round(seconds / 5) * 5
    return round(seconds / 60) * 60
