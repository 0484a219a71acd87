"""`python -m settlepoint_local`: see serving.py."""

import signal
import sys

signal.signal(signal.SIGINT, signal.SIG_DFL)  # the imports take a second, and a Ctrl-C then needs no traceback

from settlepoint_local.serving import main  # noqa: E402  (see above)

sys.exit(main())
