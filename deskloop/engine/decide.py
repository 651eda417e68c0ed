"""Decides whether a step's published version is reused, extended or computed; reads digests, counts and code, no rows.

fingerprint (recipe + digests of the inputs) already published         -> reuse
same recipe, other inputs, rows independent of each other              -> extend by the difference
otherwise                                                              -> compute
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
    """The action of a step, with its reason.

    Attributes:
        action: `reuse`, `extend` or `compute`.
        fingerprint: empty if an artifact must be fitted first.
        versions: the versions to reuse or extend, or those that are replaced.
        refit: why an artifact must be fitted first; empty if it need not be.
        inputs: name and digest of inputs other than versions: a source's files, an artifact.
        equipment: external tools and models of the stage, None if missing; see `Stage.equipment`.
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
    """Return the digest of everything that determines a version's rows.

    Args:
        inputs: digests of inputs other than versions.
        erased: digest of the erasures that a source applies; empty if there are none.
    """
    erasures = [erased] if erased and not parents else []
    return text_digest(recipe, artifact, [*inputs, *(parent.digest for parent in parents), *erasures])


class Decider:
    """Decides for the steps of one pipeline and one store."""

    def __init__(
        self, pipeline: Pipeline, store: Store, refit: Collection[str] = (), rebuild: Collection[str] = ()
    ) -> None:
        self.pipeline, self.store = pipeline, store
        self.catalog = Catalog(store.root / "catalog")
        self.ledger = Ledger(store.root / "ledger")
        self.refit, self.rebuild = set(refit), set(rebuild)
        self.broken: dict[str, str] = {}  # damaged table to be rebuilt -> the problem
        if self.catalog.versions and not any(self.ledger.folder.glob("*/_delta_log")):
            raise DamageError("ledger", "all of its tables are missing")

    def decide(self, step: Step, inputs: Versions) -> Decision:
        """Choose between reuse, extend and compute, from digests and code, without reading rows."""
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
        digests, lineage = [digest for _, digest in read], [parent.as_parent() for parent in parents]
        fingerprint = "" if refit else fingerprint_of(recipe, artifact, digests, lineage, erased)
        if isinstance(step.stage, PromotionStage):
            return Decision("compute", "promotion is decided in every run", recipe, "", fingerprint, (), "", read)
        published = [] if refit or step.name in self.rebuild else self._published(step, fingerprint)
        broken = self._broken(step, published)
        if published and not broken:
            return Decision("reuse", "nothing it depends on has changed", recipe, artifact, fingerprint, published)
        latest = [self.catalog.latest(name) for name in step.datasets.values()]
        previous = [version for version in latest if version is not None]
        why = refit or broken or self._why(step, recipe, artifact, previous)
        may_extend = len(previous) == len(latest) and not refit and not broken
        if may_extend and self._extendable(step, recipe, artifact, parents, previous):
            return Decision("extend", why, recipe, artifact, fingerprint, previous, "", read)
        replaced = published if isinstance(step.stage, ModelStage) else previous
        return Decision("compute", why, recipe, artifact, fingerprint, replaced, refit, read)

    def _published(self, step: Step, fingerprint: str) -> list[Version]:
        """Return the versions with a fingerprint in the order of the step's datasets; none if a dataset lacks one.

        The fingerprint does not cover the datasets' names: a model's dataset has the name of the pipeline.
        """
        by_dataset = {version.dataset: version for version in self.catalog.find(step.name, fingerprint)}
        versions = [by_dataset.get(name) for name in step.datasets.values()]
        present = [version for version in versions if version is not None]
        return present if len(present) == len(versions) else []

    def _broken(self, step: Step, published: Sequence[Version]) -> str:
        """Return the damage of the step's tables or model, in `published` or else its latest versions; "" if none.

        Raises:
            DamageError: a damaged table cannot be rebuilt.
        """
        if isinstance(step.stage, ModelStage):
            problem = folder_problem(self.store.root, published[0]) if published else ""
            return f"{place_of(published[0])} was damaged: {problem}" if problem else ""
        if not isinstance(step.stage, DataStage):
            return ""
        latest = [self.catalog.latest(name) for name in step.datasets.values()]
        for version in published or [version for version in latest if version is not None]:
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
        self, step: Step, recipe: str, equipment: Mapping[str, str | None], parents: Sequence[Version], shared: str
    ) -> tuple[str, str]:
        """Return (hash of the latest artifact, why it must be fitted); the reason is "" if it need not be.

        Args:
            shared: hash of another step's artifact, which is used instead.
        """
        if shared or not isinstance(step.stage, FittedStage):
            return shared, ""
        latest = self.ledger.artifact(step.name, self.artifact_key(step, recipe, equipment))
        if latest is None:
            return "", "first fit"
        digest, fitted_on = latest
        growth, rows = step.stage.refit_growth, sum(parent.rows for parent in parents)
        if step.name in self.refit:
            return digest, "refit on request"
        if growth is not None and rows >= fitted_on * (1 + growth):
            return digest, f"refit: {fitted_on:,} rows have become {rows:,}"
        return digest, ""

    def context(self, step: Step, artifact: str = "") -> Context:
        """Return the context that a step's functions receive."""
        settings, stage = self.pipeline.settings, step.stage
        remembers = isinstance(stage, TableStage) and stage.remember is not None
        return Context(
            step=step.name,
            seed=settings.seed,
            key=self.store.key()[1] if stage.keyed else b"",
            configs={
                name: [before.config for before in self.pipeline.before(step) if before.stage.name == name]
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
        """The erasures that sources apply to the records that they read."""
        keys = self.store.keys()
        return erasures.erased(self.ledger.folder, tuple(key.secret for key in keys))

    def artifact_key(self, step: Step, recipe: str, equipment: Mapping[str, str | None]) -> str:
        """Return an artifact's key in the ledger: the recipe, or a digest of `fit_fields` and equipment."""
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
        """Return whether `previous` plus the parents' difference gives the new version."""
        last = previous[0]
        if not isinstance(step.stage, RowStage) or step.name in self.rebuild:
            return False
        if last.recipe != recipe or last.artifact != artifact:
            return False
        if [parent.dataset for parent in last.parents] != [parent.dataset for parent in parents]:
            return False
        if any(version.gone for version in previous):
            return False
        untouched = all(self.store.delta_version(each.zone, each.dataset) == each.delta_version for each in previous)
        untouched &= self.store.delta_version("clean", step.rejects) == last.rejects_version
        before = [self.catalog.find_name(parent.name) for parent in last.parents]
        pairs = zip(before, parents, strict=True)
        return untouched and all(
            old is not None and not old.gone and old.delta_version <= new.delta_version for old, new in pairs
        )
