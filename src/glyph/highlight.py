"""Syntax colours: which ink each character of a source file is drawn with.

Pygments splits the code into tokens; its hundreds of token types are grouped into the few roles of
`INK_ROLES`, so that a page stays within a small palette. A role is a number, the index of its name
there; a palette is one colour a role.
"""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyph.documents import Document
from glyph.errors import ConfigError, nearest

INK_ROLES = (
    *("plain", "keyword", "type", "definition", "builtin", "attribute"),
    *("string", "escape", "number", "comment", "operator", "meta"),
)
"""Names of the roles; `plain`, the ink of everything else, is role 0."""

# The role of a token type holds for its subtypes too, unless they have their own.
_ROLE_OF_TYPE = {
    "Comment": "comment",
    "Comment.Preproc": "meta",
    "Comment.PreprocFile": "string",
    "Generic.Deleted": "keyword",
    "Generic.Error": "escape",
    "Generic.Heading": "definition",
    "Generic.Inserted": "string",
    "Generic.Prompt": "meta",
    "Generic.Subheading": "definition",
    "Generic.Traceback": "escape",
    "Keyword": "keyword",
    "Keyword.Constant": "number",
    "Keyword.Type": "type",
    "Literal": "number",
    "Literal.Date": "string",
    "Literal.Number": "number",
    "Literal.String": "string",
    "Literal.String.Affix": "escape",
    "Literal.String.Doc": "comment",
    "Literal.String.Escape": "escape",
    "Literal.String.Interpol": "escape",
    "Name.Attribute": "attribute",
    "Name.Builtin": "builtin",
    "Name.Class": "definition",
    "Name.Constant": "number",
    "Name.Decorator": "meta",
    "Name.Entity": "escape",
    "Name.Exception": "type",
    "Name.Function": "definition",
    "Name.Namespace": "definition",
    "Name.Property": "attribute",
    "Name.Tag": "keyword",
    "Operator": "operator",
    "Operator.Word": "keyword",
}

Rgb = tuple[int, int, int]

LIGHT_INKS: tuple[Rgb, ...] = (
    (0, 0, 0),  # plain
    (0, 51, 179),  # keyword
    (0, 98, 122),  # type
    (122, 62, 0),  # definition
    (93, 31, 145),  # builtin
    (140, 20, 100),  # attribute
    (6, 105, 30),  # string
    (0, 90, 160),  # escape
    (176, 32, 16),  # number
    (96, 96, 96),  # comment
    (64, 64, 64),  # operator
    (112, 88, 0),  # meta
)
"""Colours of `INK_ROLES` for a white page."""

DARK_INKS: tuple[Rgb, ...] = (
    (252, 252, 250),  # plain
    (255, 138, 160),  # keyword
    (120, 220, 232),  # type
    (169, 220, 118),  # definition
    (190, 175, 255),  # builtin
    (255, 172, 120),  # attribute
    (255, 216, 102),  # string
    (255, 160, 215),  # escape
    (210, 180, 255),  # number
    (176, 170, 172),  # comment
    (225, 215, 218),  # operator
    (140, 200, 255),  # meta
)
"""Colours of `INK_ROLES` for a dark page, #353031."""


def ink_roles(document: Document) -> NDArray[np.uint8] | None:
    """Return the role of every character of a source file.

    Pygments reads the whole text at once, about a megabyte in four seconds for most languages.
    Its tokens must cover the text exactly, in order. Where a lexer leaves out or changes
    characters, every role is plain, and a warning says so.

    Args:
        document: The document; only one with a language, or with sections that have one, has roles.

    Returns:
        Indices into `INK_ROLES`, one a character of `document.text`; None without any language.

    Raises:
        ConfigError: Pygments knows no language of that name.

    Example:
        >>> from glyph.documents import document_from_text
        >>> roles = ink_roles(document_from_text("if x: # y", name="demo.py"))
        >>> [INK_ROLES[role] for role in roles.tolist()[::6]]
        ['keyword', 'comment']
    """
    if document.language is not None:
        return _roles(document.text, document.language, document.name)
    if not any(section.language for section in document.sections):
        return None
    roles_N = np.zeros(len(document.text), np.uint8)
    for section in document.sections:
        if section.language is not None:
            text = document.text[section.start : section.end]
            roles_N[section.start : section.end] = _roles(text, section.language, section.name)
    return roles_N


def _roles(text: str, language: str, name: str) -> NDArray[np.uint8]:
    role_of: dict[Any, int] = {}
    roles: list[int] = []
    lengths: list[int] = []
    end = 0
    for _, token_type, value in _lexer(language).get_tokens_unprocessed(text):
        if not text.startswith(value, end):
            break
        end += len(value)
        if token_type not in role_of:
            role_of[token_type] = _role(token_type)
        roles.append(role_of[token_type])
        lengths.append(len(value))
    if end < len(text):
        warnings.warn(
            f"the {language} lexer loses its place at character {end} of {name}; the text is shown "
            "without colours.",
            stacklevel=2,
        )
        return np.zeros(len(text), np.uint8)
    return np.repeat(np.array(roles, np.uint8), lengths)


def _lexer(language: str) -> Any:
    from pygments.lexers import find_lexer_class_by_name, get_all_lexers
    from pygments.util import ClassNotFound

    try:
        return find_lexer_class_by_name(language)(stripnl=False, ensurenl=False, stripall=False)
    except ClassNotFound as error:
        near = nearest(language, (alias for lexer in get_all_lexers() for alias in lexer[1]))
        raise ConfigError(
            f"pygments knows no language {language!r}; "
            + (f"did you mean {near}?" if near else "leave it out to show plain text.")
        ) from error


def _role(token_type: Any) -> int:
    """Return the role of a token type: its own, or that of the nearest type above it."""
    for ancestor in reversed(token_type.split()):
        name = _ROLE_OF_TYPE.get(".".join(ancestor))
        if name is not None:
            return INK_ROLES.index(name)
    return 0
