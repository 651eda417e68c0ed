"""Whether a step's published version is reused, extended, or made anew; reads digests, counts and code, no rows.

recipe + digests of the input = fingerprint; published under it already -> reuse
same recipe, input changed, rows independent of each other             -> extend by the difference
anything else                                                          -> compute
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from deskloop.contract.erased import Erased
from deskloop.contract.errors import DamageError
from deskloop.contract.stage import Context
from deskloop.engine.recipe import recipe_of
from deskloop.pipeline.load import Pipeline, Step
from deskloop.store import erasures as record
from deskloop.store import zones
from deskloop.store.catalog import Catalog, Parent, Version
from deskloop.store.digest import text_digest
from deskloop.store.erasures import erasures_digest
from deskloop.store.ledger import Ledger
from deskloop.store.store import Store


@dataclass(frozen=True)
class Decision:
    """What a step will do and why.

    Attributes:
        action: `reuse`, `extend` or `compute`.
        fingerprint: empty while an artifact must be fitted first.
        versions: the versions to reuse, or the ones to extend.
        refit: why an artifact must be fitted first, if it must.
        inputs: of a source: name and digest of each file.
        equipment: what the stage works with, and what of it is missing; see `Stage.equipment`.
    """

    action: str
    why: str
    recipe: str
    artifact: str = ""
    fingerprint: str = ""
    versions: Sequence[Version] = ()
    refit: str = ""
    inputs: Sequence[tuple[str, str]] = ()
    equipment: Mapping[str, str | None] = field(default_factory=dict)


def fingerprint_of(recipe: str, artifact: str, inputs: Sequence[str], parents: Sequence[Parent], erasures: str) -> str:
    """What a version is known by: everything that decides its rows.

    Args:
        inputs: digests of what a source reads.
        erasures: digest of what a source must refuse; empty where nothing was erased.
    """
    refused = [erasures] if erasures and not parents else []
    return text_digest(recipe, artifact, [*inputs, *(parent.digest for parent in parents), *refused])


class Decider:
    """Decides for the steps of one pipeline and one store."""

    def __init__(
        self,
        pipeline: Pipeline,
        store: Store,
        refit: Collection[str] = (),
        rebuild: Collection[str] = (),
    ) -> None:
        self.pipeline, self.store = pipeline, store
        self.catalog = Catalog(store.root / "catalog")
        self.ledger = Ledger(store.root / "ledger")
        self.refit, self.rebuild = set(refit), set(rebuild)
        self.broken: dict[str, str] = {}  # tables to be written anew -> what is wrong with them
        if self.catalog.versions and not any(self.ledger.folder.glob("*/_delta_log")):
            raise DamageError("ledger", "all of its tables are missing")

    def decide(self, step: Step, parents: Sequence[Version]) -> Decision:
        """Reuse, extend or compute; reads digests and the code, no rows."""
        found = step.stage.equipment(step.config, self.context(step)) if step.stage.equipment is not None else {}
        return replace(self._decide(step, parents, found), equipment=found)

    def _decide(self, step: Step, parents: Sequence[Version], equipment: Mapping[str, str | None]) -> Decision:
        key_id, _ = self.store.key()
        recipe = recipe_of(step.name, step.stage, step.config, self.pipeline.settings.seed, key_id, equipment)
        artifact, refit = self._artifact(step, recipe, equipment, parents)
        inputs = step.stage.source.inputs(step.config, self.context(step)) if step.stage.source is not None else []
        erasures = erasures_digest(self.erased.erasures) if step.stage.source is not None else ""
        told, made_of = [digest for _, digest in inputs], [parent.as_parent() for parent in parents]
        fingerprint = "" if refit else fingerprint_of(recipe, artifact, told, made_of, erasures)
        found = [] if refit or step.name in self.rebuild else self.catalog.find(step.name, fingerprint)
        broken = self._broken(step, found)
        if found and not broken:
            order = list(step.datasets.values())
            found.sort(key=lambda one: order.index(one.dataset))
            return Decision("reuse", "nothing it depends on has changed", recipe, artifact, fingerprint, found)
        latest = [self.catalog.latest(name) for name in step.datasets.values()]
        previous = [version for version in latest if version is not None]
        why = refit or broken or self._why(step, recipe, artifact, parents, previous)
        may_extend = len(previous) == len(latest) and not refit and not broken
        if may_extend and self._extendable(step, recipe, artifact, parents, previous):
            return Decision("extend", why, recipe, artifact, fingerprint, previous)
        return Decision("compute", why, recipe, artifact, fingerprint, previous, refit, inputs)

    def _broken(self, step: Step, found: Sequence[Version]) -> str:
        """What is wrong with the step's tables, those of `found` or of its latest versions; "" where nothing is.

        Raises:
            DamageError: of a table that cannot be rebuilt.
        """
        latest = [self.catalog.latest(name) for name in step.datasets.values()]
        for version in found or [one for one in latest if one is not None]:
            try:
                if not version.gone:
                    with zones.for_step(step.stage.zone, step.name):
                        self.store.check(version)
            except DamageError as error:
                if error.zone != "clean":
                    raise
                self.broken[error.name] = error.problem
        told = [f"{name} was damaged: {self.broken[name]}" for name in tables_of(step) if name in self.broken]
        return "; ".join(told)

    def _artifact(
        self, step: Step, recipe: str, equipment: Mapping[str, str | None], parents: Sequence[Version]
    ) -> tuple[str, str]:
        """(hash of the artifact to use, or why it must be fitted anew)."""
        if step.stage.fit is None:
            return "", ""
        found = self.ledger.artifact(step.name, self.artifact_key(step, recipe, equipment))
        if found is None:
            return "", "first fit"
        digest, fitted_on = found
        growth, rows = step.stage.refit_growth, sum(parent.rows for parent in parents)
        if step.name in self.refit:
            return digest, "refit on request"
        if growth is not None and rows >= fitted_on * (1 + growth):
            return digest, f"refit: {fitted_on:,} rows have become {rows:,}"
        return digest, ""

    def context(self, step: Step, artifact: str = "") -> Context:
        """What is lent to a step's functions."""
        settings = self.pipeline.settings
        return Context(
            step=step.name,
            seed=settings.seed,
            key=self.store.key()[1] if step.stage.keyed else b"",
            folder=str(self.pipeline.folder),
            artifact=self.ledger.files(artifact) if artifact else {},
            families=self.ledger.families() if step.stage.remember else None,
            memo=str(self.store.root / "memo" / f"{step.name}.sqlite"),
            erased=self.erased if step.stage.source is not None else None,
            sample=self.pipeline.sample,
        )

    @cached_property
    def erased(self) -> Erased:
        """What the sources may hold of people who were erased."""
        keys = self.store.keys()
        return record.erased(self.ledger.folder, tuple(key.secret for key in keys))

    def artifact_key(self, step: Step, recipe: str, equipment: Mapping[str, str | None]) -> str:
        """What an artifact is kept under: the recipe, or only the options and equipment that its stage pins it to."""
        if step.stage.fit_fields is None:
            return recipe
        options = {name: getattr(step.config, name) for name in step.stage.fit_fields}
        return text_digest(step.name, step.stage.name, options, self.pipeline.settings.seed, dict(equipment))

    def _why(
        self, step: Step, recipe: str, artifact: str, parents: Sequence[Version], previous: Sequence[Version]
    ) -> str:
        if not previous:
            return "first run"
        last = previous[0]
        if step.name in self.rebuild:
            return "rebuild on request"
        for one in previous:
            if one.gone and "damaged" in one.details:
                return str(one.details["damaged"])
        if last.recipe != recipe:
            changed = last.config != step.config.model_dump(mode="json")
            return "its options have changed" if changed else "its code, key or libraries have changed"
        if last.artifact != artifact:
            return "what it learned has changed"
        return "its input has changed"

    def _extendable(
        self, step: Step, recipe: str, artifact: str, parents: Sequence[Version], previous: Sequence[Version]
    ) -> bool:
        """Whether `previous` plus the parents' difference gives the new version."""
        last = previous[0]
        if step.stage.kind not in ("row", "fitted") or step.name in self.rebuild:
            return False
        if last.recipe != recipe or last.artifact != artifact:
            return False
        if [one.dataset for one in last.parents] != [one.dataset for one in parents]:
            return False
        if any(one.gone for one in previous):
            return False
        untouched = all(self.store.delta_version(one.zone, one.dataset) == one.delta_version for one in previous)
        untouched &= self.store.delta_version("clean", step.rejects) == last.rejects_version
        before = [self.catalog.find_name(one.name) for one in last.parents]
        pairs = zip(before, parents, strict=True)
        return untouched and all(
            old is not None and not old.gone and old.delta_version <= new.delta_version for old, new in pairs
        )


def tables_of(step: Step) -> list[str]:
    """Names of the tables that a step writes: its datasets and its rejects."""
    return [*step.datasets.values(), step.rejects]
