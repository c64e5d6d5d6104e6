"""Which site may serve which data: hard filters from versioned policy data.

The default matrix is our reading of N2SF 1.0 and CSAP, not legal advice; a federation loads its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scheduler.model.shape import DataClass
from scheduler.model.site import Csap, SecurityGrade

_CSAP_ORDER = {Csap.NONE: 0, Csap.LOW: 1, Csap.MID: 2, Csap.HIGH: 3}


#: From the least to the most protected.
_PROTECTION = {DataClass.OPEN: 0, DataClass.SENSITIVE: 1, DataClass.CLASSIFIED: 2}


def is_less_protected(own: DataClass, other: DataClass) -> bool:
    """Whether ``own`` protects less than ``other``."""
    return _PROTECTION[own] < _PROTECTION[other]


def effective_data_class(own: DataClass | None, of_group: DataClass) -> DataClass:
    """What a job's data is treated as: its own class where it names one, and never less than its group's."""
    return of_group if own is None or is_less_protected(own, of_group) else own


@dataclass(frozen=True, slots=True, kw_only=True)
class DataClassRule:
    """What a site must offer to serve one data class."""

    csap_min: Csap = Csap.NONE
    csap_min_public_sector: Csap = Csap.NONE
    state_facility: bool = False
    classified_network: bool = False
    isolation: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DataClassPolicy:
    """A dated version of the rules, one for each data class."""

    version: str
    rules: Mapping[DataClass, DataClassRule]


DEFAULT_POLICY = DataClassPolicy(
    version="2026-11-01",
    rules={
        DataClass.OPEN: DataClassRule(csap_min_public_sector=Csap.LOW),
        DataClass.SENSITIVE: DataClassRule(csap_min=Csap.MID, csap_min_public_sector=Csap.MID, isolation=True),
        DataClass.CLASSIFIED: DataClassRule(
            csap_min=Csap.HIGH,
            csap_min_public_sector=Csap.HIGH,
            state_facility=True,
            classified_network=True,
            isolation=True,
        ),
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearance:
    """Whose data a job carries: with the site's grade, all that the filter looks at."""

    data_class: DataClass
    public_sector: bool
    trust_domain: str


def why_not_served(policy: DataClassPolicy, clearance: Clearance, grade: SecurityGrade) -> str | None:
    """Name the first rule by which a site of ``grade`` may not serve ``clearance``; None where it may.

    The names are ``csap``, ``facility``, ``network``, ``isolation`` and ``trust_domain``.
    """
    rule = policy.rules[clearance.data_class]
    csap_min = rule.csap_min_public_sector if clearance.public_sector else rule.csap_min
    if _CSAP_ORDER[grade.csap] < _CSAP_ORDER[csap_min]:
        return "csap"
    if rule.state_facility and not grade.state_facility:
        return "facility"
    if rule.classified_network and not grade.classified_network:
        return "network"
    if rule.isolation and not grade.isolates_users:
        return "isolation"
    if not grade.isolates_users and grade.trust_domain != clearance.trust_domain:
        return "trust_domain"
    return None
