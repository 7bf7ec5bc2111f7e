"""The chip's `os`, with an environment."""

from uos import *  # noqa: F403

environ = {}
