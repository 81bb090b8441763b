"""Errors that a user can fix. The message is a sentence that says what is wrong and what would be right."""


class SRError(Exception):
    """Base of every error that is shown to the user as a sentence, never as a traceback."""


class ImageError(SRError):
    """A picture cannot be opened, is too large, or is of an unsupported kind."""


class DataError(SRError):
    """Training or evaluation pictures are missing, unreadable or too small."""


class WeightsError(SRError):
    """Weights are missing, damaged, or do not belong to the network they are loaded into."""


class HubError(SRError):
    """The Hub cannot be reached, does not have what was asked for, or does not let this user have or change it."""


class ConfigError(SRError):
    """A setting is invalid, by itself or in combination with another."""


class MemoryLimitError(SRError):
    """The device does not have enough memory, even for the smallest tiles."""


class StorageError(SRError):
    """A file cannot be read or written where it is, on a disk or behind a URL."""


class AccessError(StorageError):
    """A store does not let this user read or write a file."""


class TargetError(StorageError):
    """Results cannot be written where they are to go, so all that follows would be lost too."""


class FullError(TargetError):
    """There is no room for results."""


class ClusterError(SRError):
    """A cluster cannot be reached, or is lost."""
