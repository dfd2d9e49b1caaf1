"""Entry point of deploy/demo."""

import os
import sys

sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from lab.command import main  # noqa: E402

sys.exit(main())
