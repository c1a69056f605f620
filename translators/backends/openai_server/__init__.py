"""Servers that speak OpenAI's chat API: one dialect, and one row of facts for each product."""
