"""The journeys of somebody who cannot get in: reset, unlock, change, and what is written at their end."""
