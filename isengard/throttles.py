"""Fair use of the API by address and scope; the counts lie in Redis, so all web processes share them.

A courtesy and no defence: while Redis is away, everybody is let through instead of nobody."""

import logging

from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import ScopedRateThrottle
from rest_framework.views import APIView

log = logging.getLogger(__name__)


class FairUse(ScopedRateThrottle):
    """Counts requests of a view's `throttle_scope` (rates: settings, DEFAULT_THROTTLE_RATES)."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        try:
            return super().allow_request(request, view)
        except RedisError as error:
            log.warning("not counted: %s", error, extra={"event": "rate_limit.unavailable"})
            return True
