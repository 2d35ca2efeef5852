"""What the caller may choose: groups, images, classes, the pairs that work, and what is usual."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from hub_config.platform.choices import Offer, OfferedClass, OfferedImage
from offline_jobs.service.rules.submission import USUAL_TIME_LIMIT_SECONDS
from offline_jobs.service.web.identity import Caller, CallerOf
from offline_jobs.service.web.rooms import rooms_of

router = APIRouter(tags=["catalogue"])


@router.get("/catalogue")
def show_catalogue(request: Request, caller: CallerOf) -> Response:
    """What the caller may choose."""
    return JSONResponse(answer_offer(rooms_of(request).intake.offer(caller.person), caller))


def answer_offer(offer: Offer, caller: Caller) -> dict[str, Any]:
    """The JSON of an offer."""
    longest = {c.instance_class.slug: c.instance_class.longest_job_seconds for c in offer.classes}
    return {
        "user": {"name": caller.name, "admin": caller.admin},
        "groups": [{"slug": g.slug, "name": g.name} for g in offer.groups],
        "images": [_image(i) for i in offer.images],
        "classes": [_class(c) for c in offer.classes],
        "pairs": [list(pair) for pair in sorted(offer.pairs)],
        "defaults": {
            "group": offer.default_group,
            "image": offer.default_image,
            "class": offer.default_class,
            "time_limit_seconds": min(
                USUAL_TIME_LIMIT_SECONDS,
                longest.get(offer.default_class, USUAL_TIME_LIMIT_SECONDS),
            ),
        },
    }


def _image(offered: OfferedImage) -> dict[str, Any]:
    image = offered.image
    return {
        "slug": image.slug,
        "name": image.name,
        "description": image.description,
        "available": not offered.why,
        "why": offered.why,
        "kernels": list(image.kernels),
        "needs_gpu": image.needs_gpu,
    }


def _class(offered: OfferedClass) -> dict[str, Any]:
    machine, price = offered.instance_class, offered.instance_class.price
    return {
        "slug": machine.slug,
        "name": machine.name,
        "cores": machine.cores,
        "memory_bytes": machine.memory_bytes,
        "gpus": machine.gpus,
        "gpu_model": machine.gpu_model,
        "price_per_hour": price.per_hour if price else None,
        "currency": price.currency if price else None,
        "price_date": price.date if price else None,
        "spot": offered.spot,
        "spot_price_per_hour": price.spot_per_hour if price and offered.spot else None,
        "available": not offered.why,
        "why": offered.why,
        "note": offered.note,
        "longest_job_seconds": machine.longest_job_seconds,
        "groups": list(offered.groups),
    }
