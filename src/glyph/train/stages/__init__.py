"""The three stages: TRL trainers on rendered pages, resumable, watched."""
