"""Data classes are hard filters: which site may serve which data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.model.data_class import DEFAULT_POLICY, Clearance, why_not_served
from scheduler.model.shape import DataClass
from scheduler.model.site import Csap, SecurityGrade

clearances = st.builds(
    Clearance,
    data_class=st.sampled_from(list(DataClass)),
    public_sector=st.booleans(),
    trust_domain=st.sampled_from(["a", "b"]),
)
grades = st.builds(
    SecurityGrade,
    csap=st.sampled_from(list(Csap)),
    state_facility=st.booleans(),
    classified_network=st.booleans(),
    isolates_users=st.booleans(),
    trust_domain=st.sampled_from([None, "a", "b"]),
)


@given(clearances, grades)
def test_a_site_that_isolates_nobody_serves_open_data_of_its_one_trust_domain(
    clearance: Clearance, grade: SecurityGrade
) -> None:
    served = why_not_served(DEFAULT_POLICY, clearance, grade) is None
    if served and not grade.isolates_users:
        assert clearance.data_class is DataClass.OPEN
        assert clearance.trust_domain == grade.trust_domain


@given(clearances, grades)
def test_classified_data_needs_the_state_facility_and_its_network(clearance: Clearance, grade: SecurityGrade) -> None:
    if clearance.data_class is DataClass.CLASSIFIED and why_not_served(DEFAULT_POLICY, clearance, grade) is None:
        assert grade.state_facility and grade.classified_network and grade.csap is Csap.HIGH


@given(clearances, grades)
def test_a_better_grade_never_serves_less(clearance: Clearance, grade: SecurityGrade) -> None:
    best = SecurityGrade(csap=Csap.HIGH, state_facility=True, classified_network=True, isolates_users=True)
    assert why_not_served(DEFAULT_POLICY, clearance, best) is None


@pytest.mark.parametrize(
    ("clearance", "grade", "rule"),
    [
        (Clearance(data_class=DataClass.OPEN, public_sector=True, trust_domain="a"), SecurityGrade(), "csap"),
        (
            Clearance(data_class=DataClass.SENSITIVE, public_sector=False, trust_domain="a"),
            SecurityGrade(csap=Csap.HIGH, trust_domain="a"),
            "isolation",
        ),
        (
            Clearance(data_class=DataClass.OPEN, public_sector=False, trust_domain="a"),
            SecurityGrade(trust_domain="b"),
            "trust_domain",
        ),
        (
            Clearance(data_class=DataClass.CLASSIFIED, public_sector=False, trust_domain="a"),
            SecurityGrade(csap=Csap.HIGH, isolates_users=True),
            "facility",
        ),
        (
            Clearance(data_class=DataClass.CLASSIFIED, public_sector=False, trust_domain="a"),
            SecurityGrade(csap=Csap.HIGH, isolates_users=True, state_facility=True),
            "network",
        ),
    ],
)
def test_the_answer_names_the_rule_in_the_way(clearance: Clearance, grade: SecurityGrade, rule: str) -> None:
    assert why_not_served(DEFAULT_POLICY, clearance, grade) == rule
