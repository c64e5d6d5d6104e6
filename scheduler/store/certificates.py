"""The newest certificate, as a row: the leading scheduler writes it, servers read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from scheduler.store.certificate_tables import certificates
from scheduler.store.dialect import upsert
from scheduler.store.rows import first_of
from scheduler.store.transaction import WriteTransaction

_NAME = "federation"


@dataclass(frozen=True, slots=True)
class CertificateRow:
    """A row of ``certificates``."""

    name: str
    made_ms: int
    document: dict[str, Any]


def newest(connection: Connection) -> CertificateRow | None:
    """Return the newest certificate; None before the first."""
    return first_of(CertificateRow, connection, select(certificates).where(certificates.c.name == _NAME))


def put(transaction: WriteTransaction, made_ms: int, document: Mapping[str, Any]) -> None:
    """Have a certificate be the newest."""
    row = {"name": _NAME, "made_ms": made_ms, "document": dict(document)}
    upsert(transaction.connection, certificates, [row], keys=("name",), update=("made_ms", "document"))
