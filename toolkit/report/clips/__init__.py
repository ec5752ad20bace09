"""Sections of the report on measurements of rendered clips."""
