"""The errors a user can cause; the command line shows them as one line, without a traceback."""


class UserError(Exception):
    """A problem that the user can mend: its message names what and where."""


class ConfigError(UserError):
    """A config field that is unknown, missing, of a wrong type or out of its range."""


class DataError(UserError):
    """A data set that is not where, or not what, its loader expects."""


class RunError(UserError):
    """A run folder that cannot be used as asked."""
