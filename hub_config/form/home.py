"""What the hub's home says: one's session or the last choice, one's jobs, one's groups.

Place in the path: the spawner hands over what hub and jobs service know
(:meth:`~hub_config.spawners.choosing.ChoosingSpawner.describe_home`), ``home.html`` shows what
comes out. Words and figures are made here, none in the page. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hub_config.form.page import UNDER, word_cost, word_price
from hub_config.platform.catalogue import Catalogue, Group
from hub_config.platform.choices import OPTION_KEYS, Offer, choose
from hub_config.platform.errors import Refused
from hub_config.platform.quantities import (
    format_cores,
    format_duration,
    format_seconds,
    format_size,
)
from offline_jobs.contract.session import SessionTurn

AWAY = "The jobs service cannot be asked at the moment. Jobs run on, and what was sent is kept."
_MINUTE = 60
_TITLES = {
    "running": "Your session is running",
    "starting": "Your session is starting",
    "stopping": "Your session is stopping",
    "checking": "The hub looks whether your session still answers",
}


@dataclass(frozen=True)
class LastChoice:
    """What somebody chose last.

    Attributes:
        words: ``Spatial omics on Standard``.
        about: its figures, its price, and who is charged.
        options: what to send to start it again.
        why: why it cannot be started now; empty where it can.
    """

    words: str
    about: str
    options: Mapping[str, str]
    why: str = ""


@dataclass(frozen=True)
class Session:
    """A session that there is; what is not known is empty.

    Attributes:
        state: ``running``, ``starting``, ``stopping`` or ``checking``.
        title: the same in words.
        about: image, machine, and who is charged.
        up: for how long it has run.
        cost: what it has cost so far.
        ends: when it stops by itself.
    """

    state: str
    title: str
    about: str = ""
    up: str = ""
    cost: str = ""
    ends: str = ""


@dataclass(frozen=True)
class JobRow:
    """A job in a line; ``percent`` is its progress, where it has some."""

    id: str
    name: str
    state: str
    sentence: str
    when: str
    percent: int | None = None


@dataclass(frozen=True)
class Jobs:
    """One's jobs: how many are open, the first of them, what ended lately; or why nobody knows."""

    open: int = 0
    rows: tuple[JobRow, ...] = ()
    ended: tuple[JobRow, ...] = ()
    away: str = ""


@dataclass(frozen=True)
class GroupUse:
    """What the jobs of a group use; ``share`` is empty where no share bounds them."""

    name: str
    sentence: str
    used: str = ""
    share: str = ""
    percent: int = 0


@dataclass(frozen=True)
class Home:
    """All that the page says; ``refusal`` is why somebody may start nothing at all."""

    session: Session | None
    last: LastChoice | None
    refusal: str
    jobs: Jobs
    groups: tuple[GroupUse, ...]


def find_last_choice(offered: Offer, remembered: object) -> LastChoice | None:
    """The last choice, checked as any other; ``None`` where nothing was chosen yet.

    Args:
        offered: what the person may choose now.
        remembered: the options of the last start, as the hub stored them, wherever they came from.
    """
    if not isinstance(remembered, Mapping):
        return None
    options = {key: value for key, value in remembered.items() if key in OPTION_KEYS}
    if not all(isinstance(options.get(key), str) for key in ("image", "class")):
        return None
    try:
        choice = choose(offered, options)
    except Refused as refused:
        images = {each.image.slug: each.image.name for each in offered.images}
        classes = {each.instance_class.slug: each.instance_class.name for each in offered.classes}
        image, size = options["image"], options["class"]
        words = f"{images.get(image, image)} on {classes.get(size, size)}"
        return LastChoice(words, "", {}, f"It cannot be started now. {refused.message}")
    size = choice.instance_class
    about = (
        format_size(size.cores, size.memory_bytes, size.gpus, size.gpu_model),
        word_price(size.price),
        choice.group.name,
    )
    return LastChoice(
        words=f"{choice.image.name} on {size.name}",
        about=" · ".join(part for part in about if part),
        options={"group": choice.group.slug, "image": choice.image.slug, "class": size.slug},
    )


def describe_session(
    state: str,
    turn: SessionTurn | None,
    catalogue: Catalogue,
    last_used: datetime | None,
    now: datetime,
    *,
    idle_seconds: int = 0,
) -> Session:
    """A session in words.

    Args:
        state: ``running``, ``starting``, ``stopping`` or ``checking``.
        turn: the last one noted of it, if any was; of a running session, when it began to run.
        catalogue: what its choice is called there.
        last_used: when the hub last heard that somebody uses it.
        now: the time.
        idle_seconds: the hub stops a session that nobody uses for so long; 0: never.
    """
    title = _TITLES[state]
    if turn is None:
        return Session(state, title)
    image = catalogue.images.get(turn.image)
    size = catalogue.classes.get(turn.machine_class)
    group = catalogue.groups.get(turn.group)
    about = f"{image.name if image else turn.image} on {size.name if size else turn.machine_class}"
    if size:
        figures = format_size(size.cores, size.memory_bytes, size.gpus, size.gpu_model)
        about = f"{about}: {figures}"
    about = f"{about} · charged to {group.name if group else turn.group}"
    if state != "running" or turn.state != "running":
        return Session(state, title, about)
    began = datetime.fromisoformat(turn.at)
    up = max(timedelta(), now - began).total_seconds()
    ends = ""
    if size:
        used = max(began, last_used) if last_used else began
        unused = max(timedelta(), now - used).total_seconds()
        left = max(0.0, size.longest_session_seconds - up)
        ends = _word_ends(size.idle_session_seconds or idle_seconds, unused, left)
    cost = word_cost(size.price, up) if size else ""
    if cost and not cost.startswith(UNDER):
        cost = f"about {cost}"
    return Session(state, title, about, _round(up), cost, ends)


def describe_jobs(answer: Mapping[str, Any], now: datetime) -> Jobs:
    """One's jobs, of the service's answer (``service/web/hub_calls.py``)."""
    return Jobs(
        open=answer["open"],
        rows=tuple(_describe_job(job, now) for job in answer["jobs"]),
        ended=tuple(_describe_job(job, now) for job in answer["ended"]),
    )


def describe_groups(
    groups: Sequence[Group], uses: Mapping[str, Mapping[str, Any]], *, shared: bool
) -> tuple[GroupUse, ...]:
    """What the jobs of one's groups use.

    Args:
        groups: of the catalogue.
        uses: by slug ``{"running": jobs, "waiting": jobs, "cores": number}``, of the service.
        shared: whether queues give each group its share: in a cluster.
    """
    described = []
    for group in groups:
        use = uses.get(group.slug, {"running": 0, "waiting": 0, "cores": 0})
        share = group.queue.capability.get("cpu", 0) if shared else 0
        described.append(
            GroupUse(
                group.name,
                _word_use(use["running"], use["waiting"]),
                f"{use['cores']:g}",
                format_cores(share) if share else "",
                min(100, round(100 * use["cores"] / share)) if share else 0,
            )
        )
    return tuple(described)


def _describe_job(job: Mapping[str, Any], now: datetime) -> JobRow:
    began = job["ended"] or job["started"] or job["created"]
    passed = _round((now - datetime.fromisoformat(began)).total_seconds())
    number, total = job["cell"]["number"], job["cell"]["total"]
    has_progress = job["state"] == "running" and total > 0
    return JobRow(
        id=job["id"],
        name=job["name"],
        state=job["state"],
        sentence=job["sentence"],
        when=f"{passed} ago" if job["ended"] else passed,
        percent=min(100, round(100 * max(0, number - 1) / total)) if has_progress else None,
    )


def _word_ends(idle: int, unused: float, left: float) -> str:
    latest = f"in {_round(left)} at the latest"
    if idle:
        quiet = f"after {format_seconds(idle)} without use (last used {_round(unused)} ago)"
        latest = f"{quiet}, and {latest}"
    return f"It stops by itself {latest}. Offline jobs go on without it."


def _word_use(running: int, waiting: int) -> str:
    if not running and not waiting:
        return "No job runs or waits."
    runs = f"{running} {'job runs' if running == 1 else 'jobs run'}"
    return f"{runs}, {waiting} {'waits' if waiting == 1 else 'wait'}."


def _round(seconds: float) -> str:
    """A time that goes on, in minutes: the page is drawn anew now and then, not each second."""
    whole = seconds // _MINUTE * _MINUTE
    return format_duration(whole) if whole else "under 1 min"


def read_time(moment: datetime | None) -> datetime | None:
    """A time of JupyterHub's database, which has no zone."""
    return moment.replace(tzinfo=UTC) if moment else None
