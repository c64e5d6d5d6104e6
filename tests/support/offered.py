"""A site that lends by offer, as the record says it."""

from __future__ import annotations

from runtime import ScriptedAgent, Stage

from scheduler.model.offer import OfferSpec
from scheduler.service.lending import terms_text
from scheduler.store import offers
from scheduler.store.transaction import WriteTransaction


def offer(stage: Stage, agent: ScriptedAgent, **terms: object) -> None:
    """The site lends two nodes, for ever and with an hour's notice, unless told otherwise."""
    given = {"site": "site-1", "gpu_class": "h100", "nodes": 2, "notice": "1h"} | terms
    text = terms_text(OfferSpec.model_validate(given))

    def add(transaction: WriteTransaction) -> None:
        offers.add(transaction, site_id=agent.site_id, group_id=None, terms=text, created_by="minseo")

    stage.runtime.database.run(add)
