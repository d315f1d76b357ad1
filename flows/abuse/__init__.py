"""What keeps strangers and guessers out: limits, known browsers, work before a start."""
