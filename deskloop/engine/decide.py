"""Whether a step's published version is reused, extended, or computed; reads digests, counts and code, no rows.

recipe + digests of the input = fingerprint; published under it already -> reuse
same recipe, input changed, rows independent of each other             -> extend by the difference
anything else                                                          -> compute
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from deskloop.contract.erased import Erased
from deskloop.contract.errors import DamageError
from deskloop.contract.stage import (
    Context,
    DataStage,
    FittedStage,
    ModelStage,
    PromotionStage,
    RowStage,
    SourceStage,
    TableStage,
)
from deskloop.engine.inputs import Versions, artifacts_of, parents_of
from deskloop.engine.recipe import recipe_of
from deskloop.models.folder import folder_problem, place_of
from deskloop.pipeline.pipeline import Pipeline, Step
from deskloop.store import erasures, zones
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
        inputs: name and digest of what it reads besides versions: a source's files, an artifact.
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


def fingerprint_of(recipe: str, artifact: str, inputs: Sequence[str], parents: Sequence[Parent], erased: str) -> str:
    """What a version is known by: everything that decides its rows.

    Args:
        inputs: digests of what is read besides versions.
        erased: digest of what a source must refuse; empty where nothing was erased.
    """
    refused = [erased] if erased and not parents else []
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

    def decide(self, step: Step, inputs: Versions) -> Decision:
        """Reuse, extend or compute; reads digests and the code, no rows."""
        stage = step.stage
        context = self.context(step)
        equipment = stage.equipment(step.config, context) if stage.equipment is not None else {}
        recipe = recipe_of(context, stage, step.config, self.store.key()[0], equipment)
        return replace(self._decide(step, inputs, recipe, equipment), equipment=equipment)

    def _decide(self, step: Step, inputs: Versions, recipe: str, equipment: Mapping[str, str | None]) -> Decision:
        parents = parents_of(step.stage, inputs)
        read = artifacts_of(step.stage, inputs)
        artifact, refit = self._artifact(step, recipe, equipment, parents, dict(read).get("artifact", ""))
        erased = ""
        if isinstance(step.stage, SourceStage):
            read = step.stage.inputs(step.config, self.context(step))
            erased = erasures_digest(self.erased.erasures)
        digests, made_of = [digest for _, digest in read], [parent.as_parent() for parent in parents]
        fingerprint = "" if refit else fingerprint_of(recipe, artifact, digests, made_of, erased)
        if isinstance(step.stage, PromotionStage):
            return Decision("compute", "a decision is taken in every run", recipe, "", fingerprint, (), "", read)
        found = [] if refit or step.name in self.rebuild else self.catalog.find(step.name, fingerprint)
        broken = self._broken(step, found)
        if found and not broken:
            order = list(step.datasets.values())
            found.sort(key=lambda version: order.index(version.dataset))
            return Decision("reuse", "nothing it depends on has changed", recipe, artifact, fingerprint, found)
        latest = [self.catalog.latest(name) for name in step.datasets.values()]
        previous = [version for version in latest if version is not None]
        why = refit or broken or self._why(step, recipe, artifact, previous)
        may_extend = len(previous) == len(latest) and not refit and not broken
        if may_extend and self._extendable(step, recipe, artifact, parents, previous):
            return Decision("extend", why, recipe, artifact, fingerprint, previous, "", read)
        replaced = found if isinstance(step.stage, ModelStage) else previous
        return Decision("compute", why, recipe, artifact, fingerprint, replaced, refit, read)

    def _broken(self, step: Step, found: Sequence[Version]) -> str:
        """What is wrong with the step's tables or model, those of `found` or of its latest versions; "" if nothing.

        Raises:
            DamageError: of a table that cannot be rebuilt.
        """
        if isinstance(step.stage, ModelStage):
            problem = folder_problem(self.store.root, found[0]) if found else ""
            return f"{place_of(found[0])} was damaged: {problem}" if problem else ""
        if not isinstance(step.stage, DataStage):
            return ""
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
        return "; ".join(f"{name} was damaged: {self.broken[name]}" for name in step.tables if name in self.broken)

    def _artifact(
        self, step: Step, recipe: str, equipment: Mapping[str, str | None], parents: Sequence[Version], given: str
    ) -> tuple[str, str]:
        """(hash of the artifact to use, or why it must be fitted).

        Args:
            given: hash of another step's artifact to use instead.
        """
        if given or not isinstance(step.stage, FittedStage):
            return given, ""
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
        """What a step's functions are given."""
        settings, stage = self.pipeline.settings, step.stage
        remembers = isinstance(stage, TableStage) and stage.remember is not None
        return Context(
            step=step.name,
            seed=settings.seed,
            key=self.store.key()[1] if stage.keyed else b"",
            configs={
                name: [one.config for one in self.pipeline.before(step) if one.stage.name == name]
                for name in stage.config_of
            },
            artifact=self.ledger.files(artifact) if artifact else {},
            families=self.ledger.families() if remembers else None,
            memo=str(self.store.root / "memo" / f"{step.name}.sqlite"),
            erased=self.erased if isinstance(stage, SourceStage) else None,
            sample=self.pipeline.sample,
        )

    @cached_property
    def erased(self) -> Erased:
        """What the sources may hold of people who were erased."""
        keys = self.store.keys()
        return erasures.erased(self.ledger.folder, tuple(key.secret for key in keys))

    def artifact_key(self, step: Step, recipe: str, equipment: Mapping[str, str | None]) -> str:
        """What an artifact is kept under: the recipe, or only the options and equipment that its stage pins it to."""
        fields = step.stage.fit_fields if isinstance(step.stage, FittedStage) else None
        if fields is None:
            return recipe
        options = {name: getattr(step.config, name) for name in fields}
        return text_digest(step.name, step.stage.name, options, self.pipeline.settings.seed, dict(equipment))

    def _why(self, step: Step, recipe: str, artifact: str, previous: Sequence[Version]) -> str:
        if not previous:
            return "first run"
        last = previous[0]
        if step.name in self.rebuild:
            return "rebuild on request"
        for version in previous:
            if version.gone and "damaged" in version.details:
                return str(version.details["damaged"])
        if last.recipe != recipe:
            changed = last.config != step.config.model_dump(mode="json")
            return "its options have changed" if changed else "its code, key or libraries have changed"
        if last.artifact != artifact:
            return "its artifact has changed"
        return "its input has changed"

    def _extendable(
        self, step: Step, recipe: str, artifact: str, parents: Sequence[Version], previous: Sequence[Version]
    ) -> bool:
        """Whether `previous` plus the parents' difference gives the new version."""
        last = previous[0]
        if not isinstance(step.stage, RowStage) or step.name in self.rebuild:
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
