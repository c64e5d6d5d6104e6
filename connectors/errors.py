"""Faults of the connectors package, as a tree. How a run ended is never a fault: it is a ``RunReport``.

ConnectorError
├── EngineUnavailable    the engine does not answer now; trying again may help
├── EngineRefused        the engine will not have this, however often it is asked
├── ServerUnavailable    the federation's server does not answer now; trying again may help
├── ServerRefused        the server answered "no" for good; the message carries its words
├── UnsafeArchive        an archive's member would leave the folder it is unpacked into
├── ContentMismatch      fetched bytes are not what their digest says
├── StateUnusable        the agent's own files cannot be read or belong to another site
└── SettingsUnusable     a setting or a nodes file that cannot be used; the message names the mend
"""

from __future__ import annotations


class ConnectorError(Exception):
    """Something on the site's side is wrong. ``korean`` says it in Korean, in English where nobody put it so."""

    def __init__(self, message: str = "", korean: str = "") -> None:
        super().__init__(message)
        self.korean = korean or message


class EngineUnavailable(ConnectorError):
    """The engine does not answer now."""


class EngineRefused(ConnectorError):
    """The engine will not have this, however often it is asked."""


class ServerUnavailable(ConnectorError):
    """The federation's server does not answer now."""


class ServerRefused(ConnectorError):
    """The server answered "no" for good. ``status`` is the HTTP status."""

    def __init__(self, message: str, korean: str = "", *, status: int) -> None:
        super().__init__(message, korean)
        self.status = status


class UnsafeArchive(ConnectorError):
    """An archive's member would leave the folder it is unpacked into."""


class ContentMismatch(ConnectorError):
    """Fetched bytes are not what their digest says."""


class StateUnusable(ConnectorError):
    """The agent's own files cannot be used."""

    def __init__(self, message: str, korean: str) -> None:
        super().__init__(message, korean)


class SettingsUnusable(ConnectorError):
    """A setting cannot be used; the message names the mend."""

    def __init__(self, message: str, korean: str) -> None:
        super().__init__(message, korean)
