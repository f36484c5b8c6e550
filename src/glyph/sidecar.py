"""The sidecar: the exact strings of the pages, as text beside the images.

A vision model reads prose well, and confabulates strings that carry no redundancy: hashes,
numbers, addresses, names in code. `exact_strings` finds them; `build_sidecar` ranks them by how
likely and how costly a misread is and keeps what a token budget allows, with pages and labels.

Every pattern is linear in the text: it starts at word boundaries only, never gives back what it
took (possessive quantifiers), and looks ahead a bounded way.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

ExactKind = Literal[
    "uuid",
    "hash",
    "hex",
    "code",
    "number",
    "url",
    "email",
    "identifier",
    "version",
    "path",
    "date",
]

# Longer strings are data, not something to be quoted; a page cannot show them in one piece.
_SHORTEST, _LONGEST = 2, 256
_LONGEST_LABEL, _MOST_LABEL_WORDS = 32, 4

_MONTH = (
    "(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    "|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
)
_UNIT = (
    "(?:%|‰|°[CF]?|[KMGTP]i?B(?:/s)?|[kM]bit/s|[kMG]?bps|[kMGT]?Hz|[kMG]?Wh?|[mk]?[VA]|[kM]?Pa"
    "|[kmµn]?g|[kcmµn]?m(?:²|³|/s|/h)?|km²|[mµn]?s|[mcd]?[lL]|ha|min|hrs?|h|dpi|px|pt|ppm|K|°"
    "|USD|EUR|GBP|CHF|JPY|CNY|RMB|INR|[$€£¥₹]|dollars?|euros?|pounds?|yuan"
    "|thousand|million|billion|trillion|bn|[万亿億兆][元円]?|[元円원度])"
)
_PATTERN = re.compile(
    rf"""
    (?<![A-Za-z0-9_À-ɏͰ-ԯ])
    (?:
      (?P<url> (?:[A-Za-z][A-Za-z0-9+.-]{{1,15}}+://|www\.)
               [^\s<>"'`{{}}|\\^、。，；（）「」【】]++ )
    | (?P<email> [A-Za-z0-9][A-Za-z0-9._%+-]{{0,63}}+
                 @ [A-Za-z0-9-]{{1,63}}+ (?:\.[A-Za-z0-9-]{{1,63}}+){{1,6}}+ )
    | (?P<uuid> [0-9a-fA-F]{{8}} (?:-[0-9a-fA-F]{{4}}){{3}} -[0-9a-fA-F]{{12}} (?![\w-]) )
    | (?P<date> \d{{4}}(?P<mark>[-/.])\d{{1,2}}(?P=mark)\d{{1,2}}
                (?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{{1,9}})?)?(?:Z|[+-]\d\d:?\d\d)?)? (?!\w)
              | \d{{1,2}}(?P<sign>[-/.])\d{{1,2}}(?P=sign)(?:\d{{4}}|\d\d) (?![\w.])
              | \d{{1,2}}(?:st|nd|rd|th)?\ {_MONTH}\.?,?\ \d{{4}} (?!\w)
              | {_MONTH}\.?\ \d{{1,2}}(?:st|nd|rd|th)?,?\ \d{{4}} (?!\w)
              | \d{{4}}年\d{{1,2}}月(?:\d{{1,2}}[日号])?
              | \d{{1,2}}:\d\d(?::\d\d(?:\.\d{{1,9}})?)?(?:\ ?[AaPp]\.?[Mm])? (?![\w:]) )
    | (?P<code> \d{{1,3}}(?:\.\d{{1,3}}){{3}}(?::\d{{1,5}}|/\d{{1,2}})? (?![\w.])
              | [A-Z]{{2}}\d\d(?:\ [A-Z0-9]{{4}}){{3,7}}+(?:\ [A-Z0-9]{{1,3}})? (?!\w) )
    | (?P<hex> 0[xX][0-9a-fA-F]++ (?!\w) | \#(?=[a-fA-F]{{0,7}}\d)[0-9a-fA-F]{{6,8}} (?!\w)
             | [0-9a-fA-F]{{2}}(?::[0-9a-fA-F]{{2}}){{3,31}}+ (?![\w:]) )
    | (?P<version> v?\d++(?:\.\d++){{2,5}}+(?:[-+.]?(?:[a-z]++[.-]?)?\d{{1,9}})? (?!\w)
                 | v\d++(?:\.\d++)?+ (?!\w) )
    | (?P<path> (?<![/:.]) (?:~|\.\.?)?+ (?:/[A-Za-z0-9_.@+-]++){{2,}}+
              | [A-Za-z]:\\[^\s<>"'`|?*,;]++
              | (?=[A-Za-z-]{{0,64}}[\d_./]) [A-Za-z0-9_.@+-]++(?:/[A-Za-z0-9_.@+-]++)++ )
    | (?P<number> (?: (?:[$€£¥₹]|(?:USD|EUR|GBP|CHF|RMB)\ )?+[-+−±]?
                      \d++(?:[.,'’]\d++)*+(?:[eE][+-]?\d++)?(?:[ \u00a0]?{_UNIT})?
                    | \+\d{{1,3}}(?:[ -]\d{{2,12}}){{1,5}}+ | \d{{3}}(?:-\d{{3,4}}){{2}}
                    | \d{{4}}(?:[ -]\d{{4}}){{3}} ) (?![A-Za-z0-9_]) )
    | (?P<token> (?=(?:[A-Za-z]{{1,40}}[.-]){{0,4}}
                    (?:[A-Za-z]*+[\d_] | [A-Z]*[a-z]++[A-Z] | [A-Z]{{2,}}+[a-z]))
                 [A-Za-z0-9_]++(?:(?:[.-]|::)[A-Za-z0-9_]++)*+ )
    )""",
    re.VERBOSE,
)
