"""The journeys of a signed-in person: add, confirm, remove and postpone ways back in."""
