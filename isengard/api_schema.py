"""What the API document says about logging in. Registered by being imported."""

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers in __init_subclass__
    """On loopback nobody needs to log in; a browser that has is known by its cookie."""

    target_class = "isengard.origin.SameOriginSession"
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}
