"""The command `cleanroom-partner`: everything that happens on a partner's own machine."""

from pathlib import Path

import click

from partners.commands import (
    agreements,
    audiences,
    audit,
    budget,
    changes,
    joining,
    keys,
    reports,
    secret,
    simulate,
    verify,
    withdrawals,
    witness,
)
from partners.commands.terminal import OneLineErrors, Setup, home_option


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@home_option
@click.version_option(package_name="cleanroom", message="%(version)s")
@click.pass_context
def main(context: click.Context, home: Path) -> None:
    """The partner's side of a data clean room: identifiers are hashed here and never leave.

    \b
    From nothing to a report:
      cleanroom-partner keygen
      cleanroom-partner join https://room.example CODE
      cleanroom-partner compare tasty
      cleanroom-partner propose agreement.toml    (the other: agree drive-2026)
      cleanroom-partner secret make drive-2026    (the other: secret accept)
      cleanroom-partner prepare map.toml --out prepared
      cleanroom-partner upload prepared/drive.manifest.json
      cleanroom-partner ask request.toml
    """
    context.obj = Setup(home, transport=context.obj)


TOPICS = (
    joining,
    keys,
    agreements,
    changes,
    simulate,
    secret,
    audiences,
    withdrawals,
    reports,
    budget,
    verify,
    witness,
    audit,
)
for topic in TOPICS:
    for command in topic.COMMANDS:
        main.add_command(command)


if __name__ == "__main__":
    main()
