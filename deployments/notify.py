"""Put the automations on Prefect's server, or bring them up to date, and say where their messages go.

    .venv/bin/python deployments/notify.py --url https://hooks.slack.com/services/...
    .venv/bin/python deployments/notify.py --block sendgrid-email/on-call

A URL gets a POST of `{"text": "..."}`, which Slack, Mattermost and most chats read. A block is any notification block
of Prefect's that was made before, on the server's page `Blocks` or in Python: e-mail, Teams, PagerDuty, ...
"""

import argparse
import sys
from pathlib import Path
from uuid import UUID

import yaml
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound

FILE = Path(__file__).parent / "automations.yaml"
NO_BLOCK = UUID(int=0)
BLOCK = "deskloop"


def automations(block: UUID, text: str | None = None) -> list[AutomationCore]:
    """The automations of a file, their messages sent through a block.

    Args:
        block: id of a notification block, written over the zeros.
        text: the file's content; default: `automations.yaml` beside this file.
    """
    content = FILE.read_text(encoding="utf-8") if text is None else text
    entries = yaml.safe_load(content.replace(str(NO_BLOCK), str(block)))["automations"]
    return [AutomationCore.model_validate(entry) for entry in entries]


def webhook(url: str) -> UUID:
    """Save a notification block that posts to `url`, over one of the same name; returns its id.

    The URL is kept as a secret (encrypted in the database, hidden on the server's pages): whoever has it can post.
    """
    block = CustomWebhookNotificationBlock(
        name=BLOCK, url="{{url}}", json_data={"text": "{{subject}}\n{{body}}"}, secrets={"url": url}
    )
    saved = block.save(BLOCK, overwrite=True)
    return UUID(str(saved))


def existing(client: SyncPrefectClient, slug: str) -> UUID:
    """The id of a block `type/name` on the server.

    Raises:
        ObjectNotFound: there is none of that type and name.
    """
    kind, _, name = slug.partition("/")
    return UUID(str(client.read_block_document_by_name(name, kind, include_secrets=False).id))


def put(client: SyncPrefectClient, wanted: list[AutomationCore]) -> list[str]:
    """Create what is missing, update what is there under the same name; returns one line for each."""
    there = {one.name: one.id for one in client.read_automations()}
    done = []
    for automation in wanted:
        if automation.name in there:
            client.update_automation(there[automation.name], automation)
            done.append(f"updated  {automation.name}")
        else:
            client.create_automation(automation)
            done.append(f"created  {automation.name}")
    return done


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--url", help="a webhook that takes a POST of JSON")
    where.add_argument("--block", metavar="TYPE/NAME", help="a notification block that is on the server")
    options = parser.parse_args(arguments)
    with get_client(sync_client=True) as client:
        try:
            block = existing(client, options.block) if options.block else webhook(options.url)
        except ObjectNotFound:
            print(f"{options.block}: there is no such block; `prefect block ls` lists them", file=sys.stderr)
            return 2
        print("\n".join(put(client, automations(block))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
