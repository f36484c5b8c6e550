"""Prices: what tokens cost in dollars, as whoever runs the gateway says.

No list of prices comes with the package: it would be wrong within months.
"""

import fnmatch
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from glyph.errors import ConfigError

PER = 1_000_000
_EXAMPLE = "['claude-*'] input = 5, cache_write = 6.25, cache_read = 0.5"
_FIELDS = ("input", "cache_write", "cache_read")


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """Dollars for a million input tokens.

    Attributes:
        input: Neither read from a prompt cache nor written to one.
        cache_write: Written to the cache.
        cache_read: Read from it.
    """

    input: float
    cache_write: float
    cache_read: float


@dataclass(frozen=True, slots=True)
class PriceList:
    """Prices by pattern of model names; the first that fits holds."""

    entries: tuple[tuple[str, TokenPrices], ...] = ()

    def of(self, model: str) -> TokenPrices | None:
        """Return the prices of a model, None when none are given.

        Example:
            >>> prices = PriceList((("glm-*", TokenPrices(0.6, 0.6, 0.11)),))
            >>> prices.of("GLM-4.5v").cache_read, prices.of("gpt-5.4")
            (0.11, None)
        """
        for pattern, prices in self.entries:
            if fnmatch.fnmatchcase(model.lower(), pattern.lower()):
                return prices
        return None

    @classmethod
    def from_file(cls, path: Path) -> "PriceList":
        """Read a TOML file with a table for each pattern of model names.

        Prices of the cache that are left out are those of the input.

        Raises:
            ConfigError: It cannot be read, or holds something else.
        """
        try:
            tables = tomllib.loads(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(
                f"the prices {path} cannot be read ({error}); a TOML file such as {_EXAMPLE} is "
                "accepted."
            ) from None
        return cls(tuple((name, _prices(path, name, table)) for name, table in tables.items()))


def _prices(path: Path, name: str, table: Any) -> TokenPrices:
    values: Mapping[str, Any] = cast("dict[str, Any]", table) if isinstance(table, dict) else {}
    given: dict[str, float] = {
        key: value for key, value in values.items() if key in _FIELDS and _is_price(value)
    }
    if "input" not in given or len(given) < len(values):
        raise ConfigError(
            f"the prices of '{name}' in {path} need 'input', and may have 'cache_write' and "
            f"'cache_read', in dollars for a million tokens: {_EXAMPLE}."
        )
    full = given["input"]
    return TokenPrices(full, given.get("cache_write", full), given.get("cache_read", full))


def _is_price(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e6
