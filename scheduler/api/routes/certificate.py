"""How near to the best possible the federation was."""

from __future__ import annotations

from fastapi import APIRouter

from scheduler.api.certificate_documents import CertificateOut, certificate_document
from scheduler.api.dependencies import Reading, RuntimeHere
from scheduler.service.certificate import show_certificate

router = APIRouter(tags=["certificate"])


@router.get("/certificate")
def certificate(runtime: RuntimeHere, _caller: Reading) -> CertificateOut:
    """The mean completion time of the jobs of the last days, a bound that no schedule could have gone below, and shadow
    prices of GPUs by class and site. For everybody."""
    return certificate_document(show_certificate(runtime))
