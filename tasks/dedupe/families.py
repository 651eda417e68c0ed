"""Families and their splits, as a fold over the batches with the ledger as state.

Conversations that share a customer or are near-duplicates are connected. A connected component becomes one family with
one split, both permanent. A conversation that arrives later joins the family that it is connected to. If that would
join families of different splits, test takes precedence over validation and validation over train. The losing side is
rejected permanently (`excluded`), together with the new conversations that connect it to the winner or depend on it.
Rejected conversations no longer connect others.

Processing the batches one by one, with the ledger in between, gives the same result as one run over all of them (P5),
because a batch depends only on earlier conversations and the decisions about them.
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
    """The connections between n conversations.

    Attributes:
        members, keys: (links,) conversation `members[i]` has the customer key number `keys[i]`.
        limit: a key of more conversations than this is not a customer and connects nothing.
        of: (n,) number of the conversation's shingle set; equal sets connect.
        left, right: (pairs,) numbers of near-duplicate sets.
    """

    members: Indices
    keys: Indices
    limit: int
    of: Indices
    left: Indices
    right: Indices

    def shared_keys(self, present: Mask) -> Mask:
        """Return a (keys,) mask of keys with more conversations than `limit` among those `present` (n,)."""
        return np.bincount(self.keys[present[self.members]], minlength=int(self.keys.max(initial=-1)) + 1) > self.limit

    def components(self, present: Mask, active: Mask) -> Indices:
        """Return (n,) the number of each `active` conversation's connected component; -1 for the others.

        Rejected conversations are `present` but not `active`: they still count for a customer key, so that rejecting
        some does not turn a shared key into a customer.
        """
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        alive = np.zeros(int(self.of.max(initial=-1)) + 1, dtype=bool)
        alive[self.of[active]] = True
        near = alive[self.left] & alive[self.right]
        shared = self.shared_keys(present)
        links = active[self.members] & ~shared[self.keys]
        first_key, first_set = len(self.of), len(self.of) + len(shared)
        rows = np.flatnonzero(active)
        sources = np.concatenate([rows, self.members[links], first_set + self.left[near]])
        targets = np.concatenate(
            [first_set + self.of[rows], first_key + self.keys[links], first_set + self.right[near]]
        )
        size = first_set + len(alive)
        graph = coo_matrix((np.ones(len(sources), dtype=np.int8), (sources, targets)), shape=(size, size))
        labels = connected_components(graph, directed=False)[1][: len(self.of)].astype(np.int64)
        labels[~active] = -1
        return labels

    def neighbours(self, present: Mask, selected: Mask) -> Mask:
        """Return an (n,) mask of conversations with a customer or near-duplicate among the `selected` (n,)."""
        shared = self.shared_keys(present)
        keys = np.zeros(len(shared), dtype=bool)
        keys[self.keys[selected[self.members]]] = True
        sets = np.zeros(int(self.of.max(initial=-1)) + 1, dtype=bool)
        sets[self.of[selected]] = True
        near = sets.copy()
        near[self.right[sets[self.left]]] = True
        near[self.left[sets[self.right]]] = True
        result = near[self.of]
        result[self.members[(keys & ~shared)[self.keys]]] = True
        return result


def family_name(conversation: str) -> str:
    """Return the family's name: a hash of its first member's id, because that member may be erased later."""
    return f"f-{hashlib.blake2b(conversation.encode(), digest_size=8).hexdigest()}"


def assign_families(
    conversations: pd.DataFrame,
    links: Links,
    ledger: pd.DataFrame | None,
    shares: Mapping[str, float],
    heldout: Mask | None = None,
) -> pd.DataFrame:
    """Assign a family and a split to every conversation.

    Args:
        conversations: (n, conversation_id, batch, key, stratum), unique, sorted by `batch` and then by `key`, the keyed
            random number of a conversation. Not modified.
        links: the connections between them, by position.
        ledger: (m, conversation_id, family, split, excluded), the earlier decisions, or None; conversations other than
            the n are ignored.
        shares: split -> its share.
        heldout: (n,) conversations for evaluation only: a new family that contains one goes to the test split; one
            that is connected to a family of another split is rejected.
    Returns:
        (n, family, split, excluded) in the order and with the index of `conversations`; `excluded`: rejected for good.
    """
    fold = _Fold(conversations, links, ledger, heldout)
    fold.settle(fold.decided.copy(), shares)  # a decided conversation's text or customer may have changed
    batches = conversations["batch"].to_numpy()
    for batch in np.unique(batches[~fold.decided]):
        fold.settle(~fold.decided & (batches == batch), shares)
    result = pd.DataFrame(
        {"family": fold.family, "split": fold.split, "excluded": fold.excluded}, index=conversations.index
    )
    return result.astype({"family": "str", "split": "str"})


class _Fold:
    """The state of the fold: the decisions so far about each of the n conversations.

    Attributes:
        decided: (n,) whether the conversation has a family and a split.
        family, split, excluded: (n,) the decisions.
        home: (n,) the stratum of the family.
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
        self.excluded = np.zeros(len(self.ids), dtype=bool)
        self.decided = np.zeros(len(self.ids), dtype=bool)
        if ledger is not None and len(ledger):
            self._load(ledger.set_index("conversation_id").reindex(self.ids))

    def _load(self, ledger: pd.DataFrame) -> None:
        """Load earlier decisions; `ledger` has a row for each of the n conversations, null for new ones."""
        self.decided = ledger["family"].notna().to_numpy(dtype=bool)
        for state, name in ((self.family, "family"), (self.split, "split"), (self.excluded, "excluded")):
            state[self.decided] = ledger[name].to_numpy(dtype=object)[self.decided]
        position = {family_name(name): number for number, name in enumerate(self.ids)}
        first: dict[str, int] = {}
        for number in np.flatnonzero(self.decided).tolist():
            family = self.family[number]
            first.setdefault(family, position.get(family, number))  # the member it is named for may have been erased
            self.home[number] = self.strata[first[family]]

    def settle(self, touched: Mask, shares: Mapping[str, float]) -> None:
        """Decide on the components that contain `touched` (n,) conversations, new or decided."""
        present = self.decided | touched
        labels = self.links.components(present, present & ~self.excluded)
        labels[~np.isin(labels, labels[touched])] = -1
        fresh: list[Indices] = []
        for members in _groups(labels):
            splits = set(self.split[members]) - {None}
            if len(splits) > 1:
                self._resolve(members, next(split for split in PRECEDENCE if split in splits), present)
            elif splits and splits != {"test"} and (self.heldout & ~self.decided)[members].any():
                self._resolve(members, splits.pop(), present, self.heldout & ~self.decided)
            elif splits:
                self._join(members, members[self.decided[members]][0])
            elif self.heldout[members].any():
                self._begin(members, "test")
            else:
                fresh.append(members)
        families = [NewFamily(self.strata[first[0]], int(self.keys[first[0]]), len(first)) for first in fresh]
        live = ~self.excluded & pd.notna(self.split)
        assigned = Counter(zip(self.home[live], self.split[live], strict=True))
        for members, split in zip(fresh, stratify(families, assigned, shares), strict=True):
            self._begin(members, split)
        self.decided = present

    def _begin(self, members: Indices, split: str) -> None:
        """Create a family, named for its first member."""
        self.family[members], self.split[members] = family_name(self.ids[members[0]]), split
        self.home[members] = self.strata[members[0]]

    def _join(self, members: Indices, owner: int) -> None:
        """Add the undecided members to the family of `owner`."""
        joining = members[~self.decided[members]]
        for state in (self.family, self.split, self.home):
            state[joining] = state[owner]

    def _resolve(self, members: Indices, winner: str, present: Mask, excluded: Mask | None = None) -> None:
        """Reject the losers, the new conversations next to them, and those connected to the winner only through them.

        Args:
            excluded: (n,) further conversations that must not join the winner.
        """
        losers = members[self.decided[members] & (self.split[members] != winner)]
        cut = self._mask(losers)
        cut |= self._mask(members) & ~self.decided & self.links.neighbours(present, cut)
        if excluded is not None:
            cut |= self._mask(members) & excluded
        for part in _groups(self.links.components(present, self._mask(members) & ~cut)):
            owners = part[self.decided[part]]
            if len(owners):
                self._join(part, owners[0])
            else:
                cut[part] = True
        rejected = np.flatnonzero(cut)
        self._join(rejected, losers[0] if len(losers) else members[self.decided[members]][0])
        self.excluded[rejected] = True

    def _mask(self, members: Indices) -> Mask:
        mask = np.zeros(len(self.ids), dtype=bool)
        mask[members] = True
        return mask


def _groups(labels: Indices) -> Iterable[Indices]:
    """Return the ascending positions of each component, ordered by the first one; -1 labels no component."""
    order = np.argsort(labels, kind="stable")
    order = order[np.searchsorted(labels[order], 0) :]
    groups = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1) if len(order) else []
    return sorted(groups, key=lambda group: group[0])
