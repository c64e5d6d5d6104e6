"""First contact: the one-time token becomes the agent's own credential."""

from __future__ import annotations

from connectors.agent.settings import AgentSettings
from connectors.agent.state import StateDirectory
from connectors.agent.transport import Transport
from connectors.errors import SettingsUnusable
from scheduler.model.wire import PROTOCOL_VERSION, EnrolRequest, EnrolResponse


def enrol(settings: AgentSettings, state: StateDirectory, transport: Transport) -> EnrolResponse:
    """The credential and contract of this agent: those it has, else those it gets for its one-time token.

    A token that was used by this same folder, with the answer lost, is answered again by its idempotency key.
    Raises SettingsUnusable without credential and token, ServerUnavailable and ServerRefused from the server.
    """
    enrolled = state.credential()
    if enrolled is None:
        if settings.enrolment_token is None:
            raise SettingsUnusable(
                f"{state.path} holds no credential and no enrolment token was given: register the site"
                " (dure site register NAME) and start the agent with the token that it prints",
                f"{state.path}에 자격 증명이 없고 등록 토큰도 없습니다. 사이트를 등록하고(dure site register NAME)"
                " 거기서 나온 토큰으로 에이전트를 시작하십시오",
            )
        request = EnrolRequest(protocol=PROTOCOL_VERSION, agent=settings.name)
        enrolled = transport.enrol(settings.enrolment_token, request, state.enrolment_key())
        state.keep_credential(enrolled)
    transport.use_credential(enrolled.credential)
    return enrolled
