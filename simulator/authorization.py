"""Decides whether an id tag may charge: by asking, by the local list, by the cache."""

from collections.abc import Callable, Collection
from datetime import datetime

from simulator.configuration import Configuration
from simulator.local_list import Authorization, LocalList
from simulator.outbox import Call, Refused, Unanswered


class Authorizer:
    """Authorizes drivers, and remembers those of the charge point's own who were accepted.

    Args:
        call: Asks the central system.
        configuration: Says what the list and the cache are used for.
        local_list: The local authorization list.
        own_id_tags: The tags whose answers are cached, which bounds the cache.
        now: Tells the time.
    """

    def __init__(
        self,
        call: Call,
        configuration: Configuration,
        local_list: LocalList,
        own_id_tags: Collection[str],
        now: Callable[[], datetime],
    ) -> None:
        self._call, self._configuration, self._list = call, configuration, local_list
        self._own_id_tags, self._now = own_id_tags, now
        self._cache: dict[str, Authorization] = {}

    async def authorize(self, id_tag: str) -> Authorization:
        """Return what is known of a tag; the central system is asked unless that is not needed."""
        known = self.known(id_tag)
        if known and self._configuration.enabled("LocalPreAuthorize") and self._holds(known):
            return known
        try:
            answer = await self._call("Authorize", {"id_tag": id_tag})
        except (Unanswered, Refused):
            return self._offline(known)
        found = Authorization.of(answer["id_tag_info"])
        if id_tag in self._own_id_tags:
            self._cache[id_tag] = found
        return found

    def known(self, id_tag: str) -> Authorization | None:
        """Return what the list, or else the cache, says of a tag."""
        if self._configuration.enabled("LocalAuthListEnabled"):
            listed = self._list.get(id_tag)
            if listed is not None:
                return listed
        if self._configuration.enabled("AuthorizationCacheEnabled"):
            return self._cache.get(id_tag)
        return None

    def group_of(self, id_tag: str) -> str | None:
        """Return the parent tag of a tag, as far as that is known without asking."""
        known = self.known(id_tag)
        return None if known is None else known.parent_id_tag

    def clear_cache(self) -> str:
        """Forget the answers; return the ClearCacheStatus."""
        if not self._configuration.enabled("AuthorizationCacheEnabled"):
            return "Rejected"
        self._cache.clear()
        return "Accepted"

    def _offline(self, known: Authorization | None) -> Authorization:
        if known is not None and self._configuration.enabled("LocalAuthorizeOffline"):
            return known if self._holds(known) else Authorization(accepted=False)
        anyone = known is None and self._configuration.enabled("AllowOfflineTxForUnknownId")
        return Authorization(accepted=anyone)

    def _holds(self, known: Authorization) -> bool:
        return known.holds_at(self._now())
