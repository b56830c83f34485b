"""``python -m tubeskel``: print the configuration, or work on files."""

import signal
import sys

from ._cli import main

signal.signal(signal.SIGTERM, signal.default_int_handler)  # tidy up, as after Ctrl-C
sys.exit(main(sys.argv[1:]))
