"""What can go wrong, each as one clear sentence; the command line prints it and exits with `exit_code`."""


class ElmanError(Exception):
    """Base of every error raised on purpose. `exit_code` 1: the work failed; 2: the call was wrong."""

    exit_code = 1


class UsageError(ElmanError, ValueError):
    """An argument, option or combination of them that cannot be meant."""

    exit_code = 2


class DataError(ElmanError, ValueError):
    """Data that cannot be used; the message names the file, row and column and says what would be right."""

    exit_code = 2


class ArtifactError(ElmanError):
    """A model folder that is missing, foreign, damaged or of another version."""


class TrainingError(ElmanError):
    """Training that had to stop: the loss became NaN or infinite, or a checkpoint does not fit."""
