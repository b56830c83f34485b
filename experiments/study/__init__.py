"""A study: data sets x arms x folds x seeds from one YAML file, run here or on a cluster."""

from experiments.study.config import Study, load
from experiments.study.runner import Failure, run_study

__all__ = ["Failure", "Study", "load", "run_study"]
