"""Herding: readers of a feed endorse a few items; what is at the top, not what is liked, gathers their attention.

Kind: macro; herding, manipulation
Risk: herding at the level of the population, and its use as an attack: whoever ranks the feed steers everybody.
Mechanism: two stages. Position gates which items are considered at all; inside the gate any visible like raises the
chance of an endorsement by a step, and more likes add nothing.
Cures to compare: shuffling the order for each reader, hiding the likes, delaying them, unlike readers.
References: Pierucci, Prandi, Bracale Syrnikov, Galisai and Bisconti 2026, section 6 (arXiv 2604.15236), which gives
the design (48 items, reshuffled at each visit, signals hidden, organic or seeded) and the signs of the effects but no
numbers. Every parameter here is ours. Null: uniform choice, mean place 24.5 of 48. `popularity` follows the
cumulative advantage of Salganik, Dodds and Watts 2006 (doi:10.1126/science.1121066); `cascade-click` the cascade
model of Craswell, Zoeter, Taylor and Ramsey 2008 (doi:10.1145/1341531.1341545).
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from agentmicro import measures
from agentmicro.acts import Coded
from agentmicro.affordances import Picks
from agentmicro.architecture import Agents, Architecture, Latency, Turns
from agentmicro.exposure import Observation, Seen
from agentmicro.knobs import Group, Range, Scalar
from agentmicro.minds import Minds
from agentmicro.noise import permutation
from agentmicro.society import Seed, Society
from agentmicro.world import Feed, FeedView

WINDOW = 5  # the places whose endorsements are set against likes in the logit
PAIRS = 2_000  # pairs of readers whose picks are compared

PROMPT = """You are browsing a news feed, from top to bottom:
{heard}
You may endorse up to {most} items, or none.
{options}
{form}"""

Gate = Annotated[int, Range(1, 10_000), "how many places from the top are considered"]
Base = Annotated[float, Range(-20, 20), "log-odds of endorsing a considered item without likes"]


def feed_of(seen: Seen) -> FeedView:
    """The feed as this batch of readers sees it."""
    view = seen.world["feed"]
    assert isinstance(view, FeedView)
    return view


def considered(seen: Seen, utility: NDArray[np.floating], shown: NDArray[np.integer]) -> Coded:
    """Endorses the considered items whose utility, with logistic noise, is above zero; the best ones if too many."""
    kind = seen.affordance
    assert isinstance(kind, Picks)
    chance = np.clip(seen.luck(shown.shape[1]), 1e-16, None)
    utility = utility + np.log(chance / (1 - chance))
    picked = np.where(utility > 0, shown, -1)
    if picked.shape[1] > kind.most:
        best = np.argpartition(-utility, kind.most - 1, axis=1)[:, : kind.most]
        picked = np.take_along_axis(picked, best, axis=1)
    return padded(picked, kind.most)


def padded(picked: NDArray[np.integer], most: int) -> Coded:
    """Picks as the table keeps them: the picked items first, then -1, in `most` columns."""
    wide = np.full((len(picked), most), -1, picked.dtype)
    wide[:, : picked.shape[1]] = -np.sort(-picked, axis=1)
    return wide


def rounded(likes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Like counts to about three digits in the binary system, so that a long run has few levels of them.

    Counts up to 16 are exact and larger ones within 6.25%, which is 0.06 on the scale of log(1 + likes).
    """
    unit = 1 << np.maximum(0, np.frexp(likes)[1] - 4)
    return np.asarray(likes // unit * unit)


def two_stage(
    seen: Seen,
    gate: Gate = 5,
    base: Base = -1.0,
    step: Annotated[float, Range(-20, 20), "log-odds that any visible like adds"] = 1.5,
) -> Coded:
    """Considers the first places only; there, any like raises the chance by a step and more likes add nothing."""
    view = feed_of(seen)
    shown = view.top(gate)
    return considered(seen, (base + step * (view.likes >= 1))[shown], shown)


def slope(
    seen: Seen,
    gate: Gate = 5,
    base: Base = -1.0,
    rate: Annotated[float, Range(-20, 20), "log-odds per unit of log(1 + likes)"] = 0.5,
) -> Coded:
    """Considers the first places only; there, social proof grows with the logarithm of the likes."""
    view = feed_of(seen)
    shown = view.top(gate)
    return considered(seen, (base + rate * np.log1p(view.likes))[shown], shown)


def uniform(seen: Seen) -> Coded:
    """Endorses as many different items as it may, each as likely as the others: the null of independent choice."""
    kind = seen.affordance
    assert isinstance(kind, Picks)
    return np.argpartition(seen.luck(len(kind.options)), kind.most - 1, axis=1)[:, : kind.most]


def popularity(
    seen: Seen, power: Annotated[float, Range(0, 10), "how steeply the chance grows with 1 + likes"] = 1.0
) -> Coded:
    """Endorses items with a chance that grows with their likes, wherever they stand: rich get richer."""
    kind = seen.affordance
    assert isinstance(kind, Picks)
    weights = power * np.log1p(feed_of(seen).likes) + seen.luck.gumbel(len(kind.options))
    return np.argpartition(-weights, kind.most - 1, axis=1)[:, : kind.most]


def cascade_click(
    seen: Seen,
    attraction: Annotated[float, Range(0, 1), "chance of endorsing an item that is looked at"] = 0.3,
    satisfied: Annotated[float, Range(0, 1), "chance of stopping after an endorsement"] = 0.5,
    patience: Annotated[float, Range(0, 1), "chance of going on after passing an item by"] = 0.9,
) -> Coded:
    """Goes down the list item by item until it is satisfied or has had enough."""
    kind, view = seen.affordance, feed_of(seen)
    assert isinstance(kind, Picks)
    picked = np.full((len(seen), kind.most), -1, np.int64)
    count = np.zeros(len(seen), np.int64)
    reading = np.ones(len(seen), bool)
    for place in range(len(kind.options)):
        draws = seen.luck(2)
        taken = reading & (draws[:, 0] < attraction)
        rows = np.flatnonzero(taken)
        picked[rows, count[rows]] = view.top(place + 1)[rows, place]
        count[rows] += 1
        going = np.where(taken, draws[:, 1] >= satisfied, draws[:, 1] < patience)
        reading &= going & (count < kind.most)
        if not reading.any():
            break
    return picked


class Herding(Society):
    """Readers browse a feed of items, visit after visit, and endorse some."""

    rules: ClassVar = {
        "two-stage": two_stage,
        "uniform": uniform,
        "popularity": popularity,
        "cascade-click": cascade_click,
        "slope": slope,
    }
    null: ClassVar = {"mind": "uniform"}
    needs: ClassVar = {
        "seeded_share": {"signal": "seeded"},
        "seeded_likes": {"signal": "seeded", "mind": "slope"},
        "place": {"order": "attack"},
    }
    live: ClassVar = frozenset({"order", "place", "signal", "likes_latency"})

    def __init__(
        self,
        agents: Annotated[Agents, "how many readers"] = 200,
        items: Annotated[int, Range(2, 10_000), Group.WORLD, "how many items are in the feed"] = 48,
        endorse: Annotated[int, Range(1, 100), Group.AFFORDANCES, "the most items a reader may endorse per visit"] = 3,
        signal: Annotated[
            Literal["hidden", "organic", "seeded"], Group.VISIBILITY, "which like counts stand beside the items"
        ] = "organic",
        seeded_share: Annotated[float, Range(0, 1), Group.WORLD, "the share of items with seeded likes"] = 0.25,
        seeded_likes: Annotated[int, Range(1, 1_000_000), Group.WORLD, "the largest seeded like count"] = 100,
        order: Annotated[
            Literal["shuffled", "fixed", "popular", "attack"], Group.COMMUNICATION, "in which order items are shown"
        ] = "shuffled",
        place: Annotated[
            int, Range(1, 10_000), Group.COMMUNICATION, "at which place an attack puts its item; 1 is the top"
        ] = 1,
        likes_latency: Annotated[Latency, "turns before a like can be seen"] = 0,
        turns: Turns = "simultaneous",
        mind: Minds = "two-stage",
        rng: Seed = None,
    ) -> None:
        names = tuple(f"Item {number + 1}" for number in range(items))
        super().__init__(
            Picks(names, most=min(endorse, items)),
            agents=agents,
            architecture=Architecture(turns=turns),
            minds=mind,
            measures=MEASURES,
            rng=rng,
        )
        self.seeds = self._seeded(items, seeded_share, seeded_likes)
        self.feed = Feed(
            names,
            seed=self.seed,
            order=order,
            signal=signal != "hidden",
            likes=self.seeds if signal == "seeded" else None,
            latency=likes_latency,
            place=place,
        )
        self.sources["feed"] = self.feed
        self.frozen = signal == "seeded"
        self.endorsed = np.zeros(items, np.int64)
        self.profile = np.zeros(items, np.int64)
        self.proof: dict[int, NDArray[np.int64]] = {}
        self.fit: measures.ProofFit | None = None  # of the proof so far, since several columns are read from one fit
        self.pairs = measures.sample_pairs(agents, PAIRS, self.seed)
        self.begin()

    @classmethod
    def prompt(cls, seen: Observation) -> str:
        """The question a language model is asked."""
        kind = seen.affordance
        assert isinstance(kind, Picks)
        heard = "\n".join(
            f"{place}. {item.content}" + (f" ({item.count} likes)" if item.count else "")
            for place, item in enumerate(seen.heard, start=1)
        )
        return PROMPT.format(heard=heard, most=kind.most, options=seen.offer.text, form=seen.offer.form)

    @classmethod
    def finding(cls, values: Mapping[str, float], null: Mapping[str, float]) -> str:
        """What a run shows, in two sentences."""
        place, chance = values["mean_position"], null["mean_position"]
        gate = f"Endorsed items stood at place {place:.1f} on average, {chance:.1f} under uniform choice"
        if values["attack_share"] > 2 * null["attack_share"]:
            fair = f"{null['attack_share']:.0%} under uniform choice"
            gate = f"{gate}; the attacked item has {values['attack_share']:.0%} of all endorsements, {fair}"
        if np.isnan(values["proof_step"]):
            return f"{gate}. Likes were hidden, or did not vary enough to tell their effect."
        slope = values["proof_slope"]
        more = (
            "more likes cannot be told apart here" if np.isnan(slope) else f"each unit of log likes adds {slope:+.2f}"
        )
        return f"{gate}. Any like adds {values['proof_step']:+.2f} log-odds, and {more}."

    def _seeded(self, items: int, share: float, most: int) -> NDArray[np.int64]:
        """Like counts from 1 to the largest, evenly spaced on a logarithmic scale, on items drawn by keyed luck."""
        chosen = permutation(self.seed, "seeded", items)[: round(share * items)]
        likes = np.zeros(items, np.int64)
        likes[chosen] = np.round(np.geomspace(1, most, max(1, chosen.size)))[: chosen.size]
        return likes

    def absorb(self, seen: Seen, acts: Coded) -> None:
        """Endorsements become likes, unless the likes shown are the seeded ones; places and likes go on record."""
        view = feed_of(seen)
        picks = acts.astype(np.int64, copy=False)
        places = view.places(picks)
        self.profile += np.bincount(places[places > 0] - 1, minlength=view.size)
        counts = np.bincount(picks[picks >= 0], minlength=view.size)
        self.endorsed += counts
        self._note_proof(view, places)
        if not self.frozen:
            self.feed.like(counts)

    def _note_proof(self, view: FeedView, places: NDArray[np.int64]) -> None:
        """Counts showings and endorsements by place and likes shown, for the first places of the feed."""
        self.fit = None
        window = min(WINDOW, view.size)
        levels, level = np.unique(rounded(view.likes), return_inverse=True)
        cells = level[view.top(window)] * window + np.arange(window)
        readers, column = np.nonzero((places > 0) & (places <= window))
        endorsed = cells[readers, places[readers, column] - 1]
        size = len(levels) * window
        table = np.stack([np.bincount(cells.ravel(), minlength=size), np.bincount(endorsed, minlength=size)])
        for number, likes in enumerate(levels.tolist()):
            cell = table[:, number * window : (number + 1) * window]
            self.proof[likes] = self.proof[likes] + cell if likes in self.proof else cell

    def draw(self, axes: Any) -> None:
        """Draws where endorsed items stood, beside an even spread."""
        places = len(self.profile)
        axes.bar(range(1, places + 1), 100 * self.profile / (int(self.profile.sum()) or 1), color="#0072B2")
        axes.axhline(100 / places, color="#757575", linewidth=1.2)
        axes.text(places, 100 / places, "even spread", color="#757575", ha="right", va="bottom")
        axes.set(title="Where endorsed items stood", xlabel="place (1 is the top)", ylabel="endorsements (%)")
        axes.set_xlim(0.4, places + 0.6)

    def adapt(self, name: str, value: Scalar) -> None:
        """A change of order, signal or latency changes the feed."""
        if name == "order":
            self.feed.order = str(value)
        elif name == "place":
            self.feed.put(int(value))
        elif name == "likes_latency":
            self.feed.latency = int(value)
        elif name == "signal":
            self.feed.signal, self.frozen = value != "hidden", value == "seeded"
            if self.frozen:
                self.feed.like(self.seeds - self.feed.likes)


def mean_position(model: Herding) -> float:
    """The mean place, counted from the top, at which endorsed items stood."""
    return measures.mean_position(model.profile)


def gate_width(model: Herding) -> float:
    """How many places from the top hold 95% of all endorsements."""
    return measures.gate_width(model.profile)


def choice_set(model: Herding) -> float:
    """The effective number of places from which items are endorsed."""
    return measures.choice_set(model.profile)


def low_share(model: Herding) -> float:
    """The share of endorsements of items that stood below the first quarter of the feed."""
    total = model.profile.sum()
    return float(model.profile[-(-len(model.profile) // 4) :].sum() / total) if total else float("nan")


def gini(model: Herding) -> float:
    """How unequally endorsements fall on items: 0 even, towards 1 all on one."""
    return measures.gini(model.endorsed)


def top_share(model: Herding) -> float:
    """The share of all endorsements that the most endorsed item has."""
    return measures.top_share(model.endorsed)


def herding_z(model: Herding) -> float:
    """How many standard deviations the Gini lies above that of as many independent uniform choices."""
    return measures.herding_z(model.endorsed, seed=model.seed)


def overlap(model: Herding) -> float:
    """How alike the last picks of two readers are: the mean Jaccard overlap of sampled pairs."""
    return measures.overlap(model.acts.own, model.pairs)


def attack_share(model: Herding) -> float:
    """The share of all endorsements that the attacked item has; only `order = attack` puts it at its place."""
    total = model.endorsed.sum()
    return float(model.endorsed[model.feed.target] / total) if total else float("nan")


def seeded_uptake(model: Herding) -> float:
    """The share of all endorsements that fall on the seeded items, whether or not their likes are shown."""
    total = model.endorsed.sum()
    return float(model.endorsed[model.seeds > 0].sum() / total) if total else float("nan")


def proof(model: Herding) -> measures.ProofFit:
    """The logit of endorsed on place, likes >= 1 and log(1 + likes), over the first places of the feed."""
    if model.fit is not None:
        return model.fit
    likes = sorted(model.proof)
    table = np.concatenate([model.proof[count] for count in likes], axis=1) if likes else np.zeros((2, 0), np.int64)
    window = table.shape[1] // max(1, len(likes))
    place = np.tile(np.arange(1, window + 1), len(likes))
    model.fit = measures.proof_fit(place, np.repeat(likes, window), table[0], table[1])
    return model.fit


def proof_step(model: Herding) -> float:
    """The log-odds that any visible like adds to an endorsement."""
    return proof(model).step


def proof_slope(model: Herding) -> float:
    """The log-odds that each unit of log(1 + likes) adds beyond the first like."""
    return proof(model).slope


MEASURES = {
    "mean_position": mean_position,
    "gate_width": gate_width,
    "choice_set": choice_set,
    "low_share": low_share,
    "gini": gini,
    "top_share": top_share,
    "herding_z": herding_z,
    "overlap": overlap,
    "attack_share": attack_share,
    "seeded_uptake": seeded_uptake,
    "proof_step": proof_step,
    "proof_slope": proof_slope,
}
