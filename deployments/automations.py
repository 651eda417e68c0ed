"""The automations on Prefect's server: messages when a run needs a person, and the end of runs that went silent.

They match the tag of all deskloop's runs, so one set covers every pipeline on the server.
"""

from pathlib import Path
from uuid import UUID

import yaml
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound

from deskloop.contract.errors import ConfigError

FILE = Path(__file__).with_suffix(".yaml")
NO_BLOCK = UUID(int=0)
BLOCK = "deskloop"


def automations(block: UUID | None) -> list[AutomationCore]:
    """Return the automations of `automations.yaml`.

    Args:
        block: the notification block that sends their messages; None leaves out those that send one.
    """
    content = FILE.read_text(encoding="utf-8").replace(str(NO_BLOCK), str(block or NO_BLOCK))
    entries = [AutomationCore.model_validate(entry) for entry in yaml.safe_load(content)["automations"]]
    return [entry for entry in entries if block or all(action.type != "send-notification" for action in entry.actions)]


def receiver(client: SyncPrefectClient, url: str | None, slug: str | None) -> UUID | None:
    """Return the id of the notification block that sends the messages: a new webhook, or a block on the server.

    Args:
        url: a webhook that accepts a POST of `{"text": "..."}`. Prefect stores it as a secret.
        slug: `type/name` of a block on the server, in place of a URL. With neither, the webhook of an earlier call,
            or None.
    Raises:
        ConfigError: the server has no such block.
    """
    if url is not None:
        webhook = CustomWebhookNotificationBlock(
            name=BLOCK, url="{{url}}", json_data={"text": "{{subject}}\n{{body}}"}, secrets={"url": url}
        )
        return UUID(str(webhook.save(BLOCK, overwrite=True)))
    kind, _, name = (slug or f"{CustomWebhookNotificationBlock.get_block_type_slug()}/{BLOCK}").partition("/")
    try:
        return UUID(str(client.read_block_document_by_name(name, kind, include_secrets=False).id))
    except ObjectNotFound:
        if slug is None:
            return None
        raise ConfigError(f"--notify-block {slug}: there is no such block; `prefect block ls` lists them") from None


def register(client: SyncPrefectClient, wanted: list[AutomationCore]) -> list[str]:
    """Create the automations that are missing and update the others by name; returns one line for each."""
    ids = {automation.name: automation.id for automation in client.read_automations()}
    lines = []
    for automation in wanted:
        if automation.name in ids:
            client.update_automation(ids[automation.name], automation)
        else:
            client.create_automation(automation)
        lines.append(f"automation  {automation.name}  {'updated' if automation.name in ids else 'created'}")
    return lines
