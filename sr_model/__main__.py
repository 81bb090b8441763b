import sys

from sr_model.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
