"""Scores in physical units, in the paper's protocol."""

from bundle.tat.metrics.restoration import VolumeScores, evaluate_pair, evaluate_volume, psnr, rmse, ssim

__all__ = ["VolumeScores", "evaluate_pair", "evaluate_volume", "psnr", "rmse", "ssim"]
