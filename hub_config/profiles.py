"""KubeSpawner's profile list, made from an offer, and the strict way back from user options.

Each thing that a person may start is one profile without options: its overrides are the translation
of a workspace and nothing else. KubeSpawner 7 checks options loosely (a request without
``profile`` skips the check), so :func:`choose_profile` decides first, and KubeSpawner is only ever
handed what :func:`build_user_options` makes. Used by the spawner for Kubernetes. Pure, no hub
library.
"""

from collections.abc import Mapping
from typing import Any

from hub_config.catalogue import Catalogue
from hub_config.choices import Choice, Offer, choose
from hub_config.errors import Refused
from hub_config.people import Person
from hub_config.pods import (
    build_annotations,
    build_container_security,
    build_labels,
    build_pod_security,
    build_resources,
    build_tolerations,
    build_volume_mounts,
    build_volumes,
)
from hub_config.quantities import format_size
from hub_config.workspace import HOME_PATH, Kind, Workspace, build_workspace

PROFILE_KEY = "profile"
#: Slugs have single hyphens only, so the parts of a profile's slug can be told apart.
SEPARATOR = "--"


def profile_slug(choice: Choice) -> str:
    """``<image>--<class>--<group>``."""
    return SEPARATOR.join((choice.image.slug, choice.instance_class.slug, choice.group.slug))


def build_user_options(choice: Choice) -> dict[str, str]:
    """The options that make KubeSpawner load the profile of a choice."""
    return {PROFILE_KEY: profile_slug(choice)}


def choose_profile(offered: Offer, submitted: Mapping[str, object]) -> Choice:
    """The choice in untrusted options of a spawn.

    Args:
        offered: what this person may choose.
        submitted: either the form's flat mapping (``group``, ``image``, ``class``) or exactly
            ``{"profile": slug}``.

    Raises:
        Refused: as :func:`hub_config.choices.choose`; for a profile ``unknown-option`` (a key
            beside it) or ``unknown-profile``.
    """
    if PROFILE_KEY not in submitted:
        return choose(offered, submitted)
    for key in submitted:
        if key != PROFILE_KEY:
            raise Refused(
                "unknown-option",
                "Nothing may be sent beside a profile.",
                field=key[:64] if isinstance(key, str) else None,
                allowed=(PROFILE_KEY,),
            )
    slug = submitted[PROFILE_KEY]
    choices = {profile_slug(choice): choice for choice in _list_choices(offered)}
    if type(slug) is not str or slug not in choices:
        raise Refused(
            "unknown-profile",
            "There is no such profile for you. Choose one of: " + ", ".join(choices) + ".",
            field=PROFILE_KEY,
            allowed=tuple(choices),
        )
    return choices[slug]


def build_profiles(catalogue: Catalogue, offered: Offer, person: Person) -> list[dict[str, Any]]:
    """KubeSpawner's ``profile_list`` for one person: every choice that may be had, once.

    Returns:
        Profiles with ``slug``, ``display_name``, ``description``, ``default`` and
        ``kubespawner_override``. Empty when nothing can be had; then the options were refused.
    """
    return [build_profile(catalogue, offered, person, choice) for choice in _list_choices(offered)]


def build_profile(
    catalogue: Catalogue, offered: Offer, person: Person, choice: Choice
) -> dict[str, Any]:
    """The profile of one choice."""
    item = choice.instance_class
    return {
        "slug": profile_slug(choice),
        "display_name": f"{choice.image.name} on {item.name} ({choice.group.name})",
        "description": format_size(item.cores, item.memory_bytes, item.gpus, item.gpu_model),
        "default": (choice.group.slug, choice.image.slug, item.slug)
        == (offered.default_group, offered.default_image, offered.default_class),
        "kubespawner_override": build_overrides(
            build_workspace(catalogue, person, choice, Kind.SESSION)
        ),
    }


def build_overrides(workspace: Workspace) -> dict[str, Any]:
    """A workspace as KubeSpawner's traits.

    Lists replace what was configured before, dictionaries are merged into it; so the configured
    ``node_selector``, ``environment``, labels and annotations must be empty or harmless.

    Source: https://jupyterhub-kubespawner.readthedocs.io/en/7.1.0/spawner.html
    """
    resources = build_resources(workspace)
    return {
        "image": workspace.image_reference,
        "working_dir": HOME_PATH,
        # These two also give CPU_LIMIT and MEM_LIMIT; in the pod the exact quantities replace them.
        "cpu_limit": float(workspace.cores),
        "cpu_guarantee": float(workspace.cores),
        "mem_limit": workspace.memory_bytes,
        "mem_guarantee": workspace.memory_bytes,
        "extra_resource_limits": resources,
        "extra_resource_guarantees": dict(resources),
        "node_selector": dict(workspace.placement.selector),
        "tolerations": build_tolerations(workspace),
        "environment": dict(workspace.environment),
        "volumes": build_volumes(workspace),
        "volume_mounts": build_volume_mounts(workspace),
        "extra_labels": build_labels(workspace),
        "extra_annotations": build_annotations(),
        "service_account": workspace.service_account or None,
        "automount_service_account_token": False,
        "uid": workspace.user_id,
        "gid": workspace.group_id,
        "pod_security_context": build_pod_security(),
        "container_security_context": build_container_security(workspace),
        "extra_pod_config": {"enableServiceLinks": False},
    }


def _list_choices(offered: Offer) -> list[Choice]:
    """Every choice that may be had, in the offer's order."""
    return [
        Choice(group=group, image=image.image, instance_class=item.instance_class)
        for group in offered.groups
        for image in offered.images
        for item in offered.classes
        if group.slug in item.groups
        and (image.image.slug, item.instance_class.slug) in offered.pairs
    ]
