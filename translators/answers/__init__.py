"""Backends' answers in whatever shape they come, read into deltas: what all dialects of backends share."""
