"""Costs in money, where prices are given."""

import json

import pytest

from glyph.errors import ConfigError
from glyph.serve.paging import page_text
from glyph.serve.prices import PriceList, TokenPrices
from glyph.serve.replies import report_headers
from glyph.serve.rewrite import read_request, rewrite, spec_of
from glyph.serve.rules import Rules
from glyph.serve.wires import MESSAGES

LONG = "\n".join(f"Entry {i}: the garden needs water in week {i} of the year." for i in range(200))


def test_a_file_of_prices_is_read_and_the_first_pattern_holds(tmp_path):
    path = tmp_path / "prices.toml"
    path.write_text("['claude-opus-*']\ninput = 5\ncache_read = 0.5\n['*']\ninput = 1.5\n")
    prices = PriceList.from_file(path)
    assert prices.of("Claude-Opus-5") == TokenPrices(5, 5, 0.5)
    assert prices.of("anything") == TokenPrices(1.5, 1.5, 1.5)
    assert PriceList().of("anything") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[", "cannot be read"),
        ("['a']\ncache_read = 1", "need 'input'"),
        ("['a']\ninput = -1", "need 'input'"),
        ("['a']\ninput = 1\noutput = 2", "may have 'cache_write' and 'cache_read'"),
        ("a = 3", "need 'input'"),
    ],
)
def test_what_is_no_file_of_prices_is_refused(text, words, tmp_path):
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        PriceList.from_file(path)


def test_costs_are_tokens_times_prices_cold_and_warm():
    part = {"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}
    content = [part, {"type": "text", "text": "Why?"}]
    request = {"model": "claude-sonnet-4.6", "messages": [{"role": "user", "content": content}]}
    rules = Rules()
    incoming = read_request(json.dumps(request).encode(), MESSAGES, rules)
    paged = {LONG: page_text(LONG, spec_of(incoming.model, rules))}
    plain = rewrite(incoming, paged, rules).report
    priced = rewrite(incoming, paged, rules, prices=TokenPrices(4, 5, 0.4)).report
    assert plain.values()["cost_unit"] == "input tokens"
    values = priced.values()
    assert values["cost_unit"] == "USD"
    for name, tokens in (("text", plain.text_tokens), ("pages", plain.page_tokens)):
        assert values["cost_cold"][name] == pytest.approx(tokens * 5e-6, abs=1e-6)
        assert values["cost_warm"][name] == pytest.approx(tokens * 0.4e-6, abs=1e-6)
    headers = dict(report_headers(priced))
    assert headers[b"x-glyph-cost-text"].endswith(b" warm USD")
    assert b"USD" not in dict(report_headers(plain))[b"x-glyph-cost-text"]
