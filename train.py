"""Train the autoencoder: `python train.py --epochs 50`, or `--help` for everything else."""

import sys

from sr_model.commands.train import train_main

if __name__ == "__main__":
    sys.exit(train_main())
