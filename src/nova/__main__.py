"""`python -m nova` is `nova`."""

import sys

from nova.cli import main

if __name__ == "__main__":
    sys.exit(main())
