"""``python -m tubeskel``: print the configuration."""

from ._config import show_config

show_config()
