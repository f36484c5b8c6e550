"""The words around pages: prompts in several wordings, and those the nano reader knows."""

from glyph.readers.nano.prompts import Prompt
from glyph.readers.nano.spec import NUM_SPECIALS, load_spec

READ_ALL = (
    "Transcribe the text of these pages word for word.",
    "Write out everything that is printed here, exactly as it stands.",
    "What do these pages say? Give the full text without any change.",
)
READ_PAGE = (
    "Transcribe page {page} word for word, and no other page.",
    "Write out exactly what is printed on page {page}.",
)
GO_ON = (
    "Continue the text of these pages.",
    "Write how the text goes on after the last page.",
)
GO_BACK = (
    "Write what stands in the text just before these pages.",
    "These pages begin in the middle of a text. Write the passage that leads up to them.",
)
FILL = (
    "A part of the text is missing between the two runs of pages. Write it.",
    "Write the passage that leads from the first run of pages to the second.",
)
INTERLEAVED = "Parts of this text are given as pages. Continue it."
THINK = "Think first, between <think> and </think>; then give the answer alone."

NEEDLES = (
    ("The access code of {key} is {value}.", "What is the access code of {key}?"),
    ("It was noted that {key} has the number {value}.", "Which number does {key} have?"),
    ("For {key} the register says {value}.", "What does the register say for {key}?"),
    ("Whoever asks for {key} is to be given {value}.", "What is to be given for {key}?"),
)
KEY_VALUES = (
    "What is the value of {key}?",
    "Which value stands beside {key}?",
    "Look up {key} and give its value.",
)
RESOLVE = (
    "What is the value of the variable {name}?",
    "Follow the assignments. Which number does {name} hold in the end?",
)
TRACE = (
    "Which variables hold the value {value} in the end? Name all of them.",
    "List every variable that is assigned {value}, directly or through another variable.",
)
SIGHTING = "Seen today: {word}."
COUNT = ("How many times does a line say '{line}'? Give the number.",)
MOST = ("Which animal or thing is named most often in the lines 'Seen today'?",)
TOLL = "The toll at {key} is {value} coins."
ADD = (
    "What is the toll at {keys} together? Give the number of coins.",
    "Add up the tolls at {keys}. How many coins are that?",
)
LARGEST = ("At which of these places is the toll highest: {keys}?",)
NOT_THERE = "The pages do not say."


def nano_words(prompt: Prompt | str) -> str:
    """Return a prompt of the nano reader as its tokenizer spells it; it ends where to answer.

    Args:
        prompt: As it asks at run time, or a question in words.

    Example:
        >>> from glyph.readers.nano.prompts import key_prompt
        >>> nano_words(key_prompt("owl"))
        '<|key|>owl<|val|>'
        >>> nano_words("How many?")
        'How many?<|val|>'
    """
    if isinstance(prompt, str):
        return f"{prompt}<|val|>"
    specials = load_spec().specials
    newline = load_spec().special("NL")
    spelled = (
        chr(token)
        if token >= NUM_SPECIALS
        else "\n"
        if token == newline
        else f"<|{specials[token].lower()}|>"
        for token in prompt.ids
    )
    return "".join(spelled)


def named(words: list[str]) -> str:
    """Return words as a list in a sentence.

    Example:
        >>> named(["ash", "elm", "oak"])
        'ash, elm and oak'
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def thought(trace: str, answer: str) -> str:
    """Return a response that thinks before it answers."""
    return f"<think>{trace}</think>{answer}"
