"""Why a command ends early. Each message says what happened and what to do."""


class CommandError(Exception):
    """Something that the operator can mend."""


class UseError(CommandError):
    """What was asked for makes no sense here."""


class NotNamedError(UseError):
    """Nothing says where to go; the message says what would."""


class UnknownPartError(UseError):
    """No part has this name."""


class MixedDataError(UseError):
    """Made-up data would reach a broker or a database that may hold real data."""


class ApiAwayError(CommandError):
    """The HTTP API did not answer."""


class PortTakenError(CommandError):
    """Somebody listens where we would."""


class CannotListenError(UseError):
    """The address to listen on is not ours, or the port is not for us."""


class ServerDiedError(CommandError):
    """The embedded broker or database ended while it was needed."""


class MigrationFailedError(CommandError):
    """`kasparro migrate` did not succeed; the message has what it said."""


class ServiceFailedError(CommandError):
    """A service cannot run, whatever we do; the message says why."""
