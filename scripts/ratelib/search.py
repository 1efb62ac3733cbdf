"""The highest rates whose loss stays within limits, found by MLRsearch (RFC 9971)."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from MLRsearch import AbstractMeasurer, Config, MeasurementResult, MultipleLossRatioSearch, SearchGoal

from . import figures


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is searched for, and how precisely."""
    loss_ratios: tuple[float, ...]
    min_pps: float
    max_pps: float
    width: float = 0.005
    trial_s: float = 1.0
    sum_s: float = 21.0
    exceed: float = 0.5
    longest_s: float = 1200.0

    def goals(self) -> list[SearchGoal]:
        initial = min(1.0, self.trial_s)
        return [SearchGoal(loss_ratio=ratio, exceed_ratio=self.exceed, relative_width=self.width,
                           initial_trial_duration=initial, final_trial_duration=self.trial_s,
                           duration_sum=max(self.sum_s, self.trial_s), preceding_targets=2 if self.sum_s > initial else 0,
                           expansion_coefficient=2, fail_fast=False) for ratio in sorted(set(self.loss_ratios))]


class Found(NamedTuple):
    """The result for one limit."""
    loss_ratio: float
    lower_pps: float | None  # relevant lower bound: the highest load that holds; `None`: not even the lowest does
    upper_pps: float | None  # relevant upper bound: the lowest load that does not; `None`: even the highest does
    throughput_pps: float | None  # conditional throughput
    limited_by: str | None  # the place where most packets were lost at the upper bound

    def text(self) -> str:
        limit = "without loss" if self.loss_ratio == 0 else f"within {figures.share(self.loss_ratio)}"
        if self.throughput_pps is None:
            return f"no rate {limit}"
        at_least = "at least " if self.upper_pps is None else ""
        return f"{at_least}{figures.rate(self.throughput_pps)} {limit}"


class Progress(NamedTuple):
    """Where a search is, after a trial."""
    trial: figures.Trial
    bounds: list[tuple[float, float | None, float | None]]  # of each goal: loss ratio, lower and upper bound so far
    left_s: float


Ask = Callable[..., figures.Trial]


class _Measurer(AbstractMeasurer):  # type: ignore[misc]
    def __init__(self, run: "Search") -> None:
        self.run = run

    def measure(self, intended_duration: float, intended_load: float) -> MeasurementResult:
        one = self.run.ask(rate_pps=intended_load, duration_s=intended_duration)
        self.run.trials.append((intended_load, one))
        result = MeasurementResult(intended_duration=intended_duration, intended_load=intended_load,
                                   intended_count=one.due, offered_count=one.sent, forwarding_count=one.valid)
        self.run.tell(one)
        return result


class Search:
    """One search. `ask` makes a trial, `progress` is told after each."""

    def __init__(self, settings: Settings, ask: Ask, progress: Callable[[Progress], None] = lambda _: None,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self.ask, self.progress, self.clock = ask, progress, clock
        self.trials: list[tuple[float, figures.Trial]] = []  # with the load that was asked for
        self.begun = clock()
        self.goals = settings.goals()
        config = Config()
        config.goals = self.goals
        # In this order: a highest rate below 9 kpps would be less than the default of the lowest.
        config.min_load = settings.min_pps
        config.max_load = settings.max_pps
        config.search_duration_max = settings.longest_s
        config.warmup_duration = None
        self.controller = MultipleLossRatioSearch(config=config)

    def run(self) -> list[Found]:
        """Raises a RuntimeError if it takes too long."""
        results = self.controller.search(measurer=_Measurer(self), debug=lambda _: None)
        return [self.found(goal, results[goal]) for goal in self.goals]

    def found(self, goal: SearchGoal, result: Any) -> Found:
        lower, upper = result.relevant_lower_bound, result.relevant_upper_bound
        throughput = result.conditional_throughput
        at_upper = [] if upper is None else [one for load, one in self.trials if abs(load - float(upper)) < 1e-6 * load]
        bad = [one for one in at_upper if one.loss_ratio > goal.loss_ratio]
        return Found(goal.loss_ratio, *(None if load is None else float(load) for load in (lower, upper, throughput)),
                     figures.limited_by(bad))

    def tell(self, one: figures.Trial) -> None:
        bounds, brackets = [], []
        seconds_at: dict[float, float] = {}
        for load, past in self.trials:
            seconds_at[load] = seconds_at.get(load, 0.0) + past.duration_s
        for goal in self.goals:
            # The last trial is not in the database yet.
            target = self.controller.scaling.goal_to_final_target[goal]
            final = self.controller.database.get_relevant_bounds(target)
            lower, upper = (None if bound is None else float(bound) for bound in (final.clo, final.chi))
            good = [load for load, past in self.trials if past.loss_ratio <= goal.loss_ratio]
            bad = [load for load, past in self.trials if past.loss_ratio > goal.loss_ratio]
            high = upper or min(bad, default=self.settings.max_pps)
            low = lower or max((load for load in good if load < high), default=self.settings.min_pps)
            bounds.append((goal.loss_ratio, lower, upper))
            brackets.append((low, high, lower, upper))
        spent_s = sum(past.duration_s for _, past in self.trials)
        wall_ratio = (self.clock() - self.begun) / spent_s if spent_s else 1.0
        exceed = self.settings.exceed
        left_s = figures.seconds_left(brackets, seconds_at, min(1.0, self.settings.trial_s),
                                      self.settings.sum_s * max(exceed, 1 - exceed), self.settings.width, wall_ratio)
        self.progress(Progress(one, bounds, left_s))


def sentence(found: list[Found]) -> str:
    """The results in one sentence."""
    limit = next((one.limited_by for one in found if one.limited_by), None)
    return ", ".join(one.text() for one in found) + (f"; limited by {limit}" if limit else "")
