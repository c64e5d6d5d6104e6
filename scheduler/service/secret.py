"""Secrets: made once, shown once, kept as hashes."""

from __future__ import annotations

import hashlib
import secrets

PERSON_PREFIX = "dure_"
ENROLMENT_PREFIX = "dure_enrol_"
SITE_PREFIX = "dure_site_"
#: How much of a secret lists show, so that it can be told from others.
SHOWN_CHARACTERS = 12


def new_secret(prefix: str) -> str:
    """Make a secret of 256 random bits behind ``prefix``."""
    return prefix + secrets.token_urlsafe(32)


def hash_of(secret: str) -> str:
    """SHA-256 (hex). The secret has 256 random bits, so that no salt or slow hash is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()
