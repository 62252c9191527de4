"""The studio's own version, for the web and the engine alike. Imports nothing."""

VERSION = "0.1.0"
