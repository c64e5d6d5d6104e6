"""The JSON documents of sites, as published. Stable: fields are added, never changed or removed."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from scheduler.api.schemas import TRUST_DOMAIN_PATTERN, Input, Page, PersonName, ReasonOut, Slug, TimeText, Why
from scheduler.model.site import Csap


class SiteIn(Input):
    """A new site and its contract."""

    name: Slug
    owner: PersonName
    operator: PersonName
    facility: PersonName
    csap: Csap = Csap.NONE
    state_facility: bool = False
    classified_network: bool = False
    isolates_users: bool = False
    trust_domain: Annotated[str, Field(max_length=128, pattern=TRUST_DOMAIN_PATTERN)] | None = None
    supervised: bool = True
    lease_seconds: Annotated[int, Field(ge=5, le=3600)] = 30
    why: Why = ""


class SiteGpusOut(BaseModel):
    """GPUs of one class on a site."""

    gpu_class: str
    total: int
    free: int


class SiteOut(BaseModel):
    """A site as everybody may see it."""

    name: str
    owner: str
    operator: str
    facility: str
    state: str
    reachable: bool
    gpu_classes: list[SiteGpusOut]
    nodes: int
    csap: str
    isolates_users: bool
    data_classes: list[str]


class SiteContractOut(SiteOut):
    """A site as its operators, auditors and administrators see it."""

    state_reason: str
    heard_at: TimeText | None
    lease_seconds: int
    supervised: bool
    trust_domain: str | None
    agent: str | None
    operators: list[str]
    enrolled: bool
    nodes_set_aside: int = 0
    block_nodes: dict[str, int] = {}


class EnrolmentOut(BaseModel):
    """A new one-time token for a site's agent, shown this once. The agent's old credential holds until it is used."""

    site: str
    enrolment_token: str
    enrolment_expires_at: TimeText
    agent_command: str


class NewSiteOut(SiteContractOut):
    """A site with the one-time token for its agent, shown this once."""

    enrolment_token: str
    enrolment_expires_at: TimeText
    agent_command: str


class SitePage(Page):
    """Sites, by name."""

    items: list[SiteContractOut | SiteOut]


class SiteRunOut(BaseModel):
    """What an operator sees of a run: size, group and times."""

    run: int
    group: str
    gpus: int
    gpu_class: str
    nodes: list[str]
    phase: str
    leased_at: TimeText
    started_at: TimeText | None


class SiteRunPage(Page):
    """Runs on a site, oldest first."""

    items: list[SiteRunOut]


class OperatorIn(Input):
    """Who operates the site."""

    person: PersonName
    why: Why = ""


class BlockIn(Input):
    """How many nodes of each leaf take work at a time."""

    nodes: Annotated[int, Field(ge=1, le=4096)]
    why: Why = ""


class AsideOut(BaseModel):
    """Since when a node is set aside, by whom (a person, or ``scheduler``), and why."""

    since: TimeText
    by: str
    reason: ReasonOut


class NodeOut(BaseModel):
    """A node as its operators see it. ``failures`` are the runs whose ends within a day speak against it, in ``incidents``, of
    so many ``people``; one that is ``set_aside`` takes nothing, whatever its agent reports, nor does a ``spare`` as
    long as its leaf's block is well."""

    name: str
    pool: str
    gpu_class: str
    gpus: int
    healthy: bool
    failures: int
    incidents: int
    people: int
    set_aside: AsideOut | None
    spare: bool = False


class NodePage(Page):
    """Nodes of a site, by name."""

    items: list[NodeOut]
