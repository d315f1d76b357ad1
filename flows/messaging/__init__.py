"""Messages to people: `message`, `render` (what they say), `dispatch` (the queue), then the channels."""
