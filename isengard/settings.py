"""All settings, from the environment only (docs/configuration.md lists every variable). Refuses nonsense at start."""

import os
import warnings
from pathlib import Path

from csp.constants import NONE, SELF

from isengard import env
from isengard.studio.paths import StatePaths
from isengard.version import VERSION

BASE_DIR = Path(__file__).resolve().parent.parent

# fast-test runs the real engine on the tiny base model in the repository; production runs it on FLUX and its peers.
ISENGARD_MODE = env.choice("ISENGARD_MODE", "fast-test", ("fast-test", "production"))
DEBUG = env.flag("DEBUG", False)
DEBUG_ENDPOINTS = env.flag("DEBUG_ENDPOINTS", ISENGARD_MODE == "fast-test")

VOLUME_ROOT = env.folder("VOLUME_ROOT", BASE_DIR / "data")
STATE_DIR = env.folder("STATE_DIR", VOLUME_ROOT / "state")
LOG_DIR = env.folder("LOG_DIR", VOLUME_ROOT / "logs")
MODELS_DIR = env.folder("MODELS_DIR", VOLUME_ROOT / "models")
LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))

SECRET_KEY = env.secret_key(VOLUME_ROOT / "secret-key")
ALLOWED_HOSTS = env.names("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env.names("CSRF_TRUSTED_ORIGINS", "")

# The queue's truth is the database; lanes only say which worker may claim a job.
GPU_LANES = [f"gpu{index}" for index in range(env.integer("GPU_COUNT", 1, 1, 16))]
# A worker that is silent for a lease is lost: another takes its job up again, at most JOB_MAX_ATTEMPTS times.
JOB_LEASE_SECONDS, JOB_RENEW_SECONDS, JOB_POLL_SECONDS, JOB_MAX_ATTEMPTS = 30.0, 5.0, 1.0, 3

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "channels",
    "django_htmx",
    "template_partials.apps.SimpleAppConfig",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
    "isengard.logs",
    "isengard.jobs",
    "isengard.studio",
    "characters",
    "training",
    "generation",
]

MIDDLEWARE = [
    "isengard.logs.middleware.CorrelationMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "isengard.origin.OriginMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "isengard.htmx.DomainErrorMiddleware",
]

ROOT_URLCONF = "isengard.urls"
ASGI_APPLICATION = "isengard.asgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "loaders": [
                (
                    "template_partials.loader.Loader",
                    [
                        (
                            "django.template.loaders.cached.Loader",
                            [
                                "django.template.loaders.filesystem.Loader",
                                "django.template.loaders.app_directories.Loader",
                            ],
                        )
                    ],
                )
            ],
            "builtins": ["template_partials.templatetags.partials", "isengard.templatetags.ui"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
            ],
        },
    }
]

# Without an address of their own, Postgres and Redis are the ones that the launcher runs in the state directory.
LOCAL_SERVICES = StatePaths.of(STATE_DIR)
DATABASES = {"default": env.database("DATABASE_URL", LOCAL_SERVICES.database_url)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"

REDIS_URL = os.environ.get("REDIS_URL") or LOCAL_SERVICES.redis_url
CHANNEL_LAYERS = {
    # The pub/sub layer: the core one drops the newest messages of a slow reader, which are the ones that matter.
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            "hosts": [{"address": REDIS_URL, "socket_timeout": None}],
            "prefix": env.channel_prefix(REDIS_URL),
        },
    }
}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Served from the source folders while no `collectstatic` was run, as the container image does.
WHITENOISE_USE_FINDERS = not STATIC_ROOT.exists()
WHITENOISE_AUTOREFRESH = DEBUG
# WhiteNoise warns of the missing folder at every start, although it then serves from the sources.
warnings.filterwarnings("ignore", message="No directory at:", category=UserWarning)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

# The cap of a photo and of a whole request are enforced while the body streams in.
FILE_UPLOAD_TEMP_DIR = None
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
REQUEST_MAX_BYTES = 600 * 1024 * 1024
PHOTO_MAX_BYTES = 50 * 1024 * 1024
# An imported archive, and the form around it.
ARCHIVE_MAX_BYTES = 4 * 1024 * 1024 * 1024
# Rank 128 on every layer of FLUX.1 in fp32 is 1.5 GB.
LORA_MAX_BYTES = 2 * 1024 * 1024 * 1024
ARCHIVE_REQUEST_MAX_BYTES = ARCHIVE_MAX_BYTES + 1024 * 1024
# Tiny pictures are refused where they would be trained on for real; Pocket itself works at 64 pixels.
PHOTO_MIN_SIDE = 1 if ISENGARD_MODE == "fast-test" else 64
# Uploads stop here, so that a training that is already running can still save itself.
FREE_SPACE_FLOOR = env.integer("FREE_SPACE_FLOOR_MB", 512, 0, 1_000_000) * 1024 * 1024

SESSION_COOKIE_NAME = "isengard_session"
CSRF_COOKIE_NAME = "isengard_csrf"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "isengard.views.csrf_failure"
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "EXCLUDE_URL_PREFIXES": ("/admin/", "/docs"),
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "blob:", "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    },
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["isengard.origin.SameOriginSession"],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["isengard.parsers.StorableJSONParser", "rest_framework.parsers.MultiPartParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "isengard.api.exception_handler",
    # An upload is one photo, and thousands come at once: the rate is above what two cores can decode.
    "DEFAULT_THROTTLE_RATES": {"upload": "1200/min", "train": "5/min", "generate": "60/min", "client_logs": "60/min"},
    "NUM_PROXIES": 0,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Isengard API",
    "VERSION": VERSION,
    "DESCRIPTION": "Characters, identity training and picture generation. Errors are `{detail, code}`.",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api",
    "COMPONENT_SPLIT_REQUEST": True,
    # Sets of choices that stand under two names of fields.
    "ENUM_NAME_OVERRIDES": {
        "CropKindEnum": "characters.framing.serializers.KINDS",
        "SplitEnum": "characters.models.ReferenceImage.Split",
    },
}

LOGGING_CONFIG = "isengard.logs.config.configure"
LOGGING = {"version": 1}

CELERY_BROKER_URL = env.celery_broker(REDIS_URL)
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": "isengard:",
    "socket_keepalive": True,
    "health_check_interval": 25,
    "visibility_timeout": 3600,
    # A request that rings while Redis is away must not wait six seconds for it; the watchdog rings again.
    "max_retries": 0,
}
