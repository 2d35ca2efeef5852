"""What the routes work with, put together once by ``app.py``; all of ``web`` may import it."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from hub_config.platform.catalogue import Catalogue
from offline_jobs.service.access import Access
from offline_jobs.service.changes import Changes
from offline_jobs.service.intake import Intake
from offline_jobs.service.object_store import ObjectStore
from offline_jobs.service.publishing import Publishing
from offline_jobs.service.pulse import Pulse
from offline_jobs.service.store.store import Store
from offline_jobs.service.tokens import Tokens


@dataclass(frozen=True)
class Addresses:
    """Addresses as the browser sees them, all ending in a slash.

    ``public_url`` is the service's own; empty where it is on the hub's host.
    """

    base_path: str = "/services/offline-jobs/"
    hub_public_url: str = "/"
    public_url: str = ""

    @property
    def oauth_redirect_uri(self) -> str:
        """Where the hub sends the browser back to after a login."""
        return f"{self.public_url or self.base_path}oauth_callback"

    @property
    def hub_base(self) -> str:
        """The hub's base for links and redirects, ending in a slash.

        Where hub and service share an origin it is the path alone: a browser that came by another
        name of the same machine (``localhost``) stays with it, and so do its cookies.
        """
        if self.public_url:
            return self.hub_public_url
        return urlsplit(self.hub_public_url).path or "/"

    @property
    def theme_domain(self) -> str:
        """Whose cookie the theme is: the hub's host and those below it; empty: this host's."""
        return (urlsplit(self.hub_public_url).hostname or "") if self.public_url else ""

    @property
    def is_secure(self) -> bool:
        """Whether browsers come by TLS."""
        return self.hub_public_url.startswith("https://")

    @property
    def cookie_prefix(self) -> str:
        """What browsers demand of a cookie whose name begins so: that its host alone has set it.

        Else the pages of a user's server, on a host beside ours, could put one of theirs in its
        place. Such a cookie is for the whole host, so it must be ours alone.

        Source: https://www.rfc-editor.org/rfc/rfc6265bis#section-4.1.3.2
        """
        return "__Host-" if self.public_url and self.is_secure else ""

    @property
    def cookie_path(self) -> str:
        """Where the service's cookies are sent."""
        return "/" if self.cookie_prefix else self.base_path


@dataclass(frozen=True)
class Rooms:
    """The rooms below."""

    store: Store
    objects: ObjectStore
    tokens: Tokens
    changes: Changes
    catalogue: Catalogue
    intake: Intake
    access: Access
    publishing: Publishing
    pulse: Pulse
    addresses: Addresses = Addresses()
    wake: Callable[[], None] = lambda: None
    #: How many jobs run at once, of all groups; `None`: each group has a queue with its limit.
    slots: int | None = None


def rooms_of(connection: HTTPConnection) -> Rooms:
    """The rooms of the application that answers this request."""
    rooms: Rooms = connection.app.state.rooms
    return rooms
