"""The KubeSpawner profile of a choice.

KubeSpawner 7 checks options loosely (a request without ``profile`` skips the check), so
:func:`hub_config.platform.choices.choose` decides first, and KubeSpawner is only ever handed one
profile without options, whose overrides are the translation of a workspace and nothing else, and
the options that :func:`build_user_options` makes. Used by the spawner for Kubernetes. Pure, no hub
library.
"""

from collections.abc import Mapping
from typing import Any

from hub_config.platform.catalogue import Catalogue
from hub_config.platform.choices import Choice
from hub_config.platform.people import Person, build_person
from hub_config.platform.pods import (
    LOCAL_PATH,
    build_annotations,
    build_container_security,
    build_environment,
    build_folders_container,
    build_labels,
    build_pod_security,
    build_resources,
    build_tolerations,
    build_volume_mounts,
    build_volumes,
)
from hub_config.platform.quantities import format_size
from hub_config.platform.workspace import (
    HOME_PATH,
    Kind,
    Workspace,
    build_session_variables,
    build_workspace,
)

PROFILE_KEY = "profile"
#: Slugs have single hyphens only, so the parts of a profile's slug can be told apart.
SEPARATOR = "--"


def profile_slug(choice: Choice) -> str:
    """``<image>--<class>--<group>``."""
    return SEPARATOR.join((choice.image.slug, choice.instance_class.slug, choice.group.slug))


def build_user_options(choice: Choice) -> dict[str, str]:
    """The options that make KubeSpawner load the profile of a choice."""
    return {PROFILE_KEY: profile_slug(choice)}


def build_profile(catalogue: Catalogue, person: Person, choice: Choice) -> dict[str, Any]:
    """The profile of one choice: the only entry of KubeSpawner's ``profile_list``."""
    item = choice.instance_class
    return {
        "slug": profile_slug(choice),
        "display_name": f"{choice.image.name} on {item.name} ({choice.group.name})",
        "description": format_size(item.cores, item.memory_bytes, item.gpus, item.gpu_model),
        "default": True,
        "kubespawner_override": build_overrides(
            build_workspace(catalogue, person, choice, Kind.SESSION)
        ),
    }


def list_overrides(catalogue: Catalogue) -> frozenset[str]:
    """Names of the traits that a profile decides, whatever is configured."""
    group = next(iter(catalogue.groups.values()))
    choice = Choice(
        group=group, image=catalogue.default_image, instance_class=catalogue.default_class
    )
    person = build_person("anybody", [group.slug])
    workspace = build_workspace(catalogue, person, choice, Kind.SESSION)
    return frozenset(build_overrides(workspace))


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
        "environment": _escape(
            {
                **build_environment(workspace),
                **build_session_variables(
                    HOME_PATH, f"{LOCAL_PATH}/configuration", workspace.longest_seconds
                ),
            }
        ),
        "init_containers": [build_folders_container(workspace)],
        "volumes": build_volumes(workspace),
        "volume_mounts": build_volume_mounts(workspace),
        "extra_labels": build_labels(workspace),
        "extra_annotations": build_annotations(workspace),
        "service_account": workspace.service_account or None,
        "automount_service_account_token": False,
        "uid": workspace.user_id,
        "gid": workspace.group_id,
        "pod_security_context": build_pod_security(),
        "container_security_context": build_container_security(
            workspace.user_id, workspace.group_id
        ),
        "extra_pod_config": {"enableServiceLinks": False},
    }


def _escape(environment: Mapping[str, str]) -> dict[str, str]:
    """Values that KubeSpawner, for which they are templates, gives back as they are.

    A user's name may have braces.
    """
    return {
        name: value.replace("{", "{{").replace("}", "}}") for name, value in environment.items()
    }
