"""A lamp and a beeper for the whole household, on GPIO lines."""
