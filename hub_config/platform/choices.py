"""What a person may choose, and the strict check of what was chosen.

``offer`` says what a person's groups, the catalogue and the machine allow; the start form, the job
dialog and the profile list show it. ``choose`` turns untrusted options into a :class:`Choice` or
refuses. Hub (both spawners) and jobs service use the same two functions. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hub_config.platform.catalogue import (
    GIB,
    Catalogue,
    Group,
    Image,
    InstanceClass,
    why_pair_fails,
)
from hub_config.platform.errors import Refused
from hub_config.platform.people import Person
from hub_config.platform.quantities import format_bytes, format_cores, format_gpus, format_size


@dataclass(frozen=True)
class Machine:
    """What this one machine can give; ``None`` in place of a Machine means a cluster.

    ``images`` are the slugs whose environment exists; ``gpus`` the cards found.
    ``missing_kernels``: by slug the kernel that an image promises and this machine does not have.
    """

    cores: int
    memory_bytes: int
    gpus: int
    images: frozenset[str]
    missing_kernels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class OfferedImage:
    """An image on the form; disabled when ``why`` is not empty."""

    image: Image
    why: str = ""


@dataclass(frozen=True)
class OfferedClass:
    """A class on the form; disabled when ``why`` is not empty.

    ``note`` is a remark, for example that cores are capped on this machine; ``groups`` are the
    person's groups that may use it; ``spot``: jobs may choose machines that can be taken away.
    """

    instance_class: InstanceClass
    groups: tuple[str, ...]
    why: str = ""
    note: str = ""
    spot: bool = False


@dataclass(frozen=True)
class Offer:
    """Everything one person may see. ``pairs`` are the (image, class) slugs that work."""

    groups: tuple[Group, ...]
    images: tuple[OfferedImage, ...]
    classes: tuple[OfferedClass, ...]
    pairs: frozenset[tuple[str, str]]
    default_group: str
    default_image: str
    default_class: str


@dataclass(frozen=True)
class Choice:
    """A checked choice."""

    group: Group
    image: Image
    instance_class: InstanceClass


OPTION_KEYS = ("group", "image", "class")
_LONGEST_QUOTE = 40


def offer(catalogue: Catalogue, person: Person, machine: Machine | None) -> Offer:
    """What this person may see and choose.

    What the person's groups may not have is left out, with the images that could then run nowhere;
    what the machine cannot give is there, disabled, and says why.

    Raises:
        Refused: ``no-group``; the person is in no group of the catalogue.
    """
    groups = tuple(group for group in catalogue.groups.values() if group.slug in person.groups)
    if not groups:
        raise Refused(
            "no-group",
            "You are in no group that sessions and jobs can be charged to. Ask an administrator "
            "to add you to one.",
            field="group",
        )
    slugs = tuple(group.slug for group in groups)
    classes = tuple(
        OfferedClass(
            instance_class=item,
            groups=tuple(slug for slug in slugs if slug in item.groups),
            why="" if machine is None else _why_class_fails(item, machine),
            note="" if machine is None else _note_on_cores(item, machine),
            spot=machine is None and item.job.spot,
        )
        for item in catalogue.classes.values()
        if any(slug in item.groups for slug in slugs)
    )
    images = tuple(
        OfferedImage(image=image, why="" if machine is None else _why_image_fails(image, machine))
        for image in catalogue.images.values()
        if any(why_pair_fails(image, offered.instance_class) is None for offered in classes)
    )
    pairs = frozenset(
        (image.image.slug, item.instance_class.slug)
        for image in images
        for item in classes
        if not image.why
        and not item.why
        and why_pair_fails(image.image, item.instance_class) is None
    )
    return _with_defaults(groups, images, classes, pairs)


def choose(offered: Offer, submitted: Mapping[str, object]) -> Choice:
    """The choice that untrusted options make, or a refusal.

    Nothing is guessed or ignored, but a missing group where there is only one.

    Args:
        offered: what this person may choose (:func:`offer`).
        submitted: ``{"group": slug, "image": slug, "class": slug}``, straight from a request.

    Raises:
        Refused: ``unknown-option``, ``missing-choice``, ``unknown-group``, ``unknown-image``,
            ``unknown-class``, ``class-not-for-group``, ``image-unavailable``,
            ``class-unavailable`` or ``impossible-pair``.
    """
    for key in submitted:
        if key not in OPTION_KEYS:
            raise Refused(
                "unknown-option",
                f"There is no option {_quote(key)}. Allowed: {', '.join(OPTION_KEYS)}.",
                field=key[:64] if isinstance(key, str) else None,
                allowed=OPTION_KEYS,
            )
    groups = {group.slug: group for group in offered.groups}
    images = {item.image.slug: item for item in offered.images}
    classes = {item.instance_class.slug: item for item in offered.classes}
    if "group" not in submitted and len(groups) == 1:
        group = offered.groups[0]
    else:
        group = groups[_pick(submitted, "group", tuple(groups))]
    image = images[_pick(submitted, "image", tuple(images))]
    item = classes[_pick(submitted, "class", tuple(classes))]
    instance_class = item.instance_class
    if group.slug not in item.groups:
        raise Refused(
            "class-not-for-group",
            f"{instance_class.name} cannot be charged to {group.name}.",
            field="class",
            allowed=[slug for slug, other in classes.items() if group.slug in other.groups],
        )
    if image.why:
        raise Refused("image-unavailable", f"{image.image.name}: {image.why}", field="image")
    if item.why:
        raise Refused("class-unavailable", f"{instance_class.name}: {item.why}", field="class")
    if (image.image.slug, instance_class.slug) not in offered.pairs:
        why = why_pair_fails(image.image, instance_class)
        raise Refused(
            "impossible-pair",
            why or f"{image.image.name} cannot run on {instance_class.name}.",
            field="class",
            allowed=[slug for slug in classes if (image.image.slug, slug) in offered.pairs],
        )
    return Choice(group=group, image=image.image, instance_class=instance_class)


def _pick(submitted: Mapping[str, object], key: str, allowed: tuple[str, ...]) -> str:
    if key not in submitted:
        raise Refused(
            "missing-choice",
            f"Choose {'an' if key == 'image' else 'a'} {key}: {', '.join(allowed)}.",
            field=key,
            allowed=allowed,
        )
    value = submitted[key]
    if not isinstance(value, str) or value not in allowed:
        raise Refused(
            f"unknown-{key}",
            f"There is no {key} {_quote(value)} for you. Allowed: {', '.join(allowed)}.",
            field=key,
            allowed=allowed,
        )
    return value


def _quote(value: object) -> str:
    """What was sent, short and on one line."""
    if not isinstance(value, str):
        return f"of type {type(value).__name__}"
    return repr(value if len(value) <= _LONGEST_QUOTE else f"{value[:_LONGEST_QUOTE]}…")


def _why_class_fails(item: InstanceClass, machine: Machine) -> str:
    if item.memory_bytes <= machine.memory_bytes and item.gpus <= machine.gpus:
        return ""
    # Rounded down: nobody should read that a machine has what it lacks.
    memory_bytes = machine.memory_bytes
    if memory_bytes >= GIB:
        memory_bytes -= memory_bytes % GIB
    has = f"{format_cores(machine.cores)} and {format_bytes(memory_bytes)}"
    if item.gpus:
        gpus = format_gpus(machine.gpus) if machine.gpus else "no GPU"
        has = f"{format_cores(machine.cores)}, {format_bytes(memory_bytes)} and {gpus}"
    needs = format_size(item.cores, item.memory_bytes, item.gpus)
    return f"Needs {needs}; this machine has {has}."


def _note_on_cores(item: InstanceClass, machine: Machine) -> str:
    if item.cores <= machine.cores or _why_class_fails(item, machine):
        return ""
    return f"Gets {format_cores(machine.cores)} here: this machine has no more."


def _why_image_fails(image: Image, machine: Machine) -> str:
    if image.slug in machine.images:
        if image.needs_gpu and not machine.gpus:
            return "Needs a GPU; this machine has none."
        if kernel := machine.missing_kernels.get(image.slug):
            return (
                f"Needs kernel {kernel}, which this machine does not have:"
                f" images/{image.slug}/README.md says what to install."
            )
        return ""
    if image.needs_gpu and not machine.gpus:
        return "Not built yet on this machine; it needs a GPU, and this machine has none."
    return f"Not built yet on this machine: make environment IMAGE={image.slug}"


def _with_defaults(
    groups: tuple[Group, ...],
    images: tuple[OfferedImage, ...],
    classes: tuple[OfferedClass, ...],
    pairs: frozenset[tuple[str, str]],
) -> Offer:
    """The offer with a default that works.

    It is the catalogue's where that can be had, else the first pair that can; with none at all the
    first of each, which are shown disabled.
    """
    ranked_images = sorted(images, key=lambda item: not item.image.default)
    ranked_classes = sorted(classes, key=lambda item: not item.instance_class.default)
    best = next(
        (
            (image, item)
            for image in ranked_images
            for item in ranked_classes
            if (image.image.slug, item.instance_class.slug) in pairs
        ),
        None,
    )
    if best is None and ranked_images and ranked_classes:
        best = ranked_images[0], ranked_classes[0]
    return Offer(
        groups=groups,
        images=images,
        classes=classes,
        pairs=pairs,
        default_group=best[1].groups[0] if best else groups[0].slug,
        default_image=best[0].image.slug if best else "",
        default_class=best[1].instance_class.slug if best else "",
    )
