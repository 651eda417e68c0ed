"""Families and their splits, as a fold over the batches with the ledger as state.

Conversations that share a customer or are near-duplicates are connected; what is connected becomes one family with one
split, and keeps both for good. A conversation that arrives later joins the family it is connected to. Where that would
join families of different splits, evaluation stays as it is: test before validation before train, and the losing side
is held, together with the new conversations that tie it to the winner or hang on it. Held conversations are rejected
from then on and connect nothing any more.

Batch after batch with the ledger in between gives what one run over all batches gives (P5), since a batch sees only
conversations of earlier ones and what was decided about them.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.dedupe.shingles import Indices
from tasks.dedupe.strata import NewFamily, stratify

PRECEDENCE = ("test", "validation", "train")

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Links:
    """What connects n conversations.

    Attributes:
        members, keys: (links,) conversation `members[i]` has the customer key number `keys[i]`.
        limit: a key of more conversations than this is not a customer, and connects nothing.
        of: (n,) number of the conversation's shingle set; equal sets connect.
        left, right: (pairs,) numbers of sets that are near-duplicates.
    """

    members: Indices
    keys: Indices
    limit: int
    of: Indices
    left: Indices
    right: Indices

    def shared_keys(self, present: Mask) -> Mask:
        """(keys,) true where a key has more conversations than `limit` among those `present` (n,)."""
        return np.bincount(self.keys[present[self.members]], minlength=int(self.keys.max(initial=-1)) + 1) > self.limit

    def components(self, present: Mask, active: Mask) -> Indices:
        """(n,) the number of each `active` conversation's connected component; -1 for the others.

        Held conversations are `present` without being `active`: they count as conversations of a customer key, so that
        holding some does not turn a shared key into a customer.
        """
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        alive = np.zeros(int(self.of.max(initial=-1)) + 1, dtype=bool)
        alive[self.of[active]] = True
        near = alive[self.left] & alive[self.right]
        shared = self.shared_keys(present)
        known = active[self.members] & ~shared[self.keys]
        first_key, first_set = len(self.of), len(self.of) + len(shared)
        rows = np.flatnonzero(active)
        sources = np.concatenate([rows, self.members[known], first_set + self.left[near]])
        targets = np.concatenate(
            [first_set + self.of[rows], first_key + self.keys[known], first_set + self.right[near]]
        )
        size = first_set + len(alive)
        graph = coo_matrix((np.ones(len(sources), dtype=np.int8), (sources, targets)), shape=(size, size))
        labels = connected_components(graph, directed=False)[1][: len(self.of)].astype(np.int64)
        labels[~active] = -1
        return labels

    def neighbours(self, present: Mask, some: Mask) -> Mask:
        """(n,) the conversations that have a customer or a near-duplicate among `some` (n,)."""
        shared = self.shared_keys(present)
        keys = np.zeros(len(shared), dtype=bool)
        keys[self.keys[some[self.members]]] = True
        sets = np.zeros(int(self.of.max(initial=-1)) + 1, dtype=bool)
        sets[self.of[some]] = True
        near = sets.copy()
        near[self.right[sets[self.left]]] = True
        near[self.left[sets[self.right]]] = True
        result = near[self.of]
        result[self.members[(keys & ~shared)[self.keys]]] = True
        return result


def family_name(conversation: str) -> str:
    """Name of the family whose first member is this conversation; tells no id, as the first member may be erased."""
    return f"f-{hashlib.blake2b(conversation.encode(), digest_size=8).hexdigest()}"


def assign_families(
    conversations: pd.DataFrame,
    links: Links,
    ledger: pd.DataFrame | None,
    shares: Mapping[str, float],
    heldout: Mask | None = None,
) -> pd.DataFrame:
    """Family, split and held of every conversation.

    Args:
        conversations: (n, conversation_id, batch, key, stratum), unique, in the order in which they came: by `batch`,
            then `key`, the keyed random number of a conversation. Not modified.
        links: what connects them, by position.
        ledger: (m, conversation_id, family, split, held) as remembered, or None; conversations that are not among the
            n are left alone.
        shares: split to its share.
        heldout: (n,) conversations for evaluation alone: a new family with one is for the test split; one that belongs
            to a family of another split is held.
    Returns:
        (n, family, split, held) in the order and with the index of `conversations`.
    """
    fold = _Fold(conversations, links, ledger, heldout)
    fold.settle(fold.known.copy(), shares)  # known ones whose text or customer has changed
    batches = conversations["batch"].to_numpy()
    for batch in np.unique(batches[~fold.known]):
        fold.settle(~fold.known & (batches == batch), shares)
    decided = pd.DataFrame({"family": fold.family, "split": fold.split, "held": fold.held}, index=conversations.index)
    return decided.astype({"family": "str", "split": "str"})


class _Fold:
    """The state of the fold: what is decided so far about each of the n conversations.

    Attributes:
        known: (n,) whether anything is; `family`, `split`, `held` and `home`, the stratum of the family, say what.
    """

    def __init__(
        self, conversations: pd.DataFrame, links: Links, ledger: pd.DataFrame | None, heldout: Mask | None = None
    ) -> None:
        self.links = links
        self.heldout = np.zeros(len(conversations), dtype=bool) if heldout is None else heldout
        self.ids = conversations["conversation_id"].to_numpy(dtype=object)
        self.keys = conversations["key"].to_numpy()
        self.strata = conversations["stratum"].to_numpy(dtype=object)
        self.family, self.split, self.home = (np.full(len(self.ids), None, dtype=object) for _ in range(3))
        self.held = np.zeros(len(self.ids), dtype=bool)
        self.known = np.zeros(len(self.ids), dtype=bool)
        if ledger is not None and len(ledger):
            self._recall(ledger.set_index("conversation_id").reindex(self.ids))

    def _recall(self, ledger: pd.DataFrame) -> None:
        """Take over what is remembered; `ledger` has a row for each of the n conversations, null where new."""
        self.known = ledger["family"].notna().to_numpy(dtype=bool)
        for state, name in ((self.family, "family"), (self.split, "split"), (self.held, "held")):
            state[self.known] = ledger[name].to_numpy(dtype=object)[self.known]
        position = {family_name(name): number for number, name in enumerate(self.ids)}
        first: dict[str, int] = {}
        for number in np.flatnonzero(self.known).tolist():
            family = self.family[number]
            first.setdefault(family, position.get(family, number))  # named for its first member, which may be gone
            self.home[number] = self.strata[first[family]]

    def settle(self, touched: Mask, shares: Mapping[str, float]) -> None:
        """Decide the components of `touched` (n,) conversations, new ones or known ones."""
        present = self.known | touched
        labels = self.links.components(present, present & ~self.held)
        labels[~np.isin(labels, labels[touched])] = -1
        fresh: list[Indices] = []
        for members in _groups(labels):
            splits = set(self.split[members]) - {None}
            if len(splits) > 1:
                self._resolve(members, next(split for split in PRECEDENCE if split in splits), present)
            elif splits and splits != {"test"} and (self.heldout & ~self.known)[members].any():
                self._resolve(members, splits.pop(), present, self.heldout & ~self.known)
            elif splits:
                self._join(members, members[self.known[members]][0])
            elif self.heldout[members].any():
                self._begin(members, "test")
            else:
                fresh.append(members)
        families = [NewFamily(self.strata[first[0]], int(self.keys[first[0]]), len(first)) for first in fresh]
        live = ~self.held & pd.notna(self.split)
        assigned = Counter(zip(self.home[live], self.split[live], strict=True))
        for members, split in zip(fresh, stratify(families, assigned, shares), strict=True):
            self._begin(members, split)
        self.known = present

    def _begin(self, members: Indices, split: str) -> None:
        """A new family, named for its first member."""
        self.family[members], self.split[members] = family_name(self.ids[members[0]]), split
        self.home[members] = self.strata[members[0]]

    def _join(self, members: Indices, owner: int) -> None:
        """The members that are not known yet join the family of `owner`."""
        joining = members[~self.known[members]]
        for state in (self.family, self.split, self.home):
            state[joining] = state[owner]

    def _resolve(self, members: Indices, winner: str, present: Mask, also: Mask | None = None) -> None:
        """Hold the losers, the new conversations that touch them, and what reaches no winner but through those.

        Args:
            also: (n,) others that must not join the winner.
        """
        losers = members[self.known[members] & (self.split[members] != winner)]
        cut = self._mask(losers)
        cut |= self._mask(members) & ~self.known & self.links.neighbours(present, cut)
        if also is not None:
            cut |= self._mask(members) & also
        for part in _groups(self.links.components(present, self._mask(members) & ~cut)):
            owners = part[self.known[part]]
            if len(owners):
                self._join(part, owners[0])
            else:
                cut[part] = True
        held = np.flatnonzero(cut)
        self._join(held, losers[0] if len(losers) else members[self.known[members]][0])
        self.held[held] = True

    def _mask(self, members: Indices) -> Mask:
        mask = np.zeros(len(self.ids), dtype=bool)
        mask[members] = True
        return mask


def _groups(labels: Indices) -> Iterable[Indices]:
    """The positions of each component, ascending, in the order of their first; those labelled -1 are in none."""
    order = np.argsort(labels, kind="stable")
    order = order[np.searchsorted(labels[order], 0) :]
    groups = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1) if len(order) else []
    return sorted(groups, key=lambda group: group[0])
