"""campaign.toml, the tables of how it is played, served and paid."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from imitable.campaign.addresses import WebAddress
from imitable.campaign.limits import Limits, Network
from imitable.campaign.material import Table, Targets
from imitable.campaign.mturk import MTurk

LEVELS = ("text", "examples", "neighbours", "upstream", "downstream", "probes", "consult", "weights")
"""What can be seen besides the text. Every level but `text` also shows the examples."""
_CHECKS = 5
"""Attention checks that there are."""


def _money(text: str) -> str:
    amount = Decimal(text)
    if not amount.is_finite() or amount < 0 or amount != round(amount, 2):
        raise ValueError('must be an amount of zero or more with at most two decimals, such as "3.00"')
    return text


Amount = Annotated[str, Field(pattern=r"^\d+(\.\d+)?$"), AfterValidator(_money)]
"""Money as text, in the campaign's currency, so that no float ever holds it."""


class Pool(Table):
    """pool = { practice = 60, held_out = 40 }"""

    practice: int = Field(default=60, ge=2)
    """Items a target has for practice rounds, at most."""
    held_out: int = Field(default=40, ge=2)
    """Items a target has for held-out rounds, at most."""


class Episode(Table):
    """[episode]"""

    levels: list[str] = Field(default=["examples"], min_length=1)
    """What is seen besides the text; with several, each episode gets one at random."""
    practice: int = Field(default=15, ge=0)
    """Rounds with the truth shown after the guess."""
    held_out: int = Field(default=5, ge=0)
    """Rounds without; they measure."""
    pool: Pool = Pool()
    shade_reveal: bool = True
    """Once a practice round is answered, its whole text is shaded by the activation at every token."""
    checks: list[Annotated[int, Field(ge=1)]] = Field(default=[])
    """Trials at which an attention check stands, a text that says what to answer; never counted, and beyond the rounds
    of `practice` and `held_out`."""
    repeats: list[Annotated[int, Field(ge=1)]] = Field(default=[])
    """Trials at which an earlier practice item comes again; practice rounds too, and beyond those of `practice`."""
    abandon_after_minutes: float = Field(default=30, gt=0)
    """An unfinished episode gives its place back after this long without a guess."""

    @property
    def rounds(self) -> int:
        """Rounds of one episode, of every kind."""
        return self.practice + self.held_out + len(self.checks) + len(self.repeats)

    @property
    def beyond(self) -> list[str]:
        """The levels that show more of the model than the target: all but `text` and `examples`."""
        return [level for level in self.levels if level not in ("text", "examples")]

    @property
    def open_until(self) -> int:
        """The last trial whose answer is shown after the guess, checks before it included; 0 where there is none."""
        drawn = [trial for trial in range(1, self.rounds + 1) if trial not in {*self.checks, *self.repeats}]
        return max([*drawn[: self.practice], *self.repeats], default=0)

    @model_validator(mode="after")
    def _places_are_there(self) -> Episode:
        places = [*self.checks, *self.repeats]
        twice = next((trial for trial in places if places.count(trial) > 1), None)
        if twice is not None:
            raise ValueError(f"checks and repeats name trial {twice} twice; give each its own")
        if places and max(places) > self.rounds:
            raise ValueError(f"checks and repeats name trial {max(places)}, and an episode has {self.rounds}")
        if len(self.checks) > _CHECKS:
            raise ValueError(f"there are only {_CHECKS} different checks; name fewer trials")
        for at, trial in enumerate(sorted(self.repeats)):
            before = trial - 1 - at - sum(check < trial for check in self.checks)  # of the rounds that are drawn
            if before > self.practice or min(before, self.practice) <= at:
                raise ValueError(
                    f"the repeat at trial {trial} has no practice round to repeat, or comes after them; place repeats "
                    "among the practice rounds"
                )
        return self

    @model_validator(mode="after")
    def _fits(self) -> Episode:
        unknown = [level for level in self.levels if level not in LEVELS]
        if unknown:
            raise ValueError(f"level '{unknown[0]}' is not one of {', '.join(LEVELS)}")
        if len(set(self.levels)) != len(self.levels):
            raise ValueError("levels repeats itself")
        if self.practice + self.held_out == 0:
            raise ValueError("an episode without rounds cannot be played")
        if self.practice > self.pool.practice or self.held_out > self.pool.held_out:
            raise ValueError("an episode needs more rounds than its pool has items; enlarge pool")
        return self


class Readings(Table):
    """[readings]: what the levels beyond `examples` show beside a text"""

    show: int = Field(default=8, ge=2, le=8)
    """Other units that are read at one time, at most; half of them chosen in each of the two ways that a level has."""
    probes: list[str] = Field(default=[], max_length=8)
    """Files of linear probes (.safetensors), from the campaign's folder, that level `probes` reads."""
    units: list[str] = Field(default=[], max_length=26)
    """Units of the model, such as "mlp.3/117", that level `consult` offers; default: twelve, taken in turn from
    `neighbours`, `upstream` and `downstream`."""
    looks: int = Field(default=3, ge=1)
    """Units that a player may look up in a round, at level `consult`."""

    @model_validator(mode="after")
    def _probes_can_be_named(self) -> Readings:
        for file in self.probes:
            Targets(kind="probe", file=file)
        return self


class Players(Table):
    """[players]: the automatic players that a build asks how far they get"""

    embedding: str | None = Field(default=None, min_length=1)
    """Model whose sentence embeddings the player `nearest` goes by: a local folder, from the campaign's folder, or a
    hub name. Without one, `nearest` does not play."""


class Sitting(Table):
    """[sitting]"""

    episodes: int = Field(default=4, ge=1)
    """Episodes, on different targets, that one annotator plays in one go."""
    minutes: int = Field(default=15, ge=1)
    """How long that takes, as annotators are told."""


class Serve(Table):
    """[serve]"""

    public_url: WebAddress | None = None
    """Where annotators reach the game; links start with it."""
    trusted_proxies: list[Network] = Field(default=[])
    """Proxies whose word for the annotator's address (X-Forwarded-For) is taken; nobody else's is."""
    limits: Limits = Limits()


class Store(Table):
    """[store]"""

    url: str = "sqlite"
    """`sqlite` (DIR/campaign.db) or postgresql://...; IMITABLE_STORE_URL overrides it."""


class Web(Table):
    """[platform.web]"""

    annotators_per_target: int = Field(default=10, ge=1)
    """Finished episodes wanted for each target and level."""
    open: bool = False
    """True: anyone with the address may play, unpaid. False: personal links only."""


class LabelStudio(Table):
    """[platform.label_studio]"""

    url: WebAddress = "http://localhost:8080"
    """The server, as this machine reaches it."""
    public_url: WebAddress | None = None
    """The server, as annotators reach it, where that differs: the proxy of 'imitable label-studio doctor', say."""
    mode: Literal["interactive", "webhook", "plain"] = "interactive"
    """`interactive`: a task is an episode, and the truth comes after every guess. `webhook`: a task is a round, and the
    next one tells how the last one went. `plain`: no feedback, and nothing of ours has to run."""
    slider: bool = False
    """True: a slider instead of a number to type, where a task is a round (modes `webhook` and `plain`)."""
    annotators_per_target: int = Field(default=4, ge=1)
    """Episodes to publish for each target and level; the pools that imitable starts with hold four that share no
    item."""
    accounts: str = ""
    """A CSV beside campaign.toml with a column `email`, and `token` (a personal access token) where it is known: who
    plays. Without it, everybody in the organization but the account that publishes."""
    backend_url: WebAddress | None = None
    """Where Label Studio reaches 'imitable serve'; without it [serve] public_url, or port 8000 of this machine."""
    proxied: bool = False
    """True: annotators reach Label Studio only through the proxy of 'imitable label-studio doctor', which hides other
    people's tasks; then items are shared as everywhere else."""


class Prolific(Table):
    """[platform.prolific]"""

    places: int = Field(default=30, ge=1)
    """Participants that the study is for; a study that was published can only get more."""
    annotators_per_target: int = Field(default=10, ge=1)
    api_url: WebAddress = "https://api.prolific.com"
    """Where Prolific's API is; a stand-in, where a campaign is rehearsed."""
    project: str | None = None
    """Id of the project on Prolific that the study is made in; needed where your account has several."""
    title: str | None = Field(default=None, min_length=1)
    """What participants see in Prolific's list of studies; without it, the title of the first page."""
    description: str | None = Field(default=None, min_length=1)
    """What they read before they begin, as text or simple HTML; without it, words of the first page."""
    devices: list[Literal["desktop", "tablet", "mobile"]] = Field(default=["desktop", "tablet", "mobile"])
    """What it can be played on."""
    not_again: list[str] = Field(default=[])
    """Ids of participant groups on Prolific whose members are kept out, such as who played another campaign of yours.
    Whoever played this one is kept out in any case."""
    study_id: str | None = None
    """Only participants of this study are let in; without it, those of any."""
    secure: bool = False
    """True: only addresses that Prolific has signed are let in, and the study asks for such."""
    keys_url: WebAddress | None = None
    """Where Prolific publishes the keys it signs with; without it, under `api_url`."""
    hooks: bool = False
    """True: 'publish' asks Prolific to call 'imitable serve' when something changes, which then looks as 'collect'
    does; needs PROLIFIC_HOOK_SECRET, and PROLIFIC_TOKEN where it is served."""
    completion_url: WebAddress = "https://app.prolific.com/submissions/complete"
    """Where participants go at the end; the completion code is added."""
    completion_code: str | None = Field(default=None, pattern=r"^[A-Za-z0-9]{4,32}$")
    """The study's code for finished work; without it, one is derived from the campaign's key."""
    stopped_code: str | None = Field(default=None, pattern=r"^[A-Za-z0-9]{4,32}$")
    """The study's code for work that was stopped early, and is paid pro rata; derived likewise."""

    @property
    def keys(self) -> str:
        """The address of Prolific's keys."""
        return self.keys_url or f"{self.api_url.rstrip('/')}/.well-known/study/jwks.json"


class Platforms(Table):
    """[platform]"""

    web: Web = Web()
    label_studio: LabelStudio | None = None
    prolific: Prolific | None = None
    mturk: MTurk | None = None

    def annotators_per_target(self, platform: str) -> int:
        """Finished episodes that a platform is to bring for each target and level. Played links count as web."""
        tables = {"label-studio": self.label_studio, "prolific": self.prolific, "mturk": self.mturk}
        return (tables.get(platform) or self.web).annotators_per_target


WHOLE_ONLY = ("mturk",)
"""Platforms that pay a task whole or not at all: who stops after the first round is paid as if they had played on."""


class Pay(Table):
    """[pay]"""

    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")
    base: Amount = "0.00"
    """For a sitting."""
    bonus_per_point: Amount = "0.00"
    """For each point above par in the held-out rounds."""
    floor_per_hour: Amount = "0.00"
    cap: Amount | None = None
    """For the whole campaign, fees included."""
