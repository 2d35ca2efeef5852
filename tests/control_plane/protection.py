"""How the root queue's capability is changed although Volcano's webhook forbids it.

The webhook's own switch (`--enable-root-queue-protection=false`) has no value in Volcano's chart
and needs a restart of the webhook server. Taking away the webhook configuration for queues needs
neither; jobs, which have a configuration of their own, stay checked meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.bed.client import ApiError, Client, Kind, wait

WEBHOOKS = Kind("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration")
FOR_QUEUES = "volcano-admission-service-queues-validate"
REFUSAL = "cannot be modified"


def change_root_queue(client: Client, queue: Mapping[str, Any]) -> None:
    """Apply the root queue while nobody checks queues; the check is back afterwards."""
    with _no_check_of_queues(client):
        # The API server notices a moment later that the webhook is gone.
        wait("the check of queues to be away", lambda: not is_refused(client, queue))


def is_refused(client: Client, queue: Mapping[str, Any]) -> bool:
    """Apply the root queue; tell whether the webhook refused it."""
    try:
        client.apply(queue)
    except ApiError as error:
        if REFUSAL not in error.message:
            raise
        return True
    return False


@contextmanager
def _no_check_of_queues(client: Client) -> Iterator[None]:
    found = client.get(*WEBHOOKS, FOR_QUEUES)
    client.delete(*WEBHOOKS, FOR_QUEUES)
    try:
        yield
    finally:
        kept = {key: found[key] for key in ("apiVersion", "kind", "webhooks")}
        names = {key: found["metadata"].get(key) for key in ("name", "labels", "annotations")}
        client.create({**kept, "metadata": {key: value for key, value in names.items() if value}})
