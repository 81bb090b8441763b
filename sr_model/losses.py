"""Losses by name: functions of (prediction, target), (N, 3, H, W) in [0, 1], that give a scalar."""

from torch.nn import functional as F

LOSSES = {
    "l1": F.l1_loss,  # sharper than mse and better in PSNR too (Zhao et al. 2017)
    "mse": F.mse_loss,
}
