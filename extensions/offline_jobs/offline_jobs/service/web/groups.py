"""How groups stand: queues by person and class, who is next, sessions, how the month's jobs ended.

For those who lead them and for administrators; who that is ``access.py`` says. What is told comes
from jobs, ledger and catalogue alone: nothing is asked of a cluster.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from hub_config.platform.catalogue import GPU_RESOURCE, Budget, Catalogue, Group
from offline_jobs.contract.states import State
from offline_jobs.service.rules.queues import (
    Amounts,
    GroupUse,
    OpenSession,
    Part,
    find_cost,
    find_end,
    sort_out,
)
from offline_jobs.service.rules.usage import begin_month
from offline_jobs.service.web.answers import answer_job, answer_time
from offline_jobs.service.web.identity import CallerOf
from offline_jobs.service.web.rooms import Rooms, rooms_of
from offline_jobs.service.web.wanted import Slug

router = APIRouter(tags=["groups"])

#: The hub's last word of a session that runs as long as any may is not older than that by a day.
_UNSEEN = timedelta(days=1)
#: So many of a line are told.
MOST_IN_LINE = 100


@router.get("/queues")
def show_queues(request: Request, caller: CallerOf, group: Slug = None) -> Response:
    """What jobs and sessions of groups have now, and how many jobs wait since when.

    ``slots`` is how many jobs run at once on one machine, whatever their group; null in a cluster,
    where each group's jobs have its ``limits`` at most. Cores, bytes, GPUs. ``budget`` is what
    sessions and jobs of a month (UTC) are meant to cost; null without one.
    """
    rooms = rooms_of(request)
    groups = rooms.access.choose_groups(caller.person, group)
    catalogue = rooms.catalogue
    uses = sort_out(
        catalogue.groups if groups is None else groups,
        rooms.store.occupancy.count_jobs(groups),
        _read_sessions(rooms, groups, datetime.now(UTC)),
        catalogue.classes,
    )
    return JSONResponse(
        {
            "slots": rooms.slots,
            "weights": sum(each.queue.weight for each in catalogue.groups.values()),
            "queues": [
                _answer_queue(slug, use, catalogue, shared=rooms.slots is None)
                for slug, use in uses.items()
            ],
        }
    )


@router.get("/line")
def show_line(
    request: Request, caller: CallerOf, group: Annotated[str, Query(max_length=100)]
) -> Response:
    """The first of a group's jobs that wait, in the order in which they will be tried.

    ``place`` counts from 1, on one machine in the line of all groups; it is null where a job is not
    in line, as one that waits for a machine, or where its place is not known now. Those come last.
    ``waiting`` is how many wait in all.
    """
    rooms = rooms_of(request)
    rooms.access.choose_groups(caller.person, group)
    first, waiting = rooms.store.occupancy.read_line(group, MOST_IN_LINE)
    return JSONResponse(
        {
            "waiting": waiting,
            "jobs": [
                {
                    **answer_job(job, rooms),
                    "place": each.place,
                    "waiting_since": answer_time(each.since),
                }
                for job, each in first
            ],
        }
    )


@router.get("/sessions")
def show_sessions(request: Request, caller: CallerOf, group: Slug = None) -> Response:
    """Sessions that start or run by the hub's last word, the newest first.

    ``since`` is when the start was asked for, ``ends_at`` when it stops at the latest; ``cost`` is
    so far and at today's price of the class. What is not known is null.
    """
    rooms, now = rooms_of(request), datetime.now(UTC)
    groups = rooms.access.choose_groups(caller.person, group)
    found = _read_sessions(rooms, groups, now)
    return JSONResponse({"sessions": [_answer_session(each, rooms, now) for each in found]})


@router.get("/outcomes")
def show_outcomes(request: Request, caller: CallerOf, group: Slug = None) -> Response:
    """How the jobs of a group or of all that one leads ended this month (UTC), by person.

    Each job counts once, when it ended for good, also where its record was deleted since.
    """
    rooms, now = rooms_of(request), datetime.now(UTC)
    groups = rooms.access.choose_groups(caller.person, group)
    ends = rooms.store.usage.count_ends(begin_month(now), now, groups)
    return JSONResponse(
        {
            "month": f"{now:%Y-%m}",
            "rows": [
                {
                    "group": slug,
                    "user": owner,
                    "succeeded": counts.get(State.SUCCEEDED, 0),
                    "failed": counts.get(State.FAILED, 0),
                    "cancelled": counts.get(State.CANCELLED, 0),
                }
                for (slug, owner), counts in ends.items()
            ],
        }
    )


def _read_sessions(
    rooms: Rooms, groups: tuple[str, ...] | None, now: datetime
) -> list[OpenSession]:
    classes = rooms.catalogue.classes.values()
    longest = max((each.longest_session_seconds for each in classes), default=0)
    since = now - timedelta(seconds=longest) - _UNSEEN
    return rooms.store.occupancy.read_sessions(since, groups)


def _answer_queue(
    slug: str, use: GroupUse, catalogue: Catalogue, *, shared: bool
) -> dict[str, Any]:
    group = catalogue.groups.get(slug)
    return {
        "group": slug,
        "name": group.name if group else slug,
        "weight": group.queue.weight if group else None,
        "limits": _answer_limits(group) if group and shared else None,
        "budget": _answer_budget(group.budget if group else None),
        "all": _answer_part(slug, group.name if group else slug, use.all),
        "people": [_answer_part(name, name, part) for name, part in sorted(use.people.items())],
        "classes": [
            _answer_part(name, _name(catalogue.classes, name), use.classes[name])
            # In the catalogue's order.
            for name in [*catalogue.classes, *sorted(set(use.classes) - set(catalogue.classes))]
            if name in use.classes
        ],
    }


def _answer_limits(group: Group) -> dict[str, Any]:
    most = group.queue.capability
    return {
        "cores": most.get("cpu", 0),
        "memory_bytes": int(most.get("memory", 0)),
        "gpus": int(most.get(GPU_RESOURCE, 0)),
    }


def _answer_budget(budget: Budget | None) -> dict[str, Any] | None:
    return None if budget is None else {"month": budget.month, "currency": budget.currency}


def _answer_part(key: str, name: str, part: Part) -> dict[str, Any]:
    return {
        "key": key,
        "name": name,
        "running": part.running,
        "waiting": part.waiting,
        "waiting_since": answer_time(part.waiting_since),
        "sessions": part.sessions,
        "by_jobs": _answer_amounts(part.by_jobs),
        "by_sessions": _answer_amounts(part.by_sessions),
    }


def _answer_amounts(amounts: Amounts) -> dict[str, Any]:
    return {**vars(amounts), "cores": round(amounts.cores, 3)}


def _answer_session(session: OpenSession, rooms: Rooms, now: datetime) -> dict[str, Any]:
    catalogue = rooms.catalogue
    machine = catalogue.classes.get(session.machine_class)
    cost, currency = find_cost(session, machine, now)
    return {
        "id": session.session,
        "user": session.owner,
        "group": session.group,
        "group_name": _name(catalogue.groups, session.group),
        "image": session.image,
        "image_name": _name(catalogue.images, session.image),
        "class": session.machine_class,
        "class_name": _name(catalogue.classes, session.machine_class),
        "state": session.state.value,
        "since": answer_time(session.begun),
        "running_since": answer_time(session.running),
        "ends_at": answer_time(find_end(session, machine)),
        "cost": None if cost is None else round(cost, 4),
        "currency": currency,
    }


def _name(kind: Any, slug: str) -> str:
    """What something of the catalogue is called; its slug where it has gone from it."""
    return str(kind[slug].name) if slug in kind else slug
