"""Nano: a small reader of the production architecture, trained from scratch on pages of text."""
