"""A guess of a candidate's accuracy from what was read before, to choose what to read next.

Fitness is always real reading; this only decides which of several offspring is worth it. Their
ratios are exact before reading, so that one unknown is left. It is guessed by a Gaussian process
over what legibility depends on: pixels of a letter and of a line as the model sees them, contrast,
face and alignment. Expected hypervolume improvement then weighs hope against doubt.

Source:
    Expected hypervolume improvement with one objective known: Emmerich et al. 2006, here by
    quadrature over the other. Rasmussen and Williams 2006, algorithm 2.1.
"""

from collections.abc import Sequence
from math import log

import numpy as np
from jaxtyping import Float

from glyph.config import RenderConfig, contrast
from glyph.search.fitness import Price
from glyph.search.pareto import REFERENCE, Point, gain
from glyph.themes import FONT_POOLS

MAX_POINTS = 400
NOISE_SD = 0.06
PRIOR_SD = 0.3

# Standard normal quantiles of seven equal shares.
_QUANTILES = (-1.465, -0.792, -0.366, 0.0, 0.366, 0.792, 1.465)


def features(config: RenderConfig, price: Price) -> Float[np.ndarray, " F"]:
    """Return what a reader's success depends on, each scaled so that 1 is a marked change."""
    scale_x, scale_y = price.seen_scale
    size_px = config.font_size_px
    family = {"sans": 0.0, "serif": 1.0, "mono": 2.0, "pixel": 4.0}[_kind(config.font_family)]
    return np.array([
        4 * log(size_px * scale_y),
        5 * log(config.horizontal_scale * scale_x / scale_y),
        4 * (config.line_height_pt / config.font_size_pt - 1),
        family,
        0.5 * _tell_apart(config.font_family),
        1.0 * config.bold,
        1.0 * config.italic,
        1.5 * (scale_y < 0.999 or scale_x < 0.999),
        0.5 * log(contrast(config.font_color, config.paragraph_color)),
        0.5 * config.is_dark,
        0.8 * config.px(config.letter_spacing_pt),
        0.7 * (config.alignment in ("justify", "center")),
        0.7 * bool(config.newline_marker),
        0.5 * (config.columns > 1),
        0.6 * log(max(config.line_width_px, 1.0) / size_px),
        0.5 * (config.border_width_pt > 0),
    ])  # fmt: skip


class Surrogate:
    """Guesses accuracy, and what a candidate would add to the front."""

    def __init__(self, known: Sequence[tuple[Float[np.ndarray, " F"], float, int]]):
        """Fit to what was read.

        Args:
            known: Features, accuracy and number of questions of each candidate; the last count.
        """
        known = known[-MAX_POINTS:]
        self._features_NF = np.array([f for f, _, _ in known]).reshape(len(known), -1)
        accuracy_N = np.array([accuracy for _, accuracy, _ in known])
        self._mean = float(accuracy_N.mean()) if len(known) else 0.7
        if not len(known):
            return
        # Fewer questions leave more doubt: a score's own spread is about a half.
        noise_N = np.array([NOISE_SD**2 + 0.06 / max(asked, 1) for _, _, asked in known])
        kernel_NN = _kernel(self._features_NF, self._features_NF) + np.diag(noise_N)
        self._factor_NN = np.linalg.cholesky(kernel_NN)
        self._weights_N = _solve(self._factor_NN, accuracy_N - self._mean)

    def guess(self, features_F: Float[np.ndarray, " F"]) -> tuple[float, float]:
        """Return mean and standard deviation of the accuracy to be expected."""
        if not len(self._features_NF):
            return self._mean, PRIOR_SD
        kernel_N = _kernel(self._features_NF, features_F[None])[:, 0]
        half_N = np.linalg.solve(self._factor_NN, kernel_N)
        variance = max(PRIOR_SD**2 - float(half_N @ half_N), 1e-6)
        return self._mean + float(kernel_N @ self._weights_N), variance**0.5

    def expected_gain(
        self, features_F: Float[np.ndarray, " F"], ratio: float, front: Sequence[Point]
    ) -> float:
        """Return the hypervolume a candidate of this ratio adds to the front on average."""
        mean, sd = self.guess(features_F)
        gains = [
            gain((min(max(mean + sd * z, 0.0), 1.0), ratio), front, REFERENCE) for z in _QUANTILES
        ]
        # A trace of hope keeps candidates apart where nothing can be gained.
        return sum(gains) / len(gains) + 1e-6 * mean


def _kernel(
    one_NF: Float[np.ndarray, "N F"], other_MF: Float[np.ndarray, "M F"]
) -> Float[np.ndarray, "N M"]:
    squared_NM = ((one_NF[:, None] - other_MF[None]) ** 2).sum(axis=-1)
    return PRIOR_SD**2 * np.exp(-0.5 * squared_NM)


def _solve(
    factor_NN: Float[np.ndarray, "N N"], values_N: Float[np.ndarray, " N"]
) -> Float[np.ndarray, " N"]:
    return np.linalg.solve(factor_NN.T, np.linalg.solve(factor_NN, values_N))


def _kind(family: str) -> str:
    return next((kind for kind, names in FONT_POOLS.items() if family in names), "sans")


def _tell_apart(name: str) -> float:
    """Return a number in [0, 1] that tells names apart, the same in every process."""
    return sum(name.encode()) % 97 / 97
