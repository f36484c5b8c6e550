"""Training samples: texts in, rendered pages with a prompt and a response out.

    sources ──► sections ──► family: context, prompt, response ──► pages under a theta ──► store

Everything a sample is made of follows from the seed, its number and the sources, so that any
number of processes makes the same samples and a run that was stopped goes on where it was.
"""
