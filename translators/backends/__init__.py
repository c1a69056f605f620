"""The dialects that we speak to backends."""
