"""Template tags of the look: icons, state badges, durations, sizes and times as a person reads them.

Knows no model; of the request only its path. Every tag escapes what it is given.
"""

import math
from datetime import datetime, timedelta
from functools import lru_cache

from django import template
from django.template import Context
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

Links = dict[str, str | bool]

register = template.Library()

# State → the word shown. A state that is missing here is shown as it is, in grey.
STATE_WORDS = {
    "queued": "Queued",
    "running": "Running",
    "completed": "Completed",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "ready": "Ready",
    "busy": "Busy",
    "offline": "Offline",
    "warning": "Needs attention",
}
UNITS = ("B", "kB", "MB", "GB", "TB")


# A page of pictures shows the same few a hundred times.
@register.simple_tag
@lru_cache(1024)
def icon(name: str, extra: str = "", label: str = "") -> SafeString:
    """An icon of `static/icons.svg` (names are lucide's). `label` only where no words stand beside it."""
    href = f"{static('icons.svg')}#{name}"
    classes = f"icon {extra}".strip()
    if label:
        return format_html(
            '<svg class="{}" role="img" aria-label="{}"><use href="{}"></use></svg>', classes, label, href
        )
    return format_html('<svg class="{}" aria-hidden="true"><use href="{}"></use></svg>', classes, href)


@register.simple_tag
def badge(state: str, word: str = "") -> SafeString:
    """A state as a chip with its dot; `word` replaces the usual word ("Running" → "Training")."""
    kind = state if state in STATE_WORDS else "other"
    return format_html('<span class="badge badge-{}">{}</span>', kind, word or STATE_WORDS.get(state, state))


@register.filter
def duration(span: float | timedelta | None) -> str:
    """Seconds or a timedelta → "45 s", "6 min", "1 h 20 min", "2 d 3 h"; an unknown or impossible value → "–"."""
    seconds = span.total_seconds() if isinstance(span, timedelta) else span
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return "–"
    if seconds < 59.5:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


@register.filter(name="bytes")
def byte_size(count: int | None) -> str:
    """A count of bytes in decimal units, two or three digits: "512 B", "4.2 MB", "118 MB"; None → "–"."""
    if count is None:
        return "–"
    size, unit = float(count), 0
    # 999.5 would be shown as "1000", so it already belongs to the next unit.
    while size >= 999.5 and unit < len(UNITS) - 1:
        size, unit = size / 1000, unit + 1
    digits = 1 if unit and size < 9.95 else 0
    return f"{size:.{digits}f} {UNITS[unit]}"


@register.filter
def timeago(moment: datetime | None) -> SafeString | str:
    """A `<time>` that reads "6 min ago", with the full moment as its title; None → "–"."""
    if moment is None:
        return "–"
    seconds = (timezone.now() - moment).total_seconds()
    local = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="{}" data-timeago>{}</time>',
        moment.isoformat(timespec="seconds"),
        local.strftime("%d %b %Y, %H:%M:%S"),
        distance(seconds),
    )


def distance(seconds: float) -> str:
    """How long ago, in words. The browser's clock keeps it true later (`app.js`), by the same steps."""
    if seconds < 10:
        return "just now"
    if seconds < 30 * 86400:
        return f"{duration(seconds)} ago"
    return f"{round(seconds / (30 * 86400))} months ago" if seconds < 345 * 86400 else "over a year ago"


@register.inclusion_tag("components/nav_item.html", takes_context=True)
def nav_item(context: Context, url_name: str, label: str, icon_name: str, subtitle: str = "", chip: str = "") -> Links:
    """A link of the navigation, marked as current on its page and on every page below it."""
    url = reverse(url_name)
    path = getattr(context.get("request"), "path", "")
    current = path == url or path.startswith(f"{url.rstrip('/')}/")
    return {"url": url, "label": label, "icon_name": icon_name, "subtitle": subtitle, "chip": chip, "current": current}
