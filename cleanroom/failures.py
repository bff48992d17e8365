"""What an operator can run into: exceptions whose message is one safe line. Anything else is a bug."""

from cleanroom.audit.archive import ArchiveError
from cleanroom.audit.log import LogDamaged
from cleanroom.audit.signer import SignerRefused
from cleanroom.auditors import NotAppointed
from cleanroom.backup import BackupFailed
from cleanroom.changes import Outdated
from cleanroom.naming import NotNamed
from cleanroom.recovery import RecoveryFailed
from cleanroom.rehearsal.scenario import BadScenario
from cleanroom.serving import CannotListen
from cleanroom.settings import BadSettings
from cleanroom.setup import SetupFailed
from partners.transparency.entry import EntryError

EXPECTED = (
    ArchiveError,
    BackupFailed,
    BadScenario,
    BadSettings,
    CannotListen,
    EntryError,
    LogDamaged,
    NotAppointed,
    NotNamed,
    Outdated,
    RecoveryFailed,
    SetupFailed,
    SignerRefused,
)
