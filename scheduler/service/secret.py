"""Secrets: made once, shown once, kept as hashes."""

from __future__ import annotations

import base64
import hashlib
import hmac
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


def derived_secret(prefix: str, presented: str, nonce: str) -> str:
    """A secret that follows from another one, which its holder presented, and a public ``nonce``.

    So a repeated request has the same answer although no secret is ever stored: who holds ``presented`` can have it
    made again, and nobody else can. HMAC-SHA-256 (RFC 2104).
    """
    mac = hmac.new(presented.encode(), f"{prefix}\0{nonce}".encode(), hashlib.sha256).digest()
    return prefix + base64.urlsafe_b64encode(mac).decode().rstrip("=")
