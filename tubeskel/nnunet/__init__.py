"""Trainers with tubeskel's losses for nnU-Net v2, which finds them through `TRAINER_FOLDER`."""

from pathlib import Path

from .settings import Settings, load_settings

TRAINER_FOLDER = Path(__file__).resolve().parent / "trainer_folder"
"""What to put into the environment variable ``nnUNet_extTrainer``."""

__all__ = ["TRAINER_FOLDER", "Settings", "load_settings"]
