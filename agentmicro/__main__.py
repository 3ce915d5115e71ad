"""`python -m agentmicro` is the command line."""

import sys

from agentmicro.cli import main

if __name__ == "__main__":
    sys.exit(main())
