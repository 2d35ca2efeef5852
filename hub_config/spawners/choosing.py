"""What both spawners do alike: show the form, check what came back, and note each session.

Place in the path: the hub asks here for the form and hands over what was submitted, by form, link
or REST API; :mod:`hub_config.platform.choices` decides. :mod:`~hub_config.spawners.local` and
:mod:`~hub_config.spawners.kubernetes` go on with the choice; what becomes of it is noted for the
jobs service's ledger (:mod:`hub_config.sessions`). :mod:`hub_config.departures` uses it, too.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from jupyterhub.utils import maybe_future
from traitlets import Any as AnyTrait
from traitlets import HasTraits, Instance, Integer, default

from hub_config.form.home import (
    AWAY,
    Home,
    Jobs,
    LastChoice,
    Session,
    describe_groups,
    describe_jobs,
    describe_session,
    find_last_choice,
    read_time,
)
from hub_config.form.page import build_page, build_refusal, parse_form
from hub_config.jobs_service import ServiceAway
from hub_config.platform.catalogue import Catalogue
from hub_config.platform.choices import Choice, Machine, Offer, choose, offer
from hub_config.platform.errors import Refused
from hub_config.platform.people import Person, build_person
from hub_config.platform.quantities import format_size
from hub_config.platform.sentences import describe_usual
from hub_config.sessions import KEY, Courier, SessionBook
from hub_config.shown import ShownError
from offline_jobs.contract.session import PATH_HOME, SessionState
from offline_jobs.contract.states import Reason

#: So long (seconds) somebody's home waits for what the jobs service knows.
_HOME_PATIENCE = 2.0
#: What JupyterHub says is pending, as the page calls it.
_PENDING = {"spawn": "starting", "stop": "stopping", "check": "checking"}


class ChoosingSpawner(HasTraits):
    """What a spawner inherits, before JupyterHub's, to have just a group, an image and a class."""

    #: JupyterHub's, of the spawner.
    user: Any
    orm_spawner: Any
    pending: Any
    ready: bool
    log: Any
    stop_polling: Callable[[], None]
    _callbacks: list[Callable[[], Any]]

    # JupyterHub's trait refuses all but a mapping, with an error 500; we refuse it with a sentence.
    user_options = AnyTrait({})

    courier = Instance(Courier, help="Brings changes of sessions to the jobs service.").tag(
        config=True
    )

    idle_seconds = Integer(
        0, help="The hub stops a session that nobody uses for so long; 0: never."
    ).tag(config=True)

    _choice: Choice | None = None

    @property
    def catalogue(self) -> Catalogue:
        """What there is to choose from."""
        raise NotImplementedError

    def measure(self) -> Machine | None:
        """What this one machine can give; ``None`` in a cluster."""
        raise NotImplementedError

    def prepare_choice(self, choice: Choice) -> None:
        """Take up a checked choice, before the start."""

    async def retire_home(self, name: str) -> None:
        """Put the home, if there is one, and all else that goes by its name aside.

        Args:
            name: what it is called from then on, below a folder that is nobody's.

        Raises:
            OSError: it is still where it was.
        """
        raise NotImplementedError

    def build_person(self) -> Person:
        """The user as the catalogue sees them, groups as the login gave them."""
        groups = [group.name for group in self.user.groups]
        return build_person(self.user.name, groups, admin=self.user.admin)

    def build_offer(self) -> Offer:
        """What the user may choose now."""
        return offer(self.catalogue, self.build_person(), self.measure())

    def check_options(self, options: object) -> Choice:
        """The choice in untrusted options.

        Raises:
            ShownError: 400, with the sentence that says why.
        """
        try:
            if not isinstance(options, Mapping):
                raise Refused(
                    "unknown-option", "The options must be an object of names and values."
                )
            return choose(self.build_offer(), options)
        except Refused as refused:
            raise ShownError(400, refused.message) from refused

    @default("options_form")
    def _default_options_form(self) -> Callable[["ChoosingSpawner"], str]:
        return type(self).render_form

    def render_form(self) -> str:
        """The start form as HTML."""
        try:
            remembered = self.orm_spawner.user_options
            return build_page(self.build_offer(), remembered, self.idle_seconds)
        except Refused as refused:
            return build_refusal(refused)

    @default("options_from_form")
    def _default_options_from_form(self) -> Callable[..., dict[str, object]]:
        return self.read_form

    def read_form(self, form_data: Mapping[str, Sequence[object]]) -> dict[str, object]:
        """The options of a submitted form, checked, so that the form can show what is wrong."""
        try:
            options = parse_form(form_data)
        except Refused as refused:
            raise ShownError(400, refused.message) from refused
        self.check_options(options)
        return options

    @default("apply_user_options")
    def _default_apply_user_options(self) -> Callable[["ChoosingSpawner", object], None]:
        # The hub calls this on every way to a start, the REST API and stored options included.
        return type(self).apply_options

    def apply_options(self, options: object) -> None:
        """Decide what to start, from options that may have come from anywhere.

        Raises:
            ShownError: 400, with the sentence that says why not.
        """
        self._choice = self.check_options(options)
        self.prepare_choice(self._choice)

    def describe_choice(self) -> str:
        """What is being started, in words: ``Python notebook on Small (1 core and 2 GiB)``."""
        if self._choice is None:
            return ""
        size = self._choice.instance_class
        words = format_size(size.cores, size.memory_bytes, size.gpus, size.gpu_model)
        return f"{self._choice.image.name} on {size.name} ({words})"

    # ---- the hub's home, whose page calls these

    def find_last(self) -> LastChoice | None:
        """What the user chose last, as far as that is to be had now."""
        try:
            return self._find_last(self.build_offer())
        except Refused:
            return None

    def _find_last(self, offered: Offer) -> LastChoice | None:
        return find_last_choice(offered, self.orm_spawner.user_options)

    async def describe_home(self) -> Home:
        """What the page says; of jobs why not, where their service is away."""
        now = datetime.now(UTC)
        person = self.build_person()
        groups = [each for each in self.catalogue.groups.values() if each.slug in person.groups]
        asked = {"user": self.user.name, "groups": [group.slug for group in groups]}
        try:
            answer = await self.courier.service.post(PATH_HOME, asked, _HOME_PATIENCE)
            jobs = describe_jobs(answer, now)
            uses = describe_groups(groups, answer["groups"], shared=self.measure() is None)
        except ServiceAway as away:
            self.log.info("The home of %s goes without jobs: %s", self.user.name, away)
            jobs, uses = Jobs(away=AWAY), ()
        last, refusal = None, ""
        try:
            last = self._find_last(self.build_offer())
        except Refused as refused:
            refusal = refused.message
        return Home(self.find_session(now), last, refusal, jobs, uses)

    def find_session(self, now: datetime) -> Session | None:
        """The session that there is, in words."""
        state = _PENDING.get(self.pending or "", "running" if self.ready else "")
        if not state:
            return None
        used = read_time(self.orm_spawner.last_activity)
        idle, turn = self.idle_seconds, self.book.current
        return describe_session(state, turn, self.catalogue, used, now, idle_seconds=idle)

    # ---- what becomes of it

    @property
    def book(self) -> SessionBook:
        """What is noted of this user's sessions."""
        return SessionBook(self.orm_spawner, self.user.db)

    def begin_session(self) -> None:
        """Note that a session of the choice starts."""
        if self._choice is not None:
            # A hub that comes in the middle of this start finds its server by it.
            self.orm_spawner.state = self.get_state()
            self.book.begin(self.user.name, self._choice)
            self.courier.send_soon(self.book)

    def note_session(self, state: SessionState, reason: Reason | None = None) -> None:
        """Note where the session is now, if there is one and that is news."""
        if self.book.note(state, reason):
            self.courier.send_soon(self.book)

    def why_over(self) -> str | None:
        """Why the session is to end: it had the time of its class, or nobody uses it."""
        current, now = self.book.current, datetime.now(UTC)
        if current is None or current.state != SessionState.RUNNING:
            return None
        found = self.catalogue.classes.get(current.machine_class)
        if found is None:
            return None
        running = datetime.fromisoformat(current.at)
        if now - running > timedelta(seconds=found.longest_session_seconds):
            return "it has had the longest time of its class"
        used = max(running, read_time(self.orm_spawner.last_activity) or running)
        idle = found.idle_session_seconds
        if idle and now - used > timedelta(seconds=idle):
            return "nobody used it for the idle time of its class"
        return None

    async def poll_and_notify(self) -> Any:
        """JupyterHub's, now and then while a server runs; one whose time is up is stopped."""
        status = await super().poll_and_notify()  # type: ignore[misc]
        if status is None and not self.pending and (why := self.why_over()):
            self.log.warning("The session of %s is stopped: %s", self.user.name, why)
            self.stop_polling()
            # What JupyterHub does about a server that has ended: route and server go.
            self._callbacks, callbacks = [], self._callbacks
            for callback in callbacks:
                await maybe_future(callback())
        return status

    def run_post_stop_hook(self) -> Any:
        """JupyterHub's, called at each end, also of a start that failed."""
        self.note_session(SessionState.ENDED)
        return super().run_post_stop_hook()  # type: ignore[misc]

    def describe_usual(self) -> str:
        """How long such a start usually takes, in words; empty where nobody knows."""
        slug = self._choice.instance_class.slug if self._choice is not None else ""
        seconds = self.courier.usual.get(slug, 0)
        return describe_usual(seconds) if seconds else ""

    async def send_turns(self) -> None:
        """Have all that was noted sent, now.

        Raises:
            ServiceAway: the jobs service did not say that it has it.
        """
        if self.orm_spawner is not None:
            await self.courier.send(self.book)

    def get_state(self) -> dict[str, Any]:
        """JupyterHub's, which it writes to the row that has the notes, too."""
        state: dict[str, Any] = super().get_state()  # type: ignore[misc]
        noted = (self.orm_spawner.state or {}).get(KEY) if self.orm_spawner is not None else None
        return {**state, KEY: noted} if noted else state
