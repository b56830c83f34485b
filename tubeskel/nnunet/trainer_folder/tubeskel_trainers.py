"""nnU-Net looks for trainers in files; these are in the installed package."""

from tubeskel.nnunet.trainers import *  # noqa: F403
