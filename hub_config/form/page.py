"""The start form of both spawners: what an offer looks like, and what a browser sent back.

Place in the path: an :class:`~hub_config.platform.choices.Offer` comes in, HTML goes out; the
submitted fields come in, the flat mapping that :func:`hub_config.platform.choices.choose` checks
goes out. The page only helps people to choose well; that check decides. Imported by
:mod:`hub_config.spawners`. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hub_config.platform.catalogue import InstanceClass, Price, why_pair_fails
from hub_config.platform.choices import OPTION_KEYS, Offer
from hub_config.platform.errors import Refused
from hub_config.platform.quantities import (
    format_bytes,
    format_cores,
    format_gpus,
    format_seconds,
)

TEMPLATES = Path(__file__).with_name("templates")
SIGNS_BEFORE = {"USD": "$", "GBP": "£", "JPY": "¥"}
SIGNS_AFTER = {"EUR": "€"}
#: How a cost begins that is less than is worth a figure.
UNDER = "under"
_HOUR, _CENT = 3600, 0.01

_environment = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Card:
    """One image or class on the form.

    Attributes:
        slug: the value that is sent.
        name: what people call it.
        figures: figures of a machine, or the description of an image.
        price: per hour, in words.
        ends: when a session of it stops by itself, in words.
        why: why it cannot be had; empty when it can.
        note: a remark on something that can be had.
        groups: groups that may use it, for classes.
        conflicts: image's slug → why this class cannot go with it.
        checked: whether it is selected when the page opens.
    """

    slug: str
    name: str
    figures: tuple[str, ...]
    price: str = ""
    ends: str = ""
    why: str = ""
    note: str = ""
    groups: tuple[str, ...] = ()
    conflicts: Mapping[str, str] | None = None
    checked: bool = False


def build_page(offer: Offer, remembered: object, idle_seconds: int = 0) -> str:
    """The form as HTML, without the hub's frame.

    Args:
        offer: what the person may choose from.
        remembered: the person's last choice, as stored by the hub; ignored where it is not
            something that the form can show.
        idle_seconds: the hub stops a session that nobody uses for so long; 0: never.
    """
    start = choose_start(offer, remembered)
    images = [
        Card(
            slug=offered.image.slug,
            name=offered.image.name,
            figures=(offered.image.description,),
            why=offered.why,
            checked=offered.image.slug == start["image"],
        )
        for offered in offer.images
    ]
    classes = [
        Card(
            slug=offered.instance_class.slug,
            name=offered.instance_class.name,
            figures=build_figures(offered.instance_class),
            price=word_price(offered.instance_class.price),
            ends=word_limits(offered.instance_class, idle_seconds),
            why=offered.why,
            note=offered.note,
            groups=offered.groups,
            conflicts={
                image.image.slug: why
                for image in offer.images
                if (why := why_pair_fails(image.image, offered.instance_class))
            },
            checked=offered.instance_class.slug == start["class"],
        )
        for offered in offer.classes
    ]
    return _environment.get_template("start.html").render(
        groups=offer.groups,
        group=start["group"],
        images=images,
        classes=classes,
        price_dates=sorted(
            {o.instance_class.price.date for o in offer.classes if o.instance_class.price}
        ),
        can_start=any(i.checked for i in images) and any(c.checked for c in classes),
    )


def build_refusal(refused: Refused) -> str:
    """What somebody sees who may not start anything at all, as HTML."""
    return _environment.get_template("nothing.html").render(sentence=refused.message)


def choose_start(offer: Offer, remembered: object) -> dict[str, str]:
    """What is selected when the form opens: the last choice as far as it still holds.

    Returns:
        ``group``, ``image`` and ``class``; a slug is ``""`` where nothing can be had.
    """
    last = remembered if isinstance(remembered, Mapping) else {}
    groups = [group.slug for group in offer.groups]
    group = _first(groups, last.get("group"), offer.default_group)
    images = [o.image.slug for o in offer.images if not o.why]
    classes = [o.instance_class.slug for o in offer.classes if not o.why and group in o.groups]
    image = _first(images, last.get("image"), offer.default_image)
    fitting = [slug for slug in classes if (image, slug) in offer.pairs]
    return {
        "group": group,
        "image": image,
        "class": _first(fitting, last.get("class"), offer.default_class),
    }


def _first(possible: Sequence[str], *wishes: object) -> str:
    """The first wish that is possible, else the first that is possible, else nothing."""
    return next(
        (slug for wish in wishes for slug in possible if slug == wish),
        possible[0] if possible else "",
    )


def build_figures(instance_class: InstanceClass) -> tuple[str, ...]:
    """Figures of a class: cores, memory, GPU and scratch."""
    figures = [
        format_cores(instance_class.cores),
        format_bytes(instance_class.memory_bytes),
    ]
    if instance_class.gpus:
        figures.append(format_gpus(instance_class.gpus, instance_class.gpu_model))
    if instance_class.scratch_bytes:
        figures.append(f"{format_bytes(instance_class.scratch_bytes)} scratch")
    return tuple(figures)


def word_price(price: Price | None) -> str:
    """A price per hour in words; empty where none is known."""
    return f"{word_amount(price.per_hour, price.currency)} per hour" if price else ""


def word_cost(price: Price | None, seconds: float) -> str:
    """What so many seconds cost: ``$0.38``, ``under $0.01``; empty where no price is known."""
    if price is None:
        return ""
    amount = price.per_hour * seconds / _HOUR
    if 0 < amount < _CENT:
        return f"{UNDER} {word_amount(_CENT, price.currency)}"
    return word_amount(amount, price.currency)


def word_amount(amount: float, currency: str) -> str:
    """An amount of money as people write it in its currency."""
    if currency in SIGNS_BEFORE:
        return f"{SIGNS_BEFORE[currency]}{amount:.2f}"
    return f"{amount:.2f} {SIGNS_AFTER.get(currency, currency)}"


def word_limits(instance_class: InstanceClass, idle_seconds: int = 0) -> str:
    """When a session of a class stops by itself: the class's own idle time comes first."""
    longest = f"after {format_seconds(instance_class.longest_session_seconds)} at the latest"
    idle = instance_class.idle_session_seconds or idle_seconds
    return f"after {format_seconds(idle)} without use, {longest}" if idle else longest


def parse_form(fields: Mapping[str, Sequence[object]]) -> dict[str, object]:
    """The flat mapping of a submitted form or query; its *values* are still untrusted.

    Args:
        fields: name → values, as HTTP gives them.

    Raises:
        Refused: when a field came several times.
    """
    submitted: dict[str, object] = {}
    for name, values in fields.items():
        if name == "_xsrf":
            continue
        if len(values) != 1:
            raise Refused(
                "unknown-option",
                f"{name[:40]!r} was sent {len(values)} times; send it once.",
                field=name if name in OPTION_KEYS else None,
                allowed=OPTION_KEYS,
            )
        submitted[name] = values[0]
    return submitted
