"""Keeps the record of cells' places, so that whoever leads next has every cell where it was.

Places are written before the plan that goes by them: no run is committed by places that the record does not know.
"""

from __future__ import annotations

from collections.abc import Mapping

from quota.cells import Right
from quota.topology import Place
from scheduler.cycle.snapshot import Snapshot
from scheduler.service.follow import Follower
from scheduler.service.runtime import Runtime
from scheduler.store import cell_places
from scheduler.store.fence import Fence


class PlaceKeeper:
    """For one thread."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._follower: Follower | None = None
        self._in_record: Mapping[Place, Right] = {}

    def recall(self, follower: Follower) -> None:
        """Tell a follower that begins where cells are."""
        if follower is self._follower:
            return
        with self._runtime.database.read() as connection:
            self._in_record = cell_places.every(connection)
        follower.federation.remember_cells(self._in_record)
        self._follower = follower

    def keep(self, snapshot: Snapshot, fence: Fence) -> None:
        """Write what has changed of a snapshot's places. Raises LeadershipLost, StoreUnavailable."""
        places, before = snapshot.cells.places, self._in_record
        if places is before:
            return
        found = {place: right for place, right in places.items() if before.get(place) != right}
        gone = before.keys() - places.keys()
        if found or gone:
            self._runtime.database.run(lambda transaction: cell_places.change(transaction, found, gone), fence)
        self._in_record = places
