"""[platform.mturk]: tasks (HITs) on a site that speaks Amazon Mechanical Turk's protocol."""

from __future__ import annotations

from pydantic import Field, model_validator

from imitable.campaign.addresses import WebAddress, names, origin
from imitable.campaign.material import Table


class Qualification(Table):
    """[[platform.mturk.qualifications]]: what a worker must have to take the task"""

    type: str = Field(min_length=1)
    """`approved_percent`, `approved` (how many), `country`, `adult`, or the id of a qualification type of the site."""
    comparator: str = "Exists"
    """As the site's protocol calls it: `GreaterThanOrEqualTo`, `EqualTo`, `In`, `NotIn`, `Exists`, ..."""
    values: list[int] = Field(default=[])
    """What it is compared with."""
    countries: list[str] = Field(default=[])
    """For `country`: two letters each, such as "US", and "US-NY" for a part of one."""
    guards: str = "Accept"
    """What those who lack it cannot do: `Accept`, `PreviewAndAccept`, `DiscoverPreviewAndAccept`."""

    @model_validator(mode="after")
    def _is_compared_with_something(self) -> Qualification:
        if (self.comparator in ("Exists", "DoesNotExist")) == bool(self.values or self.countries):
            raise ValueError(
                "Exists (the default) and DoesNotExist take no values; every other comparator needs values or countries"
            )
        return self


class MTurk(Table):
    """[platform.mturk]"""

    endpoint_url: WebAddress | None = None
    """Where the site's API is. Amazon's own is closed; without it, what boto3's own settings name."""
    places: int = Field(default=30, ge=1)
    """Workers that it is for; what was published can only get more."""
    annotators_per_target: int = Field(default=10, ge=1)
    worker_sites: list[WebAddress] = Field(default=[])
    """Sites in whose frames the task is shown and to which it is submitted; without any, the endpoint's own (of one on
    this machine, under both of its names)."""
    per_hit: int = Field(default=9, ge=1)
    """Workers that one HIT is for, at most: by Amazon's prices, ten or more cost twice the fee on the reward."""
    title: str | None = Field(default=None, min_length=1)
    """What workers see in the list of tasks; without it, the title of the first page."""
    description: str | None = Field(default=None, min_length=1)
    """What they read below it, as plain text; without it, words of the first page."""
    keywords: list[str] = Field(default=[])
    assignment_minutes: int | None = Field(default=None, ge=1)
    """Minutes from accepting the task to handing it in; without it, four times [sitting] minutes, an hour at least."""
    open_days: int = Field(default=7, ge=1)
    """For how long it is offered; 'imitable publish' begins this anew."""
    approve_after_days: int = Field(default=7, ge=1)
    """After so many days the site approves by itself what was handed in, and pays it."""
    frame_height: int = Field(default=0, ge=0)
    """Of the task's frame, in pixels; 0 lets the site choose."""
    qualifications: list[Qualification] = Field(default=[])
    not_again: list[str] = Field(default=[])
    """Ids of qualification types whose holders are kept out: who played another campaign of yours, say. Whoever played
    this one is kept out in any case."""
    notify: bool = False
    """True: the site writes an e-mail to every worker who is noted as having taken part."""

    @property
    def sites(self) -> list[str]:
        """The origins of `worker_sites`, or of the endpoint, under every name that a browser may have for it."""
        if self.worker_sites or self.endpoint_url is None:
            return [origin(one) for one in self.worker_sites]
        return names(origin(self.endpoint_url))
