"""The ASGI entry point: HTTP by Django, websockets by Channels behind an exact-origin check."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "isengard.settings")
django = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402  (Django must be set up first)
from django.conf import settings  # noqa: E402

from isengard.body import BoundedBody  # noqa: E402
from isengard.jobs.routing import websocket_urlpatterns  # noqa: E402
from isengard.origin import SameOriginWebsocket  # noqa: E402

LARGER = {
    "/import": settings.ARCHIVE_REQUEST_MAX_BYTES,
    "/loras/upload": settings.LORA_MAX_BYTES + 1024 * 1024,
}
application = ProtocolTypeRouter(
    {
        "http": BoundedBody(django, settings.REQUEST_MAX_BYTES, LARGER),
        "websocket": SameOriginWebsocket(URLRouter(websocket_urlpatterns)),
    }
)
