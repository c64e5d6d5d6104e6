"""The example federation: sectors, institutions, projects, people, quotas. Every group is marked as an example."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.cli.client import Client

GPU_CLASS = "h100"
SITE = "national-1"
INSTITUTION = "research.example-university"
PROJECT = f"{INSTITUTION}.vision"
RESEARCHER, MANAGER, OPERATOR = "researcher", "manager", "operator"
WHY = "example"

#: parent, name, sector
_GROUPS = (
    ("federation", "public", "public"),
    ("federation", "startup", "startup"),
    ("federation", "research", "research"),
    ("public", "example-agency", None),
    ("public.example-agency", "documents", None),
    ("startup", "example-startup", None),
    ("startup.example-startup", "assistant", None),
    ("research", "example-university", None),
    (INSTITUTION, "vision", None),
    (INSTITUTION, "language", None),
)

#: group, guaranteed
_GUARANTEES = (
    ("public", 4),
    ("public.example-agency", 4),
    ("startup", 4),
    ("startup.example-startup", 4),
    ("research", 8),
    (INSTITUTION, 8),
    (PROJECT, 4),
    (f"{INSTITUTION}.language", 4),
)

_MEMBERS = ((RESEARCHER, PROJECT, "submitter"), (MANAGER, INSTITUTION, "manager"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleTokens:
    """Secrets of the example people, and the one-time token for the site's agent."""

    researcher: str
    manager: str
    operator: str
    enrolment: str


def make_example(administrator: Client) -> ExampleTokens:
    """Create the tree, its people and the site; answer what they sign in with."""
    for parent, name, sector in _GROUPS:
        body = {"parent": parent, "name": name, "example": True, "why": WHY}
        administrator.post("groups", body | ({"sector": sector} if sector else {}))
    administrator.put(f"gpu-classes/{GPU_CLASS}", {"credit_numerator": 1, "credit_denominator": 1, "why": WHY}, {})
    for group, guaranteed in _GUARANTEES:
        body = {"guaranteed": guaranteed, "weight": 1, "why": WHY}
        administrator.put(f"groups/{group}/quota/{GPU_CLASS}", body, {"If-None-Match": "*"})
    for person, group, role in _MEMBERS:
        administrator.post(f"groups/{group}/members", {"person": person, "role": role, "why": WHY})
    site = administrator.post(
        "sites",
        {
            "name": SITE,
            "owner": "National AI Computing Centre (example)",
            "operator": "National AI Computing Centre (example)",
            "facility": "this machine",
            "csap": "mid",
            "state_facility": True,
            # Ray isolates nobody, so the site serves one trust domain: that of the example university.
            "trust_domain": INSTITUTION,
            "lease_seconds": 20,
            "why": WHY,
        },
    )
    administrator.post(f"sites/{SITE}/operators", {"person": OPERATOR, "why": WHY})
    return ExampleTokens(
        researcher=_token(administrator, RESEARCHER, "submit"),
        manager=_token(administrator, MANAGER, "manage"),
        operator=_token(administrator, OPERATOR, "manage"),
        enrolment=site["enrolment_token"],
    )


def _token(administrator: Client, person: str, scope: str) -> str:
    body = {"name": "example", "person": person, "scopes": [scope], "expires_in_seconds": 86_400}
    return str(administrator.post("tokens", body)["secret"])
