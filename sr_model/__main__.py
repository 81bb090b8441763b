import sys

from sr_model.cli import main

if __name__ == "__main__":
    sys.exit(main())
